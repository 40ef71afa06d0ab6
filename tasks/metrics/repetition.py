"""How much of a text goes round in circles: one measure for curation and evaluation alike."""

import re
import zlib

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w{1,12}|[^\w\s]")
"""Chinese, Japanese and Korean have no spaces, so each of their characters is a word; an endless word is many."""
_NGRAM_WORDS = 4
_MAX_COMPRESSED_RATIO = 0.35
_MAX_REPEATED_SHARE = 0.3


def repeated_share(text: str) -> float:
    """Return the share of a text's words that are part of four in a row that stood in the text before, in [0, 1].

    Repetition of n-grams as in Rae et al. 2021 (Gopher, arXiv 2112.11446), counted in words and without what came first.
    A text that zlib does not press below 0.35 of its size repeats next to nothing: it counts as 0, at a tenth of the time.
    """
    raw = text.encode()
    if not raw or len(zlib.compress(raw, 1)) >= _MAX_COMPRESSED_RATIO * len(raw):
        return 0.0
    words = _WORD.findall(text.lower())
    seen: set[tuple[str, ...]] = set()
    repeated, covered = 0, 0  # words up to here have been counted
    for start in range(len(words) - _NGRAM_WORDS + 1):
        ngram = tuple(words[start : start + _NGRAM_WORDS])
        if ngram in seen:
            end = start + _NGRAM_WORDS
            repeated += end - max(start, covered)
            covered = end
        seen.add(ngram)
    return repeated / max(len(words), 1)


def is_repetitive(text: str) -> bool:
    """Return whether so much of an answer repeats itself that it is no good answer: more than three words in ten."""
    return repeated_share(text) > _MAX_REPEATED_SHARE
