"""Explicit random generators, keyed by their purpose.

A draw depends on its key alone: never on the order of calls, on the size of a chunk or on the number of
workers. Keys are (seed, purpose, ...): add the item and the path block where draws must not move when other
items or paths are added.
"""

from __future__ import annotations

import hashlib

import numpy as np

PATH_BLOCK = 256
"""Paths are drawn in blocks of this many, so that the first n paths are the same however many follow."""
KEY_BYTES = 16
"""Of a generator's key: 128 bits, as many as Philox has. With 32 bits a hundred pairs among a million items would
share their draws."""


def keyed_generator(seed: int, *key: str | int) -> np.random.Generator:
    """Return the generator of one purpose.

    Args:
        seed: the study's seed, an integer >= 0.
        *key: what the draws are for, e.g. `"demand", item_id, block`.

    >>> float(keyed_generator(1, "demand", "tea").random()) == float(keyed_generator(1, "demand", "tea").random())
    True
    """
    # Each part with its length, so that ("ab", "c") and ("a", "bc") are different keys.
    parts = [str(part).encode() for part in (int(seed), *key)]
    content = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    digest = hashlib.blake2b(content, digest_size=KEY_BYTES).digest()
    # A seed sequence rather than a bare key, so that the generator can be spawned from.
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(int.from_bytes(digest, "little"))))
