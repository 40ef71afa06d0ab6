"""The dataset stage: answers become training examples, or are rejected with every reason why."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from tasks.core.artifact import Artifact, read_record
from tasks.core.caching import Stage
from tasks.core.environment import prepare_libraries
from tasks.core.errors import SettingsError
from tasks.core.progress import stage_logger
from tasks.core.records import EXAMPLES, LOGPROBS
from tasks.core.section import Section
from tasks.core.tables import read_table
from tasks.curating.answers import Answers
from tasks.curating.requirements import count_kept, require_all_labels, require_examples, require_kept_share
from tasks.curating.row_findings import FindInRows, find_here
from tasks.curating.row_pass import take_in_rows
from tasks.curating.runtime import CurationRuntime
from tasks.curating.set_pass import look_at_sets
from tasks.curating.steps import filter_context, make_steps
from tasks.curating.summary import summarise
from tasks.curating.verdicts import Verdicts
from tasks.curating.writing import write_rows
from tasks.filters import ROW_FILTERS, SET_FILTERS
from tasks.filters.decontamination.tally import LOOKED_AT, count_contamination
from tasks.filters.near_duplicates.candidates import FindPairs, pairs_here
from tasks.filters.settings import FiltersSettings

STAGE = Stage("dataset", version=6)


class DatasetSettings(Section):
    """Which answers are good enough to train on."""

    filters: FiltersSettings = FiltersSettings()
    """What speaks against an answer, and what is done about it."""

    min_keep_ratio: float = Field(default=0.5, ge=0, le=1)
    """Share of the answers that must pass; fewer end the run, for then the teacher or the prompts are at fault. What is left out
    because fewer rows were asked for, such as all but the best answer of each prompt, counts as passed; so does an answer that
    another sample of its prompt gives too."""

    min_examples: int | None = Field(default=None, ge=1)
    """Fewest training rows; empty: as many as the kind of task needs, 40 for MATH and 65 for all others."""

    allow_vanished_labels: bool = False
    """Go on though a label that answers or references have is in none of the rows that are kept."""

    runtime: CurationRuntime = CurationRuntime()
    """How it is done; no part of the result's identity."""


@STAGE.task
def curate(
    settings: DatasetSettings,
    store: str,
    prompts: Artifact,
    student: Artifact,
    generations: Artifact | None = None,
    judgements: Artifact | None = None,
    find_in_rows: FindInRows = find_here,
    find_pairs: FindPairs = pairs_here,
) -> Artifact:
    """Filter answers into training examples.

    Args:
        settings: Which answers are good enough.
        store: URL of the artefact store.
        prompts: A ``prompts`` artefact; its labels are the closed set.
        student: The model that will be trained; its tokenizer counts lengths, and its embeddings compare meanings.
        generations: The teacher's answers. Without them the prompts' own references are the answers, and filters that judge a
            teacher are left out.
        judgements: ``generations`` artefact of a judge that scored these answers; None: nobody did.
        find_in_rows: Shows the rows to the row filters; it may have others do the work.
        find_pairs: Finds pairs of rows that may be near duplicates; it may have others do the work.

    Returns:
        Handle of a ``dataset`` artefact: examples.parquet, rejected.parquet and annotations.parquet.

    Raises:
        DataError: If fewer answers pass than ``min_keep_ratio`` or ``min_examples``, or a label is lost.
        SettingsError: If a judge's scores are to be gone by and there are none.
    """
    prepare_libraries()
    given = {"prompts": prompts, "student": student, "generations": generations, "judgements": judgements}
    inputs = {name: artifact for name, artifact in given.items() if artifact is not None}
    if settings.filters.judge.mode != "off" and generations is not None and judgements is None:
        mode = settings.filters.judge.mode
        raise SettingsError(f"dataset.filters.judge.mode is {mode} and nobody judged these answers; give judge, or set it to off")
    answers = Answers(prompts, generations)
    with STAGE.draft(store, settings, **inputs) as draft, tempfile.TemporaryDirectory(dir=draft.scratch) as folder:
        scratch = Path(folder)
        context = filter_context(prompts, student, judgements, find_pairs)
        row_steps, set_steps = (
            make_steps(kinds, settings.filters, context, answers.are_references) for kinds in (ROW_FILTERS, SET_FILTERS)
        )
        verdicts = Verdicts(scratch)
        figures = take_in_rows(find_in_rows(answers, row_steps, context), row_steps, verdicts)
        look_at_sets(answers, set_steps, figures, verdicts, scratch)
        draft.counts = count_kept(figures, verdicts)
        steps = row_steps + set_steps
        require_kept_share(answers, steps, figures, verdicts, settings.min_keep_ratio)
        require_examples(answers, steps, figures, verdicts, settings.min_examples)
        if not settings.allow_vanished_labels:
            require_all_labels(answers, steps, figures, verdicts)
        pii = settings.filters.pii
        redacted = _with_personal_data(verdicts, pii.mode)
        write_rows(answers, verdicts, draft.path, redacted, pii.look_at)
        draft.summary = summarise(answers, steps, context.labels, figures, verdicts)
        file = draft.path / answers.table.file
        draft.summary["contamination"] = count_contamination(
            context.test_prompts(),
            lambda: read_table(file, EXAMPLES, list(LOOKED_AT)),
            draft.counts["kept"],
            are_clean=settings.filters.decontamination.leaves_nothing and not redacted.any(),
        )
        draft.summary[LOGPROBS] = _logprob_settings(generations)
        if (scores := context.judge_scores) is not None:
            draft.summary["judge"] = {"judge": scores.judge, "scored": len(scores), "unreadable": scores.unreadable}
        stage_logger().info("dataset: %s, found %s", draft.counts, draft.summary["reasons"])
        return draft.publish()


def _with_personal_data(verdicts: Verdicts, mode: str) -> np.ndarray:
    redacted = np.zeros(len(verdicts.kept), bool)
    for name, _, numbers in verdicts.reasons():
        if name == "pii" and mode == "redact":
            redacted[numbers] = True
    return redacted


def _logprob_settings(generations: Artifact | None) -> dict[str, Any] | None:
    """Return how the answers' log-probabilities were taken; of a mixture of generations, those of the first."""
    if generations is None:
        return None
    record = read_record(generations)
    if "logprobs" in record.settings:
        return record.settings["logprobs"]
    return next((_logprob_settings(artifact) for artifact in record.inputs.values() if artifact.kind == generations.kind), None)
