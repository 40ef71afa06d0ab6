"""The images as their Dockerfile describes them: what hadolint checks, and the rules that it does not know."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.dockerfile import DOCKER, IMAGES, read_stages

ROOT = DOCKER.parent
DOCKERFILE = DOCKER / "Dockerfile"
STAGES = read_stages(DOCKERFILE)
_SECRET = re.compile(r"(?i)(password|passwd|secret|token|auth_string|access_key|api_key)\w*\s*=")


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", DOCKERFILE], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_stage_stands_on_one_base_pinned_by_a_digest_that_must_be_given() -> None:
    (base,) = {stage.base for stage in STAGES.values()}
    name, _, digest = base.partition("@")

    assert re.fullmatch(r"python:3\.\d+-slim-\w+", name)
    assert digest.startswith("${PYTHON_DIGEST:-")
    assert "\nARG PYTHON_DIGEST\n" in DOCKERFILE.read_text(encoding="utf-8")  # and it has no value there


def test_a_missing_digest_is_no_image_s_name_and_says_where_to_look() -> None:
    message = re.search(r"@\$\{PYTHON_DIGEST:-([^}]+)\}", DOCKERFILE.read_text(encoding="utf-8"))
    assert message is not None
    assert not re.match(r"[a-z0-9]+:[0-9a-f]{32,}$", message[1])
    assert message[1].startswith("PYTHON_DIGEST_is_missing")
    assert (ROOT / message[1].rpartition("_")[2]).is_file()


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_potstill_under_tini_and_tells_its_health(image: str) -> None:
    stage = STAGES[image]
    commands = [command for command in stage.arguments("RUN") if "useradd" in command]

    assert stage.arguments("USER")[-1] == "1000:1000"
    assert "useradd --uid 1000 --gid 1000 --create-home potstill" in commands[0]
    assert json.loads(stage.arguments("ENTRYPOINT")[-1])[0] == "tini"
    assert "POTSTILL_HEALTH_URL" in stage.arguments("HEALTHCHECK")[-1]
    assert all("--chown" not in copy for copy in stage.arguments("COPY"))  # the code stays root's


def test_the_health_that_is_asked_for_is_the_worker_s_own() -> None:
    values = dict(pair.split("=", 1) for pair in " ".join(STAGES["runtime"].arguments("ENV")).split())
    host, port = values["PREFECT_WORKER_WEBSERVER_HOST"], values["PREFECT_WORKER_WEBSERVER_PORT"]
    assert values["POTSTILL_HEALTH_URL"] == f"http://{host}:{port}/health"


def test_what_is_written_lies_where_potstill_may_write() -> None:
    values = dict(pair.split("=", 1) for pair in " ".join(STAGES["runtime"].arguments("ENV")).split())
    assert values["PREFECT_SERVER_UI_STATIC_DIRECTORY"].startswith("/tmp/")  # the default is inside the environment
    assert all(values[name].startswith("/home/potstill/") for name in ("PREFECT_HOME", "PREFECT_RESULTS_LOCAL_STORAGE_PATH"))


@pytest.mark.parametrize(("image", "lock"), [("orchestrator", "orchestrator"), ("teacher", "${ENGINE}"), ("student", "student")])
def test_an_image_s_environment_is_its_lock_file_and_the_project_compiled(image: str, lock: str) -> None:
    environment = STAGES[f"{image}-environment"]
    (install,) = [command for command in environment.arguments("RUN") if "uv pip install" in command]

    assert f"requirements-{lock}.lock" in install
    assert {"--no-deps", "-e", "--mount=type=cache,target=/var/cache/uv,sharing=locked"} <= set(install.split())
    assert any("UV_COMPILE_BYTECODE=1" in values for values in environment.arguments("ENV"))
    assert f"--from={image}-environment /app/.venv .venv" in STAGES[image].arguments("COPY")
    assert "--from=project /app ." in STAGES[image].arguments("COPY")
    assert any("compileall" in command for command in STAGES["project"].arguments("RUN"))


@pytest.mark.parametrize("image", IMAGES)
def test_no_compiler_reaches_the_orchestrator_and_no_installer_any_image(image: str) -> None:
    commands = " ".join(STAGES[image].arguments("RUN"))
    assert ("g++" in commands) == (image != "orchestrator")
    assert "pip install" not in commands
    assert commands.count("apt-get install") == commands.count("rm -rf /var/lib/apt/lists/*")


def test_no_stage_has_a_secret_or_an_unpinned_version() -> None:
    for name, stage in STAGES.items():
        for instruction in ("ARG", "ENV", "LABEL"):
            assert not any(_SECRET.search(f"{arguments}=") for arguments in stage.arguments(instruction)), name
        assert not any(":latest" in arguments for _, arguments in stage.instructions), name


def test_an_image_says_what_it_is() -> None:
    labels = " ".join(STAGES["orchestrator"].arguments("LABEL"))
    assert {"title", "description", "licenses", "version", "revision"} <= set(re.findall(r"image\.(\w+)=", labels))


def test_the_builder_is_sent_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for stage in STAGES.values()
        for arguments in stage.arguments("COPY")
        if not arguments.startswith("--from")
        for source in arguments.split()[:-1]
    }

    assert rules[0] == "*"
    assert all(any(Path(_as_pattern(source)).is_relative_to(_as_pattern(rule)) for rule in allowed) for source in copied)
    assert not any("env" in rule for rule in allowed)


def test_what_is_copied_is_there() -> None:
    for source in ("LICENSE", "README.md", "pyproject.toml", "deployments", "flows", "infra/job-templates", "tasks"):
        assert (ROOT / source).exists()
    for lock in IMAGES[::2]:
        assert (ROOT / f"requirements-{lock}.lock").is_file()


def _as_pattern(path: str) -> str:
    return re.sub(r"requirements-.*\.lock", "requirements.lock", path)
