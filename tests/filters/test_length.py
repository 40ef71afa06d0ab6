"""The length rule: only rows whose prompt and answer together fit the student's training length."""

from tasks.filters import FILTERS, Candidate, FilterContext


def count_words(candidate: Candidate) -> tuple[int, int]:
    return len((candidate.text or "").split()), len(candidate.completion.split())


def limited_to(max_length_tokens: int | None) -> FilterContext:
    return FilterContext(labels=[], max_length_tokens=max_length_tokens, count_tokens=count_words)


ROW_OF_SEVEN = Candidate(
    task="CLASSIFICATION", messages=[], text="Is a still hot?", completion="It is hot.", finish_reason="stop"
)


def test_a_row_of_just_the_limit_passes() -> None:
    assert FILTERS["length"](limited_to(7))(ROW_OF_SEVEN) is None


def test_a_row_of_one_token_more_is_rejected_though_prompt_and_answer_each_fit() -> None:
    assert FILTERS["length"](limited_to(6))(ROW_OF_SEVEN) == "too_long"


def test_without_a_limit_rows_of_any_length_pass_and_no_token_is_counted() -> None:
    def never(candidate: Candidate) -> tuple[int, int]:
        raise AssertionError(f"counted the tokens of {candidate}")

    context = FilterContext(labels=[], max_length_tokens=None, count_tokens=never)
    assert FILTERS["length"](context)(ROW_OF_SEVEN) is None
