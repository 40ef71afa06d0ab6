"""Open conversations without references are promoted or held by what a judge prefers, and by nothing else."""

from pathlib import Path

import pytest

from tasks.judgement import ask_for_preferences
from tasks.judging.settings import SIDES, PairingSettings
from tasks.renderers.markdown import render_markdown
from tasks.renderers.schema import Report
from tasks.report import ReportSettings, make_report, read_report
from tests.comparing.artifacts import artifact, evaluation
from tests.comparing.models import prompt, serving
from tests.endpoints import ScriptedEndpoint
from tests.judging.judges import by, judge

ITEMS = [prompt(number, "CONVERSATION", None, text=f"tell me about {number}") for number in range(100)]


def report_on(store: Path, scripted: ScriptedEndpoint, judge_name: str | None, teacher_name: str = "acme/large") -> Report:
    """Return the report on a student that says "something" to all items, where teacher and baseline say "wrong"."""
    prompts = artifact(store, "prompts", "prompts", {}, prompts=ITEMS)
    evaluations = {
        f"{model}_evaluation": evaluation(store, name, ITEMS, [score] * len(ITEMS), serving(0.1))
        for model, name, score in (("teacher", teacher_name, 0.0), ("baseline", "acme/small", 0.0), ("student", "student:0", 1.0))
    }
    judgements = None
    if judge_name is not None:
        asked = ask_for_preferences.fn(settings=PairingSettings(), store=str(store), prompts=prompts, **evaluations)
        judgements = judge(scripted, asked, SIDES, name=judge_name)
    stages = {kind: artifact(store, kind, kind, {}) for kind in ("preflight", "generations", "dataset", "student")}
    made = make_report.fn(
        settings=ReportSettings(name="judged"), store=str(store), prompts=prompts, judgements=judgements, **stages, **evaluations
    )
    return read_report(made)


@pytest.mark.parametrize(("liked", "verdict", "won"), [("something", "promote", 100), ("wrong", "hold", 0)])
def test_a_student_that_the_judge_prefers_is_promoted_and_another_is_held(
    tmp_path: Path, scripted: ScriptedEndpoint, liked: str, verdict: str, won: int
) -> None:
    scripted.act = by(lambda quotes: next(side for side in SIDES if quotes[side] == liked))
    report = report_on(tmp_path, scripted, "judge-1")
    (task,) = report.tasks

    assert report.verdict == verdict, report.reason
    preference = task.preferences["teacher"]
    assert (preference.judge, preference.wins, preference.losses) == ("judge-1", won, 100 - won)
    assert task.preferences["baseline"] == preference, "the baseline says what the teacher says"
    rows = [line for line in render_markdown(report).splitlines() if line.startswith("| preferred to the ")]
    assert [row.split(" (by")[0] for row in rows] == ["| preferred to the baseline", "| preferred to the teacher"]
    assert report.lineage.artifacts["judgements"].kind == "generations"


def test_without_a_judge_agreement_with_the_teacher_is_all_there_is_to_go_by_and_is_called_so(
    tmp_path: Path, scripted: ScriptedEndpoint
) -> None:
    report = report_on(tmp_path, scripted, None)
    markdown = render_markdown(report).splitlines()

    assert report.verdict == "hold", "it never says what the teacher says"
    assert report.tasks[0].preferences == {}
    assert report.reason.startswith("likeness to the teacher: CONVERSATION: ")
    assert "**Likeness to the teacher's answers: CONVERSATION**" in markdown
    assert "| likeness to the teacher | baseline | student |" in markdown
    assert any(line.startswith("| chrF++ (mean of single answers) | 100.0 %") for line in markdown)
    assert any("which is agreement and not quality" in line for line in markdown)
    assert "| metric | teacher | baseline | student |" in markdown, "what is wrong in form is told of each model"


def test_a_teacher_that_judges_itself_is_a_caveat(tmp_path: Path, scripted: ScriptedEndpoint) -> None:
    scripted.act = by(lambda quotes: "A")
    report = report_on(tmp_path, scripted, "judge-1", teacher_name="judge-1")

    assert any("is the teacher itself" in caveat for caveat in report.caveats)
    assert any("decides otherwise in 100 % of the CONVERSATION items" in caveat for caveat in report.caveats)
