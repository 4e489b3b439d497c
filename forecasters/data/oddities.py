"""What is no fault of a history but looks like one."""

from __future__ import annotations

import numpy as np

from .discontinued import discontinued
from .read import listing
from .record import SalesRecord

_ABSURD_UNITS = 10_000
_ABSURD_RATIO = 100
_MOST_ENDED = 10
"""How many discontinued items are named before they are only counted."""


def oddities(panel: SalesRecord) -> list[str]:
    """Return a note for each oddity: items never sold, or taken for discontinued, and absurd sales."""
    notes = []
    sold = panel.sales > 0
    never = [panel.item_ids[at] for at in np.flatnonzero(~sold.any(axis=1))]
    if never:
        notes.append(f"never sold: {listing(never)}")
    # What is off sale is said by the data; here stands only what the rule finds.
    off = panel.listed.any(axis=1) & ~panel.listed[:, -1]
    ended = np.flatnonzero(discontinued(panel, np.array([panel.periods]))[:, 0] & ~off)
    if len(ended):
        names = ", ".join(repr(panel.item_ids[at]) for at in ended[:_MOST_ENDED])
        more = f" and {len(ended) - _MOST_ENDED:,} more" if len(ended) > _MOST_ENDED else ""
        remedy = (
            "give the items a column 'discontinued' (a date, empty where one is still sold), or the history 'listed'"
        )
        notes.append(
            f"{len(ended):,} items are taken for discontinued, so long have they not sold: {names}{more}; {remedy}"
        )
    suspects = np.flatnonzero(panel.sales.max(axis=1) > _ABSURD_UNITS)
    for at in suspects:
        typical = float(np.median(panel.sales[at][sold[at]]))
        peak = int(panel.sales[at].argmax())
        if panel.sales[at, peak] > _ABSURD_RATIO * typical:
            amount = f"{panel.sales[at, peak]:,.0f} units on {panel.dates[peak].date()}"
            notes.append(f"absurd sale? item {panel.item_ids[at]!r}: {amount}, {typical:g} in a typical period")
    return notes
