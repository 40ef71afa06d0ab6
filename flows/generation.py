"""The flows that let the teacher answer; deployments of their own on a pool of teacher GPUs."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field, TypeAdapter

from flows.child_runs import run_deployed
from tasks.core.artifact import Artifact
from tasks.core.caching import find_finished, require_one_store, run_cached
from tasks.core.storage import Store, open_store
from tasks.generating.partition import PartitionSlots
from tasks.generating.settings import GenerationsSettings
from tasks.generating.spans import Span
from tasks.generations import answer_partition, generate, plan_partitions
from tasks.mixture import MixtureSettings, mix_generations

_SPANS = TypeAdapter(list[Span])
PartitionReport = Annotated[str, Field(pattern=r"^partitions/[0-9a-f-]{36}/[0-9]{4,}\.json$")]
"""Key of what a partition took; a parameter that names any other could overwrite an artefact."""


@flow(name="generation", persist_result=True, result_serializer="json")
def generate_answers(settings: GenerationsSettings, store: str, prompts: Artifact, teacher: Artifact) -> Artifact:
    """Let the teacher answer every prompt that has no answer yet, in partitions if the settings say so."""
    arguments = {"settings": settings, "store": store, "prompts": prompts, "teacher": teacher}
    efforts = None
    if settings.runtime.partitions > 1 and find_finished(generate, **arguments) is None:
        if settings.runtime.partition_deployment is None:
            efforts = _answer_here(plan_partitions(**arguments), arguments)
        else:
            efforts = _answer_elsewhere(arguments, settings.runtime.partition_deployment)
    return run_cached(generate, **arguments, efforts=efforts)


@flow(name="generation-partition")
def generate_partition(
    settings: GenerationsSettings, store: str, prompts: Artifact, teacher: Artifact, span: Span, report: PartitionReport
) -> None:
    """Let a teacher on this worker answer one partition, and leave what it took in the store under the key ``report``."""
    require_one_store({"store": store, "prompts": prompts, "teacher": teacher})
    effort = answer_partition(settings=settings, store=store, prompts=prompts, teacher=teacher, span=span)
    open_store(store).write(report, json.dumps(effort).encode())


@flow(name="mixture", persist_result=True, result_serializer="json")
def mix_answers(settings: MixtureSettings, store: str, prompts: Artifact, generations: dict[str, Artifact]) -> Artifact:
    """Make one set of generations out of several."""
    return run_cached(mix_generations, settings=settings, store=store, prompts=prompts, generations=generations)


def _answer_here(spans: Sequence[Span], arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer the partitions on this machine, some at a time, each with GPUs of its own."""
    runtime = arguments["settings"].runtime
    slots = PartitionSlots(runtime.partitions_at_once, runtime.engine.gpus)
    with ThreadPoolTaskRunner(max_workers=runtime.partitions_at_once) as runner:
        try:
            futures = [runner.submit(answer_partition, {**arguments, "span": span, "slots": slots}) for span in spans]
            return [future.result() for future in futures]
        except BaseException:  # a stop signal reaches this thread only
            slots.stop()
            raise


def _answer_elsewhere(arguments: dict[str, Any], deployment: str) -> list[dict[str, Any]]:
    """Answer the partitions as flow runs of a deployment, on whatever workers its pool has."""
    store, folder = open_store(arguments["store"]), f"partitions/{flow_run.get_id()}"
    spans = _planned(store, f"{folder}/plan.json", arguments)
    reports = [f"{folder}/{number:04d}.json" for number in range(len(spans))]
    parameters = {
        f"partition {number} of {len(spans)}": {**arguments, "span": span, "report": report}
        for number, (span, report) in enumerate(zip(spans, reports, strict=True), 1)
    }
    runtime = arguments["settings"].runtime
    run_deployed(deployment, parameters, arguments["store"], runtime.recovery, runtime.engine.gpus)
    return [json.loads(store.read(report)) for report in reports]


def _planned(store: Store, key: str, arguments: dict[str, Any]) -> list[Span]:
    """Return this flow run's plan; a retry keeps to it, and so finds the partitions that are still running."""
    try:
        return _SPANS.validate_json(store.read(key))
    except FileNotFoundError:
        spans = plan_partitions(**arguments)
        store.write(key, _SPANS.dump_json(spans))
        return spans
