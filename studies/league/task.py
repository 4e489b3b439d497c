"""The task of a league: one panel, its origins and horizon, what forecasters may learn from, and the items drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import InputError
from ...forecasters.base import check_horizon
from ...forecasters.data.panel import (
    SalesPanel,
    panel_fingerprint,
)
from ...forecasters.forecast import (
    DEFAULT_LEVELS,
    QuantileForecast,
)
from ...forecasters.scores.tables import demand_at
from ...randomness import keyed_generator
from ..backtest import SHORTEST_HISTORY

OFTEN_ZERO = 0.6
"""Share of periods without a sale from which on an item counts as intermittent."""
YOUNG = 0.25
"""Share of the history that a young item has at most."""
PROMOTED = (0.02, 0.6)
"""An item counts as promoted where this share of its periods is: more would be its usual state."""


@dataclass(frozen=True)
class ExampleItem:
    """An item that is drawn.

    Attributes:
        position: among the panel's items.
        item_id: its name.
        rule: why it was chosen.
    """

    position: int
    item_id: str
    rule: str


def choose_example_items(history: SalesPanel) -> tuple[ExampleItem, ...]:
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
    chosen: list[ExampleItem] = []
    for rule, fits in rules:
        open_ = fits(history) & (units > 0)
        open_[[item.position for item in chosen]] = False
        if open_.any():
            best = int(np.argmax(np.where(open_, units, -1.0)))
            chosen.append(ExampleItem(best, history.item_ids[best], rule))
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


LOSS_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Levels that the mean weighted quantile loss is taken over."""
BLOCKS = 6
"""Time blocks of an interval at least, where there are as many periods."""
VOLATILITY_ITEMS = 1000
"""Items at most whose forecasts are followed from origin to origin."""

TrueForecast = Callable[[int, Sequence[float], IntArray], QuantileForecast]
"""(horizon, levels, origins) → the quantiles that demand was drawn from."""


@dataclass(frozen=True, eq=False)
class LeagueTask:
    """One panel, forecast by all from the same origins over the same horizon.

    Attributes:
        panel: the whole history; what lies after the first origin is for scoring.
        horizon: periods ahead. [H]
        origins: periods that are forecast from, shape (origins,).
        truth: demand to score against, shape (items, periods), NaN where it does not count; None: sales of
            listed item-periods in stock.
        reference: the true quantiles, where the panel is synthetic.
        seed: of everything random.
        level: of the intervals.
        volatility_items: items at most that are forecast from successive origins as well.
        examples: items that are drawn, chosen on the history before the first origin.
        fingerprint: a hash of the panel, the truth and the task.
    """

    panel: SalesPanel
    horizon: int
    origins: IntArray
    truth: FloatArray | None = None
    reference: TrueForecast | None = None
    seed: int = 0
    level: float = 0.95
    volatility_items: int = VOLATILITY_ITEMS
    examples: tuple[ExampleItem, ...] = field(init=False)
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "examples", choose_example_items(self.history))
        object.__setattr__(self, "fingerprint", _fingerprint(self))

    @property
    def first(self) -> int:
        """The first origin: forecasters learn from the periods before it."""
        return int(self.origins[0])

    @property
    def history(self) -> SalesPanel:
        """What forecasters learn from."""
        return self.panel.until(self.first)

    @property
    def targets(self) -> IntArray:
        """The periods that forecasts are about, each once, shape (targets,)."""
        return np.unique(self.origins[:, None] + np.arange(self.horizon))

    @property
    def block(self) -> int:
        """Periods of a time block of the intervals: a horizon, but six blocks at least."""
        return max(1, min(self.horizon, len(self.targets) // BLOCKS))

    @property
    def successive(self) -> IntArray:
        """Origins that follow each other, up to the last one: enough to see a horizon of targets from H of them."""
        last = int(self.origins[-1])
        return np.arange(max(self.first, last - 2 * self.horizon), last + 1)

    @property
    def followed(self) -> IntArray:
        """Positions of the items whose forecasts are followed from origin to origin: all, or a keyed choice."""
        items = np.arange(self.panel.items)
        if len(items) <= self.volatility_items:
            return items
        chosen = keyed_generator(self.seed, "volatility items").choice(items, self.volatility_items, replace=False)
        return np.sort(chosen)

    def demand(self) -> FloatArray:
        """Return what forecasts are held against, NaN where it is not known, shape (items, origins, horizon)."""
        return demand_at(self.panel, self.origins, self.horizon, self.truth)


def league_task(
    panel: SalesPanel,
    horizon: int,
    *,
    origins: int = 3,
    spacing: int | None = None,
    truth: FloatArray | None = None,
    **rest: Any,
) -> LeagueTask:
    """Return a task whose last windows end with the panel.

    Args:
        panel: the whole history.
        horizon: periods ahead. [H]
        origins: how many are forecast from.
        spacing: periods from one origin to the next; a horizon where None, so that windows touch.
        truth: see `LeagueTask`; item-periods that were not listed never count.
        **rest: further attributes of `LeagueTask`.

    Raises:
        InputError: where the history is too short, or a number is none.
    """
    horizon, spacing = check_horizon(horizon), spacing or horizon
    starts = panel.periods - horizon - spacing * np.arange(origins)[::-1]
    if origins < 1 or starts[0] < SHORTEST_HISTORY:
        raise InputError(
            [
                f"history: has {panel.periods} periods; {origins} origins, {spacing} apart, with a horizon of "
                f"{horizon} leave {max(0, int(starts[0])) if origins > 0 else 0} to learn from, and "
                f"{SHORTEST_HISTORY} are needed; give a longer history, fewer origins (lineage.origins) or a shorter "
                "horizon (lineage.horizon)"
            ]
        )
    if truth is not None:
        truth = np.where(panel.listed, truth, np.nan)
    found = LeagueTask(panel, horizon, starts, truth, **rest)
    if not np.nansum(found.demand()) > 0:
        raise InputError(
            [
                "history: no demand is known in the periods that are forecast (nothing was sold while in stock), so "
                "that nothing can be scored; give other origins (lineage.origins, lineage.spacing)"
            ]
        )
    return found


def _fingerprint(task: LeagueTask) -> str:
    """Hash everything that an entry depends on but the forecaster and its options."""
    said = (task.horizon, task.origins.tolist(), task.seed, task.volatility_items, DEFAULT_LEVELS)
    digest = hashlib.sha256(repr((said, panel_fingerprint(task.panel))).encode())
    if task.truth is not None:
        digest.update(np.ascontiguousarray(task.truth).tobytes())
    return digest.hexdigest()
