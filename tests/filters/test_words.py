"""Texts as word hashes: the same words hash alike wherever they stand, and n-grams stay inside their text."""

import numpy as np

from tasks.filters import words as module
from tasks.filters.words import hash_ngrams, hash_whole, hash_words


def words_of(text: str, marks: bool = False) -> list[int]:
    return hash_words([text], marks).hashes.tolist()


def test_a_word_hashes_alike_wherever_it_stands() -> None:
    found = hash_words(["the still is hot", "", "Hot is  the\n still."])

    assert found.offsets.tolist() == [0, 4, 4, 8]
    assert sorted(found.hashes[:4]) == sorted(found.hashes[4:])
    assert len(set(found.hashes.tolist())) == 4


def test_hashes_do_not_depend_on_the_texts_beside_or_on_the_process() -> None:
    assert words_of("mash") == hash_words(["sour " * 20_000, "mash"]).hashes[-1:].tolist() == [2706979822300888317]


def test_one_unicode_text_in_two_encodings_has_the_same_words() -> None:
    assert words_of("caf\u00e9 \ufb01n") == words_of("cafe\u0301 FIN")


def test_scripts_without_spaces_have_a_word_a_character() -> None:
    assert len(words_of("蒸留酒を飲む")) == 6
    assert len(words_of("дистиллят готов")) == 2


def test_marks_are_words_only_where_they_are_asked_for() -> None:
    assert words_of("C++") == words_of("C#")
    assert words_of("C++", marks=True) != words_of("C#", marks=True)
    assert len(words_of("x = 3.5", marks=True)) == 5


def test_ngrams_do_not_run_from_one_text_into_the_next() -> None:
    found = hash_ngrams(hash_words(["a b c d", "x y", "b c d"]), 3)

    assert found.offsets.tolist() == [0, 2, 2, 3]
    assert found.hashes[1] == found.hashes[2]


def test_a_text_longer_than_one_piece_is_cut_nowhere() -> None:
    long = "ferment " * (module._PIECE_CHARACTERS // 4)

    assert np.unique(hash_words([long, "ferment"]).hashes).size == 1


def test_whole_texts_hash_by_all_their_words_in_order() -> None:
    same, other, again, none = hash_whole(hash_words(["pot still", "still pot", "Pot  still", "..."])).tolist()

    assert same == again
    assert len({same, other, none}) == 3
