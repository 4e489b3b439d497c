"""What is no fault of a history but looks like one."""

from __future__ import annotations

import numpy as np

from .read import listing
from .record import SalesRecord

_ABSURD_UNITS = 10_000
_ABSURD_RATIO = 100


def oddities(panel: SalesRecord) -> list[str]:
    """Return a note for each oddity: absurd sales, items never sold."""
    notes = []
    sold = panel.sales > 0
    never = [panel.item_ids[at] for at in np.flatnonzero(~sold.any(axis=1))]
    if never:
        notes.append(f"never sold: {listing(never)}")
    suspects = np.flatnonzero(panel.sales.max(axis=1) > _ABSURD_UNITS)
    for at in suspects:
        typical = float(np.median(panel.sales[at][sold[at]]))
        peak = int(panel.sales[at].argmax())
        if panel.sales[at, peak] > _ABSURD_RATIO * typical:
            amount = f"{panel.sales[at, peak]:,.0f} units on {panel.dates[peak].date()}"
            notes.append(f"absurd sale? item {panel.item_ids[at]!r}: {amount}, {typical:g} in a typical period")
    return notes
