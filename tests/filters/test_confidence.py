"""The confidence filter: the teacher's own log-probabilities."""

import numpy as np
import pytest
from pydantic import ValidationError

from tasks.filters.confidence import ConfidenceSettings
from tests.filters.candidates import answered, look

SURE, UNSURE = np.array([-0.25, -0.25], np.float16), np.array([-3.0, -1.0], np.float16)


def test_unlikely_answers_are_rejected_and_the_mean_is_kept() -> None:
    found = look("confidence", [answered("a", token_logprobs=SURE), answered("b", token_logprobs=UNSURE)], min_mean_logprob=-1)

    assert found == [(None, {"mean_logprob": -0.25}), ("low_confidence", {"mean_logprob": -2.0})]


def test_without_log_probabilities_nothing_is_found() -> None:
    assert look("confidence", [answered("a"), answered("b", token_logprobs=SURE[:0])], min_mean_logprob=-1) == [(None, {})] * 2


def test_a_filter_that_drops_needs_a_limit() -> None:
    with pytest.raises(ValidationError, match="give min_mean_logprob"):
        ConfidenceSettings(mode="drop")
