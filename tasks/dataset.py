"""The dataset stage: answers become training examples, or are rejected with every reason why."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any, Literal

import pyarrow.parquet as pq
from pydantic import Field

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.caching import Stage
from tasks.core.environment import prepare_libraries
from tasks.core.errors import DataError
from tasks.core.progress import stage_logger
from tasks.core.records import ANSWERED_PROMPTS, EXAMPLES, LOGPROBS, PROMPTS, REJECTED, Example, logprobs_width, with_logprobs
from tasks.core.rendering import render_example
from tasks.core.section import Section
from tasks.core.tables import TableWriter, read_table, to_arrow
from tasks.core.weights import locate_weights
from tasks.filters import FILTERS, Candidate, FilterContext

STAGE = Stage("dataset", version=3)
_BATCH_ROWS = 1024
_CARRIED = {*EXAMPLES.schema.names, "token_logprobs", "top_ids", "top_logprobs"}

FilterName = Literal["finish_reason", "empty", "length", "label", "exact_duplicate"]


class DatasetSettings(Section):
    """Which answers are good enough to train on."""

    filters: tuple[FilterName, ...] = ("finish_reason", "empty", "length", "label", "exact_duplicate")
    """The rules that are applied."""

    max_length_tokens: int | None = Field(default=1024, ge=1)
    """Rows longer than this, prompt and answer in the student's tokens, are rejected; empty: off."""

    min_keep_ratio: float = Field(default=0.5, ge=0, le=1)
    """Share of the answers that must pass; fewer end the run, for then the teacher or the prompts are at fault."""


@STAGE.task
def curate(
    settings: DatasetSettings, store: str, prompts: Artifact, student: Artifact, generations: Artifact | None = None
) -> Artifact:
    """Filter answers into training examples.

    Args:
        settings: Which answers are good enough.
        store: URL of the artefact store.
        prompts: A ``prompts`` artefact; its labels are the closed set.
        student: The model that will be trained; its tokenizer counts lengths.
        generations: The teacher's answers. Without them the prompts' own references are the answers.

    Returns:
        Handle of a ``dataset`` artefact: examples.parquet and rejected.parquet, the latter with reasons.

    Raises:
        DataError: If fewer answers pass than ``min_keep_ratio``, or none for training.
    """
    prepare_libraries()
    inputs = {"prompts": prompts, "student": student} | ({} if generations is None else {"generations": generations})
    with STAGE.draft(store, settings, **inputs) as draft:
        context = FilterContext(
            labels=read_record(prompts).summary["labels"],
            max_length_tokens=settings.max_length_tokens,
            count_tokens=_token_counter(student),
        )
        rules = {name: FILTERS[name](context) for name in settings.filters}
        width = None if generations is None else logprobs_width(pq.read_schema(open_file(generations, ANSWERED_PROMPTS.file)))
        kinds = {False: with_logprobs(EXAMPLES, width), True: REJECTED}
        splits: Counter[str] = Counter()
        first: Counter[str] = Counter()
        every: Counter[str] = Counter()
        with ExitStack() as stack:
            writers = {bad: stack.enter_context(TableWriter(draft.path / kind.file, kind)) for bad, kind in kinds.items()}
            for rows in _batches(_answers(prompts, generations, width)):
                judged: dict[bool, list[Example]] = {False: [], True: []}
                for row in rows:
                    candidate = Candidate(row["task"], row["messages"], row["text"], row["answer"], row["finish_reason"])
                    reasons = [reason for rule in rules.values() if (reason := rule(candidate))]
                    judged[bool(reasons)].append(_example(row, reasons))
                    every.update(reasons)
                for bad, examples in judged.items():
                    writers[bad].write(to_arrow(kinds[bad], examples))
                splits.update(example["split"] for example in judged[False])
                first.update(example["reasons"][0] for example in judged[True])
        draft.counts = {
            "kept": splits.total(),
            "rejected": first.total(),
            "train": splits["train"],
            "validation": splits["validation"],
        }
        draft.summary = {"first_reasons": dict(first), "all_reasons": dict(every), LOGPROBS: _logprob_settings(generations)}
        stage_logger().info("dataset: %s, rejected for %s", draft.counts, draft.summary["first_reasons"])
        _check_kept(draft.counts, settings.min_keep_ratio, draft.summary["first_reasons"])
        return draft.publish()


def _answers(prompts: Artifact, generations: Artifact | None, width: int | None) -> Iterator[dict[str, Any]]:
    if generations is not None:
        yield from read_table(generations, with_logprobs(ANSWERED_PROMPTS, width))
        return
    nobody = {"teacher": None, "reasoning": None, "finish_reason": "stop", "token_ids": [], "sample_index": 0, "turn": 0}
    for prompt in read_table(prompts, PROMPTS):
        if prompt["split"] != "test" and prompt["references"]:
            # Plain text is continued where the prompt stops, so its answer starts with the space between the words.
            reference = prompt["references"][0]
            answer = reference if prompt["text"] is None else f" {reference}"
            yield {**prompt, **nobody, "answer": answer}


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, _BATCH_ROWS)):
        yield batch


def _example(row: dict[str, Any], reasons: list[str]) -> Example:
    fields: Any = {name: value for name, value in row.items() if name in _CARRIED}
    return Example(**fields, completion=row["answer"], reasons=reasons)


def _logprob_settings(generations: Artifact | None) -> dict[str, Any] | None:
    """Return how the answers' log-probabilities were taken; of a mixture of generations, those of the first."""
    if generations is None:
        return None
    record = read_record(generations)
    if "logprobs" in record.settings:
        return record.settings["logprobs"]
    return next((_logprob_settings(artifact) for artifact in record.inputs.values() if artifact.kind == generations.kind), None)


def _token_counter(student: Artifact) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(locate_weights(student))

    def count(candidate: Candidate) -> tuple[int, int]:
        prompt, completion = render_example(tokenizer, candidate.messages, candidate.text, candidate.completion)
        return len(prompt), len(completion)

    return count


def _check_kept(counts: dict[str, int], min_keep_ratio: float, reasons: dict[str, int]) -> None:
    total = counts["kept"] + counts["rejected"]
    if not counts["train"] or counts["kept"] < min_keep_ratio * total:
        raise DataError(
            f"only {counts['kept']} of {total} answers passed the filters ({counts['train']} for training), "
            f"fewer than dataset.min_keep_ratio = {min_keep_ratio} asks for; reasons: {reasons}. "
            "Look at the answers, mend the prompts or the teacher, or lower the ratio"
        )
