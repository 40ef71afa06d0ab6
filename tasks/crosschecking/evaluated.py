"""What is checked: evaluations named on the command line, and the items that they left."""

import json
from dataclasses import dataclass
from pathlib import Path

from tasks.core.artifact import Artifact, Record, artifact_by_fingerprint, read_record
from tasks.core.errors import SettingsError
from tasks.core.records import PREDICTIONS, PROMPTS, Prediction, Prompt
from tasks.core.tables import read_table
from tasks.core.weights import ENDPOINT
from tasks.crosschecking.harness_tasks import READINGS
from tasks.crosschecking.job import Item
from tasks.teachers.settings import Sampling


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of a model whose weights are here."""

    record: Record
    items: list[Item]
    means: dict[str, float]
    """Our aggregate of each task type, by the metric that the harness has too."""

    @property
    def name(self) -> str:
        """The model's."""
        return str(self.record.summary["name"])

    @property
    def sampling(self) -> Sampling:
        """How it was asked."""
        return Sampling.model_validate(self.record.settings["sampling"])

    @property
    def is_float32(self) -> bool:
        """Whether it computed in float32."""
        return self.record.summary["serving"]["dtype"] == "float32"


def find_evaluations(place: str) -> list[Artifact]:
    """Return the evaluations of a report.json whose models have weights here, or the one evaluation of an artefact's folder.

    Args:
        place: Path of a report.json, or path or URL of an ``evaluation`` artefact.

    Raises:
        SettingsError: If it is neither, or the evaluation is of an endpoint's model.
    """
    if place.endswith(".json"):
        return [artifact for artifact in _of_report(Path(place)) if not _is_endpoint(artifact)]
    store, _, name = place.rstrip("/").rpartition("/")
    store, _, kind = store.rpartition("/")
    if kind != "evaluation":
        raise SettingsError(f"{place} is no report.json and no STORE/evaluation/FINGERPRINT; give one of these")
    artifact = artifact_by_fingerprint(store, kind, name)
    if _is_endpoint(artifact):
        raise SettingsError(f"{place} is the evaluation of an endpoint, whose weights are not here; give one of a model of ours")
    return [artifact]


def read_evaluation(evaluation: Artifact, limit: int) -> Evaluated:
    """Read an evaluation's items.

    Args:
        evaluation: An ``evaluation`` artefact of a model with weights.
        limit: The most items, the first by id.

    Raises:
        SettingsError: If answers were drawn, or ended or formed in a way that the harness has not.
    """
    record = read_record(evaluation)
    _require_repeatable(record)
    prompts: dict[str, Prompt] = {
        row["id"]: row for row in read_table(record.inputs["prompts"], PROMPTS) if row["split"] == "test"
    }
    rows: list[Prediction] = sorted(read_table(evaluation, PREDICTIONS), key=lambda row: row["id"])
    items = [_item(prompts[row["id"]], row) for row in rows[:limit]]
    means: dict[str, float] = {}
    for task in {item.task for item in items} & READINGS.keys():
        scores = [item.score or 0.0 for item in items if item.task == task]
        told = record.summary["tasks"][task]["metrics"][READINGS[task].metric]
        means[task] = told if len(items) == len(rows) else sum(scores) / len(scores)
    return Evaluated(record, items, means)


def _of_report(file: Path) -> list[Artifact]:
    try:
        lineage = json.loads(file.read_text(encoding="utf-8"))["lineage"]["artifacts"]
        return [found for each in lineage.values() if (found := Artifact.model_validate(each)).kind == "evaluation"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{file} is no report.json ({type(error).__name__}: {error}); give the file of a report artefact"
        ) from error


def _is_endpoint(evaluation: Artifact) -> bool:
    return ENDPOINT in read_record(read_record(evaluation).inputs["model"]).summary


def _require_repeatable(record: Record) -> None:
    sampling = record.settings["sampling"]
    for name, wanted in (("temperature", 0), ("structured_output", None), ("repetition", None)):
        if sampling[name] != wanted:
            raise SettingsError(
                f"the evaluation {record.fingerprint} has sampling.{name} = {sampling[name]}, wanted {wanted}: the harness has "
                "nothing like it, so its answers could not be the same; evaluate without it to check the rest"
            )


def _item(prompt: Prompt, row: Prediction) -> Item:
    reading = READINGS.get(row["task"])
    return Item(
        id=row["id"],
        task=row["task"],
        messages=[{"role": turn["role"], "content": turn["content"]} for turn in prompt["messages"]],
        text=prompt["text"],
        references=prompt["references"],
        completion=row["completion"],
        finish_reason=row["finish_reason"],
        score=None if reading is None else dict(row["scores"])[reading.metric],
    )
