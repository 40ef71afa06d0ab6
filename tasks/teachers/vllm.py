"""A vLLM engine in this process, fed continuously: finished answers leave and waiting prompts enter at every step.

``LLM.generate`` on chunks of rows drains the batch at the end of each; here the engine never drains before the last row.
"""

import gc
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from tasks.core.environment import has_cuda
from tasks.core.errors import ModelError
from tasks.teachers.exchange import Completion, Request
from tasks.teachers.settings import EngineRuntime, Sampling

if not has_cuda():
    # One process: on a CPU a second one would take a core from the engine. vLLM reads this at import.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")

from safetensors import SafetensorError
from vllm import EngineArgs, LLMEngine, SamplingParams
from vllm.distributed import cleanup_dist_env_and_memory
from vllm.inputs import tokens_input
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind

_NO_WEIGHTS = "Cannot find any model weights"
_CPU_NUM_SEQS = 32
_CPU_BLOCK_TOKENS = 128
_WINDOW = 2  # full batches in flight: the waiting queue is never empty, and memory stays bounded


class Engine:
    """A model loaded and ready to answer; use it as a context manager, which frees its memory at the end."""

    def __init__(self, model: Path | str, sampling: Sampling, runtime: EngineRuntime, **extra: Any) -> None:
        """Load a model.

        Args:
            model: Local folder of safetensors weights, or a hub id.
            sampling: Decides number format and context length, and how answers are sampled.
            runtime: How the engine is run.
            extra: More of vLLM's engine arguments, for models without weights or tokenizer.

        Raises:
            ModelError: If vLLM cannot load the model with these settings.
        """
        self._sampling = sampling
        try:
            arguments = engine_arguments(model, sampling, runtime, cuda=has_cuda())
            self._engine = LLMEngine.from_engine_args(EngineArgs(**arguments, **extra))
        except (ValueError, OSError, RuntimeError, SafetensorError) as error:
            cleanup_dist_env_and_memory()
            if isinstance(error, RuntimeError) and _NO_WEIGHTS not in str(error):
                raise  # a device or process failed, which another attempt may not see
            raise ModelError(f"vLLM cannot load {model}: {error}; check its files, and dtype and length limits") from error
        self._window = _WINDOW * self._engine.vllm_config.scheduler_config.max_num_seqs
        self.tokenizer: Any = None if extra.get("skip_tokenizer_init") else self._engine.get_tokenizer()
        self.steps = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.engine_core.shutdown()
        del self._engine
        cleanup_dist_env_and_memory()
        gc.collect()

    def stream(self, requests: Iterable[Request], in_flight: int | None = None) -> Iterator[Completion]:
        """Yield answers as they finish.

        Args:
            requests: Prompts to answer, each no longer than ``max_prompt_tokens``; taken from the iterable as they are needed.
            in_flight: Most requests in the engine at once; two full batches by default, 1 to time single requests.
        """
        waiting, window, running = iter(requests), in_flight or self._window, 0
        exhausted = False
        while running or not exhausted:
            while not exhausted and running < window:
                request = next(waiting, None)
                if request is None:
                    exhausted = True
                    break
                parameters = self._parameters(request)
                self._engine.add_request(request.key, tokens_input(request.prompt_token_ids), parameters)
                running += 1
            if not running:
                return
            self.steps += 1
            for output in self._engine.step():
                if isinstance(output, RequestOutput) and output.finished:
                    running -= 1
                    answer = output.outputs[0]
                    yield Completion(output.request_id, list(answer.token_ids), answer.finish_reason or "error")

    def decode(self, token_ids: list[int]) -> str:
        """Return the text of an answer without special tokens."""
        return self.tokenizer.decode(token_ids, skip_special_tokens=True)

    def _parameters(self, request: Request) -> SamplingParams:
        sampled = self._sampling.temperature > 0
        return SamplingParams(
            temperature=self._sampling.temperature,
            top_p=self._sampling.top_p if sampled else 1.0,
            seed=request.seed if sampled else None,
            max_tokens=self._sampling.max_new_tokens,
            detokenize=False,  # answers are decoded whole, outside the engine's loop
            output_kind=RequestOutputKind.FINAL_ONLY,
        )


def engine_arguments(model: Path | str, sampling: Sampling, runtime: EngineRuntime, *, cuda: bool) -> dict[str, Any]:
    """Return vLLM's engine arguments for a device: every setting that was left empty gets a value that suits the device.

    Args:
        model: Local folder or hub id.
        sampling: Number format and context length.
        runtime: The user's choices; None means "choose".
        cuda: Whether the device is a CUDA one, or a CPU.
    """
    arguments: dict[str, Any] = {
        "model": str(model),
        "dtype": sampling.dtype,
        "max_model_len": sampling.context_tokens,
        "enforce_eager": not cuda if runtime.enforce_eager is None else runtime.enforce_eager,
        "tensor_parallel_size": runtime.tensor_parallel_size,
        "trust_remote_code": False,
        "disable_log_stats": True,
    }
    if cuda:
        arguments["gpu_memory_utilization"] = runtime.gpu_memory_utilization
        if runtime.max_num_seqs:
            arguments["max_num_seqs"] = runtime.max_num_seqs
        if runtime.kv_cache_bytes:
            arguments["kv_cache_memory_bytes"] = runtime.kv_cache_bytes
        return arguments
    batch = runtime.max_num_seqs or _CPU_NUM_SEQS
    arguments["max_num_seqs"] = batch
    arguments["kv_cache_memory_bytes"] = runtime.kv_cache_bytes or batch * _sequence_bytes(model, sampling)
    return arguments


def _sequence_bytes(model: Path | str, sampling: Sampling) -> int:
    """Return the key-value cache that one sequence of full length needs, in bytes, in whole blocks."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    value_bytes = 4 if sampling.dtype == "float32" or (sampling.dtype == "auto" and "32" in str(config.dtype)) else 2
    blocks = -(-sampling.context_tokens // _CPU_BLOCK_TOKENS) + 1
    return blocks * _CPU_BLOCK_TOKENS * 2 * config.num_hidden_layers * heads * head_dim * value_bytes
