"""How many more periods, or items, would prove a saving, from the measured sources of its variance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

from ...errors import FractileError
from .estimates import check_level
from .saving import Saving
from .variance import LEAST_OWN, count_cosines

MOST_PERIODS = 1040
"""Periods beyond which more of them are no advice: twenty years of weeks."""
MOST_ITEMS = 1_000_000


def weeks_to_prove(saving: Saving, *, effect: float | None = None, power: float = 0.8) -> int | None:
    """Return how many more periods like those seen would prove a saving; weeks where periods are weeks.

    The variance is that of the saving seen, by source: what lasts in an item does not shrink with the periods, all else
    does, but the spread between training seeds.

    Args:
        saving: as estimated on one history.
        effect: the true saving to be proven, a share > 0; the one seen where None.
        power: chance that it is proven, at the level of the saving's interval.

    Returns:
        0 where those seen are enough; None where no number up to twenty years of weeks would do.

    Raises:
        FractileError: where the effect is not above 0, power is no share, or the saving is one of independent paths.
    """
    size = _effect(saving, effect, power)
    if size is None:
        return None
    found = _first(lambda n: _proves(saving, size, power, n, saving.items), saving.periods, MOST_PERIODS)
    return None if found is None else found - saving.periods


def items_to_prove(saving: Saving, *, effect: float | None = None, power: float = 0.8) -> int | None:
    """Return how many more items like those seen would prove a saving, over the same periods.

    What all items share does not shrink with their number, so that often none would do.

    Args:
        saving: see `weeks_to_prove`.
        effect: likewise.
        power: likewise.

    Returns:
        0 where those seen are enough; None where no number up to a million would do.

    Raises:
        FractileError: see `weeks_to_prove`.
    """
    size = _effect(saving, effect, power)
    if size is None:
        return None
    found = _first(lambda n: _proves(saving, size, power, saving.periods, n), saving.items, MOST_ITEMS)
    return None if found is None else found - saving.items


def _effect(saving: Saving, effect: float | None, power: float) -> float | None:
    """Return the effect to be proven; None where none is seen or its error is not known."""
    check_level(power)
    if effect is not None and not effect > 0:
        raise FractileError(f"effect must be a share above 0, got {effect}; 0.02 = two per cent")
    if saving.clusters != "item_time":
        raise FractileError("periods and items are counted for one history; more independent paths can be simulated")
    size = saving.saving if effect is None else effect
    return size if size > 0 and np.isfinite(saving.standard_error) and saving.standard_error > 0 else None


def _first(proves: Callable[[int], bool], start: int, most: int) -> int | None:
    """Return the smallest number from `start` on that proves, up to `most`."""
    if proves(start):
        return start
    low, high = start, start
    while not proves(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high


def _proves(saving: Saving, effect: float, power: float, periods: int, items: int) -> bool:
    """Return whether a true saving of this size is proven with the power asked for."""
    seen = saving.variance
    of_items = seen.items * saving.items / items
    cells = seen.cells * saving.items / items * saving.periods / periods
    common = seen.common * saving.periods / periods
    total = of_items + cells + common
    cosines = max(1, count_cosines(periods))
    counted = (cells + common) * min(1.0, LEAST_OWN + (common / (cells + common) if cells + common else 0.0))
    parts = (of_items + cells) ** 2 / max(items - 1, 1) + counted**2 / cosines
    if saving.seeds > 1:
        total += seen.seeds
        parts += seen.seeds**2 / (saving.seeds - 1)
    freedom = total**2 / parts if parts else 1.0
    reach = stdtrit(freedom, (1 + saving.level) / 2) + stdtrit(freedom, power)
    return bool(effect >= reach * np.sqrt(total))
