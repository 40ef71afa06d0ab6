"""Several sampled answers to every prompt, for a vote: which prompts, the requests, and the answers by prompt again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel

from tasks.core.fingerprint import fingerprint
from tasks.core.ledger.keys import row_seed
from tasks.core.records import Prompt
from tasks.task_types import TASK_TYPES
from tasks.teachers.exchange import Request

T = TypeVar("T")


class SamplePlan(BaseModel):
    """How answers are sampled."""

    samples: int
    """Answers to each prompt."""
    temperature: float


def sample_requests(plan: SamplePlan, items: Sequence[Prompt], requests: Sequence[Request]) -> list[Request]:
    """Return the requests for all samples, each with a seed of its own; open tasks, in which samples rightly differ, have none.

    Args:
        plan: How many samples.
        items: The test prompts.
        requests: Each item's request.
    """
    closed = [request for item, request in zip(items, requests, strict=True) if not TASK_TYPES[item["task"]].is_open]
    return [
        replace(request, key=f"{number}:{request.key}", seed=row_seed(fingerprint([request.key, number])))
        for request in closed
        for number in range(plan.samples)
    ]


def by_prompt(requests: Sequence[Request], answers: Mapping[str, T], missing: T) -> dict[str, list[T]]:
    """Return the samples' answers by prompt, in the order of ``sample_requests``.

    Args:
        requests: What ``sample_requests`` returned.
        answers: By the requests' keys.
        missing: What stands for an answer that was not given.
    """
    found: dict[str, list[T]] = {}
    for request in requests:
        found.setdefault(request.key.partition(":")[2], []).append(answers.get(request.key, missing))
    return found
