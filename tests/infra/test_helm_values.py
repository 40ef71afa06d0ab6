"""The values for Prefect's charts; that the charts take them was checked with the charts' own schemas (infra/README.md)."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.infra.rendering import ROOT

FOLDER = ROOT / "infra" / "helm"
LOOP = re.compile(r"for pool in ([\w -]+); do")


def values(name: str) -> dict[str, Any]:
    """Return a chart's values."""
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every single value with where it is."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, f"{path}.{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from leaves(each, f"{path}[{number}]")
    else:
        yield path, value


def pinned_prefect() -> str:
    """Return the version of Prefect that the project is pinned to."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return next(each.removeprefix("prefect==") for each in project["dependencies"] if each.startswith("prefect=="))


def test_server_and_workers_are_of_the_version_that_the_project_is_pinned_to() -> None:
    server = values("prefect-server")["global"]["prefect"]["image"]["prefectTag"]
    worker = values("prefect-worker")["worker"]["image"]["prefectTag"]
    assert re.fullmatch(rf"{re.escape(pinned_prefect())}-python3\.\d+", server)
    assert worker == f"{server}-kubernetes"


def test_the_server_wants_a_password_and_the_workers_have_the_same_secret() -> None:
    server = values("prefect-server")["server"]["basicAuth"]
    worker = values("prefect-worker")["worker"]["selfHostedServerApiConfig"]
    assert server == worker["basicAuth"] == {"enabled": True, "existingSecret": "prefect-auth"}
    assert values("prefect-worker")["worker"]["apiConfig"] == "selfHostedServer"
    assert worker["apiUrl"] == "http://prefect-server.potstill.svc.cluster.local:4200/api"


@pytest.mark.parametrize("name", ["prefect-server", "prefect-worker"])
def test_no_secret_is_written_down_and_every_container_is_confined(name: str) -> None:
    for path, value in leaves(values(name)):
        secret = re.search(r"password|authstring|connectionstring$|token|apikey", path, re.IGNORECASE)
        assert secret is None or isinstance(value, bool), path
        assert "://" not in str(value) or "@" not in str(value), path
    contexts = [each for path, each in _contexts(values(name)) if path == "containerSecurityContext"]
    assert contexts
    for context in contexts:
        assert context["runAsNonRoot"]
        assert context["readOnlyRootFilesystem"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}


def _contexts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield name, each
            yield from _contexts(each)


def test_the_server_keeps_its_state_in_a_postgres_of_ones_own() -> None:
    server = values("prefect-server")
    assert server["externalDatabase"] == {
        "existingSecret": "prefect-database",
        "connectionStringSecretKey": "connection-string",
    }
    assert not server["postgresql"]["enabled"]
    assert not server["redis"]["enabled"]
    assert not server["secret"]["create"]  # the chart would make one of empty parts
    assert server["server"]["replicaCount"] == 1


def test_there_is_one_release_of_workers_for_each_work_pool_and_its_template_is_there() -> None:
    command = (FOLDER / "prefect-worker.yaml").read_text(encoding="utf-8")
    pools = yaml.safe_load((ROOT / "deployments" / "pools.yaml").read_text(encoding="utf-8"))["pools"]
    [loop] = LOOP.findall(command)
    assert loop.split() == list(pools)
    assert values("prefect-worker")["worker"]["config"]["workPool"] in pools
    [template] = re.findall(r"--set-file worker\.config\.baseJobTemplate\.configuration=(\S+)", command)
    assert (ROOT / template).is_file()
    # Releases in one namespace would otherwise share one ConfigMap, and take it from one another.
    assert "--set worker.config.baseJobTemplate.name=worker-$pool-template" in command
    for path in re.findall(r"infra/\S+\.(?:yaml|json)", command):
        assert (ROOT / path).is_file(), path
