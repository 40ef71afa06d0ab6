"""What serving a model takes: how long requests wait, how many are answered, in how much memory, for what energy and cost."""

from pydantic import BaseModel, ConfigDict

from tasks.metrics.intervals import Interval


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Quantiles(_Figures):
    """What half of the requests stay within, and what 95 % of them do."""

    p50: float
    p95: float


class Load(_Figures):
    """Requests sent so that always the same number of them is under way: the next when one is answered."""

    concurrency: int
    """Requests under way."""

    requests: int
    """Requests answered."""

    first_token_seconds: Quantiles | None
    """From the request to its first token; None where the teacher does not tell when it came."""

    per_token_seconds: Quantiles | None
    """Between the first token and the last, for each token after the first; None where that is not known either."""

    latency_seconds: Quantiles
    """From the request to the whole answer."""

    requests_per_second: float
    output_tokens_per_second: float


class ServingMemory(_Figures):
    """What a model needs to serve a load, reckoned: what a device happens to hold is no measure of it.

    On CUDA an engine takes all the room for keys and values that its settings allow, nearly the whole device for any model. What
    it puts there is known: its weights, and the keys and values of every request under way (Kwon et al. 2023, arXiv 2309.06180,
    section 3). Activations, compiled graphs and the libraries' own buffers come on top of it and are not in it.
    """

    weight_bytes: int
    """The weights as the engine holds them, on all its devices together."""

    kv_bytes_per_token: int
    """Keys and values that a token of a request occupies as long as the request is under way."""

    kv_bytes_per_request: int
    """Those of a request as long as the settings allow; less than all its tokens' where layers look back over a window only."""

    request_tokens: int
    """Longest prompt and longest answer that the settings allow, together."""

    requests: int
    """Requests at once: as many as were under way at the highest load, or as the engine takes into one batch if that is less."""

    @property
    def total_bytes(self) -> int:
        """Weights, and keys and values of all these requests."""
        return self.weight_bytes + self.requests * self.kv_bytes_per_request

    @property
    def load(self) -> str:
        """The load that it is for, in words."""
        return f"{self.requests:,} requests of {self.request_tokens:,} tokens"


class Serving(_Figures):
    """The figures of one model on one machine, or of one endpoint."""

    latency_seconds: Interval
    """Median time of one request alone, with its interval."""

    loads: list[Load]
    """By concurrency, lowest first."""

    items_per_second: float
    """The test items, all at once."""

    tokens_per_second: float
    """Output tokens of the test items, all at once."""

    memory: ServingMemory | None
    """What the model needs to serve such a load; None for an endpoint."""

    peak_memory_bytes: int | None
    """The most that all processes of the engine held, measured; None for an endpoint, and on CUDA, where that is what the engine
    may take, whatever the model needs."""

    energy_joules_per_item: float | None
    """Of a test item, all at once; None where no meter can be read."""

    cost_per_1k_requests: float | None
    """What an endpoint charges, in the currency of its prices; None for a model on a machine of ours."""

    dtype: str | None
    """The number format that the engine computed in; None for an endpoint."""
