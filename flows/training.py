"""The flows that make and train models; deployments of their own on a pool of student GPUs."""

from prefect import flow

from tasks.core.artifact import Artifact
from tasks.core.caching import run_cached
from tasks.initialisation import draw_model, prune_model
from tasks.initialisers.settings import FreshSettings, PruningSettings
from tasks.model import ModelSettings, prepare_endpoint, prepare_model
from tasks.preflight import PreflightPlan, check_models
from tasks.student import train
from tasks.teachers.endpoint.settings import EndpointSettings
from tasks.training.settings import TrainingSettings


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
    """Cut a model down to its most influential layers and neurons, and to the tokens that are needed."""
    return run_cached(prune_model, settings=settings, store=store, model=model, prompts=prompts)


@flow(name="fresh-weights", persist_result=True, result_serializer="json")
def draw_weights(settings: FreshSettings, store: str, model: Artifact) -> Artifact:
    """Draw new weights for a model's architecture."""
    return run_cached(draw_model, settings=settings, store=store, model=model)


@flow(name="preflight", persist_result=True, result_serializer="json")
def look_ahead(
    settings: PreflightPlan,
    store: str,
    teacher: Artifact,
    student: Artifact,
    prompts: Artifact,
    judge: Artifact | None = None,
) -> Artifact:
    """Refuse a training that cannot work, or may not be done, before anything is paid for."""
    return run_cached(
        check_models, settings=settings, store=store, teacher=teacher, student=student, prompts=prompts, judge=judge
    )


@flow(name="training", persist_result=True, result_serializer="json")
def train_student(
    settings: TrainingSettings, store: str, dataset: Artifact, start: Artifact, teacher: Artifact | None = None
) -> Artifact:
    """Train a model on a dataset, some methods with the teacher in memory."""
    return run_cached(train, settings=settings, store=store, dataset=dataset, start=start, teacher=teacher)
