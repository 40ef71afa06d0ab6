"""The line that holds the final answer after a text that led to it: ``Answer: 72``."""

import re

# Models like to put the marker, or all of its line, in bold or under a heading, and to call answers final.
ANSWER_MARKER = re.compile(r"^[ \t#*]*(?:final )?answer[ *]*:\**", re.IGNORECASE | re.MULTILINE)
_BOLD = re.compile(r"\*\*([^*]+)\*\*")


def split_at_last(marker: re.Pattern[str], text: str) -> tuple[str, str] | None:
    """Return what stands before the last marker and what stands after it, bold taken off; None without a marker."""
    markers = list(marker.finditer(text))
    return (text[: markers[-1].start()].strip(), _without_bold(text[markers[-1].end() :])) if markers else None


def _without_bold(text: str) -> str:
    answer = text.strip()
    if answer.count("**") % 2:  # it began before the marker
        answer = answer.removesuffix("**").rstrip()
    bold = _BOLD.fullmatch(answer)
    return bold[1].strip() if bold else answer
