"""The forms of the report: all have the same facts, no text from data is more than text, JSON is read back as it was written."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pydantic import ValidationError

from tasks.metrics.intervals import NOTHING
from tasks.renderers.facts.quality import slices_table, totals_table
from tasks.renderers.html import render_html
from tasks.renderers.markdown import render_markdown
from tasks.renderers.schema import Report
from tests.renderers.pages import Page
from tests.renderers.reports import (
    DISTURBED,
    HOSTILE,
    STAGES,
    UNDISTURBED,
    hostile_report,
    interruptions_of,
    minimal_report,
    sample_report,
    write_losses,
)

REVERSED = "safe\u202etxt.exe"


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_losses(tmp_path_factory.mktemp("losses"))


@pytest.fixture(scope="module")
def page(losses: Path) -> Page:
    return Page(render_html(sample_report(), losses))


@pytest.mark.parametrize(
    "row",
    [
        "| quality: CLASSIFICATION (at least 92 % of the teacher's score) | Pass |",
        "| latency (one request alone) | 61.2 ms | 21.7 ms | 21.8 ms | 21.9 ms | 64.2 % less (63.1 to 65.3 %) | 85 % less |",
        "| accuracy (primary score, all tasks) | 91.2 % | 51.1 % | 89.3 % | 87.2 % | 95.6 % kept (93.1 to 98.2 %) | 92 % kept |",
        "| concurrent users (requests answered, many at once) | 38.5 /s | 120 /s | 119 /s | 118 /s | 3.1x | 10x |",
        "| macro f1 | 89.4 % (87.4 to 91.4 %) | 50.1 % (48.1 to 52.1 %) |",
        "| improvement (student - baseline) | +36.1 points (+32.9 to +39.2 points) |",
        "| p, against baseline (adjusted over the tasks) | below 0.001 |",
        "| wins, ties, losses (of 600 judged) | 221, 112, 267 |",
        "| label: refund_not_showing_up | 61 |",
        "| teacher | 64 | 301.9 ms (p95 452.9 ms) |",
        "| break-even (requests until the distillation has paid for itself) | 65,018 |",
        "| language | marks only | 11,474 | 0 | 90 |",
        "| teacher | acme/large@0f1e2d3c4b5a |",
        "| 2026-11-16 03:11 ",
    ],
)
def test_markdown_has_every_fact_in_a_table(row: str) -> None:
    lines = render_markdown(sample_report()).splitlines()

    assert [line for line in lines if line.startswith(row)]


def test_markdown_opens_with_the_verdict_its_reason_and_the_caveats() -> None:
    report = sample_report()
    paragraphs = render_markdown(report).split("\n\n")

    assert paragraphs[0] == "# quickstart: Promote"
    assert paragraphs[1] == "The student may take the teacher's place. 95.6 % of the teacher's score is retained."
    assert [paragraph.removeprefix("> **Note:** ") for paragraph in paragraphs[3:5]] == report.caveats


def test_markdown_stays_short_enough_for_a_pull_request() -> None:
    assert len(render_markdown(sample_report())) < 13_000


def test_the_page_has_what_markdown_has(page: Page) -> None:
    cells = [
        part
        for line in render_markdown(sample_report()).splitlines()
        if line.startswith("| ")
        for part in re.split(r" \| | \(|\) \||\)? \|$|^\| ", line.replace("\\", ""))
        if part.strip("|) ")
    ]
    said = " ".join(page.text.split())

    assert len(cells) > 400
    assert not [cell for cell in cells if cell.strip("|) ") not in said and "p95" not in cell]


def test_the_page_opens_with_the_verdict(page: Page) -> None:
    assert page.title == "quickstart: Promote"
    order = [
        page.text.index(part) for part in ("Promote", "is retained", "Before you rely on this", "What the verdict follows from")
    ]
    assert order == sorted(order)


def test_what_stops_a_promotion_stands_first_among_the_conditions() -> None:
    report = sample_report()
    failed = report.conditions[1].model_copy(update={"outcome": "fail"})
    lines = render_markdown(report.model_copy(update={"conditions": [report.conditions[0], failed]})).splitlines()
    outcomes = [line.split(" | ")[1] for line in lines if " | Pass | " in line or " | Fail | " in line]

    assert outcomes == ["Fail", "Pass"]


def test_a_reason_of_many_conditions_is_told_by_their_names() -> None:
    report = sample_report()
    failed = [report.conditions[0].model_copy(update={"name": f"quality: {task}", "outcome": "fail"}) for task in ("NLI", "MATH")]
    long = report.model_copy(
        update={"verdict": "hold", "reason": "one thing; " * 40, "conditions": [*report.conditions, *failed]}
    )

    assert "2 of 4 conditions are not met: quality: NLI, quality: MATH." in render_markdown(long)


def test_a_student_that_is_slower_is_said_to_be(losses: Path) -> None:
    text = Page(render_html(minimal_report(), losses)).text

    assert "12.0\u00a0% more" in text and "10.0 to 14.0\u00a0%" in text, "no line ends before the sign"
    assert "more latency" in text


def test_what_is_not_known_is_a_dash_or_left_out(losses: Path) -> None:
    markdown = render_markdown(minimal_report())
    page = Page(render_html(minimal_report(), losses))

    assert "| memory (weights, keys and values) | - | 351 MiB | - | 95 % less |" in markdown.splitlines()
    assert "| memory to serve (weights, keys and values of 64 requests of 128 tokens) | - | 351 MiB |" in markdown.splitlines()
    assert "| peak memory (of the engine's processes, measured) | - | 423 MiB |" in markdown.splitlines()
    for name in (
        "energy of an item",
        "break-even",
        "Cohen's kappa",
        "preferred to the teacher",
        "KL from the teacher",
        "Earlier runs",
        "control:fedcba98",
    ):
        assert name not in markdown
        assert name not in page.text
    assert "The recipe gives no prices" in page.text
    assert {"#earlier", "#completions"}.isdisjoint(page.links)


def test_what_could_not_be_compared_is_a_dash_and_not_nothing_retained(losses: Path) -> None:
    unknown = {"retained": NOTHING, "gap_closed": NOTHING, "improvement": NOTHING}
    earlier = [run.model_copy(update={"retained": NOTHING}) for run in sample_report().earlier]
    report = minimal_report().model_copy(update={**unknown, "earlier": earlier})

    assert [row[1].text for row in totals_table(report).rows] == ["-", "-", "-"]
    assert "Earlier runs" in Page(render_html(report, losses)).text


def test_a_slice_in_which_the_teacher_has_nothing_right_is_not_the_one_that_retains_least(losses: Path) -> None:
    found = sample_report()
    slices = [found.slices[0].model_copy(update={"value": "unanswered", "retained": NOTHING}), *found.slices]

    assert slices_table(found.model_copy(update={"slices": slices})).rows[-1][0].text == "label: unanswered"
    page = Page(render_html(found.model_copy(update={"slices": slices[:1]}), losses))
    assert "Share retained by slice" not in page.text
    assert "Quality by slice" in page.text


def test_every_link_leads_to_a_part_of_the_page(page: Page, losses: Path) -> None:
    for each in (page, Page(render_html(minimal_report(), losses))):
        assert each.links and {link.removeprefix("#") for link in each.links} <= each.ids


def test_every_table_has_a_name_and_heads_with_a_scope(page: Page) -> None:
    assert page.tags.count("table") == page.tags.count("caption") > 15
    assert {scope for tag, scope in page.scopes} == {"col", "row"}
    assert page.tags.count("th") == len(page.scopes)


def test_every_plot_has_a_title_and_stands_beside_a_table(page: Page) -> None:
    assert len(page.plots) == 10
    for plot in page.plots:
        drawn = ElementTree.fromstring(plot)
        assert drawn.get("viewBox") and drawn.get("role") == "img"
        assert drawn[0].tag.endswith("title") and drawn[0].text
    assert page.tags.count("figure") == len(page.plots)


@pytest.mark.parametrize(
    "report", [sample_report(), minimal_report(), hostile_report(HOSTILE)], ids=["full", "minimal", "hostile"]
)
def test_the_page_needs_nothing_but_itself(report: Report, losses: Path) -> None:
    text = render_html(report, losses)
    page = Page(text)

    assert not {"link", "iframe", "object", "embed", "base", "img", "video", "audio"} & set(page.tags)
    assert not page.loads
    assert not page.inline_code
    assert not re.findall(r"url\(|@import", text)
    assert page.tags.count("script") == page.tags.count("style") == 1


def test_a_policy_lets_only_the_pages_own_script_run(losses: Path) -> None:
    page = Page(render_html(sample_report(), losses))

    assert page.policy["default-src"] == "'none'"
    assert page.policy["script-src"] == f"'{page.digest('script')}'"
    assert page.policy["style-src"] == f"'{page.digest('style')}'"
    assert "unsafe" not in str(page.policy)


def test_hostile_text_is_shown_and_makes_no_element(losses: Path) -> None:
    benign = Page(render_html(hostile_report("benign"), losses))
    page = Page(render_html(hostile_report(HOSTILE), losses))

    assert page.tags == benign.tags
    assert [name for name, _ in page.attributes] == [name for name, _ in benign.attributes]
    assert page.text.count(HOSTILE) > 50


def test_hostile_text_stays_in_its_cell_of_markdown() -> None:
    rows = [line for line in render_markdown(hostile_report(HOSTILE)).splitlines() if line.startswith("|")]
    benign = [line for line in render_markdown(hostile_report("benign")).splitlines() if line.startswith("|")]

    def cells(line: str) -> int:
        return len(re.findall(r"(?<!\\)\|", line))

    assert [cells(line) for line in rows] == [cells(line) for line in benign]
    assert not [line for line in rows if re.search(r"(?<!\\)[<`*\[]", line)]


def test_text_that_turns_the_direction_of_writing_is_written_out(losses: Path) -> None:
    report = hostile_report(REVERSED)

    for text in (render_html(report, losses), render_markdown(report)):
        assert "\u202e" not in text
        assert re.search(r"safe\\?\[U\+202E\\?\]txt.exe", text)


def test_half_a_surrogate_pair_does_not_keep_the_report_from_being_written(losses: Path) -> None:
    report = hostile_report("\ud83d")

    assert render_html(report, losses).encode()
    assert render_markdown(report).encode()


def test_completions_know_of_which_kind_they_are(page: Page) -> None:
    assert page.kinds[:3] == [("test-17", "worse"), ("test-204", "better"), ("test-500", "alike")]


def test_interruptions_are_a_line_and_a_table_by_stage() -> None:
    disturbed = interruptions_of(generations=DISTURBED, student=UNDISTURBED)
    lines = render_markdown(sample_report().model_copy(update={"interruptions": disturbed})).splitlines()

    assert "Interruptions: 5 attempts, 2 killed, 1 preempted, 41 s of work lost (1,400 rows, 1 step), goodput 90.9 %" in lines
    assert "| generations | 4 | 2 killed, 1 preempted | 7 min | 41 s (1,400 rows, 1 step) | 89.8 % |" in lines
    assert "| student | 1 | none | 50 s | none | 100.0 % |" in lines


def test_a_distillation_that_nothing_disturbed_has_a_line_and_no_table(losses: Path) -> None:
    report = sample_report().model_copy(update={"interruptions": interruptions_of(generations=UNDISTURBED)})

    assert "Interruptions: none" in render_markdown(report).splitlines()
    assert "Interruptions by stage" not in Page(render_html(report, losses)).text


def test_interruptions_that_an_earlier_release_did_not_record_are_not_called_none() -> None:
    old = sample_report().model_copy(update={"interruptions": interruptions_of(generations=None, student=None)})
    mixed = sample_report().model_copy(update={"interruptions": interruptions_of(generations=None, student=UNDISTURBED)})

    assert "Interruptions: not recorded" in render_markdown(old).splitlines()
    assert "Interruptions: none (not recorded for generations)" in render_markdown(mixed).splitlines()


def test_the_page_lists_every_artefact_that_led_to_it(page: Page) -> None:
    for artifact in sample_report().lineage.artifacts.values():
        assert artifact.fingerprint in page.text
    assert page.text.count("rows kept 1,234") == len(STAGES)


def test_the_same_report_gives_the_same_page(losses: Path) -> None:
    assert render_html(sample_report(), losses) == render_html(sample_report(), losses)


def test_report_json_is_read_back_as_it_was_written() -> None:
    report = sample_report()
    assert Report.model_validate_json(report.model_dump_json(indent=2)) == report


def test_report_json_refuses_fields_it_does_not_know() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Report.model_validate({**sample_report().model_dump(), "extra": 1})
