"""How forecast errors of successive periods move together, fitted to past forecasts.

Per-period quantiles do not say how demand sums up over a lead time: errors of one forecast lean the same
way. A Gaussian copula over the horizon carries that, one for each band of sales velocity. It is fitted to the
normal scores of past errors. A demand of whole units fixes its score only to an interval, wide where sales
are slow. Drawing a score at random within each interval would hide correlation; instead each interval enters
by its conditional mean, and the correlation that the intervals lose is given back (the first terms of the
Hermite expansion of polychoric correlations).

Past trajectories of the same scores are kept beside it, for the Schaake shuffle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ...arrays import FloatArray, IntArray
from ..base import Arrays, Request, targets_of, velocity
from ..censoring import History
from ..data.panel import SalesPanel
from ..forecast import DEFAULT_LEVELS, Dependence, QuantileForecast
from ..interpolation import cdf_at
from .dependence import fit_templates
from .spread import ItemSpread, fit_item_spread, fit_moves

BANDS = 3
FEWEST_PAIRS = 40
POOLED_WEIGHT = 400.0
"""Pairs that the correlation by lag alone is worth against the correlation of one pair of horizons."""
BAND_WEIGHT = 600.0
"""Pairs that the correlation of all items is worth against that of one band."""
EDGE = 1e-6
LARGEST = 0.98


@dataclass(frozen=True, eq=False)
class ErrorDependence:
    """A fitted copula, ready for any items, origins and horizon.

    Attributes:
        correlation: of normal scores, shape (bands, horizon, horizon).
        edges: sales velocity at which the next band begins, units per period, shape (bands − 1,).
        templates: past trajectories of normal scores, for the Schaake shuffle, shape (bands, templates, horizon).
        spread: by how much the forecasts of each item are widened; None where they are as they should be.
    """

    correlation: FloatArray
    edges: FloatArray
    templates: FloatArray | None = None
    spread: ItemSpread | None = None

    def levels(self, wanted: FloatArray) -> FloatArray:
        """Return the levels that quantiles must be forecast at, for those at `wanted` to be read from them."""
        return wanted if self.spread is None else np.union1d(np.asarray(DEFAULT_LEVELS), wanted)

    def forecast(self, request: Request, values: FloatArray) -> QuantileForecast:
        """Return quantiles at `levels(request.levels)`, (items, origins, horizon, ...), as the request's forecast."""
        return request.forecast(self.widen(request, values), self.at(request.panel, request.origins, request.horizon))

    def widen(self, request: Request, values: FloatArray) -> FloatArray:
        """Return quantiles at the request's levels of those at `levels(request.levels)`, as wide as past errors say."""
        if self.spread is None:
            return values
        return self.spread.widen(request.panel.item_ids, self.levels(request.levels), values, request.levels)

    def at(self, panel: SalesPanel, origins: IntArray, horizon: int) -> Dependence:
        """Return the dependence of forecasts from these origins; bands come from sales before the origin."""
        templates = self.templates
        if templates is not None:
            # A trajectory cannot be lengthened as a correlation can.
            templates = templates[:, :, :horizon] if horizon <= templates.shape[-1] else None
        return Dependence(extend_correlation(self.correlation, horizon), self.band(velocity(panel, origins)), templates)

    def band(self, speed: FloatArray) -> IntArray:
        """Return the band of each velocity, the shape of `speed`."""
        return np.searchsorted(self.edges, speed, side="right").astype(np.int64)

    def arrays(self) -> Arrays:
        """Return the arrays that `from_arrays` needs."""
        arrays = {"correlation": self.correlation, "dependence_edges": self.edges}
        if self.templates is not None:
            arrays["dependence_templates"] = self.templates
        return arrays if self.spread is None else {**arrays, **self.spread.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> ErrorDependence:
        """Rebuild from `arrays()`."""
        spread = ItemSpread.from_arrays(arrays) if "spread" in arrays else None
        return cls(arrays["correlation"], arrays["dependence_edges"], arrays.get("dependence_templates"), spread)


def fit_dependence(forecast: QuantileForecast, panel: SalesPanel, horizon: int) -> Dependence:
    """Fit the copula of past forecasts, and say which band each of their items and origins belongs to.

    Args:
        forecast: from many origins, of the panel's items, made without knowing what it forecasts.
        panel: reaches beyond the origins; sales out of stock are lower bounds of demand.
        horizon: of the dependence; where the forecast is shorter, the last correlations by lag go on.
    """
    return fit_error_dependence(forecast, History.of(panel, "bound")).at(panel, forecast.origins, horizon)


def fit_errors(forecast: QuantileForecast, history: History, *, relative: bool = False) -> ErrorDependence:
    """Fit the copula of past forecasts of a history's items, and how wide the forecasts of each item must be.

    Args:
        forecast: from many origins, made without knowing what it forecasts.
        history: reaches beyond the origins.
        relative: whether only differences between items count; for past forecasts of a coarser model than the one
            that is used, whose errors say nothing of how wide forecasts are in general.
    """
    low, high = recorded_bounds(forecast, history.record, stock_outs=history.is_bounded)
    scores = interval_scores(low, high)
    spread = fit_item_spread(forecast.item_ids, scores.mean, scores.spread)
    if not relative:
        spread = replace(spread, moves=fit_moves(low, high))
    wide = replace(forecast, values=spread.widen(forecast.item_ids, forecast.levels, forecast.values, forecast.levels))
    return replace(fit_error_dependence(wide, history), spread=spread)


def fit_error_dependence(forecast: QuantileForecast, history: History, bands: int = BANDS) -> ErrorDependence:
    """Fit the copula of past forecasts of a history's items.

    With few pairs of errors a band's correlation is drawn to that of all items, that to one by lag alone
    (|h − k|), and that to independence.
    """
    low, high = recorded_bounds(forecast, history.record, stock_outs=history.is_bounded)
    scores = interval_scores(low, high)
    speed = velocity(history.expected, forecast.origins)
    moving = speed[speed > 0]
    edges = np.zeros(0)
    if len(moving) >= bands:
        edges = np.asarray(np.unique(np.quantile(moving, np.arange(1, bands) / bands)))
    number = np.searchsorted(edges, speed, side="right")
    pooled, pairs = score_correlation(scores)
    pooled = _shrink(pooled, by_lag(pooled, pairs), pairs, POOLED_WEIGHT)
    each = []
    for b in range(len(edges) + 1):
        own, pairs = score_correlation(scores.of(number == b))
        each.append(positive_definite(_shrink(own, pooled, pairs, BAND_WEIGHT)))
    return ErrorDependence(np.stack(each), edges, fit_templates(scores.mean, number, len(each)))


def cdf_bounds(forecast: QuantileForecast, demand: FloatArray, *, whole_units: bool) -> tuple[FloatArray, FloatArray]:
    """Return the probabilities between which a demand lies under its forecast.

    They are equal where the forecast is continuous at the demand, and apart across a jump (a quantile that
    stays at zero over many levels). With `whole_units` a demand of k units stands for k − ½ to k + ½.

    Args:
        forecast: values (items, origins, horizon, Q).
        demand: units, shape (items, origins, horizon); NaN is passed on.
        whole_units: whether demand is counted.

    Returns:
        two arrays of the shape of `demand`, in [0, 1], the first not above the second.
    """
    half = 0.5 if whole_units else 0.0
    low = np.where(demand - half <= 0.0, 0.0, cdf_at(forecast.levels, forecast.values, demand - half, from_left=True))
    high = cdf_at(forecast.levels, forecast.values, demand + half)
    unknown = np.isnan(demand)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, np.maximum(low, high))


def recorded_bounds(
    forecast: QuantileForecast, panel: SalesPanel, *, stock_outs: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Return the probabilities between which the recorded demand lies under its forecast; see `cdf_bounds`.

    Args:
        forecast: of the panel's items.
        panel: reaches beyond the origins.
        stock_outs: whether sales out of stock say that demand was no less; else they say nothing.

    Returns:
        two arrays of shape (items, origins, horizon), NaN where nothing is known.
    """
    whole, origins, horizon = panel.integer_demand, forecast.origins, forecast.horizon
    low, high = cdf_bounds(forecast, targets_of(panel, origins, horizon), whole_units=whole)
    if not stock_outs:
        return low, high
    out = replace(panel, in_stock=~panel.in_stock)
    least, _ = cdf_bounds(forecast, targets_of(out, origins, horizon), whole_units=whole)
    bounded = ~np.isnan(least)
    return np.where(bounded, least, low), np.where(bounded, 1.0, high)


class Scores(NamedTuple):
    """Normal scores that are known up to an interval, each array of shape (..., horizon), NaN where unknown.

    Attributes:
        mean: conditional mean of the score in its interval.
        spread: conditional variance; 0 where the interval is a point.
        second: conditional mean of the second Hermite polynomial, over √2!; 0 at a point.
        third: the same of the third, over √3!.
    """

    mean: FloatArray
    spread: FloatArray
    second: FloatArray
    third: FloatArray

    def of(self, chosen: NDArray[np.bool_]) -> Scores:
        """Return the scores of some items and origins."""
        return Scores(*(each[chosen] for each in self))


def interval_scores(low: FloatArray, high: FloatArray) -> Scores:
    """Return the moments of standard normal scores known to lie between two probabilities."""
    low, high = np.clip(low, EDGE, 1 - EDGE), np.clip(high, EDGE, 1 - EDGE)
    point = ~(high - low > 1e-4)
    a, b = ndtri(low), ndtri(high)
    heights = [_density(a) / np.where(point, 1.0, high - low), _density(b) / np.where(point, 1.0, high - low)]
    first = np.where(point, ndtri((low + high) / 2), heights[0] - heights[1])
    second = a * heights[0] - b * heights[1]
    third = (a**2 - 1) * heights[0] - (b**2 - 1) * heights[1]
    spread = np.clip(1.0 + second - first**2, 0.0, 1.0)
    nothing = 0.0 * first
    return Scores(
        first,
        np.where(point, nothing, spread),
        np.where(point, nothing, second / np.sqrt(2.0)),
        np.where(point, nothing, third / np.sqrt(6.0)),
    )


def score_correlation(scores: Scores) -> tuple[FloatArray, FloatArray]:
    """Return the correlation of normal scores over the horizon, and how many pairs each entry rests on.

    The correlation c of conditional means is `Σ_k g_k ρ^k`, where g_k says how much of the k-th Hermite
    polynomial the intervals keep; it is solved for ρ with three terms.

    Returns:
        two arrays of shape (horizon, horizon).
    """
    flat = Scores(*(each.reshape(-1, each.shape[-1]) for each in scores))
    known = (~np.isnan(flat.mean)).astype(np.float64)
    mean, spread, second, third = (np.where(known > 0, each, 0.0) for each in flat)
    pairs = known.T @ known
    number = np.maximum(known.sum(0), 1.0)
    square = (mean**2).T @ known
    observed = mean.T @ mean / np.sqrt(np.maximum(square * square.T, 1e-12))
    kept = np.maximum(1.0 - spread.sum(0) / number, 0.02)
    terms = [kept, (mean * second).sum(0) / number, (mean * third).sum(0) / number]
    weights = [np.outer(term, term) / np.sqrt(np.outer(kept, kept)) for term in terms]
    # `Σ_k w_k ρ^k = observed` is solved for ρ by bisection, entry by entry.
    low, high = np.full(observed.shape, -LARGEST), np.full(observed.shape, LARGEST)
    for _ in range(40):
        middle = (low + high) / 2
        below = sum(w * middle ** (k + 1) for k, w in enumerate(weights)) < observed
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    correlation = np.asarray((low + high) / 2)
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


def extend_correlation(correlation: FloatArray, horizon: int) -> FloatArray:
    """Return correlations (bands, horizon, horizon) cut, or continued by lag beyond what was fitted."""
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


def _shrink(own: FloatArray, prior: FloatArray, pairs: FloatArray, weight: float) -> FloatArray:
    share = np.where(pairs >= FEWEST_PAIRS, pairs, 0.0)
    share = share / (share + weight)
    return share * own + (1.0 - share) * prior


def _density(score: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-0.5 * score**2) / np.sqrt(2 * np.pi))
