"""What is no fault of a history but looks like one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...arrays import FloatArray
from .discontinued import discontinued
from .low_end import describe_low_end
from .record import SalesRecord
from .row_faults import listing

_ABSURD_UNITS = 10_000
_ABSURD_RATIO = 100
_IMPOSSIBLE_UNITS = 1e9
"""More than anybody sells of one item in one period, whatever is typical."""
_MOST_ENDED = 10
"""How many discontinued items are named before they are only counted."""
_MOST_ABSURD = 5
"""How many items with absurd sales are named before they are only counted."""
_SERIALS = 36_526.0, 54_788.0
"""Excel's numbers of the first days of 2000 and 2050."""
_SERIAL_RANGE = 1.5
"""Largest over smallest number: a column of dates spans some years of those fifty."""
_FEWEST_DATES = 10
"""Sales at least before they are taken for dates."""


@dataclass(frozen=True)
class Oddity:
    """One thing that is no fault, but looks like one.

    Attributes:
        code: what kind of thing, one word for machines.
        text: what was found, where, and the remedy.
    """

    code: str
    text: str


def oddities(panel: SalesRecord) -> list[str]:
    """Return a note for each oddity of `find_oddities`."""
    return [oddity.text for oddity in find_oddities(panel)]


def find_oddities(panel: SalesRecord) -> list[Oddity]:
    """Return what looks wrong: items never sold or taken for discontinued, a last period not over, absurd sales."""
    found = []
    sold = panel.sales > 0
    never = [panel.item_ids[at] for at in np.flatnonzero(~sold.any(axis=1))]
    if never:
        found.append(Oddity("never_sold", f"never sold: {listing(never)}"))
    low = describe_low_end(panel.sales, panel.dates)
    if low:
        found.append(Oddity("low_last_period", f"{low} Leave its rows out of the history where it is not"))
    # What is off sale is said by the data; here stands only what the rule finds.
    off = panel.listed.any(axis=1) & ~panel.listed[:, -1]
    ended = np.flatnonzero(discontinued(panel, np.array([panel.periods]))[:, 0] & ~off)
    if len(ended):
        names = ", ".join(repr(panel.item_ids[at]) for at in ended[:_MOST_ENDED])
        more = f" and {len(ended) - _MOST_ENDED:,} more" if len(ended) > _MOST_ENDED else ""
        remedy = (
            "give the items a column 'discontinued' (a date, empty where one is still sold), or the history 'listed'"
        )
        found.append(
            Oddity(
                "discontinued",
                f"{len(ended):,} items are taken for discontinued, so long have they not sold: {names}{more}; {remedy}",
            )
        )
    dates = _describe_dates(panel.sales[sold])
    if dates:
        text = f"sales look like dates: {dates}; --column sales=NAME names the column of units"
        return [*found, Oddity("sales_are_dates", text)]
    return [*found, *_absurd_sales(panel)]


def _absurd_sales(panel: SalesRecord) -> list[Oddity]:
    """Return the items whose largest sale is far beyond what is typical of them, or of anything."""
    found = []
    for at in np.flatnonzero(panel.sales.max(axis=1) > _ABSURD_UNITS):
        typical = float(np.median(panel.sales[at][panel.sales[at] > 0]))
        peak = int(panel.sales[at].argmax())
        most = panel.sales[at, peak]
        if most > min(_ABSURD_RATIO * typical, _IMPOSSIBLE_UNITS):
            units = f"{most:,.0f}" if most < 1e15 else f"{most:g}"
            amount = f"{units} units on {panel.dates[peak].date()}"
            text = f"absurd sale? item {panel.item_ids[at]!r}: {amount}, {typical:g} in a typical period"
            found.append(Oddity("absurd_sales", text))
    more = len(found) - _MOST_ABSURD
    if more > 0:
        found[_MOST_ABSURD:] = [Oddity("absurd_sales", f"absurd sales of {more:,} more items")]
    return found


def _describe_dates(sales: FloatArray) -> str:
    """Return which dates nearly all sales that are not zero look like; "" where they do not."""
    whole = sales[sales == np.floor(sales)]
    if len(whole) < _FEWEST_DATES or len(whole) < 0.9 * len(sales):
        return ""
    low, high = _SERIALS
    serial = (whole >= low) & (whole < high)
    if serial.mean() > 0.9 and whole[serial].max() < _SERIAL_RANGE * whole[serial].min():
        day = pd.Timestamp("1899-12-30") + pd.Timedelta(days=int(whole[serial][0]))
        return f"Excel's numbers of days, e.g. {whole[serial][0]:.0f} for {day.date()}"
    written = whole[(whole > 19_000_000) & (whole < 22_000_000)]
    if len(written) > 0.9 * len(whole):
        days = pd.to_datetime(pd.Series(written.astype(np.int64).astype(str)), format="%Y%m%d", errors="coerce")
        if days.notna().mean() > 0.9:
            return f"days without separators, e.g. {written[0]:.0f}"
    return ""
