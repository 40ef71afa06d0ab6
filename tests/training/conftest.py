"""Folders of checkpoints on two machines."""

from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder of checkpoints on the machine that trains first."""
    return tmp_path / "here" / "checkpoints"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """The folder of checkpoints on the machine that goes on."""
    return tmp_path / "there" / "checkpoints"
