"""Only answers that most samples of the same prompt agree with: self-consistency (Wang et al. 2022, arXiv 2203.11171)."""

from collections import defaultdict

import numpy as np
from pydantic import Field

from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import MODES, CandidateSet, FilterSettings, Mode, SetFilter, SetFindings
from tasks.task_types import TASK_TYPES
from tasks.task_types.voting import count_votes

_ROWS_AT_ONCE = 200_000  # whose answers are in memory together


class SelfConsistencySettings(FilterSettings):
    """Answers that too few samples of the same prompt agree with. Needs `generations.samples_per_prompt` or several teachers;
    open kinds of task, in which samples rightly differ, are not judged."""

    mode: Mode = Field(default="annotate", description=MODES)

    min_vote_share: float = Field(default=0.5, ge=0, le=1)
    """Least share of a prompt's answers, those that passed so far, that say the same as this one."""


def reject_minorities(settings: SelfConsistencySettings, context: FilterContext) -> SetFilter:
    """Make the filter; its reason is ``minority``, its score ``vote_share``: of all answers of the prompt, those that agree."""

    def look(rows: CandidateSet) -> SetFindings:
        groups = rows.prompt_groups()
        sizes = np.bincount(groups) if len(groups) else np.zeros(0, np.int64)
        shares = np.full(len(rows), np.nan, np.float32)
        several = sizes[groups] > 1
        parts = -(-int(several.sum()) // _ROWS_AT_ONCE)
        for part in range(parts):
            count(rows, groups, several & (groups % parts == part), shares)
        return SetFindings({"minority": np.flatnonzero(shares < settings.min_vote_share)}, {"vote_share": shares})

    def count(rows: CandidateSet, groups: np.ndarray, chosen: np.ndarray, shares: np.ndarray) -> None:
        answers: dict[int, list[tuple[int, Candidate]]] = defaultdict(list)
        for numbers, candidates in rows.batches(chosen):
            for number, candidate in zip(numbers.tolist(), candidates, strict=True):
                answers[int(groups[number])].append((number, candidate))
        for voters in answers.values():
            task_type = TASK_TYPES[voters[0][1].task]
            if task_type.is_open:
                continue
            said = [context.read(candidate.task, candidate.completion) for _, candidate in voters]
            agreeing = count_votes(task_type, said)
            for (number, _), answer in zip(voters, said, strict=True):
                shares[number] = 0 if answer is None else agreeing[answer] / len(said)

    return look
