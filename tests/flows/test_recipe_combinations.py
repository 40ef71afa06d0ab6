"""Every shipped student goes with every shipped teacher: what it learns from, whether it fits, whether the terms allow it."""

import itertools
import re
from pathlib import Path

import pytest
from transformers import LlamaConfig, Phi3Config, PreTrainedConfig

from flows.config import DistillConfig
from flows.recipe import load_recipe
from tasks.core.errors import SettingsError
from tasks.preflight_checks.architecture import read_shape
from tasks.preflight_checks.memory import estimate_training_bytes, require_memory
from tasks.preflight_checks.shape import ModelShape
from tasks.preflight_checks.terms import check_terms, find_terms

SHIPPED = Path(__file__).parents[2] / "deployments" / "recipes"
TEACHERS = [SHIPPED / f"{name}.yaml" for name in ("deepseek_v3", "llama_3_1_405b", "endpoint")]
STUDENTS = sorted((SHIPPED / "students").glob("*.yaml"))
LORA = SHIPPED / "training" / "lora.yaml"
COMBINATIONS = list(itertools.product(TEACHERS, STUDENTS))
GIB = 1 << 30


def phi(vocabulary: int, heads: int, kv_heads: int, tied: bool = False) -> Phi3Config:
    """Return a configuration of the size that all Phi of 3.8 billion weights have."""
    return Phi3Config(
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=32,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        vocab_size=vocabulary,
        tie_word_embeddings=tied,
        pad_token_id=0,
    )


PUBLISHED: dict[str, PreTrainedConfig] = {
    "phi_4_mini": phi(200_064, heads=24, kv_heads=8, tied=True),
    "phi_3_mini_4k": phi(32_064, heads=32, kv_heads=32),
    "phi_3_mini_128k": phi(32_064, heads=32, kv_heads=32),
    "phi_3_5_mini": phi(32_064, heads=32, kv_heads=32),
    "llama_3_1_8b": LlamaConfig(
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128_256,
    ),
}
"""Sizes of the students as their publishers' configurations give them; nothing else decides the memory that they take."""


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelShape]:
    """The students' shapes, from models that take no memory."""
    found: dict[str, ModelShape] = {}
    for name, config in PUBLISHED.items():
        folder = tmp_path_factory.mktemp(name)
        config.save_pretrained(folder)
        found[name] = read_shape(folder)
    return found


def require_fitting(config: DistillConfig, shape: ModelShape) -> float:
    """Require that a training fits the device that its recipe names, and return what it takes of it, in GiB."""
    training = config.student.training
    assert training.runtime.device_memory_gib is not None
    estimate = estimate_training_bytes(shape, training, config.longest_row_tokens)
    require_memory(estimate, training.runtime.device_memory_gib, training)
    return estimate.total / GIB


def conditions(config: DistillConfig) -> list[str]:
    """Return what a release must keep, as the preflight finds it by the names of teacher and student."""
    teacher, student = config.teacher, config.student.model
    assert student is not None
    if teacher.endpoint is not None:
        theirs = find_terms(teacher.endpoint.model, endpoint_url=teacher.endpoint.url)
    else:
        assert teacher.model is not None
        theirs = find_terms(teacher.model.source)
    ours = find_terms(student.source)
    assert "unknown" not in {theirs.licence, ours.licence}
    return check_terms(theirs, ours, config.preflight.acknowledge_terms)


@pytest.mark.parametrize(("teacher", "student"), COMBINATIONS, ids=lambda path: path.stem)
def test_every_student_goes_with_every_teacher(teacher: Path, student: Path, shapes: dict[str, ModelShape]) -> None:
    alone, config = load_recipe(teacher), load_recipe([teacher, student])
    training, limits = config.student.training, config.evaluation.sampling

    assert config.report.name == f"{teacher.stem}-{student.stem}"
    assert (config.prompts, config.teacher, config.mixture) == (alone.prompts, alone.teacher, alone.mixture)
    assert 1e-5 <= training.learning_rate <= 5e-5
    assert 2 <= training.epochs <= 5
    same_tokenizer = (teacher.stem, student.stem) == ("llama_3_1_405b", "llama_3_1_8b")
    assert training.method == ("topk_kd" if same_tokenizer else "sft")
    assert (config.generations.logprobs is not None) == same_tokenizer
    assert max(limits.context_tokens, config.longest_row_tokens) <= 4096, "the first 4,096 positions are not scaled"
    require_fitting(config, shapes[student.stem])
    named_llama = any('Begin the student\'s name with "Llama"' in condition for condition in conditions(config))
    assert named_llama == ("llama" in f"{teacher.stem} {student.stem}")
    assert not config.preflight.acknowledge_terms


@pytest.mark.parametrize(("teacher", "student"), COMBINATIONS, ids=lambda path: path.stem)
def test_adapters_are_trained_on_one_gpu(teacher: Path, student: Path, shapes: dict[str, ModelShape]) -> None:
    whole, config = load_recipe([teacher, student]), load_recipe([teacher, student, LORA])
    training = config.student.training

    assert config.report.name == f"{teacher.stem}-{student.stem}-lora"
    assert training.lora is not None
    assert training.method == whole.student.training.method
    assert 10 * whole.student.training.learning_rate <= training.learning_rate <= 5e-4
    assert training.runtime.processes == training.runtime.nodes == 1
    require_fitting(config, shapes[student.stem])


@pytest.mark.parametrize("teacher", TEACHERS, ids=lambda path: path.stem)
def test_a_teachers_recipe_alone_trains_its_own_student_as_that_students_part_does(teacher: Path) -> None:
    alone = load_recipe(teacher)
    own = "llama_3_1_8b" if teacher.stem == "llama_3_1_405b" else "phi_4_mini"
    together = load_recipe([teacher, SHIPPED / "students" / f"{own}.yaml"], [f"report.name={teacher.stem}"])

    assert alone == together


@pytest.mark.parametrize("student", STUDENTS, ids=lambda path: path.stem)
def test_the_memory_that_a_students_part_names_is_the_estimate(student: Path, shapes: dict[str, ModelShape]) -> None:
    text, shape = student.read_text(encoding="utf-8"), shapes[student.stem]
    config = load_recipe([TEACHERS[0], student])
    single = ["device_batch_size=1", "processes=1", "sharding=none", "device_memory_gib=1000"]
    whole = load_recipe([TEACHERS[0], student], [f"student.training.runtime.{setting}" for setting in single])

    named = re.search(r"about (\d+) GiB on each of (\d+) GPUs", text)
    assert named is not None
    assert round(require_fitting(config, shape)) == int(named[1])
    assert config.student.training.runtime.processes == int(named[2])
    alone = re.search(r"(?:it is|would need) about (\d+) GiB", text)
    assert alone is not None
    assert round(require_fitting(whole, shape)) == int(alone[1])


def test_the_memory_that_adapters_are_said_to_take_is_the_estimate(shapes: dict[str, ModelShape]) -> None:
    found = {name: round(require_fitting(load_recipe([TEACHERS[0], SHIPPED / "students" / f"{name}.yaml", LORA]), shape))
             for name, shape in shapes.items()}  # fmt: skip
    text = LORA.read_text(encoding="utf-8")

    assert f"about {found['phi_3_mini_4k']} GiB with Phi-3-mini and Phi-3.5-mini, {found['phi_4_mini']} with Phi-4-mini" in text
    assert f"{found['llama_3_1_8b']} with Llama-3.1-8B" in text
    assert found["phi_3_mini_4k"] == found["phi_3_mini_128k"] == found["phi_3_5_mini"]


@pytest.mark.parametrize(
    ("url", "model"), [("https://api.openai.com/v1", "gpt-4.1-2025-04-14"), ("https://api.anthropic.com/v1", "claude-sonnet-4")]
)
def test_an_endpoint_whose_terms_forbid_it_needs_an_acknowledgement(url: str, model: str) -> None:
    endpoint = [f"teacher.endpoint.url={url}", f"teacher.endpoint.model={model}"]

    with pytest.raises(SettingsError, match=r"set preflight\.acknowledge_terms: true"):
        conditions(load_recipe(SHIPPED / "endpoint.yaml", endpoint))
    acknowledged = load_recipe(SHIPPED / "endpoint.yaml", [*endpoint, "preflight.acknowledge_terms=true"])
    assert any("acknowledged with preflight.acknowledge_terms" in condition for condition in conditions(acknowledged))
