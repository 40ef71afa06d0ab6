"""Sources of prompts, written for a test, and the prompts stage run on them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.core.artifact import Artifact
from tasks.core.records import PROMPTS, Prompt
from tasks.core.tables import read_table
from tasks.prompts import prepare_prompts
from tasks.sources.settings import PromptsSettings


class Folder:
    """A folder with sources and a store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = str(path / "store")

    def lines(self, name: str, rows: Iterable[dict[str, Any]]) -> str:
        """Write rows as JSON Lines and return the source's name."""
        file = self.path / name
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        return str(file)

    def prepare(self, **settings: Any) -> Artifact:
        """Run the stage."""
        chosen: dict[str, Any] = {"reference_field": "answer", **settings}
        return prepare_prompts.fn(settings=PromptsSettings.model_validate(chosen), store=self.store)

    def prompts(self, **settings: Any) -> list[Prompt]:
        """Run the stage and return its prompts."""
        return list(read_table(self.prepare(**settings), PROMPTS))


def questions(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"prompt": f"{number} + 1?", "answer": number + 1} for number in range(first, first + count)]


def turns(prompt: Prompt) -> list[str]:
    return [message["content"] for message in prompt["messages"]]
