"""The order in which rows are trained on: of the seed and the epoch alone, so that a resumed training knows it again."""

from collections.abc import Iterator, Sequence

import torch
from datasets import Dataset, concatenate_datasets
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from tasks.training.training_rows import IGNORED


class RowOrder(Sampler[int]):
    """Shuffles the rows anew each epoch; rows of like length, which need little padding, share a step.

    Transformers' sampler of the same kind draws from the process's random state, which a resumed training has at another place.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int, whole: int = 1) -> None:
        """Prepare the order.

        Args:
            lengths: Tokens of each row.
            batch_size: Rows of an optimiser step.
            seed: Seed of the order.
            whole: The order is filled up to a multiple of this with the number after the last row's: see ``with_fillers``.
        """
        self._lengths, self._batch_size, self._seed = list(lengths), batch_size, seed
        self._fillers = -len(self._lengths) % whole
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch; the dataloader calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths) + self._fillers

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        order = get_length_grouped_indices(self._lengths, self._batch_size, generator=generator)
        return iter([*order, *[len(self._lengths)] * self._fillers])


def with_fillers(rows: Dataset, count: int = 1) -> Dataset:
    """Return the rows, and after the last of them some that have no answer and so add nothing to a loss or to a gradient.

    Processes that work together all want a row when the rows run out. Without fillers they would get some that were there
    already, and train on others, or evaluate others, than one process does.
    """
    own = {"input_ids": rows[0]["input_ids"][:1], "labels": [IGNORED], "length": 1, "weight": 0.0, "row": -1}
    columns = {name: [value] * count for name, value in {**own, "split": rows[0]["split"]}.items()}
    return concatenate_datasets([rows, Dataset.from_dict(columns, rows.features)])


class RepeatedOrder(Sampler[int]):
    """Gives the rows of each step as often as it has micro-batches, as TRL's on-policy trainer wants it; a part step is left out.

    TRL's own sampler draws each epoch's order from where the last one left off, which a resumed training does not know.
    """

    def __init__(self, order: RowOrder, batch_size: int, repeats: int) -> None:
        """Prepare the order.

        Args:
            order: The order of the rows.
            batch_size: Rows of an optimiser step.
            repeats: Micro-batches of a step.
        """
        self._order, self._batch_size, self._repeats = order, batch_size, repeats

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch; the dataloader calls this."""
        self._order.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self._order) // self._batch_size * self._batch_size * self._repeats

    def __iter__(self) -> Iterator[int]:
        rows = list(self._order)
        for start in range(0, len(rows) - self._batch_size + 1, self._batch_size):
            for _ in range(self._repeats):
                yield from rows[start : start + self._batch_size]
