"""The rows' order is known from the seed and the epoch alone, so that a resumed training finds its place."""

import random
from pathlib import Path

import numpy as np
import torch

from tasks.training.row_order import RepeatedOrder, RowOrder
from tests.trainings import example, make_job, make_trainer, training_settings

LENGTHS = np.random.default_rng(0).integers(5, 200, 103).tolist()
BATCH = 4


def order(epoch: int, seed: int = 1) -> list[int]:
    rows = RowOrder(LENGTHS, BATCH, seed)
    rows.set_epoch(epoch)
    return list(rows)


def test_every_row_comes_once() -> None:
    rows = RowOrder(LENGTHS, BATCH, seed=1)
    assert len(rows) == len(LENGTHS)
    assert sorted(rows) == list(range(len(LENGTHS)))


def test_an_epoch_has_the_same_order_whatever_happened_before() -> None:
    wanted = order(3)
    rows = RowOrder(LENGTHS, BATCH, seed=1)
    for epoch in (0, 1, 3, 2):
        rows.set_epoch(epoch)
        next(iter(rows))
    torch.manual_seed(7)
    random.seed(7)
    torch.rand(100)
    rows.set_epoch(3)
    assert list(rows) == list(rows) == wanted


def test_epochs_and_seeds_differ_in_order() -> None:
    orders = [order(epoch) for epoch in range(3)] + [order(0, seed=99)]
    assert len({tuple(each) for each in orders}) == len(orders)


def test_rows_of_like_length_share_a_step() -> None:
    def padding(rows: list[int]) -> int:
        steps = [[LENGTHS[row] for row in rows[start : start + BATCH]] for start in range(0, len(rows), BATCH)]
        return sum(max(step) - length for step in steps for length in step)

    shuffled = torch.randperm(len(LENGTHS), generator=torch.Generator().manual_seed(0)).tolist()
    assert padding(order(0)) < padding(shuffled) / 3


def test_a_trainer_reads_its_rows_in_the_order_of_the_epoch(tmp_path: Path) -> None:
    rows = [example(number, completion="mild " * (number % 4), split="train") for number in range(16)]
    trainer = make_trainer(make_job(tmp_path, training_settings(), rows))
    batches = trainer.get_train_dataloader()
    trained_on = []
    for epoch in (0, 1):
        batches.set_epoch(epoch)
        wanted = RowOrder(trainer.train_dataset["length"], BATCH, trainer.args.seed)
        wanted.set_epoch(epoch)
        texts = [trainer.train_dataset[row]["input_ids"] for row in wanted]
        found = [
            row[mask.bool()].tolist()
            for batch in batches
            for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
        ]
        assert found == texts
        trained_on.append(texts)
    assert trained_on[0] != trained_on[1]


def test_a_repeated_order_gives_each_steps_rows_as_often_as_it_has_micro_batches() -> None:
    rows = RepeatedOrder(RowOrder(LENGTHS, BATCH, seed=1), BATCH, repeats=3)
    rows.set_epoch(2)
    found, wanted = list(rows), order(2)
    assert len(found) == len(rows) == 25 * BATCH * 3, "a part step is left out"
    steps = [found[start : start + BATCH] for start in range(0, len(found), BATCH)]
    assert steps == [wanted[start : start + BATCH] for start in range(0, 100, BATCH) for _ in range(3)]
