"""The flows that make and train models; deployments of their own on a pool of student GPUs."""

from prefect import flow

from tasks.core.artifact import Artifact
from tasks.core.caching import run_cached
from tasks.model import ModelSettings, prepare_model
from tasks.student import train
from tasks.trainers.settings import TrainingSettings


@flow(name="model", persist_result=True, result_serializer="json")
def initialise_model(settings: ModelSettings, store: str, calibration: Artifact | None = None) -> Artifact:
    """Make a teacher or an untrained student ready."""
    return run_cached(prepare_model, settings=settings, store=store, calibration=calibration)


@flow(name="training", persist_result=True, result_serializer="json")
def train_student(settings: TrainingSettings, store: str, dataset: Artifact, start: Artifact) -> Artifact:
    """Train a model on a dataset."""
    return run_cached(train, settings=settings, store=store, dataset=dataset, start=start)
