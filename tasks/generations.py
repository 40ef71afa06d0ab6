"""The generations stage: a teacher answers the training and validation prompts; answers are kept row by row in the ledger."""

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.core.artifact import Artifact, artifact_key
from tasks.core.attempt_journal import AttemptJournal
from tasks.core.attempts import INTERRUPTIONS, Part
from tasks.core.caching import Stage
from tasks.core.environment import has_cuda, prepare_libraries
from tasks.core.errors import DataError, StageFailedError
from tasks.core.process import LogTail, run_worker
from tasks.core.progress import stage_logger
from tasks.core.records import ANSWERED_PROMPTS, with_logprobs
from tasks.core.storage import open_store
from tasks.generating.dialogues import Dialogue
from tasks.generating.partition import FAILURES, ROWS, VISIBLE_GPUS, PartitionJob, PartitionSlots
from tasks.generating.settings import GenerationsSettings
from tasks.generating.spans import Span, cut_spans
from tasks.generating.summary import publish_tables, summarise_rows, total_effort

STAGE = Stage("generations", version=2)
SET_ASIDE_FILE = "set_aside.jsonl"
EFFORT = "effort"
_GRACE_SECONDS = 30
_JOINING = Part(work="joining")  # all partitions have journals of their own


@STAGE.task
def generate(
    settings: GenerationsSettings,
    store: str,
    prompts: Artifact,
    teacher: Artifact,
    efforts: list[dict[str, Any]] | None = None,
) -> Artifact:
    """Let the teacher answer every training and validation prompt that the ledger has no answer to.

    Args:
        settings: How the teacher answers.
        store: URL of the artefact store.
        prompts: A ``prompts`` artefact.
        teacher: A ``model`` artefact, or the ``student`` artefact of an earlier run.
        efforts: What the partitions took, if they have answered already; then nothing may be missing.

    Returns:
        Handle of a ``generations`` artefact: generations.parquet, one row for each prompt, sample and turn, in the prompts'
        order; set_aside.jsonl, the prompts without an answer and why.

    Raises:
        DataError: If not one prompt got an answer.
        StageFailedError: If rows are missing: the engine died or failed rows; the answered rows are kept.
    """
    prepare_libraries()
    from tasks.generating.generation import Failure, Generation
    from tasks.generating.joining import join_answers

    with (
        STAGE.draft(store, settings, prompts=prompts, teacher=teacher) as draft,
        AttemptJournal(open_store(store), draft.key, ROWS, None if efforts is None else _JOINING) as journal,
    ):
        work = Generation(settings, store, prompts, teacher)
        journal.begin(work.figures, is_working=efforts is not None or not work.unanswered)
        if efforts is None:
            efforts = [work.answer().summary()]
        else:
            work.take_note(Failure(*failure) for effort in efforts for failure in effort[FAILURES])
            if work.unanswered:
                raise StageFailedError(f"{len(work.unanswered)} rows are missing after all partitions; run again to answer them")
        runtime = settings.runtime
        path = draft.path / ANSWERED_PROMPTS.file
        rows = join_answers(path, with_logprobs(ANSWERED_PROMPTS, settings.logprobs_width), work.dialogues, work.ledger)
        if not rows:
            reasons = Counter(dialogue.problem for dialogue in work.dialogues)
            raise DataError(
                f"no prompt got an answer ({dict(reasons)}); look at the prompts' lengths, the sampling and the teacher"
            )
        set_aside = [_set_aside(dialogue) for dialogue in work.dialogues if dialogue.problem is not None]
        (draft.path / SET_ASIDE_FILE).write_text("".join(f"{json.dumps(row)}\n" for row in set_aside), encoding="utf-8")
        gpus = 0 if work.is_endpoint or not has_cuda() else runtime.engine.gpus
        effort = total_effort(efforts, gpus, runtime.price_per_gpu_hour)
        draft.summary = {**summarise_rows(path), EFFORT: effort, INTERRUPTIONS: journal.interruptions().model_dump()}
        draft.counts = {
            "rows": rows,
            "generated": effort["rows"],
            "reused": max(rows - effort["rows"], 0),
            **Counter(row["reason"] for row in set_aside),
        }
        figures = {**draft.counts, **draft.summary}
        publish_tables(f"generations-{teacher.fingerprint[:8]}", path, figures, runtime.shown_samples, seed=0)
        stage_logger().info("generations: %s", figures)
        made = draft.publish()
        journal.settle()
        return made


@task(name="partitions", persist_result=False, cache_policy=NO_CACHE)
def plan_partitions(settings: GenerationsSettings, store: str, prompts: Artifact, teacher: Artifact) -> list[Span]:
    """Divide the prompts so that every partition has as much left to do; none if the ledger has all answers."""
    prepare_libraries()
    from tasks.generating.generation import Generation

    unanswered = Generation(settings, store, prompts, teacher).unanswered
    stage_logger().info("generations: %d rows to answer in %d partitions", len(unanswered), settings.runtime.partitions)
    return cut_spans(unanswered, settings.runtime.partitions) if unanswered else []


@task(name="partition", persist_result=False, cache_policy=NO_CACHE)
def answer_partition(
    settings: GenerationsSettings,
    store: str,
    prompts: Artifact,
    teacher: Artifact,
    span: Span,
    slots: PartitionSlots | None = None,
) -> dict[str, Any]:
    """Let a teacher of its own answer one partition, in a process of its own.

    Args:
        settings: How the teacher answers.
        store: URL of the artefact store.
        prompts: A ``prompts`` artefact.
        teacher: A ``model`` or ``student`` artefact.
        span: The partition.
        slots: What the partitions of this machine share; None: this one has the machine to itself.

    Returns:
        What it took: ``Effort.summary``, and under ``FAILURES`` the rows without an answer.

    Raises:
        StageFailedError: If it failed; finished rows are kept.
        PreemptedError: If it was told to stop.
    """
    slots = slots or PartitionSlots(1, settings.runtime.engine.gpus)
    with slots.gpus() as gpus, TemporaryDirectory() as folder:
        result, file = Path(folder) / "effort.json", Path(folder) / "job.json"
        wanted = artifact_key(STAGE.kind, STAGE.fingerprint(settings, {"prompts": prompts, "teacher": teacher}))
        job = PartitionJob(
            settings=settings, store=store, prompts=prompts, teacher=teacher, span=span, artifact=wanted, result=result
        )
        file.write_text(job.model_dump_json(), encoding="utf-8")
        environment = {VISIBLE_GPUS: gpus}
        log = Path(folder) / "worker.log"
        show_progress = LogTail(log, "generations:", stage_logger().info)

        def watch() -> None:
            show_progress()
            slots.raise_if_stopped()

        run_worker("tasks.generating.partition", file, log, _GRACE_SECONDS, watch, environment)
        return json.loads(result.read_text(encoding="utf-8"))


def _set_aside(dialogue: Dialogue) -> dict[str, Any]:
    return {"id": dialogue.prompt["id"], "sample_index": dialogue.sample, "turn": dialogue.turn, "reason": dialogue.problem}
