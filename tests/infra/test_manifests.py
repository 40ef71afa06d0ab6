"""The manifests of infra/kubernetes: what Kubernetes takes, and what our own settings and names make of them."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.recipe import load_recipe
from tasks.teachers.endpoint.url import HOSTS, check_url
from tasks.training.launch import run_training
from tests.infra.rendering import ROOT, assert_confined, job_variables, validate
from tests.servers import closed_port
from tests.trainings import make_job, training_settings

FOLDER = ROOT / "infra" / "kubernetes"
JOIN = FOLDER / "training" / "join_training.py"
OTHERS = {"JobSet", "LeaderWorkerSet", "Kustomization"}  # that Kubernetes itself has no schema of


def manifests() -> list[dict[str, Any]]:
    """Return every manifest that is shipped."""
    return [each for path in sorted(FOLDER.glob("*/*.yaml")) for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def manifest(kind: str, name: str) -> dict[str, Any]:
    """Return the manifest of a name."""
    return next(each for each in manifests() if each["kind"] == kind and each["metadata"]["name"] == name)


def training_jobs() -> dict[str, dict[str, Any]]:
    """Return the jobs of the training by the names of its parts."""
    return {part["name"]: part["template"] for part in manifest("JobSet", "student")["spec"]["replicatedJobs"]}


def teacher_pods() -> dict[str, dict[str, Any]]:
    """Return the teacher's pods, the leader's and the other's."""
    group = manifest("LeaderWorkerSet", "teacher-nodes")["spec"]["leaderWorkerTemplate"]
    return {"leader": group["leaderTemplate"], "worker": group["workerTemplate"]}


def pods() -> list[dict[str, Any]]:
    """Return the specification of every pod that computes."""
    return [
        *(job["spec"]["template"]["spec"] for job in training_jobs().values()),
        *(pod["spec"] for pod in teacher_pods().values()),
    ]


def test_kubernetes_takes_every_manifest_and_the_jobs_and_pods_inside_the_others() -> None:
    for each in manifests():
        if each["kind"] not in OTHERS:
            validate(each)
    for name, job in training_jobs().items():
        validate({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, **job})
    for name, pod in teacher_pods().items():
        validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **pod["metadata"]}, "spec": pod["spec"]})


def test_each_folder_lists_its_manifests_and_all_lie_in_one_namespace() -> None:
    for folder in sorted(path.parent for path in FOLDER.glob("*/kustomization.yaml")):
        listed = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
        assert set(listed["resources"]) == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert listed["namespace"] == "potstill"
    named = [each for each in manifests() if each["kind"] not in {"Namespace", "Kustomization"}]
    assert {each["metadata"]["namespace"] for each in named} == {"potstill"}


def test_every_pod_keeps_to_the_namespaces_security_standard() -> None:
    labels = manifest("Namespace", "potstill")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in pods():
        assert_confined(pod)


def test_only_the_namespace_is_let_in() -> None:
    policy = manifest("NetworkPolicy", "within-the-namespace")["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}


def test_every_pod_runs_under_an_account_and_on_nodes_that_are_there_and_asks_for_whole_machines() -> None:
    accounts = {each["metadata"]["name"]: each for each in manifests() if each["kind"] == "ServiceAccount"}
    assert accounts.keys() >= {each["service_account_name"] for each in job_variables().values()}
    assert not any(each["automountServiceAccountToken"] for each in accounts.values())
    pools = yaml.safe_load((ROOT / "deployments" / "pools.yaml").read_text(encoding="utf-8"))["pools"]
    for pod in pods():
        assert pod["serviceAccountName"] in accounts
        assert pod["nodeSelector"]["potstill/pool"] in pools
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 8
        assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_the_leaders_recipe_is_valid_and_fits_the_machines_of_the_training() -> None:
    leader, follower = (training_jobs()[name]["spec"] for name in ("leader", "follower"))
    pod = leader["template"]["spec"]
    python, *command = pod["containers"][0]["args"]
    assert [python, *command[:2]] == ["python", "-m", "flows.distill"]
    files = [ROOT / each for each in command[2:] if not each.startswith("--")]
    config = load_recipe(files, [each.removeprefix("--set=") for each in command if each.startswith("--set=")])

    runtime = config.student.training.runtime
    assert config.placement.training is None  # here, and nothing else
    assert config.placement.generation == "teacher-gpu"
    assert config.store.startswith("s3://")
    assert runtime.nodes == leader["parallelism"] + follower["parallelism"]
    assert runtime.processes == pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
    assert runtime.grace_seconds < pod["terminationGracePeriodSeconds"]
    # JobSet's names of pods: set, part, number of the job, number of the pod; and the service that they are in
    jobset = manifest("JobSet", "student")
    host = f"{jobset['metadata']['name']}-leader-0-0.{jobset['spec']['network']['subdomain']}"
    assert runtime.rendezvous == f"{host}:29400"
    assert jobset["spec"]["successPolicy"]["targetReplicatedJobs"] == ["leader"]
    assert leader["backoffLimit"] == follower["backoffLimit"] == 0  # either starts both again


def test_both_machines_of_a_training_see_the_same_folder_and_only_the_leader_has_the_servers_key() -> None:
    leader, follower = (training_jobs()[name]["spec"]["template"]["spec"] for name in ("leader", "follower"))
    scratch = manifest("PersistentVolumeClaim", "training-scratch")
    assert scratch["spec"]["accessModes"] == ["ReadWriteMany"]
    for pod in (leader, follower):
        assert {"name": "scratch", "persistentVolumeClaim": {"claimName": "training-scratch"}} in pod["volumes"]
        assert {"name": "XDG_CACHE_HOME", "value": "/scratch"} in pod["containers"][0]["env"]
    assert follower["containers"][0]["args"] == ["python", f"/join/{JOIN.name}", "/scratch"]
    assert "PREFECT_API_AUTH_STRING" in {each["name"] for each in leader["containers"][0]["env"]}
    assert len(follower["containers"][0]["env"]) == 1


def test_the_teachers_machines_start_alike_but_for_who_serves() -> None:
    leader, worker = (teacher_pods()[name]["spec"]["containers"][0]["args"] for name in ("leader", "worker"))
    assert set(leader) - set(worker) == {"--served-model-name=deepseek-ai/DeepSeek-V3-0324", "--host=0.0.0.0"}
    assert set(worker) - set(leader) == {"--headless"}


def test_the_teacher_is_an_endpoint_of_the_shipped_recipe_that_asks_for_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    service = manifest("Service", "teacher")
    leader = teacher_pods()["leader"]
    assert leader["metadata"]["labels"].items() >= service["spec"]["selector"].items()
    assert not teacher_pods()["worker"]["metadata"]["labels"].items() >= service["spec"]["selector"].items()
    [key] = [each for each in leader["spec"]["containers"][0]["env"] if each["name"] == "VLLM_API_KEY"]
    assert key["valueFrom"] == {"secretKeyRef": {"name": "potstill-env", "key": "TEACHER_API_KEY"}}

    url = f"http://teacher.potstill.svc:{service['spec']['ports'][0]['port']}/v1"
    changes = [f"teacher.endpoint.url={url}", "teacher.endpoint.key_environment=TEACHER_API_KEY"]
    config = load_recipe([ROOT / "deployments" / "recipes" / "endpoint.yaml"], changes)
    assert config.teacher.endpoint is not None
    assert f"--served-model-name={config.teacher.endpoint.model}" in leader["spec"]["containers"][0]["args"]
    monkeypatch.setenv(HOSTS, "teacher.potstill.svc")
    assert check_url(url) is False


@pytest.mark.slow
def test_the_follower_joins_the_training_that_the_leader_starts_and_leaves_with_it(tmp_path: Path) -> None:
    rendezvous = f"127.0.0.1:{closed_port()}"
    runtime = {"device_batch_size": 1, "nodes": 2, "rendezvous": rendezvous}
    job = make_job(tmp_path / "store", training_settings(method="topk_kd", runtime=runtime))
    shared = job.model_copy(update={"workspace": tmp_path / "store" / "scratch" / "student" / "0c7b"})
    shared.workspace.mkdir(parents=True)
    older = job.workspace.parent / "other" / "student" / "9e55" / "job.json"
    older.parent.mkdir(parents=True)
    older.write_text("{")  # what another run left behind

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (
        subprocess.Popen([sys.executable, str(JOIN), str(tmp_path)], cwd=ROOT, env=environment) as follower,
        ThreadPoolExecutor(1) as pool,
    ):
        metrics = pool.submit(run_training, shared).result(timeout=300)
        assert follower.wait(60) == 0
    assert metrics[-1]["step"] == metrics[-1]["max_steps"]
    assert (shared.output / "model.safetensors").is_file()
