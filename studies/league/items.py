"""Items worth a picture, chosen on what was known before the first forecast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...arrays import BoolArray, FloatArray
from ...forecasters.data.panel import (
    SalesPanel,
)

OFTEN_ZERO = 0.6
"""Share of periods without a sale from which on an item counts as intermittent."""
YOUNG = 0.25
"""Share of the history that a young item has at most."""
PROMOTED = (0.02, 0.6)
"""An item counts as promoted where this share of its periods is: more would be its usual state."""


@dataclass(frozen=True)
class TellingItem:
    """An item that is drawn.

    Attributes:
        position: among the panel's items.
        item_id: its name.
        rule: why it was chosen.
    """

    position: int
    item_id: str
    rule: str


def telling_items(history: SalesPanel) -> tuple[TellingItem, ...]:
    """Choose up to four items by rules that look at the history alone.

    Args:
        history: what was known before the first origin.

    Returns:
        the largest, a promoted, an intermittent and a young one; a rule that fits no item is left out, and no
        item stands twice.
    """
    units = np.where(history.informative, history.sales, 0.0).sum(1)
    rules: list[tuple[str, Callable[[SalesPanel], BoolArray]]] = [
        ("the largest: most units sold", lambda panel: np.ones(panel.items, dtype=bool)),
        ("promoted: most units among items with promotions in 2 to 60 % of their periods", _promoted),
        ("intermittent: most units among items without a sale in 60 % of their periods or more", _intermittent),
        ("young: most units among items listed for a quarter of the history at most", _young),
    ]
    chosen: list[TellingItem] = []
    for rule, fits in rules:
        open_ = fits(history) & (units > 0)
        open_[[item.position for item in chosen]] = False
        if open_.any():
            best = int(np.argmax(np.where(open_, units, -1.0)))
            chosen.append(TellingItem(best, history.item_ids[best], rule))
    return tuple(chosen)


def _promoted(panel: SalesPanel) -> BoolArray:
    active = _promotions(panel)
    if active is None:
        return np.zeros(panel.items, dtype=bool)
    share = _share(active > 0, panel.listed)
    return (share >= PROMOTED[0]) & (share <= PROMOTED[1])


def _promotions(panel: SalesPanel) -> FloatArray | None:
    """A covariate known ahead that is 0 or 1, differs between items, and so marks something done to an item."""
    for values in panel.known.values():
        if np.isin(values, (0.0, 1.0)).all() and (values != values[:1]).any():
            return values
    return None


def _intermittent(panel: SalesPanel) -> BoolArray:
    informative = panel.informative
    return _share(panel.sales == 0, informative) >= OFTEN_ZERO


def _young(panel: SalesPanel) -> BoolArray:
    age = panel.listed.sum(1)
    return (age > 0) & (age <= YOUNG * panel.periods)


def _share(what: BoolArray, among: BoolArray) -> FloatArray:
    return np.asarray((what & among).sum(1) / np.maximum(among.sum(1), 1))
