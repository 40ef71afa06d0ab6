"""The search for needles finds what ``in`` finds."""

from tasks.core.needles import needle_search

NEEDLES = ("can't", " ai", "a.b", "://", "-----BEGIN", "не могу", "无法", "(x|y)", "#1 &~")


def test_a_text_has_a_needle_if_it_stands_in_it_letter_by_letter() -> None:
    texts = [*(f"before{needle}after" for needle in NEEDLES), *NEEDLES, "", "acb", "CAN'T", "can\u2019t", "x", "не  могу", ":/ /"]

    assert needle_search(NEEDLES)(texts) == [any(needle in text for needle in NEEDLES) for text in texts]
    assert needle_search(NEEDLES)([]) == []
