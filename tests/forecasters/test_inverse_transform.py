"""Demand read at levels, beside a plain reference that reads every draw by itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from fractile import QuantileForecast
from fractile.forecasters.interpolation import AT_ONCE, FEW_LEVELS, quantiles_of, segments
from fractile.forecasters.several import first_period_demand

LEVELS = np.array([0.05, 0.1, 0.3, 0.5, 0.8, 0.95, 0.99])


def reference(levels, values, uniform):
    """Return demand at levels by two look-ups a draw, as it was computed before draws shared their quantiles."""
    below, share, tail = segments(levels, uniform)
    values = np.broadcast_to(values, (*uniform.shape, len(levels)))
    low = np.take_along_axis(values, below[..., None], -1)[..., 0]
    high = np.take_along_axis(values, below[..., None] + 1, -1)[..., 0]
    return np.maximum(low + (high - low) * np.where(tail, share + 1.0, share), 0.0)


def make_values(shape, levels=LEVELS, seed=0):
    return np.sort(np.random.default_rng(seed).gamma(0.5, 8.0, (*shape, len(levels))), axis=-1)


@pytest.mark.parametrize(
    ("cells", "uniform"),
    [
        ((3, 4, 2), (50, 3, 4, 2)),  # draws share their cells' quantiles
        ((3, 4, 2), (5, 6, 3, 4, 2)),
        ((3, 4, 2), (3, 4, 2)),
        ((3, 1, 2), (50, 3, 4, 2)),  # origins share theirs
        ((1, 3, 4, 2), (50, 3, 4, 2)),
        ((), (7,)),
        ((1,), (7,)),
        ((300, 1), (2 * AT_ONCE // 300, 300, 1)),  # more than are read at once
        ((0, 4, 2), (5, 0, 4, 2)),
    ],
)
def test_demand_is_read_as_one_by_one(cells, uniform):
    values, levels = make_values(cells), np.random.default_rng(1).random(uniform)
    np.testing.assert_array_equal(quantiles_of(LEVELS, values, levels), reference(LEVELS, values, levels))


def test_levels_themselves_and_both_ends_are_read_as_one_by_one():
    values = make_values((4,))
    ends = np.array([1e-9, 0.01, 1 - 1e-9, np.nextafter(0.99, 1), np.nextafter(0.05, 0)])
    levels = np.broadcast_to(np.concatenate([LEVELS, ends])[:, None], (len(LEVELS) + len(ends), 4))
    np.testing.assert_array_equal(quantiles_of(LEVELS, values, levels), reference(LEVELS, values, levels))


def test_many_levels_are_read_as_few():
    levels = np.arange(1, 2 * FEW_LEVELS) / (2 * FEW_LEVELS)
    values, uniform = make_values((3,), levels), np.random.default_rng(1).random((500, 3))
    np.testing.assert_array_equal(quantiles_of(levels, values, uniform), reference(levels, values, uniform))


@pytest.mark.parametrize("order", ["C", "F"])
def test_uniforms_are_read_in_any_memory_order(order):
    values, uniform = make_values((3, 4)), np.array(np.random.default_rng(1).random((50, 3, 4)), order=order)
    np.testing.assert_array_equal(quantiles_of(LEVELS, values, uniform), reference(LEVELS, values, uniform))


@pytest.mark.parametrize("alike", [True, False])
def test_periods_are_read_together_as_one_by_one(alike):
    items, periods, paths = 30, 9, 200
    names = tuple(f"i{k}" for k in range(items))
    forecasts = []
    for t in range(periods):
        levels = LEVELS if alike or t % 2 else LEVELS[::2]
        forecasts.append(QuantileForecast(levels, make_values((items, 1, 2), levels, t), np.array([t]), names))
    normal = np.random.default_rng(1).standard_normal((items, periods, paths))
    found = first_period_demand(forecasts, normal)
    assert found.shape == (paths, periods, items)
    for t, forecast in enumerate(forecasts):
        one = forecast.head(1).at_normals(normal[:, t].T[:, :, None, None])[:, :, 0, 0]
        np.testing.assert_array_equal(found[:, t], one)
        expected = reference(forecast.levels, forecast.values[:, 0, 0], ndtr(normal[:, t].T))
        np.testing.assert_array_equal(one, expected)
