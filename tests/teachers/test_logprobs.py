"""What is stored of a teacher's distribution is what the engine reported, and drawn ids stand for all of it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tasks.core.errors import DataError, SettingsError
from tasks.core.logprobs import NO_PROBABILITY
from tasks.teachers.exchange import TokenLogprobs
from tasks.teachers.logprobs import from_flat, require_unbiased
from tasks.teachers.settings import LogprobSettings, Sampling, StructuredOutput

VOCABULARY = 40
UNBIASED = Sampling(temperature=1.0)


def distribution() -> np.ndarray:
    """A known distribution with a fifth of its mass beyond the likeliest six."""
    weights = 1 / np.arange(1, VOCABULARY + 1) ** 1.5
    return np.random.default_rng(0).permutation(weights / weights.sum())


def engine_report(sampled: list[int], k: int) -> Any:
    """What an engine reports of tokens that were all sampled from the known distribution."""
    probabilities = distribution()
    top = np.argsort(-probabilities)[:k]
    ids = np.array([[token, *top] for token in sampled], int).reshape(-1, k + 1)
    return SimpleNamespace(token_ids=ids.reshape(-1).tolist(), logprobs=np.log(probabilities[ids]).reshape(-1).tolist())


def sampled_tokens(count: int, seed: int) -> list[int]:
    return np.random.default_rng([seed, 1]).choice(VOCABULARY, size=count, p=distribution()).tolist()


def expectation(answers: list[TokenLogprobs]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the stored sparse distributions over all tokens, and its standard error, [vocabulary] each."""
    dense = []
    for answer in answers:
        vectors = np.zeros((len(answer.top), VOCABULARY))
        np.add.at(vectors, (np.arange(len(vectors))[:, None], answer.top_ids), np.exp(answer.top.astype(np.float64)))
        dense.append(vectors)
    stacked = np.concatenate(dense)
    return stacked.mean(axis=0), stacked.std(axis=0) / np.sqrt(len(stacked))


def test_the_likeliest_candidates_are_kept_as_they_were_reported() -> None:
    probabilities, tokens = distribution(), [7, 3, 11]
    kept = from_flat(engine_report(tokens, k=5), tokens, LogprobSettings(top_k=5), np.random.default_rng(0))
    assert (kept.sampled.dtype, kept.top_ids.dtype, kept.top.dtype) == (np.float16, np.uint32, np.float16)
    np.testing.assert_array_equal(kept.sampled, np.log(probabilities[tokens]).astype(np.float16))
    np.testing.assert_array_equal(kept.top_ids, np.tile(np.argsort(-probabilities)[:5], (3, 1)))
    np.testing.assert_array_equal(kept.top, np.log(probabilities[kept.top_ids]).astype(np.float16))


@pytest.mark.parametrize("settings", [LogprobSettings(top_k=0), LogprobSettings(top_k=5), LogprobSettings(top_k=5, draws=9)])
@pytest.mark.parametrize("count", [0, 3])
def test_as_many_candidates_as_the_settings_say(settings: LogprobSettings, count: int) -> None:
    tokens = sampled_tokens(count, seed=0)
    kept = from_flat(engine_report(tokens, settings.top_k), tokens, settings, np.random.default_rng(0))
    assert kept.sampled.shape == (count,)
    assert kept.top_ids.shape == kept.top.shape == (count, settings.width)


def test_what_the_sampling_ruled_out_has_no_probability() -> None:
    report: Any = SimpleNamespace(token_ids=[4, 4, 9], logprobs=[0.0, 0.0, -np.inf])
    kept = from_flat(report, [4], LogprobSettings(top_k=2, processed=True), np.random.default_rng(0))
    assert kept.top.tolist() == [[0.0, NO_PROBABILITY]]


def test_a_report_of_another_size_is_refused() -> None:
    with pytest.raises(DataError, match="15 log-probabilities for 3 tokens, wanted 6 for each"):
        from_flat(engine_report([7, 3, 11], k=4), [7, 3, 11], LogprobSettings(top_k=5), np.random.default_rng(0))


def test_a_report_about_other_tokens_is_refused() -> None:
    with pytest.raises(DataError, match="other tokens"):
        from_flat(engine_report([7, 3, 11], k=4), [3, 11, 7], LogprobSettings(top_k=4), np.random.default_rng(0))


@pytest.mark.parametrize("draws", [1, 3, 40])
def test_drawn_ids_stand_for_the_whole_distribution(draws: int) -> None:
    probabilities, settings, answers = distribution(), LogprobSettings(top_k=6, draws=draws), []
    for seed in range(100):
        tokens = sampled_tokens(1000, seed)
        answers.append(from_flat(engine_report(tokens, settings.top_k), tokens, settings, np.random.default_rng(seed)))
    mean, error = expectation(answers)
    rounding = 5e-4 * probabilities  # of the weights' logarithms to float16
    assert (np.abs(mean - probabilities) <= 4.5 * error + rounding).all()
    tail = np.argsort(-probabilities)[settings.top_k :]
    assert probabilities[tail].sum() > 0.2
    assert mean[tail].sum() == pytest.approx(probabilities[tail].sum(), abs=0.006)


def test_the_likeliest_candidates_alone_are_not_the_whole_distribution() -> None:
    probabilities, settings, tokens = distribution(), LogprobSettings(top_k=6), sampled_tokens(1000, seed=0)
    mean, _ = expectation([from_flat(engine_report(tokens, 6), tokens, settings, np.random.default_rng(0))])
    tail = np.argsort(-probabilities)[settings.top_k :]
    assert mean[tail].sum() == 0
    assert (mean / mean.sum()).max() > 1.2 * probabilities.max(), "once normalised, the likeliest token is too likely"


def test_drawn_ids_are_distinct_and_sorted_by_weight() -> None:
    tokens = sampled_tokens(500, seed=0)
    kept = from_flat(engine_report(tokens, 6), tokens, LogprobSettings(top_k=6, draws=4), np.random.default_rng(0))
    assert (np.diff(kept.top.astype(np.float32), axis=1) <= 0).all()
    used = kept.top > NO_PROBABILITY
    for ids, row in zip(kept.top_ids, used, strict=True):
        assert len(set(ids[row].tolist())) == row.sum()
    assert (kept.top_ids[~used] == 0).all()
    assert set(tokens) - set(np.argsort(-distribution())[:6].tolist()) <= set(kept.top_ids[used].tolist())


def test_the_seed_decides_what_is_drawn() -> None:
    tokens, settings = sampled_tokens(50, seed=0), LogprobSettings(top_k=6, draws=4)
    one, same, other = (from_flat(engine_report(tokens, 6), tokens, settings, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.top_ids, same.top_ids)
    np.testing.assert_array_equal(one.top, same.top)
    assert (one.top_ids != other.top_ids).any()


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0.8},
        {"temperature": 0.0},
        {"top_p": 0.95},
        {"top_k": 50},
        {"min_p": 0.05},
        {"structured_output": StructuredOutput(labels=True)},
    ],
)
def test_drawing_needs_answers_from_the_models_own_distribution(changes: dict[str, Any]) -> None:
    sampling = UNBIASED.model_copy(update=changes)
    with pytest.raises(SettingsError, match=f"own distribution, and {next(iter(changes))} would"):
        require_unbiased(sampling, LogprobSettings(draws=8))
    require_unbiased(sampling, LogprobSettings())
    require_unbiased(UNBIASED, LogprobSettings(draws=8))
