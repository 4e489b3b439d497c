"""Explicit random generators, keyed by their purpose.

A draw depends on its key alone: never on the order of calls, on the size of a chunk or on the number of
workers. Keys are (seed, purpose, ...): add the item and the path block where draws must not move when other
items or paths are added.

Demand and arrivals are drawn so that nothing moves when something is added (`draw_by_item`). Each item and each block
of paths has a generator of its own; a block is always drawn whole, and period by period. So the draws of an item, a
path and a period are the same whatever other items there are, however many paths follow, and however many periods.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from struct import unpack
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST_BLOCK = 4
"""Paths of the first block. Blocks double up to `PATH_BLOCK`, so that few paths are drawn for nothing."""
PATH_BLOCK = 256
"""Paths of the largest blocks."""
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
    # A seed sequence rather than a bare key, so that the generator can be spawned from.
    entropy = int.from_bytes(digest(seed, *key), "little")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def digest(seed: int, *key: str | int) -> bytes:
    """Return the 128 bits that stand for a seed and a key."""
    # Each part with its length, so that ("ab", "c") and ("a", "bc") are different keys.
    parts = [str(part).encode() for part in (int(seed), *key)]
    content = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    return hashlib.blake2b(content, digest_size=KEY_BYTES).digest()


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """Return where a generator of `keyed_generator` stands, in plain values: its draws, and how often it was spawned.

    >>> rng = keyed_generator(1, "demand")
    >>> state = generator_state(rng)
    >>> drawn, other = rng.random(), keyed_generator(1, "demand")
    >>> restore_generator(other, state)
    >>> float(other.random()) == float(drawn)
    True
    """
    bits: Any = rng.bit_generator
    return {"bits": _plain(bits.state), "spawned": bits.seed_seq.n_children_spawned}


def restore_generator(rng: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Bring a generator that has not been used to where another one of the same key stood: see `generator_state`."""
    bits: Any = rng.bit_generator
    bits.seed_seq.spawn(state["spawned"] - bits.seed_seq.n_children_spawned)
    bits.state = _arrays(state["bits"])


def _plain(value: Any) -> Any:
    """Return a generator's state with lists of whole numbers in place of arrays."""
    if isinstance(value, Mapping):
        return {name: _plain(below) for name, below in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


def _arrays(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _arrays(below) for name, below in value.items()}
    return np.array(value, dtype=np.uint64) if isinstance(value, list) else value


class KeyedStream:
    """One generator that is set to one key after another: where there are millions of keys, a fifth of the time.

    Its draws are those of Philox with the 128 bits of the key; `keyed_generator` hashes these once more, and so draws
    others. It cannot be spawned from.

    >>> stream = KeyedStream()
    >>> first = float(stream.at(1, "tea").random())
    >>> float(stream.at(1, "coffee").random()) != first == float(stream.at(1, "tea").random())
    True
    """

    def __init__(self) -> None:
        # With a bare key, so that spawning, whose children would be the same for every key, is refused by numpy.
        self._bits = np.random.Philox(key=0)
        self._generator = np.random.Generator(self._bits)

    def at(self, seed: int, *key: str | int) -> np.random.Generator:
        """Return the generator at the beginning of a key's draws; it is the same object in every call."""
        # Numbers rather than arrays, which numpy takes a multiple of the time to read.
        state: Any = {
            "bit_generator": "Philox",
            "state": {"counter": (0, 0, 0, 0), "key": unpack("<2Q", digest(seed, *key))},
            "buffer": (0, 0, 0, 0),
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        self._bits.state = state
        return self._generator


def path_blocks(paths: int) -> Iterator[tuple[int, int]]:
    """Yield the first path of each block and the first one after it; the last block may reach beyond `paths`.

    >>> list(path_blocks(70))
    [(0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 128)]
    """
    first, last = 0, FIRST_BLOCK
    while first < paths:
        yield first, last
        first, last = last, last + min(last, PATH_BLOCK)


def item_keys(items: int) -> tuple[str, ...]:
    """Return the keys of items that have no ids: their positions. Items may be added after the last one.

    >>> item_keys(2)
    ('item 0', 'item 1')
    """
    return tuple(f"item {i}" for i in range(items))


def draw_by_item(
    root: int,
    keys: Sequence[str],
    paths: int,
    periods: int,
    draw: Callable[[np.random.Generator, int, int], NDArray[np.generic]],
) -> NDArray[np.float64]:
    """Draw each item by itself, so that more items, paths or periods change none of the draws.

    Args:
        root: what all keys begin with, an integer >= 0: taken from the caller's generator.
        keys: a text an item, e.g. its id.
        paths: number of paths.
        periods: number of periods.
        draw: `draw(generator, item, paths)` gives one item's draws of so many paths, shape (periods, paths), period by
            period, as numpy fills arrays: what is drawn for a period must not depend on how many follow. It uses the
            generator up before it returns, and does not spawn from it (`KeyedStream`).

    Returns:
        shape (items, periods, paths).
    """
    drawn, stream = np.empty((len(keys), periods, paths)), KeyedStream()
    for i, key in enumerate(keys):
        for first, last in path_blocks(paths):
            block = draw(stream.at(root, key, first), i, last - first)
            drawn[i, :, first:last] = block[:, : paths - first]
    return drawn
