"""The compose project as ``docker compose config`` reads it: what is refused, and what it would start."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.dockerfile import DOCKER, IMAGES

COMPOSE = Path(sys.executable).with_name("docker-compose")
FILE, CPU_FILE = DOCKER / "compose.yaml", DOCKER / "compose.cpu.yaml"
VALUES = {
    "POTSTILL_TAG": "0.1.0",
    "PYTHON_DIGEST": f"sha256:{'0' * 64}",
    "POSTGRES_PASSWORD": "of-the-database",
    "PREFECT_AUTH_STRING": "user:of-the-server",
    "S3_ACCESS_KEY": "key",
    "S3_SECRET_KEY": "of-the-store",
}
ONE_SHOTS = {"bucket", "setup"}


def compose_config(tmp_path: Path, values: dict[str, str], *files: Path) -> "subprocess.CompletedProcess[str]":
    """Run ``docker compose config`` with an env file of these values and nothing else in the environment."""
    environment = tmp_path / "test.env"
    environment.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")
    command = [str(COMPOSE), "--env-file", str(environment), "--profile", "gpu"]
    command += [argument for file in files or (FILE,) for argument in ("--file", str(file))]
    return subprocess.run([*command, "config"], check=False, capture_output=True, text=True, env={"HOME": str(tmp_path)})


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """All services, those of the profile gpu too."""
    done = compose_config(tmp_path_factory.mktemp("compose"), VALUES)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)["services"]


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("given", ["nothing", "an empty value"])
def test_a_missing_value_is_refused_by_name(tmp_path: Path, name: str, given: str) -> None:
    values = {**VALUES, name: ""} if given == "an empty value" else {key: VALUES[key] for key in VALUES if key != name}
    done = compose_config(tmp_path, values)
    assert done.returncode != 0
    assert f"set {name} in docker/.env" in done.stderr


def test_the_example_refuses_to_start_until_it_is_filled_in(tmp_path: Path) -> None:
    lines = (DOCKER / "example.env").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    assert {name for name, value in example.items() if not value} == {*VALUES, "HF_TOKEN"}
    assert compose_config(tmp_path, example).returncode != 0
    assert compose_config(tmp_path, {**example, **VALUES}).returncode == 0


def test_no_secret_is_written_in_a_file(services: dict[str, dict[str, Any]]) -> None:
    secrets = {VALUES[name] for name in ("POSTGRES_PASSWORD", "PREFECT_AUTH_STRING", "S3_SECRET_KEY")}
    shown = {value for service in services.values() for value in service.get("environment", {}).values()}
    arguments = {value for service in services.values() for value in service.get("build", {}).get("args", {}).values()}

    assert secrets <= shown
    assert not secrets & arguments  # a build argument stays in the image
    assert ".env" in (DOCKER / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_every_port_is_on_loopback(services: dict[str, dict[str, Any]]) -> None:
    ports = {name: [port["host_ip"] for port in service.get("ports", [])] for name, service in services.items()}
    assert {name: hosts for name, hosts in ports.items() if hosts} == {"server": ["127.0.0.1"], "s3": ["127.0.0.1"]}
    assert list(services["postgres"]["networks"]) == ["database"]


def test_every_image_is_pinned(services: dict[str, dict[str, Any]]) -> None:
    tags = {name: service["image"].rpartition(":")[2] for name, service in services.items()}
    assert all(tag and tag != "latest" for tag in tags.values())
    assert {service["image"] for service in services.values() if "build" in service} == {
        f"potstill-{name}:0.1.0" for name in IMAGES
    }
    assert all(
        service["build"]["args"]["PYTHON_DIGEST"] == VALUES["PYTHON_DIGEST"]
        for service in services.values()
        if "build" in service
    )


def test_whoever_waits_waits_for_something_that_tells_that_it_is_ready(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for other, wanted in service.get("depends_on", {}).items():
            if other in ONE_SHOTS:
                assert wanted["condition"] == "service_completed_successfully"
                assert services[other]["restart"] == "no"
            else:
                assert wanted["condition"] == "service_healthy"
                assert "build" in services[other] or "test" in services[other]["healthcheck"]  # ours have it in the image
    assert all(service["restart"] == "unless-stopped" for name, service in services.items() if name not in ONE_SHOTS)


def test_nothing_gains_privileges_and_what_is_ours_has_none(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "build" not in service or service["cap_drop"] == ["ALL"]
        assert not service.get("privileged")


def test_the_server_asks_for_a_key_and_its_clients_have_it(services: dict[str, dict[str, Any]]) -> None:
    server = services["server"]["environment"]
    assert server["PREFECT_SERVER_API_AUTH_STRING"] == VALUES["PREFECT_AUTH_STRING"]
    assert server["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    for name in ("setup", "cpu-worker", "teacher-gpu", "student-gpu"):
        assert services[name]["environment"]["PREFECT_API_AUTH_STRING"] == VALUES["PREFECT_AUTH_STRING"]
    assert "default_transaction_isolation=read committed" in services["postgres"]["command"]


@pytest.mark.parametrize("name", ["teacher-gpu", "student-gpu"])
def test_a_gpu_worker_has_its_gpus_shared_memory_and_time_to_stop(services: dict[str, dict[str, Any]], name: str) -> None:
    worker = services[name]
    (devices,) = worker["deploy"]["resources"]["reservations"]["devices"]

    assert (devices["driver"], devices["capabilities"], devices["device_ids"]) == ("nvidia", ["gpu"], ["0"])
    assert worker["profiles"] == ["gpu"]
    assert int(worker["shm_size"]) == 16 << 30
    assert worker["stop_grace_period"] == "2m30s"  # longer than deployments.worker gives its flow runs
    assert worker["command"][-2:] == ["--pool", name]


def test_without_a_gpu_the_cpu_worker_has_the_engine_built_for_cpus(tmp_path: Path) -> None:
    done = compose_config(tmp_path, VALUES, FILE, CPU_FILE)
    worker = yaml.safe_load(done.stdout)["services"]["cpu-worker"]

    assert worker["image"] == "potstill-cpu:0.1.0"
    assert (worker["build"]["target"], worker["build"]["args"]["ENGINE"]) == ("teacher", "cpu")
    assert worker["build"]["args"]["PYTHON_DIGEST"] == VALUES["PYTHON_DIGEST"]
    assert worker["command"][-4:] == ["--pool", "cpu", "--limit", "4"]
