"""A method is refused, in words that help, before anything starts, where the recipe has not what it trains on."""

from pathlib import Path

import pytest

from flows.recipe import load_recipe
from tasks.core.errors import SettingsError

QUICKSTART = Path(__file__).parents[2] / "deployments" / "recipes" / "quickstart.yaml"
TOPK, DRAWS = "generations.logprobs={top_k: 16}", "generations.logprobs={top_k: 64, draws: 12}"
ENDPOINT = ["teacher={endpoint: {url: 'http://127.0.0.1:8000/v1', model: m}}", "student.model={source: x}"]


def method(name: str, **sections: str) -> list[str]:
    """Return the overrides that choose a method and fill sections of its training."""
    chosen = [f"student.training.method={name}"]
    return chosen + [f"student.training.{section}={value}" for section, value in sections.items()]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (method("topk_kd"), r"likeliest candidates; set generations.logprobs: {top_k: 16}"),
        ([*method("topk_kd"), DRAWS], "likeliest candidates"),
        ([*method("sampled_kd"), TOPK], r"drawn candidates; set generations.logprobs: {top_k: 64, draws: 12}"),
        ([*method("hidden_states"), *ENDPOINT], "holds the teacher in memory, and an endpoint has no weights here"),
        ([*method("topk_kd"), TOPK, "student.pruning.trim_vocabulary=true"], "needs the teacher's token ids"),
        ([*method("topk_kd", distillation="{temperature: 2}"), TOPK], "temperature is 2.0 with tail: bucket"),
        ([*method("sampled_kd", distillation="{divergence: jsd}"), DRAWS], "follows draws by the forward divergence"),
        ([*method("sampled_kd", distillation="{combine_teachers: true}"), DRAWS], "would bias draws"),
        (method("hidden_states", lora="{rank: 8}"), "adapters' checkpoints do not hold; leave lora empty"),
        (method("hidden_states", hidden_states="{hidden_weight: 0}"), "all weights are 0"),
        (method("sft", runtime="{nodes: 2}"), "give runtime.rendezvous"),
        (["teacher.adaptation.method=on_policy"], "a teacher learns references, by sft"),
    ],
)
def test_a_method_without_what_it_needs_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_recipe(QUICKSTART, overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        [*method("topk_kd", distillation="{divergence: jsd, weight: 0.5}"), TOPK],
        [*method("topk_kd", distillation="{temperature: 2, tail: renormalise}", lora="{rank: 8}"), TOPK],
        [*method("sampled_kd"), DRAWS],
        method("hidden_states", hidden_states="{hidden_weight: 0, relation_weight: 1}", lora="{rank: 8}"),
        method("on_policy", on_policy="{beta: 0.5, max_new_tokens: 8}"),
    ],
)
def test_a_method_with_what_it_needs_is_taken(overrides: list[str]) -> None:
    assert load_recipe(QUICKSTART, overrides).student.training.method == overrides[0].partition("=")[2]


def test_how_a_training_is_run_does_not_change_what_it_makes() -> None:
    ours, other = (
        load_recipe(QUICKSTART, [f"student.training.runtime={runtime}"]).student.training
        for runtime in ("{}", "{processes: 2, sharding: full, device_batch_size: 2, checkpoint_steps: 7}")
    )
    assert ours.identity() == other.identity()
