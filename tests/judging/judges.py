"""Judges for tests: a scripted endpoint that judges by a rule, asked through the generations stage like any teacher."""

import json
import re
from collections.abc import Callable
from typing import Any

from tasks.core.artifact import Artifact
from tasks.core.caching import Stage
from tasks.core.records import PREDICTIONS, PROMPTS
from tasks.core.tables import read_table, write_table
from tasks.evaluation import EvaluationSettings
from tasks.generating.settings import GenerationsSettings
from tasks.generations import generate
from tasks.judging.settings import SIDES, ScoringSettings, Verdicts, held_to_form
from tasks.model import prepare_endpoint
from tasks.teachers.endpoint.settings import EndpointSettings
from tests.endpoints import Act, Call, ScriptedEndpoint, answer

_QUOTED = re.compile(r"^<(\S+) ([0-9a-f]{16})>\n(.*?)\n</\1 \2>$", re.DOTALL | re.MULTILINE)


def quoted(prompt: str) -> dict[str, str]:
    """Return what a judging prompt quotes, by name; of several quotations of a name the last."""
    return {name: text for name, _, text in _QUOTED.findall(prompt)}


def by(rule: Callable[[dict[str, str]], str | int]) -> Callable[[Call], Act]:
    """Return what an endpoint does that judges by a rule: a verdict from what is quoted, with a reason, as JSON."""
    return lambda call: Act(body=answer(json.dumps({"reason": "a rule", "verdict": rule(quoted(call.prompt))})))


def judge(
    scripted: ScriptedEndpoint,
    prompts: Artifact,
    verdicts: Verdicts,
    settings: ScoringSettings | None = None,
    name: str = "judge-1",
) -> Artifact:
    """Let the scripted endpoint answer judging prompts and return its judgements."""
    endpoint = prepare_endpoint.fn(settings=EndpointSettings(url=scripted.url, model=name), store=prompts.store)
    asked = held_to_form(GenerationsSettings(), settings or ScoringSettings(), verdicts)
    return generate.fn(settings=asked, store=prompts.store, prompts=prompts, teacher=endpoint)


def longer(quotes: dict[str, str]) -> str:
    """Return the side whose answer is longer: a judge's rule."""
    return max(SIDES, key=lambda side: len(quotes[side]))


def evaluated(prompts: Artifact, name: str, say: Callable[[int], str]) -> Artifact:
    """Return the evaluation of a model that says what a function of the item's number gives."""
    items = [row for row in read_table(prompts, PROMPTS) if row["split"] == "test"]
    rows: list[dict[str, Any]] = [
        {
            **{field: item[field] for field in ("id", "task", "references")},
            **{"completion": say(number), "answer": say(number), "scores": [], "finish_reason": "stop", "completion_tokens": 3},
        }
        for number, item in enumerate(items)
    ]
    with Stage("evaluation", 1).draft(prompts.store, EvaluationSettings(), prompts=prompts, **{name: prompts}) as draft:
        write_table(draft.path / PREDICTIONS.file, PREDICTIONS, rows)
        return draft.publish()
