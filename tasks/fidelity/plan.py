"""What a model's evaluation does about fidelity: which part it takes, and why it cannot be compared where it cannot."""

from pathlib import Path
from typing import Any

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.errors import ModelError
from tasks.fidelity.job import FollowedTexts, OwnTexts
from tasks.fidelity.rows import CANDIDATES, FIDELITY
from tasks.preflight_checks.origins import fetch_small_files
from tasks.preflight_checks.tokenizer_identity import LocalTokens, first_difference
from tasks.teachers.identity import endpoint_of, teacher_name

NOT_COMPARED = "not_compared"
"""Summary field of an evaluation: why the model's distribution is not compared with the teacher's; absent where it is."""


def plan_own_texts(top_k: int, most_items: int, folder: Path) -> OwnTexts:
    """Return the teacher's part, with files in a folder."""
    return OwnTexts(top_k=top_k, most_items=most_items, candidates=folder / CANDIDATES, rows=folder / FIDELITY.file)


def plan_following(
    model: Artifact, teacher_evaluation: Artifact, most_items: int, folder: Path
) -> tuple[FollowedTexts, str | None]:
    """Return the part of another model, and why it leaves the teacher's answers out, if it does.

    Args:
        model: A ``model`` or ``student`` artefact with weights.
        teacher_evaluation: The teacher's ``evaluation`` artefact.
        most_items: Test items of which texts are gone over, as in the teacher's evaluation.
        folder: Where the rows go.
    """
    reason = _why_not(model, read_record(teacher_evaluation).inputs["model"])
    candidates = None if reason else open_file(teacher_evaluation, CANDIDATES)
    return FollowedTexts(candidates=candidates, most_items=most_items, rows=folder / FIDELITY.file), reason


def _why_not(model: Artifact, teacher: Artifact) -> str | None:
    endpoint = endpoint_of(teacher)
    if endpoint is not None:
        return f"the teacher {endpoint.model} runs behind an endpoint, which is not asked how likely it finds a text it is given"
    try:
        theirs, ours = _tokens(teacher), _tokens(model)
    except ModelError as error:  # the teacher answered on another machine
        return f"the teacher's tokens are not known here: {error}"
    difference = first_difference(theirs, ours)
    if difference is None:
        return None
    return (
        f"their tokens differ: {difference.asked} is {difference.teacher} for {theirs.name} and {difference.student} for "
        f"{ours.name}"
    )


def _tokens(model: Artifact) -> LocalTokens:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(fetch_small_files(model))
    return LocalTokens(tokenizer, teacher_name(model))
