"""Near duplicates: what is one, which of them stays, and that neither order nor batches change it."""

from pathlib import Path

import numpy as np
import pytest

from tasks.filters.near_duplicates.search import NearDuplicates, NearDuplicateSearch

STORY = "The old copper still in the yard was cleaned twice a year by two men who had known it since they were boys"
ANSWER = "It was built in 1871 by a coppersmith from the next valley and has been repaired more often than anybody counted"

Row = tuple[str, str]


def search(folder: Path, rows: list[Row], scores: list[float] | None = None, batch: int = 4) -> NearDuplicates:
    folder.mkdir(exist_ok=True)
    keys = np.array([abs(hash_of(row)) for row in rows], np.uint64)
    quality = np.array(scores or [0.0] * len(rows))
    with NearDuplicateSearch(folder, threshold=0.7, max_template_share=0.05) as found:
        for first in range(0, len(rows), batch):
            chunk = slice(first, first + batch)
            found.add([prompt for prompt, _ in rows[chunk]], [answer for _, answer in rows[chunk]], keys[chunk])
        return found.find(lambda chosen: np.lexsort((keys[chosen], -quality[chosen])))


def hash_of(row: Row) -> int:
    return int.from_bytes("|".join(row).encode()[-8:], "big")


def varied(count: int, seed: int = 0) -> list[Row]:
    """Rows that have nothing in common but single words."""
    random = np.random.default_rng(seed)
    words = np.array([f"word{number}" for number in range(5000)])
    return [(" ".join(random.choice(words, 40)), " ".join(random.choice(words, 60))) for _ in range(count)]


def test_a_row_with_one_word_changed_is_a_duplicate_and_knows_of_which(tmp_path: Path) -> None:
    rows = [(STORY, ANSWER), *varied(20), (STORY, ANSWER.replace("1871", "1872"))]
    found = search(tmp_path, rows, scores=[1.0] * 21 + [0.5])

    assert found.survivors.tolist() == [*range(21), 0]
    assert found.similarities[21] == pytest.approx((19 - 3) / (19 + 3))
    assert (found.similarities[:21] == 1).all()


def test_rows_of_one_label_are_not_duplicates_for_their_label(tmp_path: Path) -> None:
    rows = [(prompt, "positive") for prompt, _ in varied(30)]

    assert search(tmp_path, rows).survivors.tolist() == list(range(30))


@pytest.mark.parametrize(("one", "other"), [("entailment", "contradiction"), ("C++", "C#"), ("12", "13")])
def test_one_prompt_with_two_short_answers_stays_twice(tmp_path: Path, one: str, other: str) -> None:
    assert search(tmp_path, [(STORY, one), (STORY, other)]).survivors.tolist() == [0, 1]


def test_two_different_answers_to_a_long_prompt_are_no_duplicates(tmp_path: Path) -> None:
    rows = [(STORY * 10, "Two men cleaned it."), (STORY * 10, "They had known the still since boyhood.")]

    assert search(tmp_path, rows).survivors.tolist() == [0, 1]


def test_a_template_makes_no_duplicates(tmp_path: Path) -> None:
    instruction = "Read the sentence and answer with one of these labels and nothing else at all: hot, cold, warm. Sentence: "
    rows = [(instruction + " ".join(prompt.split()[:6]), "hot") for prompt, _ in varied(50)]
    repeated = (rows[7][0] + " ", "hot")

    assert search(tmp_path, [*rows, repeated]).survivors.tolist() == [*range(50), 7]


def test_the_best_of_a_cluster_stays_whatever_the_order_and_the_batches(tmp_path: Path) -> None:
    texts = [(STORY, ANSWER), (STORY, ANSWER + " indeed"), (f"{STORY} again", ANSWER), *varied(40)]
    scores = dict(zip(texts, [0.1, 0.9, 0.9, *np.linspace(0, 1, 40)], strict=True))
    kept = []
    for number, batch in enumerate((1, 7, 50)):
        rows = [texts[place] for place in np.random.default_rng(number).permutation(len(texts))]
        found = search(tmp_path / str(number), rows, [scores[row] for row in rows], batch)
        kept.append({rows[place] for place in found.survivors})

    assert kept[0] == kept[1] == kept[2]
    assert kept[0] == {min(texts[1:3], key=hash_of), *texts[3:]}


def test_planted_pairs_are_found_and_nothing_else(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    rows = varied(1500)
    planted = random.choice(1500, 200, replace=False)
    for place in planted:
        prompt, answer = (text.split() for text in rows[place])
        prompt[int(random.integers(len(prompt)))] = "changed"
        answer[int(random.integers(len(answer)))] = "changed"
        rows.append((" ".join(prompt), " ".join(answer)))
    found = search(tmp_path, rows, scores=[1.0] * 1500 + [0.0] * 200, batch=500)
    rejected = {int(row): int(found.survivors[row]) for row in np.flatnonzero(found.survivors != np.arange(1700))}
    right = {1500 + number: int(place) for number, place in enumerate(planted)}

    assert rejected.items() <= right.items()
    assert len(rejected) >= 0.99 * len(right)


def test_no_rows_have_no_duplicates(tmp_path: Path) -> None:
    assert search(tmp_path, []).survivors.tolist() == []
