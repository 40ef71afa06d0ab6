"""The judgement stage: prompts that ask a judge about answers; generations answers them, ``tasks/judging`` reads what it said."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from tasks.core.artifact import Artifact
from tasks.core.caching import Stage
from tasks.core.errors import DataError
from tasks.core.progress import stage_logger
from tasks.core.records import ANSWERED_PROMPTS, PREDICTIONS, PROMPTS, Prompt
from tasks.core.tables import TableWriter, read_table, to_arrow
from tasks.judging.pairs import pair_prompts
from tasks.judging.scoring import scoring_prompt
from tasks.judging.settings import PairingSettings, ScoringSettings
from tasks.renderers.schema import Opponent

STAGE = Stage("prompts", version=2)
_LABELS = {"labels": list[str]()}  # what a judge says is held to a form of its own
_BATCH_ROWS = 1024


@STAGE.task
def ask_for_scores(settings: ScoringSettings, store: str, generations: Artifact) -> Artifact:
    """Make the prompts that have every finished answer scored.

    Args:
        settings: How answers are scored.
        store: URL of the artefact store.
        generations: The answers.

    Returns:
        Handle of a ``prompts`` artefact, all training rows, for they are to be answered; equal answers to a prompt are one row.

    Raises:
        DataError: If there is no finished answer.
        SettingsError: If a task type has no rubric.
    """
    with STAGE.draft(store, settings, generations=generations) as draft:
        answers = 0
        seen: set[str] = set()

        def prompts() -> Iterator[Prompt]:
            nonlocal answers
            for row in read_table(generations, ANSWERED_PROMPTS):
                answers += 1
                prompt = scoring_prompt(row, settings)
                if prompt is not None and prompt["id"] not in seen:
                    seen.add(prompt["id"])
                    yield prompt

        asked = _write(draft.path, prompts())
        if not asked:
            raise DataError(
                f"none of {answers} answers is finished, so there is nothing to judge; raise "
                "generations.sampling.max_new_tokens, or set dataset.filters.judge.mode to off"
            )
        draft.counts, draft.summary = {"answers": answers, "train": asked}, _LABELS
        stage_logger().info("judging prompts: %s", draft.counts)
        return draft.publish()


@STAGE.task
def ask_for_preferences(
    settings: PairingSettings,
    store: str,
    prompts: Artifact,
    teacher_evaluation: Artifact,
    student_evaluation: Artifact,
    baseline_evaluation: Artifact | None = None,
) -> Artifact:
    """Make the prompts that have the student's answers to the test prompts compared with those of others, in both orders.

    Args:
        settings: How they are compared, and of which task types.
        store: URL of the artefact store.
        prompts: The prompts that all models answered.
        teacher_evaluation: ``evaluation`` artefact of the teacher.
        student_evaluation: ``evaluation`` artefact of the student.
        baseline_evaluation: ``evaluation`` artefact of the student before training; None: it is compared with the teacher alone.

    Returns:
        Handle of a ``prompts`` artefact, all training rows, for they are to be answered; none if no test prompt is of the task
        types, as its counts say.

    Raises:
        SettingsError: If a task type has no rubric.
    """
    inputs = {"prompts": prompts, "teacher_evaluation": teacher_evaluation, "student_evaluation": student_evaluation}
    if baseline_evaluation is not None:
        inputs["baseline_evaluation"] = baseline_evaluation
    with STAGE.draft(store, settings, **inputs) as draft:
        student = _said(student_evaluation)
        others: dict[Opponent, dict[str, str]] = {"teacher": _said(teacher_evaluation)}
        if baseline_evaluation is not None:
            others["baseline"] = _said(baseline_evaluation)
        asked = _write(
            draft.path,
            (
                pair
                for row in read_table(prompts, PROMPTS)
                if row["split"] == "test" and row["task"] in settings.tasks
                for opponent, theirs in others.items()
                for pair in pair_prompts(row, student[row["id"]], opponent, theirs[row["id"]], settings)
            ),
        )
        draft.counts, draft.summary = {"items": asked // (2 * len(others)), "train": asked}, _LABELS
        stage_logger().info("judging prompts: %s", draft.counts)
        return draft.publish()


def _said(evaluation: Artifact) -> dict[str, str]:
    """Return a model's answers by the ids of the test prompts."""
    return {row["id"]: row["completion"] for row in read_table(evaluation, PREDICTIONS)}


def _write(folder: Path, prompts: Iterable[Prompt]) -> int:
    """Write the prompts' table and return how many rows it has."""
    rows, written = iter(prompts), 0
    with TableWriter(folder / PROMPTS.file, PROMPTS) as writer:
        while batch := list(islice(rows, _BATCH_ROWS)):
            writer.write(to_arrow(PROMPTS, batch))
            written += len(batch)
    return written
