"""How near the models are token by token, as the report's tables tell it."""

from pathlib import Path

from tasks.renderers.facts.quality import fidelity_table
from tasks.renderers.html import render_html
from tasks.renderers.markdown import render_markdown
from tests.renderers.pages import Page
from tests.renderers.reports import minimal_report, sample_report, write_losses


def test_every_figure_is_a_row_with_the_models_as_columns() -> None:
    table = fidelity_table(sample_report().tasks[0])
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}

    assert [column.name for column in table.columns] == ["figure", "teacher", "baseline", "student"]
    assert rows == {
        "KL from the teacher, a token": ["-", "1.904 nats", "0.131 nats"],
        "likeliest token is the teacher's": ["-", "50.7 %", "94.2 %"],
        "perplexity of the teacher's answers": ["1.21", "9.80", "1.40"],
        "perplexity of the references": ["5.40", "123,456", "6.20"],
    }
    assert table.rows[0][0].quiet == "at least, of 200 items; the candidates hold 97.3 % of the teacher's probability"


def test_both_forms_of_the_report_have_them_where_there_are_any(tmp_path: Path) -> None:
    page = Page(render_html(sample_report(), write_losses(tmp_path)))

    assert "Token by token: CLASSIFICATION" in render_markdown(sample_report()) and "KL from the teacher" in page.text
    assert "Token by token" not in render_markdown(minimal_report())
