"""The artefact has the prompts' order, in whatever order and shards the answers came."""

import random
from pathlib import Path

import numpy as np
import pytest

from tasks.core.errors import StageFailedError
from tasks.core.fingerprint import fingerprint
from tasks.core.ledger import Ledger
from tasks.core.records import ANSWERED_PROMPTS, Generation, with_logprobs
from tasks.core.tables import read_table
from tasks.generating import joining
from tasks.generating.dialogues import Dialogue
from tasks.generating.joining import join_answers
from tests.generating.answers import ScriptedTeacher, answer, ask, conversation, open_ledger, texts

NAMES = [f"prompt {number}" for number in range(50)]


@pytest.fixture
def pieces_of_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_PIECE_ROWS", 7)


def commit(ledger: Ledger, dialogues: list[Dialogue], width: int | None = None) -> None:
    """Commit an answer to every dialogue, in shards of five and an order of their own; its tokens tell whose it is."""
    rows: list[Generation] = []
    for number, dialogue in enumerate(dialogues):
        length = 1 + number % 3
        row = Generation(
            key=fingerprint(number),
            teacher="scripted",
            answer=f"to {dialogue.prompt['id']}, {dialogue.sample}",
            reasoning=None,
            token_ids=[number] * length,
            finish_reason="stop",
            prompt_tokens=1,
            completion_tokens=length,
            seed=number,
        )
        if width is not None:
            row["token_logprobs"] = np.full(length, -number / 8, np.float16)
            row["top_ids"] = np.full((length, width), number, np.uint32)
            row["top_logprobs"] = np.full((length, width), -number / 8, np.float16)
        dialogue.keys.append(row["key"])
        rows.append(row)
    random.Random(0).shuffle(rows)
    for start in range(0, len(rows), 5):
        ledger.commit(rows[start : start + 5])


@pytest.mark.usefixtures("pieces_of_seven")
def test_the_rows_are_in_the_prompts_order_over_several_pieces(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "store")
    dialogues = ask(ledger, texts(*NAMES), samples=2)[1]
    commit(ledger, dialogues)
    path = tmp_path / "joined.parquet"

    assert join_answers(path, ANSWERED_PROMPTS, dialogues, ledger) == 100
    rows = list(read_table(path, ANSWERED_PROMPTS))
    assert [(row["id"], row["sample_index"]) for row in rows] == [(name, sample) for name in NAMES for sample in (0, 1)]
    assert all(row["answer"] == f"to {row['id']}, {row['sample_index']}" for row in rows)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["joined.parquet", "store"], "no piece is left behind"


@pytest.mark.usefixtures("pieces_of_seven")
def test_log_probabilities_stay_with_their_answers(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "store", width=3)
    dialogues = ask(ledger, texts(*NAMES))[1]
    commit(ledger, dialogues, width=3)
    table = with_logprobs(ANSWERED_PROMPTS, 3)
    join_answers(tmp_path / "joined.parquet", table, dialogues, ledger)

    for number, row in enumerate(read_table(tmp_path / "joined.parquet", table)):
        assert row["id"] == NAMES[number]
        assert row["top_ids"].tolist() == [[number] * 3] * len(row["token_ids"])
        assert row["token_logprobs"].tolist() == [-number / 8] * len(row["token_ids"])


def test_every_turn_is_a_row_behind_what_the_teacher_saw(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "store")
    asker, dialogues = ask(ledger, [conversation("hi", "what the source says", "how?")])
    answer(ledger, asker, ScriptedTeacher({"hi": "hello", "hi\nhello\nhow?": "well"}))
    join_answers(tmp_path / "joined.parquet", ANSWERED_PROMPTS, dialogues, ledger)
    rows = list(read_table(tmp_path / "joined.parquet", ANSWERED_PROMPTS))

    said = [([message["content"] for message in row["messages"]], row["answer"], row["turn"]) for row in rows]
    assert said == [(["hi"], "hello", 0), (["hi", "hello", "how?"], "well", 1)]


def test_no_answers_are_an_empty_file(tmp_path: Path) -> None:
    assert join_answers(tmp_path / "joined.parquet", ANSWERED_PROMPTS, [], open_ledger(tmp_path / "store")) == 0
    assert list(read_table(tmp_path / "joined.parquet", ANSWERED_PROMPTS)) == []


def test_an_answer_that_is_not_there_ends_the_run(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "store")
    dialogues = ask(ledger, texts(*NAMES))[1]
    commit(ledger, dialogues)
    dialogues[7].keys[0] = fingerprint("another answer")

    with pytest.raises(StageFailedError, match="1 of 50 answers are not in the ledger; run again"):
        join_answers(tmp_path / "joined.parquet", ANSWERED_PROMPTS, dialogues, ledger)
    assert not (tmp_path / "joined.parquet").exists()
