"""How near each model's token probabilities are to the teacher's, by task type: means over tokens, with intervals over items."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import exp

import numpy as np

from tasks.comparing.items import Items
from tasks.core.artifact import Artifact, Record
from tasks.core.tables import read_table
from tasks.fidelity.plan import NOT_COMPARED
from tasks.fidelity.rows import FIDELITY, FidelityRow
from tasks.metrics.intervals import Interval, mean_per_token
from tasks.renderers.schema import Fidelity, ModelName, TaskReport

Followed = Mapping[ModelName, Mapping[str, FidelityRow]]
"""Each model's rows by item; models that were taken through no texts are left out."""


def read_fidelity(evaluations: Mapping[ModelName, Artifact]) -> Followed:
    """Return what the evaluations have; nothing of an endpoint, or of an evaluation that was told not to compare."""
    found: dict[ModelName, dict[str, FidelityRow]] = {}
    for model, evaluation in evaluations.items():
        with suppress(FileNotFoundError):  # it has no such file
            found[model] = {row["id"]: row for row in read_table(evaluation, FIDELITY)}
    return found


def add_fidelity(tasks: Sequence[TaskReport], items: Items, followed: Followed) -> list[TaskReport]:
    """Return the task types' quality with each model's fidelity; models of which nothing is known are left out.

    Perplexities of the teacher are there only beside a student that has the teacher's tokens: of other tokens they say nothing.
    """
    by_task = items.by_task()
    return [task.model_copy(update={"fidelity": _of_task(by_task[task.task], followed)}) for task in tasks]


def fidelity_caveats(records: Mapping[ModelName, Record]) -> list[str]:
    """Return why the student's distribution is not compared with the teacher's, in a sentence, where it is not."""
    reason = records["student"].summary.get(NOT_COMPARED)
    if reason is None:
        return []
    return [f"The student's token probabilities are not compared with the teacher's, for {reason}."]


def _of_task(items: Items, followed: Followed) -> dict[ModelName, Fidelity]:
    own: dict[ModelName, Fidelity] = {
        model: _of_model([rows[prompt["id"]] for prompt in items.prompts], model == "teacher") for model, rows in followed.items()
    }
    student = own.get("student")
    if student is None or student.answer_perplexity is None:
        own.pop("teacher", None)
    return {model: figures for model, figures in own.items() if figures != Fidelity()}


def _of_model(rows: list[FidelityRow], is_teacher: bool) -> Fidelity:
    answers = [row for row in rows if row["answer_tokens"]]
    references = [row for row in rows if row["reference_tokens"]]
    answer_tokens = np.array([row["answer_tokens"] for row in answers], dtype=float)
    figures: dict[str, Interval | float | None] = {
        "answer_perplexity": _perplexity(np.array([row["answer_nats"] for row in answers]), answer_tokens),
        "reference_perplexity": _perplexity(
            np.array([row["reference_nats"] for row in references]),
            np.array([row["reference_tokens"] for row in references], dtype=float),
        ),
    }
    if answers and not is_teacher:
        figures |= {
            "divergence": mean_per_token(np.array([row["divergence_nats"] for row in answers]), answer_tokens),
            "top1_agreement": mean_per_token(np.array([row["agreeing_tokens"] for row in answers], dtype=float), answer_tokens),
            "items": len(answers),
            "covered": min(sum(row["covered"] for row in answers) / float(answer_tokens.sum()), 1.0),  # float16 rounds
        }
    return Fidelity.model_validate(figures)


def _perplexity(nats: np.ndarray, tokens: np.ndarray) -> Interval | None:
    """Return exp of the mean nats a token; the exponential keeps order, so it maps the bounds as well."""
    if not len(tokens):
        return None
    mean = mean_per_token(nats, tokens)
    low, high = (None if bound is None else exp(bound) for bound in (mean.low, mean.high))
    return Interval(value=exp(mean.value), low=low, high=high)
