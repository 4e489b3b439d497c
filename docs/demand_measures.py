"""What docs/demand.py measures: simulated demand against a law or a record, and forecasts of sums against what came."""

from __future__ import annotations

from typing import Any

import numpy as np

import fractile as fr
from fractile.forecasters.scores import StockOuts, protection_interval_cells
from fractile.forecasters.scores.outcomes import Transforms, transform
from fractile.forecasters.scores.sums import total_outcomes
from fractile.randomness import keyed_generator
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


def interval_losses(
    forecast: fr.QuantileForecast, panel: fr.SalesPanel, span: np.ndarray, level: np.ndarray, truth: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return the pinball loss of demand summed over the protection interval, at the critical ratio.

    Args:
        forecast: of the panel's items.
        panel: the record.
        span: periods, shape (items,). [L + R]
        level: critical ratio, shape (items,).
        truth: demand, shape (items, periods), where it is known.

    Returns:
        units, each of shape (origins, items), NaN where the sum is not known: of sums that were in stock throughout
        ("mask"), with stock-outs as bounds ("bound"), and against true demand ("true").
    """
    ways: dict[str, dict[str, Any]] = {"mask": {"stock_outs": "mask"}, "bound": {"stock_outs": "bound"}}
    if truth is not None:
        ways["true"] = {"truth": np.where(panel.listed, truth, np.nan)}
    return {key: protection_interval_cells(forecast, panel, span, level, **way)[0].T for key, way in ways.items()}


def mean_loss(loss: np.ndarray) -> float:
    """Return the mean over known sums, units."""
    return float(np.nanmean(loss))


def paired(baseline: np.ndarray, loss: np.ndarray) -> dict[str, float]:
    """Return by how much a loss is lower than the baseline's, with its two-way clustered 95 % interval."""
    known = ~np.isnan(baseline) & ~np.isnan(loss)
    cells = [np.where(known, each, 0.0)[None] for each in (baseline, loss)]
    found = paired_saving(*cells, clusters="item_time")
    return {"saving": found.saving, "low": found.low, "high": found.high}


def transforms(
    forecast: fr.QuantileForecast, panel: fr.SalesPanel, span: np.ndarray, stock_outs: StockOuts
) -> Transforms:
    """Return the probability integral transforms of sums over each item's span, a horizon of one.

    Args:
        forecast: of the panel's items.
        panel: the record.
        span: periods, shape (items,).
        stock_outs: whether a sum with a stock-out in it is at least what was sold ("bound"), or left out ("mask").
    """
    came = total_outcomes(panel, forecast.origins, span, stock_outs=stock_outs)
    return transform(forecast.total(span[:, None]), came, whole_units=panel.integer_demand)


def transform_shares(found: Transforms, levels: np.ndarray) -> list[dict[str, float]]:
    """Return the share of transforms below each level, with its two-way clustered 95 % interval."""
    rows = []
    for level in levels:
        below = found.below(float(level))[:, :, 0].T
        known = ~np.isnan(below)
        cells, weight = np.where(known, below, 0.0)[None], known[None].astype(np.float64)
        share = mean_interval(cells, weight=weight, clusters="item_time")
        rows.append({"level": float(level), "share": share.mean, "low": share.low, "high": share.high})
    return rows


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
