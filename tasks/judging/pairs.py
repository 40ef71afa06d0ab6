"""Pairs of answers to compare: what student and teacher said to a test prompt, shown to the judge in both orders."""

from typing import Literal

from tasks.core.records import Prompt
from tasks.judging.prompting import Question, ask_for_preference
from tasks.judging.rubrics import rubric_for
from tasks.judging.settings import PairingSettings

Model = Literal["student", "teacher"]
ITEM, FIRST, LENGTHS = "item", "first", {"student": "student_characters", "teacher": "teacher_characters"}
IS_SAME = "is_same"


def pair_prompts(prompt: Prompt, student: str, teacher: str, settings: PairingSettings) -> list[Prompt]:
    """Return the two prompts that have a pair compared, one for each order.

    A judge that goes by the place of an answer prefers another model in each (Wang et al. 2023, arXiv 2305.17926).

    Args:
        prompt: The test prompt.
        student: The student's answer to it.
        teacher: The teacher's.
        settings: How pairs are compared.

    Returns:
        Prompts whose tags say what they are about: item, first, the lengths of both answers, and whether they are the same.

    Raises:
        SettingsError: If the prompt's task type has no rubric.
    """
    said: dict[Model, str] = {"student": student.strip(), "teacher": teacher.strip()}
    question = Question(prompt["messages"], prompt["text"], prompt["references"] if settings.references else [])
    rubric = rubric_for(prompt["task"], settings.rubrics)
    about = [(ITEM, prompt["id"]), (IS_SAME, str(said["student"] == said["teacher"]).lower())]
    about += [(LENGTHS[model], str(len(text))) for model, text in said.items()]
    orders: tuple[tuple[Model, Model], ...] = (("student", "teacher"), ("teacher", "student"))
    return [
        Prompt(
            id=f"{prompt['id']}/{first}-first",
            messages=[ask_for_preference(question, (said[first], said[second]), rubric, settings.form)],
            text=None,
            references=[],
            task=prompt["task"],
            split="train",  # what the generations stage answers
            tags=[*about, (FIRST, first)],
        )
        for first, second in orders
    ]
