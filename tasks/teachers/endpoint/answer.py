"""What an endpoint's answer says: a completion read from the body of a response, or the reason why it is none."""

from typing import Any

import numpy as np

from tasks.teachers.endpoint.body import CHAT
from tasks.teachers.exchange import Completion, TokenLogprobs

_FINISHED = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "repetition": "repetition",
}
_ID_PREFIX = "token_id:"


class UnusableAnswerError(Exception):
    """A response that came whole and is no answer; asked again, the endpoint may give one. The message is the reason."""


class NamelessTokensError(Exception):
    """Log-probabilities came without the ids of their tokens: the server is not what the settings say."""


def read_answer(body: Any, key: str, path: str, top_k: int | None) -> Completion:
    """Return the completion in a response.

    Args:
        body: The response as JSON value.
        key: Key of the request.
        path: ``CHAT`` or ``TEXT``, what the response answers.
        top_k: Candidates wanted at every token; None: no log-probabilities.

    Raises:
        UnusableAnswerError: If there is no answer in it, or not all of one.
        NamelessTokensError: If log-probabilities are wanted and tokens are not named by their ids.
    """
    choice = _first_choice(body)
    finish_reason = _FINISHED.get(str(choice.get("finish_reason")))
    if finish_reason is None:
        raise UnusableAnswerError("unknown finish reason")
    prompt_tokens, completion_tokens = read_usage(body) or (0, 0)
    text, reasoning = choice.get("text"), None
    if path == CHAT:
        message = choice.get("message")
        if not isinstance(message, dict):
            raise UnusableAnswerError("no message")
        text, reasoning = message.get("content"), message.get("reasoning") or message.get("reasoning_content")
        if message.get("refusal"):
            finish_reason = "content_filter"
    elif text is None:
        raise UnusableAnswerError("no text")
    if not isinstance(text, str | None) or not isinstance(reasoning, str | None):
        raise UnusableAnswerError("an answer that is no text")
    token_ids = [int(token) for token in choice.get("token_ids") or []]
    logprobs = None
    if top_k is not None:
        token_ids, logprobs = _chat_logprobs(choice, top_k) if path == CHAT else _text_logprobs(choice, top_k)
    return Completion(
        key,
        token_ids,
        finish_reason,
        text=text or "",
        reasoning=reasoning,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        logprobs=logprobs,
    )


def _first_choice(body: Any) -> dict[str, Any]:
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise UnusableAnswerError("no choices")
    return choices[0]


def read_usage(body: Any) -> tuple[int, int] | None:
    """Return the prompt and answer tokens that a response says it cost; None if it does not say."""
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens", 0)
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return None
    return max(0, prompt), max(0, completion)


def _chat_logprobs(choice: dict[str, Any], top_k: int) -> tuple[list[int], TokenLogprobs]:
    entries = (choice.get("logprobs") or {}).get("content")
    if not isinstance(entries, list):
        raise UnusableAnswerError("no log-probabilities")
    ids = [_token_id(entry["token"]) for entry in entries]
    sampled = [entry["logprob"] for entry in entries]
    candidates = [{_token_id(other["token"]): other["logprob"] for other in entry["top_logprobs"]} for entry in entries]
    return ids, _arrays(sampled, candidates, top_k)


def _text_logprobs(choice: dict[str, Any], top_k: int) -> tuple[list[int], TokenLogprobs]:
    found = choice.get("logprobs")
    if not isinstance(found, dict):
        raise UnusableAnswerError("no log-probabilities")
    ids = [_token_id(token) for token in found["tokens"]]
    candidates = [{_token_id(token): value for token, value in (place or {}).items()} for place in found["top_logprobs"]]
    return ids, _arrays(found["token_logprobs"], candidates, top_k)


def _token_id(token: str) -> int:
    if not token.startswith(_ID_PREFIX):
        raise NamelessTokensError
    return int(token.removeprefix(_ID_PREFIX))


def _arrays(sampled: list[float], candidates: list[dict[int, float]], top_k: int) -> TokenLogprobs:
    """Return the arrays of an answer; a place may list more than k candidates, as the sampled one comes on top of them."""
    if any(len(place) < top_k for place in candidates):
        raise UnusableAnswerError("too few candidates")
    best = [sorted(place.items(), key=lambda item: -item[1])[:top_k] for place in candidates]
    shape = (len(best), top_k)
    return TokenLogprobs(
        sampled=np.array(sampled, dtype=np.float16),
        top_ids=np.array([[token for token, _ in place] for place in best], dtype=np.uint32).reshape(shape),
        top=np.array([[value for _, value in place] for place in best], dtype=np.float16).reshape(shape),
    )
