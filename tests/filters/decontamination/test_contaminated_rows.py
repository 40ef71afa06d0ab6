"""The decontamination filter: which rows it rejects, and which sets it can be told of."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import DataError
from tasks.core.records import Prompt
from tasks.filters import FilterContext
from tasks.filters.decontamination import DecontaminationSettings, reject_contaminated
from tests.filters.candidates import Rows, asked

QUESTION = "Natalia sold clips to forty eight of her friends in April and then she sold half as many clips in May"
BENCHMARK = "A robe takes two bolts of blue fibre and half that much white fibre so how many bolts does it take"
ROWS = [
    asked("a", "What is a wash?", "Beer without hops."),
    asked("b", "Invent a problem.", QUESTION),
    asked("c", BENCHMARK, "Three."),
]


def held_out() -> list[Prompt]:
    test: Any = {"id": "t1", "text": None, "messages": [{"role": "user", "content": QUESTION}]}
    return [test]


def write(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


def test_a_row_whose_answer_repeats_a_test_prompt_goes(tmp_path: Path) -> None:
    found = reject_contaminated(DecontaminationSettings(), FilterContext(test_prompts=held_out))(Rows(ROWS, tmp_path))

    assert found.rejected["contaminated"].tolist() == [1]
    assert found.scores["test_coverage"].tolist() == [0, 1, 0]
    assert found.notes["closest_pairs"] == [{"id": "b", "source": "test", "held_out_id": "t1", "coverage": 1.0}]


def test_what_all_rows_have_in_common_is_template_where_test_prompts_are_few(tmp_path: Path) -> None:
    rows = [asked(str(number), f"{QUESTION}: question {number}", "No.") for number in range(40)]
    rows.append(asked("other", QUESTION, "No."))
    found = reject_contaminated(DecontaminationSettings(), FilterContext(test_prompts=held_out))(Rows(rows, tmp_path))

    assert found.rejected["contaminated"].tolist() == [40], "the same words and nothing more are the test prompt"


def test_a_named_evaluation_set_is_kept_away_from_too(tmp_path: Path) -> None:
    source = write(
        tmp_path / "robes.jsonl", {"question": BENCHMARK}, {"messages": [{"role": "user", "content": "Why is it so?"}]}
    )
    settings = DecontaminationSettings.model_validate(
        {"evaluation_sets": {"robes": {"sources": [source], "template": "{question}"}}}
    )
    found = reject_contaminated(settings, FilterContext(test_prompts=held_out))(Rows(ROWS, tmp_path))

    assert found.rejected["contaminated"].tolist() == [1, 2]
    assert found.notes["held_out"] == {"robes": {"texts": 2, "repeated": 1}, "test": {"texts": 1, "repeated": 1}}


def test_a_row_that_the_template_does_not_fit_ends_the_run(tmp_path: Path) -> None:
    source = write(tmp_path / "robes.jsonl", {"question": BENCHMARK})
    settings = DecontaminationSettings.model_validate({"evaluation_sets": {"robes": {"sources": [source]}}})

    with pytest.raises(DataError, match=r"'robes' cannot be used .* line 1: it has the fields \['question'\]"):
        reject_contaminated(settings, FilterContext(test_prompts=held_out))(Rows(ROWS, tmp_path))


def test_an_evaluation_set_is_known_by_its_content_and_not_by_its_place(tmp_path: Path) -> None:
    places = [write(tmp_path / name, {"prompt": BENCHMARK}) for name in ("one.jsonl", "two.jsonl")]
    other = write(tmp_path / "three.jsonl", {"prompt": QUESTION})
    first, second, third = (
        DecontaminationSettings.model_validate({"evaluation_sets": {"robes": {"sources": [source]}}}).identity()
        for source in (*places, other)
    )

    assert first == second != third


@pytest.mark.parametrize(
    ("settings", "clean"),
    [
        ({}, True),
        ({"max_coverage": 0.3}, True),
        ({"mode": "annotate"}, False),
        ({"max_coverage": 0.6}, False),
        ({"ngram_words": 13}, False),
        ({"evaluation_sets": {"robes": {"sources": ["robes.jsonl"]}}}, False),
    ],
)
def test_a_dataset_need_not_be_looked_through_again_if_what_its_check_would_find_was_dropped(
    settings: dict[str, Any], clean: bool
) -> None:
    assert DecontaminationSettings.model_validate(settings).leaves_nothing == clean
