"""Reading one judgement: what a judge's answer says, and how sure the judge was of it."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from tasks.core.records import AnsweredPrompt
from tasks.judging.settings import SCALE

FINISHED = "stop"


def read_verdict(row: AnsweredPrompt, verdicts: tuple[int, ...] | tuple[str, ...]) -> Any:
    """Return the verdict that a judge gave, or None where it gave none that can be read.

    Args:
        row: The judge's answer: JSON with the field ``verdict``, or the verdict alone.
        verdicts: All that may be said, ``SCALE`` or ``SIDES``.
    """
    if row["finish_reason"] != FINISHED:
        return None
    said: Any = row["answer"].strip()
    if said.startswith("{"):
        try:
            said = json.loads(said).get("verdict")
        except (ValueError, RecursionError):
            return None
    return {str(verdict): verdict for verdict in verdicts}.get(str(said))


def expected_score(row: AnsweredPrompt, score_of: Callable[[int], int | None]) -> float | None:
    """Return a score's expectation over what the judge might have said in its place (G-Eval: Liu et al. 2023, arXiv 2303.16634).

    A judge says 4 to most of what it likes; how likely it was to say 3 or 5 instead tells answers apart all the same.

    Args:
        row: A judge's answer with its tokens and their ``top_ids`` and ``top_logprobs``, from which the score can be read.
        score_of: The score that a token alone says; None: it says none.

    Returns:
        The mean of the scores among the candidates, weighted by their probabilities; None where no token of the answer is a
        score by itself.
    """
    places = [place for place, token in enumerate(row["token_ids"]) if score_of(token) is not None]
    if not places or "top_ids" not in row or "top_logprobs" not in row:
        return None
    candidates = [score_of(int(token)) or 0 for token in row["top_ids"][places[-1]]]  # a reason may have numbers too
    scores, weights = np.array(candidates, np.float64), np.exp(row["top_logprobs"][places[-1]].astype(np.float64))
    total = float(weights[scores > 0].sum())
    return float((weights * scores).sum() / total) if total > 0 else None


def token_scores(tokenizer: Any) -> Callable[[int], int | None]:
    """Return what tells which score of ``SCALE`` a token of a tokenizer says, white space aside."""
    said = {str(score): score for score in SCALE}
    known: dict[int, int | None] = {}

    def score_of(token: int) -> int | None:
        if token not in known:
            known[token] = said.get(tokenizer.decode([token]).strip())
        return known[token]

    return score_of
