"""Two teachers in one distillation: each answers what the mixture gives it, and the report says who said what."""

from pathlib import Path

import pytest
import yaml

from flows.distill import distill
from flows.recipe import load_recipe
from tasks.core.artifact import read_record
from tasks.core.records import ANSWERED_PROMPTS
from tasks.core.tables import read_table
from tasks.report import read_report
from tests.models import tiny_model
from tests.recipes import tiny_recipe

pytestmark = pytest.mark.slow


def test_prompts_are_routed_to_two_teachers_by_a_tag(tmp_path: Path, prefect_server: None) -> None:
    recipe = tiny_recipe(tmp_path)
    values = yaml.safe_load(recipe.read_text())
    values["prompts"]["tag_fields"] = ["label"]
    values["further_teachers"] = {"second": {"model": {"source": str(tiny_model(tmp_path / "second", seed=1))}}}
    values["mixture"] = {"mode": "route", "route_by": "label", "routes": {"cool": "second"}}
    values["generations"]["sampling"] = {**values["generations"]["sampling"], "max_new_tokens": 8}
    recipe.write_text(yaml.safe_dump(values))

    generations = read_report(distill(load_recipe(recipe))).lineage["generations"]
    rows = list(read_table(generations, ANSWERED_PROMPTS))

    assert sorted(read_record(generations).summary["teachers"].values()) == [26, 26]
    by_label = {(dict(row["tags"])["label"], row["teacher"]) for row in rows}
    assert len(by_label) == 2, "each label has one teacher"
    assert len({teacher for _, teacher in by_label}) == 2
