"""A Dockerfile's stages as the tests see them; hadolint is what checks its syntax."""

import re
from dataclasses import dataclass, field
from pathlib import Path

DOCKER = Path(__file__).parents[2] / "docker"
IMAGES = ("orchestrator", "teacher", "student")


@dataclass(frozen=True)
class Stage:
    """A stage's instructions, those of the stages of this file that it starts from before its own."""

    base: str
    """The image from outside that it stands on."""

    instructions: list[tuple[str, str]] = field(default_factory=list)

    def arguments(self, name: str) -> list[str]:
        """Return what an instruction is given, each time that it occurs."""
        return [arguments for instruction, arguments in self.instructions if instruction == name]


def read_stages(path: Path) -> dict[str, Stage]:
    """Return a Dockerfile's stages by name."""
    stages: dict[str, Stage] = {}
    current: Stage | None = None
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    for instruction, arguments in re.findall(r"^([A-Z]+) (.*)$", "\n".join(lines).replace("\\\n", " "), re.MULTILINE):
        if instruction == "FROM":
            source, _, name = arguments.partition(" AS ")
            parent = stages.get(source)
            current = Stage(parent.base, list(parent.instructions)) if parent else Stage(source)
            stages[name] = current
        elif current is not None:
            current.instructions.append((instruction, arguments))
    return stages
