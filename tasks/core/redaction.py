"""Blacks out what a shown sample must not give away: addresses, telephone and account numbers, keys."""

import re

from tasks.core.personal_data import black_out

_YEARS = r"(?:1\d|20)\d\d[-/](?:1\d|20)\d\d(?!\d|[ ()./-]{1,2}\d)"  # like prices, nobody's number
_DOUBTFUL = (
    ("[key]", re.compile(r"\b(?:(?:sk|pk|rk|gsk|hf|xai|ghp|nvapi)[-_]|AKIA|AIza|eyJ)[-_A-Za-z0-9.]{12,}")),
    ("[key]", re.compile(r"\b(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_-]{28,}\b")),
    ("[iban]", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")),
    ("[ip address]", re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")),
    ("[number]", re.compile(rf"(?<![\w$€£])(?!{_YEARS})\+?\(?\d(?:[ ()./-]{{0,2}}\d){{6,}}")),
)
"""What only looks personal is left alone in the data, and not shown all the same."""


def redact(text: str, max_characters: int) -> str:
    """Return a text, shortened, with everything that is or only looks personal or secret blacked out.

    Args:
        text: Any text.
        max_characters: Longest result, before the ellipsis.
    """
    text, _ = black_out(text)
    for replacement, pattern in _DOUBTFUL:
        text = pattern.sub(replacement, text)
    flat = " ".join(text.split())
    return flat if len(flat) <= max_characters else f"{flat[:max_characters]}..."
