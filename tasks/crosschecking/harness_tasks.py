"""Task types in the terms of lm-evaluation-harness: its own filter, its own exact match, its own mean."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MARKER = r"^[ \t#*]*(?:final )?answer[ *]*:"
_SAID = rf"(?ims)\A.*{_MARKER}[\s*]*(.*?)[\s*]*\Z|\A(.*)\Z"
_QUOTES = r"\s\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
_AROUND_LABELS = rf"\A[{_QUOTES}]+|[{_QUOTES}.]+\Z"
_PUNCTUATION = r"[!-/:-@\[-`{-~]"
_ARTICLES = r"(?i)\b(?:a|an|the)\b"
_SPACE = r"\s+"


@dataclass(frozen=True)
class Reading:
    """How the harness scores what was said after the last ``Answer:``, bold or not, or else all that was said."""

    metric: str
    """Ours that its exact match means the same as."""
    ignored: tuple[str, ...]
    """What plays no part in the comparison, taken away in this order; neither does case."""


_LABEL = Reading("accuracy", (_AROUND_LABELS, _SPACE))
READINGS: dict[str, Reading] = {
    "NLI": _LABEL,
    "CLASSIFICATION": _LABEL,
    "NLU_QA": Reading("exact_match", (_PUNCTUATION, _ARTICLES, _SPACE)),  # as SQuAD's evaluation normalises
}
"""By task type. The harness has no metric of the same meaning for the others: of these, texts are compared."""


def task_config(task: str, file: Path, max_new_tokens: int, stop: list[str]) -> dict[str, Any]:
    """Return a harness task that asks rendered prompts as they are.

    Args:
        task: One of our task types.
        file: JSON Lines with ``id``, ``prompt`` and ``references``.
        max_new_tokens: Longest answer.
        stop: Texts that end an answer.
    """
    config: dict[str, Any] = {
        "task": f"potstill_{task.lower()}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(file)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "references",
        "generation_kwargs": {"until": stop, "do_sample": False, "max_gen_toks": max_new_tokens},
        "num_fewshot": 0,
    }
    if task not in READINGS:
        return {**config, "metric_list": [{"metric": "bypass", "aggregation": "bypass", "higher_is_better": True}]}
    ignored = {"ignore_case": True, "regexes_to_ignore": list(READINGS[task].ignored)}
    return {
        **config,
        "filter_list": [{"name": "read", "filter": [{"function": "regex", "regex_pattern": _SAID}, {"function": "take_first"}]}],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True, **ignored}],
    }
