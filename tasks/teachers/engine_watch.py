"""No engine outlives its owner, and no owner waits for a dead engine.

On CUDA vLLM runs its engine in processes of their own. If one is killed, vLLM's ``step`` waits for ever for an answer; if the
owner is killed, the engine's processes live on and hold the GPUs. Both are mended here, with a thread on either side.
"""

import multiprocessing
import os
import threading
import time
from typing import Any

_OWNER = "POTSTILL_ENGINE_OWNER"
_POLL_SECONDS = 0.5


def watch_engine(engine: Any) -> None:
    """Make ``engine.step`` raise vLLM's ``EngineDeadError`` within a second of the death of the engine's process.

    Args:
        engine: A vLLM ``LLMEngine``; one that runs in this process needs no watch, and gets none.
    """
    client = engine.engine_core
    if getattr(client, "resources", None) is not None and hasattr(client, "outputs_queue"):
        threading.Thread(target=_report_death, args=(client,), daemon=True).start()


def has_died(engine: Any, error: Exception | None = None) -> bool:
    """Return whether the engine's process is gone.

    Args:
        engine: A vLLM ``LLMEngine``.
        error: What calling it raised, if anything: the socket to a dead engine may fail before vLLM knows why, so its verdict
            is waited for a moment.
    """
    resources = getattr(engine.engine_core, "resources", None)
    if resources is None:
        return False
    deadline = time.monotonic() + (2 * _POLL_SECONDS if error is not None else 0)
    while not resources.engine_dead and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS / 10)
    return bool(resources.engine_dead)


def own_engines() -> None:
    """Tell the engine processes that this process will start that they end with it."""
    os.environ[_OWNER] = str(os.getpid())


def end_with_owner() -> None:
    """End this process when the one that started it is gone; vLLM calls this in each of its processes, as a plug-in.

    Only in engines that Potstill started: other users of vLLM in the same environment see nothing of it.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and os.environ.get(_OWNER, str(os.getpid())) != str(os.getpid()):
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: Any) -> None:
    started_by = os.getppid()
    while (
        parent.is_alive() and os.getppid() == started_by
    ):  # by the pipe between them, and by the id, should a fork hold the pipe
        parent.join(_POLL_SECONDS)
    os._exit(1)


def _report_death(client: Any) -> None:
    from vllm.v1.engine.exceptions import EngineDeadError

    while not client.resources.engine_dead:
        time.sleep(_POLL_SECONDS)
    client.outputs_queue.put_nowait(EngineDeadError(suppress_context=True))
