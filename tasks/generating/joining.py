"""The artefact's rows: the ledger's answers beside their prompts, in the prompts' order, in bounded memory.

The ledger holds rows in the order in which they finished, in shards. They are first dealt out to pieces by their place in the
artefact, each piece small enough for the memory, and then every piece is sorted and written: an external sort, of Arrow tables.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.core.errors import StageFailedError
from tasks.core.ledger import Ledger
from tasks.core.records import PROMPTS, Table
from tasks.core.tables import TableWriter, to_arrow
from tasks.generating.dialogues import Dialogue

_PIECE_ROWS = 4096
_MOST_PIECES = 512  # files that are open at once
_PLACE = "place"


def join_answers(path: Path, table: Table, dialogues: Sequence[Dialogue], ledger: Ledger) -> int:
    """Write the answered turns of all dialogues.

    Args:
        path: The Parquet file to write.
        table: Its schema: ``ANSWERED_PROMPTS``, with log-probabilities or without.
        dialogues: In the artefact's order.
        ledger: Where the answers are.

    Returns:
        Rows written.

    Raises:
        DamagedArtifactError: If a shard of the ledger is damaged; its rows are set aside, and asked again by the next run.
        StageFailedError: If an answer is not there.
    """
    turns = [(dialogue, turn) for dialogue in dialogues for turn in range(len(dialogue.keys))]
    located = ledger.look_up([dialogue.keys[turn] for dialogue, turn in turns])
    absent = int((~located.found).sum())
    if absent:
        raise StageFailedError(f"{absent} of {len(turns)} answers are not in the ledger; run again to generate them")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, TableWriter(path, table) as writer:
        for piece in _deal(Path(folder), ledger.read(located), len(turns)):
            answers = piece.sort_by(_PLACE)
            here = [turns[place] for place in answers[_PLACE].to_pylist()]
            writer.write(_beside_prompts(here, answers, table))
    return len(turns)


def _deal(folder: Path, shards: Iterator[tuple[np.ndarray, pa.Table]], rows: int) -> Iterator[pa.Table]:
    """Deal the shards out to pieces of consecutive places and yield the pieces in order."""
    size = max(_PIECE_ROWS, -(-rows // _MOST_PIECES))
    with ExitStack() as open_files:
        writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        for places, answers in shards:
            placed = answers.append_column(_PLACE, pa.array(places, pa.int64()))
            for number in np.unique(places // size):
                if number not in writers:
                    target = pa.ipc.new_stream(str(folder / str(number)), placed.schema)
                    writers[number] = open_files.enter_context(target)
                writers[number].write_table(placed.filter(pa.array(places // size == number)))
    for number in sorted(writers):
        with pa.OSFile(str(folder / str(number))) as file, pa.ipc.open_stream(file) as reader:
            yield reader.read_all()
        (folder / str(number)).unlink()


def _beside_prompts(turns: Sequence[tuple[Dialogue, int]], answers: pa.Table, table: Table) -> pa.Table:
    """Return answers with the columns of their prompts and their place among the samples and turns."""
    prompts = to_arrow(PROMPTS, [{**dialogue.prompt, "messages": dialogue.context(turn)} for dialogue, turn in turns])
    place = {
        "sample_index": pa.array([dialogue.sample for dialogue, _ in turns], pa.int32()),
        "turn": pa.array([turn for _, turn in turns], pa.int32()),
    }
    columns = {name: prompts[name] for name in prompts.column_names} | place
    columns |= {name: answers[name] for name in answers.column_names if name != _PLACE}
    return pa.table([columns[name] for name in table.schema.names], schema=table.schema)
