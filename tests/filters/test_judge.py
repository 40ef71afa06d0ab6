"""The judge filter: answers that a judge scored low go, those that it said nothing readable about stay."""

import numpy as np

from tasks.filters import Candidate, FilterContext
from tasks.filters.interface import PASSED
from tasks.filters.judge import JudgeFilterSettings, reject_low_scores
from tasks.judging.scoring import Scores, answer_id


def answered(completion: str) -> Candidate:
    return Candidate(
        id="a", task="CONVERSATION", messages=[{"role": "user", "content": "Is it hot?"}], text=None, completion=completion
    )


def judged(**scores: float) -> FilterContext:
    """Return a context in which a judge gave these answers these scores."""
    given = sorted((int(answer_id(answered(said).messages, None, said)[:16], 16), score) for said, score in scores.items())
    keys, values = np.array([key for key, _ in given], np.uint64), np.array([score for _, score in given], np.float32)
    return FilterContext(judge_scores=Scores("a judge", 0, keys, values))


def test_answers_below_the_least_score_are_rejected_and_every_score_is_kept() -> None:
    look = reject_low_scores(JudgeFilterSettings(mode="drop", min_score=3.5), judged(yes=4.25, perhaps=3.25, no=3.5))
    findings = look([answered(said) for said in ("yes", "perhaps", "no", "never judged")])

    assert [found.reason for found in findings] == [None, "low_judge_score", None, None]
    assert [dict(found.scores) for found in findings] == [{"judge_score": 4.25}, {"judge_score": 3.25}, {"judge_score": 3.5}, {}]


def test_without_a_judge_everything_passes() -> None:
    look = reject_low_scores(JudgeFilterSettings(mode="drop"), FilterContext())

    assert look([answered("yes")]) == [PASSED]
