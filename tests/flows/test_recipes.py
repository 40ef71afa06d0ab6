"""Every shipped recipe is valid, alone and with parts, and a wrong one is refused in words that help."""

from pathlib import Path

import pytest

from flows.command import main
from flows.config import DistillConfig
from flows.recipe import deployment_parameters, load_recipe
from tasks.core.errors import SettingsError

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deployments" / "recipes"
RECIPES = sorted(SHIPPED.glob("*.yaml"))
QUICKSTART = SHIPPED / "quickstart.yaml"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid(recipe: Path) -> None:
    assert load_recipe(recipe).report.name == recipe.stem


def test_a_later_file_wins_field_by_field_and_replaces_lists(tmp_path: Path) -> None:
    part = tmp_path / "Night Shift.yaml"
    part.write_text(
        "generations: {sampling: {max_new_tokens: 4}}\n"
        "dataset: {filters: {refusal: {mode: annotate}}}\n"
        "teacher: {adaptation: null}\n"
    )
    alone, config = load_recipe(QUICKSTART), load_recipe([QUICKSTART, part], ["generations.sampling.max_prompt_tokens=99"])

    assert config.generations.sampling.max_new_tokens == 4
    assert config.generations.sampling.max_prompt_tokens == 99
    assert config.dataset.filters.refusal.mode == "annotate"
    assert config.teacher.model == alone.teacher.model
    assert config.teacher.adaptation is None
    assert config.evaluation == alone.evaluation
    assert config.report.name == "quickstart-night_shift"


def test_a_part_that_names_the_report_decides_its_name(tmp_path: Path) -> None:
    (tmp_path / "named.yaml").write_text("report: {name: mine}")

    assert load_recipe([QUICKSTART, tmp_path / "named.yaml"]).report.name == "mine"


def test_what_a_recipe_writes_once_and_uses_twice_is_changed_in_one_place_only(tmp_path: Path) -> None:
    text = QUICKSTART.read_text(encoding="utf-8")
    limits = "{max_new_tokens: 8, max_prompt_tokens: 120}"
    recipe, part = tmp_path / "alias.yaml", tmp_path / "part.yaml"
    recipe.write_text(text.replace(limits, f"&limits {limits}", 1).replace(f": {limits}", ": *limits", 1))
    part.write_text("generations: {sampling: {max_new_tokens: 4}}")
    config = load_recipe([recipe, part], ["generations.sampling.temperature=0.7"])

    assert "*limits" in recipe.read_text()
    assert (config.generations.sampling.max_new_tokens, config.evaluation.sampling.max_new_tokens) == (4, 8)
    assert (config.generations.sampling.temperature, config.evaluation.sampling.temperature) == (0.7, 0)


def test_a_part_alone_is_refused_and_a_message_names_all_files(tmp_path: Path) -> None:
    part = tmp_path / "part.yaml"
    part.write_text("student: {training: {method: magic}}")

    with pytest.raises(SettingsError, match=r"part\.yaml is not valid: prompts: Field required"):
        load_recipe(part)
    with pytest.raises(SettingsError, match=r"quickstart\.yaml with .*part\.yaml is not valid: .*got 'magic'"):
        load_recipe([QUICKSTART, part])
    with pytest.raises(SettingsError, match="no recipe was given"):
        load_recipe([])


def test_the_command_takes_parts_before_and_after_its_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = tmp_path / "part.yaml"
    part.write_text("student: {training: {method: magic}}")

    assert main([str(QUICKSTART), "--set", "generations.sampling.temperature=9", str(part)]) == 1
    said = capsys.readouterr().err
    assert "part.yaml is not valid" in said
    assert "got 9" in said
    assert "got 'magic'" in said


def test_a_deployment_takes_several_files_as_a_list_or_with_spaces_between_them() -> None:
    files = [str(SHIPPED / name) for name in ("deepseek_v3.yaml", "students/phi_3_5_mini.yaml")]
    config = load_recipe([Path(file) for file in files]).model_dump(mode="json")

    assert deployment_parameters(" ".join(files))["config"] == config
    assert deployment_parameters(files)["config"] == config
    assert deployment_parameters(str(QUICKSTART))["config"]["report"]["name"] == "quickstart"


def test_a_setting_is_overridden_from_the_command_line() -> None:
    config = load_recipe(QUICKSTART, ["generations.sampling.temperature=0.7", "store=s3://bucket/prefix"])

    assert config.generations.sampling.temperature == 0.7
    assert config.store == "s3://bucket/prefix"
    assert config.generations.sampling.max_new_tokens == load_recipe(QUICKSTART).generations.sampling.max_new_tokens


def test_off_is_a_filters_mode_and_yes_and_no_are_labels(tmp_path: Path) -> None:
    part = tmp_path / "part.yaml"
    part.write_text("prompts: {labels: [yes, no]}\ndataset: {filters: {refusal: {mode: off}}, allow_vanished_labels: on}")
    config = load_recipe([QUICKSTART, part], ["dataset.filters.empty.mode=off", "student.control=true"])

    assert (config.dataset.filters.refusal.mode, config.dataset.filters.empty.mode) == ("off", "off")
    assert config.prompts.labels == ("yes", "no")
    assert (config.dataset.allow_vanished_labels, config.student.control) == (True, True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("generations.sampling.temperature=9", "generations.sampling.temperature: .*less than or equal to 2, got 9"),
        ("student.training.learning_rat=1", r"learning_rat: there is no such setting \(did you mean learning_rate\?\), got 1"),
        ("dataset.filters.refusals={mode: off}", r"filters\.refusals: there is no such setting \(did you mean refusal\?\)"),
        ("dataset.filters.wxyz={}", r"wxyz: there is no such setting, got \{\}"),
        ("student.training.method=magic", "'sft', .*got 'magic'"),
        ("teacher.student=0123456789abcdef", "give exactly one of teacher.model, teacher.endpoint and teacher.student"),
        ("report.name=../up", "String should match pattern"),
        ("nonsense", "not of the form section.field=value"),
        ("store=[unclosed", "the value is not YAML"),
        ("store.deeper=1", "'store' is a value, not a section"),
    ],
)
def test_a_bad_setting_is_refused_with_its_place_its_value_and_what_was_expected(override: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_recipe(QUICKSTART, [override])


SMALL = "further_teachers.small={model: {source: x}}"
ENDPOINT = "teacher={endpoint: {url: 'http://127.0.0.1:8000/v1', model: m}}"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["teacher={}"], "give exactly one of teacher.model, teacher.endpoint and teacher.student"),
        (["teacher={student: 0123456789abcdef, adaptation: {}}"], "teacher.adaptation trains teacher.model"),
        (["student={}"], "give student.model, or student.pruning .* or student.fresh to start anew"),
        (["student.fresh={}"], "student.pruning, .*, or student.fresh, which keeps none, not both"),
        (["student={fresh: {}}", ENDPOINT], "could be cut down or drawn anew; give student.model"),
        (["student.pruning={}"], "nothing is cut; give keep_layers, layers, intermediate_size or trim_vocabulary"),
        (["student.pruning.layers=[0, 1]"], "give keep_layers, which chooses the layers, or layers, which names them"),
        (["student.pruning={layers: [1, 0]}"], r"layers is \[1, 0\]; give each layer once, in ascending order"),
        (["student.pruning={intermediate_size: 100}"], "intermediate_size: Input should be a multiple of 8, got 100"),
        ([ENDPOINT], "an endpoint has no weights that could be cut down or drawn anew; give student.model"),
        ([SMALL], "there are further_teachers; give mixture"),
        (["further_teachers.teacher={model: {source: x}}", "mixture={}"], "'teacher' is the name of the main teacher"),
        ([SMALL, "mixture={mode: route, routes: {MATH: smal}}"], r"names \['smal'\], wanted one of \['teacher', 'small'\]"),
        ([SMALL, "mixture={mode: route}"], "mixture.routes says which teacher answers what when the mode is route"),
        (["mixture={mode: best_of, score: length}"], "'confidence', got 'length'"),
        (["generations.samples_per_prompt=2"], "more than 1 at temperature 0, where all samples are the same"),
        (
            ["generations.prompting.enable_chain_of_thought=true", "generations.sampling.structured_output={labels: true}"],
            "leaves no room for a chain of thought",
        ),
        (["generations.sampling.structured_output={}"], "exactly one of labels, choice, regex and json_schema"),
        (["generations.logprobs={top_k: 0, draws: 4}"], "give a top_k of 1 or more"),
        (["generations.logprobs={draws: 4, processed: true}"], "leave logprobs.processed off"),
        (["generations.runtime.partitions=0"], "generations.runtime.partitions: .*greater than or equal to 1, got 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_recipe(QUICKSTART, overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        [SMALL, "mixture={mode: all}"],
        [SMALL, "mixture={mode: route, route_by: domain, routes: {sums: small, law: teacher}}"],
        ["mixture={mode: best_of, score: agreement}", "generations={samples_per_prompt: 4, sampling: {temperature: 1}}"],
        [ENDPOINT, "student={model: {source: x}}"],
        ["student.pruning={layers: [0, 2], intermediate_size: 64, trim_vocabulary: true}"],
        ["student={fresh: {seed: 3, config: {hidden_size: 64, rope_theta: 1.0e+4, attention_bias: true}}}"],
        ["generations.runtime.partitions=8", "generations.runtime.partition_deployment=generation-partition/teacher-gpu"],
        ["dataset.runtime.partition_deployment=curation-partition/cpu"],
    ],
)
def test_several_teachers_samples_and_partitions_can_be_asked_for(overrides: list[str]) -> None:
    config = load_recipe(QUICKSTART, overrides)

    assert DistillConfig.model_validate_json(config.model_dump_json()) == config


def test_a_recipe_that_is_no_yaml_or_not_there_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("store: [unclosed")

    with pytest.raises(SettingsError, match=r"broken\.yaml is not YAML"):
        load_recipe(broken)
    with pytest.raises(SettingsError, match="there is no recipe"):
        load_recipe(tmp_path / "missing.yaml")


def test_a_recipe_cannot_make_python_objects(tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.yaml"
    hostile.write_text("store: !!python/object/apply:os.system ['true']")

    with pytest.raises(SettingsError, match="is not YAML"):
        load_recipe(hostile)


def test_every_setting_has_a_description_for_the_form() -> None:
    undescribed = [
        f"{name}.{field}"
        for name, section in DistillConfig.model_json_schema()["$defs"].items()
        for field, schema in section.get("properties", {}).items()
        if "description" not in schema
    ]

    assert undescribed == []


def test_the_form_shows_the_bounds_of_a_setting() -> None:
    sampling = DistillConfig.model_json_schema()["$defs"]["Sampling"]["properties"]

    assert sampling["temperature"]["description"].endswith("higher is more varied. (at least 0, at most 2)")
    assert sampling["top_p"]["description"].endswith("(more than 0, at most 1)")
