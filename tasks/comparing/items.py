"""The test items with what every model said to them, item by item: what all comparisons are about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tasks.core.artifact import Artifact
from tasks.core.errors import DataError
from tasks.core.records import PREDICTIONS, PROMPTS, Prediction, Prompt
from tasks.core.tables import read_table
from tasks.metrics.repetition import is_repetitive
from tasks.renderers.schema import ModelName
from tasks.task_types.scoring import primary_score


@dataclass(frozen=True)
class Items:
    """Some test items; everything is in the order of ``prompts``."""

    prompts: list[Prompt]
    rows: dict[ModelName, list[Prediction]]

    def __len__(self) -> int:
        return len(self.prompts)

    def where(self, chosen: Iterable[bool]) -> "Items":
        """Return the items for which ``chosen``, one an item, is true."""
        places = np.flatnonzero(np.fromiter(chosen, dtype=bool))
        return Items(
            [self.prompts[place] for place in places],
            {model: [rows[place] for place in places] for model, rows in self.rows.items()},
        )

    def by_task(self) -> dict[str, "Items"]:
        """Return the items of each task type, in the order in which these occur."""
        tasks = dict.fromkeys(prompt["task"] for prompt in self.prompts)
        return {task: self.where(prompt["task"] == task for prompt in self.prompts) for task in tasks}

    @cached_property
    def scored(self) -> "Items":
        """The items that have a primary score: those with a reference, for without one only a judge can tell."""
        return self.where(primary_score(row) is not None for row in self.rows["teacher"])

    @cached_property
    def scores(self) -> dict[ModelName, np.ndarray]:
        """Primary scores of items that all have one."""
        return {model: np.array([primary_score(row) for row in rows], dtype=float) for model, rows in self.rows.items()}

    @cached_property
    def flaws(self) -> dict[ModelName, dict[str, np.ndarray]]:
        """Which answers are wrong in form, as 0 or 1, by the names of ``Rates``."""
        return {
            model: {
                "invalid": np.array([row["answer"] is None for row in rows], dtype=float),
                "truncated": np.array([row["finish_reason"] == "length" for row in rows], dtype=float),
                "repeated": np.array([is_repetitive(row["completion"]) for row in rows], dtype=float),
            }
            for model, rows in self.rows.items()
        }


def read_items(prompts: Artifact, evaluations: Mapping[ModelName, Artifact]) -> Items:
    """Return the test items with every model's predictions.

    Args:
        prompts: The prompts that all models answered.
        evaluations: ``evaluation`` artefact of each model.

    Raises:
        DataError: If a model did not answer exactly these prompts.
    """
    tests = sorted((row for row in read_table(prompts, PROMPTS) if row["split"] == "test"), key=lambda row: row["id"])
    wanted = [row["id"] for row in tests]
    rows: dict[ModelName, list[Prediction]] = {}
    for model, evaluation in evaluations.items():
        rows[model] = sorted(read_table(evaluation, PREDICTIONS), key=lambda row: row["id"])
        if (found := [row["id"] for row in rows[model]]) != wanted:
            raise DataError(
                f"the evaluation {evaluation.uri} of the {model} has {len(found)} predictions that are not those of the "
                f"{len(wanted)} test prompts of {prompts.uri}; evaluate every model on the same prompts"
            )
    return Items(tests, rows)
