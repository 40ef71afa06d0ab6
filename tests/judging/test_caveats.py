"""A judge that is the teacher or of its family, contradicts itself, or cannot be read is named as such."""

import pytest

from tasks.judging.caveats import judge_caveats
from tasks.judging.preference import Pair, Preferences

WON = Pair(student_first=True, opponent_first=True, is_same=False, student_characters=5, opponent_characters=5)
TORN = Pair(student_first=True, opponent_first=False, is_same=False, student_characters=5, opponent_characters=5)
UNREADABLE = Pair(student_first=True, opponent_first=None, is_same=False, student_characters=5, opponent_characters=5)


def caveats(judge: str, teacher: str, *pairs: Pair) -> list[str]:
    found = Preferences(judge, {str(number): pair for number, pair in enumerate(pairs or (WON,))})
    return list(judge_caveats({"teacher": {"CONVERSATION": found}}, teacher))


@pytest.mark.parametrize(
    ("judge", "teacher", "relation"),
    [
        ("acme/large", "acme/large", "is the teacher itself"),
        ("Qwen/Qwen2.5-72B-Instruct", "models/qwen3-8b", "of the teacher's family, qwen,"),
        ("meta-llama/Llama-3.1-405B-Instruct", "package:x/Meta-Llama-3-8B.Q4_0.gguf", "of the teacher's family, llama,"),
        ("gpt-4.1-2025-04-14", "openai/gpt-oss-120b", "of the teacher's family, gpt,"),
    ],
)
def test_a_judge_that_is_akin_to_the_teacher_is_named(judge: str, teacher: str, relation: str) -> None:
    (caveat,) = caveats(judge, teacher)

    assert judge in caveat
    assert relation in caveat


@pytest.mark.parametrize(
    ("judge", "teacher"),
    [("deepseek-ai/DeepSeek-V3", "Qwen/Qwen2.5-72B"), ("student:0123", "student:4567"), ("runs/model", "other/model-2")],
)
def test_of_others_there_is_nothing_to_say(judge: str, teacher: str) -> None:
    assert caveats(judge, teacher) == []


def test_what_cannot_be_read_and_what_contradicts_itself_is_counted() -> None:
    unreadable, torn = caveats("a", "b", WON, TORN, TORN, TORN, UNREADABLE)

    assert unreadable.startswith("1 of 5 CONVERSATION items have no readable judgement of student and teacher")
    assert "otherwise in 75 % of the CONVERSATION items" in torn
