"""Reports made by hand, with figures that are easy to find again: a full one, and one of which hardly anything is known."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Literal

from tasks.core.artifact import Artifact
from tasks.core.attempts import Interruptions, add_up
from tasks.metrics.intervals import Interval
from tasks.renderers.schema import (
    CaseRow,
    Condition,
    Costs,
    Curation,
    EarlierRun,
    FunnelStep,
    InterruptionsReport,
    Lineage,
    ModelName,
    Preference,
    Rates,
    RejectedExample,
    Report,
    SideBySide,
    Slice,
    TaskReport,
)
from tasks.teachers.serving import Load, Quantiles, Serving

STAGES = (
    "prompts",
    "preflight",
    "generations",
    "dataset",
    "student",
    "teacher_evaluation",
    "baseline_evaluation",
    "student_evaluation",
)
NAMES: dict[ModelName, str] = {
    "teacher": "acme/large",
    "baseline": "acme/small",
    "control": "control:fedcba98",
    "student": "student:01234567",
}
SUMMARIES = {
    "student": {"train_loss": 0.41, "eval_loss": 0.312, "train_seconds": 305.2, "peak_memory_bytes": 3 << 30, "method": "sft"}
}
UNDISTURBED = Interruptions(attempts=1, killed=0, preempted=0, failed=0, seconds=50, lost_seconds=0, lost={}, goodput=1)
DISTURBED = Interruptions(
    attempts=4, killed=2, preempted=1, failed=0, seconds=400, lost_seconds=41, lost={"rows": 1400, "steps": 1}, goodput=0.8975
)


def about(value: float, margin: float = 0.02) -> Interval:
    """Return a value with an interval around it."""
    return Interval(value=value, low=max(value - margin, 0), high=value + margin)


def sample_report(name: str = "quickstart", reason: str = "95.6% of the teacher's score is retained") -> Report:
    """Return the report of a distillation that went well, with everything that a report can have."""
    return Report(
        name=name,
        verdict="promote",
        reason=reason,
        conditions=[
            Condition(
                name="quality: CLASSIFICATION",
                wanted="at least 92% of the teacher's score",
                found="95.6% (95 % interval 93.1% to 98.2%)",
                outcome="pass",
                reason="the whole interval is above",
            ),
            Condition(name="speed-up", wanted="at least 2.0x", found="2.8x", outcome="pass", reason="2.8x is above 2.0x"),
        ],
        items=1_600,
        retained=Interval(value=0.956, low=0.931, high=0.982),
        gap_closed=Interval(value=0.9, low=0.85, high=0.96),
        improvement=Interval(value=0.361, low=0.329, high=0.392),
        tasks=[
            _task("CLASSIFICATION", "accuracy", {"accuracy": 1.0, "macro_f1": 0.98}, kappa=0.83),
            _task("CONVERSATION", "chrf", {"chrf": 0.6, "bleu": 0.3}, preference=PREFERENCE),
        ],
        slices=[
            Slice(
                field=field,
                value=value,
                items=items,
                scores={"teacher": about(0.91), "baseline": about(0.5), "student": about(0.91 * retained)},
                retained=about(retained, 0.4 / items**0.5),
            )
            for field, value, items, retained in (
                ("label", "card_arrival", 120, 0.97),
                ("label", "refund_not_showing_up", 61, 0.842),
                ("label", "exchange_rate", 94, 1.01),
                ("length", "up to 16 tokens", 410, 0.981),
                ("length", "over 64 tokens", 88, 0.903),
                ("language", "de", 140, 0.93),
            )
        ],
        serving={
            "teacher": _serving(milliseconds=61.2, items_per_second=38.5, memory=1_210, weights=513),
            "baseline": _serving(milliseconds=21.7, items_per_second=120.1, memory=421, weights=171),
            "control": _serving(milliseconds=21.8, items_per_second=119.0, memory=422, weights=171),
            "student": _serving(milliseconds=21.9, items_per_second=118.4, memory=423, weights=171),
        },
        names=NAMES,
        case_study=[
            _case("latency", "seconds", (0.0612, 0.0217, 0.0218, 0.0219), about(0.642, 0.011), 0.85),
            _case("memory", "bytes", (1_210 << 20, 421 << 20, 422 << 20, 423 << 20), Interval(value=0.65), 0.95),
            _case("accuracy kept", "share", (0.912, 0.511, 0.893, 0.872), Interval(value=0.956, low=0.931, high=0.982), 0.92),
            _case("cost", "money", (0.42, 0.13, 0.13, 0.137), Interval(value=0.675), 0.60),
            _case("concurrent users", "requests_per_second", (38.5, 120.1, 119.0, 118.4), Interval(value=3.075), 10),
        ],
        costs=Costs(
            teacher_per_1k_requests=0.42,
            student_per_1k_requests=0.137,
            distillation=18.4,
            break_even_requests=65_018,
            machine_seconds={"generations": 412.0, "dataset": 3.1, "student": 9_000.0, "evaluation": 131.0},
        ),
        curation=CURATION,
        side_by_side=[*_CASES, *(_case_number(number) for number in range(20))],
        caveats=[
            "The teacher ran in bfloat16 and the student in float32: latency and memory do not compare one to one",
            "3 of 1,600 test prompts share more than half of their words with a training prompt",
        ],
        earlier=[
            _earlier("2026-11-02T03:10:00Z", 0.871, "hold", 1_000),
            _earlier("2026-11-09T03:12:00Z", 0.913, "inconclusive", 1_600),
            _earlier("2026-11-16T03:11:00Z", 0.948, "promote", 1_600),
        ],
        lineage=Lineage(
            artifacts={stage: artifact(stage) for stage in STAGES},
            models={"teacher": "acme/large@0f1e2d3c4b5a", "baseline": "acme/small@a1b2c3d4e5f6", "student": NAMES["student"]},
            licences={"acme/large": "apache-2.0", "acme/small": "mit"},
            settings={
                "generations": {"sampling": {"temperature": 0.0, "max_tokens": 32}, "samples": 1},
                "student": {"method": "sft", "learning_rate": 2e-5, "epochs": 3},
            },
            libraries={"torch": "2.13.0", "vllm": "0.32.0"},
        ),
        stages={stage: {"counts": {}, "summary": SUMMARIES.get(stage, {}), "seconds": {"total": 12.34}} for stage in STAGES},
        interruptions=interruptions_of(generations=DISTURBED, student=UNDISTURBED),
    )


def minimal_report() -> Report:
    """Return a report on a teacher behind an endpoint: no machine of its own, no prices, no judge, no control, no run before."""
    full = sample_report()
    endpoint = full.serving["teacher"].model_copy(
        update={
            **dict.fromkeys(("peak_memory_bytes", "weight_bytes", "kv_bytes_per_token", "energy_joules_per_item", "dtype")),
            "loads": [],
        }
    )
    alone = full.serving["student"].model_copy(update={"loads": [], "energy_joules_per_item": None})
    task = full.tasks[0].model_copy(update={"agreement": None, "kappa": None, "p_values": {}})
    return full.model_copy(
        update={
            "verdict": "inconclusive",
            "reason": "89.1% of the teacher's score is retained, and the interval straddles the 92% that were asked for",
            "conditions": [],
            "retained": Interval(value=0.891),
            "tasks": [task],
            "slices": [],
            "serving": {"teacher": endpoint, "student": alone},
            "names": {"teacher": NAMES["teacher"], "student": NAMES["student"]},
            "case_study": [
                _case("latency", "seconds", (0.0195, None, None, 0.0219), Interval(value=-0.12, low=-0.14, high=-0.1), 0.85),
                _case("memory", "bytes", (None, None, None, 423 << 20), None, 0.95),
            ],
            "costs": Costs(
                teacher_per_1k_requests=None,
                student_per_1k_requests=None,
                distillation=None,
                break_even_requests=None,
                machine_seconds={},
            ),
            "curation": Curation(answers=0, kept=0, funnel=[], examples=[], labels_before={}, labels_after={}),
            "side_by_side": [],
            "caveats": [],
            "earlier": [],
            "lineage": full.lineage.model_copy(update={"licences": {}, "settings": {}}),
            "interruptions": interruptions_of(),
        }
    )


def interruptions_of(**stages: Interruptions | None) -> InterruptionsReport:
    """Return what a report says of stages' interruptions."""
    recorded = [figures for figures in stages.values() if figures is not None]
    return InterruptionsReport(in_all=add_up(recorded) if recorded else None, stages=stages)


def artifact(kind: str) -> Artifact:
    """Return the handle of an artefact that nobody made."""
    return Artifact(kind=kind, store="file:///store", fingerprint=sha256(kind.encode()).hexdigest(), counts={"rows_kept": 1_234})


def write_losses(folder: Path) -> Path:
    """Write training metrics as a trainer writes them, and return the file."""
    rows = [{"step": 0, "max_steps": 50, "seconds": 0.1}]
    rows += [{"step": step, "max_steps": 50, "loss": 2 / step**0.5, "seconds": 0.1 * step} for step in range(1, 51)]
    rows += [
        {"step": step, "max_steps": 50, "eval_loss": 2.2 / step**0.5, "seconds": 0.1 * step} for step in (10, 20, 30, 40, 50)
    ]
    file = folder / "metrics.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


_SCORES: dict[ModelName, float] = {"teacher": 0.912, "baseline": 0.511, "control": 0.893, "student": 0.872}

PREFERENCE = Preference(
    judge="acme/judge",
    items=600,
    win_rate=about(0.462, 0.04),
    wins=221,
    ties=112,
    losses=267,
    consistent=0.78,
    first_preferred=0.56,
    unreadable=4,
    length_controlled_win_rate=about(0.481, 0.04),
)


def _step(
    name: str, seen: int, marginal: int, independent: int, mode: Literal["annotate", "drop"] = "drop", wanted: bool = False
) -> FunnelStep:
    return FunnelStep(
        filter=name, mode=mode, seen=seen, marginal=marginal, independent=independent, seconds=seen / 5_000, wanted=wanted
    )


CURATION = Curation(
    answers=12_000,
    kept=10_432,
    funnel=[
        _step("finish_reason", 12_000, 310, 310),
        _step("empty", 11_690, 12, 14),
        _step("repetition", 11_678, 204, 419),
        _step("language", 11_474, 77, 90, mode="annotate"),
        _step("answer_validity", 11_474, 512, 601),
        _step("near_duplicate", 10_962, 230, 230),
        _step("balance", 10_732, 300, 300, wanted=True),
    ],
    examples=[
        RejectedExample(
            reasons=["too_repetitive", "truncated"],
            prompt="Where is my card?",
            completion="It is on its way, it is on its way, it is",
        ),
        RejectedExample(reasons=["not_a_label"], prompt="I was charged twice", completion="I am sorry to hear that."),
    ],
    labels_before={"card_arrival": 1_480, "exchange_rate": 802, "refund_not_showing_up": 640},
    labels_after={"card_arrival": 1_301, "exchange_rate": 790, "refund_not_showing_up": 412},
)
_CASES = [
    SideBySide(
        id="test-17",
        task="CLASSIFICATION",
        prompt="I still have not received my new card, I ordered over a week ago.",
        references=["card_arrival"],
        completions={
            "teacher": "card_arrival",
            "baseline": "I am sorry to hear that.",
            "control": "card_arrival",
            "student": "lost_or_stolen_card",
        },
        scores={"teacher": 1.0, "baseline": 0.0, "control": 1.0, "student": 0.0},
        tags={"label": "card_arrival"},
    ),
    SideBySide(
        id="test-204",
        task="CONVERSATION",
        prompt="Explain in two sentences why the sky is blue.",
        references=[],
        completions={
            "teacher": "Sunlight is scattered by the molecules of the air, and blue light is scattered more than red.\n\n"
            "So from every direction some blue light reaches the eye.",
            "student": "The air scatters blue light more than red light. That is why the sky looks blue.",
        },
        scores={"teacher": 0.41, "student": 0.57},
        tags={},
    ),
]


def _case_number(number: int) -> SideBySide:
    return SideBySide(
        id=f"test-{500 + number}",
        task="CLASSIFICATION",
        prompt=f"What is the exchange rate for {number + 2} dollars?",
        references=["exchange_rate"],
        completions={"teacher": "exchange_rate", "baseline": "1.0", "student": "exchange_rate"},
        scores={"teacher": 1.0, "baseline": 0.0, "student": 1.0},
        tags={"label": "exchange_rate"},
    )


def _task(
    name: str, metric: str, factors: dict[str, float], kappa: float | None = None, preference: Preference | None = None
) -> TaskReport:
    return TaskReport(
        task=name,
        items=1_000 if preference is None else 600,
        metric=metric,
        metrics={name: {model: about(score * factor) for model, score in _SCORES.items()} for name, factor in factors.items()},
        rates={
            model: Rates(invalid=about(0.004, 0.003), truncated=about(0.0, 0.002), repeated=about(0.011, 0.005))
            for model in _SCORES
        },
        retained=Interval(value=0.956, low=0.931, high=0.982),
        gap_closed=Interval(value=0.9, low=0.85, high=0.96),
        improvement=Interval(value=0.361, low=0.329, high=0.392),
        agreement=None if preference else about(0.871, 0.02),
        kappa=kappa,
        p_values={"baseline": 0.00001, "teacher": 0.041},
        required_items=None if preference is None else 2_400,
        preference=preference,
    )


def _case(figure: str, unit: str, values: tuple[float | None, ...], change: Interval | None, reference: float) -> CaseRow:
    by_model = dict(zip(("teacher", "baseline", "control", "student"), values, strict=True))
    return CaseRow.model_validate({"figure": figure, "unit": unit, "values": by_model, "change": change, "reference": reference})


def _earlier(created_at: str, retained: float, verdict: str, items: int) -> EarlierRun:
    return EarlierRun.model_validate(
        {
            "fingerprint": sha256(created_at.encode()).hexdigest(),
            "created_at": created_at,
            "verdict": verdict,
            "retained": about(retained, 0.026),
            "items": items,
            "student": {"CLASSIFICATION": round(0.912 * retained, 4)},
        }
    )


def _serving(*, milliseconds: float, items_per_second: float, memory: int, weights: int) -> Serving:
    seconds = milliseconds / 1e3
    return Serving(
        latency_seconds=about(seconds, seconds / 50),
        loads=[
            Load(
                concurrency=concurrency,
                requests=64,
                first_token_seconds=Quantiles(p50=seconds * slower / 3, p95=seconds * slower / 2),
                per_token_seconds=Quantiles(p50=seconds / 5, p95=seconds / 4),
                latency_seconds=Quantiles(p50=seconds * slower, p95=seconds * slower * 1.4),
                requests_per_second=concurrency / seconds / slower,
                output_tokens_per_second=3 * concurrency / seconds / slower,
            )
            for concurrency, slower in ((1, 1.0), (4, 1.6), (16, 4.1), (64, 14.8))
        ],
        items_per_second=items_per_second,
        tokens_per_second=3 * items_per_second,
        peak_memory_bytes=memory << 20,
        weight_bytes=weights << 20,
        kv_bytes_per_token=23_040,
        energy_joules_per_item=milliseconds / 50,
        cost_per_1k_requests=None,
        dtype="bfloat16",
    )
