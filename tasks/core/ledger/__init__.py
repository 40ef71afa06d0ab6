"""The row ledger: teacher answers kept below the artefact level and shared by every run on a store."""

from tasks.core.ledger.index import Located
from tasks.core.ledger.keys import limited_key, row_key, row_seed
from tasks.core.ledger.ledger import Ledger
from tasks.core.ledger.log import CUT, FAILED, FINISHED

__all__ = ["CUT", "FAILED", "FINISHED", "Ledger", "Located", "limited_key", "row_key", "row_seed"]
