"""Where each stage runs: in the flow's own process, or as a flow run of one of the stage's deployments."""

from pydantic import Field

from tasks.core.section import Section

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"


class PlacementSettings(Section):
    """For each stage the name of a deployment of its flow; empty: in the process of the run itself.

    The shipped deployments are called after their work pools, so `training: student-gpu` is the deployment
    `training/student-gpu`. A stage whose artefact is there is never sent anywhere. Placement changes no result.
    """

    prompts: str | None = Field(default=None, pattern=_NAME)
    """Reading the prompts."""

    models: str | None = Field(default=None, pattern=_NAME)
    """Finding models, and converting those that are no safetensors yet."""

    preflight: str | None = Field(default=None, pattern=_NAME)
    """Looking at what would fail late."""

    adaptation: str | None = Field(default=None, pattern=_NAME)
    """Training the teacher on references."""

    initialisation: str | None = Field(default=None, pattern=_NAME)
    """Cutting down the student's model, or drawing new weights."""

    generation: str | None = Field(default=None, pattern=_NAME)
    """The teacher's answers. With `generations.runtime.partition_deployment` this flow only waits for its partitions."""

    mixture: str | None = Field(default=None, pattern=_NAME)
    """Making one set of answers out of several."""

    judging_prompts: str | None = Field(default=None, pattern=_NAME)
    """Making the prompts that a judge answers."""

    judge: str | None = Field(default=None, pattern=_NAME)
    """The judge's answers: a deployment of the same flow as the teacher's."""

    curation: str | None = Field(default=None, pattern=_NAME)
    """Making training examples of answers."""

    training: str | None = Field(default=None, pattern=_NAME)
    """Training the student, and the control."""

    teacher_evaluation: str | None = Field(default=None, pattern=_NAME)
    """Testing the teacher."""

    student_evaluation: str | None = Field(default=None, pattern=_NAME)
    """Testing student, baseline and control."""

    report: str | None = Field(default=None, pattern=_NAME)
    """Comparing them."""
