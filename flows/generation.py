"""The flow that lets the teacher answer; a deployment of its own on a pool of teacher GPUs."""

from prefect import flow

from tasks.core.artifact import Artifact
from tasks.core.caching import run_cached
from tasks.generations import GenerationsSettings, generate


@flow(name="generation", persist_result=True, result_serializer="json")
def generate_answers(settings: GenerationsSettings, store: str, prompts: Artifact, teacher: Artifact) -> Artifact:
    """Let the teacher answer every prompt that has no answer yet."""
    return run_cached(generate, settings=settings, store=store, prompts=prompts, teacher=teacher)
