"""Partitions of one machine never share a GPU, keep to those that the machine's owner allows, and stop together."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tasks.core.errors import PreemptedError, SettingsError
from tasks.generating.partition import VISIBLE_GPUS, PartitionSlots


def groups(slots: int, gpus_each: int) -> list[str]:
    """Return what partitions that run at the same time are given."""
    free = PartitionSlots(slots, gpus_each)
    with ExitStack() as held:
        return [held.enter_context(free.gpus()) for _ in range(slots)]


@pytest.mark.parametrize(
    ("visible", "slots", "gpus_each", "expected"),
    [
        (None, 2, 1, ["0", "1"]),
        (None, 2, 4, ["0,1,2,3", "4,5,6,7"]),
        ("5,3,7", 3, 1, ["5", "3", "7"]),
        ("GPU-aa,GPU-bb,GPU-cc,GPU-dd", 2, 2, ["GPU-aa,GPU-bb", "GPU-cc,GPU-dd"]),
        ("6", 1, 1, ["6"]),
        ("0,1", 1, 4, ["0,1"]),  # an engine that spans two machines
        ("", 2, 1, ["", ""]),
    ],
)
def test_every_partition_has_gpus_of_its_own(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, slots: int, gpus_each: int, expected: list[str]
) -> None:
    monkeypatch.delenv(VISIBLE_GPUS, raising=False)
    if visible is not None:
        monkeypatch.setenv(VISIBLE_GPUS, visible)

    assert groups(slots, gpus_each) == expected


def test_more_partitions_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE_GPUS, "0,1")

    with pytest.raises(SettingsError, match=r"names 2 GPUs, wanted 4: 2 for each of 2 partitions; lower .*partitions_at_once"):
        PartitionSlots(2, 2)


def test_a_group_is_free_again_for_the_next_partition() -> None:
    free = PartitionSlots(1, 1)
    with free.gpus() as first:
        pass
    with free.gpus() as second:
        assert first == second


def test_who_waits_for_a_group_is_stopped_too() -> None:
    free = PartitionSlots(1, 1)

    def run() -> None:
        with free.gpus():
            raise AssertionError("it must not start")

    with ThreadPoolExecutor(1) as pool:
        with free.gpus():
            waiting = pool.submit(run)
            free.stop()
        with pytest.raises(PreemptedError, match="finished rows are kept"):
            waiting.result()
