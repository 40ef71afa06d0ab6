"""Runs a Prefect command whose flow runs, when the machine is to stop, save what they have before they end.

Prefect's worker, told to stop, kills its flow runs at once and leaves them in the state Running; so does its command in Docker
containers, and in Kubernetes pods a run is scheduled anew while its engine is being killed. Here the command is held, so that it
neither kills nor takes a run, SIGTERM is passed on to its flow runs, and once they have written their checkpoint or shard the
server is told that they crashed: who waits for them, or the automation for whole runs, starts them again.

Prefect's worker also ends of itself, with an error, when the server answers it badly for a while; a machine would then stand idle
until somebody noticed. It is started again.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from uuid import UUID

import psutil

STOPPED = 128 + signal.SIGTERM
"""Exit status of a command that was told to stop, as a shell gives it."""

_STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PAUSE_SECONDS = 5.0
_SETTLED_SECONDS = 60.0
"""A command that ran for so long was set up rightly; what ended it is another trouble than that of the start before."""


def run_stoppable(arguments: Sequence[str], grace_seconds: float, restarts: int = 0, module: str = "prefect") -> int:
    """Run ``prefect ARGUMENTS`` until it ends or this process is told to stop.

    Args:
        arguments: What follows ``prefect`` in the command line; a command that starts each flow run as a child process.
        grace_seconds: How long flow runs may take to save what they have before they are killed.
        restarts: How often in a row it is started again when it ends with an error.
        module: What stands for ``prefect``.

    Returns:
        The command's exit status, or ``STOPPED``.
    """
    told_to_stop = threading.Event()
    for number in _STOPPING_SIGNALS:
        signal.signal(number, lambda *_: told_to_stop.set())
    left = restarts
    while True:
        started, command = time.monotonic(), _start(module, arguments)
        while command.poll() is None:
            if told_to_stop.wait(1):
                _end(command, grace_seconds)
                return STOPPED
        if time.monotonic() - started > _SETTLED_SECONDS:
            left = restarts
        if command.returncode == 0 or left == 0:
            return command.returncode
        left -= 1
        print(f"prefect {' '.join(arguments[:2])} ended with status {command.returncode}; it is started again", flush=True)
        if told_to_stop.wait(_PAUSE_SECONDS):
            return STOPPED


def _start(module: str, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    # In a session of its own: a terminal's Ctrl-C, and a container's SIGTERM to the group, are ours to pass on.
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        start_new_session=True,
        preexec_fn=_take_signals,  # noqa: PLW1509 (before any thread of ours is started)
    )


def _take_signals() -> None:
    """Have the command notice SIGINT and SIGTERM, which a shell has those ignore that it starts in the background."""
    for number in _STOPPING_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _end(command: "subprocess.Popen[bytes]", grace_seconds: float) -> None:
    held = psutil.Process(command.pid)
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
    os.killpg(command.pid, signal.SIGKILL)
    command.wait()


def _flow_run_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("PREFECT__FLOW_RUN_ID")
    except psutil.Error:
        return None


def _report_crashed(flow_runs: Sequence[str]) -> None:
    """Tell the server about runs that ended: the command, which would have, is held."""
    import httpx
    from prefect import get_client
    from prefect.states import Crashed

    try:
        with get_client(sync_client=True) as client:
            for flow_run in flow_runs:
                state = client.read_flow_run(UUID(flow_run)).state
                if state is not None and (state.is_running() or state.is_pending()):
                    client.set_flow_run_state(UUID(flow_run), Crashed(message="its machine was told to stop"), force=True)
    except httpx.HTTPError as error:  # the server notices the silence after a while
        print(f"the Prefect server was not told that they ended: {type(error).__name__}: {error}", flush=True)


def _is_at_work(process: psutil.Process) -> bool:
    """Whether a process has not ended; one that has stays a zombie while its parent is held."""
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
