"""The flows around data: prompts in, training examples out."""

from prefect import flow

from tasks.core.artifact import Artifact
from tasks.core.caching import run_cached
from tasks.dataset import DatasetSettings, curate
from tasks.prompts import PromptsSettings, prepare_prompts


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
    )
