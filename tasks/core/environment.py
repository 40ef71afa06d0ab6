"""How the heavy libraries are imported: what they read once from the environment, and without a search for garbage meanwhile."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TQDM_DISABLE": "1",  # progress is shown by core/progress.py, in lines that a log can hold
    "TOKENIZERS_PARALLELISM": "false",
    "GOMP_SPINCOUNT": "0",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def prepare_libraries() -> None:
    """Set defaults for torch, Transformers, TRL and vLLM; call before importing any of them. The user's own values win."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


@contextmanager
def loading_libraries() -> Iterator[None]:
    """Keep the garbage collector away while libraries load: they leave no garbage, and looking for it takes long."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def has_cuda() -> bool:
    """Return whether a CUDA device is visible."""
    import torch

    return torch.cuda.is_available()


@cache
def has_cpu_bfloat16() -> bool:
    """Return whether this processor has instructions for bfloat16, AVX512-BF16 or AMX; others compute in it many times slower."""
    import torch

    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
