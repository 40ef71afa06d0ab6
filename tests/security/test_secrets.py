"""No secret of a worker's environment is shown: in no log line, error message, state of a run or file of the store."""

import json
import logging
import pickle
import subprocess
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from tasks.core.errors import StoreUnreachableError, TerminalError
from tasks.core.progress import stage_logger
from tasks.core.secrets import WITHHELD, hide, withhold, without_secrets
from tests.security.conftest import API_KEY, AWS_SECRET, URL_PASSWORD
from tests.security.runs import logs_of, states_of
from tests.security.stages import Bakery


def test_a_secret_is_withheld_in_every_form_it_is_quoted_in(secrets: list[str]) -> None:
    for secret in secrets:
        for quoted in (secret, repr(secret), json.dumps({"key": secret}), quote(secret, safe="")):
            shown = withhold(f"before {quoted} after")
            assert secret not in shown and quote(secret, safe="") not in shown
            assert shown.startswith("before ") and shown.endswith(" after") and WITHHELD in shown
    assert withhold("Authorization: Basic YWRtaW46Y29ycmVjdC1ob3JzZQ==") == f"Authorization: Basic {WITHHELD}"
    assert withhold("the password is correct-horse") == f"the password is {WITHHELD}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://still:hunter2@db:5432/prod", f"postgres://still:{WITHHELD}@db:5432/prod"),
        ("redis://:hunter2@cache:6379/0 is down", f"redis://:{WITHHELD}@cache:6379/0 is down"),
        ("{'Authorization': 'Bearer abc.def-123'}", f"{{'Authorization': 'Bearer {WITHHELD}'}}"),
        ("https://host:8080/a@b and s3://bucket/key", "https://host:8080/a@b and s3://bucket/key"),
        ("a bearer of bad news", "a bearer of bad news"),
    ],
)
def test_passwords_in_urls_and_bearer_keys_are_withheld_wherever_they_come_from(text: str, shown: str) -> None:
    assert withhold(text) == shown


@pytest.mark.parametrize(
    ("name", "value", "is_secret"),
    [
        ("AWS_SECRET_ACCESS_KEY", "abcdefgh", True),
        ("AWS_SESSION_TOKEN", "abcdefgh", True),
        ("AWS_BEARER_TOKEN_BEDROCK", "abcdefgh", True),
        ("OPENAI_API_KEY", "abcdefgh", True),
        ("HF_TOKEN", "abcdefgh", True),
        ("PGPASSWORD", "abcdefgh", True),
        ("PREFECT_API_AUTH_STRING", "ab:cdefgh", True),
        ("my_service_password", "abcdefgh", True),
        ("TOKENIZERS_PARALLELISM", "abcdefgh", False),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/abcdefgh", False),
        ("POSTGRES_PASSWORD_FILE", "/run/abcdefgh", False),
        ("AWS_DEFAULT_REGION", "eu-central-1", False),
        ("SHORT_TOKEN", "true", False),
    ],
)
def test_variables_with_telling_names_hold_secrets(
    name: str, value: str, is_secret: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert withhold(f"found {value} here") == (f"found {WITHHELD} here" if is_secret else f"found {value} here")


def test_a_value_from_elsewhere_is_withheld_once_it_is_told() -> None:
    hide("from-a-secret-block")
    assert withhold("the key from-a-secret-block is wrong") == f"the key {WITHHELD} is wrong"


def test_log_records_of_any_library_are_made_without_secrets(secrets: list[str], caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("some.library")
    with caplog.at_level(logging.INFO):
        logger.info("headers %s", {"key": API_KEY})
        logger.info("%d", API_KEY)  # does not fit, which logging tells with the arguments
        logger.info("nothing secret, %d rows", 3, stack_info=True)
        try:
            raise ValueError(AWS_SECRET)
        except ValueError:
            logger.exception("with %(name)s", {"name": URL_PASSWORD})
    assert not [secret for secret in secrets if secret in caplog.text]
    assert f"headers {{'key': '{WITHHELD}'}}" in caplog.text
    assert f"ValueError: {WITHHELD}" in caplog.text
    assert "nothing secret, 3 rows" in caplog.text


@pytest.mark.usefixtures("secrets")
def test_an_error_keeps_its_kind_and_loses_its_secrets() -> None:
    refused = ClientError({"Error": {"Code": "403", "Message": f"bad key {AWS_SECRET}"}}, "PutObject")
    error = StoreUnreachableError(f"the store does not answer ({refused})")
    error.__cause__ = refused
    shown = without_secrets(error)
    assert shown is error and "bad key [withheld]" in str(error) and AWS_SECRET not in str(refused)
    assert str(pickle.loads(pickle.dumps(shown))) == str(shown)


@pytest.mark.usefixtures("secrets")
def test_an_error_that_cannot_be_changed_is_replaced_by_its_name_and_text() -> None:
    shown = without_secrets(FileNotFoundError(2, "no such file", f"/keys/{API_KEY}"))
    assert type(shown) is TerminalError
    assert str(shown) == f"FileNotFoundError: [Errno 2] no such file: '/keys/{WITHHELD}'"


def test_the_last_traceback_of_a_worker_process_holds_no_secret(secrets: list[str]) -> None:
    code = "import os, tasks.core.progress\nraise RuntimeError(os.environ['TEACHER_API_KEY'])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"RuntimeError: {WITHHELD}" in ended.stderr
    assert not [secret for secret in secrets if secret in ended.stderr]


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_a_run_that_logs_secrets_and_fails_of_them_leaves_none_behind(secrets: list[str], tmp_path: Path) -> None:
    store = tmp_path / "store"

    def work() -> NoReturn:
        stage_logger().warning("the environment is %s", secrets)
        try:
            raise KeyError(AWS_SECRET)
        except KeyError as error:
            stage_logger().exception("no such key as %s", API_KEY)
            raise RuntimeError(f"the secrets are {secrets}") from error

    state = Bakery(str(store), work).run()
    logs, states = logs_of(state), states_of(state)
    files = {path: path.read_text(errors="replace") for path in store.rglob("*") if path.is_file()}

    assert state.is_failed()
    assert not [secret for secret in secrets for text in (logs, states, *files.values()) if secret in text]
    assert f"the environment is ['{WITHHELD}'" in logs and f"KeyError: '{WITHHELD}'" in logs
    assert f"RuntimeError: the secrets are ['{WITHHELD}'" in states
    assert any("the secrets are" in text for text in files.values()), "the error was not kept, so the test shows less"
