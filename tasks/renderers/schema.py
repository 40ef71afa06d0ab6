"""The schema of report.json: what a program, a dashboard or the next run may rely on."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tasks.core.artifact import Artifact
from tasks.core.attempts import Interruptions
from tasks.metrics.intervals import Interval
from tasks.metrics.non_inferiority import Outcome
from tasks.teachers.serving import Serving

ModelName = Literal["teacher", "baseline", "control", "student"]
"""The control, a student trained on references instead of the teacher's answers, is only where one was trained."""
Opponent = Literal["baseline", "teacher"]
OPPONENTS: tuple[Opponent, ...] = ("baseline", "teacher")
"""Whom the student is compared with."""
Verdict = Literal["promote", "hold", "inconclusive"]


class Part(BaseModel):
    """A part of the report."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Rates(Part):
    """Shares of the answers that are wrong in form."""

    invalid: Interval
    """Not an answer of the task's kind, or none at all."""
    truncated: Interval
    """Cut off by the limit of tokens."""
    repeated: Interval
    """Caught in a loop."""


class Preference(Part):
    """What a judge prefers, the student's answers or another model's, each pair shown in both orders."""

    judge: str
    items: int
    """Those for which there is a preference."""
    unreadable: int
    """Those for which there is none."""
    win_rate: Interval
    """Of the student; ties count half."""
    wins: int
    ties: int
    losses: int
    consistent: float
    """Share of the items with different answers that were judged alike in both orders."""
    first_preferred: float | None
    """Share of the judgements that prefer the answer shown first; a judge without a bias has 0.5."""
    length_controlled_win_rate: Interval | None


class Fidelity(Part):
    """How near a model's token probabilities are to the teacher's, along texts that it was taken through."""

    divergence: Interval | None = None
    """KL(teacher || model) in nats a token, along the teacher's answers: a lower bound, see ``tasks/fidelity/following.py``."""
    top1_agreement: Interval | None = None
    """Share of the tokens of the teacher's answers in whose place the model's likeliest token is the teacher's."""
    items: int = 0
    """Answers of the teacher that were compared."""
    covered: float | None = None
    """Share of the teacher's probability that the compared candidates hold."""
    answer_perplexity: Interval | None = None
    """Of the teacher's answers."""
    reference_perplexity: Interval | None = None


class TaskReport(Part):
    """Quality on the test items of one task type."""

    task: str
    items: int
    metric: str
    """The primary one, in [0, 1]: what the comparisons and the gate are about."""
    metrics: dict[str, dict[ModelName, Interval]]
    rates: dict[ModelName, Rates]
    retained: Interval
    """student / teacher"""
    gap_closed: Interval
    """(student - baseline) / (teacher - baseline); no bounds where the gap may be 0."""
    improvement: Interval
    """student - baseline"""
    agreement: Interval | None
    """Share of items on which the student says what the teacher says; None where many answers are right."""
    kappa: float | None
    """Cohen's, of labels."""
    likeness: dict[str, dict[ModelName, Interval]]
    """BLEU and mean chrF++ of the models' answers against the teacher's, by measure; empty unless many answers are right."""
    p_values: dict[str, float]
    """Of the student against baseline and teacher, by what it is compared with; adjusted by Holm over the tasks."""
    required_items: int | None
    """Items with which the quality condition could be decided, where it could not."""
    preferences: dict[Opponent, Preference]
    """By whom the student is compared with; only where a judge compared."""
    fidelity: dict[ModelName, Fidelity] = {}
    """Of the models that were taken through texts; none of an endpoint."""


class Slice(Part):
    """Quality on the items that share a tag, a label or a length."""

    field: str
    value: str
    items: int
    scores: dict[ModelName, Interval]
    retained: Interval


class Condition(Part):
    """One line of the gate."""

    name: str
    wanted: str
    found: str
    outcome: Outcome
    reason: str


class CaseRow(Part):
    """One row of the case-study table: each model's figure, and what the student changes against the teacher."""

    figure: Literal["latency", "memory", "accuracy kept", "cost", "concurrent users"]
    unit: Literal["seconds", "bytes", "share", "money", "requests_per_second"]
    values: dict[ModelName, float | None]
    change: Interval | None
    """Share saved (latency, memory, cost), share kept (accuracy) or factor (users); None where it cannot be known."""
    reference: float
    """The published case study's figure."""


class Costs(Part):
    """Money, in the currency of the recipe's prices."""

    teacher_per_1k_requests: float | None
    student_per_1k_requests: float | None
    distillation: float | None
    """What all machines and endpoints of the run cost; None where a price is not known."""
    break_even_requests: int | None
    """Requests after which the distillation has paid for itself; None where it never does, or a price is not known."""
    machine_seconds: dict[str, float]
    """By stage, failed attempts included."""


class FunnelStep(Part):
    """One filter of the curation."""

    filter: str
    mode: Literal["annotate", "redact", "drop"]
    seen: int
    marginal: int
    """Rows that it was the first to reject."""
    independent: int
    """Rows that it would reject by itself."""
    seconds: float
    wanted: bool
    """The user asked for these drops by number, as in a quota."""
    notes: dict[str, Any] = {}
    """What the filter has to say beside: its threshold, the closest pairs that it found, the sizes of groups."""


class RejectedExample(Part):
    """An answer that was rejected, with personal data blacked out."""

    reasons: list[str]
    prompt: str
    completion: str


class Curation(Part):
    """How the teacher's answers became the training set."""

    answers: int
    kept: int
    funnel: list[FunnelStep]
    examples: list[RejectedExample]
    labels_before: dict[str, int]
    labels_after: dict[str, int]
    labels_unseen: list[str] = []
    """Labels of the closed set that no row has which the student is trained on."""
    repeated_test_prompts: int
    """Test prompts most of which stands in a row that the student is trained on."""


class SideBySide(Part):
    """What the models said to one test prompt, with personal data blacked out."""

    id: str
    task: str
    prompt: str
    references: list[str]
    completions: dict[ModelName, str]
    scores: dict[ModelName, float]
    tags: dict[str, str]


class EarlierRun(Part):
    """An earlier report of the same name in the same store."""

    fingerprint: str
    created_at: str
    verdict: Verdict
    retained: Interval
    items: int
    student: dict[str, float]
    """Primary scores by task."""


class InterruptionsReport(Part):
    """What was lost to kills, preemptions and failures on the way to the report; see ``tasks/core/attempts.py`` for the terms."""

    in_all: Interruptions | None
    """All stages together; None if none of them recorded it."""
    stages: dict[str, Interruptions | None]
    """Each stage that answers or trains; None where it was made by a release that did not record it."""


class Lineage(Part):
    """Everything that is needed to trust and repeat the report."""

    artifacts: dict[str, Artifact]
    models: dict[ModelName, str]
    """Names with revisions, or fingerprints of what was trained here."""
    licences: dict[str, str]
    """By model."""
    release_conditions: list[str]
    """What the licences ask of whoever ships the student, each a sentence."""
    settings: dict[str, Any]
    """Of each stage, as recorded."""
    libraries: dict[str, str]


class Report(Part):
    """The whole of report.json."""

    name: str
    verdict: Verdict
    reason: str
    conditions: list[Condition]
    items: int
    retained: Interval
    """Of all tasks together: the mean of the primary scores, items weighted alike."""
    gap_closed: Interval
    improvement: Interval
    tasks: list[TaskReport]
    slices: list[Slice]
    serving: dict[ModelName, Serving]
    names: dict[ModelName, str]
    case_study: list[CaseRow]
    costs: Costs
    curation: Curation
    side_by_side: list[SideBySide]
    """At most a set number; those where the student fails and the teacher does not come first."""
    caveats: list[str]
    """What a reader must know before they compare: different number formats or settings, a judge that is the teacher, ..."""
    earlier: list[EarlierRun]
    """Newest first."""
    lineage: Lineage
    stages: dict[str, dict[str, Any]]
    """Counts, summary and seconds of every stage."""
    interruptions: InterruptionsReport
