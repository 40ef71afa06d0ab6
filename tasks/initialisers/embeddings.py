"""The rows of a model that belong to tokens: embedding, output head, and the ids in its settings."""

from typing import Any

import torch

from tasks.core.errors import ModelError

_ID_FIELDS = ("token_id", "token_ids", "suppress_tokens")


def named_tokens(model: Any) -> set[int]:
    """Return the ids that a model's settings name: what begins, ends and pads its answers, and what it never says."""
    found: set[int] = set()
    for settings in (model.config, model.generation_config):
        for value in _ids(settings).values():
            found.update(value if isinstance(value, list) else [value])
    return found


@torch.no_grad()
def keep_tokens(model: Any, ids: list[int]) -> None:
    """Keep the rows of some tokens and give these the ids 0, 1, ... in the model and its settings, in place.

    Args:
        model: A decoder, its embeddings tied to its head or not; what is tied stays tied.
        ids: The tokens to keep, in the order of their new ids.

    Raises:
        ModelError: If the model has no row for one of them.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    rows = len(embedding.weight)
    if max(ids) >= rows:
        raise ModelError(
            f"the tokenizer has a token {max(ids)} and the model only {rows} embeddings; give a model with its own tokenizer"
        )
    before = [part[ids] for part in _token_parts(embedding, head)]
    model.resize_token_embeddings(len(ids), mean_resizing=False)
    for part, kept in zip(_token_parts(model.get_input_embeddings(), model.get_output_embeddings()), before, strict=True):
        part.copy_(kept)
    numbers = {old: new for new, old in enumerate(ids)}
    for settings in (model.config, model.generation_config):
        for name, value in _ids(settings).items():
            new = [numbers[old] for old in value if old in numbers] if isinstance(value, list) else numbers.get(value)
            setattr(settings, name, new)


def _token_parts(embedding: Any, head: Any) -> list[torch.Tensor]:
    parts = [embedding.weight, head.weight, getattr(head, "bias", None)]
    return [part for part in parts if part is not None]


def _ids(settings: Any) -> dict[str, int | list[int]]:
    return {name: value for name, value in settings.to_dict().items() if name.endswith(_ID_FIELDS) and value not in (None, [])}
