"""Numbers are written with their unit, and no longer than they are exact."""

import pytest

from tasks.metrics.intervals import Interval
from tasks.renderers.charts.scales import Written
from tasks.renderers.formats import bounds, duration, latency, money, points, probability, rate, score, share, size


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [
        (share, 0.9561, "95.6 %"),
        (share, -0.0001, "0.0 %"),
        (points, 0.361, "+36.1 points"),
        (points, -0.02, "-2.0 points"),
        (score, 1.0, "100.0 %"),
        (score, 12.34, "12.34"),
        (latency, 0.0612, "61.2 ms"),
        (latency, 3.456, "3.46 s"),
        (duration, 0.4, "0 s"),
        (duration, 119, "119 s"),
        (duration, 120, "2 min"),
        (duration, 7199, "120 min"),
        (duration, 9000, "2.5 h"),
        (size, 512, "512 B"),
        (size, 23_040, "22.5 KiB"),
        (size, 423 << 20, "423 MiB"),
        (size, 1_210 << 20, "1,210 MiB"),
        (size, 140 << 30, "140 GiB"),
        (money, 18.4, "18.40"),
        (money, 0.42, "0.420"),
        (money, 0.00123, "0.0012"),
        (money, 0.0, "0.000"),
        (rate, 38.51, "38.5 /s"),
        (rate, 1_184.2, "1,184 /s"),
        (probability, 0.00001, "below 0.001"),
    ],
)
def test_a_number_is_written_with_its_unit(form: Written, value: float, shown: str) -> None:
    assert form(value) == shown


@pytest.mark.parametrize(
    ("form", "interval", "shown"),
    [
        (share, Interval(value=0.956, low=0.931, high=0.982), "93.1 to 98.2 %"),
        (points, Interval(value=0.0, low=-0.02, high=0.03), "-2.0 to +3.0 points"),
        (latency, Interval(value=0.9, low=0.8, high=1.2), "800.0 ms to 1.20 s"),
        (share, Interval(value=0.956), ""),
    ],
)
def test_bounds_have_their_unit_once(form: Written, interval: Interval, shown: str) -> None:
    assert bounds(interval, form) == shown
