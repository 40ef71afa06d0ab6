"""How far a student's distribution is from what is stored of a teacher's: losses of topk_kd and sampled_kd, position by position.

Stored are K candidates out of a vocabulary of V. The student's log-probabilities come in ready-made, so that these losses share
one log-softmax with the cross-entropy; beside it they gather K values and work on those alone.

With ``tail: bucket`` all other tokens are one more outcome, on both sides. Joining outcomes never raises a divergence, so it is
a lower bound of the full one, and 0 for the true teacher. With ``tail: renormalise`` both sides are compared as if there were no
other tokens: the candidates' proportions are learnt, and nothing of how much lies beyond them.
"""

import math

import torch
from torch import Tensor

from tasks.core.logprobs import NO_PROBABILITY
from tasks.training.settings import DistillationSettings

_MIN_TAIL = 1e-6  # of a tail's probability: float32 cannot tell less from the rounding of the candidates' sum


def sparse_divergence(log_q: Tensor, ids: Tensor, teacher_logprobs: Tensor, settings: DistillationSettings) -> Tensor:
    """Return the divergence between the teacher's and the student's distribution at every position.

    The generalised Jensen-Shannon divergence is that of Agarwal et al. 2023 (arXiv 2306.13649). No factor of temperature squared
    is applied.

    Args:
        log_q: The student's log-probabilities at ``settings.temperature``, float32 [n, V].
        ids: The teacher's candidates, int64 [n, K]; each once, unused places apart.
        teacher_logprobs: The candidates' log-probabilities at temperature 1, float32 [n, K]; ``NO_PROBABILITY`` in unused places.
        settings: Which divergence, the tail and the temperature.

    Returns:
        Divergences in nats, [n].
    """
    # Unused places get the same finite number on both sides: probability 0 and difference 0, and no gradient.
    unused = teacher_logprobs <= NO_PROBABILITY
    log_p = (teacher_logprobs / settings.temperature).masked_fill(unused, NO_PROBABILITY)
    log_q = log_q.gather(-1, ids).masked_fill(unused, NO_PROBABILITY)
    if settings.tail == "bucket":
        # Normalised once more, as candidates that were stored in float16 may sum to a little more than 1.
        log_p, log_q = _with_tail(log_p).log_softmax(-1), _with_tail(log_q)
    else:
        log_p, log_q = log_p.log_softmax(-1), log_q.log_softmax(-1)
    if settings.divergence == "forward_kl":
        return _relative_entropy(log_p, log_q)
    if settings.divergence == "reverse_kl":
        return _relative_entropy(log_q, log_p)
    beta = settings.jsd_beta
    log_m = torch.logaddexp(log_p + math.log(beta), log_q + math.log1p(-beta))
    return beta * _relative_entropy(log_p, log_m) + (1 - beta) * _relative_entropy(log_q, log_m)


def sampled_cross_entropy(log_q: Tensor, ids: Tensor, log_weights: Tensor) -> Tensor:
    """Return the cross-entropy with ids that were drawn from the teacher's distribution, at every position.

    Its expectation over the draws is the cross-entropy with the whole distribution (Anshumann et al. 2025, arXiv 2503.16870). It
    does not fall to 0: the teacher's entropy remains.

    Args:
        log_q: The student's log-probabilities at temperature 1, float32 [n, V].
        ids: The drawn ids, int64 [n, K].
        log_weights: Logarithms of their importance weights, float32 [n, K]; ``NO_PROBABILITY`` in unused places.

    Returns:
        Cross-entropies in nats, [n].
    """
    return -(log_weights.exp() * log_q.gather(-1, ids)).sum(-1)


def _relative_entropy(log_a: Tensor, log_b: Tensor) -> Tensor:
    return (log_a.exp() * (log_a - log_b)).sum(-1)


def _with_tail(logprobs: Tensor) -> Tensor:
    """Return candidates' log-probabilities, and behind them that of all other tokens together, [n, K + 1]."""
    inside = logprobs.logsumexp(-1, keepdim=True)
    # Only the value is clamped. Were the gradient too, a student that gives the tail nothing could never learn that there is one;
    # like this it is pushed there, by a gradient that is at most 1 / _MIN_TAIL.
    inside = inside + (inside.clamp(max=-_MIN_TAIL) - inside).detach()
    return torch.cat([logprobs, torch.log(-torch.expm1(inside))], -1)
