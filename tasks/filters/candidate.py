"""What a filter sees: one answer, with its prompt and where it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.core.records import Message, Split


@dataclass(frozen=True, slots=True)
class Candidate:
    """An answered prompt that may become a training example."""

    id: str
    task: str
    messages: list[Message]
    text: str | None
    completion: str
    reasoning: str | None = None
    """Thinking that came before the answer, if it was kept apart."""
    references: Sequence[str] = ()
    """Accepted answers, the first of them the best; empty: none is known."""
    finish_reason: str = "stop"
    sample_index: int = 0
    turn: int = 0
    split: Split = "train"
    teacher: str | None = None
    """Who gave the answer; None: the user."""
    token_logprobs: np.ndarray | None = None
    """float16 [tokens]: of every token that was sampled; None: not kept, or not asked for."""

    @property
    def asked(self) -> str:
        """The prompt's last words: its text, or the last message before the answer."""
        return self.text if self.text is not None else self.messages[-1]["content"] if self.messages else ""

    def prompt_texts(self) -> list[str]:
        """Return everything that came before the answer: the text, or all messages, earlier answers among them."""
        return [self.text] if self.text is not None else [message["content"] for message in self.messages]
