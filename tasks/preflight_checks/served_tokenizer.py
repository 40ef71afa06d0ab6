"""The tokenizer of a teacher behind vLLM's own server, which encodes and decodes on request."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tasks.core.errors import SettingsError, StageFailedError
from tasks.teachers.endpoint.client import EndpointClient
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings


class ServedTokens:
    """Asks an endpoint which ids it makes of texts; takes the place of a tokenizer that is not on this machine."""

    def __init__(self, client: EndpointClient, name: str) -> None:
        """Remember whom to ask.

        Args:
            client: Connections to the server's root, for neither of the two requests is under `v1`.
            name: The model's id.
        """
        self._client, self.name = client, name

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of texts.

        Raises:
            SettingsError: If the endpoint does not tell them.
            StageFailedError: If it does not answer.
        """
        return [self._ask("tokenize", {"prompt": text, "add_special_tokens": False}, "tokens") for text in texts]

    def decode(self, rows: Sequence[list[int]]) -> list[str]:
        """Return the texts of ids; raises like ``encode``."""
        return [self._ask("detokenize", {"tokens": row}, "prompt") for row in rows]

    def _ask(self, path: str, body: dict[str, Any], field: str) -> Any:
        reply = self._client.post(path, {"model": self.name, **body})
        if reply.status is None:
            raise StageFailedError(f"the endpoint of {self.name} does not answer /{path} ({reply.problem}); run again")
        if reply.status != 200 or not isinstance(reply.body, dict) or field not in reply.body:
            raise SettingsError(
                f"the endpoint of {self.name} answers /{path} with HTTP {reply.status}, wanted its tokens: they must be "
                "compared with the student's before anything is trained on them; use vLLM's own server without a gateway, or set "
                "student.training.method to sft"
            )
        return reply.body[field]


@contextmanager
def ask_tokens(settings: EndpointSettings) -> Iterator[ServedTokens]:
    """Yield the tokenizer of an endpoint's model.

    Args:
        settings: An endpoint whose server is vLLM's.

    Raises:
        SettingsError: If its URL is refused or the key is missing.
    """
    root = settings.model_copy(update={"url": settings.url.rstrip("/").removesuffix("/v1")})
    with EndpointClient(root, EndpointRuntime()) as client:
        yield ServedTokens(client, settings.model)
