"""How many held-out texts training rows repeat, and which rows repeat which: kept while the rows go by."""

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tasks.core.records import Example, Prompt
from tasks.filters.decontamination.index import HeldOut, HeldOutIndex, needs_sample

TEST = "test"
LOOKED_AT = ("id", "text", "messages", "completion")
"""The fields of a row of a dataset that ``count_contamination`` needs."""
NGRAM_WORDS = 8
MAX_COVERAGE = 0.5
MAX_TEMPLATE_SHARE = 0.05
_LISTED = 200
_SAMPLED = 200
_BATCH_ROWS = 1024


class ContaminationTally:
    """Compares training rows with held-out texts, batch by batch."""

    def __init__(self, index: HeldOutIndex, max_coverage: float) -> None:
        """Begin with no rows.

        Args:
            index: The held-out texts.
            max_coverage: A row that covers a larger share of a held-out text's words repeats it.
        """
        self._index, self._max_coverage = index, max_coverage
        self._rows = 0
        self._repeated: set[int] = set()
        self._pairs = 0
        self._listed: list[tuple[float, tuple[int, ...], str, int]] = []

    def look(self, ids: list[str], prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
        """Return the largest share that every row covers of any held-out text.

        Args:
            ids: The rows' ids, for the list of pairs.
            prompts: Their prompts.
            answers: Their answers.
        """
        largest = [0.0] * len(ids)
        for row, item, coverage in zip(*(values.tolist() for values in self._index.match(prompts, answers)), strict=True):
            largest[row] = max(largest[row], coverage)
            if coverage > self._max_coverage:
                self._pairs += 1
                self._repeated.add(item)
                self._list(ids[row], item, coverage)
        self._rows += sum(coverage > self._max_coverage for coverage in largest)
        return largest

    def summary(self) -> dict[str, Any]:
        """Return the numbers of held-out texts, of those that are repeated and of rows that do so, and the closest pairs."""
        sources = [item.source for item in self._index.items]
        repeated = [sources[item] for item in self._repeated]
        pairs = [
            {"id": row, "source": sources[item], "held_out_id": self._index.items[item].id, "coverage": round(coverage, 4)}
            for coverage, _, row, item in sorted(self._listed, key=lambda pair: (-pair[0], pair[2], pair[3]))
        ]
        return {
            "held_out": {name: {"texts": sources.count(name), "repeated": repeated.count(name)} for name in sorted(set(sources))},
            "rows": self._rows,
            "pairs": self._pairs,
            "closest_pairs": pairs,
        }

    def _list(self, row: str, item: int, coverage: float) -> None:
        """Keep the closest pairs, whatever the order in which they come."""
        last = tuple(-ord(character) for character in row)  # among pairs of one coverage, those of the lowest ids stay
        entry = (coverage, last, row, item)
        (heapq.heappush if len(self._listed) < _LISTED else heapq.heappushpop)(self._listed, entry)


def held_out_prompts(prompts: Iterable[Prompt]) -> list[HeldOut]:
    """Return test prompts as held-out texts: every turn of a conversation, one after the other."""
    return [HeldOut(TEST, prompt["id"], joined_prompt(prompt["text"], prompt["messages"])) for prompt in prompts]


def sampled_rows(rows: int) -> np.ndarray:
    """Return the places of at most 200 of so many rows, evenly apart: enough to see what their prompts have in common."""
    return np.unique(np.linspace(0, rows - 1, min(rows, _SAMPLED)).astype(np.int64))


def joined_prompt(text: str | None, messages: Sequence[Any]) -> str:
    """Return all that a prompt says as one text."""
    return text if text is not None else "\n".join(message["content"] for message in messages)


def count_contamination(
    tests: Iterable[Prompt], examples: Callable[[], Iterable[Example]], rows: int, are_clean: bool = False
) -> dict[str, Any]:
    """Say how many test prompts the rows of a dataset repeat, with the defaults of the ``decontamination`` filter.

    Args:
        tests: The prompts that models are tested on.
        examples: Streams the rows that the student is trained on; of each, ``LOOKED_AT``.
        rows: How many there are.
        are_clean: The filter, with its defaults, has kept just these rows. They are looked at again only where what it took for
            the template depends on the rows that it saw, which were more.

    Returns:
        What ``ContaminationTally.summary`` returns.
    """
    items, sample = held_out_prompts(tests), list[str]()
    if needs_sample(items, MAX_TEMPLATE_SHARE):
        some = set(sampled_rows(rows).tolist())
        sample = [joined_prompt(row["text"], row["messages"]) for place, row in enumerate(examples()) if place in some]
    elif are_clean:
        examples = tuple
    tally = ContaminationTally(HeldOutIndex(items, NGRAM_WORDS, MAX_TEMPLATE_SHARE, sample), MAX_COVERAGE)
    batch: list[Example] = []
    for example in examples():
        batch.append(example)
        if len(batch) == _BATCH_ROWS:
            _look_at(tally, batch)
            batch = []
    _look_at(tally, batch)
    return tally.summary()


def _look_at(tally: ContaminationTally, rows: Sequence[Example]) -> None:
    prompts = [joined_prompt(row["text"], row["messages"]) for row in rows]
    tally.look([row["id"] for row in rows], prompts, [row["completion"] for row in rows])
