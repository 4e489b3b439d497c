"""What docs/demand.py measures: simulated demand against a law or a record, and forecasts of sums against what came."""

from __future__ import annotations

from typing import Any

import numpy as np

import fractile as fr
from fractile.forecasters.calibration.sampling import cdf_bounds
from fractile.forecasters.scores import pinball_loss
from fractile.studies.statistics import mean_interval, paired_saving

EDGE = 4
"""Weeks at the beginning and at the end of the simulated time whose mean is looked at."""


def law_measures(demand: np.ndarray) -> dict[str, float]:
    """Return what a law of demand looks like: levels, spread, dependence in time and over items, zeros.

    Args:
        demand: units, shape (paths, periods, items).
    """
    totals = demand.sum(axis=2)
    return {
        "first": float(totals[:, :EDGE].mean()),
        "first_error": _error(totals[:, :EDGE].mean(axis=1)),
        "last": float(totals[:, -EDGE:].mean()),
        "last_error": _error(totals[:, -EDGE:].mean(axis=1)),
        "total_sd": float(totals.sum(axis=1).std(ddof=1)),
        "lag1": autocorrelation(demand),
        "zeros": float((demand == 0).mean()),
        "pairs": float(np.mean([pair_correlation(path) for path in demand])),
        "paths": len(demand),
    }


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def autocorrelation(demand: np.ndarray) -> float:
    """Return the correlation of an item's demand with that of the week before, averaged over items and paths."""
    centred = demand - demand.mean(axis=1, keepdims=True)
    square = (centred**2).sum(axis=1)
    moving = square > 0
    product = (centred[:, 1:] * centred[:, :-1]).sum(axis=1)
    return float(np.mean(product[moving] / square[moving]))


def correlations(demand: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """Return the correlation of every two items' weekly demand, shape (pairs,); NaN for items that stand still.

    Args:
        demand: units, shape (periods, items).
        known: which cells count, likewise; all of them where None. Others are set to the item's mean.
    """
    known = np.ones(demand.shape, dtype=bool) if known is None else known
    number = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, demand - np.where(known, demand, 0.0).sum(axis=0) / number, 0.0)
    length = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(length > 0, length, np.nan)
    matrix = scaled.T @ scaled
    return matrix[np.triu_indices(len(matrix), 1)]


def pair_correlation(demand: np.ndarray, known: np.ndarray | None = None) -> float:
    """Return the mean of `correlations` over the pairs that move; 0 where there are none."""
    found = correlations(demand, known)
    return float(found[~np.isnan(found)].mean()) if not np.isnan(found).all() else 0.0


def total_spread(demand: np.ndarray, expected: np.ndarray, known: np.ndarray) -> float:
    """Return the weekly standard deviation of log(total demand / total one-step forecast).

    Args:
        demand: units, shape (periods, items).
        expected: one-step forecasts of the mean, likewise.
        known: which cells count, likewise.
    """
    total, forecast = (np.where(known, each, 0.0).sum(axis=1) for each in (demand, expected))
    return float(np.log(total / forecast).std(ddof=1))


def sums_ahead(panel: fr.SalesPanel, origins: np.ndarray, span: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sales summed over the protection interval of each origin, and what is known of demand.

    Args:
        panel: the record.
        origins: shape (origins,).
        span: periods of the protection interval, shape (items,).

    Returns:
        units, shape (items, origins), NaN where the interval does not lie within the record or the item was not
        listed; and whether the item was in stock throughout, likewise: where it was not, demand was at least that.
    """
    sold = np.where(panel.listed, panel.sales, np.nan)
    padded = np.concatenate([sold, np.full((panel.items, int(span.max())), np.nan)], axis=1)
    stocked = np.concatenate([panel.in_stock, np.ones((panel.items, int(span.max())), dtype=bool)], axis=1)
    sums, whole = np.zeros((panel.items, len(origins))), np.ones((panel.items, len(origins)), dtype=bool)
    for k in range(int(span.max())):
        inside = (k < span)[:, None]
        sums += np.where(inside, padded[:, origins + k], 0.0)
        whole &= stocked[:, origins + k] | ~inside
    return sums, whole


def interval_loss(
    forecast: fr.QuantileForecast, panel: fr.SalesPanel, span: np.ndarray, level: np.ndarray, truth: np.ndarray | None
) -> np.ndarray:
    """Return the pinball loss of demand summed over the protection interval, at the critical ratio.

    Args:
        forecast: of the panel's items.
        panel: the record.
        span: periods, shape (items,). [L + R]
        level: critical ratio, shape (items,).
        truth: demand, shape (items, periods), to score all sums by; sums in stock are scored where None.

    Returns:
        units, shape (origins, items), NaN where the sum is not known.
    """
    quantile = forecast.total(span[:, None]).quantile(np.broadcast_to(level[:, None], forecast.values.shape[:2]))
    sums, whole = sums_ahead(panel, forecast.origins, span)
    if truth is None:
        sums = np.where(whole, sums, np.nan)
    else:
        known = ~np.isnan(sums)
        steps = np.concatenate([np.zeros((len(truth), 1)), np.cumsum(truth, axis=1)], axis=1)
        last = np.minimum(forecast.origins + span[:, None], panel.periods)
        exact = np.take_along_axis(steps, last, axis=1) - steps[:, forecast.origins]
        sums = np.where(known, exact, np.nan)
    return np.asarray(pinball_loss(sums, quantile[:, :, 0], level[:, None])).T


def mean_loss(loss: np.ndarray) -> float:
    """Return the mean over known sums, units."""
    return float(np.nanmean(loss))


def paired(baseline: np.ndarray, loss: np.ndarray) -> dict[str, float]:
    """Return by how much a loss is lower than the baseline's, with its two-way clustered 95 % interval."""
    known = ~np.isnan(baseline) & ~np.isnan(loss)
    cells = [np.where(known, each, 0.0)[None] for each in (baseline, loss)]
    found = paired_saving(*cells, clusters="item_time")
    return {"saving": found.saving, "low": found.low, "high": found.high}


def transform(
    forecast: fr.QuantileForecast, panel: fr.SalesPanel, span: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the probability integral transform of sums: its lower and upper end, and whether the sum is known.

    Each of shape (items, origins): demand of whole units fixes it to an interval. Where the sum is known to be at
    least what was sold, the transform is at least its lower end.
    """
    sums, whole = sums_ahead(panel, forecast.origins, span)
    low, high = cdf_bounds(forecast.total(span[:, None]), sums[:, :, None], whole_units=panel.integer_demand)
    return low[:, :, 0], high[:, :, 0], whole


def pit_shares(low: np.ndarray, high: np.ndarray, whole: np.ndarray, levels: np.ndarray) -> list[dict[str, float]]:
    """Return the share of sums in stock below each level of their forecast, with its two-way clustered interval.

    Within the interval that whole units leave, the transform is spread evenly (Czado, Gneiting and Held 2009).
    """
    known, rows = whole & ~np.isnan(low), []
    for level in levels:
        width = np.where(high > low, high - low, 1.0)
        below = np.where(high > low, np.clip((level - low) / width, 0.0, 1.0), level >= low)
        cells, weight = np.where(known, below, 0.0).T[None], known.T[None].astype(np.float64)
        found = mean_interval(cells, weight=weight, clusters="item_time")
        rows.append({"level": float(level), "share": found.mean, "low": found.low, "high": found.high})
    return rows


def product_limit(
    low: np.ndarray, high: np.ndarray, whole: np.ndarray, levels: np.ndarray, blocks: int = 6
) -> list[dict[str, float]]:
    """Return the same shares with stock-outs as bounds: the product-limit estimate (Kaplan and Meier 1958).

    A sum that ran out of stock says that the transform is at least its lower end. The interval is that of the
    jackknife over blocks of origins, or over items, whichever is wider.
    """
    known = ~np.isnan(low)
    rng = np.random.default_rng(0)  # where in its interval a known sum lies
    value = np.where(whole, low + (high - low) * rng.random(low.shape), low)
    when = np.broadcast_to(np.arange(low.shape[1]) * blocks // low.shape[1], low.shape)
    which = np.broadcast_to((np.arange(len(low)) % 30)[:, None], low.shape)
    whole_curve = _kaplan_meier(value[known], whole[known], levels)
    variances = []
    for groups in (when, which):
        names = np.unique(groups)
        left = [_kaplan_meier(value[known & (groups != g)], whole[known & (groups != g)], levels) for g in names]
        variances.append((len(names) - 1) / len(names) * ((np.array(left) - whole_curve) ** 2).sum(axis=0))
    error = 2.57 * np.sqrt(np.max(variances, axis=0))  # t, 5 degrees of freedom: six blocks of origins
    return [
        {"level": float(t), "share": float(s), "low": float(s - e), "high": float(s + e)}
        for t, s, e in zip(levels, whole_curve, error, strict=True)
    ]


def _kaplan_meier(value: np.ndarray, exact: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return P(value <= level) where values that are not exact are known to lie at or above what they say."""
    # Exact values come before bounds at the same place: a bound at v says that the value may be v as well.
    order = np.lexsort((~exact, value))
    value, exact = value[order], exact[order]
    at_risk = len(value) - np.arange(len(value))
    survival = np.cumprod(np.where(exact, 1.0 - 1.0 / at_risk, 1.0))
    place = np.searchsorted(value, levels, side="right")
    return 1.0 - np.concatenate([[1.0], survival])[place]


def run_lengths(flags: np.ndarray, longest: int = 8) -> np.ndarray:
    """Return how many runs of True are 1, 2, … `longest` or more periods long; flags of shape (rows, periods)."""
    counts = np.zeros(longest)
    for row in flags:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int64)))
        for length in edges[1::2] - edges[::2]:
            counts[min(length, longest) - 1] += 1
    return counts


def rolled(
    source: Any, panel: fr.SalesPanel, start: int, weeks: int, paths: int, seed: int, *, span: int = 1, at_once: int = 8
) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """Draw demand in mode "rolled", a few paths at a time, so that memory stays small.

    Returns:
        demand and one-step forecasts of the mean, units, (paths, periods, items), and the scenarios.
    """
    from fractile.randomness import keyed_generator

    model = fr.ForecastDemand(source, panel, mode="rolled", start=start)
    prepared, demand, expected, scenarios = model.prepare(weeks, span), [], [], []
    for block in range(-(-paths // at_once)):
        number = min(at_once, paths - block * at_once)
        scenario = prepared.scenario(keyed_generator(seed, "docs/demand", block), number)
        demand.append(scenario.demand)
        # A forecast is (items, paths, span): its first period is the week's own.
        means = [forecast.mean()[:, :, 0].T for forecast in scenario.forecasts]
        expected.append(np.stack(means, axis=1))
        scenarios.append(scenario)
    return np.concatenate(demand), np.concatenate(expected), scenarios
