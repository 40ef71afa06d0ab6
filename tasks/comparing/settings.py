"""What the report is asked for: what a student must be, what machines cost, what is shown."""

from pydantic import Field

from tasks.core.section import Section


class PriceSettings(Section):
    """What a machine costs, in any one currency; endpoints have prices of their own."""

    teacher_per_hour: float | None = Field(default=None, ge=0)
    """The machine that runs the teacher; empty: not known."""

    student_per_hour: float | None = Field(default=None, ge=0)
    """The machine that runs baseline and student; empty: not known."""

    training_per_hour: float | None = Field(default=None, ge=0)
    """The machine that trains; empty: not known."""


class ReportSettings(Section):
    """What the verdict asks for. Every condition must be shown to hold, for each task type by itself, with 95 % confidence."""

    name: str = Field(default="distillation", pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    """Name shown in the report."""

    min_retained: float = Field(default=0.92, gt=0, le=2)
    """Share of the teacher's score that the student must keep."""

    win_rate_margin: float = Field(default=0.1, gt=0, lt=0.5)
    """How far below a half the student's win rate against the teacher may be, where a judge compared conversations."""

    min_likeness: float = Field(default=0.5, gt=0, le=1)
    """How like the teacher's answers the student's must be, by the mean of chrF++, where test prompts have no references and no
    judge compares the answers. It asks for more than answers as good, which may be in other words; a judge tells better."""

    max_invalid: float | None = Field(default=0.05, ge=0, le=1)
    """Highest share of answers that are none of the task's kind; where the teacher itself is above, how far the student may be
    above it. Empty: any share."""

    max_truncated: float | None = Field(default=0.05, ge=0, le=1)
    """The same for answers that the limit of tokens cut off."""

    max_repeated: float | None = Field(default=0.05, ge=0, le=1)
    """The same for answers that are caught in a loop."""

    min_speed_up: float | None = Field(default=None, gt=0)
    """How many times faster the student must answer one request, by the medians; empty: any speed."""

    min_memory_saving: float | None = Field(default=None, gt=0, lt=1)
    """Share that the student must save of the memory that the teacher needs to serve: weights, and keys and values of the
    requests at the highest load. Empty: any. Not for a teacher behind an endpoint."""

    prices: PriceSettings = PriceSettings()
    """What machines cost, for the costs in the report."""

    shown_items: int = Field(default=40, ge=0, le=1000)
    """Test prompts that are shown with what all models said to them, personal data blacked out; 0: none."""
