"""Which endpoint answers, and how it is asked; light, so that the flow's form can show it.

A key is never a setting: settings name the environment variable or the Prefect Secret block that holds it.
"""

import re
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from tasks.core.section import Section

_KEY = re.compile(r"(?i)(sk|pk|rk|gsk|hf|xai|nvapi|bearer|aiza|eyj)[-_ ]?[A-Za-z0-9_.-]{12,}")
_NAMES = {"key_environment": re.compile(r"[A-Z_][A-Z0-9_]{0,127}"), "key_secret": re.compile(r"[a-z0-9][a-z0-9-]{0,127}")}
_OURS = {"messages", "prompt", "model", "stream", "n"}
_WITHHELD = "[withheld]"


class EndpointSettings(Section):
    """An OpenAI-compatible endpoint and the model that it serves."""

    url: str = Field(max_length=500)
    """Base URL, such as https://api.openai.com/v1; http only on this machine, or on hosts that the operator lists."""

    model: str = Field(min_length=1, max_length=500)
    """Id of the model as the endpoint knows it."""

    server: Literal["openai", "vllm"] = "openai"
    """vllm: also send what only vLLM's server understands; it tells token ids and log-probabilities."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What chat requests call the limit on new tokens: OpenAI's newer models refuse `max_tokens`, older servers know only it."""

    extra_body: dict[str, Any] = Field(default_factory=dict)
    """More fields of every request's body, such as {"reasoning_effort": "low"}; they win over the fields sent otherwise."""

    key_environment: str | None = None
    """Name of the environment variable that holds the key, never the key."""

    key_secret: str | None = None
    """Name of the Prefect Secret block that holds the key, never the key."""

    def teacher_identity(self) -> dict[str, Any]:
        """Return whose answers these are, as JSON values: which key paid for them makes no difference."""
        identity = self.identity()
        return {name: identity[name] for name in ("url", "model", "server", "extra_body")}

    @model_validator(mode="before")
    @classmethod
    def _withhold_keys(cls, values: Any) -> Any:
        # A validation error shows the value that it is about, so a key is taken out before any field is validated.
        return {name: _withhold(name, value) for name, value in values.items()} if isinstance(values, dict) else values

    @field_validator("url", "model", "extra_body", "key_environment", "key_secret")
    @classmethod
    def _nothing_withheld(cls, value: Any) -> Any:
        if _WITHHELD in str(value):
            raise ValueError(
                "this holds a key, a password or what may be one, wanted only the name of the environment variable "
                "(key_environment, such as OPENAI_API_KEY) or of the Prefect Secret block (key_secret) that holds it"
            )
        return value

    @field_validator("extra_body")
    @classmethod
    def _leaves_ours_alone(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(_OURS & value.keys()):
            raise ValueError(f"extra_body sets {', '.join(taken)}, which every request sets itself; leave them out")
        return value

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.key_environment is not None and self.key_secret is not None:
            raise ValueError("give at most one of key_environment and key_secret")
        return self


class EndpointRuntime(Section):
    """How the endpoint is asked; no part of the result's identity."""

    max_concurrency: int = Field(default=64, ge=1, le=4096)
    """Most requests under way at once; how many there are adapts to what the endpoint takes."""

    timeout_seconds: float = Field(default=120, gt=0, le=3600)
    """How long one request may take."""

    connect_timeout_seconds: float = Field(default=10, gt=0, le=300)
    """How long connecting may take."""

    max_attempts: int = Field(default=6, ge=1, le=50)
    """Times that one row is asked before it is given up."""

    backoff_seconds: float = Field(default=1, gt=0, le=60)
    """Longest wait before the second attempt; it doubles with every further one."""

    max_backoff_seconds: float = Field(default=60, gt=0, le=3600)
    """Longest wait before any attempt, also where the endpoint's `Retry-After` asks for more."""

    stop_grace_seconds: float = Field(default=20, ge=0, le=600)
    """How long requests under way may still take when the run is stopped; their answers are kept."""

    max_requests: int | None = Field(default=None, ge=1)
    """Most requests sent, repeated ones included; empty: no limit."""

    max_tokens: int | None = Field(default=None, ge=1)
    """Most tokens spent, prompts and answers together; empty: no limit."""

    max_cost: float | None = Field(default=None, gt=0)
    """Most money spent, in the currency of the prices; empty: no limit."""

    price_per_million_input_tokens: float | None = Field(default=None, ge=0)
    """Price of a million prompt tokens; needed for `max_cost`."""

    price_per_million_output_tokens: float | None = Field(default=None, ge=0)
    """Price of a million answer tokens; needed for `max_cost`."""

    min_endpoint_success_ratio: float = Field(default=0.7, ge=0, le=1)
    """Stop when a smaller share of the rows is answered: the endpoint is down, or the settings do not suit it."""

    batch: bool = False
    """Use the endpoint's Batch API: often half the price, answers within 24 hours."""

    batch_poll_seconds: float = Field(default=60, gt=0, le=3600)
    """How often a batch's state is asked for."""

    @model_validator(mode="after")
    def _cost_has_prices(self) -> Self:
        prices = (self.price_per_million_input_tokens, self.price_per_million_output_tokens)
        if self.max_cost is not None and None in prices:
            raise ValueError("max_cost needs price_per_million_input_tokens and price_per_million_output_tokens")
        return self


def _withhold(name: str, value: Any) -> Any:
    """Return a value with whatever may be a secret replaced."""
    if isinstance(value, dict):
        return {key: _withhold(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_withhold(name, item) for item in value]
    if not isinstance(value, str):
        return value
    pattern = _NAMES.get(name)
    not_a_name = pattern is not None and not pattern.fullmatch(value)
    hidden = _KEY.match(value) or not_a_name or (name == "url" and _has_credentials(value))
    return _WITHHELD if hidden else value


def _has_credentials(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return "@" in parts.netloc or bool(parts.query) or bool(parts.fragment)
