"""The teacher's part: its engine goes over its own answers and the references, and leaves its likeliest candidates."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.core.logprobs import check_logprobs
from tasks.core.records import Prompt
from tasks.core.tables import to_arrow, write_table
from tasks.fidelity.job import OwnTexts
from tasks.fidelity.rows import FIDELITY, Candidates, candidates_table
from tasks.fidelity.texts import chosen, empty_row, reference_tokens
from tasks.teachers.exchange import Completion, GivenText, Request, TokenLogprobs

if TYPE_CHECKING:
    from tasks.teachers.vllm import Engine

_ANSWER, _REFERENCE = "answer", "reference"


def go_over_own_texts(
    job: OwnTexts, engine: "Engine", items: Sequence[Prompt], requests: Sequence[Request], completions: Sequence[Completion]
) -> None:
    """Write ``FIDELITY`` rows of the teacher, and its candidates along its answers.

    Args:
        job: How many candidates, and where rows go.
        engine: The teacher, with nothing under way.
        items: The test prompts.
        requests: Each item's prompt as the teacher was asked it.
        completions: What the teacher answered, by the requests' keys; in any order.

    Raises:
        DataError: If the engine's log-probabilities are about other tokens than the texts'.
    """
    asked = chosen(list(zip(items, requests, strict=True)), job.most_items)
    rows = {item["id"]: empty_row(item) for item in items}
    answers = {completion.key: completion.token_ids for completion in completions}
    kept: list[Candidates] = []
    for text, found in engine.force(list(_texts(engine, asked, answers)), job.top_k):
        kind, _, key = text.key.partition(":")
        row, count, nats = rows[key], len(text.token_ids), -float(found.sampled.astype(np.float64).sum())
        if kind == _REFERENCE:
            row["reference_tokens"], row["reference_nats"] = count, nats
            continue
        kept.append(_candidates(key, text, found))
        row["answer_tokens"], row["answer_nats"], row["agreeing_tokens"] = count, nats, count
        row["covered"] = float(np.exp(found.top.astype(np.float64)).sum())
    table = candidates_table(job.top_k)
    check_logprobs(to_arrow(table, kept))
    write_table(job.candidates, table, kept)
    write_table(job.rows, FIDELITY, rows.values())


def _texts(engine: "Engine", asked: Sequence[tuple[Prompt, Request]], answers: Mapping[str, list[int]]) -> Iterator[GivenText]:
    for item, request in asked:
        yield GivenText(f"{_ANSWER}:{request.key}", request.prompt_token_ids, answers[request.key])
        if (reference := reference_tokens(engine.tokenizer, item)) is not None:
            yield GivenText(f"{_REFERENCE}:{request.key}", *reference)


def _candidates(key: str, text: GivenText, found: TokenLogprobs) -> Candidates:
    return Candidates(
        key=key, token_ids=text.token_ids, token_logprobs=found.sampled, top_ids=found.top_ids, top_logprobs=found.top
    )
