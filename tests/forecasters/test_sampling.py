"""The fitted copula finds a known dependence, and sums over the horizon get the coverage they promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import gamma, poisson

from fractile import (
    DEFAULT_LEVELS,
    QuantileForecast,
    SalesPanel,
)
from fractile.forecasters.calibration.sampling import (
    cdf_bounds,
    extend_correlation,
    fit_dependence,
    fit_error_dependence,
    interval_scores,
    positive_definite,
    recorded_bounds,
)
from fractile.forecasters.censoring import History

LEVELS = np.array(DEFAULT_LEVELS)
HORIZON = 6


def decaying(rho: float, horizon: int = HORIZON) -> NDArray:
    return rho ** np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))


def world(
    rho: NDArray, mean: NDArray, blocks: int, seed: int = 0, *, counts: bool
) -> tuple[QuantileForecast, SalesPanel]:
    """A panel of blocks of `HORIZON` periods, each forecast from its start with the true marginals.

    Normal scores of a block have the correlation rho ** |h - k| of their item.
    """
    rng = np.random.default_rng(seed)
    items = len(mean)
    roots = np.stack([np.linalg.cholesky(decaying(r)) for r in rho])
    scores = np.einsum("ihk,ibk->ibh", roots, rng.standard_normal((items, blocks, HORIZON)))
    uniform = ndtr(scores).reshape(items, -1)
    law = poisson(mean[:, None]) if counts else gamma(3.0, scale=mean[:, None] / 3.0)
    sales = np.concatenate([mean[:, None], law.ppf(uniform)], axis=1)
    ahead = law.ppf(LEVELS)[:, None, None]
    values = np.broadcast_to(ahead, (items, blocks, HORIZON, len(LEVELS))).astype(float)
    names = tuple(f"i{k}" for k in range(items))
    true = np.ones(sales.shape, dtype=bool)
    dates = pd.date_range("2020-01-06", periods=sales.shape[1], freq="W-MON")
    panel = SalesPanel(sales, true, true, dates, names, "W-MON")
    return QuantileForecast(LEVELS, values, 1 + HORIZON * np.arange(blocks), names), panel


def total_coverage(forecast: QuantileForecast, panel: SalesPanel, span: int) -> dict[float, float]:
    """The share of sums that lie at or below their quantile."""
    steps = forecast.origins[:, None] + np.arange(span)
    came = panel.sales[:, steps].sum(-1)
    total = forecast.total(span)
    quantiles = {level: total.quantile(level)[:, :, 0] for level in (0.5, 0.8, 0.9)}
    return {level: float(np.mean(came <= q)) for level, q in quantiles.items()}


def halves(forecast: QuantileForecast) -> tuple[QuantileForecast, QuantileForecast]:
    middle = len(forecast.origins) // 2
    parts = (slice(None, middle), slice(middle, None))
    first, second = (
        QuantileForecast(LEVELS, forecast.values[:, p], forecast.origins[p], forecast.item_ids) for p in parts
    )
    return first, second


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_the_correlation_of_continuous_demand_is_found(rho: float):
    forecast, panel = world(np.full(150, rho), np.full(150, 20.0), 20, counts=False)
    fitted = fit_dependence(forecast, panel, HORIZON)
    np.testing.assert_allclose(fitted.correlation.mean(0), decaying(rho), atol=0.05)


@pytest.mark.parametrize("mean", [0.3, 1.0, 5.0])
def test_the_correlation_behind_slow_counts_is_found(mean: float):
    forecast, panel = world(np.full(400, 0.7), np.full(400, mean), 20, counts=True)
    fitted = fit_dependence(forecast, panel, HORIZON)
    np.testing.assert_allclose(fitted.correlation.mean(0), decaying(0.7), atol=0.10)


@pytest.mark.parametrize("span", [2, 4, 6])
def test_sums_of_continuous_demand_cover_what_they_promise(span: int):
    past, later = halves(world(np.full(200, 0.7), np.full(200, 20.0), 20, counts=False)[0])
    panel = world(np.full(200, 0.7), np.full(200, 20.0), 20, counts=False)[1]
    forecast = later.with_dependence(fit_dependence(past, panel, HORIZON))
    for level, share in total_coverage(forecast, panel, span).items():
        assert share == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 2000) + 0.005)


def test_independent_sums_would_not():
    forecast, panel = world(np.full(200, 0.7), np.full(200, 20.0), 20, counts=False)
    assert total_coverage(forecast, panel, 6)[0.9] < 0.85


@pytest.mark.parametrize("mean", [1.0, 8.0])
def test_sums_of_counts_cover_at_least_what_they_promise(mean: float):
    forecast, panel = world(np.full(300, 0.7), np.full(300, mean), 20, counts=True)
    past, later = halves(forecast)
    forecast = later.with_dependence(fit_dependence(past, panel, HORIZON))
    steps = forecast.origins[:, None] + np.arange(HORIZON)
    came = panel.sales[:, steps].sum(-1)
    for level in (0.5, 0.8, 0.9):
        quantile = forecast.total(HORIZON).quantile(level)[:, :, 0]
        # P(D <= q) of a counted sum jumps at whole numbers: the level must lie within the jump.
        assert np.mean(came <= quantile - 1) - 0.03 < level < np.mean(came <= quantile + 1) + 0.03


def test_each_band_has_its_own_dependence():
    mean = np.repeat([2.0, 10.0, 50.0], 200)
    forecast, panel = world(np.repeat([0.1, 0.5, 0.9], 200), mean, 20, counts=False)
    fitted = fit_dependence(forecast, panel, HORIZON)
    np.testing.assert_allclose(fitted.correlation[:, 0, 1], [0.1, 0.5, 0.9], atol=0.12)
    assert list(fitted.band[[0, 250, 599], -1]) == [0, 1, 2]


@pytest.mark.parametrize("censoring", ["mask", "bound"])
def test_weeks_out_of_stock_bias_no_correlation(censoring):
    forecast, panel = world(np.full(100, 0.6), np.full(100, 20.0), 20, counts=False)
    lost = np.random.default_rng(5).random(panel.sales.shape) < 0.3
    left = np.where(lost, 1e4 if censoring == "mask" else 0.0, panel.sales)
    hidden = SalesPanel(left, ~lost, panel.listed, panel.dates, panel.item_ids, panel.freq)
    fitted = fit_error_dependence(forecast, History.of(hidden, censoring))
    np.testing.assert_allclose(fitted.correlation.mean(0), decaying(0.6), atol=0.1)


def test_a_demand_that_is_only_bounded_has_the_probabilities_above_its_sales():
    forecast, panel = world(np.full(3, 0.5), np.full(3, 20.0), 4, counts=False)
    hidden = replace(panel, in_stock=np.zeros_like(panel.in_stock))
    low, high = recorded_bounds(forecast, hidden)
    exact, _ = recorded_bounds(forecast, panel)
    known = ~np.isnan(exact)
    np.testing.assert_allclose(low[known], exact[known])
    assert (high[known] == 1.0).all()
    assert np.isnan(recorded_bounds(forecast, hidden, stock_outs=False)[0]).all()


def test_few_errors_lean_to_independence():
    forecast, panel = world(np.full(3, 0.9), np.full(3, 20.0), 2, counts=False)
    np.testing.assert_array_equal(fit_dependence(forecast, panel, HORIZON).correlation[0], np.eye(HORIZON))


def test_no_errors_at_all_mean_independence():
    forecast, panel = world(np.full(3, 0.9), np.full(3, 20.0), 2, counts=False)
    unknown = SalesPanel(panel.sales, ~panel.in_stock, panel.listed, panel.dates, panel.item_ids, panel.freq)
    fitted = fit_error_dependence(forecast, History.of(unknown, "mask"))
    np.testing.assert_array_equal(fitted.correlation[0], np.eye(HORIZON))


def test_the_fit_is_the_same_twice():
    forecast, panel = world(np.full(30, 0.6), np.full(30, 1.0), 10, counts=True)
    first, second = (fit_dependence(forecast, panel, HORIZON).correlation for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_longer_horizon_goes_on_by_lag():
    longer = extend_correlation(decaying(0.8)[None], 10)[0]
    np.testing.assert_allclose(np.diagonal(longer), 1.0)
    np.testing.assert_allclose(longer[8, 9], 0.8, atol=0.05)
    assert np.linalg.eigvalsh(longer)[0] > 0
    np.testing.assert_array_equal(extend_correlation(decaying(0.8)[None], 3)[0], decaying(0.8, 3))


def test_positive_definite_keeps_good_matrices_and_mends_bad_ones():
    np.testing.assert_allclose(positive_definite(decaying(0.9)), decaying(0.9))
    bad = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    mended = positive_definite(bad)
    np.testing.assert_allclose(np.diagonal(mended), 1.0)
    np.linalg.cholesky(mended)


def test_bounds_invert_the_quantile_function():
    values = np.cumsum(np.random.default_rng(3).gamma(1.0, 2.0, (4, 1, 1, len(LEVELS))), axis=-1)
    forecast = QuantileForecast(LEVELS, values, np.array([1]), ("a", "b", "c", "d"))
    for level in (0.03, 0.05, 0.33, 0.5, 0.985, 0.99, 0.997):
        demand = forecast.quantile(level)
        low, high = cdf_bounds(forecast, demand, whole_units=False)
        inside = demand > 0
        np.testing.assert_allclose(low[inside], level, atol=1e-9)
        np.testing.assert_allclose(high[inside], level, atol=1e-9)


def test_bounds_span_a_jump():
    values = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4], dtype=float).reshape(1, 1, 1, -1)
    forecast = QuantileForecast(LEVELS, values, np.array([1]), ("a",))
    zero = cdf_bounds(forecast, np.zeros((1, 1, 1)), whole_units=False)
    one = cdf_bounds(forecast, np.ones((1, 1, 1)), whole_units=False)
    assert [float(b.item()) for b in zero] == pytest.approx([0.0, 0.3])
    assert [float(b.item()) for b in one] == pytest.approx([0.4, 0.6])
    counted = cdf_bounds(forecast, np.ones((1, 1, 1)), whole_units=True)
    assert [float(b.item()) for b in counted] == pytest.approx([0.35, 0.65])


def test_interval_scores_are_truncated_normal_moments():
    score = np.random.default_rng(0).standard_normal(400_000)
    for low, high in ((0.0, 0.3), (0.4, 0.6), (0.9, 1.0)):
        inside = score[(score > ndtri(low)) & (score < ndtri(high))]
        scores = interval_scores(np.array([low]), np.array([high]))
        np.testing.assert_allclose(scores.mean, inside.mean(), atol=4 * inside.std() / np.sqrt(len(inside)))
        np.testing.assert_allclose(scores.spread, inside.var(), rtol=0.02)
        second, third = (inside**2 - 1) / np.sqrt(2), (inside**3 - 3 * inside) / np.sqrt(6)
        np.testing.assert_allclose(scores.second, second.mean(), atol=0.02)
        np.testing.assert_allclose(scores.third, third.mean(), atol=0.02)
    point = interval_scores(np.array([0.7]), np.array([0.7]))
    np.testing.assert_allclose(np.concatenate(point), [ndtri(0.7), 0.0, 0.0, 0.0], atol=1e-9)
