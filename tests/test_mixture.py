"""Several teachers' answers become one set, in which every row says whose it is."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.core.artifact import Artifact, read_record
from tasks.core.errors import SettingsError
from tasks.core.records import ANSWERED_PROMPTS, with_logprobs
from tasks.core.tables import read_table
from tasks.mixture import MixtureSettings, mix_generations
from tests.generated import generations, row, sure
from tests.teaching import numbered, prepare


@pytest.fixture
def prompts(tmp_path: Path) -> Artifact:
    return prepare(tmp_path / "store", numbered(3))


def mix(prompts: Artifact, mixture: dict[str, Any], **teachers: list[dict[str, Any]]) -> Artifact:
    """Return the mixture of what the teachers answered."""
    return mix_generations.fn(
        settings=MixtureSettings.model_validate(mixture),
        store=prompts.store,
        prompts=prompts,
        generations={name: generations(prompts, name, rows) for name, rows in teachers.items()},
    )


def said(mixed: Artifact) -> list[tuple[str, str, str]]:
    """Return the prompt, teacher and answer of every row."""
    return [(row["id"], row["teacher"], row["answer"]) for row in read_table(mixed, ANSWERED_PROMPTS)]


def best(prompts: Artifact, score: str, **teachers: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return said(mix(prompts, {"mode": "best_of", "score": score}, **teachers))


def test_all_answers_of_all_teachers_are_kept(prompts: Artifact) -> None:
    mixed = mix(prompts, {"mode": "all"}, teacher=[row("a", "1"), row("b", "2")], small=[row("a", "3")])

    assert said(mixed) == [("a", "teacher", "1"), ("b", "teacher", "2"), ("a", "small", "3")]
    assert mixed.counts == {"rows": 3}
    assert read_record(mixed).summary["teachers"] == {"teacher": 2, "small": 1}


def test_log_probabilities_stay_in_a_mixture(prompts: Artifact) -> None:
    mixed = mix(prompts, {"mode": "all"}, teacher=[sure("a", "1", [-0.5, -0.25])], small=[sure("b", "2", [-1.0])])
    rows = read_table(mixed, with_logprobs(ANSWERED_PROMPTS, 0))

    assert [row["token_logprobs"].tolist() for row in rows] == [[-0.5, -0.25], [-1.0]]


@pytest.mark.parametrize(
    ("route_by", "routes"), [("task", {"MATH": "maths", "NLI": "teacher"}), ("domain", {"sums": "maths", "logic": "teacher"})]
)
def test_every_prompt_is_answered_by_exactly_one_teacher(route_by: str, routes: dict[str, str]) -> None:
    mixture = MixtureSettings(mode="route", route_by=route_by, routes=routes)
    asked = {name: mixture.selection(name) for name in ("teacher", "maths", "idle")}
    values = [*routes, "something else", None]

    found = {value: [name for name, only in asked.items() if only and (value in only.values) != only.others] for value in values}
    assert list(found.values()) == [["maths"], ["teacher"], ["teacher"], ["teacher"]]
    assert {only.field for only in asked.values() if only} == {route_by}


@pytest.mark.parametrize("mode", ["all", "best_of"])
def test_without_routes_every_teacher_answers_every_prompt(mode: str) -> None:
    assert MixtureSettings.model_validate({"mode": mode}).selection("small") is None


def test_the_answer_that_is_the_reference_wins(prompts: Artifact) -> None:
    teacher = [row("a", "Lyon", references=["paris"], task="NLU_QA"), row("b", "Rome", references=["rome"], task="NLU_QA")]
    small = [row("a", "The Paris.", references=["paris"], task="NLU_QA"), row("b", "Oslo", references=["rome"], task="NLU_QA")]

    assert best(prompts, "reference", teacher=teacher, small=small) == [("b", "teacher", "Rome"), ("a", "small", "The Paris.")]


def test_the_answer_that_most_samples_give_wins(prompts: Artifact) -> None:
    samples = [row("a", text, sample_index=number) for number, text in enumerate(["4", "5", " 5."])]

    assert best(prompts, "agreement", teacher=samples) == [("a", "teacher", "5")]


def test_the_surest_answer_wins_by_its_mean_and_not_by_its_length(prompts: Artifact) -> None:
    samples = [
        sure("a", "long and sure", [-0.125, -0.125, -0.125, -0.125], sample_index=0),
        sure("a", "short and less sure", [-0.25], sample_index=1),
    ]

    assert best(prompts, "confidence", teacher=samples) == [("a", "teacher", "long and sure")]


def test_the_first_of_equals_wins(prompts: Artifact) -> None:
    assert best(prompts, "reference", teacher=[row("a", "1")], small=[row("a", "2")]) == [("a", "teacher", "1")]


def test_an_answer_that_did_not_finish_wins_only_among_its_like(prompts: Artifact) -> None:
    cut = {"finish_reason": "length", "references": ["paris"], "task": "NLU_QA"}
    teacher = [row("a", "Paris", **cut), row("b", "Lyon", **cut)]
    small = [row("a", "Lyon", references=["paris"], task="NLU_QA"), row("b", "Paris", **cut)]

    assert best(prompts, "reference", teacher=teacher, small=small) == [("a", "small", "Lyon"), ("b", "small", "Paris")]


def test_every_turn_of_a_conversation_has_its_own_best_answer(prompts: Artifact) -> None:
    teacher = [row("a", "1", references=["1"], task="NLU_QA"), row("a", "2", turn=1, references=["3"], task="NLU_QA")]
    small = [row("a", "9", references=["1"], task="NLU_QA"), row("a", "3", turn=1, references=["3"], task="NLU_QA")]

    assert best(prompts, "reference", teacher=teacher, small=small) == [("a", "teacher", "1"), ("a", "small", "3")]


def test_many_rows_are_mixed_in_their_order(prompts: Artifact) -> None:
    names = [f"{number:05d}" for number in range(2500)]
    teacher = [row(name, "no" if number % 3 else "yes", references=["yes"], task="NLU_QA") for number, name in enumerate(names)]
    small = [row(name, "yes" if number % 3 else "no", references=["yes"], task="NLU_QA") for number, name in enumerate(names)]
    found = best(prompts, "reference", teacher=teacher, small=small)

    expected = [(name, "small" if number % 3 else "teacher", "yes") for number, name in enumerate(names)]
    assert found == sorted(expected, key=lambda row: row[1] == "small")


def test_confidence_needs_log_probabilities(prompts: Artifact) -> None:
    with pytest.raises(SettingsError, match=r"confidence, which needs generations\.logprobs; ask for a top_k of 0 or more"):
        best(prompts, "confidence", teacher=[row("a", "1")])


def test_the_same_mixture_is_made_once_and_another_is_not_it(prompts: Artifact) -> None:
    teachers = {"teacher": [row("a", "1")], "small": [row("a", "2")]}
    first = mix(prompts, {"mode": "all"}, **teachers)

    assert mix(prompts, {"mode": "all"}, **teachers) == first
    assert mix(prompts, {"mode": "best_of"}, **teachers).fingerprint != first.fingerprint
    assert mix(prompts, {"mode": "all"}, teacher=teachers["teacher"]).fingerprint != first.fingerprint


@pytest.mark.parametrize("wrong", [{"mode": "route"}, {"mode": "all", "routes": {"MATH": "maths"}}])
def test_routes_are_given_when_the_mode_is_route_and_only_then(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"mixture\.routes says which teacher answers what when the mode is route"):
        MixtureSettings.model_validate(wrong)
