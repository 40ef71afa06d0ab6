"""The verdict in words, and the conditions that it follows from."""

from tasks.renderers.schema import Outcome, Report, Verdict
from tasks.renderers.tables import Cell, Table, text_columns

VERDICTS: dict[Verdict, str] = {"promote": "Promote", "hold": "Hold", "inconclusive": "Inconclusive"}
ADVICE: dict[Verdict, str] = {
    "promote": "The student may take the teacher's place.",
    "hold": "The student must not take the teacher's place.",
    "inconclusive": "What was measured is too little to decide.",
}
OUTCOMES: dict[Outcome, str] = {"pass": "Pass", "fail": "Fail", "inconclusive": "Inconclusive"}

_DECIDING: dict[Verdict, Outcome] = {"promote": "pass", "hold": "fail", "inconclusive": "inconclusive"}
_LONGEST_REASON = 240


def reason(report: Report) -> str:
    """Return why the verdict is as it is, as a sentence: in full, or where that is too long which conditions decided it."""
    text = report.reason
    if len(text) > _LONGEST_REASON:
        outcome = _DECIDING[report.verdict]
        deciding = [condition.name for condition in report.conditions if condition.outcome == outcome]
        said = {"pass": "met", "fail": "not met", "inconclusive": "undecided"}[outcome]
        names = "" if report.verdict == "promote" else f": {', '.join(deciding)}"
        text = f"{len(deciding)} of {len(report.conditions)} conditions {'is' if len(deciding) == 1 else 'are'} {said}{names}"
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def conditions_table(report: Report) -> Table:
    """Return the gate's conditions, those first that keep the student from being promoted."""
    order: tuple[Outcome, ...] = ("fail", "inconclusive", "pass")
    conditions = sorted(report.conditions, key=lambda condition: order.index(condition.outcome))
    return Table(
        "Conditions of the gate",
        text_columns("condition", "outcome", "found"),
        [
            [
                Cell(condition.name, condition.wanted),
                Cell(OUTCOMES[condition.outcome], outcome=condition.outcome),
                Cell(condition.found, condition.reason),
            ]
            for condition in conditions
        ],
    )
