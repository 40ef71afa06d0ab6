"""The judgement stage: prompts that ask a judge about answers; generations answers them, ``tasks/judging`` reads what it said."""

from collections.abc import Iterator
from itertools import islice

from tasks.core.artifact import Artifact
from tasks.core.caching import Stage
from tasks.core.errors import DataError
from tasks.core.progress import stage_logger
from tasks.core.records import ANSWERED_PROMPTS, PROMPTS, Prompt
from tasks.core.tables import TableWriter, read_table, to_arrow
from tasks.judging.scoring import scoring_prompt
from tasks.judging.settings import ScoringSettings

STAGE = Stage("prompts", version=1)
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
        seen: set[str] = set()
        counts = {"answers": 0, "train": 0}

        def prompts() -> Iterator[Prompt]:
            for row in read_table(generations, ANSWERED_PROMPTS):
                counts["answers"] += 1
                prompt = scoring_prompt(row, settings)
                if prompt is not None and prompt["id"] not in seen:
                    seen.add(prompt["id"])
                    counts["train"] += 1
                    yield prompt

        rows = prompts()
        with TableWriter(draft.path / PROMPTS.file, PROMPTS) as writer:
            while batch := list(islice(rows, _BATCH_ROWS)):
                writer.write(to_arrow(PROMPTS, batch))
        if not seen:
            raise DataError(
                f"none of {counts['answers']} answers is finished, so there is nothing to judge; raise "
                "generations.sampling.max_new_tokens, or leave judge.scoring out"
            )
        draft.counts = counts
        draft.summary = {"labels": []}  # what a judge says is held to a form of its own
        stage_logger().info("judging prompts: %s", counts)
        return draft.publish()
