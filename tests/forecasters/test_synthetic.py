"""The embedded retail panel: realistic, calibrated to its own truth, and stable under more items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fractile import FractileError, retail_panel
from fractile.forecasters.data.panel import load_inputs
from fractile.forecasters.retail.market import draw_market, draw_traits


@pytest.fixture(scope="module")
def retail():
    return retail_panel(seed=1)


@pytest.fixture(scope="module")
def hidden(retail):
    panel = retail.panel
    traits = draw_traits(panel.item_ids, panel.periods, 1)
    return traits, draw_market(traits, panel.dates, 1)


def test_volumes_and_stockouts_are_those_of_a_shop(retail):
    panel = retail.panel
    listed = panel.listed
    assert panel.sales.shape == (300, 157)
    assert 0.05 < (~panel.in_stock)[listed].mean() < 0.12
    typical = retail.demand.sum(axis=1) / listed.sum(axis=1)
    assert 4 < np.median(typical) < 11
    assert 0.1 < (typical < 1).mean() < 0.35
    assert 0.01 < (typical > 60).mean() < 0.1


def test_sales_are_censored_demand(retail):
    panel = retail.panel
    assert (panel.sales <= retail.demand).all()
    told = panel.informative
    np.testing.assert_array_equal(panel.sales[told], retail.demand[told])
    assert (retail.demand > panel.sales)[~panel.in_stock].mean() > 0.8


def test_launches_are_not_listed_before(retail, hidden):
    panel, (traits, _) = retail.panel, hidden
    launched = (traits.launch > 0).mean()
    assert 0.08 < launched < 0.25
    np.testing.assert_array_equal(panel.listed.argmax(axis=1), traits.launch)
    assert not retail.demand[~panel.listed].any()
    assert not panel.sales[~panel.listed].any()


def test_demand_is_calibrated_under_its_distribution(retail):
    listed = retail.panel.listed
    upper = retail.distribution.cdf(retail.demand)[listed]
    lower = retail.distribution.cdf(retail.demand - 1)[listed]
    u = np.random.default_rng(0).random(len(upper))
    share = np.histogram(lower + u * (upper - lower), bins=20, range=(0, 1))[0] / len(upper)
    standard_error = np.sqrt(0.05 * 0.95 / len(upper))
    np.testing.assert_allclose(share, 0.05, atol=4 * standard_error)


def test_quantiles_invert_the_distribution():
    truth = retail_panel(items=20, periods=20).distribution
    levels = np.array([0.1, 0.5, 0.9])
    quantiles = truth.quantile(levels)
    assert quantiles.shape == (20, 20, 3)
    for k, level in enumerate(levels):
        assert (truth.cdf(quantiles[..., k]) >= level).all()
        above = quantiles[..., k] > 0
        assert (truth.cdf(quantiles[..., k] - 1)[above] < level).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()


def test_samples_have_the_distributions_mean():
    truth = retail_panel(items=5, periods=12).distribution
    draws = truth.sample(np.random.default_rng(0), 2_000)
    assert draws.shape == (2_000, 12, 5)
    standard_error = np.sqrt((truth.mean + truth.mean**2 / truth.dispersion) / 2_000)
    assert (np.abs(draws.mean(axis=0).T - truth.mean) <= 4 * standard_error).all()


def test_promotions_cut_prices_and_raise_demand(retail, hidden):
    panel, (traits, market) = retail.panel, hidden
    promoted = (panel.known["promotion"] > 0) & panel.listed
    regular = np.where(panel.listed & ~promoted, panel.known["price"], np.nan)
    assert 0.02 < promoted.mean() < 0.15
    lift = [
        np.log(market.mean[i][promoted[i]]).mean() - np.log(market.mean[i][~promoted[i] & panel.listed[i]]).mean()
        for i in np.flatnonzero(promoted.sum(axis=1) > 5)
    ]
    assert np.mean(np.array(lift) > 0) > 0.95
    assert (panel.known["price"] < np.nanmax(regular, axis=1, keepdims=True))[promoted].all()
    assert (traits.elasticity < 0).all()


def test_regression_on_demand_finds_the_elasticity(retail, hidden):
    panel, (traits, _) = retail.panel, hidden
    busy = np.flatnonzero((retail.distribution.mean.min(axis=1) > 5) & (traits.promotion_rate > 0.05))
    found = []
    for i in busy:
        design = np.column_stack([np.ones(157), np.log(panel.known["price"][i]), panel.known["promotion"][i]])
        found.append(np.linalg.lstsq(design, np.log(retail.demand[i] + 0.5), rcond=None)[0][1])
    assert len(busy) > 10
    miss = np.array(found) - traits.elasticity[busy]
    # Price rises coincide with season and trend, which this regression leaves out: a median within 4 standard errors.
    assert abs(np.median(miss)) < 4 * 1.25 * miss.std() / np.sqrt(len(miss))


def test_toys_peak_before_christmas_and_garden_in_summer(retail):
    demand = pd.DataFrame(retail.demand.T, index=retail.panel.dates, columns=retail.panel.item_ids)
    steady = retail.panel.listed.all(axis=1)
    by_category = demand.loc[:, steady].T.groupby(retail.items["category"].to_numpy()[steady]).sum().T
    by_month = by_category.groupby(by_category.index.month).mean()
    assert by_month["toys"].idxmax() == 12
    assert by_month["garden"].loc[[5, 6]].mean() > 2 * by_month["garden"].loc[[11, 12]].mean()


def test_page_views_lead_demand(retail, hidden):
    panel, (_, market) = retail.panel, hidden
    seen = (panel.observed["page_views"] > 0).all(axis=1)
    views = np.log(np.maximum(panel.observed["page_views"], 1.0))
    noise = np.log(np.where(panel.listed, market.mean, 1.0))
    always = panel.listed.all(axis=1) & seen
    change = np.diff(noise[always], axis=1)
    told = np.diff(views[always], axis=1)
    ahead = np.corrcoef(told[:, :-1].ravel(), change[:, 1:].ravel())[0, 1]
    at_once = np.corrcoef(told.ravel(), change.ravel())[0, 1]
    assert ahead > 0.2
    assert at_once < ahead / 2


def test_spring_holiday_moves(retail):
    flags = pd.Series(retail.panel.known["holiday"][0], index=retail.panel.dates)
    spring = flags[(flags > 0) & (flags.index.month < 6)].index
    assert len({day.dayofyear // 7 for day in spring}) > 2
    assert (flags.groupby(flags.index.year).sum().loc[[2023, 2024]] == 4).all()


def test_same_seed_gives_the_same_panel_and_another_seed_another():
    first, again, other = retail_panel(6, 30, 5), retail_panel(6, 30, 5), retail_panel(6, 30, 6)
    np.testing.assert_array_equal(first.panel.sales, again.panel.sales)
    pd.testing.assert_frame_equal(first.items, again.items)
    assert not np.array_equal(first.demand, other.demand)


def test_more_items_leave_the_first_ones_as_they_are():
    few, many = retail_panel(4, 40, 2), retail_panel(9, 40, 2)
    np.testing.assert_array_equal(few.demand, many.demand[:4])
    np.testing.assert_array_equal(few.panel.sales, many.panel.sales[:4])
    np.testing.assert_array_equal(few.panel.observed["page_views"], many.panel.observed["page_views"][:4])
    pd.testing.assert_frame_equal(few.items, many.items[:4])
    pd.testing.assert_frame_equal(few.state, many.state[:4].loc[:, few.state.columns])


def test_items_have_the_promised_costs(retail):
    items = retail.items
    ratio = items["stockout_cost"] / (items["stockout_cost"] + items["holding_cost"])
    assert ratio.between(0.69, 0.975).all()
    assert ratio.max() - ratio.min() > 0.2
    assert set(items["lead_time"]) == {1, 2, 3, 4}
    assert (items.groupby("supplier")["lead_time"].nunique() == 1).all()
    assert 0.1 < (items["pack_size"] > 1).mean() < 0.5
    np.testing.assert_allclose(items["stockout_cost"], items["price"] - items["unit_cost"], atol=1e-9)


def test_state_holds_nothing_that_arrives_after_its_lead_time(retail):
    arriving = retail.state[[f"arriving_{k}" for k in range(1, 5)]].to_numpy()
    assert arriving.sum() > 0
    beyond = np.arange(1, 5) > retail.items["lead_time"].to_numpy()[:, None]
    assert not arriving[beyond].any()
    assert (retail.state["on_hand"] >= 0).all()


@pytest.mark.parametrize("history", ["csv", "parquet"])
def test_files_load_without_a_fault_and_give_the_panel_back(tmp_path, history):
    retail = retail_panel(items=12, periods=60, seed=3)
    given = load_inputs(*retail.write(tmp_path / "data", history))
    for name in ("sales", "in_stock", "listed"):
        np.testing.assert_array_equal(getattr(given.panel, name), getattr(retail.panel, name))
    for mine, other in (
        (given.panel.known, retail.panel.known),
        (given.panel.observed, retail.panel.observed),
    ):
        assert list(mine) == list(other)
        for name in mine:
            np.testing.assert_array_equal(mine[name], other[name])
    pd.testing.assert_frame_equal(given.items, retail.items)
    pd.testing.assert_frame_equal(given.state.drop(columns="backorders"), retail.state)
    assert given.panel.freq == "W-MON"


def test_no_items_are_refused():
    with pytest.raises(FractileError, match="items must be >= 1"):
        retail_panel(items=0)
