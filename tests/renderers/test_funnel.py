"""The funnel of the curation, as it is drawn."""

import re

import pytest

from tasks.renderers.facts.curation import funnel_figure
from tests.renderers.report_parts import CURATION


def test_the_funnel_shows_of_each_filter_what_came_to_it_and_what_it_took_or_marked() -> None:
    plot = str(funnel_figure(CURATION).plot)
    shown = [float(width) for width in re.findall(r'width="([\d.]+)"[^>]*class="(?:annotated|removed)"', plot)]
    per_row = shown[0] / 310  # of finish_reason

    assert shown[3] == pytest.approx(90 * per_row, rel=0.01), "language marks 90 and takes out none"
    assert ">90<" in plot
