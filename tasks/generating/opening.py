"""A teacher from its artefact: a model or an earlier student in an engine of this machine, or an endpoint."""

from contextlib import AbstractContextManager

from tasks.core.artifact import Artifact
from tasks.core.errors import SettingsError
from tasks.core.storage import Store
from tasks.core.weights import locate_weights
from tasks.generating.settings import GenerationsSettings
from tasks.teachers.endpoint.settings import EndpointSettings
from tasks.teachers.exchange import Teacher
from tasks.teachers.identity import endpoint_of
from tasks.teachers.settings import Sampling


def open_teacher(
    teacher: Artifact, settings: GenerationsSettings, labels: tuple[str, ...], store: Store, namespace: str
) -> AbstractContextManager[Teacher]:
    """Load a teacher.

    Args:
        teacher: A ``model`` or ``student`` artefact.
        settings: How it answers.
        labels: The closed set of the prompts, for structured output that must be one of them.
        store: Where batches that an endpoint works on are written down.
        namespace: The ledger's.

    Raises:
        ModelError: If the model cannot be loaded.
        SettingsError: If the endpoint cannot do what the settings ask, its key is not there, or answers must be labels and there
            are none.
    """
    endpoint, sampling = endpoint_of(teacher), settings.sampling.with_labels(labels)
    if endpoint is None:
        from tasks.teachers.vllm import Engine

        return Engine(locate_weights(teacher), sampling, settings.runtime.engine, settings.logprobs)
    return _open_endpoint(endpoint, settings, sampling, store, namespace)


def _open_endpoint(
    endpoint: EndpointSettings, settings: GenerationsSettings, sampling: Sampling, store: Store, namespace: str
) -> AbstractContextManager[Teacher]:
    from tasks.teachers.endpoint.live import Endpoint

    kwargs = settings.prompting.chat_template_kwargs
    if kwargs and endpoint.server != "vllm":
        raise SettingsError("prompting.chat_template_kwargs reach only endpoints whose server is vllm; use endpoint.extra_body")
    if kwargs:
        extra = {"chat_template_kwargs": kwargs, **endpoint.extra_body}
        endpoint = endpoint.model_copy(update={"extra_body": extra})
    runtime = settings.runtime.endpoint
    if runtime.batch:
        from tasks.teachers.endpoint.batch import EndpointBatch

        return EndpointBatch(endpoint, sampling, settings.logprobs, runtime, store, namespace)
    return Endpoint(endpoint, sampling, settings.logprobs, runtime)
