"""The mixture stage: several teachers' answers, or several samples of one, become one set of generations."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from tasks.core.artifact import Artifact, open_file, read_record
from tasks.core.caching import Stage
from tasks.core.errors import SettingsError
from tasks.core.progress import stage_logger
from tasks.core.records import ANSWERED_PROMPTS, Table
from tasks.core.section import Section
from tasks.core.tables import TableWriter
from tasks.generating.scores import SCORES, Contender, ScoreName
from tasks.generating.settings import Selection
from tasks.generating.summary import summarise_rows

STAGE = Stage("generations", version=3)
MAIN_TEACHER = "teacher"
_BATCH_ROWS = 1024


class MixtureSettings(Section):
    """Which teacher answers which prompts, and which of several answers is kept."""

    mode: Literal["all", "route", "best_of"] = "all"
    """all: every answer of every teacher is a row of its own; route: each prompt goes to one teacher; best_of: the answer
    with the highest score of all teachers and samples is kept."""

    route_by: str = "task"
    """What decides the route: `task`, or the name of a tag that `prompts.tag_fields` keeps."""

    routes: dict[str, str] = Field(default={})
    """Name of the teacher by value of `route_by`; all other prompts go to `teacher`."""

    score: ScoreName = "reference"
    """What best_of goes by: the score against the references, agreement with the other answers, or the teacher's own
    confidence."""

    @model_validator(mode="after")
    def _has_routes(self) -> Self:
        if (self.mode == "route") != bool(self.routes):
            raise ValueError("mixture.routes says which teacher answers what when the mode is route, and only then")
        return self

    def selection(self, teacher: str) -> Selection | None:
        """Return which prompts a teacher answers; None: all of them."""
        if self.mode != "route":
            return None
        if teacher == MAIN_TEACHER:
            elsewhere = tuple(value for value, name in self.routes.items() if name != MAIN_TEACHER)
            return Selection(field=self.route_by, values=elsewhere, others=True)
        return Selection(field=self.route_by, values=tuple(value for value, name in self.routes.items() if name == teacher))


@STAGE.task
def mix_generations(settings: MixtureSettings, store: str, prompts: Artifact, generations: dict[str, Artifact]) -> Artifact:
    """Make one set of generations out of several.

    Args:
        settings: Which answers are kept.
        store: URL of the artefact store.
        prompts: The ``prompts`` artefact that all teachers answered.
        generations: ``generations`` artefacts by their teacher's name.

    Returns:
        Handle of a ``generations`` artefact; every row names its teacher.

    Raises:
        SettingsError: If the score needs log-probabilities and there are none.
    """
    named = {f"generations_{name}": artifact for name, artifact in generations.items()}
    with STAGE.draft(store, settings, prompts=prompts, **named) as draft:
        sources = [open_file(artifact, ANSWERED_PROMPTS.file) for artifact in generations.values()]
        table = Table(ANSWERED_PROMPTS.file, pq.read_schema(sources[0]))
        labels = read_record(prompts).summary["labels"]
        kept = _best(sources, settings.score, labels) if settings.mode == "best_of" else None
        path = draft.path / table.file
        with TableWriter(path, table) as writer:
            for number, source in enumerate(sources):
                for start, batch in _batches(source):
                    here = None if kept is None else pa.array(kept[number][start : start + len(batch)])
                    writer.write(batch if here is None else batch.filter(here))
        draft.summary = summarise_rows(path)
        draft.counts = {"rows": pq.read_metadata(path).num_rows}
        stage_logger().info("mixture: %s %s", draft.counts, draft.summary["teachers"])
        return draft.publish()


def _best(sources: list[Path], score: ScoreName, labels: Sequence[str]) -> list[np.ndarray]:
    """Return for every source which of its rows win; among the unfinished answers nobody does unless all are."""
    groups: dict[tuple[str, int], list[tuple[int, int, bool, Contender]]] = defaultdict(list)
    sizes: list[int] = []
    for number, source in enumerate(sources):
        columns = ["id", "task", "turn", "answer", "references", "finish_reason"]
        with_logprobs = "token_logprobs" in pq.read_schema(source).names
        if score == "confidence" and not with_logprobs:
            raise SettingsError("mixture.score is confidence, which needs generations.logprobs; ask for a top_k of 0 or more")
        sizes.append(0)
        for start, batch in _batches(source, [*columns, "token_logprobs"] if with_logprobs else columns):
            for offset, row in enumerate(batch.to_pylist()):
                logprobs = row.get("token_logprobs")
                mean = float(np.mean(np.asarray(logprobs, np.float32))) if logprobs else None
                contender = Contender(row["task"], row["answer"], row["references"], mean, labels)
                finished = row["finish_reason"] == "stop"
                groups[row["id"], row["turn"]].append((number, start + offset, finished, contender))
            sizes[-1] = start + len(batch)
    kept = [np.zeros(size, dtype=bool) for size in sizes]
    for rows in groups.values():
        candidates = [row for row in rows if row[2]] or rows
        scores = SCORES[score]([row[3] for row in candidates])
        number, place, *_ = candidates[max(range(len(candidates)), key=scores.__getitem__)]
        kept[number][place] = True
    return kept


def _batches(source: Path, columns: list[str] | None = None) -> Iterator[tuple[int, pa.Table]]:
    start = 0
    with pq.ParquetFile(source, page_checksum_verification=True) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            yield start, pa.Table.from_batches([batch])
            start += len(batch)
