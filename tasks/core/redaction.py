"""Blacks out what a shown sample must not give away: addresses, telephone and account numbers, keys."""

import re

_YEARS = r"(?:1\d|20)\d\d[-/](?:1\d|20)\d\d(?!\d|[ ()./-]{1,2}\d)"  # like prices, nobody's number
_PATTERNS = (
    ("[url with password]", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:[^\s/@]+@\S+", re.IGNORECASE)),
    ("[e-mail]", re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")),
    ("[key]", re.compile(r"\b(?:(?:sk|pk|rk|gsk|hf|xai|ghp|nvapi)[-_]|AKIA|AIza|eyJ)[-_A-Za-z0-9.]{12,}")),
    ("[key]", re.compile(r"\b(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_-]{28,}\b")),
    ("[iban]", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")),
    ("[address]", re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")),
    ("[number]", re.compile(rf"(?<![\w$€£])(?!{_YEARS})\+?\(?\d(?:[ ()./-]{{0,2}}\d){{6,}}")),
)


def redact(text: str, max_characters: int) -> str:
    """Return a text, shortened, with everything that looks personal or secret blacked out.

    Args:
        text: Any text.
        max_characters: Longest result, before the ellipsis.
    """
    for replacement, pattern in _PATTERNS:
        text = pattern.sub(replacement, text)
    flat = " ".join(text.split())
    return flat if len(flat) <= max_characters else f"{flat[:max_characters]}..."
