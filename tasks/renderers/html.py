"""report.html: one self-contained page, plots inline, that opens without a network."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks.renderers.formats import share, times, with_interval
from tasks.renderers.interruptions import COLUMNS, interruption_line, interruption_rows
from tasks.renderers.markdown import VERDICTS, comparison_rows, table_rows
from tasks.renderers.plots import plot_costs, plot_losses, plot_scores
from tasks.renderers.schema import Report


def render_html(report: Report, losses: Path) -> str:
    """Return the report as a page.

    Args:
        report: The content.
        losses: The student's training metrics, JSON Lines.
    """
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    # The plots are the only markup that is not escaped; they are drawn from numbers and from names of ours.
    plots = [
        ("Scores on the test items", Markup(plot_scores(report))),
        ("Training of the student", Markup(plot_losses(losses))),
        ("What each model costs to run", Markup(plot_costs(report))),
    ]
    return environment.get_template("report.html.j2").render(
        report=report,
        verdict=VERDICTS[report.verdict],
        headline=with_interval(report.retained),
        savings=[
            (f"{report.metric} retained", share(report.retained.value)),
            ("less latency", share(report.savings.latency)),
            ("less memory", share(report.savings.memory)),
            ("less cost", share(report.savings.cost)),
            ("users", times(report.savings.users)),
        ],
        rows=table_rows(report),
        comparisons=comparison_rows(report),
        interruptions=interruption_line(report),
        interruption_columns=COLUMNS[1:],
        interruption_rows=interruption_rows(report),
        plots=plots,
    )
