"""The part of every other model: it is taken through the teacher's answers and the references, its whole distribution in view.

With the teacher's K likeliest candidates in every place, KL(teacher || model) is bounded from below: all other tokens are joined
to one outcome on both sides, and joining outcomes never raises a divergence (the log-sum inequality; Cover and Thomas 2006,
*Elements of Information Theory*, theorem 2.7.1). The bound is the divergence itself where the candidates hold all of the
teacher's probability; how much they hold is kept beside it. It is measured along the teacher's answers, where a student that
answers by itself may never come, and the teacher's engine and Transformers round differently in half-precision formats.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.core.environment import has_cuda
from tasks.core.logprobs import NO_PROBABILITY
from tasks.core.records import Prompt
from tasks.core.rendering import render_prompt
from tasks.core.tables import write_table
from tasks.fidelity.job import FollowedTexts
from tasks.fidelity.rows import FIDELITY, Candidates, FidelityRow, read_candidates
from tasks.fidelity.texts import chosen, empty_row, reference_tokens
from tasks.training.divergences import sparse_divergence
from tasks.training.settings import DistillationSettings

_DIVERGENCE = DistillationSettings(divergence="forward_kl", tail="bucket")
_BATCH_TOKENS = 4096
"""The logits of so many take 1.2 GB in bfloat16 at a vocabulary of 150,000."""


@dataclass(frozen=True)
class _Text:
    """One text that the model is taken through; without a teacher's candidates it is a reference."""

    row: FidelityRow
    prompt: list[int]
    token_ids: list[int]
    teachers: Candidates | None = None


def follow_texts(job: FollowedTexts, weights: Path, dtype: str, items: Sequence[Prompt]) -> None:
    """Write ``FIDELITY`` rows of a model.

    Args:
        job: Where the teacher's candidates are, and where rows go.
        weights: Folder of the model's weights and tokenizer.
        dtype: Number format in which the model answered, such as ``bfloat16``; logits are compared in float32.
        items: The test prompts.
    """
    candidates = {} if job.candidates is None else {row["key"]: row for row in read_candidates(job.candidates)}
    write_table(job.rows, FIDELITY, _follow(weights, dtype, items, job.most_items, candidates))


@torch.inference_mode()
def _follow(
    weights: Path, dtype: str, items: Sequence[Prompt], most_items: int, candidates: dict[str, Candidates]
) -> list[FidelityRow]:
    tokenizer: Any = AutoTokenizer.from_pretrained(weights)
    model: Any = AutoModelForCausalLM.from_pretrained(
        weights, dtype=getattr(torch, dtype), device_map="auto" if has_cuda() else None
    ).eval()
    rows, texts = [empty_row(item) for item in items], list[_Text]()
    for item, row in chosen(list(zip(items, rows, strict=True)), most_items):
        if (teachers := candidates.get(item["id"])) is not None:
            prompt = render_prompt(tokenizer, item["messages"], item["text"])
            texts.append(_Text(row, prompt, teachers["token_ids"], teachers))
        if (reference := reference_tokens(tokenizer, item)) is not None and reference[1]:
            texts.append(_Text(row, *reference))
    for batch in _batches(texts):
        for text, log_q in zip(batch, _log_probabilities(model, batch), strict=True):
            if text.teachers is not None:
                _compare(text.row, log_q, text.teachers)
            else:
                text.row["reference_tokens"], text.row["reference_nats"] = len(text.token_ids), _nats(log_q, text.token_ids)
    return rows


def _batches(texts: Sequence[_Text]) -> Iterator[list[_Text]]:
    """Yield texts that are gone through together: prompts of like length, so that few places are looked at for nothing."""
    batch: list[_Text] = []
    for text in sorted(texts, key=lambda text: len(text.prompt)):
        if batch and _places([*batch, text])[1] * (len(batch) + 1) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _places(batch: Sequence[_Text]) -> tuple[int, int]:
    """Return the first place from which a text of the batch is predicted, and one behind the last of the longest."""
    return min(len(text.prompt) for text in batch) - 1, max(len(text.prompt) + len(text.token_ids) for text in batch) - 1


def _log_probabilities(model: Any, batch: Sequence[_Text]) -> Iterator[Tensor]:
    """Yield the model's log-probabilities in the place of every token of each text of n tokens, float32 [n, V]."""
    first, last = _places(batch)
    ids = torch.zeros((len(batch), last + 1), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for number, text in enumerate(batch):  # filled up at the right, where no token that counts looks
        whole = [*text.prompt, *text.token_ids]
        ids[number, : len(whole)], mask[number, : len(whole)] = torch.tensor(whole), 1
    given: dict[str, Any] = {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device), "use_cache": False}
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        logits = model(**given, logits_to_keep=torch.arange(first, last, device=model.device)).logits
    else:  # an architecture that gives those of all places or none
        logits = model(**given).logits[:, first:last]
    for number, text in enumerate(batch):
        start = len(text.prompt) - 1 - first
        yield logits[number, start : start + len(text.token_ids)].float().log_softmax(-1)


def _compare(row: FidelityRow, log_q: Tensor, teachers: Candidates) -> None:
    """Set a row's sums over an answer of the teacher.

    Args:
        row: The item's row.
        log_q: The model's log-probabilities, float32 [n, V].
        teachers: The answer, n tokens, with the teacher's candidates.
    """
    ids = torch.from_numpy(teachers["top_ids"].astype("int64")).to(log_q.device)
    log_p = torch.from_numpy(teachers["top_logprobs"].astype("float32")).to(log_q.device)
    beyond = ids >= log_q.shape[-1]  # rows with which the teacher's embedding is filled up and the model's is not: no tokens
    ids, log_p = ids.masked_fill(beyond, 0), log_p.masked_fill(beyond, NO_PROBABILITY)
    row["answer_tokens"] = len(ids)
    row["answer_nats"] = _nats(log_q, teachers["token_ids"])
    row["divergence_nats"] = float(sparse_divergence(log_q, ids, log_p, _DIVERGENCE).double().sum())
    row["agreeing_tokens"] = int((log_q.argmax(-1) == ids[:, 0]).sum())
    row["covered"] = float(log_p.double().exp().sum())


def _nats(log_q: Tensor, token_ids: list[int]) -> float:
    chosen = torch.tensor(token_ids, device=log_q.device)[:, None]
    return -float(log_q.gather(-1, chosen).double().sum())
