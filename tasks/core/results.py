"""Where Prefect keeps the small results of tasks and flows: beside the artefacts, and nothing that is kept there runs code.

Prefect runs what a planted record asks for (``result_records.py`` says how), so whoever can write below ``prefect/`` could run
code in whoever reads there. The block below hands on only what this project writes; anything else is a result that is not there.
"""

import asyncio
from functools import lru_cache

from prefect.exceptions import ObjectAlreadyExists
from prefect.filesystems import WritableFileSystem
from prefect.settings import PREFECT_API_URL
from pydantic import Field

from tasks.core.fingerprint import SHORT, fingerprint
from tasks.core.progress import stage_logger
from tasks.core.result_records import RefusedRecordError, checked_record
from tasks.core.secrets import withhold
from tasks.core.storage import open_store

FOLDER = "prefect"
"""Folder of the store that the results are in."""


class StoreResults(WritableFileSystem):
    """Prefect's results in an artefact store, a local folder or S3, without any that would run code when read."""

    _block_type_name = "Potstill Results"
    _block_type_slug = "potstill-results"

    store: str = Field(description="URL of the artefact store. Keys for it come from the environment of whoever reads.")

    def read_path(self, path: str, _sync: bool = True) -> bytes:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return a record that is safe to read.

        Args:
            path: The record's key.

        Raises:
            FileNotFoundError: If there is none, or it is refused; Prefect takes either for a miss.
            StoreUnreachableError: If the store does not answer.
        """
        content = open_store(self.store).read(f"{FOLDER}/{path}")
        try:
            return checked_record(content, self.store, path, self._block_document_id)
        except RefusedRecordError as refused:
            stage_logger().warning(
                "the Prefect result %s/%s of the store %s is refused: %s; it is not read, and the work is looked up in the store",
                *(FOLDER, path, self.store, refused),
            )
            raise FileNotFoundError(f"the result {path} is refused: {refused}") from None

    def write_path(self, path: str, content: bytes, _sync: bool = True) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Keep a record; an error that a run ended by is kept without the secrets of the environment.

        Args:
            path: The record's key.
            content: The record.

        Raises:
            StoreUnreachableError: If the store does not answer.
        """
        open_store(self.store).write(f"{FOLDER}/{path}", withhold(content.decode()).encode())

    async def aread_path(self, path: str) -> bytes:
        """Return a record that is safe to read; see ``read_path``."""
        return await asyncio.to_thread(self.read_path, path)

    async def awrite_path(self, path: str, content: bytes) -> None:
        """Keep a record; see ``write_path``."""
        await asyncio.to_thread(self.write_path, path, content)


def result_storage(store: str) -> StoreResults:
    """Return the block that keeps Prefect's results of a store, saved under a name derived from the store's URL.

    Raises:
        SettingsError: If the URL is none that a store may have.
    """
    return _saved_block(open_store(store).url, PREFECT_API_URL.value())


@lru_cache(maxsize=32)
def _saved_block(url: str, server: str | None) -> StoreResults:
    del server  # each server has blocks of its own
    block, name = StoreResults(store=url), f"potstill-{fingerprint(url)[:SHORT]}"
    try:
        block.save(name, overwrite=True, _sync=True)  # pyright: ignore[reportCallIssue]
    except ObjectAlreadyExists:  # another worker has made the block's type known this very moment
        block.save(name, overwrite=True, _sync=True)  # pyright: ignore[reportCallIssue]
    return block
