"""Elements are escaped as they are put together, numbers are short, and what cannot be seen is written out."""

import pytest

from tasks.renderers.charts.svg import element, text
from tasks.renderers.text import shorten, visible


def test_text_is_escaped_and_markup_is_kept() -> None:
    inner = element("title", ["</title><script>"])

    assert inner == "<title>&lt;/title&gt;&lt;script&gt;</title>"
    assert element("g", [inner], class_='a"b') == f'<g class="a&#34;b">{inner}</g>'


def test_numbers_are_short_and_absent_attributes_left_out() -> None:
    assert text(1.0, 2.126, "x") == '<text x="1" y="2.13" text-anchor="start">x</text>'


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand é ملف", "two\nlines\tand é ملف"),
        ("abc\u202edcba", "abc[U+202E]dcba"),
        ("\u2066x\u2069", "[U+2066]x[U+2069]"),
        ("\x00\x1b[31m", "[U+0000][U+001B][31m"),
        ("half \ud800", "half [U+D800]"),
    ],
)
def test_what_cannot_be_seen_is_written_out(given: str, shown: str) -> None:
    assert visible(given) == shown


def test_a_long_text_ends_with_an_ellipsis() -> None:
    assert shorten("one two  three", 20) == "one two three"
    assert shorten("one two three", 9) == "one two…"
