"""Makes the store's bucket on a new S3 server; address and keys come from the usual AWS variables."""

import sys
import time
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

_STARTUP_SECONDS = 120
_THERE = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "InvalidBucketName", "SignatureDoesNotMatch"}


def make_bucket(name: str) -> None:
    """Create a bucket unless it is there, trying again while the server starts: its port answers before it works.

    Raises:
        ClientError: If the server refuses the keys or the name.
        BotoCoreError: If it does not answer for two minutes.
    """
    config = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})
    client: Any = get_session().create_client("s3", config=config)
    deadline = time.monotonic() + _STARTUP_SECONDS
    while True:
        try:
            client.create_bucket(Bucket=name)
            return
        except (BotoCoreError, ClientError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else None
            if code in _THERE:
                return
            if code in _REFUSED or time.monotonic() > deadline:
                raise
            time.sleep(1)


if __name__ == "__main__":
    make_bucket(sys.argv[1])
