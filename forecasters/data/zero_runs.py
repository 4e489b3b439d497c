"""Runs of periods without a sale that an item's own rate of sale makes implausible: it was out of stock, most likely.

A history without a column `in_stock` counts every zero as demand. Whether that can be right is a question of
probability: an item that sells nothing in a share q of its periods does so in r periods running about n q^r times in
n periods. The share q of a run is the largest of

- the item's own, from its first sale to its last, without runs as long as this one;
- the same of the periods next to the run (the item may sell less for a time);
- the same of the run's place in other years (the item may have a season);
- its own, raised by how many of the other items that should have sold then did not (all may have been closed, or out
  of season).

Its own is (zeros + 1) / (periods + 2), and two periods of it are added to the others, so that few periods prove little.
An item is named where the chance of so many runs
so unlikely (Poisson), times the number of items, is below one in a hundred: one panel in a hundred is suspected though
every zero is demand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ...arrays import BoolArray, FloatArray, IntArray
from .record import SalesRecord

CHANCE = 0.01
"""That any item of a panel is named though every zero is demand."""
BESIDE = 13
"""Periods at least on each side that a run is compared with; twice the run where that is more."""
SLACKS = range(-2, 3)
"""Periods by which a season may begin earlier or later in another year."""
LONGEST_DAYS = 91
"""A longer run may be the off-season of an item of which no other year is on record."""


@dataclass(frozen=True)
class ZeroRuns:
    """Periods in a row in which an item sold nothing, several times perhaps.

    Attributes:
        item: position in the panel.
        first: the first period of each run, the most implausible one first.
        length: of each, in periods.
        chance: of so many such runs in the item's record, at most.
    """

    item: int
    first: tuple[int, ...]
    length: tuple[int, ...]
    chance: float


def implausible_zero_runs(panel: SalesRecord) -> list[ZeroRuns]:
    """Return the items with runs without a sale that their own rates make implausible, in the panel's order.

    Args:
        panel: the history; periods on record as out of stock, or off sale, belong to no run.
    """
    sold = panel.informative & (panel.sales > 0)
    ever, after = np.maximum.accumulate(sold, axis=1), np.maximum.accumulate(sold[:, ::-1], axis=1)[:, ::-1]
    known = panel.informative & ever & after  # from the first sale to the last
    zero = known & ~sold
    absent = _share_of_others_absent(zero, known)
    days = (panel.dates[-1] - panel.dates[0]).days / max(1, panel.periods - 1)
    # Where each run begins and ends: where the flags differ from those of the period before.
    step = np.diff(np.pad(zero, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    found = []
    for item in range(panel.items):
        begins, ends = np.flatnonzero(step[item] == 1), np.flatnonzero(step[item] == -1)
        expected = _expected_runs(begins, ends, zero[item], known[item], absent[item], days)
        order = np.argsort(expected, kind="stable")
        order = order[np.isfinite(expected[order])]
        tails = stats.poisson.sf(
            np.arange(len(order)), expected[order]
        )  # of k + 1 runs or more as unlikely as the k-th
        if not len(tails):
            continue
        many = int(tails.argmin()) + 1
        chance = float(tails[many - 1] * len(tails))
        if chance * panel.items < CHANCE:
            runs = order[:many]
            lengths = (ends - begins)[runs]
            found.append(ZeroRuns(item, tuple(map(int, begins[runs])), tuple(map(int, lengths)), chance))
    return found


def _expected_runs(
    begins: IntArray, ends: IntArray, zero: BoolArray, known: BoolArray, absent: FloatArray, days: float
) -> FloatArray:
    """Return how many runs as long as each run of an item were to be expected in its record, shape (runs,)."""
    lengths, counts = ends - begins, int(known.sum())
    shorter = np.array([lengths[lengths < length].sum() for length in lengths])
    longer = np.array([lengths[lengths >= length].sum() for length in lengths])
    own = (shorter + 1) / (counts - longer + 2)
    year, expected = max(1, round(365.25 / max(days, 1e-9))), np.full(len(lengths), np.inf)
    for at in np.flatnonzero(
        (lengths > 1) & (counts * own**lengths < 1.0)
    ):  # most runs are as long as is to be expected
        first, end, length = begins[at], ends[at], lengths[at]
        beside = max(BESIDE, 2 * length)
        around = np.r_[max(0, first - beside) : first, end : min(len(zero), end + beside)]
        shares = [own[at], _share(zero[around], known[around], own[at])]
        seasons = _other_years(first, end, year, len(zero))
        shares += [_share(zero[other], known[other], own[at]) for other in seasons]
        if length * days > LONGEST_DAYS and not any(known[other].sum() >= length for other in seasons):
            continue
        together = float(np.prod(own[at] + (1.0 - own[at]) * absent[first:end]))
        expected[at] = counts * max(max(shares) ** length, together)
    return expected


def _share(zero: BoolArray, known: BoolArray, own: float) -> float:
    return float((zero.sum() + 2 * own) / (known.sum() + 2))


def _other_years(first: int, end: int, year: int, periods: int) -> list[IntArray]:
    """Return the periods of the same place in all other years, once for each slack that the season may have."""
    shifts = [k * year for k in range(-(periods // year) - 1, periods // year + 2) if k]
    places = [np.concatenate([np.arange(first, end) + shift + by for shift in shifts]) for by in SLACKS]
    return [place[(place >= 0) & (place < periods)] for place in places]


def _share_of_others_absent(zero: BoolArray, known: BoolArray) -> FloatArray:
    """Return which share of the other items sold nothing though they should have, shape (items, periods)."""
    rate = zero.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    expected = np.where(known, rate, 0.0)
    zeros, should, there = (np.asarray(x, dtype=np.float64) for x in (zero, expected, known))
    others = [x.sum(axis=0) - x for x in (zeros, should, there)]
    absent: FloatArray = np.maximum(others[0] - others[1], 0.0) / (others[2] - others[1] + 2.0)
    return absent
