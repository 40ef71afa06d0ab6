"""From rows to the tensors of one forward pass: padded, or laid end to end without padding."""

from typing import Any

import numpy as np
import torch
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from tasks.training.training_rows import IGNORED, TrainingRows


class AnswerCollator:
    """Collates rows of one split, and brings what belongs to their counted tokens.

    Beside TRL's ``input_ids``, ``labels`` and ``attention_mask`` (or, without padding, ``position_ids``), a batch has
    ``weights`` [n], and for stored log-probabilities ``top_ids`` and ``top_logprobs`` [n, width], for its n counted tokens in
    the order of ``labels[:, 1:] != -100``; and ``num_tokens``, the tokens that are no padding.
    """

    def __init__(self, splits: dict[str, TrainingRows], pad_token_id: int, packing: bool) -> None:
        """Prepare for the rows of several splits.

        Args:
            splits: The rows by split; a row's ``split`` field says which it belongs to.
            pad_token_id: Fills padded places.
            packing: Whether rows are laid end to end.
        """
        self._candidates = {name: split.candidates for name, split in splits.items()}
        self._collate = DataCollatorForLanguageModeling(pad_token_id=pad_token_id, padding_free=packing)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the tensors of a batch."""
        tokens = [{"input_ids": row["input_ids"], "labels": row["labels"]} for row in rows]
        batch = self._collate.torch_call(tokens)
        counted = [sum(label != IGNORED for label in row["labels"]) for row in rows]
        weights = torch.tensor([row["weight"] for row in rows], dtype=torch.float32)
        batch["weights"] = weights.repeat_interleave(torch.tensor(counted))
        candidates = self._candidates[rows[0]["split"]]
        if candidates is not None:
            found = [candidates.of(row["row"]) for row in rows]
            batch["top_ids"] = torch.from_numpy(np.concatenate([ids for ids, _ in found]).astype(np.int64))
            batch["top_logprobs"] = torch.from_numpy(np.concatenate([logprobs for _, logprobs in found]).astype(np.float32))
        batch["num_tokens"] = sum(len(row["input_ids"]) for row in rows)
        return batch
