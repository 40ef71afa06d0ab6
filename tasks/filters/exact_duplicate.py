"""Only the first of several equal rows. Prompt and answer must both be equal: many prompts share one label rightly."""

from collections.abc import Callable

from tasks.core.fingerprint import fingerprint
from tasks.filters.candidate import Candidate, FilterContext


def reject_exact_duplicates(context: FilterContext) -> Callable[[Candidate], str | None]:
    """Make the rule; its reason is ``exact_duplicate``. Case and white space do not tell two rows apart."""
    del context
    seen: set[str] = set()

    def rule(candidate: Candidate) -> str | None:
        turns = [[message["role"], _plain(message["content"])] for message in candidate.messages]
        content = fingerprint([turns, _plain(candidate.text or ""), _plain(candidate.completion)])
        if content in seen:
            return "exact_duplicate"
        seen.add(content)
        return None

    return rule


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
