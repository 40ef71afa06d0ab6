"""Summarisation: a text in fewer words."""

from tasks.metrics.rouge import PRIMARY, rouge
from tasks.task_types.free_text import read_text, same_text
from tasks.task_types.task_type import TaskType

summarization = TaskType(
    name="SUMMARIZATION",
    metric=PRIMARY,
    read=read_text,
    score=rouge,
    same=same_text,
    corpus_metrics=("bleu", "corpus_chrf"),
    is_open=True,
    guidance="chain_of_density",
    max_new_tokens=256,
)
