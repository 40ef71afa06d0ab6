"""The flows that make and train models; deployments of their own on a pool of student GPUs."""

from prefect import flow

from tasks.core.artifact import Artifact
from tasks.core.caching import run_cached
from tasks.model import ModelSettings, PruningSettings, prepare_endpoint, prepare_model, prune_model
from tasks.student import train
from tasks.teachers.endpoint.settings import EndpointSettings
from tasks.trainers.settings import TrainingSettings


@flow(name="model", persist_result=True, result_serializer="json")
def initialise_model(settings: ModelSettings, store: str) -> Artifact:
    """Make a model ready to be run and trained."""
    return run_cached(prepare_model, settings=settings, store=store)


@flow(name="endpoint", persist_result=True, result_serializer="json")
def register_endpoint(settings: EndpointSettings, store: str) -> Artifact:
    """Make an endpoint a teacher."""
    return run_cached(prepare_endpoint, settings=settings, store=store)


@flow(name="pruning", persist_result=True, result_serializer="json")
def cut_layers(settings: PruningSettings, store: str, model: Artifact, prompts: Artifact) -> Artifact:
    """Cut a model down to its most influential layers."""
    return run_cached(prune_model, settings=settings, store=store, model=model, prompts=prompts)


@flow(name="training", persist_result=True, result_serializer="json")
def train_student(settings: TrainingSettings, store: str, dataset: Artifact, start: Artifact) -> Artifact:
    """Train a model on a dataset."""
    return run_cached(train, settings=settings, store=store, dataset=dataset, start=start)
