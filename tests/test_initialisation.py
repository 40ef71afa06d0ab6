"""The initialisation stage: its artefacts say what was kept, load as plain models, and are made once."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.core.artifact import Artifact, read_record
from tasks.core.errors import SettingsError
from tasks.core.weights import locate_weights
from tasks.initialisation import draw_model, prune_model
from tasks.initialisers.settings import FreshSettings, PruningSettings
from tests.models import tiny_model
from tests.teaching import prepare, teach


@pytest.fixture
def prompts(tmp_path: Path) -> Artifact:
    return prepare(tmp_path / "store", [{"prompt": f"the still is {heat}", "answer": "clear"} for heat in ("hot", "cold")])


@pytest.fixture
def model(tmp_path: Path) -> Artifact:
    return teach(tmp_path / "store", tiny_model(tmp_path / "model", layers=3))


def test_a_pruned_model_is_an_artefact_whose_record_says_what_was_kept(
    tmp_path: Path, prompts: Artifact, model: Artifact
) -> None:
    settings = PruningSettings(keep_layers=2, intermediate_size=16, trim_vocabulary=True)
    pruned = prune_model.fn(settings=settings, store=str(tmp_path / "store"), model=model, prompts=prompts)
    record, loaded = read_record(pruned), load(pruned)
    tokens = len(AutoTokenizer.from_pretrained(locate_weights(pruned)))

    assert len(record.summary["kept_layers"]) == 2
    assert len(record.summary["block_influence"]) == 3
    assert record.summary["intermediate_size"] == loaded.config.intermediate_size == 16
    assert record.summary["vocabulary"]["after"] == loaded.config.vocab_size == tokens < record.summary["vocabulary"]["before"]
    assert record.counts["layers"] == loaded.config.num_hidden_layers == 2
    assert 0 < record.counts["weight_bytes"] < (tmp_path / "model" / "model.safetensors").stat().st_size


def test_only_training_prompts_say_what_is_needed(tmp_path: Path, prompts: Artifact, model: Artifact) -> None:
    settings = PruningSettings(trim_vocabulary=True)
    pruned = prune_model.fn(settings=settings, store=str(tmp_path / "store"), model=model, prompts=prompts)
    tokenizer = AutoTokenizer.from_pretrained(locate_weights(pruned))

    assert tokenizer.tokenize("the still is") == ["the", "Ġstill", "Ġis"]
    assert "Ġhypothesis" not in tokenizer.get_vocab()


def test_fresh_weights_are_an_artefact_that_is_made_once(tmp_path: Path, model: Artifact) -> None:
    settings = FreshSettings(seed=3, config={"num_hidden_layers": 1})
    fresh = draw_model.fn(settings=settings, store=str(tmp_path / "store"), model=model)

    assert load(fresh).config.num_hidden_layers == read_record(fresh).counts["layers"] == 1
    assert read_record(fresh).summary["parameters"] == load(fresh).num_parameters()
    assert draw_model.fn(settings=settings, store=str(tmp_path / "store"), model=model) == fresh
    other = draw_model.fn(settings=settings.model_copy(update={"seed": 4}), store=str(tmp_path / "store"), model=model)
    assert other.fingerprint != fresh.fingerprint


def test_a_pruned_model_can_be_cut_and_drawn_again(tmp_path: Path, prompts: Artifact, model: Artifact) -> None:
    store = str(tmp_path / "store")
    trimmed = prune_model.fn(settings=PruningSettings(trim_vocabulary=True), store=store, model=model, prompts=prompts)
    shallow = prune_model.fn(settings=PruningSettings(layers=(0,)), store=store, model=trimmed, prompts=prompts)
    fresh = draw_model.fn(settings=FreshSettings(), store=store, model=shallow)

    assert load(fresh).config.num_hidden_layers == 1
    assert load(fresh).config.vocab_size == read_record(trimmed).summary["vocabulary"]["after"]


def test_what_is_refused_leaves_no_artefact(tmp_path: Path, prompts: Artifact, model: Artifact) -> None:
    with pytest.raises(SettingsError, match="keep_layers is 3 and the model has only 3 layers"):
        prune_model.fn(settings=PruningSettings(keep_layers=3), store=str(tmp_path / "store"), model=model, prompts=prompts)
    assert len(list((tmp_path / "store").glob("model/*/record.json"))) == 1


def load(model: Artifact) -> Any:
    """Return an artefact's model."""
    return AutoModelForCausalLM.from_pretrained(locate_weights(model))
