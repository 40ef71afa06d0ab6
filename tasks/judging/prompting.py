"""What a judge is asked: one message of the user, for there are chat templates that take no system message."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.core.records import Message
from tasks.judging.quotation import Quotation
from tasks.judging.settings import SCALE, SIDES

_SCALE = (
    "5 is excellent, with nothing to mend; 4 is good, with a small flaw; 3 is passable, with something of weight missing or "
    "wrong; 2 is poor; 1 is wrong or useless."
)
_GUIDED = "A reference is an answer that is known to be good; one that says the same in other words is as good."
_FAIR = (
    "Neither the order in which they stand nor their length is a reason to prefer one: a longer answer is better only if what it "
    "says more is worth reading."
)
_FORMS = {
    "json": 'Answer with JSON of the form {{"reason": "at most 40 words", "verdict": {verdict}}} and nothing else.',
    "choice": "Answer with {verdict} and nothing else.",
}


@dataclass(frozen=True)
class Question:
    """What was answered."""

    messages: Sequence[Message]
    """The conversation up to the answer; empty when ``text`` is given."""
    text: str | None
    """Plain text that the answer continues."""
    references: Sequence[str]
    """Accepted answers to show the judge; may be none."""

    @property
    def texts(self) -> list[str]:
        """All that is quoted of it."""
        return [*(message["content"] for message in self.messages), self.text or "", *self.references]

    def quoted(self, quotation: Quotation) -> list[str]:
        """Return the parts of a judge's message that show it."""
        if self.text is not None:
            parts = [f"The text that was to be continued:\n{quotation.quote('text', self.text)}"]
        else:
            turns = [quotation.quote(message["role"], message["content"]) for message in self.messages]
            parts = ["\n".join(["What was to be answered:", *turns])]
        if self.references:
            references = [quotation.quote("reference", reference) for reference in self.references]
            parts.append("\n".join(["For reference:", *references]))
        return parts


def ask_for_score(question: Question, answer: str, rubric: str, form: Literal["json", "choice"]) -> Message:
    """Return the message that has an answer scored on ``SCALE``.

    Args:
        question: What was answered.
        answer: What is judged.
        rubric: What to look at, as it continues "Judge".
        form: With a reason or without.
    """
    quotation = Quotation(*question.texts, answer)
    return _message(
        f"You score an answer, from {SCALE[0]} to {SCALE[-1]}.",
        quotation.warning,
        *question.quoted(quotation),
        f"What is to be scored:\n{quotation.quote('answer', answer)}",
        f"Judge {rubric}. {_SCALE}{f' {_GUIDED}' if question.references else ''}",
        _FORMS[form].format(verdict=f"a whole number from {SCALE[0]} to {SCALE[-1]}"),
    )


def ask_for_preference(question: Question, answers: tuple[str, str], rubric: str, form: Literal["json", "choice"]) -> Message:
    """Return the message that has two answers compared.

    Args:
        question: What was answered.
        answers: What is compared; the first is called A, the second B.
        rubric: What to look at, as it continues "Judge".
        form: With a reason or without.
    """
    quotation = Quotation(*question.texts, *answers)
    sides = [f"Answer {side}:\n{quotation.quote(side, answer)}" for side, answer in zip(SIDES, answers, strict=True)]
    wanted = '"A" or "B"' if form == "json" else "A or B"
    return _message(
        "You compare two answers, A and B, and say which is the better one.",
        quotation.warning,
        *question.quoted(quotation),
        *sides,
        f"Judge {rubric}.{f' {_GUIDED}' if question.references else ''} {_FAIR}",
        _FORMS[form].format(verdict=wanted),
    )


def _message(*parts: str) -> Message:
    return Message(role="user", content="\n\n".join(parts))
