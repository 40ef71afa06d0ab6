"""What a judge prefers, student or another model, read out of its answers: a score for every item, and the report's figures."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from tasks.core.artifact import Artifact, read_record
from tasks.core.records import ANSWERED_PROMPTS, PROMPTS
from tasks.core.tables import read_table
from tasks.judging.length_control import length_controlled_win_rate
from tasks.judging.pairs import FIRST, IS_SAME, ITEM, LENGTHS, OPPONENT
from tasks.judging.settings import SIDES
from tasks.judging.verdicts import read_verdict
from tasks.metrics.intervals import Interval
from tasks.metrics.score_intervals import mean_interval
from tasks.renderers.schema import OPPONENTS, Opponent, Preference

WIN, TIE, LOSS = 1.0, 0.5, 0.0


@dataclass(frozen=True)
class Pair:
    """One item, and what was said of it in both orders."""

    student_first: bool | None
    """Whether the student won when its answer came first; None: that judgement cannot be read, or was never given."""
    opponent_first: bool | None
    """The same when the other model's answer came first."""
    is_same: bool
    """Both models gave the same answer."""
    student_characters: int
    opponent_characters: int

    @property
    def is_judged(self) -> bool:
        """Whether there is a preference: the same answers need no judge, others both of the judgements."""
        return self.is_same or (self.student_first is not None and self.opponent_first is not None)

    @property
    def score(self) -> float:
        """1 where the student wins in both orders, 0 where it loses in both, else 0.5."""
        if self.is_same or self.student_first != self.opponent_first:
            return TIE
        return WIN if self.student_first else LOSS


@dataclass(frozen=True)
class Preferences:
    """The pairs of one opponent and task type, by item."""

    judge: str
    pairs: dict[str, Pair]

    @property
    def scores(self) -> dict[str, float]:
        """The student's score of every judged item: 1, 0.5 or 0; the opponent's is 0.5 everywhere, as against itself."""
        return {item: pair.score for item, pair in self.pairs.items() if pair.is_judged}

    @property
    def unreadable(self) -> int:
        """Items without a preference."""
        return len(self.pairs) - len(self.scores)

    @property
    def win_rate(self) -> Interval:
        """The student's mean score over the judged items; there must be one."""
        return mean_interval(np.array(list(self.scores.values())))

    @property
    def consistent(self) -> float:
        """Share of the items with different answers that were judged alike in both orders; 1 without any."""
        alike = [pair.student_first == pair.opponent_first for pair in self._differing()]
        return float(np.mean(alike)) if alike else 1.0

    @property
    def first_preferred(self) -> float | None:
        """Share of the judgements of different answers that prefer the one shown first: 0.5 without a bias; None without any."""
        differing = self._differing()
        firsts = [bool(won) for pair in differing for won in (pair.student_first, not pair.opponent_first)]
        return float(np.mean(firsts)) if firsts else None

    @property
    def length_controlled_win_rate(self) -> Interval | None:
        """The win rate at equal lengths; None where lengths say nothing."""
        judged = [pair for pair in self.pairs.values() if pair.is_judged]
        return length_controlled_win_rate(
            [pair.score for pair in judged],
            [pair.student_characters for pair in judged],
            [pair.opponent_characters for pair in judged],
        )

    def figures(self) -> Preference | None:
        """Return what the report says of them; None where no item was judged."""
        scores = list(self.scores.values())
        if not scores:
            return None
        return Preference(
            judge=self.judge,
            items=len(scores),
            unreadable=self.unreadable,
            win_rate=self.win_rate,
            wins=scores.count(WIN),
            ties=scores.count(TIE),
            losses=scores.count(LOSS),
            consistent=self.consistent,
            first_preferred=self.first_preferred,
            length_controlled_win_rate=self.length_controlled_win_rate,
        )

    def _differing(self) -> list[Pair]:
        return [pair for pair in self.pairs.values() if pair.is_judged and not pair.is_same]


def read_preferences(judgements: Artifact) -> dict[Opponent, dict[str, Preferences]]:
    """Return what a judge prefers, by the model that the student is compared with and by task type.

    Args:
        judgements: ``generations`` artefact of prompts by ``pair_prompts``.

    Raises:
        DataError: If its table is damaged.
    """
    won: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    judge = ""
    for row in read_table(judgements, ANSWERED_PROMPTS):
        judge, tags = row["teacher"], dict(row["tags"])
        verdict = read_verdict(row, SIDES)
        if verdict is not None:
            student_won = (verdict == SIDES[0]) == (tags[FIRST] == "student")
            won[tags[OPPONENT], tags[ITEM], tags[FIRST]].append(student_won)
    pairs: dict[tuple[str, str], dict[str, Pair]] = defaultdict(dict)
    for asked in read_table(read_record(judgements).inputs["prompts"], PROMPTS):  # also those that got no judgement at all
        tags = dict(asked["tags"])
        item = tags[ITEM]
        pairs[tags[OPPONENT], asked["task"]][item] = Pair(
            *(_majority(won[tags[OPPONENT], item, first]) for first in LENGTHS),
            is_same=tags[IS_SAME] == "true",
            **{length: int(tags[length]) for length in LENGTHS.values()},
        )
    found: dict[Opponent, dict[str, Preferences]] = {}
    for opponent in OPPONENTS:
        by_task = {task: Preferences(judge, own) for (whom, task), own in pairs.items() if whom == opponent}
        if by_task:
            found[opponent] = by_task
    return found


def _majority(wins: list[bool]) -> bool | None:
    """Return what most samples of one judgement say; None without any, or with as many on both sides."""
    return None if 2 * sum(wins) == len(wins) else 2 * sum(wins) > len(wins)
