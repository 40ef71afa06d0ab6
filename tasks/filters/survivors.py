"""Which of several rows that say the same is kept: the best, whatever order they come in."""

import numpy as np

from tasks.filters.candidate import Candidate
from tasks.filters.interface import CandidateSet

QUALITY = ("judge_score", "vote_share", "mean_logprob")
"""Scores that tell a better answer from a worse one, the most telling first; a row without a score comes after those with it."""


def losers(rows: CandidateSet, group: np.ndarray) -> np.ndarray:
    """Return the numbers of all rows that another row of their group outdoes, in ascending order.

    A group's best row has the best quality scores; among equals the lowest id, teacher, sample and turn.

    Args:
        rows: The candidates.
        group: int64 [rows], rows of one number are one group; a negative number: the row is alone.
    """
    alone = group < 0
    _, inverse, sizes = np.unique(group, return_inverse=True, return_counts=True)
    shared = ~alone & (sizes[inverse] > 1)
    members = np.flatnonzero(shared)
    if not len(members):
        return members
    return np.sort(np.setdiff1d(members, members[_first_of_each(group[members], best_first(rows, shared))]))


def best_first(rows: CandidateSet, chosen: np.ndarray) -> np.ndarray:
    """Return the places of the chosen rows among themselves, the best row first.

    Args:
        rows: The candidates.
        chosen: bool [rows], which of them.
    """
    members = np.flatnonzero(chosen)
    names = [_name(candidate) for _, candidates in rows.batches(chosen) for candidate in candidates]
    by_name = np.empty(len(members), np.int64)
    by_name[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    keys = [by_name]
    for score in reversed(QUALITY):
        keys.append(-np.nan_to_num(rows.scores(score)[members], nan=-np.inf, neginf=-np.inf))
    return np.lexsort(keys)


def _first_of_each(group: np.ndarray, order: np.ndarray) -> np.ndarray:
    _, first = np.unique(group[order], return_index=True)
    return order[first]


def _name(candidate: Candidate) -> tuple[str, str, int, int]:
    return candidate.id, candidate.teacher or "", candidate.sample_index, candidate.turn
