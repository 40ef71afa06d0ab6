"""The cross-check: the same test prompts through lm-evaluation-harness, on the same weights, must give the same result.

``python -m tasks.crosscheck REPORT_JSON_OR_EVALUATION...``; it needs the optional extra ``crosscheck``. The exit status is 1 if
anything differs beyond what the number formats explain; ``tasks/crosschecking/comparison.py`` has the rule.
"""

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

from tasks.core.artifact import Artifact
from tasks.core.environment import prepare_libraries
from tasks.core.errors import PotstillError, SettingsError
from tasks.core.process import run_worker
from tasks.core.weights import locate_weights
from tasks.crosschecking.comparison import FLOAT32_REGRET, HALF_REGRET, RULE, Comparison, compare
from tasks.crosschecking.evaluated import Evaluated, find_evaluations, read_evaluation
from tasks.crosschecking.job import HarnessJob, HarnessResult


def main(arguments: list[str] | None = None) -> int:
    """Check evaluations, print a table and what differs, and return the exit status."""
    options = _parser().parse_args(arguments)
    prepare_libraries()
    try:
        evaluations = [found for place in options.evaluations for found in find_evaluations(place)]
        checked = [_check(evaluation, options.dtype, options.limit) for evaluation in evaluations]
    except PotstillError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(_table(checked))
    problems = [f"{name}: {problem}" for name, comparisons in checked for each in comparisons for problem in each.problems]
    print("\n".join(problems) if problems else "no disagreement")
    return 1 if problems else 0


def check_evaluation(evaluation: Evaluated, weights: Path, dtype: str, workspace: Path) -> list[Comparison]:
    """Run the harness on what an evaluation asked and compare item by item.

    Args:
        evaluation: What was evaluated.
        weights: Folder of the same model's weights.
        dtype: Number format in which the harness computes.
        workspace: Folder for its files.

    Raises:
        StageFailedError: If the harness failed; the message has the end of its log.
    """
    sampling = evaluation.sampling
    job = HarnessJob(
        weights=weights,
        items=evaluation.items,
        dtype=dtype,
        max_new_tokens=sampling.new_tokens,
        max_length_tokens=sampling.context_tokens,
        stop=list(sampling.stop),
        workspace=workspace,
        result=workspace / "result.json",
    )
    job_file = workspace / "job.json"
    job_file.write_text(job.model_dump_json(indent=2), encoding="utf-8")
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": str(workspace / "datasets")}
    run_worker("tasks.crosschecking.harness", job_file, workspace / "worker.log", grace_seconds=5, environment=offline)
    found = HarnessResult.model_validate_json(job.result.read_bytes())
    exact = evaluation.is_float32 and dtype == "float32"
    return compare(evaluation.items, found, evaluation.means, FLOAT32_REGRET if exact else HALF_REGRET)


def _check(artifact: Artifact, dtype: str, limit: int) -> tuple[str, list[Comparison]]:
    if importlib.util.find_spec("lm_eval") is None:
        raise SettingsError("lm-evaluation-harness is not installed; install the extra 'crosscheck'")
    evaluation = read_evaluation(artifact, limit)
    with tempfile.TemporaryDirectory() as folder:
        return evaluation.name, check_evaluation(
            evaluation, locate_weights(evaluation.record.inputs["model"]), dtype, Path(folder)
        )


def _table(checked: list[tuple[str, list[Comparison]]]) -> str:
    rows = [["model", "task", "items", "same text", "undecided", "our mean", "lm-eval's"]]
    for name, comparisons in checked:
        for each in comparisons:
            same = each.items - len(each.undecided) - len(each.other_texts)
            means = ["-" if mean is None else f"{mean:.4f}" for mean in (each.ours, each.theirs)]
            rows.append([name, each.task, str(each.items), str(same), str(len(each.undecided)), *means])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.crosscheck",
        description="Run the test prompts of evaluations through lm-evaluation-harness and compare item by item.",
        epilog=RULE,
    )
    parser.add_argument(
        "evaluations",
        nargs="+",
        metavar="REPORT_JSON_OR_EVALUATION",
        help="a report.json, for all its models but endpoints, or STORE/evaluation/FINGERPRINT",
    )
    parser.add_argument("--dtype", default="float32", help="number format in which the harness computes (float32)")
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="the most items of each evaluation (200)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
