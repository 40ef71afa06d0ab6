"""The report's forms: Markdown has the figures, the page needs nothing but itself, JSON is read back as it was written."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pydantic import ValidationError

from tasks.metrics.intervals import Interval
from tasks.renderers.formats import duration
from tasks.renderers.html import render_html
from tasks.renderers.interruptions import interruption_rows
from tasks.renderers.markdown import comparison_rows, render_markdown, table_rows
from tasks.renderers.schema import Report
from tests.renderers.reports import DISTURBED, STAGES, UNDISTURBED, interruptions_of, sample_report, write_losses

HOSTILE = """</title><script>alert(1)</script><img src=x onerror="alert('2')">&"""
LOADING = {"src", "href", "srcset", "data", "action", "poster", "background", "xlink:href"}


class Page(HTMLParser):
    """Collects a page's tags and attributes as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def losses(tmp_path: Path) -> Path:
    return write_losses(tmp_path)


def test_markdown_has_the_verdict_and_every_figure() -> None:
    text = render_markdown(sample_report())
    assert text.startswith("# quickstart: Ship it\n")
    for row in (
        "| model | acme/large | acme/small | student:0123456789abcdef |",
        "| accuracy | 91.2% (89.2% to 93.2%) | 51.1% (49.1% to 53.1%) | 87.2% (85.2% to 89.2%) |",
        "| macro-f1 | 90.2% (88.2% to 92.2%) | 50.1% (48.1% to 52.1%) | 86.2% (84.2% to 88.2%) |",
        "| latency, one request | 61.2 ms (60.0 to 62.4) | 21.7 ms (21.3 to 22.1) | 21.9 ms (21.5 to 22.3) |",
        "| items per second | 38.5 | 120.1 | 118.4 |",
        "| peak memory | 1,210 MiB | 421 MiB | 423 MiB |",
        "| weights | 513 MiB | 171 MiB | 171 MiB |",
        "| retained (student / teacher) | 95.6% (93.1% to 98.2%) |",
        "| gap closed | 90.0% (85.0% to 96.0%) |",
        "| improvement over the baseline | 36.1% (32.9% to 39.2%) |",
        "| agreement with the teacher | 87.1% (84.9% to 89.0%) |",
        "| latency saved | 64.2% |",
        "| users on the same machine | 3.1x |",
    ):
        assert row in text.splitlines()


def test_a_figure_without_an_interval_stands_alone() -> None:
    report = sample_report().model_copy(update={"retained": Interval(value=0.0), "verdict": "inconclusive"})
    text = render_markdown(report)
    assert text.startswith("# quickstart: Inconclusive\n")
    assert "| retained (student / teacher) | 0.0% |" in text.splitlines()


def test_what_is_not_known_is_a_dash_in_every_form(losses: Path) -> None:
    report = sample_report()
    unknown = {"peak_memory_bytes": None, "weight_bytes": None, "cost_per_1k_requests": 1.5}
    teacher = report.models["teacher"]
    teacher = teacher.model_copy(update={"serving": teacher.serving.model_copy(update=unknown)})
    savings = report.savings.model_copy(update={"memory": None, "size": None, "cost": None, "users": None})
    report = report.model_copy(update={"models": {**report.models, "teacher": teacher}, "savings": savings})

    lines = render_markdown(report).splitlines()
    for row in (
        "| peak memory | - | 421 MiB | 423 MiB |",
        "| weights | - | 171 MiB | 171 MiB |",
        "| price of 1,000 requests | 1.5 | - | - |",
        "| memory saved | - |",
        "| size saved | - |",
        "| users on the same machine | - |",
    ):
        assert row in lines
    page = render_html(report, losses)
    assert '<div class="tile"><b>-</b><span>less memory</span></div>' in page
    assert '<div class="tile"><b>64.2%</b><span>less latency</span></div>' in page
    costs = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)[2]
    drawn = [text.strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", costs)]
    assert drawn.count("-") == 2
    assert {"421", "423", "171", "61.2"} <= set(drawn)


def test_interruptions_are_a_line_and_a_table_by_stage(losses: Path) -> None:
    disturbed = interruptions_of(generations=DISTURBED, student=UNDISTURBED)
    report = sample_report().model_copy(update={"interruptions": disturbed})
    line = "5 attempts, 2 killed, 1 preempted, 41 s of work lost (1,400 rows, 1 step), goodput 90.9%"
    lines = render_markdown(report).splitlines()
    page = Page(render_html(report, losses)).text

    assert f"Interruptions: {line}" in lines
    assert f"Interruptions: {line}." in page
    assert "| generations | 4 | 2 killed, 1 preempted | 7 min | 41 s (1,400 rows, 1 step) | 89.8% |" in lines
    assert "| student | 1 | none | 50 s | none | 100.0% |" in lines
    assert not [value for row in interruption_rows(report) for value in row if value not in page]


def test_a_distillation_that_nothing_disturbed_has_a_line_and_no_table(losses: Path) -> None:
    text = render_markdown(sample_report())
    assert text.endswith("\nInterruptions: none\n")
    assert "Interruptions: none." in Page(render_html(sample_report(), losses)).text
    assert interruption_rows(sample_report()) == []


def test_interruptions_that_an_earlier_release_did_not_record_are_not_called_none(losses: Path) -> None:
    old = sample_report().model_copy(update={"interruptions": interruptions_of(generations=None, student=None)})
    mixed = sample_report().model_copy(update={"interruptions": interruptions_of(generations=None, student=UNDISTURBED)})

    assert "Interruptions: not recorded" in render_markdown(old).splitlines()
    assert "Interruptions: not recorded." in Page(render_html(old, losses)).text
    assert "Interruptions: none (not recorded for generations)" in render_markdown(mixed).splitlines()


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (9000, "2.5 h")])
def test_a_duration_has_the_unit_of_its_length(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_name_cannot_break_the_table() -> None:
    report = sample_report()
    report.models["teacher"].name = "a|b\n| c |"
    assert r"| model | a\|b \| c \| | acme/small | student:0123456789abcdef |" in render_markdown(report).splitlines()


def test_the_page_has_what_markdown_has(losses: Path) -> None:
    report = sample_report()
    text = Page(render_html(report, losses)).text
    figures = [value for row in table_rows(report) for value in row.values()]
    figures += [text for row in comparison_rows(report) for text in row]
    assert not [figure for figure in [*figures, "quickstart", "Ship it", report.reason] if figure not in text]


def test_the_page_lists_every_artefact_that_led_to_it(losses: Path) -> None:
    text = Page(render_html(sample_report(), losses)).text
    for stage, artifact in sample_report().lineage.items():
        assert stage.replace("_", " ") in text.replace("_", " ")
        assert artifact.fingerprint[:16] in text
    assert text.count("rows kept 1,234") == text.count("12.3") == len(STAGES)


def test_the_page_needs_nothing_but_itself(losses: Path) -> None:
    text = render_html(sample_report(), losses)
    page = Page(text)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not [(name, value) for name, value in page.attributes if name in LOADING and not value.startswith("#")]
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.findall(r"url\((?!#)|@import", text)


def test_the_three_plots_are_whole_svg_without_outside_references(losses: Path) -> None:
    plots = re.findall(r"<svg.*?</svg>", render_html(sample_report(), losses), flags=re.DOTALL)
    assert len(plots) == 3
    for plot in plots:
        assert ElementTree.fromstring(plot).get("viewBox")


def test_the_same_report_gives_the_same_page(losses: Path) -> None:
    assert render_html(sample_report(), losses) == render_html(sample_report(), losses)


def test_identifiers_inside_the_plots_are_not_shared(losses: Path) -> None:
    plots = re.findall(r"<svg.*?</svg>", render_html(sample_report(), losses), flags=re.DOTALL)
    clip_paths = [set(re.findall(r'<clipPath id="([^"]+)"', plot)) for plot in plots]
    assert not clip_paths[0] & clip_paths[1] and not clip_paths[1] & clip_paths[2] and not clip_paths[0] & clip_paths[2]


@pytest.mark.parametrize("field", ["name", "reason"])
def test_hostile_text_is_shown_and_not_run(losses: Path, field: str) -> None:
    page = Page(render_html(sample_report(**{field: HOSTILE}), losses))
    assert not {"script", "img"} & set(page.tags)
    assert HOSTILE in page.text


def test_hostile_names_of_metrics_and_artefacts_are_shown_and_not_run(losses: Path) -> None:
    report = sample_report()
    for model in report.models.values():
        model.metrics[HOSTILE] = Interval(value=0.5)
    artifact = report.lineage["prompts"].model_copy(update={"counts": {HOSTILE: 1}})
    report = report.model_copy(
        update={"lineage": {HOSTILE: artifact}, "stages": {HOSTILE: {"counts": {}, "summary": {}, "seconds": {"total": 1.0}}}}
    )
    page = Page(render_html(report, losses))
    assert not {"script", "img"} & set(page.tags)
    assert HOSTILE in page.text


def test_report_json_is_read_back_as_it_was_written() -> None:
    report = sample_report()
    assert Report.model_validate_json(report.model_dump_json(indent=2)) == report


def test_report_json_refuses_fields_it_does_not_know() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Report.model_validate({**sample_report().model_dump(), "extra": 1})


def test_a_training_without_logged_losses_still_gives_a_page(tmp_path: Path) -> None:
    losses = tmp_path / "metrics.jsonl"
    losses.write_text('{"step": 0, "max_steps": 2, "seconds": 0.0}\n', encoding="utf-8")
    assert render_html(sample_report(), losses).count("<svg") == 3
