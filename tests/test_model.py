"""Which models are taken, which are refused, and what identifies them."""

import json
import shutil
from pathlib import Path

import pytest

from tasks.core.errors import ModelError, SettingsError
from tasks.core.weights import locate_weights
from tasks.model import ModelSettings, prepare_model
from tests.models import tiny_model


def test_a_local_model_is_used_where_it_lies_and_identified_by_its_content(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    here = prepare_model.fn(settings=ModelSettings(source=str(folder)), store=str(tmp_path / "store"))

    assert locate_weights(here) == folder
    assert ModelSettings(source=str(moved)).identity() == ModelSettings(source=str(folder)).identity()
    (moved / "config.json").write_text("{}")
    assert ModelSettings(source=str(moved)).identity() != ModelSettings(source=str(folder)).identity()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "modeling_custom.py", "optimizer.pt", "weights.pkl"])
def test_a_model_that_could_run_code_is_refused(tmp_path: Path, name: str) -> None:
    folder = tiny_model(tmp_path / "model")
    (folder / name).write_bytes(b"")

    with pytest.raises(ModelError, match="could run code"):
        prepare_model.fn(settings=ModelSettings(source=str(folder)), store=str(tmp_path / "store"))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_model_that_needs_custom_code_is_refused(tmp_path: Path, file: str) -> None:
    name_custom_code(tmp_path / "model", file, model_type="custom")

    with pytest.raises(ModelError, match="auto_map"):
        prepare_model.fn(settings=ModelSettings(source=str(tmp_path / "model")), store=str(tmp_path / "store"))


def test_a_model_that_brings_code_which_transformers_has_itself_is_taken_without_it(tmp_path: Path) -> None:
    name_custom_code(tmp_path / "model", "config.json", model_type="deepseek_v3")

    prepare_model.fn(settings=ModelSettings(source=str(tmp_path / "model")), store=str(tmp_path / "store"))


def name_custom_code(folder: Path, file: str, model_type: str) -> None:
    """Write a model whose configuration names code of its own."""
    tiny_model(folder)
    config = json.loads((folder / file).read_text())
    named = {**config, "auto_map": {"AutoModel": "custom.Model"}, "model_type": model_type}
    (folder / file).write_text(json.dumps(named))


@pytest.mark.parametrize(
    ("source", "revision", "message"),
    [
        ("organisation/name", None, "40-digit commit hash"),
        ("organisation/name", "main", "40-digit commit hash"),
        ("no/such/folder", None, "no local path"),
        ("missing.gguf", None, "no local path"),
        ("package:no_such_package/model.gguf", None, "'no_such_package' is not installed"),
        ("package:json/missing.gguf", None, "has no file"),
        ("package:json/../secret.gguf", None, "has no file"),
    ],
)
def test_a_model_without_a_fixed_identity_is_refused(source: str, revision: str | None, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        ModelSettings(source=source, revision=revision).identity()


def test_a_hub_model_is_identified_by_its_revision() -> None:
    assert ModelSettings(source="organisation/name", revision="0" * 40).identity() == {
        "content": f"hub:organisation/name@{'0' * 40}"
    }
