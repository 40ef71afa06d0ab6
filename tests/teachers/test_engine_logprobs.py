"""A real vLLM engine's log-probabilities, against Transformers; a shift by one token is noticed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForCausalLM

from tasks.core.errors import DataError
from tasks.core.logprobs import check_logprobs
from tasks.core.records import GENERATIONS, Generation, with_logprobs
from tasks.core.tables import TableWriter, read_table, to_arrow
from tasks.teachers.exchange import TokenLogprobs
from tasks.teachers.logprobs import from_flat
from tasks.teachers.settings import LogprobSettings
from tests.models import tiny_model

pytest.importorskip("vllm", reason="needs one of the extras cpu and cuda")
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")

from vllm import LLM, SamplingParams
from vllm.distributed import cleanup_dist_env_and_memory
from vllm.inputs import tokens_input

pytestmark = pytest.mark.slow

K, PROMPTS, TOKENS = 16, 24, 48
ROUNDING = 0.02  # of float16 at -16 to -32, twice, and of sums in another order
Answers = list[tuple[list[int], list[int], Any]]
Judge = Callable[[list[int], list[int]], np.ndarray]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


def answers_of(model: Path, mode: str, temperatures: tuple[float, ...]) -> dict[float, Answers]:
    """Return a new engine's answers to the same prompts at each temperature: prompt, answer and flat log-probabilities."""
    llm = LLM(
        str(model),
        dtype="float32",
        max_model_len=128,
        max_num_seqs=PROMPTS,
        enforce_eager=True,
        kv_cache_memory_bytes=64 << 20,
        max_logprobs=K,
        logprobs_mode=mode,
        disable_log_stats=True,
    )
    prompts = [list(range(3 + number, 23 + number)) for number in range(PROMPTS)]
    inputs: Any = [tokens_input(prompt) for prompt in prompts]
    found = {}
    for temperature in temperatures:
        parameters = SamplingParams(
            temperature=temperature,
            seed=None if temperature == 0 else 1,
            max_tokens=TOKENS,
            ignore_eos=True,
            logprobs=K,
            flat_logprobs=True,
            detokenize=False,
        )
        outputs = [output.outputs[0] for output in llm.generate(inputs, parameters, use_tqdm=False)]
        found[temperature] = [(prompt, list(out.token_ids), out.logprobs) for prompt, out in zip(prompts, outputs, strict=True)]
    llm.llm_engine.engine_core.shutdown()
    cleanup_dist_env_and_memory()
    return found


@pytest.fixture(scope="module")
def raw(model: Path) -> dict[float, Answers]:
    return answers_of(model, "raw_logprobs", (0.0, 0.5, 1.0, 1.5))


@pytest.fixture(scope="module")
def reference(model: Path) -> Judge:
    """The logits of every token of an answer as Transformers computes them, float32 [tokens, vocabulary]."""
    judge = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)

    def logits(prompt: list[int], answer: list[int]) -> np.ndarray:
        with torch.no_grad():
            return judge(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].numpy()

    return logits


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return torch.log_softmax(torch.from_numpy(logits), dim=-1).numpy()


def kept(answers: Answers, settings: LogprobSettings) -> list[TokenLogprobs]:
    return [from_flat(flat, ids, settings, np.random.default_rng(n)) for n, (_, ids, flat) in enumerate(answers)]


def largest_error(logprobs: TokenLogprobs, answer: list[int], wanted: np.ndarray) -> float:
    sampled = np.abs(logprobs.sampled - wanted[np.arange(len(answer)), answer]).max()
    return float(max(sampled, np.abs(logprobs.top - np.take_along_axis(wanted, logprobs.top_ids.astype(int), axis=1)).max()))


def rows_of(answers: Answers, settings: LogprobSettings, shift: int = 0) -> pa.Table:
    """Answers as rows with their candidates, which may be shifted by some tokens."""
    rows = [
        Generation(
            key=f"row-{number}",
            teacher="tiny",
            answer="",
            reasoning=None,
            token_ids=ids,
            finish_reason="length",
            prompt_tokens=len(prompt),
            completion_tokens=len(ids),
            seed=number,
            token_logprobs=logprobs.sampled,
            top_ids=np.roll(logprobs.top_ids, shift, axis=0),
            top_logprobs=np.roll(logprobs.top, shift, axis=0),
        )
        for number, ((prompt, ids, _), logprobs) in enumerate(zip(answers, kept(answers, settings), strict=True))
    ]
    return to_arrow(with_logprobs(GENERATIONS, settings.width), rows)


def test_they_are_the_models_own_at_any_temperature(raw: dict[float, Answers], reference: Judge) -> None:
    for answers in raw.values():
        for (prompt, ids, _), logprobs in zip(answers, kept(answers, LogprobSettings(top_k=K)), strict=True):
            assert largest_error(logprobs, ids, log_softmax(reference(prompt, ids))) <= ROUNDING


def test_processed_ones_are_those_that_were_sampled_from(model: Path, reference: Judge) -> None:
    settings = LogprobSettings(top_k=K, processed=True)
    answers = answers_of(model, "processed_logprobs", (0.5,))[0.5]
    for (prompt, ids, _), logprobs in zip(answers, kept(answers, settings), strict=True):
        logits = reference(prompt, ids)
        assert largest_error(logprobs, ids, log_softmax(logits / 0.5)) <= ROUNDING
        assert largest_error(logprobs, ids, log_softmax(logits)) > 10 * ROUNDING


@pytest.mark.parametrize("draws", [None, 1, 8, 64])
def test_a_shift_by_one_token_is_noticed(raw: dict[float, Answers], draws: int | None) -> None:
    settings = LogprobSettings(top_k=K, draws=draws)
    check_logprobs(rows_of(raw[1.0], settings), vocabulary=320, draws=draws)
    for shift in (-1, 1):
        with pytest.raises(DataError, match="neighbouring token"):
            check_logprobs(rows_of(raw[1.0], settings, shift), vocabulary=320, draws=draws)


def test_they_come_back_from_disk_as_they_were(tmp_path: Path, raw: dict[float, Answers]) -> None:
    settings = LogprobSettings(top_k=K)
    table = with_logprobs(GENERATIONS, settings.width)
    with TableWriter(tmp_path / "t.parquet", table) as writer:
        writer.write(rows_of(raw[1.0], settings))
    read = read_table(tmp_path / "t.parquet", table)
    for row, (_, ids, _), logprobs in zip(read, raw[1.0], kept(raw[1.0], settings), strict=True):
        assert row["token_ids"] == ids
        np.testing.assert_array_equal(row["token_logprobs"], logprobs.sampled, strict=True)
        np.testing.assert_array_equal(row["top_ids"], logprobs.top_ids, strict=True)
        np.testing.assert_array_equal(row["top_logprobs"], logprobs.top, strict=True)
