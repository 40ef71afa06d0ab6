"""Partitions cover every prompt once, and each has as much left to do."""

import pytest

from tasks.generating.spans import Span, cut_spans

IDS = [f"prompt-{number}" for number in range(1000)]


def shares(spans: list[Span], ids: list[str]) -> list[int]:
    """Return how many of the prompts each partition has."""
    return [sum(identifier in span for identifier in ids) for span in spans]


@pytest.mark.parametrize("partitions", [1, 2, 3, 7, 64])
def test_every_prompt_is_in_exactly_one_partition(partitions: int) -> None:
    spans = cut_spans(IDS, partitions)
    later = [f"not-known-when-it-was-cut-{number}" for number in range(1000)]

    assert len(spans) == partitions
    assert all(sum(identifier in span for span in spans) == 1 for identifier in IDS + later)


@pytest.mark.parametrize("partitions", [2, 3, 7, 64])
def test_every_partition_has_as_much_to_do(partitions: int) -> None:
    found = shares(cut_spans(IDS, partitions), IDS)

    assert max(found) - min(found) <= 1


def test_what_a_stopped_run_left_in_one_place_is_spread_over_all_partitions() -> None:
    first, *_ = cut_spans(IDS, 4)
    left = [identifier for identifier in IDS if identifier in first]

    assert shares(cut_spans(left, 5), left) == [50] * 5


def test_several_samples_of_a_prompt_stay_together() -> None:
    spans = cut_spans([identifier for identifier in IDS for _ in range(4)], 10)

    assert shares(spans, IDS) == [100] * 10


@pytest.mark.parametrize(("prompts", "expected"), [(3, 3), (1, 1), (0, 1)])
def test_there_are_no_more_partitions_than_prompts(prompts: int, expected: int) -> None:
    spans = cut_spans(IDS[:prompts], 8)

    assert len(spans) == expected
    assert sum(shares(spans, IDS)) == 1000, "prompts that are new by then still belong to one of them"


def test_a_partition_is_the_same_on_another_machine() -> None:
    spans = cut_spans(IDS, 4)
    sent = [Span.model_validate_json(span.model_dump_json()) for span in spans]

    assert sent == spans
    assert shares(sent, IDS) == shares(spans, IDS)
