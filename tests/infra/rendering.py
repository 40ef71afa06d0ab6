"""Jobs as Prefect's workers make them of our templates, and Kubernetes' own view of manifests."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import kubernetes_validate
import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.workers.base import BaseJobConfiguration
from prefect.workers.process import ProcessJobConfiguration
from prefect_docker.worker import DockerWorkerJobConfiguration
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

Configuration = TypeVar("Configuration", bound=BaseJobConfiguration)

ROOT = Path(__file__).parents[2]
KUBERNETES = "1.33"
CONFIGURATIONS: dict[str, type[BaseJobConfiguration]] = {
    "process": ProcessJobConfiguration,
    "docker": DockerWorkerJobConfiguration,
    "kubernetes": KubernetesWorkerJobConfiguration,
}
_PREFECT_VARIABLE = re.compile(r"{{ prefect\.variables\.(\w+) }}")


def template(kind: str) -> dict[str, Any]:
    """Return the base job template of pools of a type."""
    return json.loads((ROOT / "infra" / "job-templates" / f"{kind}.json").read_text(encoding="utf-8"))


def job_variables() -> dict[str, dict[str, Any]]:
    """Return the job variables of every deployment by entry point and pool, the server's variables filled in."""
    text = (ROOT / "deployments" / "prefect.yaml").read_text(encoding="utf-8")
    deployments = yaml.safe_load(_PREFECT_VARIABLE.sub(r"registry.example/\1:1", text))["deployments"]
    return {f"{each['entrypoint']} {each['name']}": each["work_pool"].get("job_variables", {}) for each in deployments}


def render(configuration: type[Configuration], kind: str, variables: dict[str, Any]) -> Configuration:
    """Return the job that a worker would start for a flow run; the server is not asked for anything."""
    client = PrefectClient("http://127.0.0.1:9/api")
    job = asyncio.run(configuration.from_template_and_values(template(kind), variables, client=client))
    job.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="brave-still"))
    return job


def kubernetes_job(variables: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a flow run's job, as far as Kubernetes has a place for what is in it.

    Prefect's worker insists on two fields in the pod that belong to the job; Kubernetes drops them.
    """
    manifest = render(KubernetesWorkerJobConfiguration, "kubernetes", variables).job_manifest
    pod = manifest["spec"]["template"]["spec"]
    assert (pod.pop("parallelism"), pod.pop("completions")) == (1, 1)
    return manifest


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the pod's specification of a job."""
    return manifest["spec"]["template"]["spec"]


def validate(manifest: dict[str, Any]) -> None:
    """Check a manifest against Kubernetes' schema, unknown fields included."""
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def assert_confined(pod: dict[str, Any]) -> None:
    """A pod keeps to the pod security standard "restricted", has no way to the cluster's API, and cannot change its image."""
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all({"emptyDir", "persistentVolumeClaim", "configMap"} & volume.keys() for volume in pod["volumes"])
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        mounted = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert mounted >= {"/tmp", "/home/potstill", "/dev/shm"}
        assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}
