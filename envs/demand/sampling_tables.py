"""Exact draws of discrete demand from a table: sixteen random bits and one look-up a draw.

A uniform number U in (0, 1) is cut into its first 16 bits, which name one of 65,536 cells of equal probability, and
the rest. Where the whole cell lies below one value of the quantile function, the table holds that value and nothing
more is drawn. Where the distribution function jumps inside the cell, 53 further bits say where in the cell U lies.
Jumps are kept as distances from the cell's nearer end of the unit interval (from F below one half, from 1 − F above),
so that the tails keep the relative precision of float64: the law that is drawn is off by less than 2^−69.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from ...errors import FractileError

CELLS = 65_536
"""Entries of a table: what 16 bits can name."""

BLOCK = 32_768
"""Draws that are looked up at once: enough to make calls cheap, few enough for indices and entries to stay in cache."""

NEVER = 2.0**-80
"""Probability that the last value of a table is exceeded; the draws cannot tell it from zero."""

LARGEST = 4_096
"""Values that a table may tell apart; with more, too many draws need further bits."""

WORTH_IT = 16_384
"""Draws from one distribution, from which on `sample` builds a table."""

KEPT = 128
"""Tables that are remembered."""

_FULL_WORDS = (np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64)
"""Bit generators whose raw words have 64 random bits."""

_tables: OrderedDict[Any, DemandTable | None] = OrderedDict()


class TabulatedDemand(Protocol):
    """What a table needs of a demand model: see `independent.IndependentDemand`."""

    @property
    def discrete(self) -> bool:
        """Whether demand is in whole units."""

    @property
    def items(self) -> int:
        """Number of items."""

    def distribution(self, span: int = 1) -> Any:
        """Return the distribution of demand summed over `span` periods."""

    def columns(self, shape: tuple[int, ...]) -> FloatArray:
        """Return all parameters side by side, shape (*shape, parameters)."""

    def select(self, item: IntArray) -> Self:
        """Return the model of these items."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Draw demand without a table."""


@dataclass(frozen=True, eq=False)
class DemandTable:
    """A quantile table of discrete demand, for draws that cost a few nanoseconds each.

    Attributes:
        entries: the value of each cell, −1 where the distribution function jumps inside it, shape (65536,).
        cells: the numbers of the cells with a jump, increasing, shape (n,).
        lowest: the smallest value in each of them, shape (n,).
        jumps: where in these cells the function jumps, as a share of the cell, shape (n, most jumps in a cell).
        upper: whether such a cell lies in the upper half; its jumps are measured from its upper end, shape (n,).

    >>> import fractile as fr
    >>> table = fr.demand.DemandTable.of(fr.Poisson(5.0))
    >>> table.draw(np.random.default_rng(0), (3, 4)).shape
    (3, 4)
    """

    entries: NDArray[np.signedinteger[Any]]
    cells: IntArray
    lowest: IntArray
    jumps: FloatArray
    upper: NDArray[np.bool_]

    @classmethod
    def of(cls, model: TabulatedDemand, span: int = 1) -> DemandTable:
        """Return the table of a model.

        Args:
            model: discrete demand of one item.
            span: periods whose demand is summed.

        Raises:
            FractileError: where demand is continuous, of many items, or too widely spread for a table.
        """
        if not model.discrete or model.items != 1:
            raise FractileError(
                f"a table needs discrete demand of one item, got {type(model).__name__} with {model.items} items; "
                "select one with model.select(np.array([0])), or round it with Rounded"
            )
        built = _make_table(model.distribution(span))
        if built is None:
            raise FractileError(
                f"a table tells at most {LARGEST:,} values apart, and {type(model).__name__} demand takes more; "
                "draw it with model.sample"
            )
        return built

    def draw(
        self, rng: np.random.Generator, shape: int | tuple[int, ...], out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Draw demand.

        Args:
            rng: where the bits come from; SFC64 and PCG64 give them fastest.
            shape: of the result.
            out: contiguous array of that shape to write into, of any real type; a new one of float64 where None.

        Returns:
            units, of the given shape: `out` where there is one.
        """
        drawn = np.empty(shape) if out is None else out
        if drawn.shape != (tuple(shape) if isinstance(shape, Iterable) else (shape,)) or not drawn.flags.c_contiguous:
            raise FractileError(f"out must be a contiguous array of the shape {shape}, got {drawn.shape}")
        largest = int(self.entries.max()) + self.jumps.shape[1]
        if drawn.dtype.kind in "iu" and np.iinfo(drawn.dtype).max < largest:
            raise FractileError(f"out must hold numbers up to {largest}, got {drawn.dtype}; use int32 or a float type")
        flat = drawn.reshape(-1)
        # Room to work in, which stays in cache from block to block.
        cells = np.empty(min(BLOCK, len(flat)), dtype=np.intp)
        values = np.empty(len(cells), dtype=self.entries.dtype)
        unsettled = []
        for first in range(0, len(flat), BLOCK):
            part = flat[first : first + BLOCK]
            cell, value = cells[: len(part)], values[: len(part)]
            # Four numbers of sixteen bits from each 64-bit word.
            words = -(-len(part) // 4)
            if isinstance(rng.bit_generator, _FULL_WORDS):
                raw = rng.bit_generator.random_raw(words)
            else:
                raw = rng.integers(2**64 - 1, size=words, dtype=np.uint64, endpoint=True)
            np.copyto(cell, sixteen_bits(raw)[: len(part)])
            jumped = self.look_up(cell, value, part)
            unsettled.append((jumped + first, cell[jumped]))
        # The further bits that draws in cells with a jump need come after the first bits of all draws.
        if unsettled:
            place, cell = unsettled[0] if len(unsettled) == 1 else map(np.concatenate, zip(*unsettled, strict=True))
            flat[place] = self.resolve(cell, rng.random(len(place)))
        return drawn

    def look_up(self, cell: IntArray, value: NDArray[Any], out: NDArray[Any]) -> IntArray:
        """Write the values of cells, and return the places of those with a jump, which `resolve` settles.

        Args:
            cell: numbers of cells, of the type intp, shape (n,).
            value: room of the type of the entries, shape (n,).
            out: what is written to, shape (n,).
        """
        # Every index is in range: "wrap" spares the check of each.
        self.entries.take(cell, out=value, mode="wrap")
        np.copyto(out, value, casting="unsafe")
        return (value < 0).nonzero()[0]

    def resolve(self, cell: IntArray, uniform: FloatArray) -> IntArray:
        """Return the values that further bits choose in cells with a jump.

        Args:
            cell: numbers of cells whose entry is −1, shape (n,).
            uniform: in [0, 1), shape (n,); where in the cell U lies, from its lower end in the lower half of the
                cells, from its upper end in the upper half.

        Returns:
            units, shape (n,).
        """
        row = self.cells.searchsorted(cell)
        # In the upper half the jumps beyond U were passed, in the lower half the others.
        passed = (self.jumps.take(row, axis=0) > uniform[:, None]) == self.upper.take(row)[:, None]
        return self.lowest.take(row) + np.add.reduce(passed, axis=1)


def sixteen_bits(words: Any) -> NDArray[np.unsignedinteger[Any]]:
    """Return the four numbers of sixteen bits in each 64-bit word, the lowest first."""
    return np.asarray(words).astype("<u8", copy=False).view("<u2")


def sample_together(model: TabulatedDemand, rng: np.random.Generator, periods: int) -> FloatArray:
    """Draw one path of discrete demand of many items from one generator, by table where that pays.

    Fast where thousands of short paths hold an item each. Items of equal parameters share a table. Which items are
    drawn by table depends on the model and on the shape alone, never on what was drawn before; but other items or
    more periods move the draws: see `inversion.draw_discrete` for draws that stay.

    Args:
        model: discrete, its parameters of shape (items,) at most.
        rng: where the draws come from.
        periods: number of periods.

    Returns:
        units, shape (periods, items).
    """
    if periods * model.items < WORTH_IT:
        return model.draw(rng, (periods, model.items))
    if model.items == 1:
        table = cached_table(model)
        return model.draw(rng, (periods, 1)) if table is None else table.draw(rng, (periods, 1))
    # Each item's draws lie together; the items' axis is moved after them at last.
    demand = np.empty((model.items, periods))
    for group in alike(model):
        one, shape = model.select(group[:1]), (len(group), periods)
        table = cached_table(one) if periods * len(group) >= WORTH_IT else None
        demand[group] = one.draw(rng, shape) if table is None else table.draw(rng, shape)
    return demand.T


def alike(model: TabulatedDemand) -> list[IntArray]:
    """Return the items of equal parameters, group by group."""
    columns = model.columns((model.items,))
    if (columns == columns[0]).all():  # the usual case, without sorting rows
        return [np.arange(model.items)]
    like = np.unique(columns, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(like, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(like[order])) + 1)


def jumps_of(below: FloatArray, above: FloatArray) -> tuple[IntArray, FloatArray, IntArray]:
    """Return where distribution functions jump from k to k + 1, k = 0, 1, ...: at F(k).

    Args:
        below: P(demand <= k), of any shape.
        above: P(demand > k), likewise.

    Returns:
        the cell of each jump; where in it, as a share of the cell measured from its end that is nearer to an end of
        (0, 1); and the first cell whose smallest value lies above k.
    """
    below, above = below * CELLS, above * CELLS
    upper = below > CELLS / 2
    near = np.where(upper, above, below)
    whole = np.minimum(np.floor(near), CELLS - 1)
    part = near - whole
    at = np.where(upper, CELLS - 1 - whole, whole).astype(np.int64)
    return at, part, np.where(upper | (part > 0), at + 1, at)


def _make_table(distribution: Any) -> DemandTable | None:
    """The table of a discrete distribution, or None where it takes too many values."""
    # The values 0, 1, ... up to the first that is exceeded with less than `NEVER`.
    number, exceeded = 64, np.ones(1)
    while number <= LARGEST and exceeded[-1] >= NEVER:
        exceeded = np.asarray(distribution.sf(np.arange(number))).reshape(-1)
        number *= 2
    if exceeded[-1] >= NEVER:
        return None
    units = np.arange(int(np.argmax(exceeded < NEVER)) + 1)
    at, part, before = jumps_of(*(np.asarray(f(units)).reshape(-1) for f in (distribution.cdf, distribution.sf)))
    # A cell's smallest value counts the jumps that lie before it.
    lowest = np.cumsum(np.bincount(before, minlength=CELLS + 1))[:CELLS]
    cells, row, jumps_in = np.unique(at[part > 0], return_inverse=True, return_counts=True)
    in_upper = cells >= CELLS // 2
    # Room after a cell's own jumps is filled with what is never passed.
    jumps = np.where(in_upper, 0.0, 2.0)[:, None].repeat(max(1, int(jumps_in.max(initial=0))), axis=1)
    place = np.arange(len(row)) - np.searchsorted(row, row)
    jumps[row, place] = part[part > 0]
    entries = lowest.astype(np.min_scalar_type(-int(lowest.max()) - 1))
    entries[cells] = -1
    return DemandTable(entries, cells, lowest[cells], jumps, in_upper)


def cached_table(model: TabulatedDemand) -> DemandTable | None:
    """Return the table of a one-item model, remembered; None where it takes too many values."""
    key = _key(model)
    if key not in _tables:
        _tables[key] = _make_table(model.distribution())
        if len(_tables) > KEPT:
            _tables.popitem(last=False)
    _tables.move_to_end(key)
    return _tables[key]


def _key(value: Any) -> Any:
    """What tells one model's parameters from another's."""
    if is_dataclass(value):
        return (type(value), *(_key(getattr(value, f.name)) for f in fields(value)))
    array = np.asarray(value, dtype=np.float64)
    return array.reshape(-1).tobytes()
