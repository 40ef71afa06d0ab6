"""What one response makes of its row, whether it came alone or in a batch, and whether enough rows succeed to go on."""

from collections import Counter
from dataclasses import dataclass

from tasks.core.errors import BudgetExceededError, PotstillError, SettingsError, StageFailedError
from tasks.teachers.endpoint.answer import NamelessTokensError, UnusableAnswerError, read_answer, read_usage
from tasks.teachers.endpoint.budget import EndpointUsage, Reservation
from tasks.teachers.endpoint.key import key_source
from tasks.teachers.endpoint.reply import Reply, Verdict, judge
from tasks.teachers.endpoint.settings import EndpointSettings
from tasks.teachers.exchange import Completion

_FEWEST_ROWS = 20  # before a share of successes means anything


@dataclass(frozen=True)
class Result:
    """What a response says about its row: a completion, a reason to ask again, or the error that ends the work."""

    completion: Completion | None = None
    again: str | None = None
    end: PotstillError | None = None
    spent: tuple[int, int] | None = None
    """Prompt and answer tokens that the response says it cost."""

    def cost(self, reserved: Reservation) -> tuple[int, int]:
        """Return the prompt and answer tokens to count; what was reserved for an answer that does not say."""
        if self.spent is not None:
            return self.spent
        answered = self.completion is not None and self.completion.problem is None
        return (reserved.prompt_tokens, reserved.completion_tokens) if answered else (0, 0)


class Reader:
    """Reads the responses of one endpoint."""

    def __init__(self, settings: EndpointSettings, secret: str | None, top_k: int | None, usage: EndpointUsage) -> None:
        """Remember whose responses these are.

        Args:
            settings: The endpoint.
            secret: Its key, so that no echo of it is shown.
            top_k: Candidates wanted at every token; None: no log-probabilities.
            usage: Tells whether the endpoint has answered at all so far.
        """
        self._settings, self._secret, self._top_k, self._usage = settings, secret, top_k, usage

    def read(self, key: str, path: str, reply: Reply) -> Result:
        """Return what a response says about a row.

        Args:
            key: The row's.
            path: ``CHAT`` or ``TEXT``, what was asked.
            reply: What came back.
        """
        if reply.status is None:
            return Result(again=reply.problem)
        verdict, reason = judge(reply.status, reply.body, self._secret)
        if verdict is Verdict.ANSWERED:
            return self._answer(key, path, reply)
        if verdict is Verdict.AGAIN:
            return Result(again=reason)
        if verdict is Verdict.REFUSED or (verdict is Verdict.NOT_FOUND and self._usage.answered + self._usage.answered_before):
            return Result(Completion(key, [], "refused", problem=f"the endpoint refused this request ({reason})"))
        return Result(end=self.ended(verdict, reason))

    def ended(self, verdict: Verdict, reason: str) -> PotstillError:
        """Return the error for a verdict that no further request can change."""
        url = self._settings.url
        if verdict is Verdict.NO_CREDIT:
            return BudgetExceededError(
                f"the account at {url} has no credit left ({reason}); top it up and run again: answers are kept"
            )
        if verdict is Verdict.DENIED:
            return SettingsError(
                f"the endpoint {url} denies access with {key_source(self._settings)} ({reason}); "
                "check that this is a valid key and may use the model"
            )
        if verdict is Verdict.REDIRECTED:
            return SettingsError(
                f"the endpoint {url} redirects elsewhere ({reason}), and no key is sent there; give the final URL"
            )
        return SettingsError(
            f"the endpoint {url} does not know the model {self._settings.model!r} or the path ({reason}); "
            "check the base URL, which often ends in /v1, and the model's id"
        )

    def _answer(self, key: str, path: str, reply: Reply) -> Result:
        spent = read_usage(reply.body)
        try:
            return Result(read_answer(reply.body, key, path, self._top_k), spent=spent)
        except UnusableAnswerError as error:
            return Result(again=str(error), spent=spent)
        except NamelessTokensError:
            return Result(
                end=SettingsError(
                    f"the endpoint {self._settings.url} does not tell which tokens its log-probabilities are of; "
                    "they need vLLM's own server, without a gateway that rewrites its answers: or leave logprobs out"
                ),
                spent=spent,
            )
        except (KeyError, TypeError, ValueError, AttributeError):  # a shape that the API does not have
            return Result(again="an answer of another shape", spent=spent)


def too_many_failures(usage: EndpointUsage, failed: Counter[str], ratio: float, *, finished: bool) -> StageFailedError | None:
    """Return the error to end with when too small a share of the rows is answered.

    Args:
        usage: The rows so far.
        failed: Of these, the rows that were given up, by reason; the others without an answer were refused.
        ratio: The share that has to be answered.
        finished: Whether these are all rows; then few of them count too, but a refused one no longer speaks against the endpoint:
            a run that has only such rows left to ask would otherwise fail for ever.
    """
    answered = usage.answered + usage.answered_before
    rows = answered + usage.failures.total()
    counted = answered + failed.total() if finished and rows < _FEWEST_ROWS else rows
    if (rows < _FEWEST_ROWS and not finished) or answered >= ratio * counted:
        return None
    reasons = ", ".join(f"{count} x {reason}" for reason, count in usage.failures.most_common(5))
    return StageFailedError(
        f"the endpoint answered {answered} of {rows} rows, wanted a share of {100 * ratio:.0f} % "
        f"(runtime.min_endpoint_success_ratio); the others: {reasons}. Check the endpoint and what it refuses, and run again: "
        "the answers so far are kept"
    )
