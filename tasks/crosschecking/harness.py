"""The process in which lm-evaluation-harness runs: ``python -m tasks.crosschecking.harness JOB.json``.

The harness brings its own metrics, filters and versions along; none of them is ever loaded by what is checked.
"""

import json
import sys
from importlib.metadata import version
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

from tasks.core.environment import prepare_libraries
from tasks.core.process import end_with_parent
from tasks.core.rendering import render_prompt
from tasks.crosschecking.harness_tasks import task_config
from tasks.crosschecking.job import HarnessItem, HarnessJob, HarnessResult, Item

_BATCH_SIZE = 8


def main(job_file: str) -> int:
    """Run what a job file says and return the exit status."""
    end_with_parent()
    prepare_libraries()
    job = HarnessJob.model_validate_json(Path(job_file).read_text(encoding="utf-8"))
    job.result.write_text(_run(job).model_dump_json(), encoding="utf-8")
    return 0


def _run(job: HarnessJob) -> HarnessResult:
    import torch
    from lm_eval.models.huggingface import HFLM

    load: Any = HFLM  # a wrapper of its own hides the arguments
    model = load(
        pretrained=str(job.weights),
        dtype=job.dtype,
        device="cuda" if torch.cuda.is_available() else "cpu",
        batch_size=_BATCH_SIZE,
        max_length=job.max_length_tokens,
        add_bos_token=False,  # it is part of the rendered prompt, where the model wants one
    )
    found: dict[str, HarnessItem] = {}
    means: dict[str, float] = {}
    by_task = sorted(job.items, key=lambda item: item.task)
    for task, group in groupby(by_task, key=lambda item: item.task):
        items = {item.id: item for item in group}
        tokens = {name: render_prompt(model.tokenizer, _messages(item), item.text) for name, item in items.items()}
        prompts = {name: model.tokenizer.decode(ids, clean_up_tokenization_spaces=False) for name, ids in tokens.items()}
        samples, mean = _evaluate(model, job, task, items, prompts)
        if mean is not None:
            means[task] = mean
        for name, sample in samples.items():
            asked, completion = sample["arguments"][0][0], sample["resps"][0][0]
            alike = completion == items[name].completion
            found[name] = HarnessItem(
                same_prompt=asked == prompts[name] and model.tok_encode(asked, add_special_tokens=False) == tokens[name],
                completion=completion,
                score=sample.get("exact_match"),
                regret=0 if alike else _regret(model, tokens[name], items[name], completion),
            )
    return HarnessResult(version=version("lm-eval"), items=found, means=means)


def _messages(item: Item) -> Any:
    return item.messages


def _evaluate(
    model: Any, job: HarnessJob, task: str, items: dict[str, Item], prompts: dict[str, str]
) -> tuple[dict[str, Any], float | None]:
    """Return the harness's samples by id, and its mean if it has a metric for the task type."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    file = job.workspace / f"{task}.jsonl"
    rows = ({"id": name, "prompt": prompts[name], "references": item.references} for name, item in items.items())
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    config = task_config(task, file, job.max_new_tokens, job.stop)
    # Without its defaults it does not read the thousands of tasks that it ships.
    manager = TaskManager(include_defaults=False)
    results: Any = simple_evaluate(model, tasks=[config], task_manager=manager, log_samples=True, bootstrap_iters=0)
    samples = {sample["doc"]["id"]: sample for sample in results["samples"][config["task"]]}
    return samples, results["results"][config["task"]].get("exact_match,read")


def _regret(model: Any, prompt: list[int], item: Item, theirs: str) -> float | None:
    """Return by how much the model prefers its own choice at the first token where ours differs, in nats."""
    import torch

    ours, chosen = _answer_ids(model, item.completion, item.finish_reason), _answer_ids(model, theirs, "stop")
    pairs = enumerate(zip_longest(ours, chosen))
    place = next((place for place, (left, right) in pairs if left != right), len(ours))
    if place >= len(ours):
        return None
    with torch.no_grad():
        logits = model.model(torch.tensor([[*prompt, *ours[:place]]], device=model.device)).logits[0, -1].float()
    return float(logits.max() - logits[ours[place]])


def _answer_ids(model: Any, text: str, finish_reason: str) -> list[int]:
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    return [*ids, model.eot_token_id] if finish_reason == "stop" else ids


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
