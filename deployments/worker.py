"""A process worker that ends well: ``python -m deployments.worker --pool teacher-gpu``.

Prefect's own worker, told to stop, kills its flow runs at once and leaves them in the state Running. This one lets them save
what they have first: it holds the worker, so that it takes no further run, passes SIGTERM on to its flow runs, waits until they
have written their checkpoint or shard, tells the server that they crashed, and ends the worker. Use it as the main process of a
machine or container whose pool is of type process; Kubernetes and Docker pools tell their flow runs themselves.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from uuid import UUID

import psutil

_STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: list[str] | None = None) -> int:
    """Run a worker until it ends or is told to stop. Returns the exit status."""
    options = _parser().parse_args(arguments)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "process", "--pool", options.pool]
    command += ["--limit", str(options.limit), *(("--name", options.name) if options.name else ())]
    told_to_stop = threading.Event()
    for number in _STOPPING_SIGNALS:
        signal.signal(number, lambda *_: told_to_stop.set())
    # In a session of its own: a terminal's Ctrl-C, and a container's SIGTERM to the group, are ours to pass on.
    worker = subprocess.Popen(command, start_new_session=True, preexec_fn=_take_signals)  # noqa: PLW1509
    while worker.poll() is None:
        if told_to_stop.wait(1):
            _end(worker, options.grace_seconds)
            return 0
    return worker.returncode


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


def _take_signals() -> None:
    """Have the worker notice SIGINT and SIGTERM, which a shell has those ignore that it starts in the background."""
    for number in _STOPPING_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _end(worker: "subprocess.Popen[bytes]", grace_seconds: float) -> None:
    held = psutil.Process(worker.pid)
    held.suspend()
    runs = held.children()
    flow_runs = [flow_run for run in runs if (flow_run := _flow_run_of(run))]
    print(f"told to stop: {len(runs)} flow runs may take {grace_seconds:.0f} s to save what they have", flush=True)
    _signal(runs, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while (late := [run for run in runs if _is_at_work(run)]) and time.monotonic() < deadline:
        time.sleep(0.2)
    for run in late:
        _signal([*run.children(recursive=True), run], signal.SIGKILL)
    print(f"{len(runs) - len(late)} flow runs ended in time", flush=True)
    _report_crashed(flow_runs)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _flow_run_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("PREFECT__FLOW_RUN_ID")
    except psutil.Error:
        return None


def _report_crashed(flow_runs: Sequence[str]) -> None:
    """Tell the server about runs that ended: the worker, which would have, is held."""
    import httpx
    from prefect import get_client
    from prefect.states import Crashed

    try:
        with get_client(sync_client=True) as client:
            for flow_run in flow_runs:
                state = client.read_flow_run(UUID(flow_run)).state
                if state is not None and (state.is_running() or state.is_pending()):
                    client.set_flow_run_state(UUID(flow_run), Crashed(message="its worker was told to stop"), force=True)
    except httpx.HTTPError as error:  # the server notices the silence after a while
        print(f"the Prefect server was not told that they ended: {type(error).__name__}: {error}", flush=True)


def _is_at_work(process: psutil.Process) -> bool:
    """Whether a process has not ended; one that has stays a zombie while the worker, its parent, is held."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(processes: Sequence[psutil.Process], number: int) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


if __name__ == "__main__":
    sys.exit(main())
