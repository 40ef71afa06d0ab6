"""What a run spends at an endpoint and what it may spend: requests, tokens, money."""

from collections import Counter
from dataclasses import dataclass, field

from tasks.core.errors import BudgetExceededError
from tasks.teachers.endpoint.settings import EndpointRuntime
from tasks.teachers.exchange import Request

_BYTES_PER_TOKEN = 3  # of English it is about four; a reservation errs on the high side
_TOKENS_PER_MESSAGE = 8  # role and separators
_MILLION = 1_000_000


@dataclass
class EndpointUsage:
    """What was sent and what came back so far, for showing progress."""

    requests: int = 0
    """Requests sent, repeated ones included."""
    answered: int = 0
    """Rows that were answered."""
    answered_before: int = 0
    """Rows of the same work that earlier runs got answered; set by the caller, so that a rest that fails is seen as a rest."""
    failures: Counter[str] = field(default_factory=Counter)
    """Rows that were refused or given up, by reason."""
    retries: Counter[str] = field(default_factory=Counter)
    """Requests that were repeated, by reason."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    """In the currency of the prices; 0 without prices."""
    concurrency: int = 0
    """Requests that may be under way now."""


@dataclass(frozen=True)
class Reservation:
    """The most that a request is expected to spend."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def tokens(self) -> int:
        """Prompt and answer together."""
        return self.prompt_tokens + self.completion_tokens


class Budget:
    """Counts what is spent, and holds back what requests under way may still spend."""

    def __init__(self, runtime: EndpointRuntime, usage: EndpointUsage) -> None:
        """Start with nothing held back.

        Args:
            runtime: Limits and prices.
            usage: Where the spending is counted.
        """
        self._runtime, self._usage = runtime, usage
        self._held_tokens = 0
        self._held_cost = 0.0

    def reserve(self, wanted: Reservation) -> bool:
        """Hold back what a request may spend and count it as sent.

        Returns:
            False if it does not fit into what is left; then nothing is held back.
        """
        usage, limits = self._usage, self._runtime
        cost = self._cost(wanted.prompt_tokens, wanted.completion_tokens)
        spent_tokens = usage.prompt_tokens + usage.completion_tokens
        fits = (
            (limits.max_requests is None or usage.requests < limits.max_requests)
            and (limits.max_tokens is None or spent_tokens + self._held_tokens + wanted.tokens <= limits.max_tokens)
            and (limits.max_cost is None or usage.cost + self._held_cost + cost <= limits.max_cost)
        )
        if fits:
            usage.requests += 1
            self._held_tokens += wanted.tokens
            self._held_cost += cost
        return fits

    def settle(self, held: Reservation, prompt_tokens: int, completion_tokens: int) -> None:
        """Release what was held back for a request and count what it spent; nothing for one that failed."""
        self._held_tokens -= held.tokens
        self._held_cost -= self._cost(held.prompt_tokens, held.completion_tokens)
        self._usage.prompt_tokens += prompt_tokens
        self._usage.completion_tokens += completion_tokens
        self._usage.cost += self._cost(prompt_tokens, completion_tokens)

    def exhausted(self) -> BudgetExceededError:
        """Return the error that says what is spent, and of what."""
        usage, limits = self._usage, self._runtime
        spent = [
            f"{usage.requests} of {limits.max_requests} requests" if limits.max_requests is not None else "",
            f"{usage.prompt_tokens + usage.completion_tokens} of {limits.max_tokens} tokens" if limits.max_tokens else "",
            f"{usage.cost:.4f} of {limits.max_cost:.4f} in money" if limits.max_cost is not None else "",
        ]
        return BudgetExceededError(
            f"the endpoint's budget has no room for another request: {', '.join(filter(None, spent))} are spent; "
            "the answers so far are kept: raise the limit and run again to get the others"
        )

    def _cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        prompt_price = self._runtime.price_per_million_input_tokens or 0.0
        answer_price = self._runtime.price_per_million_output_tokens or 0.0
        return (prompt_tokens * prompt_price + completion_tokens * answer_price) / _MILLION


def reservation(request: Request, max_new_tokens: int) -> Reservation:
    """Return the most that a request is expected to spend; its prompt's tokens are estimated where they are not known."""
    if request.prompt_token_ids:
        return Reservation(len(request.prompt_token_ids), max_new_tokens)
    texts = [request.text] if request.text is not None else [message["content"] for message in request.messages]
    prompt_bytes = sum(len(text.encode(errors="surrogatepass")) for text in texts)
    return Reservation(-(-prompt_bytes // _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE * len(texts), max_new_tokens)
