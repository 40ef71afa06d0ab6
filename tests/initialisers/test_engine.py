"""What the initialisers write is a plain model: a real vLLM engine loads it and answers as Transformers does."""

from pathlib import Path

import pytest
import torch

from tasks.initialisers.fresh import draw_weights
from tasks.initialisers.pruned import prune
from tasks.initialisers.settings import FreshSettings, PruningSettings
from tasks.teachers.exchange import ListFeed
from tasks.teachers.settings import EngineRuntime, Sampling
from tests.families import family_model
from tests.initialisers.sources import load, prompt
from tests.teachers.engine_rows import by_key, requests_of

pytest.importorskip("vllm", reason="needs one of the extras cpu and cuda")

from tasks.teachers.vllm import Engine

pytestmark = pytest.mark.slow

EVERY_CUT = PruningSettings(layers=(1,), intermediate_size=24, trim_vocabulary=True)
# Phi's positions are stretched beyond 128 of them; an engine stretches them from the start if it is to take longer prompts.
PROMPT_TOKENS = {"phi_4_mini": 64, "llama_3_1_8b": 256}


@pytest.mark.parametrize("family", PROMPT_TOKENS)
@pytest.mark.parametrize("way", ["pruned", "fresh"])
def test_an_engine_answers_as_transformers_does(tmp_path: Path, family: str, way: str) -> None:
    source = family_model(family, tmp_path / "source")
    if way == "pruned":
        prune(source, tmp_path / "student", EVERY_CUT, [prompt(number, f"item {number}", "clear") for number in range(4)])
    else:
        draw_weights(
            source, tmp_path / "student", FreshSettings(seed=1, config={"num_hidden_layers": 1, "intermediate_size": 24})
        )
    requests = requests_of(tmp_path / "student", 4)
    greedy = Sampling(max_new_tokens=8, max_prompt_tokens=PROMPT_TOKENS[family], dtype="float32")
    with Engine(tmp_path / "student", greedy, EngineRuntime(max_num_seqs=4)) as engine:
        answers = by_key(engine.stream(ListFeed(requests)))

    model = load(tmp_path / "student")
    for request in requests:
        tokens = torch.tensor([request.prompt_token_ids])
        answer = model.generate(tokens, max_new_tokens=8, do_sample=False)[0, tokens.shape[1] :].tolist()
        assert answers[request.key].token_ids == answer
