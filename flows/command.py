"""The command line of the flow; imports nothing heavy before the arguments are known to be good."""

import argparse
import logging
import os
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run a recipe; the last line printed is the path of report.json.

    Returns:
        The exit status: 0 for a run that came to its end, whatever its verdict is, which report.json and the run's state tell; 1
        for one that did not; 2 for arguments that are wrong.
    """
    options = _parser().parse_intermixed_args(arguments)
    # Prefect's temporary server needs longer than its default on a small or busy machine.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    from tasks.core.environment import prepare_libraries

    prepare_libraries()
    from tasks.core.errors import PotstillError

    try:
        return _run(options)
    except PotstillError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flows.distill",
        description="Distill a teacher into a student as a recipe says, and report whether the student may take its place. "
        "Finished stages are re-used: after a failure run the same command again.",
        epilog="Every setting, with its description and bounds, is in flows/config.py and in the form of the Prefect UI. The "
        "exit status is 0 for a run that came to its end, whatever its verdict (promote, hold or inconclusive: see report.json), "
        "and 1 for one that did not.",
    )
    parser.add_argument(
        "recipes",
        nargs="+",
        type=Path,
        metavar="RECIPE",
        help="a YAML file, e.g. deployments/recipes/quickstart.yaml, and parts that change it, e.g. one of "
        "deployments/recipes/students; a later file wins over those before it",
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.FIELD=VALUE",
        help="override one setting, e.g. generations.sampling.temperature=0.7; may be given several times",
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    from flows.recipe import load_recipe

    config = load_recipe(options.recipes, options.overrides)
    from flows.distill import distill
    from tasks.renderers.markdown import render_markdown
    from tasks.report import read_report, report_file

    logging.getLogger("httpx").setLevel(logging.WARNING)
    report = distill(config)
    print(f"\n{render_markdown(read_report(report))}")
    print(f"The report as a page: {report_file(report, 'html')}")
    print("The run in the Prefect UI: run `prefect server start` and open http://127.0.0.1:4200")
    print(report_file(report, "json"))
    return 0
