"""OpenAI-compatible endpoints for tests, on loopback: one that behaves as scripted, and vLLM's own server."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

_STARTUP_SECONDS = 300


@dataclass(frozen=True)
class Act:
    """What the scripted endpoint does with one request."""

    status: int = 200
    body: Any = None
    """JSON value, or bytes that are sent as they are; None: an answer."""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """How long it takes."""
    reset: bool = False
    """Break the connection in the middle of the answer."""
    pieces: tuple[str, ...] = ()
    """Send the answer as these pieces, each ``piece_seconds`` after what was before it, to who asks for pieces."""
    piece_seconds: float = 0.0


@dataclass
class Call:
    """A request as the endpoint got it."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    at: float
    """Seconds on the monotonic clock."""

    @property
    def prompt(self) -> str:
        """The last message, or the text."""
        return self.body["messages"][-1]["content"] if "messages" in self.body else self.body["prompt"]


@dataclass
class ScriptedEndpoint:
    """An endpoint that does what ``act`` says and notes what it got."""

    act: Callable[[Call], Act] = field(default=lambda call: Act())
    calls: list[Call] = field(default_factory=list)
    url: str = ""
    under_way: int = 0
    most_under_way: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)

    def attempts(self, prompt: str) -> int:
        """Return how often a prompt was asked."""
        return sum(call.prompt == prompt for call in self.calls)


def answer(text: str, path: str = "chat/completions", finish_reason: str = "stop", **usage: int) -> dict[str, Any]:
    """Return the body of an answer; usage is 10 prompt tokens and 5 more unless told otherwise."""
    said = {"message": {"role": "assistant", "content": text}} if path == "chat/completions" else {"text": text}
    counts = {"prompt_tokens": 10, "completion_tokens": 5, **usage}
    return {"choices": [{"index": 0, "finish_reason": finish_reason, **said}], "usage": counts}


def in_turn(*acts: Act) -> Callable[[Call], Act]:
    """Return a script that does one act after the other, whatever is asked, and answers from then on."""
    left = list(acts)
    return lambda call: left.pop(0) if left else Act()


@contextmanager
def run_scripted_endpoint() -> Iterator[ScriptedEndpoint]:
    """Run a scripted endpoint until the block ends."""
    endpoint = ScriptedEndpoint()
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    server = uvicorn.Server(uvicorn.Config(_app(endpoint), log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield endpoint
    finally:
        server.should_exit = True
        thread.join(5)


def _app(endpoint: ScriptedEndpoint) -> FastAPI:
    app = FastAPI()

    async def complete(request: Request, path: str) -> Response:
        call = Call(path, await request.json(), dict(request.headers), time.monotonic())
        endpoint.calls.append(call)
        endpoint.under_way += 1
        endpoint.most_under_way = max(endpoint.most_under_way, endpoint.under_way)
        try:
            act = endpoint.act(call)
            await asyncio.sleep(act.seconds)
        finally:
            endpoint.under_way -= 1
        if act.reset:
            return StreamingResponse(_broken(), headers={"Content-Length": "1000"})
        if act.pieces and call.body.get("stream"):
            return StreamingResponse(_events(act, path), media_type="text/event-stream")
        if isinstance(act.body, bytes):
            return Response(act.body, act.status, act.headers)
        return JSONResponse(answer(f"re: {call.prompt}", path) if act.body is None else act.body, act.status, act.headers)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await complete(request, "chat/completions")

    @app.post("/v1/completions")
    async def text(request: Request) -> Response:
        return await complete(request, "completions")

    @app.post("/v1/files")
    async def upload(request: Request) -> Any:
        async with request.form() as form:
            uploaded: Any = form["file"]
            assert form["purpose"] == "batch"
            return {"id": _put(endpoint, await uploaded.read())}

    @app.get("/v1/files/{name}/content")
    async def download(name: str) -> Response:
        return Response(endpoint.files[name])

    @app.post("/v1/batches")
    async def create(request: Request) -> Any:
        wanted = await request.json()
        name = f"batch_{len(endpoint.batches)}"
        endpoint.batches[name] = {"id": name, "status": "in_progress", **wanted}
        return endpoint.batches[name]

    @app.get("/v1/batches")
    async def listed() -> Any:
        return {"data": list(endpoint.batches.values())}

    @app.get("/v1/batches/{name}")
    async def state(name: str) -> Any:
        if name not in endpoint.batches:
            return JSONResponse({"error": {"code": "not_found"}}, 404)
        batch = endpoint.batches[name]
        if batch["status"] == "in_progress":
            endpoint.batches[name] = {**batch, **_worked_off(endpoint, batch)}
        return batch

    return app


def _put(endpoint: ScriptedEndpoint, content: bytes) -> str:
    name = f"file_{len(endpoint.files)}"
    endpoint.files[name] = content
    return name


def _worked_off(endpoint: ScriptedEndpoint, batch: dict[str, Any]) -> dict[str, Any]:
    """Do a batch as scripted; a status of 0 leaves its row to expire, and the batch with it."""
    output, errors, status = [], [], "completed"
    for line in endpoint.files[batch["input_file_id"]].splitlines():
        row = json.loads(line)
        call = Call(row["url"].removeprefix("/v1/"), row["body"], {}, time.monotonic())
        endpoint.calls.append(call)
        act = endpoint.act(call)
        if act.status == 0:
            status, expired = "expired", {"code": "batch_expired", "message": f"expired: {call.prompt}"}
            errors.append({"custom_id": row["custom_id"], "response": None, "error": expired})
            continue
        body = answer(f"re: {call.prompt}", call.path) if act.body is None else act.body
        done = {"custom_id": row["custom_id"], "response": {"status_code": act.status, "body": body}, "error": None}
        (output if act.status == 200 else errors).append(done)
    files = {"output_file_id": output, "error_file_id": errors}
    written = {name: _put(endpoint, "\n".join(json.dumps(row) for row in rows).encode()) for name, rows in files.items() if rows}
    return {"status": status, **written}


async def _events(act: Act, path: str) -> AsyncIterator[bytes]:
    """Yield the events of an answer in pieces, as the OpenAI API does: a piece each, the end, the usage."""

    def event(value: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps(value).encode() + b"\n\n"

    for piece in act.pieces:
        await asyncio.sleep(act.piece_seconds)
        said = {"delta": {"content": piece}} if path == "chat/completions" else {"text": piece}
        yield event({"choices": [{"index": 0, "finish_reason": None, **said}]})
    yield event({"choices": [{"index": 0, "finish_reason": "stop", "delta": {}}]})
    yield event({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": len(act.pieces)}})
    yield b"data: [DONE]\n\n"


async def _broken() -> AsyncIterator[bytes]:
    yield b'{"choices": ['
    raise ConnectionError("scripted")


@contextmanager
def run_vllm_server(model: Path, folder: Path, *options: str) -> Iterator[str]:
    """Run vLLM's OpenAI server on a model until the block ends.

    Args:
        model: Folder of the model, also its id.
        folder: Where the server's log goes.
        options: More of its command line.

    Yields:
        Its base URL.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", f"--model={model}", "--served-model-name=tiny"]
    command += ["--host=127.0.0.1", f"--port={port}", "--dtype=float32", "--max-model-len=128", "--max-num-seqs=8"]
    command += ["--enforce-eager", "--kv-cache-memory-bytes=64M", "--max-logprobs=16", *options]
    log = folder / "vllm.log"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=folder, start_new_session=True
        )
        try:
            _wait_for_health(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                pass
            finally:
                _kill_group(process.pid)
                process.wait()


def _wait_for_health(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    while True:
        try:
            with urlopen(url, timeout=2):
                return
        except (URLError, OSError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"vLLM's server does not start ({error}):\n{log.read_text()[-3000:]}") from error
            time.sleep(0.5)


def _kill_group(leader: int) -> None:
    """Kill the server's engine processes too, which are in the group that it leads."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
