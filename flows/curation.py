"""The flows around data: prompts in, training examples out."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.child_runs import run_deployed
from tasks.core.artifact import Artifact
from tasks.core.caching import require_one_store, run_cached
from tasks.core.storage import open_store
from tasks.curating.row_findings import FindInRows, find_here
from tasks.curating.runtime import CurationRuntime
from tasks.curating.spans import SpanInputs, SpannedRows, filter_span
from tasks.dataset import DatasetSettings, curate
from tasks.filters.near_duplicates.candidates import FindPairs, pairs_here
from tasks.filters.near_duplicates.partitions import PartitionedPairs, pair_partition
from tasks.prompts import PromptsSettings, prepare_prompts

PartitionFolder = Annotated[str, Field(pattern=r"^partitions/[0-9a-f-]{36}$")]
"""Key of the folder of a curation's partitions; a parameter that names any other could overwrite an artefact."""


@flow(name="prompts", persist_result=True, result_serializer="json")
def load_prompts(settings: PromptsSettings, store: str) -> Artifact:
    """Read, check and split the user's prompts."""
    return run_cached(prepare_prompts, settings=settings, store=store)


@flow(name="curation", persist_result=True, result_serializer="json")
def curate_dataset(
    settings: DatasetSettings,
    store: str,
    prompts: Artifact,
    student: Artifact,
    generations: Artifact | None = None,
    judgements: Artifact | None = None,
) -> Artifact:
    """Filter answers into training examples; without generations the prompts' references are the answers."""
    inputs: dict[str, Any] = {"prompts": prompts, "student": student, "generations": generations, "judgements": judgements}
    return run_cached(
        curate,
        settings=settings,
        store=store,
        **inputs,
        find_in_rows=_find_in_rows(settings, store, inputs),
        find_pairs=_find_pairs(settings.runtime, store),
    )


@flow(name="curation-partition")
def curate_partition(
    store: str, folder: PartitionFolder, partition: Annotated[int, Field(ge=0)], rows: SpanInputs | None = None
) -> None:
    """Do a part of a curation and leave what is found in the store: with ``rows``, show a span of the rows to the row filters;
    without, find pairs of rows that may be near duplicates in one part of their keys."""
    if rows is None:
        pair_partition(open_store(store), folder, partition)
    else:
        require_one_store({"store": store, **dict(rows)})
        filter_span(open_store(store), folder, partition, rows)


def _find_in_rows(settings: DatasetSettings, store: str, inputs: dict[str, Any]) -> FindInRows:
    runtime = settings.runtime
    if runtime.partition_deployment is None:
        return find_here
    rows = SpanInputs(filters=settings.filters, spans=runtime.partitions, **inputs)
    work = _partition_runs(runtime, runtime.partition_deployment, store, "rows", {"rows": rows})
    return SpannedRows(open_store(store), _folder(), runtime.partitions, work)


def _find_pairs(runtime: CurationRuntime, store: str) -> FindPairs:
    if runtime.partition_deployment is None:
        return pairs_here
    work = _partition_runs(runtime, runtime.partition_deployment, store, "pairs", {})
    return PartitionedPairs(open_store(store), _folder(), runtime.partitions, work)


def _folder() -> str:
    return f"partitions/{flow_run.get_id()}"


def _partition_runs(
    runtime: CurationRuntime, deployment: str, store: str, what: str, parameters: dict[str, Any]
) -> Callable[[Sequence[int]], None]:
    """Return a function that has some partitions worked on in flow runs of a deployment."""
    folder = _folder()

    def work(partitions: Sequence[int]) -> None:
        runs = {
            f"{what}, partition {number + 1} of {runtime.partitions}": {
                "store": store,
                "folder": folder,
                "partition": number,
                **parameters,
            }
            for number in partitions
        }
        run_deployed(deployment, runs, store, runtime.recovery)

    return work
