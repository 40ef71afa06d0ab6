"""Costs: of requests, of the distillation with everything that led to it, and when it has paid for itself."""

from pathlib import Path

import pytest

from tasks.comparing.costs import reckon_costs
from tasks.comparing.lineage import find_ancestors
from tasks.comparing.settings import PriceSettings
from tasks.core.artifact import Artifact
from tasks.renderers.schema import Costs, ModelName
from tasks.teachers.serving import Serving
from tests.comparing.artifacts import artifact, evaluation, interrupted
from tests.comparing.models import prompt, serving

PRICES = PriceSettings(teacher_per_hour=36, student_per_hour=3.6, training_per_hour=7.2)
HERE: dict[ModelName, Serving] = {"teacher": serving(0.2), "baseline": serving(0.1), "student": serving(0.1)}
ITEMS = [prompt(1, "MATH", "4")]


def costs_of(prices: PriceSettings, served: dict[ModelName, Serving], **stages: Artifact) -> Costs:
    return reckon_costs(prices, served, find_ancestors(stages), items=1_000)


def test_a_request_costs_the_machines_time_at_full_load() -> None:
    costs = costs_of(PRICES, HERE)

    assert costs.teacher_per_1k_requests == pytest.approx(1_000 / 10 * 36 / 3600)  # 10 items a second
    assert costs.student_per_1k_requests == pytest.approx(1_000 / 20 * 3.6 / 3600)


def test_all_attempts_of_all_stages_are_paid_for_until_break_even(tmp_path: Path) -> None:
    model = artifact(tmp_path, "model", "teacher", {})
    generations = artifact(tmp_path, "generations", "answers", interrupted(1, 10), teacher=model)
    student = artifact(tmp_path, "student", "student", interrupted(0, 0), generations=generations)
    costs = costs_of(PRICES, HERE, student=student)

    assert costs.machine_seconds["student"] == 100 and costs.machine_seconds[f"generations {generations.fingerprint[:8]}"] == 100
    assert costs.distillation == pytest.approx(100 * (36 + 7.2) / 3600)
    saved = 1.0 - 0.05  # of 1,000 requests
    assert costs.break_even_requests == pytest.approx(1_000 * 1.2 / saved, abs=1)


def test_an_endpoint_has_prices_of_its_own(tmp_path: Path) -> None:
    endpoint = artifact(tmp_path, "model", "endpoint", {"endpoint": {"model": "acme/large"}})
    charged = {"effort": {"cost": 5.0}, **interrupted(0, 0)}
    generations = artifact(tmp_path, "generations", "answers", charged, teacher=endpoint)
    asked = serving(0.2, memory=None, price=0.5)
    tested = evaluation(tmp_path, "acme/large", ITEMS, [1.0], asked, model=endpoint)
    costs = costs_of(PriceSettings(), {**HERE, "teacher": asked}, generations=generations, teacher_evaluation=tested)

    assert costs.teacher_per_1k_requests == 0.5
    assert costs.distillation == pytest.approx(5.0 + 0.5)  # 1,000 items


def test_what_has_no_price_leaves_the_sum_unknown(tmp_path: Path) -> None:
    student = artifact(tmp_path, "student", "student", interrupted(0, 0))
    costs = costs_of(PriceSettings(teacher_per_hour=36, student_per_hour=3.6), HERE, student=student)

    assert costs.teacher_per_1k_requests is not None
    assert (costs.distillation, costs.break_even_requests) == (None, None)


def test_a_student_that_costs_more_never_pays_for_itself(tmp_path: Path) -> None:
    slow: dict[ModelName, Serving] = {**HERE, "student": serving(20.0)}
    costs = costs_of(PRICES, slow, student=artifact(tmp_path, "student", "student", interrupted(0, 0)))

    assert costs.break_even_requests is None
