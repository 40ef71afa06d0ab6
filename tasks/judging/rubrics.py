"""What judges look at, by task type."""

from collections.abc import Mapping

from tasks.core.errors import SettingsError

_CORRECT_LABEL = "whether the label is the right one for the text, in the form that was asked for"
RUBRICS: dict[str, str] = {
    "CONVERSATION": (
        "how helpful the answer is: it does what was asked, what it says is true, and it is clear, neither padded nor evasive"
    ),
    "SUMMARIZATION": (
        "how faithful and useful the summary is: all that it says is in the text, and what matters most in the text is in it"
    ),
    "MATH": "whether the result is correct, and whether every step leads to it",
    "NLU_QA": "whether the answer is correct, and supported by the passage if there is one",
    "NLI": _CORRECT_LABEL,
    "CLASSIFICATION": _CORRECT_LABEL,
    "custom": "how well the answer does what was asked: correct, complete and in the form that was asked for",
}
"""The default rubric of every task type, as it continues the sentence 'Judge ...'."""


def rubric_for(task: str, own: Mapping[str, str]) -> str:
    """Return what to look at in answers of a task type.

    Args:
        task: The row's task type.
        own: Rubrics of the settings, which go before the defaults.

    Raises:
        SettingsError: If there is none for the type.
    """
    rubric = own.get(task) or RUBRICS.get(task)
    if rubric is None:
        raise SettingsError(f"there is no rubric for the task type {task!r}; give one in judge.rubrics, as for {sorted(RUBRICS)}")
    return rubric
