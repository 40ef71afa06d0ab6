"""From settings to vLLM's engine arguments, on either kind of device; vLLM knows every name that is used."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.teachers.engine_arguments import engine_arguments
from tasks.teachers.settings import EngineRuntime, LogprobSettings, Sampling, StructuredOutput
from tests.models import tiny_model

SAMPLING = Sampling(max_new_tokens=16, max_prompt_tokens=64, dtype="float32")
BLOCK_TOKENS, LAYERS, HEADS, HEAD_DIM, KEYS_AND_VALUES = 128, 2, 2, 32, 2
TOKEN_VALUES = LAYERS * HEADS * HEAD_DIM * KEYS_AND_VALUES
FULL_NODES = EngineRuntime(
    tensor_parallel_size=8,
    pipeline_parallel_size=2,
    expert_parallel=True,
    nodes=2,
    master_address="10.0.0.7",
    max_num_seqs=512,
    kv_cache_bytes=1 << 30,
    enforce_eager=False,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


def arguments_for(model: Path, logprobs: LogprobSettings | None = None, *, cuda: bool = True, **runtime: Any) -> dict[str, Any]:
    return engine_arguments(model, SAMPLING, EngineRuntime(**runtime), logprobs, cuda=cuda)


def test_on_a_cpu_the_cache_holds_one_full_batch(model: Path) -> None:
    arguments = arguments_for(model, cuda=False)
    blocks, value_bytes = 2, 4
    assert arguments["max_num_seqs"] == 32
    assert arguments["max_model_len"] == 80
    assert arguments["enforce_eager"] is True
    assert arguments["kv_cache_memory_bytes"] == 32 * blocks * BLOCK_TOKENS * TOKEN_VALUES * value_bytes
    assert "gpu_memory_utilization" not in arguments


@pytest.mark.parametrize("cuda", [False, True])
def test_what_the_user_chose_is_kept(model: Path, cuda: bool) -> None:
    arguments = arguments_for(model, cuda=cuda, max_num_seqs=4, kv_cache_bytes=1 << 24, enforce_eager=cuda)
    assert (arguments["max_num_seqs"], arguments["kv_cache_memory_bytes"], arguments["enforce_eager"]) == (4, 1 << 24, cuda)


@pytest.mark.parametrize(("dtype", "value_bytes"), [("auto", 4), ("float32", 4), ("bfloat16", 2), ("float16", 2)])
def test_the_cache_is_as_large_as_the_number_format_asks_for(model: Path, dtype: str, value_bytes: int) -> None:
    sampling = Sampling.model_validate({**SAMPLING.model_dump(), "dtype": dtype})
    size = engine_arguments(model, sampling, EngineRuntime(max_num_seqs=8), cuda=False)["kv_cache_memory_bytes"]
    assert size == 8 * 2 * BLOCK_TOKENS * TOKEN_VALUES * value_bytes


@pytest.mark.parametrize(("bfloat16", "dtype", "value_bytes"), [(True, "auto", 2), (False, "float32", 4)])
def test_a_cpu_without_instructions_for_bfloat16_computes_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bfloat16: bool, dtype: str, value_bytes: int
) -> None:
    monkeypatch.setattr("tasks.teachers.engine_arguments.has_cpu_bfloat16", lambda: bfloat16)
    model, sampling = tiny_model(tmp_path), SAMPLING.model_copy(update={"dtype": "auto"})
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    arguments = engine_arguments(model, sampling, EngineRuntime(max_num_seqs=1), cuda=False)

    assert arguments["dtype"] == dtype
    assert arguments["kv_cache_memory_bytes"] == 2 * BLOCK_TOKENS * TOKEN_VALUES * value_bytes
    assert engine_arguments(model, sampling, EngineRuntime(), cuda=True)["dtype"] == "auto"


def test_on_cuda_vllm_chooses_what_the_user_left_open(model: Path) -> None:
    arguments = arguments_for(model, gpu_memory_utilization=0.8, tensor_parallel_size=2)
    assert (arguments["gpu_memory_utilization"], arguments["tensor_parallel_size"], arguments["enforce_eager"]) == (0.8, 2, False)
    assert "max_num_seqs" not in arguments
    assert "kv_cache_memory_bytes" not in arguments


def test_a_model_may_be_divided_among_the_gpus_of_several_machines(model: Path) -> None:
    arguments = arguments_for(model, **FULL_NODES.model_dump())
    assert (arguments["tensor_parallel_size"], arguments["pipeline_parallel_size"]) == (8, 2)
    assert arguments["enable_expert_parallel"] is True
    assert (arguments["nnodes"], arguments["node_rank"], arguments["master_addr"]) == (2, 0, "10.0.0.7")
    assert FULL_NODES.gpus == 16


def test_on_one_machine_nothing_is_said_of_nodes(model: Path) -> None:
    assert not arguments_for(model).keys() & {"nnodes", "node_rank", "master_addr"}


def test_without_log_probabilities_the_engine_keeps_its_own_settings(model: Path) -> None:
    assert not arguments_for(model).keys() & {"max_logprobs", "logprobs_mode", "hf_overrides"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            LogprobSettings(top_k=64),
            {"max_logprobs": 64, "logprobs_mode": "raw_logprobs", "hf_overrides": {"head_dtype": "float32"}},
        ),
        (LogprobSettings(top_k=0, float32_head=False), {"max_logprobs": 1, "logprobs_mode": "raw_logprobs"}),
        (
            LogprobSettings(top_k=4, processed=True, float32_head=False),
            {"max_logprobs": 4, "logprobs_mode": "processed_logprobs"},
        ),
    ],
)
def test_log_probabilities_are_asked_for_as_the_settings_say(
    model: Path, settings: LogprobSettings, expected: dict[str, Any]
) -> None:
    arguments = arguments_for(model, settings)
    assert {name: arguments[name] for name in ("max_logprobs", "logprobs_mode", "hf_overrides") if name in arguments} == expected


def test_json_is_written_without_white_space(model: Path) -> None:
    sampling = SAMPLING.model_copy(update={"structured_output": StructuredOutput(json_schema={"type": "object"})})
    arguments = engine_arguments(model, sampling, EngineRuntime(), cuda=True)
    assert arguments["structured_outputs_config"]["disable_any_whitespace"] is True
    assert "structured_outputs_config" not in arguments_for(model)


def test_code_that_comes_with_a_model_is_never_run(model: Path) -> None:
    assert arguments_for(model)["trust_remote_code"] is False


@pytest.mark.slow
@pytest.mark.parametrize("cuda", [False, True])
def test_vllm_knows_every_argument(model: Path, cuda: bool) -> None:
    vllm = pytest.importorskip("vllm", reason="needs one of the extras cpu and cuda")
    arguments = engine_arguments(model, SAMPLING, FULL_NODES, LogprobSettings(), cuda=cuda)
    known = vllm.EngineArgs(**arguments)
    assert {name: getattr(known, name) for name in arguments} == arguments
