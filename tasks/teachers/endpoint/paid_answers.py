"""The answers that an endpoint has been paid for, written down as they come: a failed attempt leaves them to the next one."""

from pathlib import Path

from pydantic import BaseModel


class PaidAnswer(BaseModel):
    """One answer, and what it took."""

    id: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    """Time since the answer before it, or since the attempt began; over all answers it adds up to the time that they took."""


class PaidAnswers:
    """A file of answers, one JSON value a line."""

    def __init__(self, file: Path) -> None:
        """Read what earlier attempts left.

        Args:
            file: Created with the first answer. A line that a killed attempt did not finish is cut off.
        """
        self._file = file
        whole = b""
        if file.exists():
            written = file.read_bytes()
            whole = written[: written.rfind(b"\n") + 1]
            file.write_bytes(whole)
        rows = [PaidAnswer.model_validate_json(line) for line in whole.split(b"\n") if line]
        self.rows = {row.id: row for row in rows}
        """By prompt id."""

    def add(self, row: PaidAnswer) -> None:
        """Write an answer down."""
        with self._file.open("ab") as file:
            file.write(f"{row.model_dump_json()}\n".encode())
        self.rows[row.id] = row
