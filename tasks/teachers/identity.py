"""Who a teacher is: its endpoint, its name, its tokenizer, and what makes two teachers give the same answers."""

from typing import Any

from tasks.core.artifact import Artifact, read_record
from tasks.core.weights import ENDPOINT, locate_weights
from tasks.teachers.endpoint.settings import EndpointSettings


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
