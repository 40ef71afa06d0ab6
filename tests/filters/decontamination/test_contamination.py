"""Decontamination: what of a held-out text a training row covers, and how it is reported."""

from typing import Any

import pytest

from tasks.core.records import Example, Prompt
from tasks.filters.decontamination.index import HeldOut, HeldOutIndex
from tasks.filters.decontamination.tally import ContaminationTally, count_contamination

QUESTION = "Natalia sold clips to forty eight of her friends in April and then she sold half as many clips in May"
OTHER = "A robe takes two bolts of blue fibre and half that much white fibre so how many bolts does it take"
SHORT = "Who wrote Emma?"


def index(*texts: str, words: int = 8) -> HeldOutIndex:
    return HeldOutIndex([HeldOut("test", f"t{number}", text) for number, text in enumerate(texts)], words, 0.05)


def coverages(held_out: HeldOutIndex, prompt: str, answer: str = "") -> dict[int, float]:
    found = held_out.match([prompt], [answer])
    return dict(zip(found.items.tolist(), found.coverages.tolist(), strict=True))


def test_a_row_that_quotes_a_question_covers_it_whole() -> None:
    assert coverages(index(QUESTION, OTHER), f"Solve this. {QUESTION.upper()}! Think first.") == {0: 1.0}


def test_coverage_is_the_share_of_words_in_common_runs() -> None:
    first_twelve = " ".join(QUESTION.split()[:12])

    assert coverages(index(QUESTION), f"{first_twelve} something else") == {0: pytest.approx(12 / 21)}


def test_two_runs_of_one_text_count_together_and_once() -> None:
    words = QUESTION.split()
    row = " ".join([*words[:8], "and", *words[10:18], "and", *words[:9]])

    assert coverages(index(QUESTION), row) == {0: pytest.approx((9 + 8) / 21)}


def test_seven_words_in_common_are_none() -> None:
    assert coverages(index(QUESTION), " ".join(QUESTION.split()[3:10])) == {}


def test_an_answer_may_give_the_question_away_too() -> None:
    assert coverages(index(QUESTION), "Invent a problem.", QUESTION) == {0: 1.0}


def test_a_question_of_few_words_is_compared_whole() -> None:
    held_out = index(SHORT, QUESTION)

    assert coverages(held_out, "who wrote EMMA") == {0: 1.0}
    assert coverages(held_out, "Who wrote Emma and Persuasion?") == {}


def test_a_template_is_no_contamination_but_what_fills_it_is() -> None:
    template = "Read the following sentence carefully and say which of the one hundred intents it has: {}"
    texts = [
        f"please {word} my {noun} for tomorrow" for word in ("book", "cancel", "move") for noun in ("room", "flight", "taxi")
    ]
    held_out = index(*(template.format(text) for text in texts))

    assert coverages(held_out, template.format("how warm is it in oslo")) == {}
    assert coverages(held_out, template.format(f"{texts[4]} with two windows and a view of the sea")) == {}
    assert coverages(held_out, template.format(texts[4])) == {4: 1.0}


def test_within_a_template_words_are_covered_as_they_are_without_it() -> None:
    template = "Answer the following question about the sums of money that people earn and spend: {}"
    texts = [QUESTION, OTHER, "How much does a man earn who is paid nine coins an hour and works for six of them each day"]
    row = " ".join(QUESTION.split()[:12]) + " something else"

    assert coverages(index(*map(template.format, texts)), template.format(row)) == coverages(index(QUESTION), row)


def test_a_question_that_is_nothing_but_template_is_compared_whole() -> None:
    held_out = index(*[QUESTION] * 5)

    assert coverages(held_out, QUESTION) == dict.fromkeys(range(5), 1.0)


def test_empty_rows_and_empty_sets_match_nothing() -> None:
    assert coverages(index(QUESTION, ""), "") == {}
    assert coverages(index(), QUESTION) == {}


def test_the_tally_names_pairs_and_counts_texts_and_rows() -> None:
    held_out = HeldOutIndex([HeldOut("test", "a", QUESTION), HeldOut("gsm8k", "b", OTHER), HeldOut("gsm8k", "c", SHORT)], 8, 0.05)
    tally = ContaminationTally(held_out, max_coverage=0.5)
    rows = {"r1": "Nothing in common here", "r2": QUESTION, "r3": f"{OTHER} {QUESTION}", "r4": " ".join(OTHER.split()[:9])}
    found = tally.look(list(rows), list(rows.values()), ["Yes."] * 4)

    assert found == [0.0, 1.0, 1.0, pytest.approx(9 / 21)]
    assert tally.summary() == {
        "held_out": {"gsm8k": {"texts": 2, "repeated": 1}, "test": {"texts": 1, "repeated": 1}},
        "rows": 2,
        "pairs": 3,
        "closest_pairs": [
            {"id": "r2", "source": "test", "held_out_id": "a", "coverage": 1.0},
            {"id": "r3", "source": "test", "held_out_id": "a", "coverage": 1.0},
            {"id": "r3", "source": "gsm8k", "held_out_id": "b", "coverage": 1.0},
        ],
    }


def test_the_list_of_pairs_does_not_depend_on_the_order_of_rows() -> None:
    summaries = []
    for order in (range(400), reversed(range(400))):
        tally = ContaminationTally(index(QUESTION), max_coverage=0.5)
        for number in order:
            tally.look([f"r{number:03}"], [QUESTION], ["Yes."])
        summaries.append(tally.summary())

    assert summaries[0] == summaries[1]
    assert [pair["id"] for pair in summaries[0]["closest_pairs"]] == [f"r{number:03}" for number in range(200)]


def test_a_datasets_conversations_are_compared_with_all_their_turns() -> None:
    def turns(*texts: str) -> list[Any]:
        roles = ("user", "assistant") * len(texts)
        return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]

    half = QUESTION.split()
    test: Any = {"id": "t", "text": None, "messages": turns(" ".join(half[:5]), " ".join(half[5:14]), " ".join(half[14:]))}
    example: Any = {"id": "e", "text": None, "messages": turns(" ".join(half[:14])), "completion": " ".join(half[14:])}
    tests: list[Prompt] = [test]
    examples: list[Example] = [example]
    found = count_contamination(tests, lambda: examples, 1)

    assert found["held_out"] == {"test": {"texts": 1, "repeated": 1}}
    assert count_contamination(tests, list, 0)["rows"] == 0


def test_one_test_prompt_shares_its_template_with_the_training_rows_and_nothing_more() -> None:
    template = "Read the following message of a customer carefully and say which of the intents it has: {}"
    test: Any = {"id": "t", "text": template.format("please cancel my booked flight"), "messages": []}
    asked = [template.format(f"message number {number} about a hotel") for number in range(50)]
    examples: list[Any] = [{"id": text, "text": text, "messages": [], "completion": "hotel"} for text in asked]

    assert count_contamination([test], lambda: examples, 50)["rows"] == 0
    examples[7]["text"] = test["text"]
    assert count_contamination([test], lambda: examples, 50)["rows"] == 1


def test_rows_that_the_filter_has_kept_are_looked_at_again_only_where_their_prompts_tell_the_template() -> None:
    tests: list[Any] = [{"id": f"t{number}", "text": f"{QUESTION} {number}", "messages": []} for number in range(60)]
    row: Any = {"id": "e", "text": f"{QUESTION} 7", "messages": [], "completion": "7"}

    assert count_contamination(tests, lambda: [row], 1, are_clean=True)["rows"] == 0
    assert count_contamination(tests, lambda: [row], 1)["rows"] == 1
    assert count_contamination(tests[:9], lambda: [row], 1, are_clean=True)["rows"] == 1
