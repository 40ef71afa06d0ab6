"""From a prompt to token ids, the same way for teacher, training and evaluation, so that none sees another prompt."""

from typing import Any

from jinja2 import TemplateError

from tasks.core.errors import ModelError, RefusedConversationError
from tasks.core.records import Message


def render_prompt(
    tokenizer: Any, messages: list[Message], text: str | None, *, chat_template_kwargs: dict[str, Any] | None = None
) -> list[int]:
    """Return the token ids after which the model is to answer.

    Args:
        tokenizer: A Transformers tokenizer.
        messages: Conversation up to the answer, rendered with the model's chat template; empty when ``text`` is given.
        text: Plain text to be continued.
        chat_template_kwargs: Variables for the chat template, such as ``enable_thinking``; it ignores those it does not know.

    Raises:
        ModelError: If there are messages and the model has no chat template.
        RefusedConversationError: If the chat template refuses the messages.
    """
    if text is not None:
        return list(tokenizer(text)["input_ids"])
    if not tokenizer.chat_template:
        raise ModelError(f"{tokenizer.name_or_path} has no chat template; set prompts.chat to false for plain text")
    return _template(tokenizer, messages, add_generation_prompt=True, **(chat_template_kwargs or {}))


def render_example(tokenizer: Any, messages: list[Message], text: str | None, completion: str) -> tuple[list[int], list[int]]:
    """Return the token ids of a prompt and of its completion, the latter with whatever ends a turn.

    Raises:
        ModelError: If the chat template renders the prompt differently once an answer follows it.
    """
    prompt = render_prompt(tokenizer, messages, text)
    if text is not None:
        return prompt, [*tokenizer(completion, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    answer: Message = {"role": "assistant", "content": completion}
    whole = _template(tokenizer, [*messages, answer], add_generation_prompt=False)
    if whole[: len(prompt)] == prompt:
        return prompt, whole[len(prompt) :]
    # White space at the start of an answer may merge with the prompt's last token; the model sees them apart.
    asked = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    answered = tokenizer.apply_chat_template([*messages, answer], tokenize=False)
    if not answered.startswith(asked):
        raise ModelError(
            f"the chat template of {tokenizer.name_or_path} renders a prompt differently once it is answered; "
            "the student would be trained on prompts it never sees: use another template, or prompts.chat: false"
        )
    return prompt, list(tokenizer(answered[len(asked) :], add_special_tokens=False)["input_ids"])


def _template(tokenizer: Any, messages: list[Message], **variables: Any) -> list[int]:
    try:
        rendered = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **variables)
    except TemplateError as error:
        roles = [message["role"] for message in messages]
        raise RefusedConversationError(
            f"the chat template of {tokenizer.name_or_path} refuses a conversation of the roles {roles}: {error}; "
            "leave out prompts.system or the turns that it does not know, or use a model whose template takes them"
        ) from error
    return list(rendered["input_ids"])
