"""A teacher that says what it is told to, a tokenizer of characters, and a ledger in a folder: generation without an engine."""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from tasks.core.ledger import Ledger
from tasks.core.records import GENERATIONS, Generation, Message, Prompt, with_logprobs
from tasks.generating.asking import Asker
from tasks.generating.dialogues import Dialogue, Renderer
from tasks.generating.prompting import PromptingSettings
from tasks.generating.reading import AnswerReader
from tasks.generating.shards import Answered
from tasks.teachers.exchange import Completion, Feed, Request
from tasks.teachers.settings import LogprobSettings, Sampling

LIMIT = 8


class CharacterTokenizer:
    """Every character is a token; a conversation is its messages, line by line."""

    chat_template = "lines"
    name_or_path = "characters"

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [ord(character) for character in text]}

    def apply_chat_template(self, messages: list[Message], **_: Any) -> dict[str, list[int]]:
        return self("\n".join(message["content"] for message in messages))

    def batch_decode(self, answers: list[list[int]], **_: Any) -> list[str]:
        return ["".join(map(chr, token_ids)) for token_ids in answers]


class ScriptedTeacher:
    """Gives each prompt its answer, one request at a time; an answer longer than the limit is cut."""

    def __init__(self, answers: dict[str, str], limit: int = LIMIT, failures: dict[str, str] | None = None) -> None:
        self._answers, self._limit, self._failures = answers, limit, failures or {}
        self.asked: list[str] = []

    def stream(self, feed: Feed) -> Iterator[Completion]:
        while (request := feed.take()) is not None:
            prompt = "".join(map(chr, request.prompt_token_ids))
            self.asked.append(prompt)
            yield self._completion(request, prompt)

    def drain(self) -> list[Completion]:
        return []

    def committed(self, keys: AbstractSet[str]) -> None:
        pass

    def _completion(self, request: Request, prompt: str) -> Completion:
        if prompt in self._failures:
            return Completion(request.key, [], self._failures[prompt])
        token_ids = [ord(character) for character in self._answers[prompt]]
        reason = "stop" if len(token_ids) < self._limit else "length"
        token_ids = token_ids[: self._limit]
        return Completion(
            request.key, token_ids, reason, prompt_tokens=len(request.prompt_token_ids), completion_tokens=len(token_ids)
        )


def texts(*prompts: str) -> list[Prompt]:
    """Return prompts that are plain texts."""
    return [_prompt(text, [], text) for text in prompts]


def conversation(*contents: str) -> Prompt:
    """Return a prompt that is a conversation, in which user and assistant take turns."""
    roles = ("user", "assistant")
    messages = [Message(role=roles[place % 2], content=content) for place, content in enumerate(contents)]
    return _prompt("-".join(contents), messages, None)


def open_ledger(folder: Path, width: int | None = None) -> Ledger:
    """Return a ledger in a folder; every call is like a run of its own."""
    return Ledger(str(folder), {"teacher": "scripted"}, with_logprobs(GENERATIONS, width))


def ask(ledger: Ledger, prompts: list[Prompt], *, limit: int = LIMIT, samples: int = 1) -> tuple[Asker, list[Dialogue]]:
    """Return a feed of what the ledger lacks, and the dialogues that it fills in."""
    sampling, prompting = Sampling(max_new_tokens=limit, max_prompt_tokens=40), PromptingSettings(turns="all")
    renderer = Renderer(ledger.namespace, CharacterTokenizer(), sampling, prompting)
    dialogues = renderer.dialogues(prompts, samples)
    return Asker(dialogues, renderer, ledger, limit), dialogues


def reader(logprobs: LogprobSettings | None = None) -> AnswerReader:
    """Return what reads the scripted teacher's completions."""
    table = with_logprobs(GENERATIONS, None if logprobs is None else logprobs.width)
    return AnswerReader("scripted", CharacterTokenizer(), PromptingSettings(), logprobs, table, None)


def answer(
    ledger: Ledger, asker: Asker, teacher: ScriptedTeacher, after: Callable[[int], None] = lambda number: None
) -> list[Generation]:
    """Let a teacher answer, commit every answer by itself and return the rows; ``after`` is called after each with its number."""
    reads, committed = reader(), []
    for number, completion in enumerate(teacher.stream(asker)):
        key = asker.row_key(completion)
        rows = reads.rows([Answered(completion, key, asker.task(completion.key))])
        committed += rows
        ledger.commit(rows)
        asker.advance(completion, key, rows[0]["answer"] if asker.needs_text(completion) else None)
        after(number)
    return committed


def _prompt(identifier: str, messages: list[Message], text: str | None) -> Prompt:
    return Prompt(id=identifier, messages=messages, text=text, references=[], task="CONVERSATION", split="train", tags=[])
