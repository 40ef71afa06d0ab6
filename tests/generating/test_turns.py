"""Every turn of a conversation is given after the teacher's own earlier ones, not after those of the source."""

from tasks.core.records import Message
from tasks.generating.prompting import PromptingSettings
from tasks.generating.turns import assistant_turns, with_answers

LAST, ALL = PromptingSettings(turns="last"), PromptingSettings(turns="all")


def conversation(*turns: str) -> list[Message]:
    """Return messages written as ``role: content``, the role by its first letter."""
    roles = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    return [Message(role=roles[role], content=content) for role, _, content in (turn.partition(": ") for turn in turns)]


SAID = conversation("s: Be kind.", "u: Hi", "a: Hello", "u: 2+2?", "a: 5", "u: Sure?")


def test_the_last_turn_is_given_after_the_conversation_as_it_is() -> None:
    lengths = assistant_turns(SAID, LAST)
    assert lengths == [6]
    assert with_answers(SAID, lengths, []) == SAID


def test_every_turn_is_given_after_the_teachers_own_answers() -> None:
    lengths = assistant_turns(SAID, ALL)
    assert lengths == [2, 4, 6]
    assert with_answers(SAID, lengths, []) == SAID[:2]
    assert with_answers(SAID, lengths, ["Good day"]) == conversation("s: Be kind.", "u: Hi", "a: Good day", "u: 2+2?")
    assert with_answers(SAID, lengths, ["Good day", "4"]) == conversation(
        "s: Be kind.", "u: Hi", "a: Good day", "u: 2+2?", "a: 4", "u: Sure?"
    )


def test_a_turn_of_several_messages_is_given_once_and_replaced_whole() -> None:
    said = conversation("u: Hi", "a: Hello", "a: How are you?", "u: Well")
    lengths = assistant_turns(said, ALL)
    assert lengths == [1, 4]
    assert with_answers(said, lengths, ["Good day"]) == conversation("u: Hi", "a: Good day", "u: Well")
    assert with_answers(said, assistant_turns(said, LAST), []) == said


def test_a_greeting_before_the_user_speaks_stays() -> None:
    said = conversation("s: Be kind.", "a: Can I help?", "u: 2+2?", "a: 5", "u: Sure?")
    lengths = assistant_turns(said, ALL)
    assert lengths == [3, 5]
    assert with_answers(said, lengths, ["4"]) == conversation("s: Be kind.", "a: Can I help?", "u: 2+2?", "a: 4", "u: Sure?")


def test_what_a_tool_says_is_answered_too() -> None:
    said = conversation("u: Hot?", "a: look", "t: 78", "a: yes", "u: Thanks")
    lengths = assistant_turns(said, ALL)
    assert with_answers(said, lengths, ["I look", "It is"]) == conversation(
        "u: Hot?", "a: I look", "t: 78", "a: It is", "u: Thanks"
    )


def test_a_plain_text_has_one_turn() -> None:
    assert assistant_turns([], ALL) == assistant_turns([], LAST) == [0]
