"""What a process does once it has measured a model: take it through texts, as the teacher or as one that follows the teacher."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel


class OwnTexts(BaseModel):
    """The teacher goes over its own answers, and the references."""

    side: Literal["teacher"] = "teacher"
    most_items: int
    """Test items of which texts are gone over, at most."""
    top_k: int
    """Likeliest tokens that are kept in every place."""
    candidates: Path
    """Parquet file to write."""
    rows: Path
    """Parquet file to write."""


class FollowedTexts(BaseModel):
    """Another model goes over the teacher's answers, and the references."""

    side: Literal["student"] = "student"
    most_items: int
    """As the teacher has it."""
    candidates: Path | None
    """Parquet file that the teacher left; None: its tokens are not the model's, or not known."""
    rows: Path
    """Parquet file to write."""
