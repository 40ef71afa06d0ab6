"""Whether the harness found what our evaluation found, and the rule by which a difference is no disagreement."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.crosschecking.job import HarnessResult, Item

FLOAT32_REGRET = 1e-3
"""Nats by which two computations of a model in float32 may differ: that of engines' sums in another order, with a margin."""

HALF_REGRET = 0.5
"""The same where one of the two is in a half-precision format: logits of bfloat16 lie on a grid of 1/8 between 16 and 32.

Measured with SmolLM2-135M, vLLM in bfloat16 against Transformers in float32: 24 of 40 texts of 48 tokens part, with regrets up to
0.27."""

RULE = (
    "An item agrees if both asked with the same tokens, generated the same text and scored it alike. Where the texts part, the "
    "first token of ours that differs must be as good a choice for the model: less probable than its likeliest one by no more "
    f"than number formats explain, {FLOAT32_REGRET} nats where both computed in float32, {HALF_REGRET} otherwise. Such an item "
    "is undecided, and its scores are not compared. The means may differ by the share of undecided items."
)


@dataclass(frozen=True)
class Comparison:
    """The items of one task type, ours against the harness's."""

    task: str
    items: int
    other_prompts: tuple[str, ...]
    """Ids of items that were asked with other tokens."""
    undecided: tuple[str, ...]
    """Texts differ within what number formats explain."""
    other_texts: tuple[str, ...]
    """Texts differ beyond it."""
    other_scores: tuple[str, ...]
    """The same text, and another score."""
    ours: float | None
    """Our aggregate; None where the harness has no metric of the same meaning."""
    theirs: float | None

    @property
    def problems(self) -> list[str]:
        """What both disagree on, in words; nothing if they agree."""
        told = {"another prompt": self.other_prompts, "another text": self.other_texts, "another score": self.other_scores}
        found = [
            f"{self.task}: {what} for {len(ids)} of {self.items} items: {', '.join(ids[:5])}" for what, ids in told.items() if ids
        ]
        if self.ours is not None and self.theirs is not None:
            explained = len(self.undecided) / self.items + 1e-6
            if abs(self.ours - self.theirs) > explained:
                found.append(f"{self.task}: our mean is {self.ours:.4f} and the harness's {self.theirs:.4f}")
        return found


def compare(items: Sequence[Item], found: HarnessResult, means: dict[str, float], max_regret: float) -> list[Comparison]:
    """Compare item by item, for each task type.

    Args:
        items: As our evaluation left them.
        found: As the harness found them.
        means: Our aggregates by task type.
        max_regret: Nats that number formats explain.
    """
    return [_compare_task(task, items, found, means, max_regret) for task in sorted({item.task for item in items})]


def _compare_task(
    task: str, items: Sequence[Item], found: HarnessResult, means: dict[str, float], max_regret: float
) -> Comparison:
    pairs = [(item, found.items[item.id]) for item in items if item.task == task]
    differing = {item.id: theirs.regret for item, theirs in pairs if item.completion != theirs.completion}
    undecided = tuple(name for name, regret in differing.items() if regret is not None and regret <= max_regret)
    return Comparison(
        task=task,
        items=len(pairs),
        other_prompts=tuple(item.id for item, theirs in pairs if not theirs.same_prompt),
        undecided=undecided,
        other_texts=tuple(name for name in differing if name not in undecided),
        other_scores=tuple(item.id for item, theirs in pairs if item.id not in differing and item.score != theirs.score),
        ours=means.get(task) if task in found.means else None,
        theirs=found.means.get(task),
    )
