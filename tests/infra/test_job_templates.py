"""The work pools' base job templates, through the templating of Prefect's own workers."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from docker.models.containers import _create_container_args  # pyright: ignore[reportAttributeAccessIssue]
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.utilities.templating import find_placeholders
from prefect.workers.process import ProcessJobConfiguration
from prefect_docker.worker import DockerWorker, DockerWorkerJobConfiguration

from docker import DockerClient
from tests.infra.rendering import (
    CONFIGURATIONS,
    assert_confined,
    job_variables,
    kubernetes_job,
    pod_of,
    render,
    template,
    validate,
)

SHARED = {
    "image",
    "env",
    "gpu_count",
    "device_requests",
    "node_selector",
    "tolerations",
    "shm_size",
    "grace_seconds",
    "cpu_request",
    "memory_request",
    "memory_limit",
    "service_account_name",
    "namespace",
    "image_pull_policy",
}
GPU_JOB: dict[str, Any] = {
    "image": "registry.example/potstill-teacher:0.1.0",
    "env": {"PREFECT_API_URL": "https://prefect.example/api", "HF_HUB_OFFLINE": "1"},
    "gpu_count": 8,
    "device_requests": [{"Driver": "nvidia", "Count": 8, "Capabilities": [["gpu"]]}],
    "node_selector": {"potstill/pool": "teacher-gpu"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "shm_size": "64G",
    "grace_seconds": 100,
    "cpu_request": "32",
    "memory_request": "256G",
    "memory_limit": "512G",
    "service_account_name": "potstill-teacher",
}
CPU_JOB: dict[str, Any] = {"image": "registry.example/potstill-orchestrator:0.1.0", "memory_limit": "8G", "gpu_count": 0}


def docker_settings(variables: dict[str, Any]) -> dict[str, Any]:
    """Return what the Docker engine would be asked to create, as its own client puts it."""
    reached = {"PREFECT_API_URL": "https://prefect.example/api", **variables.get("env", {})}  # else the engine is asked who it is
    configuration = render(DockerWorkerJobConfiguration, "docker", {**variables, "env": reached})
    engine = DockerClient(base_url="tcp://127.0.0.1:9", version="1.45")
    asked = DockerWorker(work_pool_name="cpu", test_mode=True)._build_container_settings(engine, configuration)
    return _create_container_args({**asked, "version": "1.45"})


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_a_server_takes_the_template_and_every_type_knows_every_job_variable(kind: str) -> None:
    ours = template(kind)
    pool = WorkPoolCreate(name="cpu", type=kind, base_job_template=ours)
    known = pool.base_job_template["variables"]["properties"]
    assert known.keys() >= SHARED
    assert {found.name for found in find_placeholders(ours["job_configuration"])} <= known.keys()
    assert ours["job_configuration"].keys() <= CONFIGURATIONS[kind].model_fields.keys()
    for variable in known.values():
        jsonschema.Draft202012Validator.check_schema(variable)
        if "default" in variable:
            jsonschema.validate(variable["default"], variable)


@pytest.mark.parametrize("kind", CONFIGURATIONS)
@pytest.mark.parametrize("variables", [GPU_JOB, CPU_JOB, {}], ids=["gpu", "cpu", "defaults"])
def test_the_variables_of_one_deployment_suit_pools_of_every_type(kind: str, variables: dict[str, Any]) -> None:
    jsonschema.validate(variables, template(kind)["variables"])
    configuration = render(CONFIGURATIONS[kind], kind, variables)
    assert configuration.env.items() >= variables.get("env", {}).items()
    assert not find_placeholders(configuration.model_dump_json())


def test_every_shipped_deployment_makes_a_job_on_pools_of_every_type() -> None:
    for name, variables in job_variables().items():
        for kind in CONFIGURATIONS:
            jsonschema.validate(variables, template(kind)["variables"])
        render(ProcessJobConfiguration, "process", variables)
        assert docker_settings(variables)["host_config"]["ShmSize"] >= 1 << 30, name
        job = kubernetes_job(variables)
        validate(job)
        assert_confined(pod_of(job))
        wanted = int(pod_of(job)["containers"][0]["resources"]["limits"].get("nvidia.com/gpu", 0))
        assert (wanted > 0) == name.endswith("-gpu"), name


def test_a_gpu_job_is_valid_and_asks_kubernetes_for_all_that_it_needs() -> None:
    job = kubernetes_job(GPU_JOB)
    validate(job)
    pod = pod_of(job)
    container = pod["containers"][0]
    assert job["metadata"]["namespace"] == "potstill"
    assert container["image"] == GPU_JOB["image"]
    assert container["resources"] == {
        "limits": {"memory": "512G", "nvidia.com/gpu": 8},
        "requests": {"cpu": "32", "memory": "256G"},
    }
    assert pod["nodeSelector"] == GPU_JOB["node_selector"]
    assert pod["tolerations"] == GPU_JOB["tolerations"]
    assert pod["serviceAccountName"] == "potstill-teacher"
    assert pod["terminationGracePeriodSeconds"] == 100
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "64G"}} in pod["volumes"]
    assert container["args"] == ["python", "-m", "deployments.execute"]
    assert_confined(pod)


@pytest.mark.parametrize("variables", [CPU_JOB, {}], ids=["none", "unset"])
def test_a_job_on_the_cpu_pool_needs_no_gpu(variables: dict[str, Any]) -> None:
    job = kubernetes_job(variables)
    validate(job)
    assert not pod_of(job)["containers"][0]["resources"]["limits"].get("nvidia.com/gpu")
    assert not pod_of(job)["nodeSelector"]
    assert not pod_of(job)["tolerations"]
    assert pod_of(job)["terminationGracePeriodSeconds"] == 120
    assert not docker_settings(variables)["host_config"].get("DeviceRequests")


def test_weights_on_a_claim_are_mounted_where_recipes_look_for_them() -> None:
    claim = {"name": "models", "persistentVolumeClaim": {"claimName": "weights", "readOnly": True}}
    job = kubernetes_job({**GPU_JOB, "models_volume": claim})
    validate(job)
    assert claim in pod_of(job)["volumes"]
    assert {"name": "models", "mountPath": "/app/models", "readOnly": True} in pod_of(job)["containers"][0]["volumeMounts"]


def test_kubernetes_never_starts_a_second_pod_beside_the_run_that_prefect_starts_again() -> None:
    job = kubernetes_job(GPU_JOB)
    assert job["spec"]["backoffLimit"] == 0
    assert pod_of(job)["restartPolicy"] == "Never"
    # A pod that is still saving has not failed yet: the worker would call its run crashed.
    assert job["spec"]["podReplacementPolicy"] == "Failed"
    [rule] = job["spec"]["podFailurePolicy"]["rules"]
    assert rule == {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    environment = {each["name"]: each["value"] for each in pod_of(job)["containers"][0]["env"]}
    assert environment["PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"] == "reschedule"


def test_a_gpu_container_gets_its_devices_and_shared_memory_and_no_privileges() -> None:
    asked = docker_settings(GPU_JOB)
    host = asked["host_config"]
    assert asked["image"] == GPU_JOB["image"]
    assert host["DeviceRequests"] == [{"Driver": "nvidia", "Count": 8, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}]
    assert host["ShmSize"] == 64 << 30
    assert host["Memory"] == 512 << 30
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert not host.get("Privileged")
    assert host["IpcMode"] == "private"
    assert host["Binds"] == ["potstill-home:/home/potstill"]


def test_a_worker_can_tell_how_a_container_ended() -> None:
    configuration = render(DockerWorkerJobConfiguration, "docker", GPU_JOB)
    assert configuration.stream_output
    assert not configuration.auto_remove


def test_a_process_outlives_a_worker_that_is_killed() -> None:
    configuration = render(ProcessJobConfiguration, "process", {**GPU_JOB, "working_dir": "/app"})
    assert configuration.stream_output is False  # or it dies of the broken pipe
    assert configuration.working_dir == Path("/app")
    assert configuration.command is not None
    assert configuration.command.endswith("-m prefect.engine")


def test_secrets_come_from_kubernetes_and_are_in_no_manifest() -> None:
    container = pod_of(kubernetes_job(GPU_JOB))["containers"][0]
    assert container["envFrom"] == [{"secretRef": {"name": "potstill-env", "optional": True}}]
    assert not any("AUTH" in each["name"] or "SECRET" in each["name"] for each in container["env"])
