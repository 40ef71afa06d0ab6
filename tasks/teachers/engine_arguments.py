"""From settings to vLLM's engine arguments: every setting that was left empty gets a value that suits the device."""

from pathlib import Path
from typing import Any

from tasks.core.environment import has_cpu_bfloat16
from tasks.teachers.kv_cache import kv_values_per_layer
from tasks.teachers.settings import EngineRuntime, LogprobSettings, Sampling

_CPU_NUM_SEQS = 32
_CPU_BLOCK_TOKENS = 128
_CPU_BATCHED_TOKENS = 2048


def engine_arguments(
    model: Path | str, sampling: Sampling, runtime: EngineRuntime, logprobs: LogprobSettings | None = None, *, cuda: bool
) -> dict[str, Any]:
    """Return vLLM's engine arguments for a device.

    Args:
        model: Local folder or hub id.
        sampling: Number format and context length.
        runtime: The user's choices; None means "choose".
        logprobs: Which log-probabilities are reported, if any.
        cuda: Whether the device is a CUDA one, or a CPU.
    """
    dtype = sampling.dtype
    if dtype == "auto" and not cuda and not has_cpu_bfloat16():
        dtype = "float32"
    arguments: dict[str, Any] = {
        "model": str(model),
        "dtype": dtype,
        "max_model_len": sampling.context_tokens,
        "enforce_eager": not cuda if runtime.enforce_eager is None else runtime.enforce_eager,
        "tensor_parallel_size": runtime.tensor_parallel_size,
        "pipeline_parallel_size": runtime.pipeline_parallel_size,
        "enable_expert_parallel": runtime.expert_parallel,
        "trust_remote_code": False,
        "disable_log_stats": True,
    }
    if runtime.nodes > 1:
        arguments |= {"nnodes": runtime.nodes, "node_rank": 0, "master_addr": runtime.master_address}
    structured = sampling.structured_output
    if structured is not None and structured.json_schema is not None:
        # Small models would fill the answer up with white space. vLLM forbids it by engine, not by request, and this backend
        # knows more of JSON Schema than the other one that can.
        arguments["structured_outputs_config"] = {"backend": "guidance", "disable_any_whitespace": True}
    if logprobs is not None:
        arguments["max_logprobs"] = max(logprobs.top_k, 1)
        arguments["logprobs_mode"] = "processed_logprobs" if logprobs.processed else "raw_logprobs"
        if logprobs.float32_head:
            arguments["hf_overrides"] = {"head_dtype": "float32"}
    if cuda:
        arguments["gpu_memory_utilization"] = runtime.gpu_memory_utilization
        if runtime.max_num_seqs:
            arguments["max_num_seqs"] = runtime.max_num_seqs
        if runtime.kv_cache_bytes:
            arguments["kv_cache_memory_bytes"] = runtime.kv_cache_bytes
        return arguments
    # vLLM rewinds a seeded request's random numbers after a part of its prompt, which a CPU's generator cannot do: no parts.
    arguments["enable_chunked_prefill"] = False
    arguments["max_num_batched_tokens"] = max(_CPU_BATCHED_TOKENS, sampling.context_tokens)
    batch = runtime.max_num_seqs or _CPU_NUM_SEQS
    arguments["max_num_seqs"] = batch
    arguments["kv_cache_memory_bytes"] = runtime.kv_cache_bytes or batch * _sequence_bytes(model, sampling.context_tokens, dtype)
    return arguments


def _sequence_bytes(model: Path | str, tokens: int, dtype: str) -> int:
    """Return the key-value cache that one sequence of full length needs, in bytes, in whole blocks."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model)
    value_bytes = 4 if dtype == "float32" or (dtype == "auto" and "32" in str(config.dtype)) else 2
    blocks = -(-tokens // _CPU_BLOCK_TOKENS) + 1
    return blocks * _CPU_BLOCK_TOKENS * config.num_hidden_layers * kv_values_per_layer(config) * value_bytes
