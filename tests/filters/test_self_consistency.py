"""The self-consistency filter: what most samples of a prompt say."""

import numpy as np

from tests.filters.candidates import Rows, answered, look_at_set, rejected


def samples(*completions: str, task: str = "MATH", prompt: str = "a") -> list:
    return [answered(text, id=prompt, task=task, sample_index=n) for n, text in enumerate(completions)]


def test_the_majority_stays_and_every_row_has_its_share() -> None:
    rows = Rows(samples("It is 1/2", "So 0.5", "The answer is 7", "nothing", "0.50"))

    assert rejected("self_consistency", rows) == [2, 3]
    shares = look_at_set("self_consistency", rows).scores["vote_share"]
    np.testing.assert_allclose(shares, [0.6, 0.6, 0.2, 0, 0.6], rtol=1e-6)


def test_a_prompt_with_one_answer_has_no_vote() -> None:
    found = look_at_set("self_consistency", Rows([*samples("1", prompt="a"), *samples("2", prompt="b")]))

    assert np.isnan(found.scores["vote_share"]).all()
    assert not len(found.rejected["minority"])


def test_open_tasks_are_not_voted_on_and_prompts_are_told_apart() -> None:
    chats = samples("Hello", "Good day", task="CONVERSATION")
    mixed = [*samples("1", "1"), *samples("2", "2", prompt="b")]

    assert rejected("self_consistency", Rows(chats)) == []
    assert rejected("self_consistency", Rows(mixed[::2] + mixed[1::2])) == []


def test_the_least_share_can_be_set() -> None:
    rows = Rows(samples("1", "1", "2", "3"))

    assert rejected("self_consistency", rows, min_vote_share=0.25) == []
    assert rejected("self_consistency", rows, min_vote_share=0.6) == [0, 1, 2, 3]
