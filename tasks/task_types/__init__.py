"""The kinds of task, one a file: how answers are read and scored, and what is usual for them.

To add one: write its file, add its line to ``TASK_TYPES`` and its name to ``TaskName`` in ``tasks/sources/settings.py``, and
write its test.
"""

from tasks.task_types.classification import classification
from tasks.task_types.conversation import conversation
from tasks.task_types.custom import custom
from tasks.task_types.math import math
from tasks.task_types.nli import nli
from tasks.task_types.nlu_qa import nlu_qa
from tasks.task_types.summarization import summarization
from tasks.task_types.task_type import TaskType

TASK_TYPES: dict[str, TaskType] = {
    each.name: each for each in (nli, conversation, nlu_qa, math, summarization, classification, custom)
}

__all__ = ["TASK_TYPES", "TaskType"]
