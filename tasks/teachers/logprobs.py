"""From an engine's flat log-probabilities to the arrays that are stored: the likeliest candidates, or ids that are drawn.

Drawn ids follow Anshumann et al., "Sparse Logit Sampling: Accelerating Knowledge Distillation in LLMs" (ACL 2025). A target of
the K likeliest tokens alone leaves out the tail, and a student trained on it becomes too sure. Ids drawn from the teacher's
distribution, each weighing the share of draws that fell on it, have that distribution as their expectation.

An engine reports only K candidates, of the mass M, and the sampled token s, which at temperature 1 without truncation is itself
a draw from the whole vocabulary. So N ids are drawn from the candidates, each draw weighing M / N, and s is added with weight 1
where it is no candidate: E[1{s is no candidate} e_s] is the tail exactly, and the sum's expectation is the whole distribution.
"""

from array import array
from typing import Protocol

import numpy as np

from tasks.core.errors import DataError, SettingsError
from tasks.core.logprobs import NO_PROBABILITY, to_float16
from tasks.teachers.exchange import TokenLogprobs
from tasks.teachers.settings import LogprobSettings, Sampling


class FlatEntries(Protocol):
    """What is read of vLLM's ``FlatLogprobs``: all positions one after the other, at each the sampled token, then the top k."""

    @property
    def token_ids(self) -> list[int]:
        """Token ids, ``positions * (k + 1)`` of them."""
        ...

    @property
    def logprobs(self) -> list[float]:
        """Natural log-probabilities of the ``token_ids``."""
        ...


def require_unbiased(sampling: Sampling, settings: LogprobSettings) -> None:
    """Refuse sampling under which drawn ids would not stand for the teacher's distribution.

    Raises:
        SettingsError: If ids are to be drawn, and the sampled token is not a draw from the model's own distribution.
    """
    if settings.draws is None:
        return
    wanted = {"temperature": 1.0, "top_p": 1.0, "top_k": None, "min_p": 0.0, "structured_output": None}
    wrong = [name for name, value in wanted.items() if getattr(sampling, name) != value]
    if wrong:
        raise SettingsError(
            f"logprobs.draws needs answers sampled from the model's own distribution, and {', '.join(wrong)} would change it; "
            "set temperature to 1 and leave top_p, top_k, min_p and structured_output at their defaults, or remove logprobs.draws"
        )


def from_flat(flat: FlatEntries, token_ids: list[int], settings: LogprobSettings, rng: np.random.Generator) -> TokenLogprobs:
    """Return an answer's log-probabilities in the form that is stored.

    Args:
        flat: What the engine reported with ``logprobs=settings.top_k, flat_logprobs=True``.
        token_ids: The answer, n tokens.
        settings: Which of them to keep.
        rng: Draws the ids, where ids are drawn; seed it with the row's seed, and the row is always the same.

    Raises:
        DataError: If the engine reported another number of candidates than was asked for, or was sampling other tokens.
    """
    count, entries = len(token_ids), settings.top_k + 1
    if len(flat.token_ids) != count * entries or len(flat.logprobs) != count * entries:
        raise DataError(
            f"the engine reported {len(flat.logprobs)} log-probabilities for {count} tokens, wanted {entries} for each; "
            "give a logprobs.top_k that is no larger than the model's vocabulary"
        )
    # Through array.array: numpy takes four times as long over a list of integers.
    ids = np.frombuffer(array("I", flat.token_ids), np.uint32).reshape(count, entries)
    logprobs = np.array(flat.logprobs, np.float32).reshape(count, entries)
    if not np.array_equal(ids[:, 0], np.array(token_ids, np.uint32)):
        raise DataError("the engine's log-probabilities are about other tokens than its answer; use the pinned version of vLLM")
    sampled = to_float16(logprobs[:, 0])
    if settings.draws is None:
        return TokenLogprobs(sampled, ids[:, 1:].copy(), to_float16(logprobs[:, 1:]))
    drawn_ids, weights = _draw(ids, logprobs, settings.draws, rng)
    return TokenLogprobs(sampled, drawn_ids, weights)


def _draw(ids: np.ndarray, logprobs: np.ndarray, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct drawn ids and the logarithms of their weights, heaviest first.

    Args:
        ids: The sampled token and the K candidates, [n, 1 + K].
        logprobs: Their log-probabilities, [n, 1 + K].
        draws: N, how many times to draw at each position.
        rng: What draws.

    Returns:
        Ids, uint32 [n, min(N, K) + 1], and log weights, float16; unused places have id 0 and ``NO_PROBABILITY``.
    """
    candidates, probabilities = ids[:, 1:], np.exp(logprobs[:, 1:].astype(np.float64))
    mass = probabilities.sum(axis=1, keepdims=True)
    counts = rng.multinomial(draws, probabilities / mass)
    width = min(draws, candidates.shape[1])
    heaviest = np.argsort(-counts, axis=1, kind="stable")[:, :width]
    counts = np.take_along_axis(counts, heaviest, axis=1)
    with np.errstate(divide="ignore"):  # log 0 of what was not drawn
        log_share = np.log(np.arange(draws + 1) / draws)
    weights = to_float16(log_share[counts] + np.log(np.minimum(mass, 1.0)))
    found = np.where(counts > 0, np.take_along_axis(candidates, heaviest, axis=1), 0)

    # A sampled token that is no candidate weighs 1, more than any other: it comes first, or else a place is left at the end.
    beyond = ~(candidates == ids[:, :1]).any(axis=1)
    kept_ids = np.zeros((len(ids), width + 1), np.uint32)
    kept = np.full((len(ids), width + 1), NO_PROBABILITY, np.float16)
    kept_ids[~beyond, :-1], kept[~beyond, :-1] = found[~beyond], weights[~beyond]
    kept_ids[beyond, 1:], kept[beyond, 1:] = found[beyond], weights[beyond]
    kept_ids[beyond, 0], kept[beyond, 0] = ids[beyond, 0], 0.0
    return kept_ids, kept
