"""Judges for tests: a scripted endpoint that judges by a rule, asked through the generations stage like any teacher."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from tasks.core.artifact import Artifact
from tasks.generating.settings import GenerationsSettings
from tasks.generations import generate
from tasks.judging.settings import ScoringSettings, Verdicts, held_to_form
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


def store_in(folder: Path) -> str:
    """Return the URL of a store in a folder."""
    return str(folder / "store")
