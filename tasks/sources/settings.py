"""Where prompts come from and how a row becomes one; light, so that the flow's form can show it."""

from typing import Any, Literal, get_args

from pydantic import Field

from tasks.core.records import SPLITS
from tasks.core.section import Section
from tasks.sources import source_identity

TaskName = Literal["NLI", "CONVERSATION", "NLU_QA", "MATH", "SUMMARIZATION", "CLASSIFICATION", "custom"]
"""The keys of ``TASK_TYPES``, written out so that the flow's form can list them."""


class PromptsSettings(Section):
    """Where the prompts come from and how a row becomes one."""

    train: tuple[str, ...] = Field(min_length=1)
    """Sources of training prompts: .jsonl, .csv or .parquet files, local or s3://, or hub:organisation/name@revision:split."""

    validation: tuple[str, ...] = ()
    """Sources of validation prompts; without one, a stable share of the training rows is held out."""

    test: tuple[str, ...] = ()
    """Sources of test prompts; without one, a stable share of the training rows is held out."""

    validation_fraction: float = Field(default=0.05, ge=0, lt=0.5)
    """Share of the training rows held out for validation when there is no validation source."""

    test_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of the training rows held out for the test when there is no test source."""

    task: TaskName = "CONVERSATION"
    """What kind of task the rows are."""

    task_field: str | None = None
    """Field with each row's own kind of task, for sources that mix them; it takes the place of `task`."""

    template: str = "{prompt}"
    """The prompt's text with fields of the row in braces. Rows that have `messages` are taken as they are, but for the
    assistant's turns at the end: they are the row's reference when it has no other."""

    system: str | None = None
    """System message put before every templated prompt; chat only."""

    chat: bool = True
    """Send the prompt as a user's turn through each model's chat template; off: plain text to be continued."""

    id_field: str | None = None
    """Field that identifies a row; without one, the id is derived from the prompt."""

    reference_field: str | None = None
    """Field with the correct answer, or with a list of all accepted ones, of which the first is trained on. Test rows need one,
    but for the task CONVERSATION, where a judge can compare models without; training rows may leave it out."""

    tag_fields: tuple[str, ...] = ()
    """Fields that are kept with the prompt, to tell rows apart later; a row may leave them empty."""

    labels: tuple[str, ...] = ()
    """All valid answers of a closed-set task; a row whose reference is none of them is bad. Empty: all references that rows of
    closed-set tasks have."""

    keep_where: dict[str, tuple[str, ...]] = Field(default={})
    """Only rows whose field has one of the listed values are taken."""

    max_references: int | None = Field(default=None, ge=0)
    """References kept among the training rows, a stable choice; the other rows count as unlabelled."""

    max_prompt_characters: int = Field(default=32_768, ge=1)
    """Longer prompts are set aside."""

    max_bad_rows_ratio: float = Field(default=0.01, ge=0, le=1)
    """Share of rows that may be set aside as bad before the run ends."""

    @property
    def task_names(self) -> tuple[str, ...]:
        """Kinds of task that rows may be of: all, where each row names its own."""
        return get_args(TaskName) if self.task_field else (self.task,)

    def identity(self) -> dict[str, Any]:
        """Return the settings with every source replaced by the identity of its content."""
        contents = {split: [source_identity(source) for source in getattr(self, split)] for split in SPLITS}
        return {**super().identity(), **contents}
