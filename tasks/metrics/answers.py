"""Reading an answer: what counts as the same label, and as the same text."""

import re
import string

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_QUOTES = " \"'`“”„\u2018\u2019«»"
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_label(text: str) -> str:
    """Return a label without case, repeated white space, surrounding quotes and a final full stop: C, C++ and C# stay three."""
    label = " ".join(text.casefold().split())
    while (bare := label.removesuffix(".").strip(_QUOTES)) != label:
        label = bare
    return label


def normalise_answer(text: str) -> str:
    """Return a free answer as SQuAD's evaluation compares it (Rajpurkar et al. 2016, arXiv 1606.05250).

    Lower case; no punctuation, no English articles, single spaces.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())
