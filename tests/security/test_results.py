"""Nothing that is planted among Prefect's results runs code, and the stage still shows a right result."""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect._internal.result_records import ResultRecord
from prefect.serializers import CompressedPickleSerializer, JSONSerializer, PickleSerializer

from tasks.core.artifact import Artifact, open_file
from tasks.core.errors import SettingsError
from tasks.core.fingerprint import fingerprint
from tasks.core.results import FOLDER, StoreResults, result_storage
from tasks.core.storage import open_store
from tests.security.runs import logs_of
from tests.security.stages import Bakery

PLAIN = JSONSerializer().model_dump()
NAMES = [
    "pickle",
    "compressed pickle",
    "decoder",
    "library",
    "class",
    "nested class",
    "error",
    "old form",
    "bare result",
    "bare class",
]


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> Any:
        return open, (str(self._file), "w")


@pytest.fixture
def flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that exists once planted code ran; the module ``planted`` makes it when it is imported."""
    file = tmp_path / "code-ran"
    (tmp_path / "planted.py").write_text(
        f"open({str(file)!r}, 'w')\nfrom json import loads\nclass Thing(Exception): ...\ndef decode(value): return value\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield file
    sys.modules.pop("planted", None)


def record(result: str, serializer: dict[str, Any] | None = None) -> bytes:
    metadata = {"storage_key": "key", "serializer": serializer or PLAIN, "prefect_version": "3.7.7"}
    return json.dumps({"metadata": metadata, "result": result}).encode()


def planted(name: str, flag: Path) -> bytes:
    """Return a record that runs code when Prefect reads it."""
    pickled = PickleSerializer().dumps(Payload(flag)).decode()
    records = {
        "pickle": lambda: record(pickled, {"type": "pickle"}),
        "compressed pickle": lambda: record(
            CompressedPickleSerializer().dumps(Payload(flag)).decode(), {"type": "compressed/pickle"}
        ),
        "decoder": lambda: record("{}", {**PLAIN, "object_decoder": "planted.decode"}),
        "library": lambda: record("{}", {**PLAIN, "jsonlib": "planted"}),
        "class": lambda: record('{"__class__": "planted.Thing", "data": {}}'),
        "nested class": lambda: record('{"rows": [{"__class__": "planted.missing", "data": {}}]}'),
        "error": lambda: record('{"__exc_type__": "planted.Thing", "message": ""}'),
        "bare result": lambda: json.dumps({"result": pickled}).encode(),
        "bare class": lambda: json.dumps({"__class__": "tasks.core.artifact.Artifact", "data": pickled}).encode(),
        "old form": lambda: json.dumps({"data": pickled, "serializer": {"type": "pickle"}}).encode(),
    }
    return records[name]()


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_record_is_no_result_and_runs_nothing(name: str, flag: Path, tmp_path: Path) -> None:
    content, results = planted(name, flag), StoreResults(store=str(tmp_path))
    open_store(str(tmp_path)).write(f"{FOLDER}/bread-1", content)

    with pytest.raises(FileNotFoundError, match="is refused"):
        results.read_path("bread-1")
    assert not flag.exists()
    with suppress(Exception):
        ResultRecord.deserialize(content)  # what Prefect does with whatever it reads
    assert flag.exists(), "the record is harmless, so the test shows nothing"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04garbage",
        b"[]",
        record("not JSON"),
        record("[" * 100_000),
        record('[{"__class__": "tasks.core.artifact.Artifact", "data": {}}]'),
        record("{}", {"type": "json", "extra": 1}),
        record("{}", {**PLAIN, "loads_kwargs": {"strict": False}}),
        record('{"__class__": "tasks.core.artifact.Artifact", "data": {"kind": "../etc"}}'),
        record('{"__class__": "tasks.core.artifact.Artifact", "data": {}, "more": 1}'),
        record('{"__exc_type__": "builtins.open", "message": "file"}'),
        b'{"rows": 3}',
        b'{"__class__": "tasks.core.artifact.Artifact", "data": {}',
    ],
)
def test_what_is_no_plain_record_is_no_result(content: bytes, tmp_path: Path) -> None:
    open_store(str(tmp_path)).write(f"{FOLDER}/bread-1", content)
    with pytest.raises(FileNotFoundError, match="is refused"):
        StoreResults(store=str(tmp_path)).read_path("bread-1")


def test_a_handle_to_another_store_is_no_result(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    for place, is_taken in ((store, True), (str(tmp_path / "elsewhere"), False)):
        handle = Artifact(kind="bread", store=place, fingerprint=fingerprint("bread"))
        open_store(store).write(f"{FOLDER}/bread-1", record(JSONSerializer().dumps(handle).decode()))
        if is_taken:
            assert ResultRecord.deserialize(StoreResults(store=store).read_path("bread-1")).result == handle
        else:
            with pytest.raises(FileNotFoundError, match="another store"):
                StoreResults(store=store).read_path("bread-1")


@pytest.mark.parametrize("value", [None, {"rows": 3, "names": ["a"]}, SettingsError("no such model"), RuntimeError("broken")])
def test_plain_values_and_known_errors_are_results(value: Any, tmp_path: Path) -> None:
    open_store(str(tmp_path)).write(f"{FOLDER}/bread-1", record(JSONSerializer().dumps(value).decode()))
    read = ResultRecord.deserialize(StoreResults(store=str(tmp_path)).read_path("bread-1")).result
    assert (type(read), str(read)) == (type(value), str(value))


def test_a_record_tells_no_more_than_was_understood_of_it(tmp_path: Path) -> None:
    other_block = "11111111-2222-3333-4444-555555555555"
    content = json.loads(record('{"rows": 3, "rows": 4}'))
    content["metadata"] |= {"storage_block_id": other_block, "storage_key": "../elsewhere", "surprise": 1}
    open_store(str(tmp_path)).write(f"{FOLDER}/bread-1", json.dumps(content).encode())
    read = json.loads(StoreResults(store=str(tmp_path)).read_path("bread-1"))
    assert (read["metadata"]["storage_key"], read["metadata"]["storage_block_id"]) == ("bread-1", None)
    assert "surprise" not in read["metadata"] and json.loads(read["result"]) == {"rows": 4}


def test_no_key_leaves_the_folder_of_the_results(tmp_path: Path) -> None:
    results = StoreResults(store=str(tmp_path))
    (tmp_path / "outside").write_bytes(record("{}"))
    for key in ("../outside", str(tmp_path / "outside"), "a/../../outside"):
        with pytest.raises(ValueError, match="not a plain relative path"):
            results.read_path(key)
        with pytest.raises(ValueError, match="not a plain relative path"):
            results.write_path(key, b"{}")


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_a_stage_whose_result_was_replaced_runs_nothing_of_it_and_shows_a_right_one(store_url: str, flag: Path) -> None:
    bakery, store = Bakery(store_url), open_store(store_url)
    made = bakery.run().result()
    keys = store.keys(FOLDER)
    assert any(key.startswith(f"{FOLDER}/bread-") for key in keys)
    for key in keys:
        store.write(key, planted("pickle", flag))

    again, healed = bakery.run(), bakery.run()
    assert not flag.exists()
    assert again.result() == healed.result() == made
    assert open_file(made, "loaf").read_text() == "rye"
    assert (bakery.baked, bakery.states) == (1, ["Completed", "Completed", "Cached"])
    assert "is refused: it is no plain JSON record" in logs_of(again)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_the_block_is_named_after_its_store_and_holds_its_url_only(store_url: str) -> None:
    url = open_store(store_url).url
    block = result_storage(store_url)
    assert result_storage(store_url) is block
    with get_client(sync_client=True) as client:
        saved = client.read_block_document_by_name(f"potstill-{fingerprint(url)[:16]}", "potstill-results")
    assert saved.id == block._block_document_id
    assert saved.data == {"store": url}


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_another_process_reads_a_flows_result_through_the_guard(store_url: str) -> None:
    state = Bakery(store_url).run()
    made = state.result()
    with get_client(sync_client=True) as client:
        assert state.state_details.flow_run_id is not None
        seen = client.read_flow_run(state.state_details.flow_run_id).state
    assert seen is not None and seen.result() == made
