"""What a request to an endpoint says: the sampling settings in the words of the OpenAI API, and of vLLM where these lack one."""

from dataclasses import dataclass
from typing import Any

from tasks.core.errors import SettingsError
from tasks.teachers.endpoint.settings import EndpointSettings
from tasks.teachers.exchange import Request
from tasks.teachers.settings import LogprobSettings, Sampling, StructuredOutput

CHAT = "chat/completions"
TEXT = "completions"


@dataclass(frozen=True)
class Call:
    """One request as it is sent."""

    path: str
    """``CHAT`` or ``TEXT``, under the base URL."""
    body: dict[str, Any]

    def in_pieces(self) -> "Call":
        """Return the same call for an answer that comes in pieces, and with a count of its tokens at the end."""
        return Call(self.path, {**self.body, "stream": True, "stream_options": {"include_usage": True}})

    @property
    def is_in_pieces(self) -> bool:
        """Whether it asks for that."""
        return "stream" in self.body


class Composer:
    """Turns requests into calls of one endpoint."""

    def __init__(self, settings: EndpointSettings, sampling: Sampling, logprobs: LogprobSettings | None) -> None:
        """Check that the endpoint can be asked for these answers.

        Raises:
            SettingsError: If the sampling or the log-probabilities need what this kind of server does not offer.
        """
        _refuse_unsupported(settings, sampling, logprobs)
        self._settings, self._sampling, self._logprobs = settings, sampling, logprobs

    def compose(self, request: Request) -> Call:
        """Return the call for a request: of its text where it has one, otherwise of its messages."""
        vllm = self._settings.server == "vllm"
        body: dict[str, Any] = {"model": self._settings.model, **self._sampled(request.seed)}
        if self._sampling.stop:
            body["stop"] = list(self._sampling.stop)
        body |= _form(self._sampling.structured_output)
        if vllm:
            body |= self._vllm()
        if request.text is not None:
            path = TEXT
            body |= {"prompt": request.text, "max_tokens": self._sampling.new_tokens}
        else:
            path = CHAT
            messages = [{"role": message["role"], "content": message["content"]} for message in request.messages]
            body |= {"messages": messages, self._settings.max_tokens_field: self._sampling.new_tokens}
        if self._logprobs is not None:
            body |= _logprobs(path, self._logprobs.top_k)
        return Call(path, {**body, **self._settings.extra_body})

    def _sampled(self, seed: int) -> dict[str, Any]:
        sampling = self._sampling
        if sampling.temperature == 0:
            return {"temperature": 0}
        nucleus = {"top_p": sampling.top_p} if sampling.top_p < 1 else {}
        return {"temperature": sampling.temperature, "seed": seed, **nucleus}

    def _vllm(self) -> dict[str, Any]:
        # Stated even where they change nothing: the server would take what is left out from the model's generation_config.json,
        # and the answers would not be those that the same settings give in this process.
        sampling = self._sampling
        sampled = sampling.temperature > 0
        fields: dict[str, Any] = {
            "top_p": sampling.top_p if sampled else 1.0,
            "top_k": (sampling.top_k or 0) if sampled else 0,
            "min_p": sampling.min_p if sampled else 0.0,
            "repetition_penalty": 1.0,
            "return_token_ids": True,
        }
        if sampling.repetition:
            pattern, count = sampling.repetition.max_pattern_tokens, sampling.repetition.min_count
            fields["repetition_detection"] = {"max_pattern_size": pattern, "min_count": count}
        return fields


def _form(wanted: StructuredOutput | None) -> dict[str, Any]:
    if wanted is None:
        return {}
    if wanted.json_schema is not None:
        schema = {"name": "answer", "schema": wanted.json_schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {"structured_outputs": {"choice": list(wanted.choice)} if wanted.choice else {"regex": wanted.regex}}


def _logprobs(path: str, top_k: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"return_tokens_as_token_ids": True}
    if path == TEXT:
        return {**fields, "logprobs": top_k}
    # vLLM lists the sampled token first and cuts the list to this length: with one more, the k likeliest are always among them.
    return {**fields, "logprobs": True, "top_logprobs": top_k + 1 if top_k else 0}


def _refuse_unsupported(settings: EndpointSettings, sampling: Sampling, logprobs: LogprobSettings | None) -> None:
    form = sampling.structured_output
    if form is not None and form.labels:
        raise SettingsError(
            "structured_output.labels reached the endpoint unresolved; give the labels as structured_output.choice"
        )
    if logprobs is not None and logprobs.draws is not None:
        raise SettingsError("logprobs.draws need the engine's own distribution, which no endpoint gives; leave draws empty")
    if logprobs is not None and logprobs.processed:
        raise SettingsError(
            "logprobs.processed cannot be asked of an endpoint: vLLM's server decides it for all requests when it is started "
            "(--logprobs-mode); leave processed off"
        )
    if settings.server == "vllm":
        return
    only_vllm = {
        "sampling.top_k": sampling.top_k is not None,
        "sampling.min_p": sampling.min_p > 0,
        "sampling.repetition": sampling.repetition is not None,
        "sampling.structured_output.choice": form is not None and bool(form.choice),
        "sampling.structured_output.regex": form is not None and form.regex is not None,
        "logprobs": logprobs is not None,  # other servers name candidates by their text, which does not tell the token
    }
    if wanted := [name for name, is_wanted in only_vllm.items() if is_wanted]:
        raise SettingsError(
            f"the endpoint {settings.url} is of the kind 'openai', which does not offer {', '.join(wanted)}; "
            "leave these out, or set server to 'vllm' if it is vLLM's server"
        )
