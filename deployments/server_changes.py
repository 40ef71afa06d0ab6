"""What a Prefect server lacks, or has otherwise than this folder's files say, and how each is mended."""

import importlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import WorkQueue
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.variables import Variable
from pydantic import BaseModel, ConfigDict

from flows.recipe import deployment_parameters, garbage_parameters, worker_directory

PoolType = Literal["process", "docker", "kubernetes"]
HERE = Path(__file__).parent
PREFECT_FILE = HERE / "prefect.yaml"
_VARIABLE = re.compile(r"{{ prefect\.variables\.(\w+) }}")
_PARAMETERS: dict[str, Callable[..., dict[str, Any]]] = {
    f"flows.recipe.{step.__name__}": step for step in (deployment_parameters, garbage_parameters)
}
_TEMPLATES = HERE.parent / "infra" / "job-templates"


class _Queue(BaseModel):
    model_config = ConfigDict(extra="forbid")
    priority: int
    description: str
    concurrency_limit: int | None = None


class _Pool(BaseModel):
    model_config = ConfigDict(extra="forbid")
    description: str
    queues: dict[str, _Queue]
    concurrency_limit: int | None = None


class _Plan(BaseModel):
    model_config = ConfigDict(extra="forbid")
    pools: dict[str, _Pool]
    variables: dict[str, str]


@dataclass(frozen=True)
class Change:
    """One thing that a server has otherwise than it should."""

    what: str
    """The thing, e.g. ``work pool cpu``."""

    why: str
    """What is wrong with it."""

    mend: Callable[[], object] | None = None
    """Puts it right; None: ``prefect deploy`` does."""


def find_changes(client: SyncPrefectClient, pool_type: PoolType) -> Iterator[Change]:
    """Yield what the server lacks or has otherwise, in the order in which it is to be mended.

    Args:
        client: A client of the server.
        pool_type: Type of the work pools; the type of one that exists cannot be changed, and is told as it is.
    """
    plan = _Plan.model_validate(yaml.safe_load((HERE / "pools.yaml").read_text(encoding="utf-8")))
    template = json.loads((_TEMPLATES / f"{pool_type}.json").read_text(encoding="utf-8"))
    for name, pool in plan.pools.items():
        yield from _pool_changes(client, name, pool, pool_type, template)
    for name, value in plan.variables.items():
        if Variable.get(name) is None:
            yield Change(f"variable {name}", "is missing", lambda name=name, value=value: Variable.set(name, value))
    for wanted in yaml.safe_load((HERE / "automations.yaml").read_text(encoding="utf-8")):
        yield from _automation_changes(client, AutomationCore.model_validate(wanted))
    for entry in yaml.safe_load(PREFECT_FILE.read_text(encoding="utf-8"))["deployments"]:
        yield from _deployment_changes(client, entry)


def deployment_name(entry: dict[str, Any]) -> str:
    """Return ``flow/deployment`` of an entry of prefect.yaml."""
    module, _, function = entry["entrypoint"].rpartition(".")
    flow: Flow[..., Any] = getattr(importlib.import_module(module), function)
    return f"{flow.name}/{entry['name']}"


def _pool_changes(
    client: SyncPrefectClient, name: str, pool: _Pool, pool_type: PoolType, template: dict[str, Any]
) -> Iterator[Change]:
    what = f"work pool {name}"
    wanted = {"description": pool.description, "concurrency_limit": pool.concurrency_limit, "base_job_template": template}
    try:
        found = client.read_work_pool(name)
    except ObjectNotFound:
        yield Change(what, "is missing", lambda: client.create_work_pool(WorkPoolCreate(name=name, type=pool_type, **wanted)))
        queues: dict[str, WorkQueue] = {}
    else:
        if found.type != pool_type:
            yield Change(what, f"is of the type {found.type}, wanted {pool_type}", lambda: _refuse_type(name, found.type))
        if why := _differences(wanted, {field: getattr(found, field) for field in wanted}):
            yield Change(what, why, lambda: client.update_work_pool(name, WorkPoolUpdate(**wanted)))
        queues = {queue.name: queue for queue in client.read_work_queues(work_pool_name=name)}
    for queue_name, queue in pool.queues.items():
        yield from _queue_changes(client, name, queue_name, queue, queues.get(queue_name))


def _queue_changes(client: SyncPrefectClient, pool: str, name: str, queue: _Queue, found: WorkQueue | None) -> Iterator[Change]:
    what, wanted = f"work queue {pool}/{name}", queue.model_dump()
    if found is None:
        yield Change(what, "is missing", lambda: client.create_work_queue(name, work_pool_name=pool, **wanted))
    elif why := _differences(wanted, {field: getattr(found, field) for field in wanted}):
        yield Change(what, why, lambda: client.update_work_queue(found.id, **wanted))


def _automation_changes(client: SyncPrefectClient, wanted: AutomationCore) -> Iterator[Change]:
    what = f"automation {wanted.name}"
    found = next(iter(client.read_automations_by_name(wanted.name)), None)
    if found is None:
        yield Change(what, "is missing", lambda: client.create_automation(wanted))
        return
    # Whether it is switched on is the operator's to say; what it does is ours.
    ours, theirs = (each.model_dump(mode="json", include={"description", "trigger", "actions"}) for each in (wanted, found))
    for each in (ours, theirs):
        each["trigger"].pop("id", None)  # drawn anew whenever a trigger is read
        each["trigger"] |= {name: sorted(each["trigger"][name]) for name in ("after", "expect")}  # sets, in any order
    if why := _differences(ours, theirs):
        renewed = wanted.model_copy(update={"enabled": found.enabled})
        yield Change(what, why, lambda: client.update_automation(found.id, renewed))


def _deployment_changes(client: SyncPrefectClient, entry: dict[str, Any]) -> Iterator[Change]:
    name = deployment_name(entry)
    what = f"deployment {name}"
    try:
        found = client.read_deployment_by_name(name)
    except ObjectNotFound:
        yield Change(what, "is missing")
        return
    wanted: dict[str, Any] = {
        "entrypoint": entry["entrypoint"],
        "description": entry["description"],
        "work_pool_name": entry["work_pool"]["name"],
        "work_queue_name": entry["work_pool"]["work_queue_name"],
        "tags": entry["tags"],
        "parameters": {},
        "directory": worker_directory()["directory"],
        "schedules": [schedule["slug"] for schedule in entry.get("schedules", ())],
        "job_variables": _resolved(entry["work_pool"]["job_variables"]),
    }
    for step in entry["build"]:
        for function, arguments in step.items():
            if build := _PARAMETERS.get(function):
                wanted["parameters"] |= build(**{name: value for name, value in arguments.items() if name != "id"})
    steps = found.pull_steps or []
    theirs = {
        **{field: getattr(found, field, None) for field in wanted},
        "directory": next((value["directory"] for step in steps for value in step.values() if "directory" in value), None),
        "schedules": [schedule.slug for schedule in found.schedules if schedule.slug],
    }
    if why := _differences(wanted, theirs):
        yield Change(what, why)


def _resolved(job_variables: dict[str, Any]) -> dict[str, Any]:
    """Return job variables as ``prefect deploy`` stores them: a variable of the server by its value."""
    values = dict(job_variables)
    for name, value in job_variables.items():
        if isinstance(value, str) and (variable := _VARIABLE.fullmatch(value)):
            values[name] = Variable.get(variable[1])
    return values


def _differences(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    """Return in words which fields differ, with both values where they are short enough to be read."""
    words: list[str] = []
    for field, value in wanted.items():
        other = found.get(field)
        if value == other:
            continue
        short = len(repr(value)) + len(repr(other)) <= 160
        words.append(f"{field} is {other!r}, wanted {value!r}" if short else f"{field} differs")
    return "; ".join(words)


def _refuse_type(name: str, found: str) -> None:
    raise SystemExit(
        f"the work pool {name} is of the type {found}, which Prefect cannot change; delete it (prefect work-pool delete {name}) "
        "and run setup again, or run setup with the type that it has"
    )
