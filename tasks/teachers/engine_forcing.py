"""Texts that an engine is given instead of choosing them: its log-probabilities at each of their tokens, in one pass each."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from vllm import LLMEngine, SamplingParams
from vllm.inputs import tokens_input
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind

from tasks.teachers.exchange import GivenText, TokenLogprobs
from tasks.teachers.logprobs import from_flat
from tasks.teachers.settings import LogprobSettings

_AT_ONCE = 4
"""Texts under way: an engine holds the logits of all of their tokens, 1,000 of which take 600 MB in a vocabulary of 150,000."""


def force_decode(engine: LLMEngine, texts: Sequence[GivenText], top_k: int) -> Iterator[tuple[GivenText, TokenLogprobs]]:
    """Yield texts with their log-probabilities, as they are done.

    The whole text is the engine's prompt, and vLLM reports what the model expected at every place of it, before temperature and
    truncation. It reads nothing from the prefix cache for that.

    Args:
        engine: vLLM's engine, with nothing under way.
        texts: Each at least one token shorter than the engine's context, none without a token of its own; keys differ.
        top_k: Candidates at every token, at most 20.

    Raises:
        DataError: If the engine reports another number of candidates, or is about other tokens.
    """
    parameters = SamplingParams(
        temperature=0.0,
        max_tokens=1,
        prompt_logprobs=top_k,
        flat_logprobs=True,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
    settings, unused = LogprobSettings(top_k=top_k), np.random.default_rng(0)
    waiting, running = iter(texts), dict[str, GivenText]()
    while True:
        while len(running) < _AT_ONCE and (text := next(waiting, None)) is not None:
            engine.add_request(text.key, tokens_input([*text.prompt_token_ids, *text.token_ids]), parameters)
            running[text.key] = text
        if not running:
            return
        for output in engine.step():
            if isinstance(output, RequestOutput) and output.finished:
                text = running.pop(output.request_id)
                reported: Any = output.prompt_logprobs
                yield text, from_flat(reported[-len(text.token_ids) :], text.token_ids, settings, unused)
