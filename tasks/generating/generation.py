"""One teacher at work on a part of the prompts: what is wanted, what the ledger has, and answering the rest."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tasks.core.artifact import Artifact, read_record
from tasks.core.attempts import Figures
from tasks.core.errors import StageFailedError
from tasks.core.ledger import Ledger
from tasks.core.progress import Progress
from tasks.core.records import GENERATIONS, PROMPTS, Prompt, with_logprobs
from tasks.core.storage import open_store
from tasks.core.tables import read_table
from tasks.generating.answering import Effort, answer_all
from tasks.generating.asking import FAILURES, Asker
from tasks.generating.dialogues import Dialogue, Renderer
from tasks.generating.opening import open_teacher
from tasks.generating.reading import AnswerReader
from tasks.generating.settings import GenerationsSettings, Selection
from tasks.generating.shards import ShardWriter
from tasks.generating.spans import Span
from tasks.generating.spill import Spill
from tasks.teachers.identity import endpoint_of, load_tokenizer, teacher_identity, teacher_name, vocabulary_size

_ENGINE_ERRORS = frozenset({"abort", "error"})  # they say nothing about a row: the engine is broken


class Failure(NamedTuple):
    """A row without an answer."""

    prompt_id: str
    sample: int
    reason: str
    """The finish reason that the teacher gave."""


class Generation:
    """The answers that one teacher owes, or those of one partition."""

    def __init__(
        self, settings: GenerationsSettings, store: str, prompts: Artifact, teacher: Artifact, span: Span | None = None
    ) -> None:
        """Find out what the ledger lacks.

        Args:
            settings: How the teacher answers.
            store: URL of the artefact store.
            prompts: A ``prompts`` artefact; its training and validation prompts are answered.
            teacher: A ``model`` or ``student`` artefact.
            span: The partition; None: all prompts.
        """
        self._settings, self._store, self._teacher = settings, store, teacher
        self.is_endpoint = endpoint_of(teacher) is not None
        self._labels = tuple(read_record(prompts).summary["labels"])
        self._tokenizer = load_tokenizer(teacher)
        self._table = with_logprobs(GENERATIONS, settings.logprobs_width)
        columns = self._table.schema.names  # a release with other columns keeps rows of its own beside these
        identity = {"teacher": teacher_identity(teacher), "columns": columns, **settings.row_identity(self._labels)}
        self.ledger = Ledger(store, identity, self._table)
        self._spill = Spill(open_store(store), self.ledger.namespace, self._table)
        self._spill.commit_to(self.ledger)  # before the ledger is searched for what is missing
        renderer = Renderer(self.ledger.namespace, self._tokenizer, settings.sampling, settings.prompting)
        self.prompts = [row for row in read_table(prompts, PROMPTS) if _is_asked(row, settings.only, span)]
        self.dialogues: Sequence[Dialogue] = renderer.dialogues(self.prompts, settings.samples_per_prompt)
        self._asker = Asker(self.dialogues, renderer, self.ledger, settings.sampling.new_tokens)
        self.rows = sum(len(dialogue.turns) for dialogue in self.dialogues)
        """Answers that are wanted."""
        self.reused = sum(len(dialogue.keys) for dialogue in self.dialogues)
        """Answers that the ledger had."""
        self.unanswered = [dialogue.prompt["id"] for dialogue in self._asker.waiting]
        """Ids of the prompts that are still to be asked, once for every sample."""
        self._found = len(self._asker.answered)
        self._writer: ShardWriter | None = None

    def answer(self) -> Effort:
        """Let the teacher answer what the ledger lacks.

        Raises:
            SettingsError: If the store lets racing runs overwrite each other.
            StageFailedError: If the engine died too often or failed a row, or an endpoint failed too many; finished rows are
                kept.
        """
        progress = Progress("generations: rows", self.rows, done=self.reused)
        if not self.unanswered:
            return Effort()
        open_store(self._store).require_create_only()  # before anything is paid for
        settings, runtime = self._settings, self._settings.runtime
        reader = AnswerReader(
            teacher_name(self._teacher),
            self._tokenizer,
            settings.prompting,
            settings.logprobs,
            self._table,
            vocabulary_size(self._teacher),
        )
        with ShardWriter(self.ledger, self._spill, reader.rows, runtime.shard_rows, runtime.shard_seconds) as writer:
            self._writer = writer
            effort = answer_all(
                lambda: open_teacher(self._teacher, settings, self._labels, open_store(self._store), self.ledger.namespace),
                self._asker,
                reader,
                writer,
                progress,
                runtime.engine_restarts,
            )
        lost = sum(dialogue.problem in _ENGINE_ERRORS for dialogue in self.dialogues)
        if lost and not self.is_endpoint:
            raise StageFailedError(f"{lost} of {self.rows} rows ended in an engine error; run again, the rest is kept")
        return effort

    def figures(self) -> Figures:
        """Return how many different answers there are by now, and how many of them are in the ledger or wait for it."""
        if self._writer is None:
            return Figures(self._found, self._found)
        taken, kept = self._writer.taken, self._writer.kept
        return Figures(self._found + taken, self._found + min(kept, taken))  # a shard that was slow may be kept twice

    def failures(self) -> list[Failure]:
        """Return the rows that the teacher gave no answer to."""
        return [
            Failure(dialogue.prompt["id"], dialogue.sample, dialogue.problem)
            for dialogue in self.dialogues
            if dialogue.problem in FAILURES
        ]

    def take_note(self, failures: Iterable[Failure]) -> None:
        """Set rows aside that partitions asked in vain: they are not missing."""
        reasons = {(failure.prompt_id, failure.sample): failure.reason for failure in failures}
        for dialogue in self._asker.waiting:
            dialogue.problem = reasons.get((dialogue.prompt["id"], dialogue.sample))
        self.unanswered = [dialogue.prompt["id"] for dialogue in self._asker.waiting if dialogue.problem is None]


def _is_asked(prompt: Prompt, only: Selection | None, span: Span | None) -> bool:
    if prompt["split"] == "test" or (span is not None and prompt["id"] not in span):
        return False
    if only is None:
        return True
    value = prompt["task"] if only.field == "task" else dict(prompt["tags"]).get(only.field)
    return (value in only.values) != only.others
