"""No more rows of one kind than are wanted: quotas by label, task, length or language, filled by the same draw in every run."""

from collections.abc import Callable
from math import ceil, log2
from typing import Literal

import numpy as np
from pydantic import Field

from tasks.core.errors import SettingsError
from tasks.filters.candidate import Candidate
from tasks.filters.context import FilterContext
from tasks.filters.interface import MODES, CandidateSet, FilterSettings, Mode, SetFilter, SetFindings
from tasks.filters.language import language_detector
from tasks.filters.row_keys import row_keys
from tasks.task_types import TASK_TYPES

UNKNOWN = "unknown"
_SHOWN_KINDS = 20
Kind = Callable[[Candidate], str | None]


class BalanceSettings(FilterSettings):
    """More training rows of one kind than are wanted."""

    mode: Mode = Field(default="off", description=MODES)

    by: Literal["label", "task", "length", "language"] = "label"
    """What tells kinds apart: the label of closed kinds of task (rows of open ones are left alone), the kind of task, the length
    of the answer (up to 1, 2, 4, 8, ... characters) or its language (ISO 639-1, or `unknown`)."""

    max_rows: int = Field(default=1000, ge=1)
    """Training rows of a kind that are kept at most."""

    quotas: dict[str, int] = Field(default={})
    """Other limits than `max_rows` for single kinds, by label, task, length or language."""

    seed: int = 0
    """Another seed keeps other rows of a kind that has too many."""


def reject_surplus(settings: BalanceSettings, context: FilterContext) -> SetFilter:
    """Make the filter; its reason is ``over_quota``.

    Raises:
        SettingsError: If rows are to be told apart by label and there are no labels, or a quota names a kind that there is not.
    """
    if settings.by == "label" and not context.labels:
        raise SettingsError(
            "dataset.filters.balance.by is label, and the prompts have no labels; give prompts.labels, or balance by task,"
            " length or language"
        )
    known = {"label": context.labels, "task": tuple(TASK_TYPES)}.get(settings.by)
    if known is not None and (unknown := sorted(settings.quotas.keys() - set(known))):
        shown = ", ".join(map(repr, known[:_SHOWN_KINDS])) + (", ..." if len(known) > _SHOWN_KINDS else "")
        raise SettingsError(
            f"dataset.filters.balance.quotas has {unknown}, and balance is by {settings.by}, of which there are {shown}; write "
            "each as it stands there"
        )
    kinds_by = {"label": _label, "task": _task, "length": _length, "language": _language}
    kind = kinds_by[settings.by](context)

    def look(rows: CandidateSet) -> SetFindings:
        kinds, keys, names = np.full(len(rows), -1), np.zeros(len(rows), np.uint64), dict[str, int]()
        for numbers, candidates in rows.batches():
            keys[numbers] = row_keys(candidates, settings.seed)
            for number, candidate in zip(numbers.tolist(), candidates, strict=True):
                name = kind(candidate) if candidate.split == "train" else None
                if name is not None:
                    kinds[number] = names.setdefault(name, len(names))
        limits = np.array([settings.quotas.get(name, settings.max_rows) for name in names], np.int64)
        chosen = np.flatnonzero(kinds >= 0)
        order = chosen[np.lexsort((keys[chosen], kinds[chosen]))]
        counts = np.bincount(kinds[chosen], minlength=len(names))
        places = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        surplus = np.sort(order[places >= limits[kinds[order]]]) if len(order) else order
        found = {name: int(counts[number]) for name, number in sorted(names.items())}
        return SetFindings({"over_quota": surplus}, notes={"by": settings.by, "rows_by_kind": found})

    return look


def _label(context: FilterContext) -> Kind:
    return lambda row: context.read(row.task, row.completion) if TASK_TYPES[row.task].is_closed else None


def _task(context: FilterContext) -> Kind:
    del context
    return lambda row: row.task


def _length(context: FilterContext) -> Kind:
    del context
    return lambda row: str(2 ** ceil(log2(max(len(row.completion), 1))))


def _language(context: FilterContext) -> Kind:
    del context
    detect = language_detector()

    def language(row: Candidate) -> str:
        found = detect(row.completion)
        return UNKNOWN if found is None else found[0]

    return language
