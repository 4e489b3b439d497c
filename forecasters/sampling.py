"""How forecast errors of successive periods move together, learnt from past forecasts.

Per-period quantiles do not say how demand sums up over a lead time: errors of one forecast lean the same way.
A Gaussian copula over the horizon carries that, one for each band of sales velocity. It is fitted to the normal
scores of past errors. A demand of whole units fixes its score only to an interval, wide where sales are slow;
each interval enters by its conditional mean, and the correlation that is lost in the intervals is given back
(the first term of the Hermite expansion that polychoric correlations are built on; Olsson 1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from .base import targets_of, velocity
from .forecast import Dependence, FloatArray, IntArray, QuantileForecast
from .panel import SalesPanel

BANDS = 3
FEWEST_PAIRS = 40
POOLED_WEIGHT = 400.0
"""Pairs that the correlation by lag alone is worth against the correlation of one pair of horizons."""
BAND_WEIGHT = 1500.0
"""Pairs that the correlation of all items is worth against that of one band."""
EDGE = 1e-6
LARGEST = 0.98


@dataclass(frozen=True, eq=False)
class ErrorDependence:
    """A fitted copula, ready for any items, origins and horizon.

    Attributes:
        correlation: of normal scores, shape (bands, horizon, horizon).
        edges: sales velocity at which the next band begins, units per period, shape (bands − 1,).
    """

    correlation: FloatArray
    edges: FloatArray

    def at(self, panel: SalesPanel, origins: IntArray, horizon: int) -> Dependence:
        """Return the dependence of forecasts from these origins; a band comes from sales before the origin."""
        return Dependence(lengthened(self.correlation, horizon), self.band(velocity(panel, origins)))

    def band(self, speed: FloatArray) -> IntArray:
        """Return the band of each velocity, the shape of `speed`."""
        return np.searchsorted(self.edges, speed, side="right").astype(np.int64)


def fit_dependence(forecast: QuantileForecast, panel: SalesPanel, horizon: int) -> Dependence:
    """Fit the copula of past forecasts, and say which band each of their items and origins belongs to.

    Args:
        forecast: from many origins, of the panel's items, made without knowing what it forecasts.
        panel: reaches beyond the origins; item-periods that were out of stock or not listed are left out.
        horizon: of the dependence; where the forecast is shorter, the last correlations by lag go on.
    """
    return fit_error_dependence(forecast, panel).at(panel, forecast.origins, horizon)


def fit_error_dependence(
    forecast: QuantileForecast, panel: SalesPanel, bands: int = BANDS
) -> ErrorDependence:
    """Fit the copula of past forecasts; arguments as in `fit_dependence`.

    With few pairs of errors a band's correlation is drawn to that of all items, that to one by lag alone
    (|h − k|), and that to independence.
    """
    actual = targets_of(panel, forecast.origins, forecast.horizon)
    low, high = cdf_bounds(forecast, actual, whole_units=panel.integer_demand)
    mean, spread = interval_scores(low, high)
    speed = velocity(panel, forecast.origins)
    edges = _band_edges(speed, bands)
    number = np.searchsorted(edges, speed, side="right")
    pooled, pairs = score_correlation(mean, spread)
    smooth = by_lag(pooled, pairs)
    pooled = _mixed(pooled, smooth, pairs, POOLED_WEIGHT)
    each = [_band_correlation(mean[number == b], spread[number == b], pooled) for b in range(len(edges) + 1)]
    return ErrorDependence(np.stack(each), edges)


def cdf_bounds(
    forecast: QuantileForecast, demand: FloatArray, *, whole_units: bool
) -> tuple[FloatArray, FloatArray]:
    """Return the probabilities between which a demand lies under its forecast.

    They are equal where the forecast is continuous at the demand, and apart across a jump (a quantile that stays
    at zero over many levels). With `whole_units` a demand of k units stands for k − ½ to k + ½.

    Args:
        forecast: values (items, origins, horizon, Q).
        demand: units, shape (items, origins, horizon); NaN is passed on.
        whole_units: whether demand is counted.

    Returns:
        two arrays of the shape of `demand`, in [0, 1], the first not above the second.
    """
    half = 0.5 if whole_units else 0.0
    low = np.where(demand - half <= 0.0, 0.0, _cdf(forecast, demand - half, from_left=True))
    high = _cdf(forecast, demand + half, from_left=False)
    unknown = np.isnan(demand)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, np.maximum(low, high))


def interval_scores(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean and the variance of a standard normal score known to lie between two probabilities."""
    low, high = np.clip(low, EDGE, 1 - EDGE), np.clip(high, EDGE, 1 - EDGE)
    narrow = ~(high - low > 1e-4)
    width = np.where(narrow, 1.0, high - low)
    a, b = ndtri(low), ndtri(high)
    mean = np.where(narrow, ndtri((low + high) / 2), (_density(a) - _density(b)) / width)
    variance = 1.0 + (a * _density(a) - b * _density(b)) / width - mean**2
    return mean, np.where(narrow, 0.0 * mean, np.clip(variance, 0.0, 1.0))


def score_correlation(mean: FloatArray, spread: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the correlation of normal scores over the horizon, and how many pairs each entry rests on.

    Args:
        mean: conditional means of the scores, shape (..., horizon), NaN where unknown.
        spread: their conditional variances.

    Returns:
        two arrays of shape (horizon, horizon).
    """
    mean, spread = mean.reshape(-1, mean.shape[-1]), spread.reshape(-1, spread.shape[-1])
    known = (~np.isnan(mean)).astype(np.float64)
    score = np.where(known > 0, mean, 0.0)
    pairs = known.T @ known
    many = np.maximum(pairs, 1.0)
    square = (score**2).T @ known
    lost = np.where(known > 0, spread, 0.0).T @ known / many
    kept = np.maximum(1.0 - lost, 0.05)
    attenuation = np.sqrt(kept * kept.T)
    scale = np.sqrt(np.maximum(square * square.T, 1e-12))
    correlation = np.clip(score.T @ score / scale / attenuation, -LARGEST, LARGEST)
    correlation[pairs < FEWEST_PAIRS] = 0.0
    np.fill_diagonal(correlation, 1.0)
    return correlation, pairs


def by_lag(correlation: FloatArray, pairs: FloatArray) -> FloatArray:
    """Return the correlation that depends on |h − k| alone, drawn to independence where pairs are few."""
    horizon = len(correlation)
    lag = np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))
    weight = np.where(pairs >= FEWEST_PAIRS, pairs, 0.0)
    total = np.bincount(lag.ravel(), weight.ravel(), horizon)
    mean = np.bincount(lag.ravel(), (weight * correlation).ravel(), horizon) / (total + FEWEST_PAIRS)
    mean[0] = 1.0
    return np.asarray(mean[lag])


def lengthened(correlation: FloatArray, horizon: int) -> FloatArray:
    """Return correlation matrices (bands, horizon, horizon) cut, or continued by lag beyond what was fitted."""
    fitted = correlation.shape[-1]
    if horizon <= fitted:
        return correlation[:, :horizon, :horizon]
    lag = np.minimum(np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon))), fitted - 1)
    mean = np.stack([[np.diagonal(one, k).mean() for k in range(fitted)] for one in correlation])
    longer = mean[:, lag]
    longer[:, :fitted, :fitted] = correlation
    longer[:, np.arange(horizon), np.arange(horizon)] = 1.0
    return np.stack([positive_definite(one) for one in longer])


def positive_definite(matrix: FloatArray, smallest: float = 1e-3) -> FloatArray:
    """Return a near correlation matrix whose eigenvalues are at least about `smallest`."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if values[0] >= smallest:
        return np.asarray((matrix + matrix.T) / 2)
    raised = (vectors * np.maximum(values, 2 * smallest)) @ vectors.T
    root = np.sqrt(np.diagonal(raised))
    return np.asarray(raised / np.outer(root, root))


def _band_correlation(mean: FloatArray, spread: FloatArray, pooled: FloatArray) -> FloatArray:
    own, pairs = score_correlation(mean, spread)
    return positive_definite(_mixed(own, pooled, pairs, BAND_WEIGHT))


def _mixed(own: FloatArray, prior: FloatArray, pairs: FloatArray, weight: float) -> FloatArray:
    share = np.where(pairs >= FEWEST_PAIRS, pairs, 0.0)
    share = share / (share + weight)
    return share * own + (1.0 - share) * prior


def _band_edges(speed: FloatArray, bands: int) -> FloatArray:
    moving = speed[speed > 0]
    if len(moving) < bands:
        return np.zeros(0)
    return np.unique(np.quantile(moving, np.arange(1, bands) / bands))


def _cdf(forecast: QuantileForecast, demand: FloatArray, *, from_left: bool) -> FloatArray:
    """P(D < d) or P(D ≤ d) under the interpolation and tail rules of `QuantileForecast`."""
    levels, values = forecast.levels, forecast.values
    point = demand[..., None]
    reached = (values < point) if from_left else (values <= point)
    below = np.clip(reached.sum(-1) - 1, 0, len(levels) - 2)
    q0 = np.take_along_axis(values, below[..., None], -1)[..., 0]
    q1 = np.take_along_axis(values, below[..., None] + 1, -1)[..., 0]
    step = q1 - q0
    along = (demand - q0) / np.where(step > 0, step, 1.0)
    along = np.where(step > 0, along, np.where(reached[..., 0], np.inf, -np.inf))
    linear = levels[below] + np.clip(along, -1e6, 1.0) * (levels[below + 1] - levels[below])
    rate = np.log((1 - levels[-2]) / (1 - levels[-1]))
    tail = 1.0 - (1.0 - levels[-1]) * np.exp(-np.clip((along - 1.0) * rate, 0.0, 700.0))
    beyond = reached[..., -1] & (along > 1.0)
    return np.clip(np.where(beyond, tail, linear), 0.0, 1.0)


def _density(score: FloatArray) -> FloatArray:
    return np.exp(-0.5 * score**2) / np.sqrt(2 * np.pi)
