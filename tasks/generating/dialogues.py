"""Which answers a run wants: one for every prompt, sample and assistant turn, each with its key in the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.core.errors import RefusedConversationError
from tasks.core.ledger import row_key, row_seed
from tasks.core.records import Message, Prompt
from tasks.core.rendering import render_prompt
from tasks.generating.prompting import PromptingSettings, asked_messages, asked_text
from tasks.generating.turns import assistant_turns, with_answers
from tasks.teachers.exchange import Request
from tasks.teachers.settings import Sampling

OVER_LONG = "over_long_prompt"
REFUSED_BY_TEMPLATE = "refused_by_template"


@dataclass(slots=True)
class Dialogue:
    """One prompt and sample: the turns that are to be answered, and the answers so far."""

    prompt: Prompt
    index: int
    """Position of the prompt in the prompts' table."""
    sample: int
    turns: list[int]
    """Lengths of the prefixes of the conversation that are to be answered, in order."""
    answers: list[str] = field(default_factory=list)
    """Of the turns before the present one."""
    keys: list[str] = field(default_factory=list)
    """Rows in the ledger that hold the answers, one a turn."""
    problem: str | None = None
    """Why it ends without an answer to its present turn; None while it goes on."""

    @property
    def turn(self) -> int:
        """The turn that is to be answered next."""
        return len(self.keys)

    @property
    def is_last_turn(self) -> bool:
        """Whether the answer to the present turn is the last one."""
        return self.turn + 1 >= len(self.turns)

    def context(self, turn: int) -> list[Message]:
        """Return the conversation up to a turn, with the teacher's own answers in the earlier ones."""
        return with_answers(self.prompt["messages"], self.turns[: turn + 1], self.answers[:turn])


class Renderer:
    """Makes a teacher's requests out of dialogues: the same dialogue always becomes the same request."""

    def __init__(self, namespace: str, tokenizer: Any, sampling: Sampling, prompting: PromptingSettings) -> None:
        """Keep what decides a request.

        Args:
            namespace: The ledger's namespace; part of every key.
            tokenizer: The teacher's; None for an endpoint, which renders prompts itself.
            sampling: Has the limit on a prompt's length.
            prompting: What the teacher is told beside the prompt.
        """
        self._namespace, self._tokenizer, self._sampling, self._prompting = namespace, tokenizer, sampling, prompting

    def dialogues(self, prompts: Sequence[Prompt], samples: int) -> list[Dialogue]:
        """Return a dialogue for every prompt and sample, in order."""
        return [
            Dialogue(prompt, index, sample, assistant_turns(prompt["messages"], self._prompting))
            for index, prompt in enumerate(prompts)
            for sample in range(samples)
        ]

    def request(self, dialogue: Dialogue) -> Request | str:
        """Return the request for a dialogue's present turn, or the reason why there is none."""
        prompt = dialogue.prompt
        messages, text = asked_messages(dialogue.context(dialogue.turn), prompt["task"], self._prompting), prompt["text"]
        if text is not None:
            text = asked_text(text, prompt["task"], self._prompting)
        token_ids: list[int] = []
        if self._tokenizer is not None:
            kwargs = self._prompting.chat_template_kwargs
            try:
                token_ids = render_prompt(self._tokenizer, messages, text, chat_template_kwargs=kwargs)
            except RefusedConversationError:
                return REFUSED_BY_TEMPLATE
            limit = self._sampling.max_prompt_tokens
            if len(token_ids) > limit:
                if self._prompting.over_long_prompts == "set_aside":
                    return OVER_LONG
                token_ids = token_ids[-limit:]
        key = row_key(self._namespace, token_ids or [list(messages), text], dialogue.sample)
        return Request(key, token_ids, row_seed(key), tuple(messages), text)
