"""Test items made by hand, and what models said to them."""

from collections.abc import Mapping, Sequence

from tasks.comparing.items import Items
from tasks.core.records import Message, Prediction, Prompt
from tasks.fidelity.rows import FidelityRow
from tasks.metrics.intervals import Interval
from tasks.renderers.schema import ModelName
from tasks.task_types import TASK_TYPES
from tasks.teachers.serving import Load, Quantiles, Serving, ServingMemory


def prompt(number: int, task: str, reference: str | None, text: str = "?", **tags: str) -> Prompt:
    """Return a test prompt."""
    return Prompt(
        id=f"item {number:05}",
        messages=[Message(role="user", content=text)],
        text=None,
        references=[] if reference is None else [reference],
        task=task,
        split="test",
        tags=list(tags.items()),
    )


def answered(asked: Prompt, score: float, said: str | None = None, finish_reason: str = "stop") -> Prediction:
    """Return an answer with a primary score; right ones say the reference."""
    right = asked["references"][0] if asked["references"] else "something"
    answer = said if said is not None else right if score == 1 else "wrong"
    return Prediction(
        id=asked["id"],
        task=asked["task"],
        completion=answer,
        answer=None if said == "" else answer,
        references=asked["references"],
        scores=[(TASK_TYPES[asked["task"]].metric, score)] if asked["references"] else [],
        finish_reason=finish_reason,
        completion_tokens=1,
    )


def make_items(prompts: Sequence[Prompt], scores: Mapping[ModelName, Sequence[float]]) -> Items:
    """Return items with answers of these scores, model by model."""
    return Items(
        list(prompts),
        {model: [answered(asked, score) for asked, score in zip(prompts, own, strict=True)] for model, own in scores.items()},
    )


def followed(asked: Prompt, tokens: int, divergence: float = 0.0, agreeing: int = 0, nats: float = 0.0) -> FidelityRow:
    """Return what came of an answer of so many tokens, with sums over them; a reference has two tokens, of 1 nat each."""
    references = 2 if asked["references"] else 0
    return FidelityRow(
        id=asked["id"],
        answer_tokens=tokens,
        answer_nats=nats,
        divergence_nats=divergence,
        agreeing_tokens=agreeing,
        covered=0.9 * tokens,
        reference_tokens=references,
        reference_nats=float(references),
    )


def right_until(count: int, items: int) -> list[float]:
    """Return the scores of a model that gets the first ``count`` items right and all others wrong."""
    return [1.0] * count + [0.0] * (items - count)


def memory_of(total: int, requests: int = 4) -> ServingMemory:
    """Return what a model needs that takes so many bytes in all, half of them for the weights."""
    weights, tokens = total // 2, 128
    each = (total - weights) // requests
    return ServingMemory(
        weight_bytes=weights,
        kv_bytes_per_token=each // tokens,
        kv_bytes_per_request=each,
        request_tokens=tokens,
        requests=requests,
    )


def serving(seconds: float, memory: int | None = 400 << 20, price: float | None = None, dtype: str | None = "float32") -> Serving:
    """Return the serving figures of a model that answers one request after the other; without memory, of an endpoint."""
    quantiles = Quantiles(p50=seconds, p95=seconds)
    load = Load(
        concurrency=1,
        requests=50,
        first_token_seconds=None,
        per_token_seconds=None,
        latency_seconds=quantiles,
        requests_per_second=1 / seconds,
        output_tokens_per_second=1 / seconds,
    )
    return Serving(
        latency_seconds=Interval(value=seconds),
        loads=[load, load.model_copy(update={"concurrency": 4, "requests_per_second": 2 / seconds})],
        items_per_second=2 / seconds,
        tokens_per_second=2 / seconds,
        memory=None if memory is None else memory_of(memory),
        peak_memory_bytes=memory,
        energy_joules_per_item=None,
        cost_per_1k_requests=price,
        dtype=dtype,
    )
