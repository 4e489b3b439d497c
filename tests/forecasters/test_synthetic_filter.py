"""The filter behind the true forecast of what is on record: against particles, its calibration, and no peeking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import nbinom, poisson

from fractile import FractileError, QuantileForecast, retail_panel
from fractile.forecasters.retail.filter import filter_levels
from fractile.forecasters.scores import calibration_table, mean_weighted_quantile_loss

LEVELS = np.arange(1, 10) / 10
HORIZON = 8


@pytest.fixture(scope="module")
def retail():
    return retail_panel(items=120)


def particles(small, traits, item, number, rng):
    """Bootstrap particle filter of one item alone: means and deviations of its state before each period."""
    panel, record = small.panel, []
    fade = np.sqrt(1 - np.array([0.7, 0.9, 0.5]) ** 2) * [0.12, 0.25, 0.3]
    shock, level = 0.12 * rng.standard_normal(number), 0.25 * rng.standard_normal(number)
    oldest = 0.3 * rng.standard_normal(number)
    before = 0.5 * oldest + fade[2] * rng.standard_normal(number)
    now = 0.5 * before + fade[2] * rng.standard_normal(number)
    size = traits.dispersion[item]
    for t in range(panel.periods):
        pull = traits.attention[item] * (0.7 * before + 0.3 * oldest)
        mean = np.exp(small.market.fixed[item, t] + level + shock + pull)
        weight = np.ones(number)
        if panel.listed[item, t]:
            views = 5.0 + 15.0 * traits.base[item] * np.exp(now)
            weight = poisson.pmf(panel.observed["page_views"][item, t], views)
            sold = panel.sales[item, t]
            law = nbinom(size, size / (size + mean))
            if panel.in_stock[item, t]:
                weight *= law.pmf(sold)
            elif sold > 0:
                weight *= law.sf(sold)
        kept = rng.choice(number, number, p=weight / weight.sum())
        shock, level, now, before = shock[kept], level[kept], now[kept], before[kept]
        record.append([(x.mean(), x.std()) for x in (level, shock, now, before)])
        oldest, before = before, now
        now = 0.5 * now + fade[2] * rng.standard_normal(number)
        shock = 0.7 * shock + fade[0] * rng.standard_normal(number)
        level = 0.9 * level + fade[1] * rng.standard_normal(number)
    return np.array(record)


@pytest.mark.parametrize("item", [0, 1, 4])
def test_the_filter_believes_what_particles_believe(item):
    """A smooth item, a lumpy one and an intermittent one that was launched, each in a category of its own."""
    small = retail_panel(items=5, periods=90, seed=1)
    traits = replace(small.traits, category=np.arange(5))
    found = filter_levels(small.panel, traits, small.market, stock_outs=True)
    expected = particles(small, traits, item, 20_000, np.random.default_rng(item))
    mean = found.mean[item, 1:]
    deviation = np.sqrt(np.diagonal(found.covariance[item, 1:], axis1=-2, axis2=-1))
    # The Monte Carlo error of the particles is about 0.01; the bound is a tenth of the levels' own deviation.
    assert np.sqrt(np.mean((mean - expected[:, :, 0]) ** 2, axis=0)).max() < 0.03
    np.testing.assert_allclose(deviation.mean(0), expected[:, :, 1].mean(0), rtol=0.06)


@pytest.mark.slow
def test_the_smallest_losses_come_from_knowing_most():
    retail, origins = retail_panel(), [133, 141, 149]
    steps = np.array(origins)[:, None] + np.arange(HORIZON)
    values = retail.distribution.quantile(LEVELS)[:, steps]
    oracle = QuantileForecast(LEVELS, values, np.array(origins), retail.panel.item_ids)
    kinds = ("levels", "record", "informative")
    forecasts = [oracle, *(retail.true_forecast(HORIZON, LEVELS, origins, known=known) for known in kinds)]
    losses = [mean_weighted_quantile_loss(f, retail.panel, truth=retail.demand) for f in forecasts]
    np.testing.assert_allclose(losses, [0.2955, 0.3487, 0.3632, 0.3626], atol=5e-5)


def test_demand_is_calibrated_under_what_the_record_says(retail):
    origins = np.arange(61, 149, 8)
    forecast = retail.true_forecast(HORIZON, np.arange(1, 50) / 50, origins, known="record")
    table = calibration_table(forecast, retail.panel, levels=LEVELS, truth=retail.demand, confidence=0.9999)
    assert ((table["share_low"] < LEVELS) & (table["share_high"] > LEVELS)).all()


def test_leaving_stock_outs_out_makes_forecasts_low(retail):
    origins = np.arange(61, 149, 8)
    quantiles = [retail.true_forecast(HORIZON, LEVELS, origins, known=kind) for kind in ("record", "informative")]
    means = np.array([forecast.mean() for forecast in quantiles])
    by_item = (means[1] - means[0]).mean(axis=(1, 2))
    assert by_item.mean() < -4 * by_item.std() / np.sqrt(len(by_item))


def test_the_filter_knows_nothing_of_what_comes_later():
    small = retail_panel(items=6, periods=60, seed=3)
    panel, origin = small.panel, 40
    rng = np.random.default_rng(0)
    later = np.arange(60) >= origin
    other = replace(
        panel,
        sales=np.where(later, rng.poisson(50, panel.sales.shape), panel.sales),
        in_stock=np.where(later, ~panel.in_stock, panel.in_stock),
        observed={"page_views": np.where(later, 1.0, panel.observed["page_views"])},
    )
    first, second = (filter_levels(p, small.traits, small.market, stock_outs=True) for p in (panel, other))
    np.testing.assert_array_equal(first.mean[:, : origin + 1], second.mean[:, : origin + 1])
    np.testing.assert_array_equal(first.covariance[:, : origin + 1], second.covariance[:, : origin + 1])
    assert not np.allclose(first.mean[:, origin + 1], second.mean[:, origin + 1])


def test_the_filter_takes_no_hidden_level():
    small = retail_panel(items=6, periods=60, seed=3)
    blind = replace(small.market, hidden=None, mean=np.full_like(small.market.mean, np.nan))
    first, second = (filter_levels(small.panel, small.traits, m, stock_outs=True) for m in (small.market, blind))
    np.testing.assert_array_equal(first.mean, second.mean)


def test_an_item_tells_of_its_category():
    """The shock is common: the busiest items pin it down for the slowest one too."""
    small = retail_panel(items=40, periods=60, seed=3)
    alone = replace(small.traits, category=np.arange(40))
    apart = filter_levels(small.panel, alone, small.market, stock_outs=True).covariance[:, -1, 1, 1]
    together = filter_levels(small.panel, small.traits, small.market, stock_outs=True).covariance[:, -1, 1, 1]
    assert (together <= apart + 1e-12).mean() > 0.9
    assert together.mean() < 0.9 * apart.mean()


def test_an_unknown_kind_of_knowledge_is_refused(retail):
    with pytest.raises(FractileError, match='known must be "levels", "record" or "informative", got \'all\''):
        retail.true_forecast(HORIZON, known="all")
