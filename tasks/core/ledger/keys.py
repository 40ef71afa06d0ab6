"""What identifies an answer; and keys as sorted arrays of 16 bytes each, so that millions are matched by binary search."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.core.fingerprint import fingerprint

KEY = np.dtype("S16")
_HEX_DIGITS = 64
_PACKED_TOGETHER = 65_536  # keys whose digits are joined, so that a long list is not in memory twice


def row_key(namespace: str, prompt: Any, sample_index: int) -> str:
    """Return the identity of one answer.

    Args:
        namespace: Who answers how.
        prompt: To what exactly, as a JSON value: token ids or messages.
        sample_index: Which sample of it.

    Returns:
        64 hex digits.
    """
    return fingerprint([namespace, prompt, sample_index])


def limited_key(key: str, max_new_tokens: int) -> str:
    """Return the key of a row that was cut off: unlike a finished one it counts only under the same limit."""
    return fingerprint([key, max_new_tokens])


def row_seed(key: str) -> int:
    """Return a row's sampling seed, derived from its key so that neighbouring rows share no random numbers.

    Returns:
        An integer in ``[0, 2**31)``.
    """
    return int(key[:8], 16) & 0x7FFFFFFF


def pack_keys(keys: Sequence[str]) -> np.ndarray:
    """Return keys of 64 hex digits as an array of their first 16 bytes, in the same order.

    Raises:
        ValueError: If a key is not of 64 hex digits.
    """
    packed = np.empty((len(keys), KEY.itemsize), np.uint8)
    for start in range(0, len(keys), _PACKED_TOGETHER):
        block = keys[start : start + _PACKED_TOGETHER]
        if any(len(key) != _HEX_DIGITS for key in block):
            raise ValueError(f"row keys have {_HEX_DIGITS} hex digits each; make them with row_key or limited_key")
        digests = np.frombuffer(bytes.fromhex("".join(block)), np.uint8).reshape(len(block), _HEX_DIGITS // 2)
        packed[start : start + len(block)] = digests[:, : KEY.itemsize]
    return packed.view(KEY).reshape(len(keys))


def find_keys(among: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return where each key is in a sorted array, and -1 for one that is not there."""
    if not len(among):
        return np.full(len(keys), -1)
    at = np.minimum(np.searchsorted(among, keys), len(among) - 1)
    return np.where(among[at] == keys, at, -1)


class MissingKeys:
    """The keys that a run has looked up, and which of them are still not in the ledger.

    A commit needs to know that none of its rows is in the log already; this answers without another search of the index.
    """

    def __init__(self) -> None:
        self._keys = np.empty(0, KEY)
        self._missing = np.empty(0, bool)

    def record(self, keys: np.ndarray, missing: np.ndarray) -> None:
        """Note what a look-up found.

        Args:
            keys: The keys that were looked up.
            missing: bool, parallel to them: the ledger does not have it.
        """
        # np.unique keeps the first of equals: the new finding counts.
        self._keys, kept = np.unique(np.concatenate([keys, self._keys]), return_index=True)
        self._missing = np.concatenate([missing, self._missing])[kept]

    def known(self, keys: np.ndarray) -> np.ndarray:
        """Return which keys have been looked up."""
        return find_keys(self._keys, keys) >= 0

    def among(self, keys: np.ndarray) -> np.ndarray:
        """Return which keys have been looked up and are not in the ledger."""
        at = find_keys(self._keys, keys)
        missing = at >= 0
        missing[missing] = self._missing[at[missing]]
        return missing

    def strike(self, keys: np.ndarray) -> np.ndarray:
        """Note that keys are in the log now; return which of them were missing until now."""
        were_missing = self.among(keys)
        self._missing[find_keys(self._keys, keys[were_missing])] = False
        return were_missing
