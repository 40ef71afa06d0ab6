"""The generations stage: a teacher answers the training and validation prompts; answers are kept row by row in the ledger."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from tasks.core.artifact import Artifact
from tasks.core.caching import Stage
from tasks.core.environment import prepare_libraries
from tasks.core.errors import StageFailedError
from tasks.core.ledger import Ledger, row_key, row_seed
from tasks.core.progress import Progress, stage_logger
from tasks.core.records import ANSWERED_PROMPTS, PROMPTS, AnsweredPrompt, Generation, Prompt
from tasks.core.rendering import render_prompt
from tasks.core.section import Section
from tasks.core.tables import read_table, write_table
from tasks.core.weights import locate_weights
from tasks.teachers.exchange import Request
from tasks.teachers.settings import EngineRuntime, Sampling

STAGE = Stage("generations", version=1)
_UNFINISHED = {"abort", "error"}


class GenerationsRuntime(Section):
    """How the teacher is run; no part of the result's identity."""

    engine: EngineRuntime = EngineRuntime()
    """The teacher's engine."""

    shard_rows: int = Field(default=256, ge=1)
    """Finished rows that are committed together; a killed run loses at most this many."""

    shard_seconds: float = Field(default=30, gt=0)
    """Finished rows are committed at least this often."""


class GenerationsSettings(Section):
    """How the teacher answers."""

    sampling: Sampling = Sampling()
    """What decides an answer."""

    samples_per_prompt: int = Field(default=1, ge=1, le=64)
    """Answers per prompt; more than one needs a temperature above 0."""

    runtime: GenerationsRuntime = GenerationsRuntime()
    """How the teacher is run; changing it re-uses finished work."""


@STAGE.task
def generate(settings: GenerationsSettings, store: str, prompts: Artifact, teacher: Artifact) -> Artifact:
    """Let the teacher answer every training and validation prompt that the ledger has no answer to.

    Args:
        settings: How the teacher answers.
        store: URL of the artefact store.
        prompts: A ``prompts`` artefact.
        teacher: A ``model`` artefact, or the ``student`` artefact of an earlier run.

    Returns:
        Handle of a ``generations`` artefact: generations.parquet, one row for each prompt and sample.

    Raises:
        StageFailedError: If the engine ended without answering every prompt; the answered rows are kept.
    """
    prepare_libraries()
    from transformers import AutoTokenizer

    weights = locate_weights(teacher)
    tokenizer = AutoTokenizer.from_pretrained(weights)
    with STAGE.draft(store, settings, prompts=prompts, teacher=teacher) as draft:
        ledger = Ledger(store, {"teacher": teacher.fingerprint, "sampling": settings.sampling.identity()})
        asked = [prompt for prompt in read_table(prompts, PROMPTS) if prompt["split"] != "test"]
        rendered = {prompt["id"]: render_prompt(tokenizer, prompt["messages"], prompt["text"]) for prompt in asked}
        limit = settings.sampling.max_prompt_tokens
        fitting = [prompt for prompt in asked if len(rendered[prompt["id"]]) <= limit]
        wanted = {
            (prompt["id"], sample): row_key(ledger.namespace, rendered[prompt["id"]], sample)
            for prompt in fitting
            for sample in range(settings.samples_per_prompt)
        }
        missing = {key: rendered[prompt] for (prompt, _), key in wanted.items()}
        total = len(missing)
        for key in ledger.keys() & missing.keys():
            del missing[key]
        progress = Progress("generations: rows", total, done=total - len(missing))
        if missing:
            started = time.monotonic()
            draft.summary = _answer(missing, weights, settings, ledger, progress)
            draft.seconds["engine"] = round(time.monotonic() - started, 3)
        rows = list(_join(fitting, wanted, ledger))
        write_table(draft.path / ANSWERED_PROMPTS.file, ANSWERED_PROMPTS, rows)
        reasons = Counter(row["finish_reason"] for row in rows)
        draft.counts = {
            "rows": len(rows),
            "generated": len(missing),
            "reused": total - len(missing),
            "over_long_prompts": len(asked) - len(fitting),
            "prompt_tokens": sum(row["prompt_tokens"] for row in rows),
            "completion_tokens": sum(len(row["token_ids"]) for row in rows),
        }
        draft.summary["finish_reasons"] = dict(reasons)
        stage_logger().info("generations: %s", draft.counts)
        return draft.publish()


def _answer(
    missing: dict[str, list[int]], weights: Any, settings: GenerationsSettings, ledger: Ledger, progress: Progress
) -> dict[str, Any]:
    """Answer the missing rows and commit them as they finish, whatever ends the loop."""
    from tasks.teachers.vllm import Engine

    runtime, tokens, failed = settings.runtime, 0, 0
    shard: list[Generation] = []
    with Engine(weights, settings.sampling, runtime.engine) as engine:
        requests = [Request(key, token_ids, row_seed(key)) for key, token_ids in missing.items()]
        started = committed = time.monotonic()
        try:
            for completion in engine.stream(requests):
                tokens += len(completion.token_ids)
                if completion.finish_reason in _UNFINISHED:
                    failed += 1
                    continue
                shard.append(_generation(completion.key, completion.token_ids, completion.finish_reason, missing, engine))
                progress.advance(tokens_per_second=tokens / (time.monotonic() - started))
                if len(shard) >= runtime.shard_rows or time.monotonic() - committed > runtime.shard_seconds:
                    ledger.commit(shard)
                    shard, committed = [], time.monotonic()
        finally:
            if shard:
                ledger.commit(shard)
        seconds = time.monotonic() - started
    if failed:
        raise StageFailedError(f"{failed} of {len(missing)} rows ended in an engine error; run again, the others are kept")
    return {
        "engine_steps": engine.steps,
        "rows_per_second": round(len(missing) / seconds, 2),
        "tokens_per_second": round(tokens / seconds, 1),
    }


def _generation(key: str, token_ids: list[int], finish_reason: str, missing: dict[str, list[int]], engine: Any) -> Generation:
    return Generation(
        key=key,
        answer=engine.decode(token_ids),
        token_ids=token_ids,
        finish_reason=finish_reason,
        prompt_tokens=len(missing[key]),
        seed=row_seed(key),
    )


def _join(prompts: list[Prompt], wanted: dict[tuple[str, int], str], ledger: Ledger) -> Iterator[AnsweredPrompt]:
    """Yield the ledger's answers beside their prompts, in the prompts' order."""
    answers = {row["key"]: row for row in ledger.read(set(wanted.values()))}
    by_id = {prompt["id"]: prompt for prompt in prompts}
    for (prompt, sample), key in wanted.items():
        if key not in answers:
            raise StageFailedError(f"the ledger has no answer {key} to the prompt {prompt}; run again to generate it")
        yield AnsweredPrompt(**{**by_id[prompt], **answers[key], "sample_index": sample})
