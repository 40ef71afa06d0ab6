"""The journal of an attempt: what a kill leaves of it, on this machine and in the store, and that it never ends the work."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.core import attempt_journal
from tasks.core.attempt_journal import AttemptJournal
from tasks.core.attempts import Attempt, Figures
from tasks.core.errors import PreemptedError, StageFailedError
from tasks.core.storage import Store, open_store
from tests.servers import S3Server

KEY = "student/0123456789abcdef"
REPOSITORY = Path(__file__).parents[2]
UNTIL_KILLED = """
import sys, time
from tasks.core.attempt_journal import AttemptJournal
from tasks.core.attempts import Figures
from tasks.core.storage import open_store
with AttemptJournal(open_store(sys.argv[1]), sys.argv[2], "steps") as journal:
    time.sleep(0.5)
    journal.begin(lambda: Figures(55, 40), is_working=True)
    print("working", flush=True)
    time.sleep(600)
"""


def in_store(store: Store) -> list[Attempt]:
    """Return the attempts that the store knows of, the first one first."""
    found = [Attempt.model_validate_json(store.read(key)) for key in store.keys("attempts")]
    return sorted(found, key=lambda attempt: attempt.started_at)


def kill_an_attempt(store_url: str, seconds: float) -> None:
    """Kill a process some seconds after it got to work."""
    process = subprocess.Popen(
        [sys.executable, "-c", UNTIL_KILLED, store_url, KEY], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "working\n"
        time.sleep(seconds)
        process.kill()
        process.wait()


def test_a_killed_process_leaves_its_last_figures_to_the_next_attempt_on_the_machine(store_url: str) -> None:
    kill_an_attempt(store_url, 2.0)
    store = open_store(store_url)
    (killed,) = in_store(store)
    assert (killed.ended, killed.start_units) == (None, None), "the store was told when it started, and not yet since"

    with AttemptJournal(store, KEY, "steps") as journal:
        journal.begin(lambda: Figures(60, 40), is_working=True)
        found = journal.interruptions()
    assert (found.attempts, found.killed, found.lost) == (2, 1, {"steps": 15})
    assert 1.0 < found.lost_seconds < found.seconds, "its last quarter of a second may be missing"
    killed, present = in_store(store)
    assert (killed.ended, killed.units, killed.durable_units) == (None, 55, 40), "it was handed over to the store"
    assert (present.ended, present.units) == ("finished", 60)


def test_another_machine_finds_what_the_store_was_told(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt_journal, "_LOCAL_STORE_SECONDS", 0.3)
    monkeypatch.setattr(attempt_journal, "_REMOTE_STORE_SECONDS", 0.3)
    store = open_store(store_url)
    with pytest.raises(RuntimeError), AttemptJournal(store, KEY, "steps") as journal:
        journal.begin(lambda: Figures(55, 40), is_working=True)
        deadline = time.monotonic() + 20
        while not any(attempt.units for attempt in in_store(store)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        raise RuntimeError
    shutil.rmtree(store.scratch(f"{KEY}/attempts"))
    with AttemptJournal(store, KEY, "steps") as journal:
        found = journal.interruptions()

    assert (found.failed, found.lost) == (1, {"steps": 15})


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (StageFailedError("broken"), "failed"),
        (PreemptedError("told to stop"), "preempted"),
        (KeyboardInterrupt(), "preempted"),
        (SystemExit(1), "preempted"),
        (None, "finished"),
    ],
)
def test_an_end_that_is_told_is_told_apart(tmp_path: Path, error: BaseException | None, ended: str) -> None:
    store = open_store(str(tmp_path))
    try:
        with AttemptJournal(store, KEY, "rows"):
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    (attempt,) = in_store(store)
    assert attempt.ended == ended


def test_once_the_record_has_the_figures_no_journal_is_left(store_url: str) -> None:
    store = open_store(store_url)
    with pytest.raises(StageFailedError), AttemptJournal(store, KEY, "rows"):
        raise StageFailedError("broken")
    with AttemptJournal(store, f"{KEY}ff", "rows"):
        pass
    with AttemptJournal(store, KEY, "rows") as journal:
        assert journal.interruptions().failed == 1
        journal.settle()

    assert [key.rpartition("/")[0] for key in store.keys("attempts")] == [f"attempts/{KEY}ff"], "that of another artefact is"
    assert not (store.work / KEY).exists()
    with AttemptJournal(store, KEY, "rows") as journal:
        assert journal.interruptions().attempts == 1


def test_a_store_that_is_away_does_not_end_the_work(unreachable_store_url: str, caplog: pytest.LogCaptureFixture) -> None:
    started = time.monotonic()
    with AttemptJournal(open_store(unreachable_store_url), KEY, "rows") as journal:
        journal.begin(lambda: Figures(3, 0), is_working=True)
        time.sleep(0.6)
        assert journal.interruptions().attempts == 1
    assert time.monotonic() - started < 60
    warnings = [message for message in caplog.messages if "journal of this attempt could not be kept" in message]
    assert len(warnings) == 1, "said once"


def test_a_look_that_fails_does_not_end_the_work(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    figures = [Figures(0, 0)]
    with AttemptJournal(store, KEY, "rows") as journal:
        journal.begin(figures.pop, is_working=False)
        time.sleep(0.6)
    (attempt,) = in_store(store)

    assert (attempt.ended, attempt.start_units) == ("finished", 0)


def test_a_journal_that_is_torn_is_left_out(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write(f"attempts/{KEY}/torn.json", b'{"nonce": "to')
    with AttemptJournal(store, KEY, "rows") as journal:
        assert journal.interruptions().attempts == 1


@pytest.mark.slow
def test_s3_that_falls_silent_holds_no_stop_up(s3_environment: S3Server) -> None:
    store = open_store(f"s3://{s3_environment.bucket}/silent")
    told = time.monotonic()
    with pytest.raises(PreemptedError), AttemptJournal(store, KEY, "rows"):
        time.sleep(1.0)
        os.kill(s3_environment.pid, signal.SIGSTOP)
        told = time.monotonic()
        raise PreemptedError("told to stop")
    took = time.monotonic() - told
    os.kill(s3_environment.pid, signal.SIGCONT)
    assert took < 10
