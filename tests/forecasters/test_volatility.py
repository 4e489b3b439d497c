"""Excess forecast volatility: by hand, nothing for a rational forecaster, something for a noisy one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nbinom, norm

from fractile import FractileError, QuantileForecast, SalesPanel
from fractile.forecasters.scores import (
    VolatilityCells,
    excess_volatility,
    volatility_cells,
)

FINE = np.arange(1, 100) / 100
HORIZON = 4


def panel_of(sales):
    dates = pd.date_range("2024-01-01", periods=sales.shape[1], freq="W-MON")
    true = np.ones(sales.shape, dtype=bool)
    return SalesPanel(sales, true, true, dates, tuple(f"i{k}" for k in range(len(sales))), "W-MON")


def random_walk(items=1500, periods=9, noise=0.0, seed=0):
    """Demand is a random walk far above zero, forecast from every period by its own law (plus noise)."""
    rng = np.random.default_rng(seed)
    sales = 1000.0 + np.cumsum(rng.standard_normal((items, periods)), axis=1)
    origins = np.arange(1, periods)
    centre = sales[:, :-1] + noise * rng.standard_normal((items, periods - 1))
    spread = np.sqrt(np.arange(1, HORIZON + 1))
    values = centre[:, :, None, None] + spread[:, None] * norm.ppf(FINE)
    panel = panel_of(sales)
    return QuantileForecast(FINE, values, origins, panel.item_ids), panel


def learning(mean, items=1500, periods=8, levels=FINE, forget=0.0, seed=0):
    """Counts of an unknown Poisson rate, forecast by the posterior predictive (of a posterior that forgets)."""
    rng = np.random.default_rng(seed)
    shape, rate = 2.0, 2.0 / mean
    sales = rng.poisson(rng.gamma(shape, 1 / rate, (items, 1)), (items, periods)).astype(float)
    keep = 1.0 - forget
    a, b = np.full((items, periods), shape), np.full((items, periods), rate)
    for t in range(1, periods):
        a[:, t], b[:, t] = keep * a[:, t - 1] + sales[:, t - 1], keep * b[:, t - 1] + 1.0
    origins = np.arange(1, periods)
    # Many items know the same: one law for each state of knowledge.
    states, item = np.unique(np.stack([a[:, 1:].ravel(), b[:, 1:].ravel()]), axis=1, return_inverse=True)
    laws = nbinom.ppf(levels, states[0, :, None], (states[1] / (1 + states[1]))[:, None])
    quantiles = laws[item].reshape(items, periods - 1, -1)
    values = np.repeat(quantiles[:, :, None], HORIZON, axis=2)
    panel = panel_of(sales)
    return QuantileForecast(levels, values, origins, panel.item_ids), panel


def mean_and_error(cells: VolatilityCells):
    by_item = cells.excess.mean(axis=1)
    return by_item.mean(), by_item.std() / np.sqrt(len(by_item))


def test_two_revisions_by_hand():
    panel = panel_of(np.array([[1.0, 3.0, 5.5, 2.5]]))
    levels = np.array([0.2, 0.5, 0.8])
    values = np.zeros((1, 3, 2, 3))
    values[0, 0, 1] = [2.0, 4.0, 6.0]  # of period 2, from origin 1: q = 4 at p = 0.5
    values[0, 1, 0] = [4.0, 5.0, 6.0]  # of period 2, from origin 2: P(D <= 4) = 0.2
    values[0, 1, 1] = [1.0, 3.0, 5.0]  # of period 3, from origin 2: q = 3
    values[0, 2, 0] = [1.0, 2.0, 4.0]  # of period 3, from origin 3: P(D <= 3) = 0.65
    forecast = QuantileForecast(levels, values, np.array([1, 2, 3]), panel.item_ids)
    cells = volatility_cells(forecast, panel, levels=[0.5], whole_units=False)
    np.testing.assert_array_equal(cells.targets, [2, 3])
    # 0.5 -> 0.2 -> 0 (5.5 came), 0.5 -> 0.65 -> 1 (2.5 came)
    np.testing.assert_allclose(cells.movement, [[0.3**2 + 0.2**2, 0.15**2 + 0.35**2]])
    np.testing.assert_allclose(cells.uncertainty, [[0.25, 0.25]])
    np.testing.assert_allclose(
        excess_volatility(forecast, panel, levels=[0.5], whole_units=False), (0.13 + 0.145 - 0.5) / 2
    )


def test_counts_are_read_in_the_middle_of_their_step():
    panel = panel_of(np.array([[1.0, 0.0]]))
    levels = np.array([0.2, 0.4, 0.6, 0.8])
    forecast = QuantileForecast(levels, np.full((1, 1, 1, 4), [0.0, 0.0, 1.0, 2.0]), np.array([1]), panel.item_ids)
    cells = volatility_cells(forecast, panel, levels=[0.3])
    # D <= 0 has a probability between 0.4 and 0.6, read as 0.5; it came true.
    np.testing.assert_allclose([cells.movement[0, 0], cells.uncertainty[0, 0]], [0.25, 0.25])


def test_a_random_walk_known_for_what_it_is_has_no_excess():
    mean, error = mean_and_error(volatility_cells(*random_walk()))
    assert abs(mean) < 4 * error < 0.03


@pytest.mark.parametrize("mean", [0.5, 5.0, 40.0])
def test_learning_the_rate_of_counts_has_no_excess(mean):
    found, error = mean_and_error(volatility_cells(*learning(mean)))
    assert abs(found) < 4 * error < 0.03


def test_knowing_less_is_not_volatile():
    forecast, panel = learning(5.0)
    prior = nbinom.ppf(FINE, 2.0, 0.4 / 1.4)
    blind = QuantileForecast(FINE, np.broadcast_to(prior, forecast.values.shape), forecast.origins, forecast.item_ids)
    mean, error = mean_and_error(volatility_cells(blind, panel))
    assert abs(mean) < 4 * error


def test_noise_and_forgetting_are_volatile():
    little, some = (mean_and_error(volatility_cells(*random_walk(noise=noise))) for noise in (0.5, 1.0))
    assert 4 * little[1] < little[0] < some[0]
    forgetful, error = mean_and_error(volatility_cells(*learning(5.0, forget=0.4)))
    assert forgetful > 4 * error


def test_coarse_levels_hide_little_where_demand_is_fast():
    coarse = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
    fine, _ = mean_and_error(volatility_cells(*learning(40.0)))
    rough, _ = mean_and_error(volatility_cells(*learning(40.0, levels=coarse)))
    assert abs(rough - fine) < 0.003


def test_fewer_revisions_follow_more_targets():
    forecast, panel = random_walk(items=20)
    assert volatility_cells(forecast, panel).movement.shape == (20, 8 - HORIZON + 1)
    short = volatility_cells(forecast, panel, revisions=2)
    assert short.movement.shape == (20, 7)
    np.testing.assert_array_equal(short.targets, np.arange(2, 9))


def test_unknown_demand_is_left_out():
    forecast, panel = random_walk(items=20)
    truth = panel.sales.copy()
    truth[4, 7] = np.nan
    cells = volatility_cells(forecast, panel, truth=truth)
    np.testing.assert_array_equal(np.argwhere(np.isnan(cells.excess)), [[4, 7 - HORIZON]])
    assert np.isfinite(excess_volatility(forecast, panel, truth=truth))


def test_origins_that_do_not_follow_each_other_are_refused():
    forecast, panel = random_walk(items=2)
    sparse = QuantileForecast(FINE, forecast.values[:, ::2], forecast.origins[::2], forecast.item_ids)
    with pytest.raises(FractileError, match="volatility needs successive origins"):
        excess_volatility(sparse, panel)


def test_more_revisions_than_the_horizon_are_refused():
    with pytest.raises(FractileError, match=r"revisions must be in 1 ... 4 .* got 5"):
        excess_volatility(*random_walk(items=2), revisions=5)
