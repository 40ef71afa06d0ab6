"""Makes a Prefect server ready for Potstill, or says how it differs: ``python -m deployments.setup [--check]``.

Work pools, queues, limits, variables, automations and deployments, from pools.yaml, automations.yaml and prefect.yaml. Run it
again after every upgrade: what is as it should be is left alone, and so is what belongs to the operator: variables' values, and
whether a schedule, a deployment or an automation is switched on.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import httpx
import yaml
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound

from deployments.server_changes import HERE, PREFECT_FILE, Change, PoolType, deployment_name, find_changes
from flows.recipe import DIRECTORY, STORE
from tasks.core.environment import prepare_libraries
from tasks.core.storage import open_store

_CONTAINER_DIRECTORY = "/app"
_SERVER_SECONDS = 180


def main(arguments: list[str] | None = None) -> int:
    """Set a server up, or check it. Returns the exit status: 1 if a check found differences."""
    options = _parser().parse_args(arguments)
    prepare_libraries()
    if Path.cwd() != HERE.parent:
        raise SystemExit(f"run this in the project's folder, {HERE.parent}: recipes are found from there")
    if options.pools != "process":
        os.environ.setdefault(DIRECTORY, _CONTAINER_DIRECTORY)
    if options.store:
        os.environ[STORE] = options.store if options.store.startswith("s3://") else open_store(options.store).url
    with get_client(sync_client=True) as client:
        _wait_for(client)
        changes = list(find_changes(client, options.pools))
        for change in changes:
            print(f"{change.what}: {change.why}")
        if options.check:
            print(f"{len(changes)} differences from what this version sets up" if changes else "as this version sets it up")
            return 1 if changes else 0
        _make(client, changes)
    print(f"{len(changes)} changes made" if changes else "nothing to do")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deployments.setup", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; say what differs, with exit status 1 if anything does"
    )
    parser.add_argument("--pools", choices=get_args(PoolType), default="process", help="type of the work pools (process)")
    parser.add_argument(
        "--store",
        default=os.environ.get(STORE),
        metavar="URL",
        help="the store of all deployments, s3://bucket/prefix or a folder that all workers share; "
        f"else {STORE}, else what each recipe says",
    )
    return parser


def _wait_for(client: SyncPrefectClient) -> None:
    """Wait for a server that is still starting, as in a new compose project."""
    deadline = time.monotonic() + _SERVER_SECONDS
    while True:
        error = client.api_healthcheck()
        if error is None:
            return
        if time.monotonic() > deadline:
            raise SystemExit(
                f"the Prefect server at {client.api_url} does not answer ({error}); set PREFECT_API_URL to its address"
            )
        time.sleep(1)


def _make(client: SyncPrefectClient, changes: list[Change]) -> None:
    for change in changes:
        if change.mend is not None:
            change.mend()
    if any(change.mend is None for change in changes):
        with _switches_kept(client):
            _deploy()


def _deploy() -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(PREFECT_FILE)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"prefect deploy ended with status {done.returncode}:\n{done.stdout[-4000:]}")


@contextmanager
def _switches_kept(client: SyncPrefectClient) -> Iterator[None]:
    """Leave switched-on schedules and paused deployments as they are: deploying anew resets them."""
    active: dict[str, set[str]] = {}
    paused: list[str] = []
    for entry in yaml.safe_load(PREFECT_FILE.read_text(encoding="utf-8"))["deployments"]:
        name = deployment_name(entry)
        try:
            found = client.read_deployment_by_name(name)
        except ObjectNotFound:
            continue
        active[name] = {schedule.slug for schedule in found.schedules if schedule.active and schedule.slug}
        if found.paused:
            paused.append(name)
    yield
    for name, slugs in active.items():
        deployment = client.read_deployment_by_name(name)
        for schedule in deployment.schedules:
            if schedule.slug in slugs and not schedule.active:
                client.update_deployment_schedule(deployment.id, schedule.id, active=True)
        if name in paused and not deployment.paused:
            client.pause_deployment(deployment.id)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except httpx.HTTPStatusError as error:
        sys.exit(f"the Prefect server refused {error.request.url.path}: {error.response.status_code} {error.response.text[:500]}")
