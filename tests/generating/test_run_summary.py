"""The figures of a run are those of its rows, its price is that of its GPUs or its endpoint, and shown samples are safe."""

from pathlib import Path
from typing import Any

import pytest

from tasks.generating.answering import Effort
from tasks.generating.summary import pick_samples, summarise_rows, total_effort
from tasks.teachers.exchange import Completion
from tests.generated import row, write_rows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "generations.parquet"


def effort(rows: int, seconds: float, cost: float | None = None) -> dict[str, Any]:
    """Return what answering so many rows of ten tokens took."""
    spent = Effort(engine_starts=1, engine_steps=5, seconds=seconds, cost=cost)
    for number in range(rows):
        spent.count(Completion(str(number), [7] * 10, "stop", prompt_tokens=4, completion_tokens=10), 1)
    return spent.summary()


def test_the_rows_are_counted_by_teacher_and_finish_reason(file: Path) -> None:
    rows = [row(f"{number}", "yes", completion_tokens=number + 1) for number in range(22)]
    rows += [row("cut", "y", finish_reason="length", teacher="another", completion_tokens=100)]

    assert summarise_rows(write_rows(file, rows)) == {
        "finish_reasons": {"stop": 22, "length": 1},
        "teachers": {"a teacher": 22, "another": 1},
        "prompt_tokens": 69,
        "completion_tokens": 353,
        "completion_length": {"p05": 3, "p50": 12, "p95": 22, "max": 100},
    }


def test_a_run_without_rows_has_figures_too(file: Path) -> None:
    summary = summarise_rows(write_rows(file, []))

    assert (summary["completion_tokens"], summary["completion_length"]["max"]) == (0, 0)
    assert pick_samples(file, 3, seed=0) == []
    assert total_effort([], gpus=1, price_per_gpu_hour=2.0)["gpu_seconds_per_1k_rows"] is None


def test_partitions_are_added_up() -> None:
    total = total_effort([effort(10, 5.0), effort(30, 10.0)], gpus=0, price_per_gpu_hour=None)

    assert (total["rows"], total["prompt_tokens"], total["completion_tokens"]) == (40, 160, 400)
    assert (total["engine_starts"], total["engine_steps"], total["seconds"]) == (2, 10, 15.0)
    assert (total["rows_per_second"], total["tokens_per_second"]) == (2.67, 26.7), "of one engine, however many run at once"
    assert (total["gpu_seconds_per_1k_rows"], total["cost"], total["cost_per_1k_rows"]) == (0.0, None, None)


def test_a_row_costs_the_gpus_of_its_engine_for_as_long_as_it_ran() -> None:
    total = total_effort([effort(1000, 1800.0), effort(1000, 1800.0)], gpus=4, price_per_gpu_hour=2.5)

    assert total["gpu_seconds_per_1k_rows"] == 7200.0
    assert (total["cost"], total["cost_per_1k_rows"]) == (10.0, 5.0)


def test_an_endpoint_costs_what_it_charges() -> None:
    total = total_effort([effort(500, 10.0, cost=0.25), effort(500, 10.0, cost=0.5)], gpus=0, price_per_gpu_hour=2.5)

    assert (total["cost"], total["cost_per_1k_rows"]) == (0.75, 0.75)


def test_rows_that_failed_are_told_from_those_that_were_answered() -> None:
    spent = Effort()
    for reason in ("stop", "length", "refused", "error"):
        spent.count(Completion("key", [], reason), 2)

    assert (spent.rows, spent.failed) == (8, 4)


def test_the_same_samples_are_shown_again_and_another_seed_shows_others(file: Path) -> None:
    write_rows(file, [row(f"{number:04d}", f"answer {number}") for number in range(3000)])
    shown = pick_samples(file, 5, seed=0)
    numbers = [int(sample["id"]) for sample in shown]

    assert pick_samples(file, 5, seed=0) == shown
    assert pick_samples(file, 5, seed=1) != shown
    assert numbers == sorted(set(numbers))
    assert max(numbers) > 1024, "they are drawn from all rows"
    assert [sample["answer"] for sample in shown] == [f"answer {number}" for number in numbers]


def test_no_more_samples_are_shown_than_there_are(file: Path) -> None:
    assert len(pick_samples(write_rows(file, [row("a", "yes"), row("b", "no")]), 5, seed=0)) == 2


def test_a_sample_gives_nobody_away(file: Path) -> None:
    chat = [{"role": "user", "content": "earlier"}, {"role": "user", "content": "I am jane@example.com"}]
    write_rows(
        file,
        [
            row("jane@example.com", "Call +44 20 7946 0958", text=None, messages=chat),
            row("b", "16 - 3 - 4 = 9", text=f"postgres://a:b@c/d {'word ' * 100}"),
        ],
    )
    first, second = pick_samples(file, 2, seed=0)

    assert first == {"id": "[email]", "prompt": "I am [email]", "answer": "Call [phone]", "finish_reason": "stop"}
    assert second["answer"] == "16 - 3 - 4 = 9"
    assert second["prompt"].startswith("[url with password] word word")
    assert len(second["prompt"]) == 203
