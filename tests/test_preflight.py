"""The preflight stage: what cannot work or may not be done is refused before it is paid for, and what was found is kept."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.core.artifact import Artifact, Draft, open_file, read_record
from tasks.core.errors import ModelError, SettingsError
from tasks.core.fingerprint import fingerprint
from tasks.core.weights import WEIGHTS, locate_weights
from tasks.model import ModelSettings, prepare_endpoint, prepare_model
from tasks.preflight import FINDINGS_FILE, PreflightSettings, check_memory, check_models, plan_preflight
from tasks.preflight_checks.origins import fetch_small_files
from tasks.preflight_checks.shape import ModelShape
from tasks.teachers.endpoint.settings import EndpointSettings
from tasks.training.settings import TrainingSettings
from tests.endpoints import run_scripted_endpoint
from tests.families import family_model
from tests.models import tiny_model
from tests.teaching import numbered, prepare, teach

FORBIDDING = EndpointSettings(url="http://127.0.0.1:9/v1", model="claude-sonnet-4")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def model(tmp_path: Path, store: Path) -> Artifact:
    return teach(store, tiny_model(tmp_path / "model"))


def other_model(tmp_path: Path, store: Path, name: str = "other", **config: Any) -> Artifact:
    """Return a model of the same tokenizer, with some of its configuration changed."""
    folder = tiny_model(tmp_path / name, seed=1)
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, **config}))
    return teach(store, folder)


def check(
    store: Path,
    teacher: Artifact,
    student: Artifact,
    *,
    acknowledge: bool = False,
    chat: bool = False,
    judge: Artifact | None = None,
    judge_curates: bool = True,
    **training: Any,
) -> Artifact:
    plan = plan_preflight(
        PreflightSettings(acknowledge_terms=acknowledge),
        TrainingSettings.model_validate(training),
        judge_curates=judge_curates and judge is not None,
    )
    prompts = prepare(store, numbered(3), chat=chat)
    return check_models.fn(settings=plan, store=str(store), teacher=teacher, student=student, prompts=prompts, judge=judge)


def test_what_was_found_is_in_the_record_and_in_a_file(tmp_path: Path, store: Path, model: Artifact) -> None:
    found = check(store, other_model(tmp_path, store), model, method="topk_kd")

    summary = read_record(found).summary
    assert summary.keys() == {"terms", "conditions", "student", "teacher", "same_tokenizer"}
    assert json.loads(open_file(found, FINDINGS_FILE).read_text()) == summary
    assert summary["same_tokenizer"] is True
    assert ModelShape.model_validate(summary["student"]).architecture == "LlamaForCausalLM"
    assert summary["teacher"] is None, "a teacher that is not held in memory may be of a kind that only its engine knows"
    assert [terms["licence"] for terms in summary["terms"]["teacher"]] == ["unknown"]
    assert any("licence of the teacher" in condition for condition in summary["conditions"])


@pytest.mark.parametrize("method", ["hidden_states", "on_policy"])
def test_a_teacher_that_is_held_in_memory_is_looked_at_too(tmp_path: Path, store: Path, model: Artifact, method: str) -> None:
    teacher = other_model(tmp_path, store, num_hidden_layers=7)
    summary = read_record(check(store, teacher, model, method=method)).summary

    assert summary["teacher"]["layers"] == 7
    assert summary["student"]["layers"] == 2


def test_weights_are_neither_needed_nor_read(tmp_path: Path, store: Path) -> None:
    folders = [tiny_model(tmp_path / name) for name in ("teacher", "student")]
    for folder in folders:
        (folder / "model.safetensors").write_bytes(b"not weights")
    teacher, student = (teach(store, folder) for folder in folders)

    assert read_record(check(store, teacher, student, method="hidden_states")).summary["same_tokenizer"] is True


def test_an_earlier_students_weights_are_not_read_and_its_terms_are_those_of_all_that_it_was_made_from(
    tmp_path: Path, store: Path, model: Artifact
) -> None:
    folder = tiny_model(tmp_path / "trained")
    start, taught_by = model, prepare_endpoint.fn(settings=FORBIDDING, store=str(store))
    generations = publish(store, "generations", {"teacher": taught_by})
    dataset = publish(store, "dataset", {"generations": generations})
    student = publish(store, "student", {"dataset": dataset, "start": start}, folder)
    weights = next((store / student.key).rglob("model.safetensors"))
    weights.write_bytes(b"torn")

    found = fetch_small_files(student)
    assert (found / "config.json").is_file()
    summary = read_record(check(store, student, model, acknowledge=True)).summary
    assert {terms["model"] for terms in summary["terms"]["teacher"]} == {"claude-sonnet-4", str(tmp_path / "model")}
    with pytest.raises(SettingsError, match=r"preflight\.acknowledge_terms"):
        check(store, student, model)

    shutil.rmtree(store / taught_by.key)
    gone = read_record(check(store, student, model, acknowledge=True, epochs=1, turns="last", packing=True)).summary
    assert any("which is no longer in the store" in condition for condition in gone["conditions"])


def publish(store: Path, kind: str, inputs: dict[str, Artifact], weights: Path | None = None) -> Artifact:
    """Write an artefact as an earlier run left it."""
    draft = Draft(str(store), kind, fingerprint(kind), 1, {}, inputs)
    if weights is not None:
        shutil.copytree(weights, draft.path / WEIGHTS)
    return draft.publish()


def test_a_forbidden_teacher_needs_an_acknowledgement_which_is_recorded(store: Path, model: Artifact) -> None:
    teacher = prepare_endpoint.fn(settings=FORBIDDING, store=str(store))

    with pytest.raises(SettingsError, match=r"preflight\.acknowledge_terms: true, which is recorded"):
        check(store, teacher, model)
    record = read_record(check(store, teacher, model, acknowledge=True))
    assert record.settings["acknowledge_terms"] is True
    assert any("acknowledged" in condition for condition in record.summary["conditions"])


def test_a_judge_that_scores_training_rows_is_asked_for_its_terms_like_a_teacher(store: Path, model: Artifact) -> None:
    judge = prepare_endpoint.fn(settings=FORBIDDING, store=str(store))

    with pytest.raises(SettingsError, match=r"the judge claude-sonnet-4 is under .* take another judge \(judge\.by\)"):
        check(store, model, model, judge=judge)
    acknowledged = read_record(check(store, model, model, judge=judge, acknowledge=True)).summary
    assert [terms["model"] for terms in acknowledged["terms"]["judge"]] == ["claude-sonnet-4"]
    assert any("judge claude-sonnet-4" in each and "acknowledged" in each for each in acknowledged["conditions"])


def test_a_judge_that_only_compares_stops_nothing_and_its_ban_is_told(store: Path, model: Artifact) -> None:
    judge = prepare_endpoint.fn(settings=FORBIDDING, store=str(store))
    summary = read_record(check(store, model, model, judge=judge, judge_curates=False)).summary

    assert any("The judge claude-sonnet-4" in each and "read whether its judgements" in each for each in summary["conditions"])


def test_another_tokenizer_is_refused_by_the_methods_that_need_the_teachers_ids_only(
    tmp_path: Path, store: Path, model: Artifact
) -> None:
    teacher = teach(store, family_model("smollm2", tmp_path / "smollm2"))

    assert read_record(check(store, teacher, model, method="sft")).summary["same_tokenizer"] is None
    for method in ("topk_kd", "sampled_kd", "hidden_states"):
        with pytest.raises(
            SettingsError, match=f"the method {method} trains on the teacher's token ids, and the tokenizers differ"
        ):
            check(store, teacher, model, method=method)


def test_a_model_that_is_its_own_teacher_needs_no_comparison(store: Path, model: Artifact) -> None:
    assert read_record(check(store, model, model, method="topk_kd")).summary["same_tokenizer"] is True


def test_an_endpoint_that_tells_no_token_ids_cannot_teach_by_them(store: Path, model: Artifact) -> None:
    settings = EndpointSettings(url="http://127.0.0.1:9/v1", model="tiny")
    teacher = prepare_endpoint.fn(settings=settings, store=str(store))

    assert read_record(check(store, teacher, model, method="sft")).summary["same_tokenizer"] is None
    with pytest.raises(SettingsError, match=r"tiny runs behind an endpoint that does not tell them; .*\.server to vllm"):
        check(store, teacher, model, method="topk_kd")
    with pytest.raises(SettingsError, match="the method on_policy holds the teacher in memory, and this teacher runs behind"):
        check(store, teacher, model, method="on_policy")


def test_an_endpoint_of_vllms_server_is_asked(store: Path, model: Artifact) -> None:
    with run_scripted_endpoint() as endpoint:
        settings = EndpointSettings(url=endpoint.url, model="tiny", server="vllm")
        teacher = prepare_endpoint.fn(settings=settings, store=str(store))
        with pytest.raises(SettingsError, match="answers /tokenize with HTTP 404"):
            check(store, teacher, model, method="topk_kd")


def test_conversations_need_a_template_that_ends_where_the_student_stops(tmp_path: Path, store: Path, model: Artifact) -> None:
    folder = tiny_model(tmp_path / "plain")
    (folder / "chat_template.jinja").unlink()
    plain = teach(store, folder)

    check(store, model, plain)
    with pytest.raises(ModelError, match="has no chat template"):
        check(store, model, plain, chat=True)

    folder = tiny_model(tmp_path / "endless")
    (folder / "chat_template.jinja").write_text("{% for message in messages %}{{ message['content'] }}\n{% endfor %}")
    with pytest.raises(SettingsError, match="would never stop"):
        check(store, model, teach(store, folder), chat=True)


def test_training_on_all_turns_needs_a_marked_template_for_conversations(tmp_path: Path, store: Path, model: Artifact) -> None:
    folder = tiny_model(tmp_path / "own")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_start|>", "<|im_start|>~"))
    own = teach(store, folder)

    check(store, model, own, turns="all")
    check(store, model, own, chat=True)
    with pytest.raises(SettingsError, match=r"training\.turns is all, and no marked chat template renders like that"):
        check(store, model, own, chat=True, turns="all")


def test_adapters_are_checked_by_name(store: Path, model: Artifact) -> None:
    check(store, model, model, lora={"target_modules": ["q_proj"]})
    with pytest.raises(SettingsError, match=r"lora\.target_modules has \['qkv_proj'\]"):
        check(store, model, model, lora={"target_modules": ["qkv_proj"]})


def test_on_policy_needs_as_many_output_tokens(tmp_path: Path, store: Path, model: Artifact) -> None:
    teacher = other_model(tmp_path, store, vocab_size=384)

    check(store, teacher, model, method="hidden_states")
    with pytest.raises(SettingsError, match="the student has 320 output tokens, the teacher 384"):
        check(store, teacher, model, method="on_policy")


def test_a_model_whose_folder_is_gone_is_refused(tmp_path: Path, store: Path, model: Artifact) -> None:
    gone = other_model(tmp_path, store, name="gone")
    shutil.rmtree(tmp_path / "gone")

    with pytest.raises(ModelError, match="has no files on this machine"):
        check(store, model, gone)


def test_the_same_plan_is_checked_once_and_how_it_is_run_makes_no_difference(store: Path, model: Artifact) -> None:
    plans = [
        plan_preflight(PreflightSettings(), TrainingSettings.model_validate(changes))
        for changes in ({}, {"runtime": {"processes": 8, "device_memory_gib": 80}}, {"learning_rate": 1e-3}, {"lora": {}})
    ]

    assert plans[0] == plans[1] == plans[2] != plans[3]


def test_memory_is_checked_in_every_run(store: Path, model: Artifact) -> None:
    preflight = check(store, model, model)

    def training(gib: float | None) -> TrainingSettings:
        return TrainingSettings.model_validate({"runtime": {"device_memory_gib": gib}})

    assert check_memory(preflight, training(None), max_tokens=1024) is None
    estimate = check_memory(preflight, training(1), max_tokens=1024)
    assert estimate is not None
    assert estimate.parameters == read_record(preflight).summary["student"]["parameters"]
    with pytest.raises(SettingsError, match=r"and a device has 0\.001 GiB"):
        check_memory(preflight, training(0.001), max_tokens=1024)


def test_memory_is_that_of_the_student_after_it_is_cut_down(tmp_path: Path, store: Path) -> None:
    deep = teach(store, tiny_model(tmp_path / "deep", layers=12))
    preflight, known = check(store, deep, deep), TrainingSettings.model_validate({"runtime": {"device_memory_gib": 1}})
    whole, cut = check_memory(preflight, known, 64), check_memory(preflight, known, 64, keep_layers=2)

    assert whole is not None
    assert cut is not None
    assert cut.optimizer < whole.optimizer / 2


def test_preflight_reads_the_folder_that_training_starts_from(model: Artifact) -> None:
    assert fetch_small_files(model) == locate_weights(model)


def test_a_hub_model_is_taken_from_the_hubs_cache_without_its_weights(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = "0" * 40
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = tmp_path / "hub" / "models--organisation--name" / "snapshots" / revision
    tiny_model(snapshot)
    (snapshot / "model.safetensors").unlink()
    settings = ModelSettings(source="organisation/name", revision=revision)
    model = prepare_model.fn(settings=settings, store=str(store))

    assert fetch_small_files(model) == snapshot
    assert read_record(check(store, model, model)).summary["student"]["layers"] == 2
