"""What an endpoint may be asked, where it may be, and that no key is ever a setting."""

import json
import socket
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from tasks.core.errors import SettingsError, StageFailedError
from tasks.teachers.endpoint.body import Composer
from tasks.teachers.endpoint.key import read_key
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.endpoint.url import HOSTS, check_url
from tasks.teachers.exchange import Request
from tasks.teachers.settings import LogprobSettings, RepetitionSettings, Sampling, StructuredOutput
from tests.teachers.asking import KEY

URL = "https://models.example/v1"
CHAT = Request("key", [], seed=7, messages=({"role": "user", "content": "still?"},))
TEXT = Request("key", [], seed=7, text="the still")
CHOICE = StructuredOutput(choice=("hot", "cold"))


def settings(**values: Any) -> EndpointSettings:
    return EndpointSettings.model_validate({"url": URL, "model": "teacher-1", **values})


def body(
    request: Request = CHAT, sampling: Sampling | None = None, logprobs: LogprobSettings | None = None, **values: Any
) -> Any:
    """Return the body of a request as the endpoint reads it."""
    call = Composer(settings(**values), sampling or Sampling(max_new_tokens=8), logprobs).compose(request)
    return json.loads(json.dumps(call.body))


def test_an_openai_request_has_nothing_but_what_every_server_knows() -> None:
    assert body() == {
        "model": "teacher-1",
        "messages": [{"role": "user", "content": "still?"}],
        "temperature": 0,
        "max_tokens": 8,
    }
    warm = Sampling(temperature=0.7, top_p=0.9, stop=("\n",), max_new_tokens=8)
    assert body(TEXT, warm) == {
        "model": "teacher-1",
        "prompt": "the still",
        "temperature": 0.7,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["\n"],
        "max_tokens": 8,
    }


def test_a_vllm_request_leaves_nothing_to_the_models_own_defaults() -> None:
    warm = Sampling(temperature=0.7, top_k=20, min_p=0.1, repetition=RepetitionSettings(max_pattern_tokens=4, min_count=3))
    sent = body(sampling=warm, server="vllm")
    assert (sent["top_p"], sent["top_k"], sent["min_p"], sent["repetition_penalty"]) == (1.0, 20, 0.1, 1.0)
    assert sent["repetition_detection"] == {"max_pattern_size": 4, "min_count": 3}
    assert sent["return_token_ids"] is True
    greedy = body(sampling=Sampling(top_k=20, top_p=0.5), server="vllm")
    assert (greedy["top_p"], greedy["top_k"], "seed" in greedy) == (1.0, 0, False)


def test_the_limit_can_be_named_as_openais_newer_models_want_it() -> None:
    sent = body(max_tokens_field="max_completion_tokens")
    assert sent["max_completion_tokens"] == 8 and "max_tokens" not in sent
    assert body(TEXT, max_tokens_field="max_completion_tokens")["max_tokens"] == 8


def test_extra_fields_win() -> None:
    assert (
        body(extra_body={"temperature": None, "reasoning_effort": "low"}).items()
        >= {
            "temperature": None,
            "reasoning_effort": "low",
        }.items()
    )


def test_the_form_of_answers_is_asked_for() -> None:
    schema = {"type": "object"}
    sent = body(sampling=Sampling(structured_output=StructuredOutput(json_schema=schema)))
    assert sent["response_format"]["json_schema"]["schema"] == schema
    assert body(sampling=Sampling(structured_output=CHOICE), server="vllm")["structured_outputs"] == {"choice": ["hot", "cold"]}


@pytest.mark.parametrize(
    ("sampling", "logprobs", "server", "named"),
    [
        ({"top_k": 5}, None, "openai", "sampling.top_k"),
        ({"min_p": 0.1}, None, "openai", "sampling.min_p"),
        ({"repetition": RepetitionSettings()}, None, "openai", "sampling.repetition"),
        ({"structured_output": CHOICE}, None, "openai", "structured_output.choice"),
        ({"structured_output": StructuredOutput(regex="a")}, None, "openai", "structured_output.regex"),
        ({}, LogprobSettings(), "openai", "logprobs"),
        ({}, LogprobSettings(draws=4), "vllm", "logprobs.draws"),
        ({}, LogprobSettings(processed=True), "vllm", "logprobs.processed"),
        ({"structured_output": StructuredOutput(labels=True)}, None, "vllm", "structured_output.labels"),
    ],
)
def test_what_the_server_cannot_do_is_refused_before_anything_is_sent(
    sampling: dict[str, Any], logprobs: LogprobSettings | None, server: str, named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        Composer(settings(server=server), Sampling(**sampling), logprobs)


@pytest.mark.parametrize(
    "values",
    [
        {"key_environment": KEY},
        {"key_environment": "a3f5c8d9e0b1"},
        {"key_secret": KEY},
        {"extra_body": {"headers": {"api_key": KEY}}},
        {"url": f"https://user:{KEY}@models.example/v1"},
        {"url": f"https://models.example/v1?key={KEY}"},
        {"model": f"Bearer {KEY}"},
    ],
)
def test_a_key_in_the_settings_is_refused_and_not_shown(values: dict[str, Any]) -> None:
    class Recipe(BaseModel):
        teacher: EndpointSettings

    secret = next(iter(values.values()))
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate({"teacher": {"url": URL, "model": "teacher-1", **values}})
    assert KEY not in str(caught.value) and str(secret) not in str(caught.value)
    assert "key_environment" in str(caught.value)


def test_settings_that_make_no_sense_are_refused() -> None:
    for values in ({"key_environment": "A", "key_secret": "b"}, {"extra_body": {"messages": []}}, {"server": "other"}):
        with pytest.raises(ValidationError):
            settings(**values)
    with pytest.raises(ValidationError, match="max_cost needs"):
        EndpointRuntime(max_cost=1.0, price_per_million_input_tokens=1.0)


def test_only_who_answers_is_the_teachers_identity() -> None:
    one = settings(key_environment="ONE_KEY", max_tokens_field="max_completion_tokens").teacher_identity()
    assert one == settings(key_secret="another-key").teacher_identity()
    assert one == {"url": URL, "model": "teacher-1", "server": "openai", "extra_body": {}}
    assert one != settings(extra_body={"reasoning_effort": "low"}).teacher_identity()


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_key(settings()) is None
    monkeypatch.setenv("TEACHER_KEY", f" {KEY}\n")
    assert read_key(settings(key_environment="TEACHER_KEY")) == KEY
    for unusable in ("", f"{KEY}\nX-Other: 1", f"{KEY}é"):
        monkeypatch.setenv("TEACHER_KEY", unusable)
        with pytest.raises(SettingsError, match="TEACHER_KEY") as caught:
            read_key(settings(key_environment="TEACHER_KEY"))
        assert KEY not in str(caught.value)


@pytest.mark.slow
def test_keys_come_from_prefect_secrets(prefect_server: None) -> None:
    from prefect.blocks.system import Secret

    saved: Any = Secret(value=SecretStr(KEY))
    saved.save("teacher-key")
    assert read_key(settings(key_secret="teacher-key")) == KEY
    with pytest.raises(SettingsError, match="no-such-key"):
        read_key(settings(key_secret="no-such-key"))


ADDRESSES = {
    "models.example": ["93.184.216.34"],
    "both.example": ["93.184.216.34", "10.1.2.3"],
    "inside.example": ["10.1.2.3"],
    "metadata.example": ["169.254.169.254"],
    "azure.example": ["168.63.129.16"],
    "mapped.example": ["::ffff:169.254.169.254"],
    "nat64.example": ["64:ff9b::a9fe:a9fe"],
    "unique-local.example": ["fd00:ec2::254"],
    "carrier.example": ["100.100.100.200"],
    "rebound.example": ["127.0.0.1"],
    "scoped.example": ["fe80::1%eth0"],
}


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name service that knows only the addresses above, and literal ones."""

    def look_up(host: str, *_: object, **__: object) -> list[Any]:
        if host == "slow.example":
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        if host not in ADDRESSES and not host.replace(".", "").isdigit() and ":" not in host:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(0, 0, 0, "", (address, 0)) for address in ADDRESSES.get(host, [host])]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.parametrize(
    ("url", "hosts", "verdict"),
    [
        ("https://models.example/v1", "", False),
        ("https://models.example:8443/v1", "", False),
        ("http://127.0.0.1:8000/v1", "", True),
        ("http://localhost:8000/v1", "", True),
        ("http://[::1]:8000/v1", "", True),
        ("http://localhost:8000/v1", "other.example", True),
        ("https://inside.example/v1", "inside.example", False),
        ("https://INSIDE.example/v1", " other.example, Inside.Example ", False),
        ("http://models.example/v1", "", "not encrypted"),
        ("http://inside.example/v1", "inside.example", False),
        ("https://models.example/v1", "inside.example", "not one of the operator's"),
        ("https://user@models.example/v1", "", "user name"),
        ("https://models.example/v1?key=1", "", "a query"),
        ("https://models.example:port/v1", "", "cannot be read"),
        ("ftp://models.example/v1", "", "not of the form"),
        ("file:///etc/passwd", "", "not of the form"),
        ("models.example/v1", "", "not of the form"),
        ("https://nowhere.example/v1", "", "does not exist"),
        ("https://10.1.2.3/v1", "", "not a public address"),
        ("https://169.254.169.254/latest", "", "not a public address"),
        *[(f"https://{host}/v1", "", "not a public address") for host in ADDRESSES if host != "models.example"],
    ],
)
def test_where_an_endpoint_may_be(
    url: str, hosts: str, verdict: bool | str, names: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOSTS, hosts)
    if isinstance(verdict, bool):
        assert check_url(url) is verdict
        return
    with pytest.raises(SettingsError, match=verdict):
        check_url(url)


def test_a_name_service_that_does_not_answer_is_no_error_of_the_settings(names: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOSTS, "")
    with pytest.raises(StageFailedError, match=r"slow\.example"):
        check_url("https://slow.example/v1")
