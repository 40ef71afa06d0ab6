"""Natural language inference: whether a premise entails a hypothesis, contradicts it, or neither."""

from dataclasses import replace

from tasks.task_types.classification import classification

nli = replace(classification, name="NLI")
