"""The repetition filter: answers and reasoning that go round in circles."""

from tests.filters.candidates import answered, look, reasons

LOOP = "and again it runs down the pipe " * 40
PLAIN = "First comes the head, which is thrown away, then the heart, which is kept, and at last the tail."


def test_an_endless_loop_is_rejected_and_its_share_kept() -> None:
    found = look("repetition", [answered(LOOP), answered(PLAIN)])

    assert [finding.reason for finding in found] == ["repetition", None]
    assert found[0].scores["repeated_share"] > 0.9


def test_reasoning_is_looked_at_unless_told_otherwise() -> None:
    thought = answered(PLAIN, reasoning=LOOP)

    assert reasons("repetition", [thought]) == ["repetition"]
    assert reasons("repetition", [thought], look_at=["answer"]) == [None]
