"""The true conditional quantiles of the embedded panel, against its own recursions, its demand, and its sums."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import nbinom

from fractile import FractileError, QuantileForecast, retail_panel
from fractile.forecasters.interpolation import cdf_at
from fractile.forecasters.retail.truth import CountMixture, score_correlation
from fractile.forecasters.scores import (
    calibration_table,
    excess_volatility,
    mean_weighted_quantile_loss,
)

LEVELS = np.arange(1, 10) / 10
FINE = np.arange(1, 100) / 100
HORIZON = 8


@pytest.fixture(scope="module")
def retail():
    return retail_panel(items=150, seed=1)


def futures(retail, item, origin, paths, rng):
    """Draw an item's demand by going on with the generator's recursions, period by period."""
    hidden = retail.market.hidden
    level, shock = np.full(paths, hidden.level[item, origin - 1]), np.full(paths, hidden.shock[item, origin - 1])
    before, last = (np.full(paths, hidden.interest[item, origin + k]) for k in (0, 1))
    demand = np.empty((paths, HORIZON))
    for h in range(HORIZON):
        level = 0.9 * level + 0.25 * np.sqrt(1 - 0.9**2) * rng.standard_normal(paths)
        shock = 0.7 * shock + 0.12 * np.sqrt(1 - 0.7**2) * rng.standard_normal(paths)
        pull = retail.traits.attention[item] * (0.7 * last + 0.3 * before)
        mean = np.exp(retail.market.fixed[item, origin + h] + level + shock + pull)
        size = retail.traits.dispersion[item]
        demand[:, h] = rng.negative_binomial(size, size / (size + mean))
        before, last = last, 0.5 * last + 0.3 * np.sqrt(1 - 0.5**2) * rng.standard_normal(paths)
    return demand


def test_the_law_is_the_one_demand_was_drawn_from(retail):
    market, listed = retail.market, retail.panel.listed
    hidden = market.hidden
    mean = np.exp(market.fixed + hidden.level + hidden.shock + hidden.pull)
    np.testing.assert_allclose(mean[listed], retail.distribution.mean[listed], rtol=1e-10)


@pytest.mark.parametrize("item", [0, 7, 23, 60])
def test_quantiles_are_those_of_futures_drawn_by_recursion(retail, item):
    paths, origin = 6000, 120
    drawn = futures(retail, item, origin, paths, np.random.default_rng(item))
    quantiles = retail.true_forecast(HORIZON, LEVELS, [origin]).values[item, 0]
    error = 4 * np.sqrt(LEVELS * (1 - LEVELS) / paths)
    assert (np.mean(drawn[:, :, None] <= quantiles, axis=0) >= LEVELS - error).all()
    assert (np.mean(drawn[:, :, None] < quantiles, axis=0) <= LEVELS + error).all()


def test_paths_move_together_as_futures_do(retail):
    item, origin, paths = 0, 120, 20_000
    drawn = futures(retail, item, origin, paths, np.random.default_rng(0))
    one = retail_panel(items=8, seed=1)
    found = one.true_paths(paths, np.random.default_rng(1), HORIZON, [origin])[:, item, 0]
    both = [np.array([np.corrcoef(d[part].T) for part in np.split(np.arange(paths), 20)]) for d in (drawn, found)]
    error = np.sqrt(sum(b.var(axis=0) / 20 for b in both)) + 1e-12
    assert (np.abs(both[0].mean(0) - both[1].mean(0)) < 4.5 * error).all()
    assert both[0].mean(0)[6, 7] > 0.1


def test_demand_is_calibrated_under_it(retail):
    origins = np.arange(60, 149, 8)
    forecast = retail.true_forecast(HORIZON, FINE, origins)
    table = calibration_table(forecast, retail.panel, levels=LEVELS, truth=retail.demand, confidence=0.9999)
    assert ((table["share_low"] < LEVELS) & (table["share_high"] > LEVELS)).all()
    assert (table["share_high"] - table["share_low"]).max() < 0.1


def test_it_loses_less_than_what_knows_less_and_more_than_the_oracle(retail):
    origins = [133, 141, 149]
    forecast = retail.true_forecast(HORIZON, LEVELS, origins)
    loss = mean_weighted_quantile_loss(forecast, retail.panel, truth=retail.demand)
    steps = np.array(origins)[:, None] + np.arange(HORIZON)
    oracle = QuantileForecast(
        LEVELS, retail.distribution.quantile(LEVELS)[:, steps], np.array(origins), retail.panel.item_ids
    )
    late = retail.true_forecast(2 * HORIZON, LEVELS, [125, 133, 141])
    early = QuantileForecast(LEVELS, late.values[:, :, HORIZON:], np.array(origins), retail.panel.item_ids)
    losses = [mean_weighted_quantile_loss(f, retail.panel, truth=retail.demand) for f in (oracle, forecast, early)]
    assert losses[0] < 0.95 * loss
    assert loss < 0.99 * losses[2]


def test_its_revisions_have_no_excess_volatility(retail):
    origins = np.arange(100, 150)
    forecast = retail.true_forecast(4, FINE, origins).select(np.arange(100))
    panel, demand = retail.panel.select(np.arange(100)), retail.demand[:100]
    assert abs(excess_volatility(forecast, panel, truth=demand)) < 0.004


def test_before_a_launch_demand_is_zero_for_certain(retail):
    late = int(np.flatnonzero((retail.traits.launch > 30) & (retail.traits.base > 2))[0])
    launch = int(retail.traits.launch[late])
    values = retail.true_forecast(HORIZON, LEVELS, [launch - 3]).values[late, 0]
    assert not values[:3].any()
    assert values[3:, -1].all()


def test_sums_of_true_marginals_cover_what_they_promise_and_independent_ones_do_not(retail):
    """Central intervals and upper quantiles of sums, on demand drawn from the truth."""
    few = np.flatnonzero((retail.traits.launch == 0) & (retail.traits.base > 4))[:120]
    forecast = retail.true_forecast(HORIZON, FINE, [149]).select(few)
    drawn = retail.true_paths(100, np.random.default_rng(2), HORIZON, [149])[:, few, 0]
    alone = QuantileForecast(FINE, forecast.values, forecast.origins, forecast.item_ids)
    for span in (2, 4, 8):
        came = drawn[:, :, :span].sum(-1)
        # The copula carries covariances alone: over eight periods the median is off by a point, five standard errors.
        assert max(misses(forecast.total(span), came)) < (4 if span < 8 else 7)
        assert span == 2 or max(misses(alone.total(span), came)) > 4


def misses(total, came):
    """How many standard errors (clusters: items) each promised share is missed by; sums of shape (paths, items).

    A counted sum stands for all probabilities of its jump, so that a quantile may split it.
    """
    values = np.broadcast_to(total.values[:, 0, 0], (*came.shape, len(total.levels)))
    low = np.where(came > 0, cdf_at(total.levels, values, came - 0.5), 0.0)
    high = cdf_at(total.levels, values, came + 0.5)

    def below(level):
        return np.clip((level - low) / np.maximum(high - low, 1e-12), 0.0, 1.0)

    scores = []
    for share in (0.5, 0.8, 0.9):
        for inside in (below(share), below((1 + share) / 2) - below((1 - share) / 2)):
            by_item = inside.mean(axis=0)
            scores.append(abs(by_item.mean() - share) / (by_item.std() / np.sqrt(len(by_item))))
    return scores


def test_origins_whose_horizon_leaves_the_panel_are_refused(retail):
    with pytest.raises(FractileError, match=r"origins must be at most 149 .* got 150"):
        retail.true_forecast(HORIZON, LEVELS, [150])


def test_without_origins_it_is_the_last_horizon(retail):
    forecast = retail.true_forecast(HORIZON)
    np.testing.assert_array_equal(forecast.origins, [149])
    assert forecast.dates[0] == retail.panel.dates[149]


def mixtures(number=5):
    rng = np.random.default_rng(3)
    return CountMixture(rng.normal(1.0, 1.5, number), rng.uniform(0.1, 0.5, number), rng.uniform(0.2, 8.0, number))


def test_mixture_quantiles_invert_the_mixture_of_cumulated_probabilities():
    mixture = mixtures()
    z = (np.arange(4000) + 0.5) / 4000
    mean = np.exp(mixture.centre[:, None] + mixture.deviation[:, None] * ndtri(z))
    size = mixture.dispersion[:, None]
    for k, level in enumerate(LEVELS):
        q = mixture.quantile(LEVELS)[:, k, None]
        assert (nbinom.cdf(q, size, size / (size + mean)).mean(1) > level - 1e-3).all()
        assert (nbinom.cdf(q - 1, size, size / (size + mean)).mean(1) < level + 1e-3).all()


def test_hermite_terms_sum_to_the_variance_and_correlations_give_the_covariance_back():
    mixture = mixtures()
    terms = mixture.hermite()
    mean = mixture.mean
    variance = (
        mean + mean**2 / mixture.dispersion * np.exp(mixture.deviation**2) + mean**2 * np.expm1(mixture.deviation**2)
    )
    assert (np.sum(terms**2, axis=1) < variance).all()
    assert (np.sum(terms**2, axis=1) > 0.7 * variance).all()
    # What the expansion says of two demands with normal scores correlated 0.5 comes out of simulation.
    powers = 0.5 ** np.arange(1, 5)
    wanted = (terms[:, None] * terms[None]) @ powers
    np.testing.assert_allclose(score_correlation(terms, wanted)[0, 1:], 0.5, atol=1e-6)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 400_000))
    grid = np.arange(1, 4000) / 4000
    tables = mixture.quantile(grid)
    u = [ndtr(a), ndtr(0.5 * a + np.sqrt(0.75) * b)]
    x, y = (tables[k][np.clip((v * 4000).astype(int), 0, 3998)] for k, v in enumerate(u))
    np.testing.assert_allclose(np.cov(x, y)[0, 1], wanted[0, 1], rtol=0.03)
