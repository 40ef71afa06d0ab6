"""A process worker that ends well: ``python -m deployments.worker --pool teacher-gpu``.

The main process of a machine or container whose work pool is of type process. See ``stopping.py`` for what it adds to Prefect's.
"""

import argparse
import os
import sys

from deployments.stopping import STOPPED, run_stoppable

_RESTARTS = 5


def main(arguments: list[str] | None = None) -> int:
    """Run a worker until it ends or is told to stop. Returns the exit status; being told to stop is no failure."""
    options = _parser().parse_args(arguments)
    command = ["worker", "start", "--type", "process", "--pool", options.pool, "--limit", str(options.limit)]
    command += ["--name", options.name] if options.name else []
    command += ["--with-healthcheck"] if "PREFECT_WORKER_WEBSERVER_PORT" in os.environ else []  # what containers are asked
    status = run_stoppable(command, options.grace_seconds, restarts=_RESTARTS, module="deployments.process_worker")
    return 0 if status == STOPPED else status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deployments.worker", description=__doc__)
    parser.add_argument("--pool", required=True, help="work pool to take flow runs from")
    parser.add_argument(
        "--limit", type=int, default=1, help="flow runs at the same time; one for each GPU group of this machine (1)"
    )
    parser.add_argument("--name", help="what the worker is called in the UI")
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=100,
        help="how long flow runs may take to save what they have when told to stop (100)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
