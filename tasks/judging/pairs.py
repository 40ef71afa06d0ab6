"""Pairs of answers to compare: what the student and another model said to a test prompt, shown to the judge in both orders."""

from typing import Literal

from tasks.core.records import Prompt
from tasks.judging.prompting import Question, ask_for_preference
from tasks.judging.rubrics import rubric_for
from tasks.judging.settings import PairingSettings
from tasks.renderers.schema import Opponent

Side = Literal["student", "opponent"]
ITEM, OPPONENT, FIRST, IS_SAME = "item", "opponent", "first", "is_same"
LENGTHS: dict[Side, str] = {"student": "student_characters", "opponent": "opponent_characters"}


def pair_prompts(prompt: Prompt, student: str, opponent: Opponent, theirs: str, settings: PairingSettings) -> list[Prompt]:
    """Return the two prompts that have a pair compared, one for each order.

    A judge that goes by the place of an answer prefers another model in each (Wang et al. 2023, arXiv 2305.17926).

    Args:
        prompt: The test prompt.
        student: The student's answer to it.
        opponent: The model that the student is compared with.
        theirs: That model's answer.
        settings: How pairs are compared.

    Returns:
        Prompts whose tags say what they are about: item, opponent, first, the lengths of both answers, and whether they are the
        same.

    Raises:
        SettingsError: If the prompt's task type has no rubric.
    """
    said: dict[Side, str] = {"student": student.strip(), "opponent": theirs.strip()}
    question = Question(prompt["messages"], prompt["text"], prompt["references"] if settings.references else [])
    rubric = rubric_for(prompt["task"], settings.rubrics)
    about = [(ITEM, prompt["id"]), (OPPONENT, opponent), (IS_SAME, str(said["student"] == said["opponent"]).lower())]
    about += [(LENGTHS[side], str(len(text))) for side, text in said.items()]
    orders: tuple[tuple[Side, Side], ...] = (("student", "opponent"), ("opponent", "student"))
    return [
        Prompt(
            id=f"{prompt['id']}/{opponent}/{first}-first",
            messages=[ask_for_preference(question, (said[first], said[second]), rubric, settings.form)],
            text=None,
            references=[],
            task=prompt["task"],
            split="train",  # what the generations stage answers
            tags=[*about, (FIRST, first)],
        )
        for first, second in orders
    ]
