"""How like the teacher's answers the others are is what sacrebleu says with the teacher's answers as references."""

import pytest
from sacrebleu import corpus_bleu, sentence_chrf

from tasks.comparing.items import Items
from tasks.comparing.likeness import compare_with_teacher
from tasks.core.records import Prediction
from tasks.renderers.schema import ModelName
from tests.comparing.models import answered, prompt

TEACHER = ["The kettle boils at a hundred degrees.", "Open the tap slowly and wait.", "No.", "It runs clear after an hour."]
BASELINE = ["I do not know the answer to this.", "", "Yes, it is.", "The weather is fine today."]
STUDENT = ["The kettle boils at ninety degrees.", "Open the tap and wait.", "No.", "It runs clear after one hour."]


def said(answers: dict[ModelName, list[str]]) -> Items:
    """Return items that the models answered so; an empty answer is none."""
    prompts = [prompt(number, "CONVERSATION", None) for number in range(len(TEACHER))]
    rows: dict[ModelName, list[Prediction]] = {
        model: [answered(asked, 0, said=text) for asked, text in zip(prompts, texts, strict=True)]
        for model, texts in answers.items()
    }
    return Items(prompts, rows)


def test_each_answer_is_measured_against_the_teachers() -> None:
    found = compare_with_teacher(said({"teacher": TEACHER, "baseline": BASELINE, "student": STUDENT}))
    singles = [sentence_chrf(ours, [theirs], word_order=2).score for ours, theirs in zip(STUDENT, TEACHER, strict=True)]

    assert found["chrf"].keys() == found["bleu"].keys() == {"baseline", "student"}
    assert found["chrf"]["student"].value == pytest.approx(sum(singles) / len(singles) / 100)
    assert found["bleu"]["student"].value == pytest.approx(corpus_bleu(STUDENT, [TEACHER]).score / 100)
    for measure in found.values():
        student, baseline = measure["student"], measure["baseline"]
        assert student.value > baseline.value
        assert student.low is not None and student.high is not None and student.low < student.value < student.high


def test_what_the_teacher_does_not_answer_is_left_out() -> None:
    mute = ["", *TEACHER[1:]]

    assert compare_with_teacher(said({"teacher": mute, "student": ["!?", *TEACHER[1:]]}))["chrf"]["student"].value == 1
    assert compare_with_teacher(said({"teacher": [""] * 4, "student": STUDENT})) == {}
