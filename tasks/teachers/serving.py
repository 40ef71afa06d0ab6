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

    peak_memory_bytes: int | None
    """Of all processes of the engine; None for an endpoint. On CUDA that of its devices, with all the room for keys and values
    that it takes beforehand: for any model nearly `gpu_memory_utilization` of them, unless `kv_cache_bytes` is set."""

    weight_bytes: int | None
    """None for an endpoint."""

    kv_bytes_per_token: int | None
    """Keys and values that a token of a request occupies as long as the request is under way; None for an endpoint."""

    energy_joules_per_item: float | None
    """Of a test item, all at once; None where no meter can be read."""

    cost_per_1k_requests: float | None
    """What an endpoint charges, in the currency of its prices; None for a model on a machine of ours."""

    dtype: str | None
    """The number format that the engine computed in; None for an endpoint."""
