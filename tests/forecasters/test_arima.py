"""ARIMA recursions and fits against statsforecast, numpy and theory."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from statsforecast import models as library_models

import fractile.forecasters.classical.arima as module
from fractile import FractileError, SalesPanel
from fractile.forecasters.classical.arima import (
    ARIMA,
    Order,
    Polynomials,
    expand,
    fit_models,
    innovations,
    project,
    search_orders,
)
from fractile.forecasters.conformance import small_panel

ORDERS = (
    Order(p=1),
    Order(d=1, q=1),
    Order(p=2, q=1),
    Order(p=1, d=1, q=1, P=1, season=7),
    Order(q=1, d=1, Q=1, D=1, season=7),
    Order(p=1, P=1, Q=1, season=7),
)


def panel_of(sales: np.ndarray, freq: str = "D") -> SalesPanel:
    true = np.ones(sales.shape, dtype=bool)
    dates = pd.date_range("2022-01-03", periods=sales.shape[1], freq=freq)
    return SalesPanel(sales, true, true, dates, tuple(f"i{k}" for k in range(len(sales))), freq)


def wavy(periods: int = 400, items: int = 4, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    week = 8 * np.sin(2 * np.pi * np.arange(periods) / 7 + rng.uniform(0, 6, (items, 1)))
    noise = rng.normal(0, 3, (items, periods))
    walk = np.cumsum(rng.normal(0, 1.0, (items, periods)), axis=1)
    return 200 + week + walk + noise


def library(order: Order, series: np.ndarray, method: str) -> library_models.ARIMA:
    seasonal = (order.P, order.D, order.Q)
    made = library_models.ARIMA(
        order=(order.p, order.d, order.q),
        season_length=order.season,
        seasonal_order=seasonal,
        include_mean=order.has_mean,
        method=method,
    )
    with warnings.catch_warnings():
        # The library's search stops at its precision; the tests compare what it found.
        warnings.filterwarnings("ignore", "possible convergence problem", UserWarning)
        return made.fit(series)


def coefficients(order: Order, model: library_models.ARIMA) -> tuple[np.ndarray, float]:
    found = model.model_["coef"]
    return np.array([[found[name] for name in order.coefficients]]), float(found.get("intercept", 0.0))


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_the_recursion_repeats_statsforecast(order: Order):
    """With the library's own coefficients, to a thirtieth of the noise.

    The library starts from the exact likelihood. Seasonal moving averages near one forget the start slowly: of
    0.95 a week, one twentieth is left after 400 days.
    """
    for series in wavy():
        model = library(order, series, "CSS-ML")
        coefs, mean = coefficients(order, model)
        own = expand(order, coefs, np.array([mean]))
        known = np.ones((1, len(series)), dtype=bool)
        got = project(own, innovations(own, series[None], known), np.array([len(series)]), 20)
        np.testing.assert_allclose(got[0, 0], model.predict(h=20)["mean"], rtol=0, atol=0.1)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_least_squares_are_statsforecasts(order: Order):
    """Every item has the library's coefficients, so that its sum of squared one-step errors is the library's."""
    sales = wavy()
    models = fit_models(panel_of(sales), (order,))
    np.testing.assert_array_equal(models.choice, 0)
    known = np.ones(sales.shape, dtype=bool)
    own = innovations(models.polynomials, sales, known).errors
    for row, series in enumerate(sales):
        coefs, mean = coefficients(order, library(order, series, "CSS"))
        theirs = innovations(expand(order, coefs, np.array([mean])), series[None], known[:1]).errors
        np.testing.assert_allclose(own[row], theirs[0], rtol=1e-9, atol=1e-9)


def test_least_squares_find_the_coefficients_that_data_were_made_with():
    """AR(1) 0.6 around 50 and MA(1) −0.5 after differences; the standard error is √((1 − φ²)/n) = 0.025."""
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 1, (30, 1000))
    series = np.zeros((30, 1000))
    for t in range(1, 1000):
        series[:, t] = 0.6 * series[:, t - 1] + noise[:, t]
    models = fit_models(panel_of(series + 50), (Order(p=1),)).polynomials
    assert models.past.mean() == pytest.approx(0.6, abs=4 * 0.025 / np.sqrt(30))
    np.testing.assert_allclose(models.mean, 50, atol=4 / (0.4 * np.sqrt(1000)))
    walk = 500 + np.cumsum(noise - 0.5 * np.pad(noise, ((0, 0), (1, 0)))[:, :-1], axis=1)
    models = fit_models(panel_of(walk), (Order(d=1, q=1),)).polynomials
    assert models.errors.mean() == pytest.approx(-0.5, abs=4 * 0.0275 / np.sqrt(30))


def test_polynomials_are_multiplied_as_numpy_does():
    order = Order(p=2, d=1, q=1, P=1, D=1, Q=1, season=4)
    model = expand(order, np.array([[0.5, -0.2, 0.3, 0.4, -0.6]]), np.zeros(1))
    one, season = np.array([1, -1.0]), np.array([1, 0, 0, 0, -1.0])
    past = np.convolve(np.convolve([1, -0.5, 0.2], [1, 0, 0, 0, -0.4]), np.convolve(one, season))
    np.testing.assert_allclose(-model.past[0], past[1:], atol=1e-12)
    np.testing.assert_allclose(model.errors[0], np.convolve([1, 0.3], [1, 0, 0, 0, -0.6])[1:])
    assert order.memory == len(model.past[0])


def test_explosive_fits_are_not_used():
    """Least squares of growth by 10 % a period is an autoregression of 1.1; such an item is smoothed instead."""
    growth = 1.1 ** np.arange(60) * np.exp(np.random.default_rng(0).normal(0, 0.01, (1, 60)))
    assert coefficients(Order(p=1), library(Order(p=1), growth[0], "CSS"))[0][0, 0] > 1.0
    models = fit_models(panel_of(growth), (Order(p=1),))
    assert models.choice[0] == -1
    got = models.forecast(panel_of(growth), np.array([60]), 200)
    assert got.max() <= growth.max()


def test_a_gap_is_bridged_by_its_own_forecasts():
    """AR(1): after k unknown periods the forecast is the mean plus φ^(k+1) times the last deviation."""
    model = expand(Order(p=1), np.array([[0.8]]), np.array([10.0]))
    sales, known = np.full((1, 30), 14.0), np.ones((1, 30), dtype=bool)
    known[0, 25:] = False
    got = project(model, innovations(model, sales, known), np.array([25, 30]), 1)[0, :, 0]
    np.testing.assert_allclose(got, [10 + 0.8 * 4, 10 + 0.8**6 * 4])


def test_simple_exponential_smoothing_is_a_special_case():
    """ARIMA(0, 1, 1) with θ = α − 1 smooths with weight α, out of stock periods leaving the level alone."""
    rng = np.random.default_rng(1)
    sales, known = rng.poisson(8.0, (1, 60)).astype(float), rng.random((1, 60)) > 0.2
    known[0, 0] = True
    level = sales[0, 0]
    for t in range(1, 60):
        level += 0.3 * (sales[0, t] - level) * known[0, t]
    model = expand(Order(d=1, q=1), np.array([[-0.7]]), np.zeros(1))
    got = project(model, innovations(model, sales, known), np.array([60]), 3)
    np.testing.assert_allclose(got[0, 0], level)


def test_padded_models_forecast_as_those_alone():
    sales, known = wavy(120, 2), np.ones((2, 120), dtype=bool)
    small = expand(Order(p=1), np.full((2, 1), 0.7), np.full(2, 200.0))
    large = expand(Order(q=1, d=1, D=1, season=7), np.full((2, 1), -0.4), np.zeros(2))
    both = Polynomials.join([small, large])
    record = np.tile(sales, (2, 1)), np.tile(known, (2, 1))
    together = project(both, innovations(both, *record), np.array([60, 120]), 9)
    for k, model in enumerate((small, large)):
        alone = project(model, innovations(model, sales, known), np.array([60, 120]), 9)
        np.testing.assert_allclose(together[2 * k : 2 * k + 2], alone)


def test_each_item_keeps_the_order_that_suits_it():
    """Half the items are white noise around a mean, half are random walks."""
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 5, (20, 150))
    noise[10:] = np.cumsum(noise[10:], axis=1)
    models = fit_models(panel_of(300 + noise), (Order(), Order(d=1)))
    np.testing.assert_array_equal(models.choice, [0] * 10 + [1] * 10)


def test_orders_are_searched_in_a_sample_that_the_order_of_items_does_not_move():
    panel = panel_of(np.round(wavy(80, 12)))
    orders = search_orders(panel, 7, searched=5, most=3, fewest=40)
    assert len(orders) == 3
    assert any(order.season == 7 for order in orders)
    assert orders == search_orders(panel.select(np.arange(12)[::-1]), 7, searched=5, most=3, fewest=40)
    usual = search_orders(panel, 7, searched=0, most=2, fewest=40)
    assert usual == (Order(d=1, q=1), Order(p=1))


def test_the_order_found_most_often_comes_first(monkeypatch: pytest.MonkeyPatch):
    often, rare = Order(p=2), Order()
    found = {0: often, 1: rare, 2: often}
    monkeypatch.setattr(module, "_search_order", lambda series, season: [found[int(series[0])]])
    panel = panel_of(np.repeat([[0.0], [1.0], [2.0]], 50, axis=1) + np.linspace(0.0, 0.5, 50))
    assert search_orders(panel, 1, searched=3, most=2, fewest=40) == (often, rare)


def test_a_short_record_is_smoothed():
    panel = small_panel()
    listed = panel.listed.copy()
    listed[0, :-5] = False
    panel = replace(panel, listed=listed)
    model = fit_models(panel, (Order(p=1),))
    assert model.choice[0] == -1
    seen = panel.sales[0][panel.informative[0]]
    np.testing.assert_allclose(model.forecast(panel, np.array([60]), 2)[0, 0], seen.mean())


@pytest.mark.parametrize(("option", "value"), [("searched", -1), ("orders", 0), ("season_length", 52)])
def test_options_are_checked(option: str, value: int):
    with pytest.raises(FractileError, match=option):
        ARIMA(**{option: value})
