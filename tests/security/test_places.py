"""A recipe names local paths and s3:// only, and never the machines that these are asked from."""

import socket
from typing import Any

import pytest
from pydantic import ValidationError

from flows.config import DistillConfig
from tasks.core.errors import SettingsError
from tasks.core.s3 import s3_filesystem
from tasks.core.storage import open_store
from tasks.sources import read_source, source_identity
from tasks.teachers.endpoint.url import HOSTS, check_url
from tests.servers import S3Server

METADATA = [
    "169.254.169.254",  # link-local: AWS, Azure, Google
    "[fd00:ec2::254]",  # AWS on IPv6
    "100.100.100.200",  # Alibaba, in the space that carriers share
    "168.63.129.16",  # Azure's platform, at a public address
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "2852039166",  # 169.254.169.254 as one number
    "0xa9.0xfe.0xa9.0xfe",
    "0.0.0.0",
    "10.0.0.1",
    "[fe80::1]",
]
CHAINED = [
    "s3://bucket/rows.jsonl::file:///etc/rows.jsonl",
    "simplecache::s3://bucket/rows.jsonl",
    "filecache::http://169.254.169.254/rows.jsonl",
    "zip://rows.jsonl::s3://bucket/rows.zip",
]
ELSEWHERE = [
    "http://169.254.169.254/latest/rows.jsonl",
    "https://host.example/rows.jsonl",
    "file:///etc/rows.jsonl",
    "gs://bucket/rows.jsonl",
    "github://organisation:name@/rows.jsonl",
    "S3://bucket/rows.jsonl",
    "s3a://bucket/rows.jsonl",
]
ODD_S3 = [
    "s3://bucket",
    "s3://bucket/",
    "s3:///rows.jsonl",
    "s3://user:word@bucket/rows.jsonl",
    "s3://169.254.169.254:80/rows.jsonl",
    "s3://bucket/../other/rows.jsonl",
    "s3://bucket/*.jsonl",
    "s3://bucket/rows.jsonl?versionId=1#.jsonl",
]
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("url", [*CHAINED, *ELSEWHERE, *ODD_S3])
def test_prompts_come_from_local_files_and_plain_s3_urls_only(url: str) -> None:
    for call in (source_identity, lambda source: list(read_source(source))):
        with pytest.raises(SettingsError):
            call(url)


@pytest.mark.parametrize("url", [*CHAINED, *ELSEWHERE, *(url for url in ODD_S3 if not url.startswith("s3://bucket"))])
def test_stores_are_local_folders_and_plain_s3_urls_only(url: str) -> None:
    with pytest.raises(SettingsError):
        open_store(url)


@pytest.mark.parametrize("name", ["../rows", "./rows", ".hidden/rows", "organisation/../rows"])
def test_a_hub_data_set_is_no_path(name: str) -> None:
    with pytest.raises(SettingsError, match="40-digit commit hash"):
        list(read_source(f"hub:{name}@{REVISION}:train"))


def test_a_local_folder_does_not_pass_for_a_hub_data_set(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "organisation" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="local file or folder"):
        list(read_source(f"hub:organisation/name@{REVISION}:train"))


@pytest.mark.parametrize("host", METADATA)
def test_no_endpoint_is_on_a_metadata_service_or_in_a_network_of_the_machine(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOSTS, raising=False)
    for url in (f"https://{host}/v1", f"http://{host}/v1"):
        with pytest.raises(SettingsError):
            check_url(url)


def test_a_name_that_leads_into_a_network_of_the_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOSTS, raising=False)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("93.184.215.14", "169.254.169.254")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(SettingsError, match=r"169\.254\.169\.254, which is not a public address"):
        check_url("https://models.example/v1")


@pytest.mark.parametrize("field", ["endpoint_url", "s3_endpoint", "client_kwargs", "storage_options"])
def test_no_recipe_says_which_server_is_s3(field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DistillConfig.model_validate({"store": "s3://bucket/runs", field: "http://169.254.169.254"})
    assert (field,) in [problem["loc"] for problem in caught.value.errors() if problem["type"] == "extra_forbidden"]


@pytest.mark.slow
def test_the_environment_alone_says_which_server_is_s3(s3_environment: S3Server) -> None:
    client: Any = s3_filesystem().s3
    assert client.meta.endpoint_url == s3_environment.endpoint
