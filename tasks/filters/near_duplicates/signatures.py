"""MinHash signatures in bands: two rows of similarity s have the same key in a band with the probability s^8.

Broder, "On the resemblance and containment of documents" (1997): of two sets, hashed by a random permutation, the smallest
elements are equal with the probability of their Jaccard similarity. With 14 bands of 8 permutations, a pair is seen with
probability 1 - (1 - s^8)^14: 0.92 at s = 0.8, 0.99 at 0.85, 0.9995 at 0.9, 0.05 at 0.5.
"""

import numpy as np

BANDS = 14
ROWS = 8
"""Permutations of a band."""
_SEED = 1997
_FOLD = np.uint64(0x9E3779B97F4A7C15)


def band_keys(shingles: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return every row's key in every band, uint64 [bands, rows].

    Args:
        shingles: Hashes of the rows' word runs, uint32 [shingles], those of a row side by side. Every row has at least one.
        starts: Where each row's begin, int64 [rows].
    """
    random = np.random.default_rng(_SEED)
    permutations = (BANDS, ROWS)
    factors = random.integers(0, 1 << 31, permutations, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    shifts = random.integers(0, 1 << 32, permutations, dtype=np.uint32)
    keys = np.zeros((BANDS, len(starts)), np.uint64)
    permuted, smallest = np.empty_like(shingles), np.empty(len(starts), np.uint32)
    for band in range(BANDS):
        for row in range(ROWS):
            # An odd factor and a shift permute the numbers of 32 bits; the shingles are well spread already.
            np.multiply(shingles, factors[band, row], out=permuted)
            permuted += shifts[band, row]
            np.minimum.reduceat(permuted, starts, out=smallest)
            keys[band] ^= smallest
            keys[band] *= _FOLD
            keys[band] ^= keys[band] >> np.uint64(29)
    return keys
