"""Lengths in the student's tokens: counted in batches, and not counted where a row surely fits."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tasks.core.records import Message
from tasks.core.rendering import render_example
from tasks.filters import Candidate

_PLAIN_MARGIN = 4  # tokens that a tokenizer puts around plain text: its start, a space before the first word, the end of turn
_PROBE = "a"


class StudentTokens:
    """Counts as ``render_example`` renders; the tokenizer is loaded when it is first needed."""

    def __init__(self, weights: Path) -> None:
        """Count with the tokenizer of a model's folder."""
        self._weights = weights
        self._overheads: dict[tuple[str, ...], int] = {}

    def answers(self, candidates: Sequence[Candidate]) -> list[int]:
        """Return the length of every answer, with whatever ends a turn."""
        return [answer for _, answer in self._count(candidates)]

    def rows(self, candidates: Sequence[Candidate]) -> list[int]:
        """Return the length of every prompt with its answer."""
        return [prompt + answer for prompt, answer in self._count(candidates)]

    def bound(self, candidate: Candidate) -> float:
        """Return a length that a row does not exceed; infinite if only counting can tell.

        No token of ASCII text is shorter than a character. What a chat template adds depends on the roles alone.
        """
        texts = [candidate.completion, *candidate.prompt_texts()]
        if not all(map(str.isascii, texts)):
            return float("inf")
        return sum(map(len, texts)) + (_PLAIN_MARGIN if candidate.text is not None else self._overhead(candidate.messages))

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(self._weights)
        tokenizer(_PROBE)  # a first call sets what is cut, padded and special, for ``_encode`` too
        return tokenizer

    def _overhead(self, messages: Sequence[Message]) -> int:
        roles = tuple(message["role"] for message in messages)
        if roles not in self._overheads:
            probe = [Message(role=role, content=_PROBE) for role in roles]
            self._overheads[roles] = sum(map(len, render_example(self._tokenizer, probe, None, _PROBE)))
        return self._overheads[roles]

    def _count(self, candidates: Sequence[Candidate]) -> list[tuple[int, int]]:
        """Return the lengths of every prompt and answer."""
        counted: list[tuple[int, int]] = [(0, 0)] * len(candidates)
        for count, is_plain in ((self._count_plain, True), (self._count_chats, False)):
            places = [place for place, candidate in enumerate(candidates) if (candidate.text is not None) == is_plain]
            if places:
                for place, lengths in zip(places, count([candidates[place] for place in places]), strict=True):
                    counted[place] = lengths
        return counted

    def _count_plain(self, candidates: Sequence[Candidate]) -> list[tuple[int, int]]:
        prompts = self._encode([candidate.text or "" for candidate in candidates], add_special_tokens=True)
        answers = self._encode([candidate.completion for candidate in candidates])
        return [(len(prompt), len(answer) + 1) for prompt, answer in zip(prompts, answers, strict=True)]

    def _count_chats(self, candidates: Sequence[Candidate]) -> list[tuple[int, int]]:
        for candidate in candidates:
            self._overhead(candidate.messages)  # tells what is wrong with the template, if anything is
        template = self._tokenizer.apply_chat_template
        asked = [template(candidate.messages, tokenize=False, add_generation_prompt=True) for candidate in candidates]
        answered = [
            template([*candidate.messages, Message(role="assistant", content=candidate.completion)], tokenize=False)
            for candidate in candidates
        ]
        prompts, wholes = map(self._encode, (asked, answered))
        return [
            (len(prompt), len(whole) - len(prompt)) if whole[: len(prompt)] == prompt else self._count_apart(candidate)
            for candidate, prompt, whole in zip(candidates, prompts, wholes, strict=True)
        ]

    def _count_apart(self, candidate: Candidate) -> tuple[int, int]:
        prompt, answer = render_example(self._tokenizer, candidate.messages, None, candidate.completion)
        return len(prompt), len(answer)

    def _encode(self, texts: list[str], add_special_tokens: bool = False) -> list[list[int]]:
        """Return the token ids of texts; a tokenizer that is not all Python gives them in half the time without their places."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if backend is None:
            return self._tokenizer(texts, add_special_tokens=add_special_tokens)["input_ids"]
        return [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=add_special_tokens)]
