"""What the forecasters of a league are asked, and what of the panel they may learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...arrays import FloatArray, IntArray
from ...errors import InputError
from ...forecasters.base import checked_horizon
from ...forecasters.data.panel import SalesPanel, panel_fingerprint
from ...forecasters.forecast import (
    DEFAULT_LEVELS,
    QuantileForecast,
)
from ...forecasters.scores.actuals import demand_at
from ...randomness import keyed_generator
from ..backtest import SHORTEST_HISTORY
from .items import TellingItem, telling_items

LOSS_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Levels that the mean weighted quantile loss is taken over."""
BLOCKS = 6
"""Time blocks of an interval at least, where there are as many periods."""
VOLATILITY_ITEMS = 1000
"""Items at most whose forecasts are followed from origin to origin."""

TrueForecast = Callable[[int, Sequence[float], IntArray], QuantileForecast]
"""(horizon, levels, origins) → the quantiles that demand was drawn from."""


@dataclass(frozen=True, eq=False)
class Contest:
    """One panel, one set of questions.

    Attributes:
        panel: the whole history; what lies behind the first origin is for scoring.
        horizon: periods ahead. [H]
        origins: periods that are forecast from, shape (origins,).
        truth: demand to score against, shape (items, periods), NaN where it does not count; None: sales of
            listed item-periods in stock.
        reference: the true quantiles, where the panel is synthetic.
        seed: of everything random.
        level: of the intervals.
        volatility_items: items at most that are forecast from successive origins as well.
    """

    panel: SalesPanel
    horizon: int
    origins: IntArray
    truth: FloatArray | None = None
    reference: TrueForecast | None = None
    seed: int = 0
    level: float = 0.95
    volatility_items: int = VOLATILITY_ITEMS
    _facts: dict[str, Any] = field(default_factory=dict, repr=False)

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

    @property
    def telling(self) -> tuple[TellingItem, ...]:
        """Items that are drawn, chosen on the history before the first origin."""
        return self._once("telling", lambda: telling_items(self.history))

    @property
    def fingerprint(self) -> str:
        """A hash of the panel, the truth and the questions."""
        return self._once("fingerprint", lambda: _hash(self))

    def demand(self) -> FloatArray:
        """Return what forecasts are held against, NaN where it is not known, shape (items, origins, horizon)."""
        return demand_at(self.panel, self.origins, self.horizon, self.truth)

    def _once(self, name: str, find: Callable[[], Any]) -> Any:
        if name not in self._facts:
            self._facts[name] = find()
        return self._facts[name]


def contest(
    panel: SalesPanel,
    horizon: int,
    *,
    origins: int = 3,
    spacing: int | None = None,
    truth: FloatArray | None = None,
    **rest: Any,
) -> Contest:
    """Return a contest whose last windows end with the panel.

    Args:
        panel: the whole history.
        horizon: periods ahead. [H]
        origins: how many are forecast from.
        spacing: periods from one origin to the next; a horizon where None, so that windows touch.
        truth: see `Contest`; item-periods that were not listed never count.
        **rest: further attributes of `Contest`.

    Raises:
        InputError: where the history is too short, or a number is none.
    """
    horizon, spacing = checked_horizon(horizon), spacing or horizon
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
    found = Contest(panel, horizon, starts, truth, **rest)
    if not np.nansum(found.demand()) > 0:
        raise InputError(
            [
                "history: no demand is known in the periods that are forecast (nothing was sold while in stock), so "
                "that nothing can be scored; give other origins (lineage.origins, lineage.spacing)"
            ]
        )
    return found


def _hash(contest: Contest) -> str:
    """Hash everything that an entry depends on but the forecaster and its options."""
    said = (contest.horizon, contest.origins.tolist(), contest.seed, contest.volatility_items, DEFAULT_LEVELS)
    digest = hashlib.sha256(repr((said, panel_fingerprint(contest.panel))).encode())
    if contest.truth is not None:
        digest.update(np.ascontiguousarray(contest.truth).tobytes())
    return digest.hexdigest()
