"""vLLM's real server as a teacher: token ids, log-probabilities and structured answers arrive as the engine made them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tasks.core.errors import SettingsError
from tasks.preflight_checks.served_tokenizer import ask_tokens
from tasks.preflight_checks.tokenizer_identity import LocalTokens, require_same_tokens
from tasks.teachers.endpoint.live import Endpoint
from tasks.teachers.endpoint.settings import EndpointRuntime, EndpointSettings
from tasks.teachers.exchange import Completion, ListFeed, Request
from tasks.teachers.settings import LogprobSettings, RepetitionSettings, Sampling, StructuredOutput
from tests.endpoints import run_vllm_server
from tests.models import tiny_model, tiny_tokenizer

pytest.importorskip("vllm", reason="needs one of the extras cpu and cuda")
pytestmark = pytest.mark.slow

GREEDY = Sampling(max_new_tokens=12)
WARM = Sampling(max_new_tokens=12, temperature=1.0, top_p=0.95, top_k=50, min_p=0.01)
CHATS = [Request(f"chat-{n}", [], seed=n, messages=({"role": "user", "content": f"premise: {n}"},)) for n in range(12)]
TEXTS = [Request(f"text-{n}", [], seed=n, text=f"the still is {n}") for n in range(12)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_vllm_server(tiny_model(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("server")) as url:
        yield url


def ask(url: str, requests: list[Request], sampling: Sampling, logprobs: LogprobSettings | None = None) -> dict[str, Completion]:
    settings = EndpointSettings(url=url, model="tiny", server="vllm")
    with Endpoint(settings, sampling, logprobs, EndpointRuntime()) as endpoint:
        return {completion.key: completion for completion in endpoint.stream(ListFeed(requests))}


def test_chats_and_texts_are_answered_with_their_token_ids(url: str) -> None:
    answers = ask(url, [*CHATS, *TEXTS], GREEDY)
    assert answers.keys() == {request.key for request in (*CHATS, *TEXTS)}
    tokenizer = tiny_tokenizer()
    for found in answers.values():
        assert found.finish_reason in {"stop", "length"}
        assert found.prompt_tokens > 0
        assert len(found.token_ids) == found.completion_tokens <= 12
        whole = str(tokenizer.decode(found.token_ids, skip_special_tokens=True))
        assert (found.text or "").rstrip("\ufffd") == whole.rstrip("\ufffd"), "vLLM leaves out half a character at the end"


@pytest.mark.parametrize("requests", [CHATS, TEXTS], ids=["chat", "text"])
def test_every_token_has_its_k_likeliest_candidates(url: str, requests: list[Request]) -> None:
    answers = ask(url, requests, WARM, LogprobSettings(top_k=4))
    plain = ask(url, requests, WARM)
    outside = 0
    for found in answers.values():
        logprobs = found.logprobs
        assert logprobs is not None
        assert found.token_ids == plain[found.key].token_ids, "asking for log-probabilities changes no answer"
        n = len(found.token_ids)
        assert (logprobs.sampled.shape, logprobs.top_ids.shape, logprobs.top.shape) == ((n,), (n, 4), (n, 4))
        assert (logprobs.sampled.dtype, logprobs.top_ids.dtype, logprobs.top.dtype) == (np.float16, np.uint32, np.float16)
        assert (np.diff(logprobs.top.astype(np.float32), axis=1) <= 0).all(), "likeliest first"
        for token, own, ids, top in zip(found.token_ids, logprobs.sampled, logprobs.top_ids, logprobs.top, strict=True):
            assert len(set(ids)) == 4
            if token in ids:
                assert top[list(ids).index(token)] == own
            else:
                outside += 1
                assert own <= top[-1]
    assert outside, "tokens outside of the likeliest four were sampled, and pushed none of them out"


def test_the_sampled_tokens_own_log_probability_can_be_had_alone(url: str) -> None:
    for found in ask(url, [*CHATS[:2], *TEXTS[:2]], GREEDY, LogprobSettings(top_k=0)).values():
        assert found.logprobs is not None
        assert found.logprobs.sampled.shape == (len(found.token_ids),)
        assert found.logprobs.top_ids.shape == (len(found.token_ids), 0)


def test_seeds_decide_what_is_sampled(url: str) -> None:
    answers = ask(url, CHATS, WARM)
    assert ask(url, CHATS[::-1], WARM) == answers
    reseeded = [replace(request, seed=request.seed + 1_000) for request in CHATS]
    assert ask(url, reseeded, WARM) != answers


def test_answers_have_the_form_that_is_asked_for(url: str) -> None:
    choice = Sampling(max_new_tokens=12, structured_output=StructuredOutput(choice=("hot", "cold")))
    assert {found.text for found in ask(url, CHATS, choice).values()} <= {"hot", "cold"}
    regex = Sampling(max_new_tokens=12, structured_output=StructuredOutput(regex="[ab]{3}"))
    assert all(set(found.text or "-") <= {"a", "b"} for found in ask(url, [*CHATS, *TEXTS], regex).values())
    schema = {"type": "object", "properties": {"hot": {"type": "boolean"}}, "required": ["hot"], "additionalProperties": False}
    json_value = Sampling(max_new_tokens=40, structured_output=StructuredOutput(json_schema=schema))
    finished = [found for found in ask(url, CHATS[:4], json_value).values() if found.finish_reason == "stop"]
    assert all((found.text or "").strip().startswith("{") for found in finished)


def test_answers_end_at_stop_texts_and_at_repetition(url: str) -> None:
    free = ask(url, CHATS, GREEDY)
    key, text = next((key, found.text) for key, found in free.items() if len(found.text or "") > 4)
    assert text is not None
    stopped = ask(url, CHATS, GREEDY.model_copy(update={"stop": (text[2:4],)}))[key]
    assert stopped.finish_reason == "stop"
    assert stopped.text == text[: text.index(text[2:4])]
    repeating = Sampling(max_new_tokens=60, stop=(), structured_output=StructuredOutput(regex="(ab){30}"))
    repeating = repeating.model_copy(update={"repetition": RepetitionSettings(max_pattern_tokens=4, min_count=4)})
    assert {found.finish_reason for found in ask(url, CHATS[:2], repeating).values()} == {"repetition"}


def test_a_prompt_that_is_too_long_is_refused_and_the_others_are_answered(url: str) -> None:
    too_long = Request("long", [], seed=0, text="cold " * 200)
    answers = ask(url, [too_long, *TEXTS], GREEDY)
    assert answers["long"].finish_reason == "refused"
    assert "HTTP 400" in (answers["long"].problem or "")
    assert "cold" not in (answers["long"].problem or "")
    assert {answers[request.key].finish_reason for request in TEXTS} <= {"stop", "length"}


def test_its_tokenizer_is_compared_by_what_it_makes_of_the_probe_texts(url: str) -> None:
    other: Any = tiny_tokenizer()
    other.add_tokens(["still"])
    with ask_tokens(EndpointSettings(url=url, model="tiny", server="vllm")) as served:
        require_same_tokens(served, LocalTokens(tiny_tokenizer(), "student"), "topk_kd")
        with pytest.raises(SettingsError, match="for the teacher tiny and"):
            require_same_tokens(served, LocalTokens(other, "student"), "topk_kd")
