"""The dataset stage: answers become training examples, or are rejected with every reason why."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from tasks.core.artifact import Artifact, read_record
from tasks.core.caching import Stage
from tasks.core.environment import prepare_libraries
from tasks.core.errors import DataError
from tasks.core.progress import stage_logger
from tasks.core.records import ANSWERED_PROMPTS, EXAMPLES, PROMPTS, REJECTED, Example
from tasks.core.rendering import render_example
from tasks.core.section import Section
from tasks.core.tables import read_table, write_table
from tasks.core.weights import locate_weights
from tasks.filters import FILTERS, Candidate, FilterContext

STAGE = Stage("dataset", version=1)

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
        kept: list[Example] = []
        rejected: list[Example] = []
        for row in _answers(prompts, generations):
            candidate = Candidate(row["task"], row["messages"], row["text"], row["answer"], row["finish_reason"])
            reasons = [reason for rule in rules.values() if (reason := rule(candidate))]
            (rejected if reasons else kept).append(_example(row, reasons))
        write_table(draft.path / EXAMPLES.file, EXAMPLES, kept)
        write_table(draft.path / REJECTED.file, REJECTED, rejected)
        splits = Counter(example["split"] for example in kept)
        draft.counts = {
            "kept": len(kept),
            "rejected": len(rejected),
            "train": splits["train"],
            "validation": splits["validation"],
        }
        draft.summary = {
            "first_reasons": dict(Counter(example["reasons"][0] for example in rejected)),
            "all_reasons": dict(Counter(reason for example in rejected for reason in example["reasons"])),
        }
        stage_logger().info("dataset: %s, rejected for %s", draft.counts, draft.summary["first_reasons"])
        _check_kept(draft.counts, settings.min_keep_ratio, draft.summary["first_reasons"])
        return draft.publish()


def _answers(prompts: Artifact, generations: Artifact | None) -> Iterator[dict[str, Any]]:
    if generations is not None:
        yield from read_table(generations, ANSWERED_PROMPTS)
        return
    for prompt in read_table(prompts, PROMPTS):
        if prompt["split"] != "test" and prompt["reference"] is not None:
            # Plain text is continued where the prompt stops, so its answer starts with the space between the words.
            answer = prompt["reference"] if prompt["text"] is None else f" {prompt['reference']}"
            yield {**prompt, "answer": answer, "finish_reason": "stop"}


def _example(row: dict[str, Any], reasons: list[str]) -> Example:
    return Example(
        id=row["id"],
        messages=row["messages"],
        text=row["text"],
        completion=row["answer"],
        reference=row["reference"],
        split=row["split"],
        reasons=reasons,
    )


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
