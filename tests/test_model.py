"""Which models are taken, which are refused, and what identifies them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tasks.core.artifact import RECORD
from tasks.core.errors import ModelError, SettingsError
from tasks.core.storage import open_store
from tasks.core.weights import WEIGHTS, loaded_weight_bytes, locate_weights, refuse_code, weight_bytes
from tasks.model import STAGE, ModelSettings, prepare_model
from tests.models import tiny_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_local_model_is_used_where_it_lies_and_identified_by_its_content(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    here = prepare_model.fn(settings=ModelSettings(source=str(folder)), store=str(tmp_path / "store"))

    assert locate_weights(here) == folder
    assert ModelSettings(source=str(moved)).identity() == ModelSettings(source=str(folder)).identity()
    (moved / "config.json").write_text("{}")
    assert ModelSettings(source=str(moved)).identity() != ModelSettings(source=str(folder)).identity()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "pytorch_model.bin",
            "optimizer.pt",
            "weights.pkl",
            "weights.pickle",
            "flax_model.msgpack",
            "tf_model.h5",
            "model.ckpt",
        ),
        *("modeling_custom.py", "custom_generate/generate.py", "kernel.so", "PYTORCH_MODEL.BIN"),
    ],
)
def test_a_model_that_could_run_code_is_refused(tmp_path: Path, name: str) -> None:
    folder = tiny_model(tmp_path / "model")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"")

    with pytest.raises(ModelError, match="could run code"):
        prepare_model.fn(settings=ModelSettings(source=str(folder)), store=str(tmp_path / "store"))


def test_weights_that_are_no_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")

    with pytest.raises(ModelError, match="is no folder"):
        prepare_model.fn(settings=ModelSettings(source=str(tmp_path / "pytorch_model.bin")), store=str(tmp_path / "store"))


@pytest.mark.parametrize(
    "shard", ["../other/model.safetensors", "/etc/model.safetensors", "shards/model.safetensors", "model.bin", 1]
)
def test_an_index_that_names_weights_elsewhere_is_refused(tmp_path: Path, shard: object) -> None:
    folder = tiny_model(tmp_path / "model")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": shard}}))

    with pytest.raises(ModelError, match="wanted a safetensors file beside it"):
        refuse_code(folder)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": "model.safetensors"}}))
    refuse_code(folder)


@pytest.mark.parametrize("target", ["file", "folder"])
def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    folder = tiny_model(tmp_path / "model")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("{}")
    (folder / "generation").symlink_to(folder / "config.json")
    refuse_code(folder)
    (folder / "vocabulary").symlink_to(tmp_path / target)

    with pytest.raises(ModelError, match="leads out of the model's folder"):
        refuse_code(folder)


def test_a_model_in_the_hubs_cache_is_links_to_its_own_files(tmp_path: Path) -> None:
    cache = tmp_path / "models--organisation--name"
    snapshot = tiny_model(cache / "snapshots" / COMMIT)
    (cache / "blobs").mkdir()
    for file in snapshot.iterdir():
        file.rename(cache / "blobs" / file.name)
        file.symlink_to(f"../../blobs/{file.name}")

    refuse_code(snapshot)
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ModelError, match="leads out"):
        refuse_code(snapshot)


def test_an_adapter_which_has_another_model_loaded_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/elses"}')

    with pytest.raises(ModelError, match="merge the adapter"):
        refuse_code(folder)


def test_weights_take_what_the_engines_number_format_takes_and_quantised_ones_what_they_take(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)  # in float32
    loaded = loaded_weight_bytes(folder, value_bytes=4)
    save_file({"packed": torch.zeros(10, 100, dtype=torch.int8)}, folder / "quantised.safetensors", metadata={"format": "pt"})

    assert 0 < weight_bytes(folder) - 1000 - loaded < 0.1 * loaded, "files have headers"
    assert loaded_weight_bytes(folder, value_bytes=2) == loaded // 2 + 1000


@pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000])
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    folder = tiny_model(tmp_path / "model")
    (folder / "config.json").write_text(content)

    with pytest.raises(ModelError, match=r"config\.json"):
        refuse_code(folder)


def test_a_hub_model_is_checked_once_it_is_downloaded_and_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    snapshot = tiny_model(tmp_path / "snapshot")

    def download(name: str, revision: str, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        assert not [pattern for pattern in allow_patterns if Path(pattern).suffix in {".py", ".bin", ".pt", ".pkl"}]
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    settings = ModelSettings(source="organisation/name", revision=COMMIT)
    model = prepare_model.fn(settings=settings, store=str(tmp_path / "store"))

    assert locate_weights(model) == snapshot
    name_custom_code(snapshot, "config.json", model_type="custom")
    with pytest.raises(ModelError, match="auto_map"):
        locate_weights(model)
    assert asked == [("organisation/name", COMMIT)] * 2


def test_a_record_that_names_a_hub_model_without_a_commit_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    model = prepare_model.fn(settings=ModelSettings(source=str(folder)), store=str(tmp_path / "store"))
    store = open_store(model.store)
    for revision in (None, "main"):
        record = json.loads(store.read(f"{model.key}/{RECORD}"))
        record["summary"] |= {"reference": "organisation/name", "revision": revision}
        store.write(f"{model.key}/{RECORD}", json.dumps(record).encode())

        with pytest.raises(ModelError, match="no commit of the hub's"):
            locate_weights(model)


def test_weights_in_the_store_are_checked_as_well(tmp_path: Path) -> None:
    settings = ModelSettings(source="organisation/name", revision=COMMIT)
    with STAGE.draft(str(tmp_path / "store"), settings) as draft:
        (tiny_model(draft.path / WEIGHTS) / "pytorch_model.bin").write_bytes(b"")
        model = draft.publish()

    with pytest.raises(ModelError, match="could run code"):
        locate_weights(model)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "processor_config.json"])
def test_a_model_that_needs_custom_code_is_refused(tmp_path: Path, file: str) -> None:
    name_custom_code(tmp_path / "model", file, model_type="custom")

    with pytest.raises(ModelError, match="auto_map"):
        prepare_model.fn(settings=ModelSettings(source=str(tmp_path / "model")), store=str(tmp_path / "store"))


def test_a_model_that_brings_code_which_transformers_has_itself_is_taken_without_it(tmp_path: Path) -> None:
    name_custom_code(tmp_path / "model", "config.json", model_type="deepseek_v3")

    prepare_model.fn(settings=ModelSettings(source=str(tmp_path / "model")), store=str(tmp_path / "store"))


def test_custom_code_is_found_however_deep_it_is_named(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    (folder / "config.json").write_text(json.dumps({"model_type": "custom", "parts": [{"text_config": {"auto_map": {}}}]}))

    with pytest.raises(ModelError, match="auto_map"):
        refuse_code(folder)


def name_custom_code(folder: Path, file: str, model_type: str) -> None:
    """Write a model whose configuration names code of its own."""
    tiny_model(folder)
    config = json.loads((folder / file).read_text()) if (folder / file).is_file() else {}
    named = {**config, "auto_map": {"AutoModel": "custom.Model"}, "model_type": model_type}
    (folder / file).write_text(json.dumps(named))


@pytest.mark.parametrize(
    ("source", "revision", "message"),
    [
        ("organisation/name", None, "40-digit commit hash"),
        ("organisation/name", "main", "40-digit commit hash"),
        ("organisation/name", "0123abc", "40-digit commit hash"),
        ("../name", "0" * 40, "no local path"),
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
