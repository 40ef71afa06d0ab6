"""Artefacts made by hand, as the stages before the report leave them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.core.artifact import Artifact
from tasks.core.attempts import INTERRUPTIONS, Interruptions
from tasks.core.caching import Stage
from tasks.core.records import PREDICTIONS, PROMPTS, Prediction, Prompt
from tasks.core.section import Section
from tasks.core.tables import write_table
from tasks.fidelity.plan import NOT_COMPARED
from tasks.fidelity.rows import FIDELITY, FidelityRow
from tasks.teachers.serving import Serving
from tests.comparing.models import answered


class Named(Section):
    """Settings that tell artefacts apart."""

    name: str
    temperature: float = 0.0


def artifact(
    store: Path,
    kind: str,
    name: str,
    summary: Mapping[str, Any],
    prompts: Sequence[Prompt] = (),
    predictions: Sequence[Prediction] = (),
    latencies: Sequence[float] = (),
    counts: dict[str, int] | None = None,
    temperature: float = 0.0,
    fidelity: Sequence[FidelityRow] = (),
    **inputs: Artifact,
) -> Artifact:
    """Return an artefact with this summary, some losses, rows if there are any, and what it was made from."""
    with Stage(kind, version=1).draft(str(store), Named(name=name, temperature=temperature), **inputs) as draft:
        (draft.path / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 1.5}))
        (draft.path / "latencies.json").write_text(json.dumps(list(latencies)))
        if prompts:
            write_table(draft.path / PROMPTS.file, PROMPTS, prompts)
        if predictions:
            write_table(draft.path / PREDICTIONS.file, PREDICTIONS, predictions)
        if fidelity:
            write_table(draft.path / FIDELITY.file, FIDELITY, fidelity)
        draft.counts, draft.summary = counts or {}, dict(summary)
        return draft.publish()


def evaluation(
    store: Path,
    name: str,
    prompts: Sequence[Prompt],
    scores: Sequence[float],
    serving: Serving,
    temperature: float = 0.0,
    fidelity: Sequence[FidelityRow] = (),
    not_compared: str | None = None,
    **model: Artifact,
) -> Artifact:
    """Return the evaluation of a model with these scores, whose requests take the time that its serving figures say."""
    seconds = serving.latency_seconds.value
    return artifact(
        store,
        "evaluation",
        name,
        {"name": name, "tasks": {}, "serving": serving.model_dump(), NOT_COMPARED: not_compared},
        prompts=(),
        counts=None,
        predictions=[answered(asked, score) for asked, score in zip(prompts, scores, strict=True)],
        latencies=[seconds * (1 + number / 1e6) for number in range(50)],
        temperature=temperature,
        fidelity=fidelity,
        **model,
    )


def interrupted(killed: int, lost_seconds: float, **lost: int) -> dict[str, Any]:
    """Return the summary of a stage that took 100 seconds."""
    figures = Interruptions(
        attempts=killed + 1,
        killed=killed,
        preempted=0,
        failed=0,
        seconds=100,
        lost_seconds=lost_seconds,
        lost=lost,
        goodput=1 - lost_seconds / 100,
    )
    return {INTERRUPTIONS: figures.model_dump()}
