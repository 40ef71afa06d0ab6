"""What a reader must know before they trust a judge: whether it is partial, contradicts itself, or cannot be read."""

import re
from collections.abc import Iterator, Mapping

from tasks.judging.preference import Preferences
from tasks.preflight_checks.model_names import spelled_names
from tasks.renderers.schema import Opponent

_MAKER = re.compile(r"^(?:meta|google|nvidia|ibm|microsoft)-")
_FAMILY = re.compile(r"[a-z]+")
_NO_FAMILY = {"student", "model", "weights", "checkpoint", "final"}
_PARTIAL = "and models prefer answers like their own (arXiv 2404.13076): the student's win rate may be too low"
_LEAST_CONSISTENT = 0.5


def judge_caveats(preferences: Mapping[Opponent, Mapping[str, Preferences]], teacher: str) -> Iterator[str]:
    """Yield the caveats of a judge's preferences between the student and others, each a sentence.

    Args:
        preferences: By whom the student is compared with and by task type.
        teacher: The teacher's name, as its answers have it.
    """
    for judge in {found.judge: None for found in preferences.get("teacher", {}).values() if found.scores}:
        if judge == teacher:
            yield f"The judge, {judge}, is the teacher itself, {_PARTIAL}. Name another in judge.by."
        elif (family := _family(judge)) is not None and family == _family(teacher):
            yield f"The judge, {judge}, seems to be of the teacher's family, {family}, {_PARTIAL}. Name another in judge.by."
    for opponent, by_task in preferences.items():
        for task, found in by_task.items():
            if found.unreadable:
                yield (
                    f"{found.unreadable} of {len(found.pairs)} {task} items have no readable judgement of student and {opponent} "
                    "and are in no win rate."
                )
            if found.consistent < _LEAST_CONSISTENT:
                yield (
                    f"With the answers of student and {opponent} in the other order the judge decides otherwise in "
                    f"{100 * (1 - found.consistent):.0f} % of the {task} items, which are ties then: it hardly tells the two "
                    "apart."
                )


def _family(source: str) -> str | None:
    """Return the letters that a model's name begins with, as all models of a series share them: qwen, llama, phi, gpt."""
    if source.startswith("student:"):  # a fingerprint follows, which tells nothing
        return None
    names = spelled_names(source)
    found = _FAMILY.match(_MAKER.sub("", names[0])) if names else None
    return None if found is None or found[0] in _NO_FAMILY else found[0]
