"""The part of every other model: it is taken through the teacher's answers and the references, its whole distribution in view.

With the teacher's K likeliest candidates in every place, KL(teacher || model) is bounded from below: all other tokens are joined
to one outcome on both sides, and joining outcomes never raises a divergence (the log-sum inequality; Cover and Thomas 2006,
*Elements of Information Theory*, theorem 2.7.1). The bound is the divergence itself where the candidates hold all of the
teacher's probability; how much they hold is kept beside it. It is measured along the teacher's answers, where a student that
answers by itself may never come, and the teacher's engine and Transformers round differently in half-precision formats.
"""

from collections.abc import Iterator, Sequence
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
from tasks.fidelity.texts import empty_row, reference_tokens
from tasks.training.divergences import sparse_divergence
from tasks.training.settings import DistillationSettings

_DIVERGENCE = DistillationSettings(divergence="forward_kl", tail="bucket")


def follow_texts(job: FollowedTexts, weights: Path, dtype: str, items: Sequence[Prompt]) -> None:
    """Write ``FIDELITY`` rows of a model.

    Args:
        job: Where the teacher's candidates are, and where rows go.
        weights: Folder of the model's weights and tokenizer.
        dtype: Number format in which the model answered, such as ``bfloat16``; logits are compared in float32.
        items: The test prompts.
    """
    candidates = {} if job.candidates is None else {row["key"]: row for row in read_candidates(job.candidates)}
    write_table(job.rows, FIDELITY, _follow(weights, dtype, items, candidates))


@torch.inference_mode()
def _follow(weights: Path, dtype: str, items: Sequence[Prompt], candidates: dict[str, Candidates]) -> Iterator[FidelityRow]:
    tokenizer: Any = AutoTokenizer.from_pretrained(weights)
    model: Any = AutoModelForCausalLM.from_pretrained(
        weights, dtype=getattr(torch, dtype), device_map="auto" if has_cuda() else None
    ).eval()
    for item in items:
        row, teachers = empty_row(item), candidates.get(item["id"])
        if teachers is not None:
            prompt = render_prompt(tokenizer, item["messages"], item["text"])
            _compare(row, _log_probabilities(model, prompt, teachers["token_ids"]), teachers)
        if (reference := reference_tokens(tokenizer, item)) is not None and reference[1]:
            log_q = _log_probabilities(model, *reference)
            row["reference_tokens"], row["reference_nats"] = len(reference[1]), _nats(log_q, reference[1])
        yield row


def _log_probabilities(model: Any, prompt: list[int], text: list[int]) -> Tensor:
    """Return the model's log-probabilities in the place of every token of a text of n tokens, float32 [n, V]."""
    ids = torch.tensor([[*prompt, *text]], device=model.device)
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=len(text) + 1).logits
    return logits[0, :-1].float().log_softmax(-1)


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
