"""The exact duplicate rule: only the first of several rows whose prompt and answer are both equal."""

from dataclasses import replace

from tasks.filters import FILTERS, Candidate, FilterContext

CONTEXT = FilterContext(labels=[], max_length_tokens=None, count_tokens=lambda candidate: (0, 0))
CHAT = Candidate(
    task="CLASSIFICATION",
    messages=[{"role": "user", "content": "Is a still hot?"}],
    text=None,
    completion="Yes, while it runs.",
    finish_reason="stop",
)
PLAIN = Candidate(task="CLASSIFICATION", messages=[], text="A still is", completion=" hot", finish_reason="stop")


def test_the_first_row_passes_and_its_repetition_is_rejected() -> None:
    rule = FILTERS["exact_duplicate"](CONTEXT)
    assert [rule(CHAT), rule(CHAT), rule(CHAT)] == [None, "exact_duplicate", "exact_duplicate"]


def test_case_and_white_space_do_not_tell_two_rows_apart() -> None:
    rule = FILTERS["exact_duplicate"](CONTEXT)
    shouted = replace(CHAT, messages=[{"role": "user", "content": " IS a\nstill  hot?"}], completion="yes,  while it RUNS. ")
    assert [rule(CHAT), rule(shouted)] == [None, "exact_duplicate"]


def test_one_prompt_may_have_several_answers_and_one_answer_several_prompts() -> None:
    rule = FILTERS["exact_duplicate"](CONTEXT)
    other_answer = replace(CHAT, completion="Only while it runs.")
    other_prompt = replace(CHAT, messages=[{"role": "user", "content": "Is the boiler hot?"}])
    assert [rule(CHAT), rule(other_answer), rule(other_prompt)] == [None, None, None]


def test_rows_of_plain_text_are_compared_too() -> None:
    rule = FILTERS["exact_duplicate"](CONTEXT)
    assert [rule(PLAIN), rule(replace(PLAIN, text="A boiler is")), rule(PLAIN)] == [None, None, "exact_duplicate"]


def test_plain_text_ignores_case_and_white_space_like_a_conversation() -> None:
    rule = FILTERS["exact_duplicate"](CONTEXT)
    assert [rule(PLAIN), rule(replace(PLAIN, text="a STILL  is"))] == [None, "exact_duplicate"]


def test_every_run_starts_with_nothing_seen() -> None:
    assert FILTERS["exact_duplicate"](CONTEXT)(CHAT) is None
    assert FILTERS["exact_duplicate"](CONTEXT)(CHAT) is None
