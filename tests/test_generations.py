"""The teacher is asked once for every row, whatever ends a run, and only for what is missing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.core.artifact import Artifact
from tasks.core.records import ANSWERED_PROMPTS, GENERATIONS
from tasks.core.tables import read_table
from tasks.generations import GenerationsRuntime, GenerationsSettings, generate
from tasks.model import ModelSettings, prepare_model
from tasks.prompts import PromptsSettings, prepare_prompts
from tasks.teachers.settings import EngineRuntime, Sampling
from tests.models import tiny_model

pytestmark = pytest.mark.slow

SETTINGS = GenerationsSettings(
    sampling=Sampling(max_new_tokens=8, max_prompt_tokens=60, dtype="float32"),
    runtime=GenerationsRuntime(shard_rows=4, engine=EngineRuntime(max_num_seqs=4)),
)
INTERRUPTED = """
import sys
from tasks.core.artifact import Artifact
from tasks.generations import generate
from tests.test_generations import SETTINGS
prompts, teacher = (Artifact.model_validate_json(text) for text in sys.argv[2:])
generate.fn(settings=SETTINGS, store=sys.argv[1], prompts=prompts, teacher=teacher)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


def ask(store: Path, count: int, long_rows: int = 0) -> Artifact:
    """Return a prompts artefact with one test row and the given number of training rows."""
    rows = [{"prompt": f"number {number}", "answer": "x"} for number in range(count)]
    rows += [{"prompt": f"{'very ' * 80}long {number}", "answer": "x"} for number in range(long_rows)]
    store.mkdir(parents=True, exist_ok=True)
    (store.parent / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (store.parent / "test.jsonl").write_text('{"prompt": "test", "answer": "x"}\n')
    settings = PromptsSettings(
        train=(str(store.parent / "train.jsonl"),),
        test=(str(store.parent / "test.jsonl"),),
        validation_fraction=0,
        chat=False,
        reference_field="answer",
    )
    return prepare_prompts.fn(settings=settings, store=str(store))


def committed_keys(store: Path) -> list[str]:
    """Return the key of every row in the ledger, as often as it is there."""
    return [row["key"] for shard in store.glob("ledger/*/*.parquet") for row in read_table(shard, GENERATIONS)]


def test_more_prompts_cost_only_their_own_answers(model: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    teacher = prepare_model.fn(settings=ModelSettings(source=str(model)), store=str(store))
    first = generate.fn(settings=SETTINGS, store=str(store), prompts=ask(store, 20), teacher=teacher)
    second = generate.fn(settings=SETTINGS, store=str(store), prompts=ask(store, 23, long_rows=2), teacher=teacher)

    assert (first.counts["generated"], first.counts["reused"]) == (20, 0)
    assert (second.counts["generated"], second.counts["reused"]) == (3, 20)
    assert second.counts["over_long_prompts"] == 2
    before = {row["id"]: row["token_ids"] for row in read_table(first, ANSWERED_PROMPTS)}
    after = {row["id"]: row["token_ids"] for row in read_table(second, ANSWERED_PROMPTS)}
    assert before.items() <= after.items()
    assert len(committed_keys(store)) == len(set(committed_keys(store))) == 23


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_loses_at_most_the_open_shard(model: Path, tmp_path: Path, stop: signal.Signals) -> None:
    store = tmp_path / "store"
    teacher = prepare_model.fn(settings=ModelSettings(source=str(model)), store=str(store))
    prompts = ask(store, 2000)
    arguments = [str(store), prompts.model_dump_json(), teacher.model_dump_json()]
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, *arguments], cwd=Path(__file__).parents[1])
    while len(list(store.glob("ledger/*/*.parquet"))) < 5:
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.01)
    os.kill(process.pid, stop)
    assert process.wait(60) != 0
    kept = len(committed_keys(store))
    finished = generate.fn(settings=SETTINGS, store=str(store), prompts=prompts, teacher=teacher)

    assert 20 <= kept < 2000
    assert finished.counts == {**finished.counts, "rows": 2000, "reused": kept, "generated": 2000 - kept}
    assert len(committed_keys(store)) == len(set(committed_keys(store))) == 2000
