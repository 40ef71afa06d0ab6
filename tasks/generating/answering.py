"""The loop that lets a teacher answer: feed, collect, commit, show progress, and start a dead engine again."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any

from tasks.core.errors import EngineDiedError, PotstillError, StageFailedError
from tasks.core.progress import Progress, stage_logger
from tasks.generating.asking import FAILURES, Asker
from tasks.generating.reading import AnswerReader
from tasks.generating.shards import Answered, ShardWriter
from tasks.teachers.exchange import Completion, Teacher

_SHOWN_PROBLEMS = 5


@dataclass
class Effort:
    """What answering cost, so far."""

    rows: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reasons: Counter[str] = field(default_factory=Counter)
    engine_starts: int = 0
    engine_steps: int = 0
    seconds: float = 0.0
    cost: float | None = None
    """What an endpoint charges, in the currency of its prices."""

    @property
    def failed(self) -> int:
        """Rows that ended without an answer."""
        return sum(count for reason, count in self.finish_reasons.items() if reason in FAILURES)

    def count(self, completion: Completion, rows: int) -> None:
        """Add a completion that settles some rows."""
        self.rows += rows
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
        self.finish_reasons[completion.finish_reason] += rows

    def summary(self) -> dict[str, Any]:
        """Return the figures as JSON values, with speeds."""
        seconds = max(self.seconds, 1e-9)
        return {
            "rows": self.rows,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "finish_reasons": dict(self.finish_reasons),
            "engine_starts": self.engine_starts,
            "engine_steps": self.engine_steps,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows / seconds, 2),
            "tokens_per_second": round(self.completion_tokens / seconds, 1),
            "cost": self.cost,
        }


def answer_all(
    open_teacher: Callable[[], AbstractContextManager[Teacher]],
    asker: Asker,
    reader: AnswerReader,
    writer: ShardWriter,
    progress: Progress,
    max_restarts: int,
) -> Effort:
    """Let a teacher answer everything that the ledger lacks.

    Args:
        open_teacher: Loads the teacher; called again when its engine died.
        asker: What is to be asked.
        reader: Reads an answer that the next turn needs.
        writer: Takes the answers.
        progress: Counts rows.
        max_restarts: How often a dead engine is started again without a finished row in between.

    Returns:
        What it cost.

    Raises:
        StageFailedError: If the engine died too often.
    """
    effort, deaths, rows_at_death = Effort(), 0, 0
    while True:
        effort.engine_starts += 1
        try:
            with open_teacher() as teacher:
                _answer(teacher, asker, reader, writer, progress, effort)
                return effort
        except EngineDiedError as error:
            deaths = 1 if effort.rows > rows_at_death else deaths + 1
            rows_at_death = effort.rows
            if deaths > max_restarts:
                raise StageFailedError(f"{error}; it died {deaths} times without finishing a row in between") from error
            stage_logger().warning("generations: %s (restart %d of %d)", error, deaths, max_restarts)
            asker.ask_again()


def _answer(
    teacher: Teacher, asker: Asker, reader: AnswerReader, writer: ShardWriter, progress: Progress, effort: Effort
) -> None:
    started, before, usage = time.monotonic(), effort.seconds, getattr(teacher, "usage", None)
    if usage is not None:
        usage.answered_before = len(asker.answered)  # a rest that fails must not look like an endpoint that is down
    try:
        for completion in teacher.stream(asker):
            _take(completion, asker, reader, writer, effort)
            effort.seconds = before + time.monotonic() - started
            failures = {reason: count for reason, count in effort.finish_reasons.items() if reason != "stop"}
            progress.move_to(
                progress.start + effort.rows + asker.taken_over,
                tokens_per_second=effort.completion_tokens / effort.seconds,
                in_flight=asker.in_flight,
                **failures,
            )
    except BaseException:  # a stop signal too: what the teacher still has, and is paid for, is kept
        for completion in teacher.drain():
            with suppress(PotstillError):  # the writer takes the answer first, and says at its end what it could not commit
                _take(completion, asker, reader, writer, effort)
        raise
    finally:
        effort.seconds = before + time.monotonic() - started
        effort.engine_steps += getattr(teacher, "steps", 0)
        effort.cost = effort.cost if usage is None else usage.cost or None
    writer.flush()
    teacher.committed(asker.answered)


def _take(completion: Completion, asker: Asker, reader: AnswerReader, writer: ShardWriter, effort: Effort) -> None:
    key, task = asker.row_key(completion), asker.task(completion.key)
    if completion.finish_reason not in FAILURES or completion.token_ids:
        writer.add(Answered(completion, key, task))
    if completion.problem and effort.failed < _SHOWN_PROBLEMS:
        stage_logger().warning("generations: a row ended as %s: %s", completion.finish_reason, completion.problem)
    answer = reader.answer(completion, task) if asker.needs_text(completion) else None
    effort.count(completion, asker.advance(completion, key, answer))
