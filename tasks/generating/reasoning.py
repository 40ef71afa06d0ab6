"""A teacher's thinking kept apart from its answer, by vLLM's parsers of the models' own formats."""

import difflib
import re
from typing import Any

from tasks.core.errors import SettingsError

_UNFIT = (ImportError, LookupError, RuntimeError, TypeError, ValueError)  # what parsers raise for a tokenizer they cannot use


class ReasoningSplitter:
    """A parser bound to a teacher's tokenizer; make it before the first answer is asked for, so that a wrong name costs nothing.

    It reads token ids, because the marks around the thinking are special tokens in some tokenizers, which a decoded answer
    has lost.
    """

    def __init__(self, parser_name: str, tokenizer: Any, chat_template_kwargs: dict[str, Any]) -> None:
        """Make the parser.

        Args:
            parser_name: One of the names of vLLM's reasoning parsers.
            tokenizer: The teacher's Transformers tokenizer.
            chat_template_kwargs: Variables that prompts are rendered with; some parsers learn from them whether the model thinks.

        Raises:
            SettingsError: If vLLM has no such parser, or it cannot split answers of this tokenizer.
        """
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
        from vllm.reasoning import ReasoningParserManager

        known = ReasoningParserManager.list_registered()
        if parser_name not in known:
            near = difflib.get_close_matches(parser_name, known, n=5) or known
            raise SettingsError(
                f"vLLM has no reasoning parser {parser_name!r}; take one of {near}, or leave reasoning_parser empty"
            )
        self._tokenizer = tokenizer
        self._request = ChatCompletionRequest.model_validate({"messages": [], "chat_template_kwargs": chat_template_kwargs})
        try:
            make = ReasoningParserManager.get_reasoning_parser(parser_name)
            self._parser = make(tokenizer, chat_template_kwargs=dict(chat_template_kwargs))
            _, _ = self._parser.extract_reasoning("", self._request)
        except _UNFIT as error:
            raise SettingsError(
                f"vLLM's reasoning parser {parser_name!r} cannot split answers of {tokenizer.name_or_path} "
                f"({type(error).__name__}: {error}); take the parser of this model's family, or leave reasoning_parser empty"
            ) from error
        special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        self._special = re.compile("|".join(re.escape(token) for token in sorted(special, key=len, reverse=True)))

    def split(self, token_ids: list[int]) -> tuple[str, str | None]:
        """Return an answer and the thinking before it.

        Args:
            token_ids: All tokens that the teacher wrote, with or without the end of its turn.

        Returns:
            The answer and the thinking, both without special tokens; None when there is no thinking. Of thinking that does not
            end the answer is empty.
        """
        # The parsers look for marks that may be special tokens, so these are taken out after parsing, not while decoding.
        text = self._tokenizer.decode(token_ids, skip_special_tokens=False)
        reasoning, answer = self._parser.extract_reasoning(text, self._request)
        return self._cleaned(answer), self._cleaned(reasoning) or None

    def _cleaned(self, text: str | None) -> str:
        return self._special.sub("", text or "").strip()
