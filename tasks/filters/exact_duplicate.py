"""Only the first of several equal rows. Prompt and answer must both be equal: many prompts share one label rightly."""

from collections.abc import Callable

from tasks.core.fingerprint import fingerprint
from tasks.filters.candidate import Candidate, FilterContext


def reject_exact_duplicates(context: FilterContext) -> Callable[[Candidate], str | None]:
    """Make the rule; its reason is ``exact_duplicate``. Case and white space do not tell two rows apart."""
    del context
    seen: set[str] = set()

    def rule(candidate: Candidate) -> str | None:
        turns = [" ".join(message["content"].lower().split()) for message in candidate.messages]
        content = fingerprint([turns, candidate.text, " ".join(candidate.completion.lower().split())])
        if content in seen:
            return "exact_duplicate"
        seen.add(content)
        return None

    return rule
