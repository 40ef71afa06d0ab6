"""Tiny models, texts, and what Transformers says of them: what the tests of fidelity compare with."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from tasks.core.records import Message, Prompt
from tests.models import tiny_tokenizer


def item(number: int, reference: str | None) -> Prompt:
    """Return a test prompt."""
    return Prompt(
        id=f"item {number}",
        messages=[Message(role="user", content=f"the still {'runs ' * number}")],
        text=None,
        references=[] if reference is None else [reference],
        task="CONVERSATION",
        split="test",
        tags=[],
    )


def rendered(prompt: Prompt, answer: str | None = None) -> list[int]:
    """Return a prompt's tokens, or those of the prompt and an answer."""
    tokenizer: Any = tiny_tokenizer()
    messages: list[Any] = list(prompt["messages"])
    if answer is not None:
        messages.append({"role": "assistant", "content": answer})
    return tokenizer.apply_chat_template(messages, add_generation_prompt=answer is None, tokenize=True)["input_ids"]


def log_probabilities(weights: Path, prompt: list[int], text: list[int]) -> np.ndarray:
    """Return a model's log-probabilities in the place of every token of a text, float64 [n, V]."""
    model: Any = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float64)
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *text]])).logits[0]
    return logits.log_softmax(-1)[len(prompt) - 1 : -1].numpy()


def divergence(log_p: np.ndarray, log_q: np.ndarray) -> float:
    """Return KL(p || q), summed over all places."""
    return float((np.exp(log_p) * (log_p - log_q)).sum())
