"""A teacher from its artefact: a model or an earlier student in an engine of this machine, or an endpoint."""

from contextlib import AbstractContextManager
from typing import Any

from tasks.core.artifact import Artifact, read_record
from tasks.core.errors import SettingsError
from tasks.core.storage import Store
from tasks.core.weights import ENDPOINT, locate_weights
from tasks.generating.settings import GenerationsSettings
from tasks.teachers.endpoint.settings import EndpointSettings
from tasks.teachers.exchange import Teacher
from tasks.teachers.settings import StructuredOutput


def endpoint_of(teacher: Artifact) -> EndpointSettings | None:
    """Return the endpoint that a teacher's artefact names, or None if it is a model that runs here."""
    endpoint = read_record(teacher).summary.get(ENDPOINT)
    return None if endpoint is None else EndpointSettings.model_validate(endpoint)


def teacher_identity(teacher: Artifact) -> Any:
    """Return a JSON value that says whose answers a teacher's are: of an endpoint, its address and model; else the weights."""
    endpoint = endpoint_of(teacher)
    return teacher.fingerprint if endpoint is None else endpoint.teacher_identity()


def teacher_name(teacher: Artifact) -> str:
    """Return what a teacher is called in every row that it answers."""
    source = read_record(teacher).summary.get("source")
    return str(source) if source else f"{teacher.kind}:{teacher.fingerprint[:16]}"


def load_tokenizer(teacher: Artifact) -> Any:
    """Return a model's tokenizer, or None for an endpoint, which renders prompts itself."""
    if endpoint_of(teacher) is not None:
        return None
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(locate_weights(teacher))


def vocabulary_size(teacher: Artifact) -> int | None:
    """Return how many token ids a model's output has, or None for an endpoint."""
    if endpoint_of(teacher) is not None:
        return None
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(locate_weights(teacher)).get_text_config().vocab_size


def open_teacher(
    teacher: Artifact, settings: GenerationsSettings, choices: tuple[str, ...], store: Store, namespace: str
) -> AbstractContextManager[Teacher]:
    """Load a teacher.

    Args:
        teacher: A ``model`` or ``student`` artefact.
        settings: How it answers.
        choices: The labels, for structured output that must be one of them.
        store: Where batches that an endpoint works on are written down.
        namespace: The ledger's.

    Raises:
        ModelError: If the model cannot be loaded.
        SettingsError: If the endpoint cannot do what the settings ask, or its key is not there.
    """
    endpoint = endpoint_of(teacher)
    if endpoint is None:
        from tasks.teachers.vllm import Engine

        return Engine(locate_weights(teacher), settings.sampling, settings.runtime.engine, settings.logprobs, choices)
    return _open_endpoint(endpoint, settings, choices, store, namespace)


def _open_endpoint(
    endpoint: EndpointSettings, settings: GenerationsSettings, choices: tuple[str, ...], store: Store, namespace: str
) -> AbstractContextManager[Teacher]:
    from tasks.teachers.endpoint.live import Endpoint

    kwargs, sampling = settings.prompting.chat_template_kwargs, settings.sampling
    if kwargs and endpoint.server != "vllm":
        raise SettingsError("prompting.chat_template_kwargs reach only endpoints whose server is vllm; use endpoint.extra_body")
    if kwargs:
        extra = {"chat_template_kwargs": kwargs, **endpoint.extra_body}
        endpoint = endpoint.model_copy(update={"extra_body": extra})
    if sampling.structured_output is not None and sampling.structured_output.labels:
        sampling = sampling.model_copy(update={"structured_output": StructuredOutput(choice=choices)})
    runtime = settings.runtime.endpoint
    if runtime.batch:
        from tasks.teachers.endpoint.batch import EndpointBatch

        return EndpointBatch(endpoint, sampling, settings.logprobs, runtime, store, namespace)
    return Endpoint(endpoint, sampling, settings.logprobs, runtime)
