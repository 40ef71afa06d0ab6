"""Between the passes: the filters that compare rows, each over those that all filters before it have kept."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.curating.answers import Answers
from tasks.curating.kept_rows import KeptRows
from tasks.curating.row_pass import RowFigures
from tasks.curating.step import Step
from tasks.curating.verdicts import Verdicts


def look_at_sets(answers: Answers, steps: Sequence[Step], figures: RowFigures, verdicts: Verdicts, scratch: Path) -> None:
    """Show the rows that are left to one set filter after another.

    Args:
        answers: All rows.
        steps: The filters, in order.
        figures: What is remembered of the rows.
        verdicts: What was found out so far; findings go there.
        scratch: An existing folder for the filters' own files.
    """
    for step in steps:
        folder = scratch / step.name
        folder.mkdir()
        rows = KeptRows(answers, figures, verdicts, folder)
        with step.timed():
            findings = step.look(rows)
        step.seen, step.notes = len(rows), findings.notes
        for reason, numbers in findings.rejected.items():
            verdicts.note_set(step, reason, rows.numbers[numbers])
        for name, scores in findings.scores.items():
            everyone = np.full(len(verdicts.kept), np.nan)
            everyone[rows.numbers] = scores
            verdicts.scores.put(name, everyone)
