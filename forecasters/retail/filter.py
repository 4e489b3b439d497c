"""What the embedded panel's record says of its hidden levels: a filter with the generator's true parameters.

Each week brings sales (where they were demand) and page views of every item. The levels of all items of a
category are followed together, because they share its shock: a Kalman filter in which each week's counts,
negative binomial and Poisson, enter by the mode of the posterior and its curvature (Laplace's method; the
extended Kalman filter with iterated updates). Where the last unit was sold, demand is known to have been larger
than sales; a filter may leave that out, as the forecasters here do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln

from ...arrays import FloatArray, IntArray
from ..data.panel import SalesPanel
from .levels import INTEREST, INTEREST_SHARES, LEVEL, SHOCK
from .market import VIEWS_ALWAYS, VIEWS_PER_UNIT, Market, Traits

STEPS = 8
"""Newton steps of an update, at most."""
CLOSE = 1e-6
"""Change of a linear predictor below which an update has arrived at the mode."""

# The state of a category: its shock, then for each item in turn its level and its interest in this week, the
# week before and the one before that.
_OWN = 4


@dataclass(frozen=True, eq=False)
class Filtered:
    """Normal beliefs about `HiddenLevels.state` before each period.

    Attributes:
        mean: shape (items, periods + 1, 4).
        covariance: shape (items, periods + 1, 4, 4).
    """

    mean: FloatArray
    covariance: FloatArray


@dataclass(frozen=True, eq=False)
class _Record:
    """One category's counts, arrays (items, periods) or (items,).

    `told`: sales say something of demand; `beyond`: namely that it was larger.
    """

    sales: FloatArray
    told: NDArray[np.bool_]
    beyond: NDArray[np.bool_]
    views: FloatArray
    seen: NDArray[np.bool_]
    fixed: FloatArray
    dispersion: FloatArray
    popularity: FloatArray
    attention: FloatArray


def filter_levels(panel: SalesPanel, traits: Traits, market: Market, *, stock_outs: bool) -> Filtered:
    """Return what the record before each period says of the hidden levels.

    Args:
        panel: what is on record.
        traits: the true parameters.
        market: of it, what is known ahead.
        stock_outs: whether sales that ran out say that demand was larger; else they say nothing.
    """
    beyond = panel.listed & ~panel.in_stock & (panel.sales > 0) & stock_outs
    mean = np.zeros((panel.items, panel.periods + 1, 4))
    covariance = np.zeros((panel.items, panel.periods + 1, 4, 4))
    for category in np.unique(traits.category):
        rows = np.flatnonzero(traits.category == category)
        record = _Record(
            sales=panel.sales[rows],
            told=(panel.informative | beyond)[rows],
            beyond=beyond[rows],
            views=panel.observed["page_views"][rows],
            seen=panel.listed[rows],
            fixed=market.fixed[rows],
            dispersion=traits.dispersion[rows],
            popularity=VIEWS_PER_UNIT * traits.base[rows],
            attention=traits.attention[rows],
        )
        mean[rows], covariance[rows] = _filter_category(record)
    return Filtered(mean, covariance)


def _filter_category(record: _Record) -> tuple[FloatArray, FloatArray]:
    items, periods = record.sales.shape
    move, noise = _dynamics(items)
    mean, spread = np.zeros(1 + _OWN * items), _stationary(items)
    means, spreads = np.zeros((items, periods + 1, 4)), np.zeros((items, periods + 1, 4, 4))
    for t in range(periods + 1):
        means[:, t], spreads[:, t] = _of_items(mean, spread, items)
        if t < periods:
            if t > 0:
                mean, spread = move @ mean, move @ spread @ move.T + noise
            mean, spread = _updated(mean, spread, record, t)
    return means, spreads


def _dynamics(items: int) -> tuple[FloatArray, FloatArray]:
    """Transition matrix and covariance of the noise."""
    own = np.zeros((_OWN, _OWN))
    own[0, 0], own[1, 1] = LEVEL.memory, INTEREST.memory
    own[2, 1] = own[3, 2] = 1.0
    news = [p.deviation**2 * (1 - p.memory**2) for p in (SHOCK, LEVEL, INTEREST)]
    move, noise = np.zeros((2, 1 + _OWN * items, 1 + _OWN * items))
    move[0, 0], noise[0, 0] = SHOCK.memory, news[0]
    move[1:, 1:] = np.kron(np.eye(items), own)
    noise[1:, 1:] = np.kron(np.eye(items), np.diag([news[1], news[2], 0.0, 0.0]))
    return move, noise


def _stationary(items: int) -> FloatArray:
    """Covariance of the state in the first period."""
    own = np.zeros((_OWN, _OWN))
    own[0, 0] = LEVEL.deviation**2
    lag = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    own[1:, 1:] = INTEREST.deviation**2 * INTEREST.memory**lag
    spread = np.zeros((1 + _OWN * items, 1 + _OWN * items))
    spread[0, 0] = SHOCK.deviation**2
    spread[1:, 1:] = np.kron(np.eye(items), own)
    return spread


def _of_items(mean: FloatArray, spread: FloatArray, items: int) -> tuple[FloatArray, FloatArray]:
    """Level, shock, this week's and last week's interest of each item: means (items, 4), covariances."""
    first = 1 + _OWN * np.arange(items)
    at = np.stack([first, np.zeros(items, dtype=np.int64), first + 1, first + 2], axis=-1)
    return mean[at], spread[at[:, :, None], at[:, None, :]]


def _updated(mean: FloatArray, spread: FloatArray, record: _Record, t: int) -> tuple[FloatArray, FloatArray]:
    """Bring one week's counts into the belief."""
    told, seen = np.flatnonzero(record.told[:, t]), np.flatnonzero(record.seen[:, t])
    if not len(told) + len(seen):
        return mean, spread
    reads = np.concatenate([_reads_demand(record, told, len(mean)), _reads_interest(seen, len(mean))])
    shared = reads @ spread
    prior, covariance = reads @ mean, shared @ reads.T
    predictor = prior
    for _ in range(STEPS):
        slope, weight = _likelihood(predictor, record, t, told, seen)
        # One step: regress predictor + slope / weight on the state, with variance 1 / weight.
        inner = np.linalg.inv(covariance + np.diag(1.0 / weight))
        news = inner @ (predictor + slope / weight - prior)
        before, predictor = predictor, prior + covariance @ news
        if np.abs(predictor - before).max() < CLOSE:
            break
    return mean + shared.T @ news, spread - shared.T @ inner @ shared


def _reads_demand(record: _Record, items: IntArray, size: int) -> FloatArray:
    """How log demand of these items reads the state, shape (items, state)."""
    reads = np.zeros((len(items), size))
    rows, first = np.arange(len(items)), 1 + _OWN * items
    reads[:, 0] = 1.0
    reads[rows, first] = 1.0
    reads[rows, first + 2] = record.attention[items] * INTEREST_SHARES[0]
    reads[rows, first + 3] = record.attention[items] * INTEREST_SHARES[1]
    return reads


def _reads_interest(items: IntArray, size: int) -> FloatArray:
    reads = np.zeros((len(items), size))
    reads[np.arange(len(items)), 2 + _OWN * items] = 1.0
    return reads


def _likelihood(
    predictor: FloatArray, record: _Record, t: int, told: IntArray, seen: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Slope and curvature (positive) of the log likelihood of sales, then of page views."""
    log_mean = np.clip(record.fixed[told, t] + predictor[: len(told)], -20.0, 20.0)
    sales, size, beyond = record.sales[told, t], record.dispersion[told], record.beyond[told, t]
    share = np.exp(log_mean) / (size + np.exp(log_mean))
    exact = sales - (size + sales) * share, (size + sales) * share * (1.0 - share)
    more = _more_than(sales, size, share)
    moved = record.popularity[seen] * np.exp(np.clip(predictor[len(told) :], -5.0, 5.0))
    expected, views = VIEWS_ALWAYS + moved, record.views[seen, t]
    slope = [np.where(beyond, more[0], exact[0]), (views / expected - 1.0) * moved]
    weight = [np.where(beyond, more[1], exact[1]), moved**2 / expected]
    return np.concatenate(slope), np.maximum(np.concatenate(weight), 1e-8)


def _more_than(sales: FloatArray, size: FloatArray, share: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slope and curvature of log P(D > sales) in the log mean; share = mean / (size + mean)."""
    least = sales + 1.0
    chance = np.maximum(betainc(least, size, share), 1e-300)
    slope = np.exp(least * np.log(share) + size * np.log1p(-share) - betaln(least, size)) / chance
    return slope, slope**2 - slope * (least * (1.0 - share) - size * share)
