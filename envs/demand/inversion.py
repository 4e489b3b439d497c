"""Discrete demand by inverse transform, each item by itself: the same draws whatever else is drawn.

Every draw uses sixteen bits of its item's stream, and 53 further bits of a second one where these do not settle it (see
`sampling_tables`). So a draw's place in the stream depends on its path and period alone. A table serves where there are
many draws of one distribution; where there are few, jumps are searched for. Both invert the same number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from ...randomness import KeyedStream, draw_by_item, item_keys, path_blocks
from .sampling_tables import (
    BLOCK,
    CELLS,
    LARGEST,
    NEVER,
    WORTH_IT,
    DemandTable,
    TabulatedDemand,
    alike,
    cached_table,
    jumps_of,
    sixteen_bits,
)

AT_ONCE = 2**22
"""Draws that are held beside the result, unless one item has more."""

ROWS = 256
"""Distributions whose jumps are searched at once."""


def draw_discrete(model: TabulatedDemand, root: int, paths: int, periods: int) -> FloatArray:
    """Draw discrete demand, each item by itself: see `randomness.draw_by_item`.

    Args:
        model: discrete, its parameters of shape (items,) at most.
        root: what the keys of all items begin with.
        paths: number of paths.
        periods: number of periods.

    Returns:
        units, shape (items, periods, paths).
    """
    streams, keys = _Streams(root, paths, periods), item_keys(model.items)
    drawn, few = np.empty((model.items, periods, paths)), []
    for group in alike(model):
        # Whether a table pays depends on how much is drawn; what is drawn does not depend on it.
        many = len(group) * periods * streams.width >= WORTH_IT
        table = cached_table(model.select(group[:1])) if many else None
        if table is None:
            few.append(group)
            continue
        for part in streams.portions(len(group)):
            items = group[part]
            drawn[items] = streams.draw([keys[i] for i in items], partial(_by_table, table))
    items, number = np.concatenate([np.arange(0), *few]), 64
    while len(items) and number <= LARGEST:
        wider = []
        for row in np.split(items, range(ROWS, len(items), ROWS)):
            law, units = model.select(row).distribution(), np.arange(number)[:, None]
            above = np.asarray(law.sf(units))
            fits = above[-1] < NEVER
            wider.append(row[~fits])
            if fits.any():
                below = np.asarray(law.cdf(units))[:, fits]
                at, share, before = jumps_of(below.T, above[:, fits].T)
                for part in streams.portions(len(at)):
                    some = row[fits][part]
                    search = partial(_by_search, at[part], share[part], before[part])
                    drawn[some] = streams.draw([keys[i] for i in some], search)
        items, number = np.concatenate(wider), 2 * number
    if len(items):
        # Too many values to tell apart.
        wide, names = [model.select(items[k : k + 1]) for k in range(len(items))], [keys[i] for i in items]
        drawn[items] = draw_by_item(root, names, paths, periods, lambda rng, i, n: wide[i].draw(rng, (periods, n)))
    return drawn


Further: TypeAlias = Callable[[IntArray], FloatArray]
"""Gives the further bits of draws at flat places, as numbers in [0, 1)."""


def _by_table(table: DemandTable, cells: NDArray[np.uint16], further: Further) -> FloatArray:
    """Invert the distribution function that all items share: cells (items, draws) → units (items · draws,)."""
    drawn, unsettled = np.empty(cells.size), []
    room = np.empty(min(BLOCK, cells.size), dtype=np.intp)
    values = np.empty(len(room), dtype=table.entries.dtype)
    flat = cells.reshape(-1)
    for first in range(0, cells.size, BLOCK):
        part = drawn[first : first + BLOCK]
        cell = room[: len(part)]
        np.copyto(cell, flat[first : first + BLOCK])
        unsettled.append(first + table.look_up(cell, values[: len(part)], part))
    place = np.concatenate(unsettled)
    drawn[place] = table.resolve(flat[place].astype(np.int64), further(place))
    return drawn


def _by_search(
    at: IntArray, part: FloatArray, before: IntArray, cells: NDArray[np.uint16], further: Further
) -> FloatArray:
    """Invert the distribution function of each item, whose jumps (items, jumps) are those of `jumps_of`."""
    items, jumps = before.shape
    # Rows one after another, each beyond the one before it, are searched as one.
    beyond = np.arange(items)[:, None] * (CELLS + 1)
    found = np.searchsorted((before + beyond).reshape(-1), cells + beyond, side="right").reshape(-1)
    row = np.repeat(np.arange(items), cells.shape[1])
    value, end = found - row * jumps, (row + 1) * jumps
    at, part, flat = at.reshape(-1), part.reshape(-1), cells.reshape(-1)
    jumped = (at[np.minimum(found, end - 1)] == flat) & (part[np.minimum(found, end - 1)] > 0) & (found < end)
    place = np.flatnonzero(jumped)
    cell, after, end = flat[place], found[place], end[place]
    uniform, live = further(place), np.ones(len(place), dtype=bool)
    while live.any():
        # In the upper half of the cells jumps are measured from above: see `DemandTable.resolve`.
        now = np.minimum(after, end - 1)
        passed = (part[now] > uniform) == (cell >= CELLS // 2)
        live &= (after < end) & (at[now] == cell) & (part[now] > 0) & passed
        value[place] += live
        after = after + live
    return value.astype(np.float64)


@dataclass(frozen=True)
class _Streams:
    """The random bits of items, paths and periods: sixteen a draw, and further ones.

    Attributes:
        root: what all keys begin with.
        paths: that are asked for.
        periods: number of periods.
    """

    root: int
    paths: int
    periods: int

    @property
    def width(self) -> int:
        """Paths of whole blocks."""
        return max((last for _, last in path_blocks(self.paths)), default=0)

    def portions(self, items: int) -> Iterator[slice]:
        """Yield slices of so many items, whose draws are held at once."""
        step = max(1, AT_ONCE // max(1, self.periods * self.width))
        return (slice(first, min(first + step, items)) for first in range(0, items, step))

    def draw(self, keys: Sequence[str], invert: Callable[[NDArray[np.uint16], Further], FloatArray]) -> FloatArray:
        """Draw bits, and return what they are turned into, shape (items, periods, paths)."""
        cells, stream = np.empty((len(keys), self.periods, self.width), dtype=np.uint16), KeyedStream()
        for i, key in enumerate(keys):
            for first, last in path_blocks(self.paths):
                bits: Any = stream.at(self.root, key, first).bit_generator
                drawn = sixteen_bits(bits.random_raw(self.periods * (last - first) // 4))
                cells[i, :, first:last] = drawn.reshape(self.periods, last - first)
        values = invert(cells.reshape(len(keys), -1), partial(self._further, keys))
        return values.reshape(cells.shape)[:, :, : self.paths]

    def _further(self, keys: Sequence[str], place: IntArray) -> FloatArray:
        """Draw further bits: those of a block of paths one after another, period by period."""
        first = np.array([first for first, _ in path_blocks(self.paths)])
        item, period, path = np.unravel_index(place, (len(keys), self.periods, self.width))
        block = np.searchsorted(first, path, side="right") - 1
        order = np.lexsort((path, period, block, item))
        new = (np.diff(item[order]) != 0) | (np.diff(block[order]) != 0)
        uniform, stream = np.empty(len(place)), KeyedStream()
        for draws in np.split(order, np.flatnonzero(new) + 1) if len(place) else ():
            key, start = keys[item[draws[0]]], int(first[block[draws[0]]])
            uniform[draws] = stream.at(self.root, key, start, "further bits").random(len(draws))
        return uniform
