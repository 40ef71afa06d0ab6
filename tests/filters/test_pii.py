"""The filter of personal data: answer, reasoning, and everything that came before."""

from tests.filters.candidates import answered, look, reasons

EARLIER = [
    {"role": "user", "content": "I am jane@still.org"},
    {"role": "assistant", "content": "Call +44 20 7946 0958"},
    {"role": "user", "content": "When?"},
]


def test_all_texts_of_a_row_are_looked_at_and_each_kind_is_counted() -> None:
    row = answered("Write to a@b.org", reasoning="The card 4111111111111111 is hers", messages=EARLIER)

    assert look("pii", [row]) == [("pii", {"pii_card": 1, "pii_email": 2, "pii_phone": 1})]


def test_only_some_texts_can_be_looked_at() -> None:
    row = answered("At noon.", messages=EARLIER)

    assert reasons("pii", [row]) == ["pii"]
    assert reasons("pii", [row], look_at=["answer", "reasoning"]) == [None]


def test_plain_text_before_the_answer_is_a_prompt_too() -> None:
    assert reasons("pii", [answered(" noon", messages=[], text="Mail jane@still.org at")]) == ["pii"]
