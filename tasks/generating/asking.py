"""What is still to be asked: the ledger is searched for every answer first, and only what it lacks is fed to a teacher."""

import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tasks.core.fingerprint import fingerprint
from tasks.core.ledger import FAILED, FINISHED, Ledger, Located, limited_key
from tasks.generating.dialogues import Dialogue, Renderer
from tasks.teachers.exchange import Completion, Request

FAILURES = frozenset({"abort", "error", "refused"})
"""Finish reasons of rows that have no answer; they are asked again by the next run."""

_BLOCK_ROWS = 1024  # requests that are rendered together, and ordered so that neighbours share a prefix in the engine's cache


class Asker:
    """A feed of the requests that the ledger has no answer to; give it every completion, for it may bring the next turn."""

    def __init__(self, dialogues: Sequence[Dialogue], renderer: Renderer, ledger: Ledger, max_new_tokens: int) -> None:
        """Search the ledger.

        Args:
            dialogues: What is wanted; their keys, answers and problems are filled in as they become known.
            renderer: Makes requests of them.
            ledger: Where finished answers are.
            max_new_tokens: The limit on an answer; one that another limit cut off, or that is longer, is not taken.

        Raises:
            StoreUnreachableError: If the store does not answer.
        """
        self._renderer, self._ledger, self._limit = renderer, ledger, max_new_tokens
        self._under_way: dict[str, list[Dialogue]] = {}
        self._requests: dict[str, Request] = {}
        self._ready: deque[Request] = deque()
        self._too_long: set[str] = set()  # finished answers that are there, and longer than the limit
        self.answered: set[str] = set()
        """Keys of the requests whose answers are in the ledger, or on their way there."""
        self.waiting = list(self._search(list(dialogues)))[::-1]
        """Dialogues whose present turn has to be asked, the last one first."""
        self.taken_over = 0
        """Rows that another run committed while this one was at work."""

    def take(self) -> Request | None:
        """Return the next request, or None if there is none until a further answer arrives."""
        while True:
            while not self._ready:
                if not self.waiting:
                    return None
                self._prepare(self.waiting[: -_BLOCK_ROWS - 1 : -1])
                del self.waiting[-_BLOCK_ROWS:]
            request = self._ready.popleft()
            waiting = self._under_way[request.key]
            if request.key in self._ledger.taken and all(dialogue.is_last_turn for dialogue in waiting):
                [tokens] = self._ledger.look_up([request.key]).completion_tokens
                if tokens <= self._limit:
                    self.taken_over += len(waiting)
                    self._settle(request.key, request.key)
                    continue
                self._too_long.add(request.key)
            return request

    @property
    def in_flight(self) -> int:
        """Requests that a teacher has taken and not yet answered."""
        return len(self._requests) - len(self._ready)

    def ask_again(self) -> None:
        """Put everything that was under way back to the front: the engine that had it is gone."""
        ready = {request.key for request in self._ready}
        self._ready.extendleft(request for key, request in self._requests.items() if key not in ready)

    def needs_text(self, completion: Completion) -> bool:
        """Return whether an answer's text is needed now, for the turn that follows it."""
        return completion.finish_reason == "stop" and not all(
            dialogue.is_last_turn for dialogue in self._under_way[completion.key]
        )

    def task(self, key: str) -> str:
        """Return the task type of the prompt that a request under way asks."""
        return self._under_way[key][0].prompt["task"]

    def row_key(self, completion: Completion) -> str:
        """Return the key under which an answer is committed: what did not finish counts only under the same limit."""
        if completion.finish_reason in FAILURES:
            return fingerprint([completion.key, completion.finish_reason, uuid.uuid4().hex])
        if completion.finish_reason == "stop" and completion.key not in self._too_long:
            return completion.key
        return limited_key(completion.key, self._limit)

    def advance(self, completion: Completion, row_key: str, answer: str | None) -> int:
        """Take note of a completion; a dialogue ends at its first answer that did not finish.

        Args:
            completion: As the teacher gave it.
            row_key: What ``row_key`` said.
            answer: Its text, if ``needs_text`` said so.

        Returns:
            Rows that it settles.
        """
        if completion.finish_reason in FAILURES:
            return self._settle(completion.key, None, problem=completion.finish_reason)
        return self._settle(completion.key, row_key, answer)

    def _settle(self, key: str, row: str | None, answer: str | None = None, problem: str | None = None) -> int:
        self._requests.pop(key)
        settled = self._under_way.pop(key)
        for dialogue in settled:
            last = dialogue.is_last_turn
            if row is None:
                dialogue.problem = problem
                continue
            self.answered.add(key)
            dialogue.keys.append(row)
            if not last and answer is not None:
                dialogue.answers.append(answer)
                self._prepare([dialogue])
        return len(settled)

    def _prepare(self, dialogues: Iterable[Dialogue]) -> None:
        """Render a block; dialogues that ask the very same share one request."""
        block: list[Request] = []
        for dialogue in dialogues:
            request = self._renderer.request(dialogue)
            if isinstance(request, str):
                dialogue.problem = request
            elif request.key in self._under_way:
                self._under_way[request.key].append(dialogue)
            else:
                self._under_way[request.key], self._requests[request.key] = [dialogue], request
                block.append(request)
        self._ready.extend(sorted(block, key=lambda request: request.prompt_token_ids))

    def _search(self, frontier: list[Dialogue]) -> Iterator[Dialogue]:
        """Yield the dialogues whose present turn is not in the ledger; one round a turn, for an answer decides the next key."""
        while frontier:
            askable: list[tuple[Dialogue, str]] = []
            for dialogue in frontier:
                request = self._renderer.request(dialogue)
                if isinstance(request, str):
                    dialogue.problem = request
                else:  # the token ids are not kept: those of all prompts at once would fill the memory
                    askable.append((dialogue, request.key))
            located = self._ledger.look_up([key for _, key in askable])
            finished = located.found & (located.state == FINISHED) & (located.completion_tokens <= self._limit)
            too_long = located.found & (located.state == FINISHED) & ~finished
            self._too_long.update(askable[position][1] for position in np.flatnonzero(too_long))
            unfinished = [pair for pair, there in zip(askable, finished, strict=True) if not there]
            cut = self._ledger.look_up([limited_key(key, self._limit) for _, key in unfinished])
            there = cut.found & (cut.state != FAILED)
            limited = [(dialogue, key, limited_key(key, self._limit)) for dialogue, key in unfinished]
            yield from (dialogue for (dialogue, *_), found in zip(limited, there, strict=True) if not found)
            whole = [(dialogue, key, key) for dialogue, key in askable]
            frontier = [*self._find(whole, located, finished), *self._find(limited, cut, there)]

    def _find(self, rows: list[tuple[Dialogue, str, str]], located: Located, there: np.ndarray) -> Iterator[Dialogue]:
        """Take note of the rows that are there and yield the dialogues that go on after them, with the answer they need.

        Args:
            rows: Dialogue, its request's key, the key of the row.
            located: Where the rows are.
            there: Which of them count.
        """
        goes_on = np.zeros(len(rows), dtype=bool)
        for position in np.flatnonzero(there):
            dialogue, key, row = rows[position]
            goes_on[position] = located.state[position] == FINISHED and not dialogue.is_last_turn
            self.answered.add(key)
            dialogue.keys.append(row)
        for positions, answers in self._ledger.read(located.only(goes_on)):
            for position, answer in zip(positions, answers["answer"].to_pylist(), strict=True):
                rows[position][0].answers.append(answer)
                yield rows[position][0]
