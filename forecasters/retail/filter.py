"""The embedded panel's hidden levels given its record: a filter with the generator's true parameters.

Each week brings sales (where they were demand) and page views of every item. The levels of all items of a
category are filtered together, because they share its shock: a Kalman filter in which each week's counts,
negative binomial and Poisson, enter by the mode of the posterior and its curvature (Laplace's method; the
extended Kalman filter with iterated updates). Where the last unit was sold, demand is known to have been larger
than sales; a filter may leave that out, as forecasters with `censoring="mask"` do.
"""

# Why there is a filter at all: quantiles given the true levels are a bound that no forecaster can reach, because
# nobody knows the levels. What can be reached is the loss of the true quantiles given the record, and only with that
# yardstick does "within 6 % of the true conditional quantiles" say anything about a forecaster. The counts rule out
# the plain Kalman filter, and particles would need thousands of them for each category of forty items.

from __future__ import annotations

import numpy as np
from scipy.special import betainc, betaln

from ...arrays import BoolArray, FloatArray, IntArray
from ..data.panel import SalesPanel
from .market import (
    INTEREST,
    INTEREST_SHARES,
    LEVEL,
    SHOCK,
    VIEWS_ALWAYS,
    VIEWS_PER_UNIT,
    LevelBelief,
    Market,
    Traits,
)

STEPS = 8
"""Newton steps of an update, at most."""
CLOSE = 1e-6
"""Change of a linear predictor below which an update has arrived at the mode."""
OWN = 4
"""State variables of an item: its level and its interest in this week, the week before and the one before that."""


def filter_levels(panel: SalesPanel, traits: Traits, market: Market, *, stock_outs: bool) -> LevelBelief:
    """Return the beliefs about the hidden levels before each period 0 … periods, given the record before it.

    Args:
        panel: the record.
        traits: the true parameters.
        market: of it, `fixed`, which is known ahead.
        stock_outs: whether sales that ran out say that demand was larger; else they say nothing.
    """
    mean = np.zeros((panel.items, panel.periods + 1, 4))
    covariance = np.zeros((panel.items, panel.periods + 1, 4, 4))
    for category in np.unique(traits.category):
        rows = np.flatnonzero(traits.category == category)
        likelihood = _Likelihood(panel.select(rows), traits.select(rows), market.fixed[rows], stock_outs=stock_outs)
        mean[rows], covariance[rows] = _filter_category(likelihood)
    return LevelBelief(mean, covariance)


def _filter_category(likelihood: _Likelihood) -> tuple[FloatArray, FloatArray]:
    """Filter one category; its state is the shock, then `OWN` variables of each item in turn."""
    items, periods = likelihood.panel.items, likelihood.panel.periods
    size = 1 + OWN * items
    # The state in the first period, and how it moves: each item's interest of the two weeks before is carried along.
    moves, noise_of = np.zeros((OWN, OWN)), np.zeros(OWN)
    moves[0, 0], moves[1, 1], moves[2, 1], moves[3, 2] = LEVEL.memory, INTEREST.memory, 1.0, 1.0
    shock_noise, noise_of[0], noise_of[1] = (p.deviation**2 * (1 - p.memory**2) for p in (SHOCK, LEVEL, INTEREST))
    lag = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    first = np.zeros((OWN, OWN))
    first[0, 0], first[1:, 1:] = LEVEL.deviation**2, INTEREST.deviation**2 * INTEREST.memory**lag
    move, noise, spread = np.zeros((3, size, size))
    move[0, 0], noise[0, 0], spread[0, 0] = SHOCK.memory, shock_noise, SHOCK.deviation**2
    for whole, own in ((move, moves), (noise, np.diag(noise_of)), (spread, first)):
        whole[1:, 1:] = np.kron(np.eye(items), own)
    mean = np.zeros(size)
    # Beliefs are kept of each item's level, the shock, and its interest of this week and the week before.
    start = 1 + OWN * np.arange(items)
    kept = np.stack([start, np.zeros(items, dtype=np.int64), start + 1, start + 2], axis=-1)
    means, spreads = np.zeros((items, periods + 1, 4)), np.zeros((items, periods + 1, 4, 4))
    for t in range(periods + 1):
        means[:, t], spreads[:, t] = mean[kept], spread[kept[:, :, None], kept[:, None, :]]
        if t < periods:
            if t > 0:
                mean, spread = move @ mean, move @ spread @ move.T + noise
            mean, spread = _update(mean, spread, likelihood, t)
    return means, spreads


def _update(mean: FloatArray, spread: FloatArray, likelihood: _Likelihood, t: int) -> tuple[FloatArray, FloatArray]:
    """Return mean and covariance of the state after one week's counts: Newton's method for the mode."""
    demand, views = likelihood.observed(t)
    if not len(demand) + len(views):
        return mean, spread
    reads = np.concatenate([likelihood.demand_reads[demand], likelihood.interest_reads[views]])
    shared = reads @ spread
    prior, covariance = reads @ mean, shared @ reads.T
    predictor = prior
    for _ in range(STEPS):
        slope, weight = likelihood.derivatives(predictor, t, demand, views)
        # One step: regress predictor + slope / weight on the state, with variance 1 / weight.
        inner = np.linalg.inv(covariance + np.diag(1.0 / weight))
        news = inner @ (predictor + slope / weight - prior)
        before, predictor = predictor, prior + covariance @ news
        if np.abs(predictor - before).max() < CLOSE:
            break
    return mean + shared.T @ news, spread - shared.T @ inner @ shared


class _Likelihood:
    """The counts of one category and their likelihood, given linear predictors that read the state.

    Args:
        panel: the record of the category's items.
        traits: of these items.
        fixed: log of expected demand but for the hidden levels, shape (items, periods or more).
        stock_outs: as in `filter_levels`.
    """

    def __init__(self, panel: SalesPanel, traits: Traits, fixed: FloatArray, *, stock_outs: bool) -> None:
        self.panel, self.fixed, self.dispersion = panel, fixed, traits.dispersion
        self.popularity = VIEWS_PER_UNIT * traits.base
        # Sales below a demand that is known to have been larger.
        self.beyond: BoolArray = panel.ran_out & (panel.sales > 0) & stock_outs
        items = np.arange(panel.items)
        own = 1 + OWN * items
        # Log demand reads the shock, the level, and interest of one and two weeks ago; page views this week's interest.
        self.demand_reads, self.interest_reads = np.zeros((2, panel.items, 1 + OWN * panel.items))
        self.demand_reads[:, 0] = 1.0
        self.demand_reads[items, own] = 1.0
        self.demand_reads[items, own + 2] = traits.attention * INTEREST_SHARES[0]
        self.demand_reads[items, own + 3] = traits.attention * INTEREST_SHARES[1]
        self.interest_reads[items, own + 1] = 1.0

    def observed(self, t: int) -> tuple[IntArray, IntArray]:
        """Return the items whose sales, and those whose page views, say something in a period."""
        sold = self.panel.informative[:, t] | self.beyond[:, t]
        return np.flatnonzero(sold), np.flatnonzero(self.panel.listed[:, t])

    def derivatives(
        self, predictor: FloatArray, t: int, demand: IntArray, views: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return slope and curvature (positive) of the log likelihood of sales, then of page views."""
        log_mean = np.clip(self.fixed[demand, t] + predictor[: len(demand)], -20.0, 20.0)
        sales, size, beyond = self.panel.sales[demand, t], self.dispersion[demand], self.beyond[demand, t]
        share = np.exp(log_mean) / (size + np.exp(log_mean))
        exact = sales - (size + sales) * share, (size + sales) * share * (1.0 - share)
        # Where the last unit was sold, the likelihood is P(D > sales): its log has this slope and curvature.
        least = sales + 1.0
        chance = np.maximum(betainc(least, size, share), 1e-300)
        rise = np.exp(least * np.log(share) + size * np.log1p(-share) - betaln(least, size)) / chance
        more = rise, rise**2 - rise * (least * (1.0 - share) - size * share)
        moved = self.popularity[views] * np.exp(np.clip(predictor[len(demand) :], -5.0, 5.0))
        expected, seen = VIEWS_ALWAYS + moved, self.panel.observed["page_views"][views, t]
        slope = [np.where(beyond, more[0], exact[0]), (seen / expected - 1.0) * moved]
        weight = [np.where(beyond, more[1], exact[1]), moved**2 / expected]
        return np.concatenate(slope), np.maximum(np.concatenate(weight), 1e-8)
