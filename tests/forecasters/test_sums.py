"""Quantiles of sums beside a plain reference: every draw of every period, summed and sorted."""

from __future__ import annotations

import numpy as np
import pytest

from fractile import QuantileForecast
from fractile.forecasters import totals
from fractile.forecasters.calibration.dependence import Dependence
from fractile.forecasters.several import total_each
from fractile.forecasters.totals import CELLS, STEP, distinct_cells

LEVELS = np.array([0.05, 0.1, 0.3, 0.5, 0.8, 0.95, 0.99])


def make_forecast(items, origins, horizon=5, *, seed=0, method="copula"):
    """Return quantiles whose lower ends fall below zero where they are extrapolated, in two bands."""
    rng = np.random.default_rng(seed)
    values = np.sort(rng.gamma(0.4, 8.0, (items, origins, horizon, len(LEVELS))), axis=-1)
    band = np.arange(items * origins).reshape(items, origins) % 2
    lag = np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))
    correlation = np.stack([0.3**lag, 0.7**lag])
    templates = rng.standard_normal((2, 64, horizon))
    dependence = Dependence(correlation, band, templates, method)
    names = tuple(f"i{k}" for k in range(items))
    return QuantileForecast(LEVELS, values, np.arange(origins), names, dependence=dependence)


def reference_sums(forecast, span):
    """Return sorted draws summed over `span` periods at the levels, by `draws`."""
    draws = np.sort(forecast.draws(horizon=span).sum(-1), axis=0)
    position = np.clip(LEVELS * len(draws) - 0.5, 0, len(draws) - 1)
    low = np.floor(position).astype(int)
    share = (position - low)[:, None, None]
    return np.moveaxis(draws[low] * (1 - share) + draws[np.minimum(low + 1, len(draws) - 1)] * share, 0, -1)


@pytest.mark.parametrize("method", ["copula", "schaake"])
@pytest.mark.parametrize("span", [2, 3, 5])
def test_sums_are_those_of_all_draws(method, span):
    forecast = make_forecast(7, 30, method=method)
    np.testing.assert_allclose(
        forecast.total(span).values[:, :, 0], reference_sums(forecast, span), rtol=1e-12, atol=1e-12
    )


def test_draws_below_the_lowest_level_end_at_zero():
    forecast = make_forecast(7, 30)
    below = forecast.values[..., 0] - (forecast.values[..., 1] - forecast.values[..., 0])
    assert (below < 0).any(axis=2).mean() > 0.5  # the reference would be missed if negative draws were summed
    np.testing.assert_allclose(forecast.total(2).values[:, :, 0, 0], reference_sums(forecast, 2)[..., 0], rtol=1e-12)


def test_each_item_is_summed_over_its_own_span():
    forecast = make_forecast(4, 6)
    spans = np.array([1, 2, 5, 3])
    found = forecast.total(spans[:, None]).values[:, :, 0]
    np.testing.assert_array_equal(found[0], forecast.values[0, :, 0])
    for item, span in list(enumerate(spans))[1:]:
        np.testing.assert_allclose(found[item], reference_sums(forecast, int(span))[item], rtol=1e-12)


@pytest.mark.parametrize("number", [1, 2, STEP - 1, STEP + 1, CELLS + 3])
def test_a_sum_is_the_same_to_the_last_bit_whatever_else_is_summed(number):
    forecast = make_forecast(CELLS + 9, 3)
    whole = forecast.total(3).values
    chosen = np.random.default_rng(number).permutation(len(whole))[:number]
    np.testing.assert_array_equal(forecast.select(chosen).total(3).values, whole[chosen])


def test_totals_are_the_totals_of_each_span():
    forecast = make_forecast(5, 4)
    found = forecast.totals(4)
    for span in range(1, 5):
        np.testing.assert_array_equal(found[:, :, span - 1], forecast.total(span).values[:, :, 0])


def test_forecasts_are_summed_together_as_one_by_one(monkeypatch):
    one, other = make_forecast(5, 6), make_forecast(5, 4, seed=1, method="schaake")
    forecasts = [one.at_origin(k) for k in range(6)] + [other, one.with_dependence(None)]
    monkeypatch.setattr("fractile.forecasters.several.TOGETHER", 3 * forecasts[0].values.size)
    spans = np.array([2, 3, 1, 3, 2])[:, None]
    for found, forecast in zip(total_each(forecasts, spans), forecasts, strict=True):
        np.testing.assert_array_equal(found.values, forecast.total(spans).values)
        np.testing.assert_array_equal(found.origins, forecast.origins)
        assert found.dependence is None


def test_cells_that_are_alike_are_summed_once_with_the_same_result(monkeypatch):
    once = make_forecast(30, 4)
    values = np.tile(once.values, (1, 3, 1, 1))
    alike = QuantileForecast(
        LEVELS,
        values,
        np.arange(12),
        once.item_ids,
        dependence=Dependence(
            once.dependence.correlation, np.tile(once.dependence.band, (1, 3)), once.dependence.templates
        ),
    )
    summed = []
    cells = totals._cells
    monkeypatch.setattr(
        totals, "_cells", lambda levels, values, weights: summed.append(len(values)) or cells(levels, values, weights)
    )
    found, expected = alike.total(3).values, once.total(3).values
    np.testing.assert_array_equal(found, np.tile(expected, (1, 3, 1, 1)))
    assert sum(summed) == 2 * 30 * 4  # of either forecast once, of 12 origins no more than of 4


def test_few_cells_that_are_alike_are_left_as_they_are():
    cells = np.random.default_rng(0).random((3 * CELLS, 5))
    cells[1] = cells[0]
    np.testing.assert_array_equal(distinct_cells(cells)[0], np.arange(3 * CELLS))
    first, which = distinct_cells(np.concatenate([cells, cells]))
    np.testing.assert_array_equal(np.concatenate([cells, cells])[first][which], np.concatenate([cells, cells]))
    assert len(first) < len(cells) + 2
