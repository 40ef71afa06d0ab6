"""A vector for every token of the student, made of its input embeddings: no other model is needed, and no network.

Raw embeddings have a few directions that nearly all tokens share, so that any two texts look alike (a cosine of 0.95). As in
"All-but-the-Top" (Mu and Viswanath 2018, arXiv 1702.01417), the mean and the first principal directions are taken away; of the
rest the 256 strongest are kept.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.errors import ModelError

DIRECTIONS = 256
DROPPED_DIRECTIONS = 8
_CHUNK_TOKENS = 8192


def token_table(weights: Path) -> np.ndarray:
    """Return the vectors of all tokens, float32 [tokens, up to 256].

    Args:
        weights: A model's folder of safetensors weights.

    Raises:
        ModelError: If the embeddings are not in any of its files.
    """
    chunks = _EmbeddingChunks(weights)
    total, seconds, count = 0.0, 0.0, 0
    for chunk in chunks:
        total, seconds, count = total + chunk.sum(axis=0), seconds + chunk.T @ chunk, count + len(chunk)
    mean = np.asarray(total) / count
    _, directions = np.linalg.eigh(np.asarray(seconds) / count - np.outer(mean, mean))  # the strongest one last
    strongest = directions[:, ::-1]
    kept = strongest[:, min(DROPPED_DIRECTIONS, len(mean) // 4) :][:, :DIRECTIONS]
    return np.concatenate([(chunk - mean) @ kept for chunk in chunks]).astype(np.float32)


class _EmbeddingChunks:
    """The rows of a model's input embeddings, scaled to the length 1, some at a time: those of large models fill memory."""

    def __init__(self, weights: Path) -> None:
        self._file, self._name = _locate(weights)

    def __iter__(self) -> Iterator[np.ndarray]:
        from safetensors import safe_open

        with safe_open(self._file, "pt") as tensors:
            rows: Any = tensors.get_slice(self._name)
            for first in range(0, rows.get_shape()[0], _CHUNK_TOKENS):
                chunk = rows[first : first + _CHUNK_TOKENS].double().numpy()
                yield chunk / np.maximum(np.linalg.norm(chunk, axis=1, keepdims=True), 1e-12)


def _locate(weights: Path) -> tuple[Path, str]:
    """Return the file with a model's input embeddings, and their name in it."""
    import torch
    from safetensors import safe_open
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):  # no weights are read: only the embeddings' name is asked for
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(weights))
    embeddings = model.get_input_embeddings()
    name = next(name for name, module in model.named_modules() if module is embeddings) + ".weight"
    names = {name, name.removeprefix(f"{model.base_model_prefix}.")}  # some files leave the prefix out
    for file in sorted(weights.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            if found := names.intersection(tensors.keys()):
                return file, found.pop()
    raise ModelError(f"no file of {weights} has the input embeddings {name!r}; save the model anew as safetensors")
