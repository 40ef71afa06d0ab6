"""Where a teacher's tokenizer is, and whether the student means the same by its ids."""

from typing import Any

from tasks.core.artifact import Artifact
from tasks.core.errors import SettingsError
from tasks.preflight_checks.origins import fetch_small_files
from tasks.preflight_checks.served_tokenizer import ask_tokens
from tasks.preflight_checks.tokenizer_identity import LocalTokens, require_same_end, require_same_tokens
from tasks.teachers.identity import endpoint_of, teacher_name


def require_teacher_tokens(method: str, teacher: Artifact, student: Artifact, tokenizer: Any, ends: set[int]) -> None:
    """Refuse a student that means other tokens by the teacher's ids, or stops at others.

    Args:
        method: The method that trains on the teacher's token ids.
        teacher: A ``model`` or ``student`` artefact; of an endpoint, vLLM's own server is asked for its tokens.
        student: The ``model`` artefact that is trained.
        tokenizer: The student's Transformers tokenizer.
        ends: The token ids at which the student stops.

    Raises:
        SettingsError: If it does, or if the teacher's tokens cannot be known.
        StageFailedError: If the endpoint does not answer.
    """
    ours = LocalTokens(tokenizer, teacher_name(student))
    endpoint = endpoint_of(teacher)
    if endpoint is None:
        from transformers import AutoTokenizer

        theirs = LocalTokens(AutoTokenizer.from_pretrained(fetch_small_files(teacher)), teacher_name(teacher))
        require_same_tokens(theirs, ours, method)
        require_same_end(theirs, ours, ends, method)
        return
    if endpoint.server != "vllm":
        raise SettingsError(
            f"the method {method} trains on the teacher's token ids, and {endpoint.model} runs behind an endpoint that does not "
            "tell them; set student.training.method to sft, or, if it is vLLM's own server, teacher.endpoint.server to vllm"
        )
    with ask_tokens(endpoint) as served:
        require_same_tokens(served, ours, method)
