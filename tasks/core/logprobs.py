"""What stored log-probabilities must be like, checked over whole tables at once.

The classic silent error is a shift: every row's numbers are sound, and are about the token before or after. It shows where a
position's sampled token meets that position's candidates, which is why both are stored.
"""

from typing import Any, NoReturn

import numpy as np
import pyarrow as pa

from tasks.core.array_columns import flatten
from tasks.core.errors import DataError

NO_PROBABILITY = float(np.finfo(np.float16).min)
"""The stored logarithm of probability 0: float16's lowest number, -65504, whose exponential is 0; infinities are refused."""

_ABOVE_ZERO = 1e-3  # a logarithm may exceed 0 by this much: engines round
_SPACING = 2.0**-9  # two steps of float16, relative
_WEIGHT_TOLERANCE = 0.01  # of a sum of weights, whose logarithms are rounded to float16
_SHIFTED = "they may be about a neighbouring token"
_SURPRISE = 30.0  # -log of how improbable a set of misses must be: 1e-13, so that no large job sees it by chance


def to_float16(logprobs: np.ndarray) -> np.ndarray:
    """Return log-probabilities in the form that is stored: float16, with ``NO_PROBABILITY`` for all that is lower."""
    return np.maximum(logprobs, np.asarray(NO_PROBABILITY, logprobs.dtype)).astype(np.float16)


def check_logprobs(rows: pa.Table, vocabulary: int | None = None, draws: int | None = None) -> None:
    """Refuse log-probabilities that cannot be what they are stored as, or that are about other tokens.

    Without candidates (``top_k`` 0) a shift cannot be seen. Drawn candidates show it in numbers: a likely sampled token that
    is not among the ids drawn in its place is possible now and then, and impossible again and again.

    Args:
        rows: Answers with the columns ``key``, ``token_ids``, ``token_logprobs``, and ``top_ids`` with ``top_logprobs`` where
            candidates are kept.
        vocabulary: Token ids that exist, as the model's embedding counts them; None: unknown.
        draws: How many ids were drawn at every token; None: the candidates are the likeliest tokens.

    Raises:
        DataError: Naming the row's key, the token, the value found and the value wanted.
    """
    _Check(rows, vocabulary).run(draws)


class _Check:
    """The columns of a table as flat arrays: ``total`` tokens of all rows, one after the other."""

    def __init__(self, rows: pa.Table, vocabulary: int | None) -> None:
        self._keys, self._vocabulary = rows["key"], vocabulary
        self._token_ids, wanted = _column(rows, "token_ids")
        self._sampled, self._offsets = _column(rows, "token_logprobs")
        self._refuse_other_lengths("token_logprobs", wanted, self._offsets)
        self._top_ids: np.ndarray | None = None
        if "top_ids" in rows.schema.names:
            self._top_ids, offsets = _column(rows, "top_ids")
            self._refuse_other_lengths("top_ids", wanted, offsets)
            self._top, offsets = _column(rows, "top_logprobs")
            self._refuse_other_lengths("top_logprobs", wanted, offsets)

    def run(self, draws: int | None) -> None:
        self._check_ids("token_ids", self._token_ids)
        self._check_range("token_logprobs", self._sampled)
        if self._top_ids is None:
            return
        self._check_ids("top_ids", self._top_ids)
        self._check_range("top_logprobs", self._top)
        top, sampled = self._top.astype(np.float32), self._sampled.astype(np.float32)
        self._refuse(top[:, 1:] > top[:, :-1], self._top, "top_logprobs", "sorted from high to low")
        own = self._top_ids == self._token_ids[:, None].astype(np.uint32)
        if draws is None:
            self._check_likeliest(top, sampled, own)
        else:
            self._check_drawn(np.exp(top), np.exp(sampled), own, draws)

    def _check_ids(self, name: str, ids: np.ndarray) -> None:
        if self._vocabulary is not None:
            unknown: Any = (ids < 0) | (ids >= self._vocabulary)
            self._refuse(unknown, ids, name, f"at least 0 and below the vocabulary's size, {self._vocabulary}")

    def _check_range(self, name: str, logprobs: np.ndarray) -> None:
        # One comparison for NaN, infinities and what exceeds 0; float32 compares faster than float16.
        sound = np.isfinite(logprobs) & (logprobs.astype(np.float32) <= _ABOVE_ZERO)
        self._refuse(~sound, logprobs, name, f"finite and at most 0; probability 0 is stored as {NO_PROBABILITY:.0f}")

    def _check_likeliest(self, top: np.ndarray, sampled: np.ndarray, own: np.ndarray) -> None:
        among = own.any(axis=1)
        candidate = np.where(among, top[np.arange(len(top)), own.argmax(axis=1)], top[:, -1])
        slack = _ABOVE_ZERO - _SPACING * candidate
        differs = among & (np.abs(sampled - candidate) > slack)
        self._refuse(differs, self._sampled, "token_logprobs", f"what top_logprobs has of this token; {_SHIFTED}", candidate)
        exceeds = ~among & (sampled - candidate > slack)
        wanted = f"no more than the last of top_logprobs, as this token is not among top_ids; {_SHIFTED}"
        self._refuse(exceeds, self._sampled, "token_logprobs", wanted, candidate)

    def _check_drawn(self, weights: np.ndarray, probability: np.ndarray, own: np.ndarray, draws: int) -> None:
        own_weight = (weights * own).sum(axis=1)
        beyond = own_weight >= 1 - _WEIGHT_TOLERANCE  # a sampled token that no candidate was, with its weight of 1
        mass = weights.sum(axis=1) - beyond
        wanted = "at most 1 as the sum of weights, without a sampled token that weighs 1"
        self._refuse(mass > 1 + _WEIGHT_TOLERANCE, mass, "top_logprobs", f"{wanted}; {_SHIFTED}")
        missed = own_weight == 0
        share = np.clip(probability / np.maximum(mass, _WEIGHT_TOLERANCE) - _WEIGHT_TOLERANCE, 0, 1)
        chance = np.where(beyond, 0, (1 - share) ** draws)
        row = np.repeat(np.arange(len(self._offsets) - 1), np.diff(self._offsets))
        for group in (row, np.zeros_like(row)):  # row by row and, as rows may be short, all of them together
            surprise = _surprise(missed, chance, group)
            if surprise.size and surprise.max() > _SURPRISE:
                these = group == surprise.argmax()
                found = f"{missed[these].sum()} of {these.sum()} sampled tokens missing, counted from here on,"
                position = int(np.flatnonzero(missed & these)[0])
                self._fail(position, "top_ids", found, f"no more than {chance[these].sum():.1f} or so; {_SHIFTED}")

    def _refuse_other_lengths(self, name: str, wanted: np.ndarray, found: np.ndarray) -> None:
        bad = np.flatnonzero(np.diff(found) != np.diff(wanted))
        if bad.size:
            row = int(bad[0])
            counts = f"{found[row + 1] - found[row]} tokens, wanted {wanted[row + 1] - wanted[row]}"
            raise DataError(f"row {self._keys[row]}: {name} has {counts}, as many as token_ids; make the row anew")

    def _refuse(self, bad: np.ndarray, values: np.ndarray, name: str, wanted: str, than: np.ndarray | None = None) -> None:
        places = np.argwhere(bad)
        if len(places):
            place = tuple(places[0])
            compared = "" if than is None else f"{than[place[0]]:.4f}, "
            self._fail(int(place[0]), name, f"{values[place]:.6g}", f"{compared}{wanted}")

    def _fail(self, position: int, name: str, found: str, wanted: str) -> NoReturn:
        row = int(np.searchsorted(self._offsets, position, side="right")) - 1
        place = f"row {self._keys[row]}, token {position - self._offsets[row]}"
        raise DataError(f"{place}: {name} has {found}, wanted {wanted}; make the row anew")


def _column(rows: pa.Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    column: Any = rows[name].combine_chunks()
    return flatten(column)


def _surprise(missed: np.ndarray, chance: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return Bernstein's bound on -log of the probability of so many misses or more, for every group [groups].

    Args:
        missed: Whether the sampled token was not drawn, [total].
        chance: The probability of that, [total].
        group: The group that each token belongs to, [total].
    """
    expected = np.bincount(group, chance)
    variance = np.bincount(group, chance * (1 - chance))
    excess = np.maximum(np.bincount(group, missed) - expected, 0)
    return excess**2 / (2 * (variance + excess / 3) + np.finfo(float).tiny)
