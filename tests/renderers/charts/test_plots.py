"""What the plots draw: marks at their values, intervals as long as they are, bars in proportion, models of different shapes."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from tasks.metrics.intervals import Interval
from tasks.renderers.charts.bars import Bar, draw_funnel
from tasks.renderers.charts.dots import DotRow, Guide, draw_dots
from tasks.renderers.charts.lines import Line, draw_lines
from tasks.renderers.formats import share, whole_share

SVG = "{http://www.w3.org/2000/svg}"


def parts(plot: str, tag: str, class_: str) -> list[ElementTree.Element]:
    """Return the elements of a plot that have a class, in their order."""
    found = ElementTree.fromstring(plot).iter(f"{SVG}{tag}")
    return [each for each in found if class_ in (each.get("class") or "").split()]


def number(element: ElementTree.Element, name: str) -> float:
    return float(element.get(name, "nan"))


def test_dots_and_whiskers_lie_at_their_values() -> None:
    rows = [
        DotRow(name, [("student", Interval(value=value, low=value - 0.1, high=value + 0.1))])
        for name, value in (("a", 0.4), ("b", 0.6))
    ]
    plot = draw_dots("plot", rows, written=share, ticks=whole_share, guide=Guide(0.6, "asked for"))

    first, second = (number(mark[-1], "cx") for mark in parts(plot, "g", "mark"))
    whiskers = [(number(each, "x1"), number(each, "x2")) for each in parts(plot, "line", "whisker")]
    assert whiskers[0][0] < first == pytest.approx(sum(whiskers[0]) / 2, abs=0.02)
    assert second - first == pytest.approx(whiskers[0][1] - whiskers[0][0], abs=0.02)
    assert number(parts(plot, "line", "guide")[0], "x1") == second
    assert {"40.0 %", "60.0 %", "asked for"} <= set(re.findall(r">([^<]+)<", plot))


def test_a_value_without_an_interval_has_a_dot_and_no_whisker() -> None:
    plot = draw_dots("plot", [DotRow("a", [("student", Interval(value=0.4))])], written=share, ticks=whole_share)

    assert len(parts(plot, "g", "mark")) == 1 and not parts(plot, "line", "whisker")


def test_each_model_has_a_shape_or_a_fill_and_a_dash_of_its_own() -> None:
    models = ("teacher", "baseline", "control", "student")
    plot = draw_dots("plot", [DotRow("a", [(model, Interval(value=0.5)) for model in models])], written=share, ticks=whole_share)
    shapes = [mark[-1].tag.removeprefix(SVG) for mark in parts(plot, "g", "mark")]

    assert shapes == ["rect", "circle", "path", "circle"]  # the student's circle is filled


def test_lines_go_through_their_points_and_bands_reach_up_to_theirs() -> None:
    line = Line("teacher", "teacher", [(1, 1.0), (4, 10.0), (16, 100.0)], upper=[2.0, 20.0, 200.0], has_dots=True)
    plot = draw_lines("plot", [line], x_name="x", y_name="y", written=str, x_ticks=[1, 4, 16], is_logarithmic=True)

    [drawn] = parts(plot, "path", "line")
    points = [tuple(map(float, point.split())) for point in drawn.get("d", "M")[1:].split("L")]
    steps = [(after[0] - before[0], before[1] - after[1]) for before, after in pairwise(points)]
    assert steps[0] == pytest.approx(steps[1], abs=0.02), "even steps of powers are even steps on the scale"
    assert len(parts(plot, "path", "band")) == 1 and len(parts(plot, "g", "mark")) == 3


def test_a_plot_of_nothing_says_so() -> None:
    assert "nothing was recorded" in draw_lines("plot", [Line("a", "student", [])], x_name="x", y_name="y", written=str)


def test_a_funnels_bars_are_in_proportion_and_what_was_taken_stands_at_their_end() -> None:
    plot = draw_funnel(
        "plot", [Bar("answers", 1_000, 0), Bar("empty", 1_000, 250), Bar("language", 750, 75, True), Bar("kept", 750, 0)]
    )

    kept = [(number(bar, "x"), number(bar, "width")) for bar in parts(plot, "rect", "kept")]
    [removed], [marked] = parts(plot, "rect", "removed"), parts(plot, "rect", "annotated")
    assert number(removed, "width") == pytest.approx(kept[0][1] / 4, abs=0.02)
    assert number(removed, "x") == pytest.approx(sum(kept[1]), abs=0.02)
    assert number(marked, "width") == pytest.approx(kept[0][1] * 0.075, abs=0.02)
    assert kept[3][1] == pytest.approx(kept[0][1] * 0.75, abs=0.02)
    assert "\N{MINUS SIGN}250" in plot


def test_an_empty_curation_can_be_drawn() -> None:
    assert ElementTree.fromstring(draw_funnel("plot", [Bar("answers", 0, 0), Bar("kept", 0, 0)])) is not None


def test_a_long_label_is_cut_and_told_in_full_when_pointed_at() -> None:
    label = "a_label_that_has_more_letters_than_there_is_room_for"
    plot = draw_dots("plot", [DotRow(label, [("student", Interval(value=0.5))])], written=share, ticks=whole_share)

    assert f"<title>{label}</title>" in plot
    assert "…</text>" in plot
