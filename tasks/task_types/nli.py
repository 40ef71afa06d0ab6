"""Natural language inference: whether a premise entails a hypothesis, contradicts it, or neither."""

from tasks.task_types.labels import CORPUS_METRICS, read_label, same_label, score_label
from tasks.task_types.task_type import TaskType

nli = TaskType(
    name="NLI",
    metric="accuracy",
    read=read_label,
    score=score_label,
    same=same_label,
    corpus_metrics=CORPUS_METRICS,
    is_closed=True,
    guidance="chain_of_thought",
    max_new_tokens=64,
)
