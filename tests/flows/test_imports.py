"""The borders of the layers: imports point downward, and nothing heavy is loaded before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGES = [path for path in (ROOT / "tasks").glob("*.py") if path.name != "__init__.py"]
HEAVY = ("torch", "vllm", "transformers", "trl", "peft", "datasets")


def imported_modules(path: Path) -> set[str]:
    """Return the names of all modules that a file imports, anywhere in it."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return modules


@pytest.mark.parametrize("path", (ROOT / "tasks").rglob("*.py"), ids=lambda path: path.stem)
def test_no_task_imports_a_flow(path: Path) -> None:
    assert not [module for module in imported_modules(path) if module.startswith("flows")]


@pytest.mark.parametrize("path", (ROOT / "tasks" / "core").glob("*.py"), ids=lambda path: path.stem)
def test_core_imports_only_core(path: Path) -> None:
    ours = [module for module in imported_modules(path) if module.split(".")[0] in {"tasks", "flows"}]

    assert not [module for module in ours if not module.startswith("tasks.core")]


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_no_stage_imports_another(path: Path) -> None:
    others = {f"tasks.{stage.stem}" for stage in STAGES}

    assert not imported_modules(path) & others


def test_importing_the_flow_loads_no_heavy_library() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, flows.distill; print(*sys.modules)"], capture_output=True, text=True, check=True
    )

    assert not set(HEAVY) & set(loaded.stdout.split())


@pytest.mark.slow
def test_a_training_loads_neither_prefect_nor_an_engine() -> None:
    code = "import sys, tasks.training.worker, tasks.trainers.sft, tasks.trainers.on_policy; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert "trl" in loaded.stdout.split()
    assert not {"prefect", "vllm"} & set(loaded.stdout.split()), "they would take as long to load as all that it needs"


def test_help_answers_without_loading_prefect() -> None:
    code = "import runpy, sys; sys.argv = ['distill', '--help']; runpy.run_module('flows.distill', run_name='__main__')"
    wrapped = f"import atexit, sys; atexit.register(lambda: print('prefect' in sys.modules)); {code}"
    shown = subprocess.run([sys.executable, "-c", wrapped], capture_output=True, text=True, check=True, cwd=ROOT)

    assert "recipe" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "False"
