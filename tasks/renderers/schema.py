"""The schema of report.json: what a program, a dashboard or the next run may rely on."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tasks.core.artifact import Artifact
from tasks.core.attempts import Interruptions
from tasks.metrics.intervals import Interval

ModelName = Literal["teacher", "baseline", "student"]
Verdict = Literal["ship", "do_not_ship", "inconclusive"]


class ModelReport(BaseModel):
    """One model's results on the test items."""

    model_config = ConfigDict(extra="forbid")

    name: str
    """What the model is called: its source, an endpoint's id of it, or kind and fingerprint of its artefact."""
    metrics: dict[str, Interval]
    """Scores by name, 1 is best; each with its 95 % interval."""
    invalid_ratio: float | None
    """Share of answers outside the closed set; None for an open task."""
    latency_seconds: Interval
    """Median time of one request alone in the engine, or to the endpoint and back."""
    items_per_second: float
    """Test items answered per second, many at once."""
    tokens_per_second: float
    """Output tokens per second, many at once."""
    peak_memory_bytes: int | None
    """Memory that loading and running the model added to the process; None for an endpoint."""
    weight_bytes: int | None
    """Size of the weights; None for an endpoint."""
    cost_per_1k_requests: float | None
    """What an endpoint charges for 1,000 test items, in the currency of the recipe's prices; None without prices."""


class Savings(BaseModel):
    """What the student saves against the teacher on the same machine; shares are of the teacher's figure.

    All but latency are None where the teacher is an endpoint, and so runs on a machine that nobody sees.
    """

    model_config = ConfigDict(extra="forbid")

    latency: float | None
    memory: float | None
    size: float | None
    cost: float | None
    """Share of machine time per item that is saved when many are answered at once."""
    users: float | None
    """How many times the teacher's load the student carries."""


class InterruptionsReport(BaseModel):
    """What was lost to kills, preemptions and failures on the way to the report; see ``tasks/core/attempts.py`` for the terms."""

    model_config = ConfigDict(extra="forbid")

    in_all: Interruptions | None
    """All stages together; None if none of them recorded it."""
    stages: dict[str, Interruptions | None]
    """Each stage that answers or trains; None where it was made by a release that did not record it."""


class Report(BaseModel):
    """The whole of report.json."""

    model_config = ConfigDict(extra="forbid")

    name: str
    verdict: Verdict
    reason: str
    min_retained: float
    metric: str
    """The metric that the verdict and the three comparisons are about."""
    items: int
    retained: Interval
    """student / teacher"""
    gap_closed: Interval
    """(student - baseline) / (teacher - baseline)"""
    improvement: Interval
    """student - baseline"""
    agreement: Interval
    """Share of items to which student and teacher give the same answer."""
    models: dict[ModelName, ModelReport]
    savings: Savings
    lineage: dict[str, Artifact]
    """Every artefact that led to the report."""
    stages: dict[str, dict[str, Any]]
    """Counts, summary and seconds of every stage."""
    interruptions: InterruptionsReport
    """Attempts, lost work and goodput of every stage that led to the report, those of an earlier run included."""
