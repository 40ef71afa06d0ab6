"""What requests cost, what the distillation cost, and from how many requests on it has paid for itself."""

from collections.abc import Mapping
from math import ceil

from tasks.comparing.lineage import Ancestor
from tasks.comparing.settings import PriceSettings
from tasks.core.artifact import Artifact, Record
from tasks.core.attempts import INTERRUPTIONS
from tasks.core.weights import ENDPOINT
from tasks.renderers.schema import Costs, ModelName
from tasks.teachers.serving import Serving

_EFFORT = "effort"


def reckon_costs(
    prices: PriceSettings, serving: Mapping[ModelName, Serving], ancestors: Mapping[str, Ancestor], items: int
) -> Costs:
    """Return all costs that can be told from the prices.

    Args:
        prices: What machines cost.
        serving: Each model's serving figures.
        ancestors: All artefacts that led to the report, by name.
        items: Test items.
    """
    teacher = _per_1k_requests(serving["teacher"], prices.teacher_per_hour)
    student = _per_1k_requests(serving["student"], prices.student_per_hour)
    spent = [_spent(name, each, prices, ancestors, items) for name, each in ancestors.items()]
    distillation = None if None in spent else sum(amount for amount in spent if amount is not None)
    return Costs(
        teacher_per_1k_requests=teacher,
        student_per_1k_requests=student,
        distillation=distillation,
        break_even_requests=_break_even(teacher, student, distillation),
        machine_seconds={name: round(_machine_seconds(each.record), 3) for name, each in ancestors.items()},
    )


def _per_1k_requests(serving: Serving, price_per_hour: float | None) -> float | None:
    """Return what an endpoint charges, or the machine's time at full load."""
    if serving.cost_per_1k_requests is not None or price_per_hour is None:
        return serving.cost_per_1k_requests
    return price_per_hour / 3600 * 1000 / serving.items_per_second


def _break_even(teacher: float | None, student: float | None, distillation: float | None) -> int | None:
    if teacher is None or student is None or distillation is None or student >= teacher:
        return None
    return ceil(1000 * distillation / (teacher - student))


def _spent(name: str, ancestor: Ancestor, prices: PriceSettings, ancestors: Mapping[str, Ancestor], items: int) -> float | None:
    """Return what a stage cost; None if its price is not known. What prepares, filters and looks ahead costs next to nothing."""
    artifact, record = ancestor
    hours = _machine_seconds(record) / 3600
    if artifact.kind == "student":
        return _times(hours, prices.training_per_hour)
    if artifact.kind == "generations" and "teacher" in record.inputs:  # a mixture has none, and costs nothing by itself
        charged = record.summary.get(_EFFORT, {}).get("cost")
        is_ours = not _is_endpoint(record.inputs["teacher"], ancestors)
        return charged if charged is not None else _times(hours, prices.teacher_per_hour if is_ours else None)
    if artifact.kind == "evaluation":
        charged = record.summary["serving"]["cost_per_1k_requests"]
        if charged is not None:
            return charged * (items + record.counts.get("samples", 0)) / 1000
        price = prices.teacher_per_hour if name == "teacher_evaluation" else prices.student_per_hour
        return _times(hours, None if _is_endpoint(record.inputs.get("model"), ancestors) else price)
    return 0.0


def _times(hours: float, price: float | None) -> float | None:
    return None if price is None else hours * price


def _is_endpoint(model: Artifact | None, ancestors: Mapping[str, Ancestor]) -> bool:
    return model is not None and any(
        ENDPOINT in record.summary for artifact, record in ancestors.values() if artifact.fingerprint == model.fingerprint
    )


def _machine_seconds(record: Record) -> float:
    """Return how long machines worked for a stage: all attempts, and all engines of a stage that was shared out."""
    attempts = record.summary.get(INTERRUPTIONS, {}).get("seconds")
    return float(attempts if attempts is not None else record.seconds.get("total", 0.0))
