"""Scales begin and end at round values, and put values where they belong."""

import pytest

from tasks.renderers.charts.scales import Scale, fit, round_logarithms, round_values


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 1, [0, 0.5, 1]),
        (0, 0.93, [0, 0.5, 1]),
        (0, 87, [0, 50, 100]),
        (0.81, 1.03, [0.8, 0.9, 1, 1.1]),
        (0, 0, [0, 0.5, 1]),
    ],
)
def test_round_values_span_the_range(low: float, high: float, wanted: list[float]) -> None:
    assert round_values(low, high, about=4) == pytest.approx(wanted)


def test_round_logarithms_span_the_range() -> None:
    assert round_logarithms(0.03, 1.4) == pytest.approx([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])
    assert round_logarithms(0.01, 90) == pytest.approx([0.01, 0.1, 1, 10, 100])


def test_an_even_scale_begins_at_nought() -> None:
    scale, ticks = fit([40, 90], start=0, end=200)

    assert (ticks[0], ticks[-1]) == (0, 100)
    assert scale.place(50) == 100


def test_a_logarithmic_scale_gives_each_power_the_same_room() -> None:
    scale = Scale(1, 100, 0, 200, is_logarithmic=True)

    assert [scale.place(value) for value in (1, 10, 100, 1_000)] == pytest.approx([0, 100, 200, 200])
