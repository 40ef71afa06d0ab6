"""The curation as its record tells it: the funnel of filters, labels before and after, a few rejected answers."""

from typing import Any

from tasks.core.artifact import Record
from tasks.renderers.schema import Curation, FunnelStep, RejectedExample

_KEPT = ("train", "validation")
_MOST_EXAMPLES = 40


def describe_curation(dataset: Record) -> Curation:
    """Return how a dataset came to be; empty parts where it was made by a release that recorded less.

    Args:
        dataset: Record of a ``dataset`` artefact.
    """
    summary: dict[str, Any] = dataset.summary
    kept = sum(dataset.counts.get(split, 0) for split in _KEPT)
    return Curation(
        answers=kept + dataset.counts.get("rejected", 0),
        kept=kept,
        funnel=[FunnelStep.model_validate(step) for step in summary.get("funnel", [])],
        examples=[RejectedExample.model_validate(example) for example in summary.get("examples", [])[:_MOST_EXAMPLES]],
        labels_before=summary.get("labels_before", {}),
        labels_after=summary.get("labels_after", {}),
        labels_unseen=summary.get("labels_unseen", []),
        repeated_test_prompts=sum(
            held_out["repeated"] for held_out in summary.get("contamination", {}).get("held_out", {}).values()
        ),
    )
