"""Explicit random generators, keyed by their purpose.

A draw depends on its key alone: never on the order of calls, on the size of a chunk or on the number of
workers. Keys are (seed, purpose, ...): add the item and the path block where draws must not move when other
items or paths are added.
"""

from __future__ import annotations

import zlib

import numpy as np

PATH_BLOCK = 256
"""Paths are drawn in blocks of this many, so that the first n paths are the same however many follow."""


def keyed_generator(seed: int, *key: str | int) -> np.random.Generator:
    """Return the generator of one purpose.

    Args:
        seed: the study's seed, an integer >= 0.
        *key: what the draws are for, e.g. `"demand", item_id, block`.

    >>> float(keyed_generator(1, "demand", "tea").random()) == float(keyed_generator(1, "demand", "tea").random())
    True
    """
    words = [zlib.crc32(str(part).encode()) for part in key]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *words])))
