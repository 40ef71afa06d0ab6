"""What a teacher is asked beside the prompt, and which part of what it writes is its answer.

Instructions are for the teacher alone: the student is trained on the plain prompt and the answer.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, field_validator

from tasks.core.records import Message
from tasks.core.section import Section
from tasks.metrics.answer_line import ANSWER_MARKER, split_at_last
from tasks.task_types import TASK_TYPES

_SET_BY_RENDERING = frozenset(
    {"conversation", "messages", "chat_template", "add_generation_prompt", "continue_final_message", "tokenize", "return_dict"}
    | {"return_tensors", "padding", "truncation", "max_length", "tokenizer_kwargs"}
)
_GUIDED_TOKENS = 1024
_THINKING_TOKENS = 8192

_THOUGHT = (
    "Reason step by step first. Then end with one line that starts with 'Answer:', followed by the final answer "
    "in the form that was asked for and by nothing else."
)
_DENSITY = (
    "Write five summaries that become denser. The first has about {words} words and says little that is specific. Each of the "
    "next four rewrites the one before it: it adds one to three entities of the text that were missing, keeps all the earlier "
    "ones, and by fusing and compressing sentences stays at the same length, at most {words} words. Write every summary on "
    "a line of its own that starts with 'Summary:', and nothing else."
)
_SUMMARY_MARKER = re.compile(r"^[ \t#*]*summary[ ]?\d?[ *]*:\**", re.IGNORECASE | re.MULTILINE)  # models number them


class PromptingSettings(Section):
    """How the teacher is asked, and what is kept of what it writes."""

    enable_chain_of_thought: bool = False
    """Tell the teacher to reason before it answers rows of the tasks NLI, NLU_QA, MATH and CLASSIFICATION; the reasoning is
    kept apart, and the student learns the answer alone."""

    enable_chain_of_density: bool = False
    """Tell the teacher to rewrite its summary several times, denser every time, for rows of the task SUMMARIZATION; the
    student learns the last one."""

    max_len_summary: int = Field(default=80, ge=10)
    """Words in such a summary."""

    chat_template_kwargs: dict[str, Any] = Field(default={})
    """Variables for the teacher's chat template, such as `enable_thinking: false`; templates ignore those they do not know."""

    reasoning_parser: str | None = None
    """vLLM's parser for the teacher's thinking, such as `qwen3` or `deepseek_r1`, which is kept apart from the answer;
    empty: all that the teacher writes is its answer."""

    turns: Literal["last", "all"] = "last"
    """Which of the assistant's turns of a conversation the teacher gives: the one that is due at the end, or each in order,
    every one after the teacher's own earlier ones."""

    over_long_prompts: Literal["set_aside", "truncate_left"] = "set_aside"
    """What becomes of prompts that are longer than `max_prompt_tokens` once rendered: left out, or cut at their beginning."""

    @property
    def least_new_tokens(self) -> int:
        """Tokens that an answer needs at least for what comes before it."""
        if self.reasoning_parser is not None:
            return _THINKING_TOKENS
        return _GUIDED_TOKENS if self.enable_chain_of_thought or self.enable_chain_of_density else 0

    @field_validator("chat_template_kwargs")
    @classmethod
    def _only_variables(cls, given: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(given.keys() & _SET_BY_RENDERING):
            raise ValueError(f"{taken} say how a prompt is rendered and are no variables of a chat template; leave them out")
        return given


@dataclass(frozen=True)
class _Method:
    """A way to ask, and what stands before the answer in what comes back."""

    instruction: str
    marker: re.Pattern[str]


def _method(task: str, settings: PromptingSettings) -> _Method | None:
    guidance = TASK_TYPES[task].guidance
    if settings.enable_chain_of_thought and guidance == "chain_of_thought":
        return _Method(_THOUGHT, ANSWER_MARKER)
    if settings.enable_chain_of_density and guidance == "chain_of_density":
        # Adams et al. 2023, "From Sparse to Dense: GPT-4 Summarization with Chain of Density Prompting": five summaries.
        return _Method(_DENSITY.format(words=settings.max_len_summary), _SUMMARY_MARKER)
    return None


def asked_messages(messages: list[Message], task: str, settings: PromptingSettings) -> list[Message]:
    """Return a conversation as the teacher gets it.

    Args:
        messages: The conversation up to the answer; it stays as it is.
        task: The row's kind of task, one of ``TASK_TYPES``.
        settings: How the teacher is asked.

    Returns:
        The conversation with the task's instruction, if it has one, after the system message; without a system message, which
        some templates refuse, after the last user's turn.
    """
    method = _method(task, settings)
    roles = [message["role"] for message in messages]
    if method is None or "user" not in roles:
        return messages
    place = roles.index("system") if "system" in roles else len(roles) - 1 - roles[::-1].index("user")
    told = Message(role=roles[place], content=f"{messages[place]['content']}\n\n{method.instruction}")
    return [*messages[:place], told, *messages[place + 1 :]]


def asked_text(text: str, task: str, settings: PromptingSettings) -> str:
    """Return a plain text as the teacher gets it: after the task's instruction, if it has one."""
    method = _method(task, settings)
    return text if method is None else f"{method.instruction}\n\n{text}"


def read_answer(text: str, task: str, settings: PromptingSettings) -> tuple[str, str | None]:
    """Return the answer in what a teacher wrote, and what it wrote before it.

    Args:
        text: What the teacher wrote, without thinking that was kept apart already.
        task: The row's kind of task, one of ``TASK_TYPES``.
        settings: How the teacher was asked.

    Returns:
        The answer, and the reasoning or the earlier summaries; None when there are none. Without the marker that the teacher
        was told to set, nothing is its answer and all of it the reasoning.
    """
    method = _method(task, settings)
    if method is None:
        return text, None
    found = split_at_last(method.marker, text)
    if found is None:
        return "", text.strip() or None
    before, answer = found
    return answer, before or None
