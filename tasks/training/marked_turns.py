"""Which tokens of a conversation the assistant wrote, for training on all of its turns.

A chat template with `{% generation %}` around the assistant's words tells where they are; those that models bring along have no
such marks. So a marked template stands in for a model's own, and only where both render the same text. To add one for another
family, put a .jinja file into `templates`; what ends a turn belongs inside the marks, or the student never learns to stop.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from tasks.core.errors import ModelError, RefusedConversationError, SettingsError
from tasks.core.records import Message

_TEMPLATES = Path(__file__).parent / "templates"
_ANSWER = "It is hot."


def _conversation(*turns: str, system: str | None = None) -> list[Message]:
    roles = ("user", "assistant")
    messages = [Message(role=roles[number % 2], content=turn) for number, turn in enumerate(turns)]
    return messages if system is None else [Message(role="system", content=system), *messages]


_PROBES = (
    _conversation("Is a still hot?", _ANSWER),
    _conversation("Is a still hot?", _ANSWER, system="Answer with one word."),
    _conversation("Is a still hot?", _ANSWER, "And the spirit?", "Warm.", "Why?", "It condensed."),
    _conversation("ü 漢 🥃", "naïve ½ «ok» 🙂", "\n\n  spaces ", "  \n four\n\n ", "", "", system=" \n system \n"),
    _conversation("Is a still hot?", "", system=""),
    _conversation("Is a still hot?", _ANSWER, "And the spirit?"),
)
"""Conversations on which a marked template must render like the model's own."""


class TurnMarker:
    """Renders conversations and marks the tokens of every assistant turn; made once for a tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        """Find a marked template that renders like the tokenizer's own.

        Args:
            tokenizer: A Transformers tokenizer with a chat template.

        Raises:
            SettingsError: If no marked template does.
        """
        self._tokenizer = tokenizer
        own = _render_probes(tokenizer)
        for template in _candidates(tokenizer):
            if _render_probes(tokenizer, chat_template=template) == own and _marks_the_end_of_a_turn(tokenizer, template):
                self._template = template
                return
        raise SettingsError(
            f"training.turns is all, and no marked chat template renders like that of {tokenizer.name_or_path}; wanted one "
            f"that differs from it in nothing but generation marks; set training.turns: last, or add one to {_TEMPLATES}"
        )

    def mark(self, messages: list[Message]) -> tuple[list[int], list[int]]:
        """Return a whole conversation's tokens and which of them the assistant wrote.

        White space at the start of an answer may merge with the last token of the header before it. There the two stay apart, as
        the model sees them when it answers; everything else is tokenised as the tokenizer's own template has it.

        Args:
            messages: The conversation, with all its answers.

        Returns:
            Token ids and a mask, of the same length. The mask is 1 on the content of all assistant turns and on what ends them,
            and 0 on their headers and everything else.

        Raises:
            ModelError: If the marked template does not render this conversation as the tokenizer's own does.
            RefusedConversationError: If the tokenizer's own template refuses the conversation.
        """
        own = _render(self._tokenizer, messages)
        if own is None:
            raise RefusedConversationError(
                f"the chat template of {self._tokenizer.name_or_path} refuses a conversation of the roles {_roles(messages)}; "
                "leave out prompts.system or the turns that it does not know, or use a model whose template takes them"
            )
        text, spans = _render_marked(self._tokenizer, self._template, messages)
        ids: list[int] = []
        mask: list[int] = []
        unsplit: list[int] = []
        position = 0
        for start, end in spans:  # each ends with an end of turn, a token of its own, so the text can be cut there
            turn, header = self._encode(text[position:end]), self._encode(text[position:start])
            answer = turn[len(header) :] if turn[: len(header)] == header else self._encode(text[start:end])
            ids += header + answer
            mask += [0] * len(header) + [1] * len(answer)
            unsplit += turn
            position = end
        rest = self._encode(text[position:])
        if unsplit + rest != self._encode(own):
            raise ModelError(
                f"the marked chat template found for {self._tokenizer.name_or_path} does not render a conversation of the roles "
                f"{_roles(messages)} as its own does, token for token; set training.turns: last, or mend the one in {_TEMPLATES}"
            )
        return ids + rest, mask + [0] * len(rest)

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def _candidates(tokenizer: Any) -> Iterator[str]:
    from trl.chat_template_utils import get_training_chat_template

    with suppress(ValueError):  # TRL does not know the tokenizer's template
        yield get_training_chat_template(tokenizer) or tokenizer.get_chat_template()
    for file in sorted(_TEMPLATES.glob("*.jinja")):
        yield file.read_text(encoding="utf-8")


def _render(tokenizer: Any, messages: list[Message], **variables: Any) -> str | None:
    """Return a conversation's text, or None if the template refuses it."""
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, **variables)
    except TemplateError:
        return None


def _render_probes(tokenizer: Any, **variables: Any) -> list[str | None]:
    return [_render(tokenizer, probe, add_generation_prompt=asked, **variables) for probe in _PROBES for asked in (False, True)]


def _render_marked(tokenizer: Any, template: str, messages: list[Message]) -> tuple[str, list[tuple[int, int]]]:
    """Return a conversation's text and where in it the assistant's words are.

    The mask of ``apply_chat_template`` will not do: where a token holds the end of a header and the start of an answer, it has
    the header in it.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    conversations: list[Any] = [messages]
    rendered: Any = render_jinja_template(
        conversations, chat_template=template, return_assistant_tokens_mask=True, **tokenizer.special_tokens_map
    )
    texts, spans = rendered
    return texts[0], spans[0]


def _marks_the_end_of_a_turn(tokenizer: Any, template: str) -> bool:
    text, spans = _render_marked(tokenizer, template, _PROBES[0])
    marked = "".join(text[start:end] for start, end in spans).strip()
    return marked.startswith(_ANSWER) and marked != _ANSWER


def _roles(messages: list[Message]) -> list[str]:
    return [message["role"] for message in messages]
