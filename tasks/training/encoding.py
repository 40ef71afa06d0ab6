"""From an example to the tokens that are trained on, and which of them count in the loss.

The text methods render the answer with the student's own template. The methods that train on stored log-probabilities take the
teacher's own tokens instead: its distributions are about these and no others.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.core.logprobs import NO_PROBABILITY
from tasks.core.records import Example, Message
from tasks.core.rendering import render_example, render_prompt
from tasks.training.marked_turns import TurnMarker
from tasks.training.settings import LOGPROB_METHODS, TrainingSettings

NO_LOGPROBS, OTHER_TOKENS, REASONING, TOO_LONG = "no_logprobs", "other_tokens", "reasoning_not_trained_on", "too_long"
"""Why a row cannot be trained on."""


@dataclass
class EncodedRow:
    """One row of training.

    ``counted`` marks the tokens whose prediction counts in the loss. ``top_ids`` (uint32) and ``top_logprobs`` (float16) are the
    teacher's candidates in the places of these tokens, [counted tokens, width]; None for the text methods.
    """

    input_ids: list[int]
    counted: list[bool]
    top_ids: np.ndarray | None = None
    top_logprobs: np.ndarray | None = None
    cut_tokens: int = 0


class Encoder:
    """Encodes examples for one student and one method."""

    def __init__(self, tokenizer: Any, end_ids: set[int], settings: TrainingSettings) -> None:
        """Prepare for many rows.

        Args:
            tokenizer: The student's Transformers tokenizer.
            end_ids: Token ids that end an answer, as the student's generation stops at them.
            settings: How the student is trained.

        Raises:
            SettingsError: If every turn is to be trained on and no marked template renders like the student's own.
        """
        self._tokenizer, self._end_ids, self._settings = tokenizer, end_ids, settings
        self._marker = TurnMarker(tokenizer) if settings.turns == "all" and tokenizer.chat_template else None

    def encode(self, row: Example) -> EncodedRow | str:
        """Return a row's tokens, or the reason why it cannot be trained on.

        Raises:
            ModelError: If the student's chat template renders this conversation in a way that cannot be trained on.
        """
        encoded = self._from_tokens(row) if self._settings.method in LOGPROB_METHODS else self._from_text(row)
        return encoded if isinstance(encoded, str) else self._within_limit(encoded)

    def _from_text(self, row: Example) -> EncodedRow:
        completion = row["completion"]
        if self._settings.train_on == "reasoning_and_answer" and row["reasoning"]:
            completion = f"<think>\n{row['reasoning']}\n</think>\n\n{completion}"
        if self._marker is not None and row["text"] is None:
            ids, mask = self._marker.mark([*row["messages"], Message(role="assistant", content=completion)])
            return EncodedRow(ids, [bool(place) for place in mask])
        prompt, answer = render_example(self._tokenizer, row["messages"], row["text"], completion)
        if row["finish_reason"] == "length":  # to end here is not what the teacher did
            ends = [place for place, token in enumerate(answer) if token in self._end_ids]
            answer = answer[: ends[-1]] if ends else answer
        return EncodedRow(prompt + answer, [False] * len(prompt) + [True] * len(answer))

    def _from_tokens(self, row: Example) -> EncodedRow | str:
        ids, logprobs, answer = row.get("top_ids"), row.get("top_logprobs"), list(row["token_ids"])
        if ids is None or logprobs is None or not answer:
            return NO_LOGPROBS
        if row["reasoning"] is not None and self._settings.train_on == "answer":
            return REASONING
        said = "".join(self._tokenizer.decode(answer, skip_special_tokens=True).split())
        wanted = "".join(row["completion"].split())
        if not said.endswith(wanted) or (row["reasoning"] is None and said != wanted):
            return OTHER_TOKENS
        foreign = ids >= len(self._tokenizer)  # of the padding that a teacher's embedding may have more of
        ids, logprobs = (
            np.where(foreign, 0, ids).astype(ids.dtype),
            np.where(foreign, NO_PROBABILITY, logprobs).astype(logprobs.dtype),
        )
        is_whole = row["finish_reason"] != "length"
        if is_whole and answer[-1] not in self._end_ids and (end := self._end_token(row)) is not None:
            answer.append(end)  # a stop text or an endpoint has kept it; the teacher's distribution there is not known
            ids = np.vstack([ids, np.zeros((1, ids.shape[1]), ids.dtype)])
            logprobs = np.vstack([logprobs, np.full((1, logprobs.shape[1]), NO_PROBABILITY, logprobs.dtype)])
        prompt = render_prompt(self._tokenizer, row["messages"], row["text"])
        return EncodedRow(prompt + answer, [False] * len(prompt) + [True] * len(answer), ids, logprobs)

    def _end_token(self, row: Example) -> int | None:
        """Return what the student's template puts at the end of an answer, or None if its answers have no end."""
        _, answer = render_example(self._tokenizer, row["messages"], row["text"], row["completion"])
        return next((token for token in reversed(answer) if token in self._end_ids), None)

    def _within_limit(self, row: EncodedRow) -> EncodedRow | str:
        if not row.counted[0]:
            pass
        elif row.top_ids is not None and row.top_logprobs is not None:  # nothing comes before it that could predict it
            row.top_ids, row.top_logprobs = row.top_ids[1:], row.top_logprobs[1:]
        row.counted[0] = False
        limit = self._settings.max_length_tokens
        if limit is not None and len(row.input_ids) > limit:
            if self._settings.over_long_rows == "set_aside" or not any(row.counted[:limit]):
                return TOO_LONG
            row.cut_tokens = len(row.input_ids) - limit
            row.input_ids, row.counted = row.input_ids[:limit], row.counted[:limit]
            if row.top_ids is not None and row.top_logprobs is not None:
                kept = sum(row.counted)
                row.top_ids, row.top_logprobs = row.top_ids[:kept], row.top_logprobs[:kept]
        return row if any(row.counted) else TOO_LONG
