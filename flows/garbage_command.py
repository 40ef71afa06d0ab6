"""The command line of the garbage collection; imports nothing heavy before the arguments are known to be good."""

import argparse
import logging
import os
import sys


def main(arguments: list[str] | None = None) -> int:
    """Collect the garbage of a store; the last line printed is the sum. Returns the exit status."""
    options = _parser().parse_args(arguments)
    # Prefect's temporary server needs longer than its default on a small or busy machine.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    from tasks.core.environment import prepare_libraries

    prepare_libraries()
    from pydantic import ValidationError

    from tasks.core.errors import PotstillError

    try:
        return _run(options)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}, got {one['input']!r}" for one in error.errors())
        print(f"SettingsError: {problems}", file=sys.stderr)
    except PotstillError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flows.garbage",
        description="List what a store holds that nothing needs any more: artefacts that no report was made from, what killed "
        "runs left, uploads that were never completed. With --delete it is dropped. Rows that a teacher was paid for are never "
        "dropped, and nothing that a run may be using.",
        epilog="Set PREFECT_API_URL as for the runs themselves: their server knows which of them are under way.",
    )
    parser.add_argument("store", metavar="STORE", help="a local folder or s3://bucket/prefix")
    parser.add_argument("--delete", action="store_true", help="drop what is listed; without it nothing is dropped")
    parser.add_argument("--min-age-days", type=float, metavar="N", help="drop nothing that is younger (7)")
    parser.add_argument(
        "--keep-reports-days",
        type=float,
        metavar="N",
        help="drop older reports too, with all that only they were made from (never)",
    )
    parser.add_argument("--unfinished-days", type=float, metavar="N", help="drop unfinished work that rested for longer (30)")
    return parser


def _run(options: argparse.Namespace) -> int:
    from tasks.core.storage import open_store
    from tasks.garbage import GarbageSettings, describe

    names = ("min_age_days", "keep_reports_days", "unfinished_days")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    settings = GarbageSettings(store=open_store(options.store).url, dry_run=not options.delete, **given)
    from flows.garbage import collect_garbage

    logging.getLogger("httpx").setLevel(logging.WARNING)
    print("\n".join(describe(collect_garbage(settings))))
    return 0
