"""A real vLLM engine: every request is answered once, alike in any company, and the engine is never left to drain."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.teachers.exchange import Completion, ListFeed, Request
from tasks.teachers.settings import EngineRuntime, Sampling
from tests.models import tiny_model
from tests.teachers.engine_rows import by_key, requests_of

pytest.importorskip("vllm", reason="needs one of the extras cpu and cuda")

from tasks.teachers.vllm import Engine

pytestmark = pytest.mark.slow

BATCH = 8
GREEDY = Sampling(max_new_tokens=16, max_prompt_tokens=64, dtype="float32")


class GrowingFeed:
    """Conversations whose next turn is not known before the turn that it follows is answered."""

    def __init__(self, first: list[Request], turns: int) -> None:
        self._ready, self._turns = deque(replace(request, key=f"{request.key}/0") for request in first), turns
        self.asked: dict[str, Request] = {}
        self.empty_handed = 0

    def take(self) -> Request | None:
        if not self._ready:
            self.empty_handed += 1
            return None
        request = self._ready.popleft()
        self.asked[request.key] = request
        return request

    def answered(self, completion: Completion) -> None:
        name, turn = completion.key.split("/")
        if int(turn) + 1 < self._turns:
            prompt = self.asked[completion.key].prompt_token_ids + completion.token_ids
            self._ready.append(replace(self.asked[completion.key], key=f"{name}/{int(turn) + 1}", prompt_token_ids=prompt))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def requests(model: Path) -> list[Request]:
    """Three batches of prompts."""
    return requests_of(model, 3 * BATCH)


@pytest.fixture(scope="module")
def engine(model: Path) -> Iterator[Engine]:
    with Engine(model, GREEDY, EngineRuntime(max_num_seqs=BATCH), disable_log_stats=False) as engine:
        yield engine


def answers(engine: Engine, requests: Iterable[Request], in_flight: int | None = None) -> dict[str, Completion]:
    return by_key(engine.stream(ListFeed(requests), in_flight))


def steps_of(engine: Engine, requests: list[Request], in_flight: int | None = None) -> int:
    before = engine.steps
    assert len(answers(engine, requests, in_flight)) == len(requests)
    return engine.steps - before


def test_an_engine_that_keeps_statistics_tells_how_long_tokens_took(engine: Engine, requests: list[Request]) -> None:
    started = time.monotonic()
    found = answers(engine, requests, in_flight=2).values()
    seconds = time.monotonic() - started

    assert all(answer.first_token_seconds is not None and 0 < answer.first_token_seconds < seconds for answer in found)
    assert all((answer.per_token_seconds is None) == (answer.completion_tokens == 1) for answer in found)
    waits = [
        (answer.first_token_seconds or 0) + (answer.completion_tokens - 1) * (answer.per_token_seconds or 0) for answer in found
    ]
    assert 0.3 * 2 * seconds < sum(waits) < 1.1 * 2 * seconds, "two were under way nearly all the time"


def test_the_engine_tells_its_number_format_and_what_it_keeps_of_a_token(engine: Engine) -> None:
    assert engine.dtype == "float32"
    cache = engine._engine.vllm_config.cache_config
    assert cache.num_gpu_blocks and cache.kv_cache_memory_bytes
    tokens = cache.num_gpu_blocks * cache.block_size
    assert engine.kv_bytes(1) == 1024 == cache.kv_cache_memory_bytes // tokens, "as vLLM divides its memory up"


def test_every_request_is_answered_exactly_once(engine: Engine, requests: list[Request]) -> None:
    found = answers(engine, requests)
    assert found.keys() == {request.key for request in requests}
    for request in requests:
        answer = found[request.key]
        assert 1 <= len(answer.token_ids) == answer.completion_tokens <= GREEDY.new_tokens
        assert answer.prompt_tokens == len(request.prompt_token_ids)


def test_answers_are_the_same_one_at_a_time_and_in_any_batch(engine: Engine, requests: list[Request]) -> None:
    together = answers(engine, requests)
    assert answers(engine, requests, in_flight=1) == together
    assert answers(engine, reversed(requests), in_flight=5) == together


def test_an_answer_that_was_cut_off_says_so(engine: Engine, requests: list[Request]) -> None:
    found = answers(engine, requests).values()
    end = engine.tokenizer.eos_token_id
    cut_off = [answer for answer in found if answer.finish_reason == "length"]
    ended = [answer for answer in found if answer.finish_reason == "stop"]
    assert len(cut_off) + len(ended) == len(requests)
    assert cut_off and all(len(answer.token_ids) == GREEDY.new_tokens and end not in answer.token_ids for answer in cut_off)
    assert ended and all(answer.token_ids[-1] == end for answer in ended)


def test_prompts_are_taken_as_they_are_needed(engine: Engine, requests: list[Request]) -> None:
    taken: list[str] = []

    def prompts() -> Iterator[Request]:
        for request in requests:
            taken.append(request.key)
            yield request

    answered = 0
    for _ in engine.stream(ListFeed(prompts())):
        assert len(taken) - answered <= 2 * BATCH, "no more than two full batches are under way"
        answered += 1
    assert len(taken) == answered == len(requests)


def test_an_answer_may_bring_the_next_request(engine: Engine, requests: list[Request]) -> None:
    conversations = requests[: BATCH // 2]
    feed, found, before = GrowingFeed(conversations, turns=3), dict[str, Completion](), engine.steps
    for completion in engine.stream(feed):
        assert completion.key not in found
        found[completion.key] = completion
        feed.answered(completion)
    assert found.keys() == {f"{request.key}/{turn}" for request in conversations for turn in range(3)}
    assert feed.empty_handed > 1, "the feed had nothing while answers were under way"
    steps = engine.steps - before
    alone = sum(steps_of(engine, [request]) for request in feed.asked.values())
    assert steps < alone / 2, "conversations are answered side by side"


def test_a_refused_row_does_not_lose_the_others(engine: Engine, requests: list[Request]) -> None:
    good = answers(engine, requests)
    bad = [
        Request("too-long", [5] * (GREEDY.context_tokens + 1), seed=0),
        Request("no-such-token", [5, 1_000_000], seed=0),
        Request("empty", [], seed=0),
    ]
    found = answers(engine, [*requests[:4], *bad, *requests[4:]])
    refused = [found.pop(request.key) for request in bad]
    assert found == good
    assert {(answer.finish_reason, len(answer.token_ids)) for answer in refused} == {("refused", 0)}
    assert all(answer.problem and "\n" not in answer.problem for answer in refused), "each with a reason in one sentence"


def test_leaving_early_takes_back_what_is_under_way(engine: Engine, requests: list[Request]) -> None:
    expected, steps = answers(engine, requests), steps_of(engine, requests)
    stream = engine.stream(ListFeed(requests))
    next(stream)
    del stream  # as a loop does that is left early
    before = engine.steps
    assert answers(engine, requests) == expected
    assert engine.steps - before == steps, "nothing of the first stream takes the engine's time"


def test_no_prompts_give_no_answers_and_no_work(engine: Engine) -> None:
    assert steps_of(engine, []) == 0


def test_a_window_takes_no_more_steps_than_all_prompts_at_once(engine: Engine, requests: list[Request]) -> None:
    everything = [replace(request, key=f"{request.key}-{copy}") for copy in range(4) for request in requests]
    window, at_once = steps_of(engine, everything), steps_of(engine, everything, in_flight=len(everything))
    assert window == at_once
    drained = sum(steps_of(engine, everything[start : start + BATCH]) for start in range(0, len(everything), BATCH))
    assert drained > 1.2 * window, "what feeding the engine batch by batch would cost"


def test_answers_are_decoded_without_special_tokens(engine: Engine) -> None:
    texts = ["<|im_start|>still hot<|im_end|>", "clear"]
    assert engine.decode([engine.tokenizer(text)["input_ids"] for text in texts]) == ["still hot", "clear"]
