"""From a teacher's completions to rows of the ledger: decoded in batches, thinking and answer kept apart, checked."""

from typing import Any

import numpy as np

from tasks.core.ledger import row_seed
from tasks.core.logprobs import check_logprobs
from tasks.core.records import Generation, Table
from tasks.core.tables import to_arrow
from tasks.generating.prompting import PromptingSettings, read_answer
from tasks.generating.reasoning import ReasoningSplitter
from tasks.generating.shards import Answered
from tasks.teachers.exchange import Completion, TokenLogprobs
from tasks.teachers.settings import LogprobSettings


class AnswerReader:
    """Reads one teacher's completions."""

    def __init__(
        self,
        teacher: str,
        tokenizer: Any,
        prompting: PromptingSettings,
        logprobs: LogprobSettings | None,
        table: Table,
        vocabulary: int | None,
    ) -> None:
        """Keep what decides how a completion is read.

        Args:
            teacher: Its name, kept in every row.
            tokenizer: The teacher's; None for an endpoint, which sends text.
            prompting: What the teacher was told, and so what to look for.
            logprobs: Which log-probabilities the completions bring.
            table: The ledger's schema.
            vocabulary: Token ids that the teacher knows; None: unknown.

        Raises:
            SettingsError: If there is no such reasoning parser, or it does not fit the tokenizer.
        """
        self._teacher, self._tokenizer, self._prompting = teacher, tokenizer, prompting
        self._logprobs, self._table, self._vocabulary = logprobs, table, vocabulary
        self._splitter: ReasoningSplitter | None = None
        if prompting.reasoning_parser is not None and tokenizer is not None:
            self._splitter = ReasoningSplitter(prompting.reasoning_parser, tokenizer, prompting.chat_template_kwargs)

    def answer(self, completion: Completion, task: str) -> str:
        """Return the text of one answer, for the turn that follows it."""
        return self._parts(completion, self._texts([completion])[0], task)[0]

    def rows(self, shard: list[Answered]) -> list[Generation]:
        """Return completions as rows of the ledger.

        Raises:
            DataError: If log-probabilities do not fit their tokens.
        """
        texts = self._texts([answered.completion for answered in shard])
        rows = [self._row(answered, text) for answered, text in zip(shard, texts, strict=True)]
        if self._logprobs is not None:
            check_logprobs(to_arrow(self._table, rows), self._vocabulary, self._logprobs.draws)
        return rows

    def _texts(self, completions: list[Completion]) -> list[str]:
        """Return the texts, decoded in one batch where the teacher sent token ids only."""
        silent = [completion.token_ids for completion in completions if completion.text is None]
        decoded = iter(self._tokenizer.batch_decode(silent, skip_special_tokens=True) if silent and self._tokenizer else [])
        return [next(decoded, "") if completion.text is None else completion.text for completion in completions]

    def _parts(self, completion: Completion, text: str, task: str) -> tuple[str, str | None]:
        """Return answer and reasoning."""
        reasoning = completion.reasoning
        if self._splitter is not None:
            text, reasoning = self._splitter.split(completion.token_ids)
        answer, steps = read_answer(text, task, self._prompting)
        return answer, "\n".join(part for part in (reasoning, steps) if part) or None

    def _row(self, answered: Answered, text: str) -> Generation:
        completion = answered.completion
        answer, reasoning = self._parts(completion, text, answered.task)
        row = Generation(
            key=answered.row_key,
            teacher=self._teacher,
            answer=answer,
            reasoning=reasoning,
            token_ids=completion.token_ids,
            finish_reason=completion.finish_reason,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            seed=row_seed(completion.key),
        )
        if self._logprobs is not None:
            row |= _columns(completion, self._logprobs.width)
        return row


def _columns(completion: Completion, width: int) -> Any:
    """Return the log-probability columns of a row; an answer without tokens has empty ones."""
    kept = completion.logprobs or TokenLogprobs(
        np.zeros(0, np.float16), np.zeros((0, width), np.uint32), np.zeros((0, width), np.float16)
    )
    columns = {"token_logprobs": kept.sampled}
    return columns | ({"top_ids": kept.top_ids, "top_logprobs": kept.top} if width else {})
