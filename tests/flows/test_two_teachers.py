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
from tests.endpoints import Act, answer, run_scripted_endpoint
from tests.recipes import tiny_recipe

pytestmark = pytest.mark.slow


def test_prompts_are_routed_to_two_teachers_by_a_tag(tmp_path: Path, prefect_server: None) -> None:
    recipe = tiny_recipe(tmp_path)
    values = yaml.safe_load(recipe.read_text())
    values["prompts"]["tag_fields"] = ["label"]
    values["mixture"] = {"mode": "route", "route_by": "label", "routes": {"cool": "second"}}
    values["student"]["model"] = values["teacher"]["model"]
    with run_scripted_endpoint() as endpoint:
        endpoint.act = lambda call: Act(body=answer("warm" if "hot" in call.prompt else "cool", call.path))
        values["teacher"] = {"endpoint": {"url": endpoint.url, "model": "one"}}
        values["further_teachers"] = {"second": {"endpoint": {"url": endpoint.url, "model": "two"}}}
        recipe.write_text(yaml.safe_dump(values))
        generations = read_report(distill(load_recipe(recipe))).lineage.artifacts["generations"]
    rows = list(read_table(generations, ANSWERED_PROMPTS))

    assert read_record(generations).summary["teachers"] == {"one": 26, "two": 26}
    assert {(dict(row["tags"])["label"], row["teacher"], row["answer"]) for row in rows} == {
        ("warm", "one", "warm"),
        ("cool", "two", "cool"),
    }
