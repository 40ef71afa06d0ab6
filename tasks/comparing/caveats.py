"""What a reader must know before they compare the figures: everything in which the comparison is less than fair or whole."""

from collections.abc import Iterator, Mapping

from tasks.comparing.items import Items
from tasks.core.artifact import Record
from tasks.generating.asking import FAILURES
from tasks.renderers.schema import Costs, Curation, ModelName
from tasks.teachers.serving import Serving

_SHOWN_LABELS = 10
_SPEED_ONLY = ("engine", "endpoint")
"""Settings of an evaluation that decide speed and memory, and not what is asked."""


def find_caveats(
    items: Items,
    serving: Mapping[ModelName, Serving],
    evaluations: Mapping[ModelName, Record],
    curation: Curation,
    costs: Costs,
) -> list[str]:
    """Return the caveats, each a sentence.

    Args:
        items: All test items.
        serving: Each model's serving figures.
        evaluations: Record of each model's evaluation.
        curation: How the training set came to be.
        costs: What requests cost.
    """
    return [
        *_unequal_machines(serving),
        *_unequal_settings(evaluations),
        *_incomplete_answers(items),
        *_seen_in_training(curation),
        *_never_seen(curation),
        *_unpriced(serving, costs),
    ]


def _unequal_machines(serving: Mapping[ModelName, Serving]) -> Iterator[str]:
    formats = {model: each.dtype for model, each in serving.items() if each.dtype is not None}
    if len(set(formats.values())) > 1:
        shown = ", ".join(f"{model} in {dtype}" for model, dtype in formats.items())
        yield f"The models computed in different number formats ({shown}): quality, speed and memory differ for that too."
    if serving["teacher"].memory is None:
        yield (
            "The teacher runs behind an endpoint: its latency has the network's in it, and its memory and the users that its "
            "machine would carry are not known."
        )


def _unequal_settings(evaluations: Mapping[ModelName, Record]) -> Iterator[str]:
    first = evaluations["student"].settings
    for model, record in evaluations.items():
        names = sorted(name for name in first.keys() | record.settings.keys() if record.settings.get(name) != first.get(name))
        asked, run = [name for name in names if name not in _SPEED_ONLY], [name for name in names if name in _SPEED_ONLY]
        if asked:
            yield (
                f"The {model} answered under other settings than the student ({', '.join(asked)}): their scores may differ for "
                "that alone."
            )
        if run:
            yield (
                f"The {model} was run with other engine settings than the student ({', '.join(run)}), which decide speed and "
                "memory."
            )


def _incomplete_answers(items: Items) -> Iterator[str]:
    for model, rows in items.rows.items():
        if failed := sum(row["finish_reason"] in FAILURES for row in rows):
            yield f"The {model} gave no answer at all to {failed} of {len(rows)} test prompts; they count as wrong."
    if unscored := len(items) - len(items.scored):
        yield (
            f"{unscored} of {len(items)} test prompts have no reference and no score. All that is known of them is how like the "
            "teacher's answers the others are, which is agreement and not quality, and what a judge prefers if there is one."
        )


def _seen_in_training(curation: Curation) -> Iterator[str]:
    if repeated := curation.repeated_test_prompts:
        yield (
            f"Most of {repeated} test prompts stands in rows that the student was trained on (the dataset's record lists which, "
            "under contamination; dataset.filters.decontamination leaves such rows out): scores may be too high."
        )


def _never_seen(curation: Curation) -> Iterator[str]:
    if unseen := curation.labels_unseen:
        more = f" and {len(unseen) - _SHOWN_LABELS} more" if len(unseen) > _SHOWN_LABELS else ""
        yield (
            f"No row that the student was trained on has a label of these: {', '.join(unseen[:_SHOWN_LABELS])}{more}. It has "
            "never seen them and will hardly give them."
        )


def _unpriced(serving: Mapping[ModelName, Serving], costs: Costs) -> Iterator[str]:
    is_known = costs.teacher_per_1k_requests is not None and costs.student_per_1k_requests is not None
    if not is_known and serving["teacher"].memory is not None:
        yield (
            "No price is set for the machines (report.prices): the cost saved is machine time saved, as if both models ran on "
            "machines of one price."
        )
