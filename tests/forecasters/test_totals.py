"""Sums over the horizon hold what they promise, by copula and by Schaake shuffle; independent draws do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr
from scipy.stats import gamma

from fractile import FractileError, QuantileForecast, SalesPanel, retail_panel
from fractile.forecasters.calibration.dependence import (
    TEMPLATES,
    Dependence,
    fit_templates,
    shuffled_uniforms,
    template_uniforms,
)
from fractile.forecasters.calibration.sampling import ErrorDependence, cdf_bounds, fit_error_dependence
from fractile.forecasters.censoring import History

LEVELS = np.array([0.01, 0.02, *(np.arange(1, 20) / 20), 0.98, 0.99])
HORIZON = 8
SPANS = (2, 4, 8)
METHODS = ("copula", "schaake")


def decaying(rho, horizon=HORIZON):
    return rho ** np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))


def autoregressive(items=150, blocks=24, rho=0.6, seed=0):
    """Blocks of `HORIZON` periods whose normal scores are an AR(1), each forecast with the true marginals."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(decaying(rho))
    scores = rng.standard_normal((items, blocks, HORIZON)) @ root.T
    law = gamma(3.0, scale=np.geomspace(1.0, 20.0, items)[:, None] / 3.0)
    sales = np.concatenate([law.mean(), law.ppf(ndtr(scores).reshape(items, -1))], axis=1)
    values = np.broadcast_to(law.ppf(LEVELS)[:, None, None], (items, blocks, HORIZON, len(LEVELS)))
    names = tuple(f"i{k}" for k in range(items))
    true = np.ones(sales.shape, dtype=bool)
    panel = SalesPanel(sales, true, true, pd.date_range("2020-01-06", periods=sales.shape[1]), names, "D")
    return QuantileForecast(LEVELS, values, 1 + HORIZON * np.arange(blocks), names), panel


def at_origins(forecast, chosen):
    dates = None if forecast.dates is None else forecast.dates[chosen]
    dependence = None
    return replace(
        forecast,
        values=forecast.values[:, chosen],
        origins=forecast.origins[chosen],
        dates=dates,
        dependence=dependence,
    )


def worst_miss(forecast, demand, span, *, counts=False):
    """The largest number of standard errors by which a promised share of the sums is missed.

    Shares are those of upper quantiles and central intervals at 0.5, 0.8 and 0.9. Items and origins are the
    units that vary. A counted sum stands for all probabilities of its jump, so that a quantile may split it.
    """
    came = demand[:, forecast.origins[:, None] + np.arange(span)].sum(-1, keepdims=True)
    low, high = cdf_bounds(forecast.total(span), came, whole_units=counts)

    def below(level):
        inside = (level - low) / np.where(high > low, high - low, 1.0)
        return np.where(high > low, np.clip(inside, 0.0, 1.0), low <= level)[:, :, 0]

    misses = []
    for share in (0.5, 0.8, 0.9):
        for cells in (below(share), below((1 + share) / 2) - below((1 - share) / 2)):
            off = cells - cells.mean()
            square = (off.sum(1) ** 2).sum() + (off.sum(0) ** 2).sum() - (off**2).sum()
            misses.append(abs((cells - share).sum()) / np.sqrt(max(square, (off**2).sum())))
    return max(misses)


@pytest.fixture(scope="module")
def known_errors():
    forecast, panel = autoregressive()
    half = len(forecast.origins) // 2
    past, later = at_origins(forecast, slice(None, half)), at_origins(forecast, slice(half, None))
    return later, panel, fit_error_dependence(past, History.of(panel, "mask")).at(panel, later.origins, HORIZON)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("span", SPANS)
def test_sums_of_autoregressive_errors_cover_what_they_promise(known_errors, span, method):
    later, panel, dependence = known_errors
    assert worst_miss(later.with_dependence(dependence.by(method)), panel.sales, span) < 4


@pytest.mark.parametrize("span", SPANS)
def test_independent_sums_of_autoregressive_errors_do_not(known_errors, span):
    later, panel, _ = known_errors
    assert worst_miss(later, panel.sales, span) > 4


@pytest.fixture(scope="module")
def embedded():
    retail = retail_panel(items=150, seed=2)
    forecast = retail.true_forecast(HORIZON, LEVELS, np.arange(45, 150, 4))
    past, later = at_origins(forecast, slice(0, 12)), at_origins(forecast, slice(14, None, 2))
    fitted = fit_error_dependence(past, History.of(retail.panel, "mask")).at(retail.panel, later.origins, HORIZON)
    return later, retail.demand, fitted, forecast.dependence


@pytest.mark.parametrize("span", SPANS)
def test_sums_on_the_embedded_panel_cover_what_they_promise(embedded, span):
    later, demand, fitted, true = embedded
    for dependence in (fitted.by("copula"), fitted.by("schaake"), true):
        assert worst_miss(later.with_dependence(dependence), demand, span, counts=True) < 4


def test_independent_sums_on_the_embedded_panel_do_not(embedded):
    later, demand, _, _ = embedded
    assert worst_miss(later, demand, 8, counts=True) > 4


def test_samples_of_both_kinds_keep_marginals_and_carry_the_correlation(known_errors):
    later, _, dependence = known_errors
    one = (
        at_origins(later, slice(0, 1))
        .select(np.array([100]))
        .with_dependence(replace(dependence, band=dependence.band[[100], :1]))
    )
    paths = 20_000
    for method in METHODS:
        drawn = one.sample(paths, np.random.default_rng(0), method)[:, 0, 0]
        for level in (0.1, 0.5, 0.9):
            share = (drawn <= one.quantile(level)[0, 0]).mean(axis=0)
            np.testing.assert_allclose(share, level, atol=4 * np.sqrt(level * (1 - level) / paths))
        scores = np.argsort(np.argsort(drawn, axis=0), axis=0)
        # Spearman's correlation of a Gaussian copula with correlation r is 6/pi asin(r / 2).
        expected = 6 / np.pi * np.arcsin(decaying(0.6)[0] / 2)
        np.testing.assert_allclose(np.corrcoef(scores.T)[0], expected, atol=0.1)


def test_a_shuffle_is_repeated_by_its_generator(known_errors):
    later, _, dependence = known_errors
    few = at_origins(later, slice(0, 2)).with_dependence(replace(dependence, band=dependence.band[:, :2]))
    first, again, other = (few.sample(8, np.random.default_rng(seed), "schaake") for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_shuffled_draws_stand_in_the_order_of_their_templates():
    templates = np.array([[[0.0, 9.0, 1.0], [1.0, 8.0, 2.0], [2.0, 7.0, 3.0]]])
    drawn = shuffled_uniforms(templates, np.zeros((1, 1), dtype=int), 3000, np.random.default_rng(0))[:, 0, 0]
    # The first and third period rise together, the second falls as they rise; a template's own draws are in any order.
    group = np.floor(drawn * 3)
    agree = (group[:, 0] == group[:, 2]).mean(), (group[:, 0] == 2 - group[:, 1]).mean()
    assert min(agree) > 0.9


def test_a_shuffle_can_carry_what_no_gaussian_copula_can():
    """Errors that are uncorrelated and yet dependent: large ones, of either sign, come together."""
    rng = np.random.default_rng(0)
    size = rng.choice([0.1, 3.0], (400, 20, 1))
    errors = size * rng.standard_normal((400, 20, 2))
    templates = fit_templates(errors, np.zeros((400, 20), dtype=int), 1)
    u = template_uniforms(templates[0])
    outer = np.abs(u - 0.5) > 0.4
    assert np.mean(outer[:, 0] & outer[:, 1]) > 2 * 0.2**2
    assert abs(np.corrcoef(u.T)[0, 1]) < 0.15


def test_templates_are_whole_trajectories_of_the_band_or_of_all():
    errors = np.arange(240.0).reshape(60, 2, 2)
    errors[0, 0, 1] = np.nan
    band = np.zeros((60, 2), dtype=int)
    band[-1] = 1
    templates = fit_templates(errors, band, 2)
    assert templates.shape == (2, TEMPLATES, 2)
    assert not np.isnan(templates).any()
    np.testing.assert_array_equal(templates[..., 1] - templates[..., 0], 1.0)
    assert templates[0].max() == 235.0
    # The second band has two trajectories of its own: too few.
    assert templates[1].min() == 2.0


def test_no_templates_known_mean_independence():
    templates = fit_templates(np.full((3, 2, 4), np.nan), np.zeros((3, 2), dtype=int), 1)
    u = template_uniforms(templates[0])
    assert np.abs(np.corrcoef(u.T) - np.eye(4)).max() < 4 / np.sqrt(TEMPLATES)


def test_templates_are_kept_with_the_fit():
    forecast, panel = autoregressive(items=20, blocks=6)
    fitted = fit_error_dependence(forecast, History.of(panel, "mask"))
    again = ErrorDependence.from_arrays(fitted.arrays())
    np.testing.assert_array_equal(fitted.templates, again.templates)
    assert fitted.at(panel, forecast.origins, 3).templates.shape == (3, TEMPLATES, 3)


def test_a_shuffle_without_templates_is_refused():
    forecast, panel = autoregressive(items=20, blocks=6)
    with pytest.raises(FractileError, match="the Schaake shuffle needs templates"):
        forecast.sample(2, np.random.default_rng(0), "schaake")
    with pytest.raises(FractileError, match="the Schaake shuffle needs templates"):
        fit_error_dependence(forecast, History.of(panel, "mask")).at(panel, forecast.origins, HORIZON + 1).by("schaake")
    with pytest.raises(FractileError, match='method must be "copula" or "schaake", got \'vine\''):
        Dependence.independent(2).by("vine")
