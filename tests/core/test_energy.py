"""Processors' energy counters are added up, also where they begin again, and what cannot be read is not made up."""

from pathlib import Path

import pytest

from tasks.core.energy import EnergyMeter
from tests.waiting import until

SPAN = 262_143_328_850


@pytest.fixture(autouse=True)
def no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.core.energy.has_cuda", lambda: False)


def zone(powercap: Path, number: str, name: str, microjoules: int) -> Path:
    """Write a zone as the kernel shows it, and return its counter."""
    folder = powercap / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{SPAN}\n")
    counter = folder / "energy_uj"
    counter.write_text(f"{microjoules}\n")
    return counter


def show(counter: Path, microjoules: int) -> None:
    """Set a counter; nobody sees it empty in between."""
    written = counter.with_name("written")
    written.write_text(f"{microjoules}\n")
    written.replace(counter)


def test_packages_and_memory_are_added_and_what_is_part_of_them_is_not(tmp_path: Path) -> None:
    counters = [
        zone(tmp_path, number, name, 1_000_000)
        for number, name in (("0", "package-0"), ("0:0", "core"), ("0:1", "dram"), ("1", "package-1"), ("2", "psys"))
    ]
    with EnergyMeter(powercap=tmp_path) as meter:
        for counter in counters:
            counter.write_text("3500000\n")

    assert meter.joules == pytest.approx(3 * 2.5)


def test_a_counter_that_begins_again_has_gone_through_its_whole_range(tmp_path: Path) -> None:
    counter = zone(tmp_path, "0", "package-0", SPAN - 400_000)
    with EnergyMeter(powercap=tmp_path) as meter:
        counter.write_text("600000\n")

    assert meter.joules == pytest.approx(1.0)


def test_a_counter_that_begins_again_and_again_is_read_often_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.core.energy._SAMPLE_SECONDS", 0.001)
    counter = zone(tmp_path, "0", "package-0", 0)
    with EnergyMeter(powercap=tmp_path) as meter:
        for halves in range(1, 5):
            show(counter, SPAN // 2 if halves % 2 else 0)
            until(lambda joules=halves * SPAN / 2e6: meter.joules == pytest.approx(joules), "reading the counter", seconds=10)

    assert meter.joules == pytest.approx(2 * SPAN / 1e6)


def test_without_a_counter_that_may_be_read_there_is_no_figure(tmp_path: Path) -> None:
    with EnergyMeter(powercap=tmp_path / "missing") as meter:
        pass
    assert meter.joules is None

    counter = zone(tmp_path, "0", "package-0", 1)
    counter.unlink()
    counter.mkdir()  # opening it fails, as it does for those who may not read it
    with EnergyMeter(powercap=tmp_path) as meter:
        pass
    assert meter.joules is None


def test_a_counter_that_goes_away_leaves_no_figure(tmp_path: Path) -> None:
    counter = zone(tmp_path, "0", "package-0", 1)
    with EnergyMeter(powercap=tmp_path) as meter:
        counter.unlink()

    assert meter.joules is None
