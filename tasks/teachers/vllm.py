"""A vLLM engine, fed continuously: finished answers leave and waiting prompts enter at every step.

``LLM.generate`` on chunks of rows drains the batch at the end of each; here the engine never drains before the last row.
"""

import gc
import os
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from tasks.core.environment import has_cuda
from tasks.core.errors import EngineDiedError, ModelError
from tasks.teachers.engine_arguments import engine_arguments
from tasks.teachers.engine_watch import has_died, own_engines, watch_engine
from tasks.teachers.exchange import Completion, Feed, GivenText, Request, TokenLogprobs
from tasks.teachers.kv_cache import kv_values
from tasks.teachers.logprobs import from_flat, require_unbiased
from tasks.teachers.settings import EngineRuntime, LogprobSettings, Sampling

if not has_cuda():
    # One process: on a CPU a second one would take a core from the engine. vLLM reads this at import.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")

from safetensors import SafetensorError
from vllm import EngineArgs, LLMEngine, SamplingParams
from vllm.distributed import cleanup_dist_env_and_memory
from vllm.exceptions import VLLMClientError
from vllm.inputs import tokens_input
from vllm.outputs import RequestOutput
from vllm.utils.torch_utils import kv_cache_dtype_str_to_dtype

from tasks.teachers.engine_forcing import force_decode
from tasks.teachers.engine_sampling import sampling_parameters

_NO_WEIGHTS = "Cannot find any model weights"
_WINDOW = 2  # full batches in flight: the waiting queue is never empty, and memory stays bounded


class Engine:
    """A model loaded and ready to answer; use it as a context manager, which frees its memory at the end."""

    def __init__(
        self,
        model: Path | str,
        sampling: Sampling,
        runtime: EngineRuntime,
        logprobs: LogprobSettings | None = None,
        **extra: Any,
    ) -> None:
        """Load a model.

        Args:
            model: Local folder of safetensors weights, or a hub id.
            sampling: Decides number format and context length, and how answers are sampled.
            runtime: How the engine is run.
            logprobs: Which log-probabilities every completion brings along; None: none.
            extra: More of vLLM's engine arguments, for models without weights or tokenizer, and for timing.

        Raises:
            ModelError: If vLLM cannot load the model with these settings.
            SettingsError: If drawn log-probabilities are asked for with a sampling that would bias them.
        """
        if logprobs is not None:
            require_unbiased(sampling, logprobs)
        self._sampling, self._logprobs = sampling, logprobs
        self._parameters_of_all = sampling_parameters(sampling, logprobs)
        own_engines()
        # Loading and unloading have the garbage collected a dozen times, each over half a million objects of the libraries.
        gc.freeze()
        os.environ.setdefault("VLLM_ENGINE_READY_TIMEOUT_S", str(runtime.load_timeout_seconds))
        try:
            arguments = engine_arguments(model, sampling, runtime, logprobs, cuda=has_cuda())
            self._engine = LLMEngine.from_engine_args(EngineArgs(**(arguments | extra)))
        except (ValueError, OSError, RuntimeError, SafetensorError) as error:
            cleanup_dist_env_and_memory()
            if isinstance(error, RuntimeError) and _NO_WEIGHTS not in str(error):
                raise  # a device or process failed, which another attempt may not see
            raise ModelError(f"vLLM cannot load {model}: {error}; check its files, and dtype and length limits") from error
        watch_engine(self._engine)
        self._window = _WINDOW * self._engine.vllm_config.scheduler_config.max_num_seqs
        self.tokenizer: Any = None if extra.get("skip_tokenizer_init") else self._engine.get_tokenizer()
        self.steps = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.engine_core.shutdown()
        del self._engine
        cleanup_dist_env_and_memory()

    def stream(self, feed: Feed, in_flight: int | None = None) -> Iterator[Completion]:
        """Yield answers as they finish.

        Args:
            feed: Prompts to answer, each no longer than ``max_prompt_tokens``; taken as they are needed.
            in_flight: Most requests in the engine at once; two full batches by default, 1 to time single requests.

        Raises:
            EngineDiedError: If the engine's process ended; what it had not answered must be asked again.
        """
        window, running = in_flight or self._window, dict[str, Request]()
        try:
            while True:
                while len(running) < window and (request := feed.take()) is not None:
                    refusal = self._add(request)
                    if refusal is not None:
                        yield refusal
                    else:
                        running[request.key] = request
                if not running:
                    return
                self.steps += 1
                for output in self._engine.step():
                    if isinstance(output, RequestOutput) and output.finished:
                        yield self._completion(running.pop(output.request_id), output)
        except Exception as error:
            if not has_died(self._engine, error):
                raise
            raise EngineDiedError(
                f"the engine's process ended with {len(running)} requests under way; they are asked again, finished rows are kept"
            ) from error
        finally:
            if running and not has_died(self._engine):  # the caller left early: nobody waits for what is under way
                self._engine.abort_request(list(running))

    def sample(self, temperature: float) -> None:
        """Answer at this temperature from now on, while nothing is under way."""
        self._sampling = self._sampling.model_copy(update={"temperature": temperature})
        self._parameters_of_all = sampling_parameters(self._sampling, self._logprobs)

    def force(self, texts: Sequence[GivenText], top_k: int) -> Iterator[tuple[GivenText, TokenLogprobs]]:
        """Yield texts with the model's log-probabilities along them, while nothing else is under way.

        Args:
            texts: What the model is taken through; what does not fit into its context is cut off.
            top_k: Candidates at every token, at most 20.
        """
        room = self._sampling.context_tokens - 1
        cut = [replace(text, token_ids=text.token_ids[: max(room - len(text.prompt_token_ids), 0)]) for text in texts]
        yield from force_decode(self._engine, [text for text in cut if text.token_ids], top_k)

    def drain(self) -> list[Completion]:
        """Return nothing: what an engine has not finished is cheaper to ask again than to wait for."""
        return []

    def committed(self, keys: AbstractSet[str]) -> None:
        """Do nothing: an engine keeps no books."""

    def forget_prompts(self) -> None:
        """Drop the keys and values of earlier prompts, so that asking the same again takes as long as it did the first time."""
        self._engine.reset_prefix_cache()

    @property
    def dtype(self) -> str:
        """The number format that the engine computes in."""
        return str(self._engine.vllm_config.model_config.dtype).removeprefix("torch.")

    @property
    def value_bytes(self) -> int:
        """The size of a number of that format."""
        return self._engine.vllm_config.model_config.dtype.itemsize

    @property
    def max_requests(self) -> int:
        """Requests that the engine takes into one batch; more wait."""
        return self._engine.vllm_config.scheduler_config.max_num_seqs

    def kv_bytes(self, tokens: int) -> int:
        """Return the size of the keys and values that the engine keeps of a text, over all devices together.

        Args:
            tokens: Length of the text.
        """
        config = self._engine.vllm_config
        value_bytes = kv_cache_dtype_str_to_dtype(config.cache_config.cache_dtype, config.model_config).itemsize
        return kv_values(config.model_config.hf_config, tokens) * value_bytes

    def decode(self, token_ids: list[list[int]]) -> list[str]:
        """Return the texts of answers without special tokens."""
        return self.tokenizer.batch_decode(token_ids, skip_special_tokens=True)

    def _add(self, request: Request) -> Completion | None:
        """Hand a request to the engine, or return why it cannot be: one bad row must not lose the others."""
        try:
            own_id = self._engine.add_request(request.key, tokens_input(request.prompt_token_ids), self._parameters(request))
        except (VLLMClientError, ValueError) as error:
            problem = str(error).splitlines()[0]
            return Completion(request.key, [], "refused", problem=f"vLLM does not take it: {problem}")
        if self._sampling.stop and self._logprobs is not None:
            # Stop texts need this request's tokens as text, but not those of all its candidates: that is 20 times the work.
            processor: Any = self._engine.output_processor.request_states[own_id].logprobs_processor
            processor.tokenizer = None
        return None

    def _completion(self, request: Request, output: RequestOutput) -> Completion:
        answer = output.outputs[0]
        token_ids = list(answer.token_ids)
        logprobs = None
        if self._logprobs is not None and token_ids:
            random = np.random.default_rng(request.seed)
            flat: Any = answer.logprobs
            logprobs = from_flat(flat, token_ids, self._logprobs, random)
        times = output.metrics  # there only if the engine keeps statistics
        later = max(len(token_ids) - 1, 0)
        return Completion(
            request.key,
            token_ids,
            answer.finish_reason or "error",
            text=answer.text if self._sampling.stop else None,
            prompt_tokens=len(request.prompt_token_ids),
            completion_tokens=len(token_ids),
            # These two stamps are of one clock, and the request's arrival is of another: vLLM itself tells what lies between.
            first_token_seconds=times.first_token_latency if times else None,
            per_token_seconds=(times.last_token_ts - times.first_token_ts) / later if times and later else None,
            logprobs=logprobs,
        )

    def _parameters(self, request: Request) -> SamplingParams:
        parameters = copy(self._parameters_of_all)
        parameters.seed = request.seed if self._sampling.temperature > 0 else None
        return parameters
