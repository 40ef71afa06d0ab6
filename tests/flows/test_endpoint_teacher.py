"""A teacher behind an endpoint through the whole path: vLLM's own server, with a key, and then without either of them."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.config import DistillConfig
from flows.distill import distill
from flows.recipe import load_recipe
from tasks.core.artifact import Artifact
from tasks.core.records import ANSWERED_PROMPTS
from tasks.core.tables import read_table
from tasks.report import read_report, report_file
from tests.endpoints import run_vllm_server
from tests.flows.runs import task_runs
from tests.recipes import tiny_recipe

pytest.importorskip("vllm", reason="needs one of the extras cpu and cuda")
pytestmark = pytest.mark.slow

KEY, VARIABLE = "sk-tiny-0123456789abcdefghij", "TINY_TEACHER_KEY"
LABELLED = "{max_new_tokens: 12, max_prompt_tokens: 60, dtype: float32, structured_output: {labels: true}}"


@dataclass(frozen=True)
class Run:
    """A run that is over; the server that taught is stopped, and its key gone from the environment."""

    config: DistillConfig
    report: Artifact

    @property
    def store(self) -> Path:
        return Path(self.config.store)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Run:
    folder = tmp_path_factory.mktemp("endpoint")
    recipe = tiny_recipe(folder)
    model = folder / "model"
    prices = "price_per_million_input_tokens: 2, price_per_million_output_tokens: 8"
    with pytest.MonkeyPatch.context() as patch, run_vllm_server(model, folder, f"--api-key={KEY}") as url:
        patch.setenv(VARIABLE, KEY)
        config = load_recipe(
            recipe,
            [
                f"teacher={{endpoint: {{url: '{url}', model: tiny, server: vllm, key_environment: {VARIABLE}}}}}",
                f"generations.sampling={LABELLED}",
                f"student.model={{source: '{model}'}}",
                "student.training.epochs=2",
                f"evaluation.sampling={LABELLED}",
                f"evaluation.endpoint={{{prices}}}",
            ],
        )
        report = distill(config)
    return Run(config, report)


def test_the_report_names_the_teacher_and_makes_up_nothing_about_it(run: Run) -> None:
    content = read_report(run.report)
    teacher, student = content.serving["teacher"], content.serving["student"]
    changes = {row.figure: row.change for row in content.case_study}

    assert content.names["teacher"] == "tiny"
    assert content.items == 12
    assert content.tasks[0].metrics["accuracy"]["teacher"].value > 0
    assert all(load.first_token_seconds is not None for load in teacher.loads), "it was asked for answers in pieces"
    assert teacher.latency_seconds.value > 0 and teacher.items_per_second > 0
    assert (teacher.memory, teacher.peak_memory_bytes) == (None, None)
    assert student.memory and student.peak_memory_bytes
    assert (changes["memory"], changes["cost"], changes["concurrent users"]) == (None, None, None)
    assert changes["latency"] is not None
    assert "behind an endpoint" in report_file(run.report, "md").read_text(encoding="utf-8")


def test_what_the_teacher_charges_is_in_the_report(run: Run) -> None:
    cost = read_report(run.report).costs.teacher_per_1k_requests

    assert cost is not None
    assert 1000 * 2 * 10 / 1e6 < cost < 1000 * (60 * 2 + 12 * 8) / 1e6
    assert "1,000 requests" in report_file(run.report, "html").read_text(encoding="utf-8")


def test_the_student_learns_from_the_endpoints_answers(run: Run) -> None:
    generations = read_report(run.report).lineage.artifacts["generations"]
    rows = list(read_table(generations, ANSWERED_PROMPTS))

    assert len(rows) == 52
    assert {row["teacher"] for row in rows} == {"tiny"}
    assert {row["answer"] for row in rows} <= {"warm", "cool"}
    assert all(row["token_ids"] for row in rows)


def test_the_key_is_nowhere_in_the_store(run: Run) -> None:
    files = [path for path in run.store.rglob("*") if path.is_file()]

    assert len(files) > 20
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert [path for path in files if VARIABLE.encode() in path.read_bytes()], "the name of the variable is what is kept"


def test_a_second_run_needs_neither_the_endpoint_nor_its_key(run: Run) -> None:
    state = distill(run.config, return_state=True)

    assert state.result(raise_on_failure=True) == run.report
    runs = task_runs(state, 12)
    assert {run.state_name for run in runs} == {"Cached"}
    assert len(runs) == 12
