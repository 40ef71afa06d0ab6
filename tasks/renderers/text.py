"""Text from data made safe to look at: nothing invisible in it, nothing that changes the order of what stands beside it."""

import unicodedata

_KEPT = "\n\t"
_DIRECTING = {
    "LRE",
    "RLE",
    "LRO",
    "RLO",
    "PDF",
    "LRI",
    "RLI",
    "FSI",
    "PDI",
}  # classes of Unicode's bidirectional algorithm, UAX 9
_BREAKS = "\u2028\u2029"


def visible(text: str) -> str:
    """Return a text whose control characters are written out, as ``[U+202E]``.

    Written out are controls, characters that turn the direction of writing (with which a text can look as it does not read:
    "Trojan Source", CVE-2021-42574), and halves of surrogate pairs, which have no UTF-8.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _is_plain(character) else f"[U+{ord(character):04X}]" for character in text)


def shorten(text: str, max_length: int) -> str:
    """Return a text of one line with at most so many characters, the last an ellipsis where some were left out."""
    line = " ".join(text.split())
    return line if len(line) <= max_length else f"{line[: max_length - 1].rstrip()}…"


def _is_plain(character: str) -> bool:
    if character in _KEPT:
        return True
    is_control = unicodedata.category(character) in {"Cc", "Cs"} or character in _BREAKS
    return not is_control and unicodedata.bidirectional(character) not in _DIRECTING
