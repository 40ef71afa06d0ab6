"""What a dataset must have to be worth a training. What was found is in the message, for nothing of it is kept."""

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from tasks.core.errors import DataError
from tasks.curating.answers import Answers
from tasks.curating.row_pass import RowFigures
from tasks.curating.step import Step
from tasks.curating.summary import count_labels, pick_examples
from tasks.curating.verdicts import Verdicts
from tasks.task_types import TASK_TYPES

_EXAMPLES = 2
_SHOWN_CHARACTERS = 80


def count_kept(figures: RowFigures, verdicts: Verdicts) -> dict[str, int]:
    """Return how many rows are kept and rejected, and how many of those kept are for training and validation."""
    splits = figures.names["splits"]
    kept = {name: int((figures.splits[verdicts.kept] == code).sum()) for name, code in splits.items()}
    total = int(verdicts.kept.sum())
    return {
        "kept": total,
        "rejected": len(verdicts.kept) - total,
        "train": kept.get("train", 0),
        "validation": kept.get("validation", 0),
    }


def require_kept_share(
    answers: Answers, steps: Sequence[Step], figures: RowFigures, verdicts: Verdicts, min_keep_ratio: float
) -> None:
    """Refuse a dataset of which too much was rejected.

    Rows that the user wanted less of, by number, are no sign of bad answers and count as kept. So do answers that another sample
    of their prompt gives too: samples of a label are all alike, and the surer the teacher is the more so.

    Raises:
        DataError: If a smaller share than ``min_keep_ratio`` passed.
    """
    total, passed = len(verdicts.kept), _blameless(steps, figures, verdicts)
    if passed < min_keep_ratio * total:
        raise DataError(
            f"only {passed} of {total} answers passed the filters, fewer than dataset.min_keep_ratio = {min_keep_ratio} "
            f"asks for; {_why_rejected(answers, steps, verdicts)}. "
            "Mend the prompts or the teacher, set a filter to annotate, or lower the ratio"
        )


def require_examples(
    answers: Answers, steps: Sequence[Step], figures: RowFigures, verdicts: Verdicts, min_examples: int | None
) -> None:
    """Refuse a dataset with too few rows to train on.

    Args:
        answers: All rows.
        steps: The filters that looked at them.
        figures: What is remembered of them.
        verdicts: What was found out about them.
        min_examples: Fewest training rows; None: as many as the kinds of task that are there need.

    Raises:
        DataError: If there are fewer.
    """
    found = count_kept(figures, verdicts)["train"]
    usual = max((TASK_TYPES[task].min_examples for task in figures.names["tasks"]), default=1)
    wanted = usual if min_examples is None else min_examples
    if found < wanted:
        raise DataError(
            f"{found} rows are left for training, fewer than the {wanted} that dataset.min_examples asks for"
            f"{' (what is usual for the task)' if min_examples is None else ''}; {_why_rejected(answers, steps, verdicts)}. "
            "Give more prompts, reject less, or set dataset.min_examples lower"
        )


def require_all_labels(answers: Answers, steps: Sequence[Step], figures: RowFigures, verdicts: Verdicts) -> None:
    """Refuse a dataset that has lost a class: a student never gives a label that it has not seen.

    Raises:
        DataError: If a label is among the answers or the references, and no kept row has it.
    """
    before = figures.gold_labels | set(figures.names["labels"])
    if vanished := sorted(before - set(count_labels(figures, verdicts.kept))):
        shown = ", ".join(map(repr, vanished[:10])) + (f" and {len(vanished) - 10} more" if len(vanished) > 10 else "")
        lost = np.isin(figures.labels, [code for name, code in figures.names["labels"].items() if name in vanished])
        why = (
            f"of {lost.sum()} such answers {_why_rejected(answers, steps, verdicts, lost)}" if lost.any() else "no answer says so"
        )
        raise DataError(
            f"no row is kept whose answer is {shown}, though the answers or references have that; {why}. Give the teacher more "
            "prompts of it, reject less, or set dataset.allow_vanished_labels: true"
        )


def _blameless(steps: Sequence[Step], figures: RowFigures, verdicts: Verdicts) -> int:
    """Return how many rows are kept, or left out for no fault of theirs."""
    dropped: dict[str, list[np.ndarray]] = {step.name: [] for step in steps if step.mode == "drop"}
    for name, _, numbers in verdicts.reasons():
        dropped.get(name, []).append(numbers)
    good = verdicts.kept.copy()
    for numbers in (found for step in steps if step.wanted for found in dropped.get(step.name, [])):
        good[numbers] = True
    answered = figures.prompts[good]
    for numbers in (found for step in steps if step.repeats for found in dropped.get(step.name, [])):
        good[numbers[np.isin(figures.prompts[numbers], answered)]] = True
    return int(good.sum())


def _why_rejected(answers: Answers, steps: Sequence[Step], verdicts: Verdicts, among: np.ndarray | None = None) -> str:
    """Return how many rows were rejected for which reason; what filters that only annotate found rejected none.

    Args:
        answers: All rows.
        steps: The filters that looked at them.
        verdicts: What was found out about them.
        among: bool [rows]: which of them are told of; None: all.
    """
    dropping = {step.name for step in steps if step.mode == "drop"}
    chosen = np.ones(len(verdicts.kept), bool) if among is None else among
    found = {
        reason: int(chosen[numbers].sum())
        for name, reason, numbers in verdicts.reasons()
        if name in dropping and chosen[numbers].any()
    }
    if not found:
        return "no filter rejected any"
    examples = pick_examples(answers, verdicts, each=1, among=chosen)[:_EXAMPLES]
    return f"rejected for: {found}; for example {' and '.join(_quoted(example, found) for example in examples)}"


def _quoted(example: dict[str, Any], reasons: Container[str]) -> str:
    answer = example["completion"]
    shown = answer if len(answer) <= _SHOWN_CHARACTERS else f"{answer[:_SHOWN_CHARACTERS]}..."
    return f"{shown!r} ({', '.join(reason for reason in example['reasons'] if reason in reasons)})"
