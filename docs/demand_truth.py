"""The true law of the embedded panel's demand, jointly over its items, given what is on record at an origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fractile.forecasters.retail.filter import filter_levels
from fractile.forecasters.retail.market import INTEREST, INTEREST_SHARES, LEVEL, SHOCK, Autoregression
from fractile.forecasters.retail.panel import RetailPanel

OWN = [0, 2, 3]
"""Where a belief holds what is an item's own: its level and its interest of one and of two weeks ago."""
COMMON = 1
"""Where it holds the shock of the item's category."""


@dataclass(frozen=True, eq=False)
class JointLaw:
    """What `RetailPanel.true_forecast(known="record")` believes, with the shocks that items share drawn in common.

    The filter's belief is normal, and jointly so over the items of a category, since all of them tell of its shock. Of
    it an item's own level and interest are kept given the shock, and taken as independent of the other items' given
    the shock: that leaves out what the items share through the shock's past.

    Attributes:
        retail: the panel.
    """

    retail: RetailPanel

    def paths(self, origin: int, horizon: int, number: int, rng: np.random.Generator) -> np.ndarray:
        """Draw demand from its true law at an origin, jointly over items, given the record before it.

        Args:
            origin: the first period.
            horizon: periods; they end within the panel.
            number: of paths.
            rng: where draws come from.

        Returns:
            units, shape (paths, periods, items).
        """
        traits, market = self.retail.traits, self.retail.market
        record = self.retail.panel.until(origin)
        belief = filter_levels(record, traits, market, stock_outs=True).at(np.array([origin]))
        mean, covariance = belief.mean[:, 0], belief.covariance[:, 0]
        # One shock a category: its items agree about it, so that the belief of the first of them is that of all.
        names, first, category = np.unique(traits.category, return_index=True, return_inverse=True)
        spread = covariance[first, COMMON, COMMON]
        shock = mean[first, COMMON] + np.sqrt(spread) * rng.standard_normal((number, len(names)))
        gain = covariance[:, OWN, COMMON] / spread[category, None]
        rest = covariance[:, OWN][:, :, OWN] - spread[category, None, None] * gain[:, :, None] * gain[:, None, :]
        root = np.linalg.cholesky(rest + 1e-10 * np.eye(len(OWN)))
        surprise = shock[:, category] - mean[:, COMMON]
        noise = rng.standard_normal((number, len(mean), len(OWN)))
        own = mean[:, OWN] + gain * surprise[:, :, None] + np.einsum("ikj,pij->pik", root, noise)
        level, soon, late = own.transpose(2, 0, 1)
        size, drawn = traits.dispersion, np.empty((number, horizon, len(mean)))
        for t in range(origin, origin + horizon):
            shock, level = _next(SHOCK, shock, rng), _next(LEVEL, level, rng)
            pull = traits.attention * (INTEREST_SHARES[0] * soon + INTEREST_SHARES[1] * late)
            expected = np.exp(market.fixed[:, t] + level + shock[:, category] + pull)
            units = rng.negative_binomial(size, size / (size + expected))
            drawn[:, t - origin] = units * market.listed[:, t]
            soon, late = _next(INTEREST, soon, rng), soon
        return drawn

    def quantiles(self, origins: list[int], horizon: int, levels: np.ndarray) -> np.ndarray:
        """Return the true quantiles given the record: units, shape (items, origins, horizon, levels)."""
        return self.retail.true_forecast(horizon, levels, origins, known="record").values


def _next(process: Autoregression, now: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = process.deviation * np.sqrt(1 - process.memory**2) * rng.standard_normal(now.shape)
    return process.memory * now + noise
