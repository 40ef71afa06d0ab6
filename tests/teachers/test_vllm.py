"""A real vLLM engine: every request is answered once, alike in any company, and the engine is never left to drain."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from tasks.core.errors import ModelError
from tasks.core.rendering import render_prompt
from tasks.teachers.exchange import Completion, Request
from tasks.teachers.settings import EngineRuntime, Sampling
from tests.models import tiny_model

pytest.importorskip("vllm", reason="needs one of the extras cpu and cuda")

from tasks.teachers.vllm import Engine, engine_arguments

pytestmark = pytest.mark.slow

BATCH = 8
GREEDY = Sampling(max_new_tokens=16, max_prompt_tokens=64, dtype="float32")
WARM = GREEDY.model_copy(update={"temperature": 1.0})
RUNTIME = EngineRuntime(max_num_seqs=BATCH)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def requests(model: Path) -> list[Request]:
    """Prompts of many lengths, three batches of them."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    contents = [f"item {number} {'x' * (number * 7 % 24)}" for number in range(3 * BATCH)]
    return [
        Request(f"row-{number}", render_prompt(tokenizer, [{"role": "user", "content": content}], None), seed=number)
        for number, content in enumerate(contents)
    ]


@pytest.fixture(scope="module")
def engine(model: Path) -> Iterator[Engine]:
    with Engine(model, GREEDY, RUNTIME) as engine:
        yield engine


def by_key(completions: Iterator[Completion]) -> dict[str, Completion]:
    """Return completions by their key, refusing a second one of the same key."""
    found: dict[str, Completion] = {}
    for completion in completions:
        assert completion.key not in found
        found[completion.key] = completion
    return found


def lose_the_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def lose_the_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def tear_the_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1_000])


def steps_of(engine: Engine, requests: list[Request], in_flight: int | None) -> int:
    before = engine.steps
    assert len(by_key(engine.stream(requests, in_flight))) == len(requests)
    return engine.steps - before


def test_seeds_decide_what_is_sampled_in_this_engine_and_in_the_next_one(model: Path, requests: list[Request]) -> None:
    with Engine(model, WARM, RUNTIME) as engine:
        answers = by_key(engine.stream(requests))
        assert by_key(engine.stream(requests, in_flight=3)) == answers
        reseeded = [replace(request, seed=request.seed + 1_000) for request in requests]
        assert by_key(engine.stream(reseeded)) != answers
    with Engine(model, WARM, RUNTIME) as another:
        assert by_key(another.stream(requests)) == answers


def test_every_request_is_answered_exactly_once(engine: Engine, requests: list[Request]) -> None:
    answers = by_key(engine.stream(requests))
    assert answers.keys() == {request.key for request in requests}
    assert all(1 <= len(answer.token_ids) <= GREEDY.max_new_tokens for answer in answers.values())


def test_answers_are_the_same_one_at_a_time_and_in_any_batch(engine: Engine, requests: list[Request]) -> None:
    together = by_key(engine.stream(requests))
    assert by_key(engine.stream(requests, in_flight=1)) == together
    assert by_key(engine.stream(reversed(requests), in_flight=5)) == together


def test_an_answer_that_was_cut_off_says_so(engine: Engine, requests: list[Request]) -> None:
    answers = by_key(engine.stream(requests)).values()
    end = engine.tokenizer.eos_token_id
    cut_off = [answer for answer in answers if answer.finish_reason == "length"]
    ended = [answer for answer in answers if answer.finish_reason == "stop"]
    assert len(cut_off) + len(ended) == len(requests)
    assert cut_off and all(len(answer.token_ids) == GREEDY.max_new_tokens and end not in answer.token_ids for answer in cut_off)
    assert ended and all(answer.token_ids[-1] == end for answer in ended)


def test_prompts_are_taken_as_they_are_needed(engine: Engine, requests: list[Request]) -> None:
    taken: list[str] = []

    def prompts() -> Iterator[Request]:
        for request in requests:
            taken.append(request.key)
            yield request

    answered = 0
    for _ in engine.stream(prompts()):
        assert len(taken) - answered <= 2 * BATCH, "no more than two full batches are under way"
        answered += 1
    assert len(taken) == answered == len(requests)


def test_no_prompts_give_no_answers_and_no_work(engine: Engine) -> None:
    before = engine.steps
    assert list(engine.stream([])) == []
    assert engine.steps == before


def test_a_window_takes_no_more_steps_than_all_prompts_at_once(engine: Engine, requests: list[Request]) -> None:
    everything = [replace(request, key=f"{request.key}-{copy}") for copy in range(4) for request in requests]
    window, at_once = steps_of(engine, everything, in_flight=None), steps_of(engine, everything, in_flight=len(everything))
    assert window == at_once
    drained = sum(steps_of(engine, everything[start : start + BATCH], None) for start in range(0, len(everything), BATCH))
    assert drained > 1.2 * window, "what feeding the engine batch by batch would cost"


def test_answers_are_decoded_without_special_tokens(engine: Engine) -> None:
    assert engine.decode(engine.tokenizer("<|im_start|>still hot<|im_end|>")["input_ids"]) == "still hot"


@pytest.mark.parametrize("damage", [lose_the_config, lose_the_weights, tear_the_weights])
def test_a_model_that_cannot_be_loaded_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tiny_model(tmp_path)
    damage(folder)
    with pytest.raises(ModelError, match="vLLM cannot load"):
        Engine(folder, GREEDY, RUNTIME)


def test_on_a_cpu_the_cache_holds_one_full_batch(model: Path) -> None:
    arguments = engine_arguments(model, GREEDY, EngineRuntime(), cuda=False)
    blocks, block_tokens, layers, heads, head_dim, keys_and_values, value_bytes = 2, 128, 2, 2, 32, 2, 4
    assert arguments["max_num_seqs"] == 32
    assert arguments["max_model_len"] == 80
    assert arguments["enforce_eager"] is True
    assert arguments["kv_cache_memory_bytes"] == (
        32 * blocks * block_tokens * layers * heads * head_dim * keys_and_values * value_bytes
    )
    assert "gpu_memory_utilization" not in arguments


def test_what_the_user_chose_is_kept(model: Path) -> None:
    chosen = EngineRuntime(max_num_seqs=4, kv_cache_bytes=1 << 24, enforce_eager=False)
    arguments = engine_arguments(model, GREEDY, chosen, cuda=False)
    assert (arguments["max_num_seqs"], arguments["kv_cache_memory_bytes"], arguments["enforce_eager"]) == (4, 1 << 24, False)


@pytest.mark.parametrize(("dtype", "value_bytes"), [("auto", 4), ("float32", 4), ("bfloat16", 2), ("float16", 2)])
def test_the_cache_is_as_large_as_the_number_format_asks_for(model: Path, dtype: str, value_bytes: int) -> None:
    sampling = Sampling.model_validate({**GREEDY.model_dump(), "dtype": dtype})
    size = engine_arguments(model, sampling, RUNTIME, cuda=False)["kv_cache_memory_bytes"]
    assert size == BATCH * 2 * 128 * 2 * 2 * 32 * 2 * value_bytes


def test_on_cuda_vllm_chooses_what_the_user_left_open(model: Path) -> None:
    arguments = engine_arguments(model, GREEDY, EngineRuntime(gpu_memory_utilization=0.8, tensor_parallel_size=2), cuda=True)
    assert (arguments["gpu_memory_utilization"], arguments["tensor_parallel_size"], arguments["enforce_eager"]) == (0.8, 2, False)
    assert "max_num_seqs" not in arguments
    assert "kv_cache_memory_bytes" not in arguments
