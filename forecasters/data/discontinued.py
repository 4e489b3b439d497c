"""Which items have stopped selling.

An item that is no longer sold teaches nothing about those that are, and its zeros are not their demand. Where the
data says so (the items file has a column `discontinued`, or the history a column `listed`) that counts. Where it says
nothing, an item is taken for discontinued before a period if, over the periods that it was listed and in stock,

- it sold before, and then for a quarter of a year (at least six periods; four weeks of daily data) nothing;
- that is more than twice as long as it ever went without a sale between two sales, so that an article of one season
  a year is not taken for a dead one once a year is on record;
- so long a run has a chance below one in ten thousand for an item that sells in as many of its periods as this one
  did, from its first sale to its last.

Nothing of later periods enters: an item that sells again is alive again.
"""

from __future__ import annotations

import numpy as np

from ...arrays import BoolArray, IntArray
from .record import SalesRecord
from .rules import DISCONTINUED

LEAST_DAYS, LEAST_DAYS_DAILY, LEAST_PERIODS = 91, 28, 6
"""Without a sale, before an item may be taken for discontinued: days, days where data is daily or finer, periods."""
LONGER = 2.0
"""How much longer the run without a sale must be than any before it."""
CHANCE = 1e-4
"""Of such a run in an item that still sells."""


def discontinued(panel: SalesRecord, origins: IntArray) -> BoolArray:
    """Return whether each item has stopped selling before each origin, shape (items, origins).

    Args:
        panel: the history; periods before an origin alone count for it.
        origins: periods, each in 1 ... panel.periods, shape (origins,).
    """
    ever = np.maximum.accumulate(panel.listed, axis=1)
    unlisted = (ever & ~panel.listed)[:, origins - 1]
    return unlisted if DISCONTINUED in panel.static.columns else unlisted | _stopped(panel)[:, origins - 1]


def _stopped(panel: SalesRecord) -> BoolArray:
    """Return whether the rule of this module holds once each period is over, shape (items, periods)."""
    days = (panel.dates[-1] - panel.dates[0]).days / max(1, panel.periods - 1)
    needed = LEAST_DAYS if days > 2 else LEAST_DAYS_DAILY
    least = max(LEAST_PERIODS, int(np.ceil(needed / max(days, 1e-9))))
    known, sold = panel.informative, panel.informative & (panel.sales > 0)
    # All counts are of informative periods, from the item's first sale on: periods, periods with a sale, periods since
    # the last sale, and the longest time that passed between two sales.
    seen, hits, run, longest = np.zeros((4, panel.items))
    seen_at_sale = np.zeros(panel.items)
    out = np.zeros(known.shape, dtype=bool)
    for t in range(panel.periods):
        now, hit = known[:, t], sold[:, t]
        longest = np.where(hit & (hits > 0), np.maximum(longest, run), longest)
        hits = hits + hit
        seen = seen + (now & (hits > 0))
        seen_at_sale = np.where(hit, seen, seen_at_sale)
        run = np.where(hit, 0.0, run + (now & (hits > 0)))
        quiet = (hits > 0) & (run >= least) & (run > LONGER * longest)
        if quiet.any():
            share = hits / np.maximum(seen_at_sale, 1.0)
            chance = np.exp(run * np.log1p(-np.minimum(share, 1.0 - 1e-9)))
            out[:, t] = quiet & (chance < CHANCE)
    return out
