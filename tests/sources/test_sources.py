"""A source is named by a path or a URL and identified by its content; what is neither is refused before any work."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.core.errors import SettingsError
from tasks.core.records import PROMPTS
from tasks.core.storage import open_store
from tasks.core.tables import read_table
from tasks.prompts import PromptsSettings, prepare_prompts
from tasks.sources import READERS, read_source, source_identity
from tests.servers import S3Server

REVISION = "0123456789abcdef0123456789abcdef01234567"


def test_the_identity_is_the_content_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here.jsonl"
    here.write_text('{"prompt": "a"}\n')
    (tmp_path / "far").mkdir()
    there = Path(shutil.copy(here, tmp_path / "far" / "there.jsonl"))
    monkeypatch.chdir(tmp_path)
    assert source_identity(str(here)) == source_identity(str(there)) == source_identity("far/../here.jsonl")
    there.write_text('{"prompt": "b"}\n')
    assert source_identity(str(here)) != source_identity(str(there))


def test_the_identity_of_a_hub_data_set_is_its_revision() -> None:
    assert source_identity(f"hub:openai/gsm8k@{REVISION}:train") == f"hub:openai/gsm8k@{REVISION}:train"


@pytest.mark.parametrize(
    "source", ["hub:openai/gsm8k", "hub:openai/gsm8k@main:train", f"hub:gsm8k@{REVISION}:train", f"hub:../gsm8k@{REVISION}:"]
)
def test_a_hub_data_set_without_a_fixed_revision_is_refused(source: str) -> None:
    with pytest.raises(SettingsError, match="40-digit commit hash"):
        source_identity(source)
    with pytest.raises(SettingsError, match="40-digit commit hash"):
        list(read_source(source))


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_a_file_that_is_not_there_is_named(tmp_path: Path, suffix: str) -> None:
    for call in (source_identity, lambda source: list(read_source(source))):
        with pytest.raises(SettingsError, match=f"there is no file .*gone{suffix}"):
            call(str(tmp_path / f"gone{suffix}"))


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[]")
    with pytest.raises(SettingsError, match=r"\.csv.*\.jsonl.*\.parquet"):
        list(read_source(str(tmp_path / "rows.json")))


@pytest.mark.parametrize(
    "source",
    ["http://169.254.169.254/a.jsonl", "file:///etc/a.jsonl", "simplecache::s3://b/a.jsonl", "zip://a.jsonl::/b.zip.jsonl"],
)
def test_other_kinds_of_url_and_chains_of_them_are_refused(source: str) -> None:
    for call in (source_identity, lambda source: list(read_source(source))):
        with pytest.raises(SettingsError, match="neither a local path"):
            call(source)


@pytest.mark.slow
def test_a_source_on_s3_is_read_and_has_the_identity_of_its_content(s3_environment: S3Server, tmp_path: Path) -> None:
    store = open_store(f"s3://{s3_environment.bucket}/{tmp_path.name}")
    pq.write_table(pa.table({"prompt": ["a", "b"]}), tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_text("prompt\na\nb\n")
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    for name in ("rows.csv", "rows.jsonl", "rows.parquet"):
        local, remote = tmp_path / name, f"{store.url}/{name}"
        store.write(name, local.read_bytes())
        rows = list(read_source(remote))
        assert [(row.source, row.values, row.problem) for row in rows] == [(remote, {"prompt": prompt}, None) for prompt in "ab"]
        assert source_identity(remote) == source_identity(str(local))
    for call in (source_identity, lambda source: list(read_source(source))):
        with pytest.raises(SettingsError, match=r"no object .*gone\.csv"):
            call(f"{store.url}/gone.csv")


@pytest.mark.slow
def test_prompts_from_and_to_s3_are_those_of_local_files(s3_environment: S3Server, tmp_path: Path) -> None:
    local = tmp_path / "rows.csv"
    local.write_text("prompt,answer\n" + "".join(f"{number} + 1?,{number + 1}\n" for number in range(60)))
    store = open_store(f"s3://{s3_environment.bucket}/{tmp_path.name}")
    store.write("rows.csv", local.read_bytes())
    from_s3 = PromptsSettings(train=(f"{store.url}/rows.csv",), reference_field="answer")
    from_here = PromptsSettings(train=(str(local),), reference_field="answer")
    here = prepare_prompts.fn(settings=from_s3, store=str(tmp_path / "store"))
    there = prepare_prompts.fn(settings=from_here, store=store.url)
    assert (here.fingerprint, here.counts) == (there.fingerprint, there.counts)
    assert list(read_table(here, PROMPTS)) == list(read_table(there, PROMPTS))
