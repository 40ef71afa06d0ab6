"""The flows around data: prompts in, training examples out."""

from collections.abc import Sequence
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.child_runs import run_deployed
from tasks.core.artifact import Artifact
from tasks.core.caching import run_cached
from tasks.core.storage import open_store
from tasks.curating.runtime import CurationRuntime
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
    return run_cached(
        curate,
        settings=settings,
        store=store,
        prompts=prompts,
        student=student,
        generations=generations,
        judgements=judgements,
        find_pairs=_find_pairs(settings.runtime, store),
    )


@flow(name="curation-partition")
def pair_rows(store: str, folder: PartitionFolder, partition: Annotated[int, Field(ge=0)]) -> None:
    """Find pairs of rows that may be near duplicates in one part of their keys, and leave them in the store."""
    pair_partition(open_store(store), folder, partition)


def _find_pairs(runtime: CurationRuntime, store: str) -> FindPairs:
    deployment = runtime.partition_deployment
    if deployment is None:
        return pairs_here
    folder = f"partitions/{flow_run.get_id()}"

    def work(partitions: Sequence[int]) -> None:
        parameters = {
            f"partition {number + 1} of {len(partitions)}": {"store": store, "folder": folder, "partition": number}
            for number in partitions
        }
        run_deployed(deployment, parameters, store, runtime.recovery)

    return PartitionedPairs(open_store(store), folder, runtime.partitions, work)
