"""What both ways of asking an endpoint have: how requests are composed and read, what they cost, and the connections."""

from collections import Counter
from typing import Self

from tasks.teachers.endpoint.body import Composer
from tasks.teachers.endpoint.budget import Budget, EndpointUsage
from tasks.teachers.endpoint.client import EndpointClient
from tasks.teachers.endpoint.rows import Reader
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.settings import LogprobSettings, Sampling


class EndpointSession:
    """A checked endpoint; use it as a context manager, which closes its connections at the end."""

    def __init__(
        self, settings: EndpointSettings, sampling: Sampling, logprobs: LogprobSettings | None, runtime: EndpointRuntime
    ) -> None:
        """Check the settings and read the key; nothing is sent yet.

        Args:
            settings: The endpoint and its model.
            sampling: How answers are sampled; ``structured_output.labels`` is resolved to ``choice`` by the caller.
            logprobs: Log-probabilities to keep; None: none. vLLM's server needs a ``--max-logprobs`` of ``top_k + 1``.
            runtime: How the endpoint is asked.

        Raises:
            SettingsError: If the endpoint cannot be asked for this, its URL is refused, or its key is missing.
        """
        self._settings, self._logprobs = settings, logprobs
        self._composer = Composer(settings, sampling, logprobs)
        self._client = EndpointClient(settings, runtime)
        self._sampling, self._runtime, self._url = sampling, runtime, settings.url
        self.usage = EndpointUsage()
        """What was sent and came back so far."""
        self._reader = Reader(settings, self._client.secret, logprobs.top_k if logprobs else None, self.usage)
        self._budget = Budget(runtime, self.usage)
        self._given_up: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._client.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.__exit__()

    def sample(self, temperature: float) -> None:
        """Ask for answers at this temperature from now on, while nothing is under way."""
        self._sampling = self._sampling.model_copy(update={"temperature": temperature})
        self._composer = Composer(self._settings, self._sampling, self._logprobs)
