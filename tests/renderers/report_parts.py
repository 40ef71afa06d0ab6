"""Parts of the reports made by hand: one task, one model's serving figures, a curation, completions."""

from typing import Any, Literal

from tasks.metrics.intervals import Interval
from tasks.renderers.schema import (
    CaseRow,
    Curation,
    Fidelity,
    FunnelStep,
    ModelName,
    Preference,
    Rates,
    RejectedExample,
    SideBySide,
    TaskReport,
)
from tasks.teachers.serving import Load, Quantiles, Serving, ServingMemory

NAMES: dict[ModelName, str] = {
    "teacher": "acme/large",
    "baseline": "acme/small",
    "control": "control:fedcba98",
    "student": "student:01234567",
}


def about(value: float, margin: float = 0.02) -> Interval:
    """Return a value with an interval around it."""
    return Interval(value=value, low=max(value - margin, 0), high=value + margin)


_SCORES: dict[ModelName, float] = {"teacher": 0.912, "baseline": 0.511, "control": 0.893, "student": 0.872}

FIDELITY: dict[ModelName, Fidelity] = {
    "teacher": Fidelity(answer_perplexity=about(1.21), reference_perplexity=about(5.4)),
    "baseline": Fidelity(
        divergence=about(1.904),
        top1_agreement=about(0.507),
        items=200,
        covered=0.973,
        answer_perplexity=about(9.8),
        reference_perplexity=about(123_456.0),
    ),
    "student": Fidelity(
        divergence=about(0.131),
        top1_agreement=about(0.942),
        items=200,
        covered=0.973,
        answer_perplexity=about(1.4),
        reference_perplexity=about(6.2),
    ),
}
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
_MOSTLY_WON: dict[str, Any] = {"win_rate": about(0.871, 0.03), "wins": 502, "ties": 41, "losses": 57}


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
        _step("language", 11_474, 0, 90, mode="annotate"),
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
    repeated_test_prompts=3,
)
CASES = [
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


def plain_case(number: int) -> SideBySide:
    return SideBySide(
        id=f"test-{500 + number}",
        task="CLASSIFICATION",
        prompt=f"What is the exchange rate for {number + 2} dollars?",
        references=["exchange_rate"],
        completions={"teacher": "exchange_rate", "baseline": "1.0", "student": "exchange_rate"},
        scores={"teacher": 1.0, "baseline": 0.0, "student": 1.0},
        tags={"label": "exchange_rate"},
    )


def task_report(
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
        likeness={} if preference is None else {"chrf": {"baseline": about(0.211), "student": about(0.463)}},
        p_values={"baseline": 0.00001, "teacher": 0.041},
        required_items=None if preference is None else 2_400,
        preferences={} if preference is None else {"baseline": preference.model_copy(update=_MOSTLY_WON), "teacher": preference},
        fidelity={} if preference else FIDELITY,
    )


def case_row(figure: str, unit: str, values: tuple[float | None, ...], change: Interval | None, reference: float) -> CaseRow:
    by_model = dict(zip(("teacher", "baseline", "control", "student"), values, strict=True))
    return CaseRow.model_validate({"figure": figure, "unit": unit, "values": by_model, "change": change, "reference": reference})


def serving_figures(*, milliseconds: float, items_per_second: float, memory: int, weights: int) -> Serving:
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
        memory=ServingMemory(
            weight_bytes=weights << 20,
            kv_bytes_per_token=23_040,
            kv_bytes_per_request=128 * 23_040,
            request_tokens=128,
            requests=64,
        ),
        peak_memory_bytes=memory << 20,
        energy_joules_per_item=milliseconds / 50,
        cost_per_1k_requests=None,
        dtype="bfloat16",
    )
