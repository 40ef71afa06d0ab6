"""Terraform for tests, always on a copy of the configuration."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

TERRAFORM = Path(__file__).parents[2] / "infra" / "terraform"


def run_terraform(script: str, folder: Path) -> Any:
    """Return what a script prints as JSON, run on a folder in a process of its own.

    Terraform is a Go library, whose threads and signal handlers no test should have.
    """
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    command = [sys.executable, "-c", script, str(folder)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def copied(folder: Path) -> Path:
    """Return a copy of the configuration without what Terraform left there for its user."""
    left = shutil.ignore_patterns(".terraform*", "*.tfstate*")
    return Path(shutil.copytree(TERRAFORM, folder / "configuration", ignore=left))
