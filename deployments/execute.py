"""Runs the one flow run of a container or pod: the command of work pools of type docker and kubernetes.

The flow run is the one that ``PREFECT__FLOW_RUN_ID`` names, as with Prefect's own ``prefect flow-run execute``; ``stopping.py``
says what this adds. ``POTSTILL_GRACE_SECONDS`` is how long it may take to save what it has; the container or pod is given more.
"""

import os
import sys

from deployments.stopping import run_stoppable

_GRACE_SECONDS = 100.0


def main() -> int:
    """Run the flow run until it ends or is told to stop. Returns the exit status."""
    return run_stoppable(["flow-run", "execute"], float(os.environ.get("POTSTILL_GRACE_SECONDS", _GRACE_SECONDS)))


if __name__ == "__main__":
    sys.exit(main())
