"""Every shipped student's part through the stages, with a tiny model of its architecture, tokenizer and template in its place.

Only sizes differ from the recipes: where the data and the models lie, how many tokens there are, how the devices are shared out.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from flows.config import DistillConfig
from flows.recipe import load_recipe
from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.records import ANSWERED_PROMPTS, PREDICTIONS
from tasks.core.tables import read_table
from tasks.core.weights import locate_weights
from tasks.dataset import curate
from tasks.evaluation import evaluate
from tasks.generations import generate
from tasks.model import ModelSettings, prepare_endpoint, prepare_model
from tasks.preflight import check_memory, check_models, plan_preflight
from tasks.prompts import prepare_prompts
from tasks.student import METRICS_FILE, train
from tests.endpoints import ScriptedEndpoint, run_scripted_endpoint
from tests.families import family_model

pytestmark = pytest.mark.slow

SHIPPED = Path(__file__).parents[2] / "deployments" / "recipes"
TRAIN_ROWS, TEST_ROWS = 48, 5
SIZES = [
    "generations.sampling.max_new_tokens=24",
    "generations.sampling.max_prompt_tokens=100",
    "generations.runtime={}",
    "student.training.runtime={device_batch_size: 16, device_memory_gib: 1}",
    "evaluation.sampling.max_new_tokens=24",  # with the prompts, within the 128 positions that are not scaled
    "evaluation.sampling.max_prompt_tokens=100",
    "dataset.min_examples=1",
    "evaluation.latency_requests=5",
    "evaluation.load_concurrencies=[]",
    "evaluation.engine.max_num_seqs=8",
]


@dataclass(frozen=True)
class Run:
    """What a run of the stages left behind."""

    preflight: Artifact
    generations: Artifact
    start: Artifact
    student: Artifact
    evaluation: Artifact


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedEndpoint]:
    with run_scripted_endpoint() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the users' rows, and the store that all students share."""
    folder = tmp_path_factory.mktemp("students")
    for split, count in (("train", TRAIN_ROWS), ("test", TEST_ROWS)):
        rows = [{"prompt": f"{split} {number}", "answer": f"re: {split} {number}"} for number in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def shrunk(teacher: str, student: str, folder: Path, *overrides: str) -> DistillConfig:
    """Return a shipped combination with all sizes cut down, and a tiny model under the name of the student's own."""
    paths = [SHIPPED / f"{teacher}.yaml", SHIPPED / "students" / f"{student}.yaml"]
    model = load_recipe(paths).student.model
    assert model is not None
    place = folder / Path(model.source).name
    if not place.exists():
        family_model(student, place)
    data = [f"prompts.{split}=[{folder / split}.jsonl]" for split in ("train", "test")]
    return load_recipe(paths, [f"store={folder / 'store'}", f"student.model.source={place}", *data, *SIZES, *overrides])


def run_stages(config: DistillConfig, teacher: Artifact) -> Run:
    """Run the stages of a distillation, but for the evaluations of teacher and baseline and the report."""
    store, training = config.store, config.student.training
    assert config.student.model is not None
    prompts = prepare_prompts.fn(settings=config.prompts, store=store)
    start = prepare_model.fn(settings=config.student.model, store=store)
    plan = plan_preflight(config.preflight, training)
    preflight = check_models.fn(settings=plan, store=store, teacher=teacher, student=start, prompts=prompts)
    assert check_memory(preflight, training, config.longest_row_tokens) is not None
    generations = generate.fn(settings=config.generations, store=store, prompts=prompts, teacher=teacher)
    dataset = curate.fn(settings=config.dataset, store=store, prompts=prompts, student=start, generations=generations)
    student = train.fn(settings=training, store=store, dataset=dataset, start=start)
    evaluation = evaluate.fn(settings=config.evaluation, store=store, prompts=prompts, model=student)
    return Run(preflight, generations, start, student, evaluation)


def require_trained_and_answering(run: Run, epochs: float) -> None:
    """Require that the student's weights moved, by losses that are numbers, and that it answered every test prompt."""
    before, after = (load_file(locate_weights(model) / "model.safetensors") for model in (run.start, run.student))
    assert before.keys() == after.keys()
    assert not all(torch.equal(weights, after[name]) for name, weights in before.items())
    assert run.student.counts["steps"] == epochs, "one step a pass: there are fewer rows than the batch has"
    assert math.isfinite(read_record(run.student).summary["train_loss"])
    answers = list(read_table(run.evaluation, PREDICTIONS))
    assert len(answers) == TEST_ROWS
    assert all(row["finish_reason"] in {"stop", "length"} for row in answers)
    assert any(row["answer"] for row in answers)


@pytest.mark.parametrize("student", ["phi_4_mini", "phi_3_mini_4k", "phi_3_mini_128k", "phi_3_5_mini"])
def test_a_phi_learns_from_the_text_of_an_endpoints_answers(student: str, folder: Path, endpoint: ScriptedEndpoint) -> None:
    config = shrunk("endpoint", student, folder, f"teacher.endpoint.url={endpoint.url}")
    assert config.teacher.endpoint is not None
    run = run_stages(config, prepare_endpoint.fn(settings=config.teacher.endpoint, store=config.store))

    require_trained_and_answering(run, config.student.training.epochs)
    terms = read_record(run.preflight).summary["terms"]
    assert [[term["licence"] for term in terms[side]] for side in ("teacher", "student")] == [["mit"], ["mit"]]
    assert {row["teacher"] for row in read_table(run.generations, ANSWERED_PROMPTS)} == {config.teacher.endpoint.model}
    assert len(endpoint.calls) == TRAIN_ROWS, "the answers are paid for once, whichever student asks first"


def test_llama_follows_the_log_probabilities_of_its_larger_relative(folder: Path) -> None:
    config = shrunk("llama_3_1_405b", "llama_3_1_8b", folder, "dataset.min_keep_ratio=0.1")
    assert config.teacher.model is not None
    large = family_model("llama_3_1_8b", folder / Path(config.teacher.model.source).name, seed=1)
    teacher = prepare_model.fn(settings=ModelSettings(source=str(large)), store=config.store)
    run = run_stages(config, teacher)

    require_trained_and_answering(run, config.student.training.epochs)
    summary = read_record(run.preflight).summary
    assert summary["same_tokenizer"] is True
    assert [term["licence"] for term in summary["terms"]["teacher"]] == ["llama-3.1"]
    assert 'Begin the student\'s name with "Llama".' in summary["conditions"]
    assert read_record(run.generations).settings["logprobs"]["top_k"] == 64
    metrics = [json.loads(line) for line in open_file(run.student, METRICS_FILE).read_text().splitlines()]
    assert any(row.get("kd_loss", 0) > 0 for row in metrics)
