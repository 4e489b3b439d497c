"""Demand as it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ...forecasters.data.panel import SalesPanel
from ..core.types import Scenario


@dataclass(frozen=True, eq=False)
class Replay:
    """Demand as it was: the history itself, from random starting periods.

    Where an item was out of stock its sales say nothing; the sales of its last informative period before stand in,
    or its own sales where those were more.

    Attributes:
        panel: the history.
    """

    panel: SalesPanel

    @property
    def items(self) -> int:
        """Number of items."""
        return self.panel.items

    def sample(self, rng: np.random.Generator, paths: int, periods: int) -> FloatArray:
        """Draw windows of the history, units, shape (paths, periods, items); items keep their common weeks."""
        latest = self.panel.periods - periods
        if latest < 0:
            raise FractileError(f"the history has {self.panel.periods} periods, {periods} are asked for; replay fewer")
        start = rng.integers(0, latest + 1, paths)
        return uncensored(self.panel).T[start[:, None] + np.arange(periods)]

    def scenario(self, rng: np.random.Generator, paths: int, periods: int, span: int) -> Scenario:  # noqa: ARG002
        """Draw windows of the history; nothing is forecast."""
        return Scenario(self.sample(rng, paths, periods))

    def episodes(self, rng: np.random.Generator, item: IntArray, periods: int, span: int) -> Scenario:  # noqa: ARG002
        """Draw windows of single items: see `ForecastDemand.episodes`."""
        demand = self.sample(rng, len(item), periods)
        return Scenario(np.take_along_axis(demand, item[:, None, None], axis=2))


def uncensored(panel: SalesPanel) -> FloatArray:
    """Return demand as the history tells it, units, shape (items, periods): see `Replay` for stock-outs.

    What stands in comes from the past wherever there is one, so that demand in t says nothing of later periods.
    """
    period = np.arange(panel.periods)
    before = np.maximum.accumulate(np.where(panel.informative, period, -1), axis=1)
    first = np.argmax(panel.informative, axis=1)[:, None]
    stand_in = np.take_along_axis(panel.sales, np.where(before >= 0, before, first), axis=1)
    demand = np.where(panel.informative, panel.sales, np.maximum(panel.sales, stand_in))
    return np.where(panel.listed, demand, 0.0)
