"""The exact duplicate filter: only one of several rows whose prompt and answer are both equal, the best one."""

from dataclasses import replace

from tasks.filters import Candidate
from tests.filters.candidates import Rows, answered, rejected

CHAT = answered("Yes, while it runs.", id="b")
PLAIN = Candidate(id="p", task="CONVERSATION", messages=[], text="A still is", completion=" hot")


def test_of_equal_rows_the_lowest_id_stays_whatever_their_order() -> None:
    rows = [CHAT, replace(CHAT, id="a"), replace(CHAT, id="c")]

    assert rejected("exact_duplicate", Rows(rows)) == [0, 2]
    assert rejected("exact_duplicate", Rows(rows[::-1])) == [0, 2]


def test_a_better_score_counts_more_than_a_lower_id() -> None:
    rows = Rows([replace(CHAT, id="a"), CHAT, replace(CHAT, id="c")], vote_share=[0.2, 0.9, 0.9], mean_logprob=[-1, -2, -3])

    assert rejected("exact_duplicate", rows) == [0, 2]


def test_case_and_white_space_do_not_tell_two_rows_apart() -> None:
    shouted = replace(
        CHAT, messages=[{"role": "user", "content": " IS a\nstill  hot?"}], completion="yes,\t while it\x1fRUNS. ", id="c"
    )

    assert rejected("exact_duplicate", Rows([CHAT, shouted])) == [1]
    assert rejected("exact_duplicate", Rows([PLAIN, replace(PLAIN, text="a STILL  is", id="q")])) == [1]


def test_one_prompt_may_have_several_answers_and_one_answer_several_prompts() -> None:
    other_answer = replace(CHAT, completion="Only while it runs.")
    other_prompt = replace(CHAT, messages=[{"role": "user", "content": "Is the boiler hot?"}])
    other_turns = replace(CHAT, messages=[{"role": "system", "content": "Be short."}, *CHAT.messages])

    assert rejected("exact_duplicate", Rows([CHAT, other_answer, other_prompt, other_turns])) == []


def test_equal_labels_of_different_prompts_are_no_duplicates() -> None:
    rows = [answered("yes", id=str(n), task="NLI", messages=[{"role": "user", "content": f"{n}?"}]) for n in range(9)]

    assert rejected("exact_duplicate", Rows(rows)) == []


def test_no_rows_are_no_trouble() -> None:
    assert rejected("exact_duplicate", Rows([])) == []
