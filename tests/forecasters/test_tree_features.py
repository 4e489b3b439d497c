"""Features and training rows of trees: by hand, and with nothing of the future in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fractile import SalesPanel
from fractile.forecasters.base import targets_of
from fractile.forecasters.censoring import History
from fractile.forecasters.conformance import disturb, small_panel
from fractile.forecasters.features.history import OFFSET, running_means
from fractile.forecasters.features.season import fit_season_index, seasons_ago
from fractile.forecasters.trees.features import FeaturePlan, build_features, feature_blocks, plan_features
from fractile.forecasters.trees.forecaster import TreeConfig, training_blocks, training_rows


def panel_of(sales, in_stock=None, freq="W-MON", **options) -> SalesPanel:
    sales = np.asarray(sales, dtype=float)
    in_stock = np.ones(sales.shape, dtype=bool) if in_stock is None else np.asarray(in_stock, dtype=bool)
    dates = pd.date_range("2021-01-04", periods=sales.shape[1], freq=freq)
    names = tuple(f"i{k}" for k in range(len(sales)))
    return SalesPanel(sales, in_stock, np.ones(sales.shape, dtype=bool), dates, names, freq, **options)


def features_of(panel: SalesPanel, origins, horizon: int, plan: FeaturePlan | None = None) -> dict[str, np.ndarray]:
    """Return every feature as (items, origins, horizon)."""
    plan = plan or plan_features(panel, horizon)
    longer = panel.extended(np.zeros((panel.items, horizon)))
    block = build_features(longer, plan, np.asarray(origins), horizon)
    table = block.matrix().reshape(*block.shape, -1)
    return {name: table[..., k] for k, name in enumerate(block.names)}


def daily_panel(items: int = 6, periods: int = 60) -> SalesPanel:
    rng = np.random.default_rng(3)
    return replace(
        small_panel(items, periods),
        sales=rng.poisson(4.0 + 3.0 * (np.arange(periods) % 7 == 5), (items, periods)).astype(float),
        dates=pd.date_range("2024-01-01", periods=periods, freq="D"),
        freq="D",
    )


@pytest.mark.parametrize("panel", [small_panel(), small_panel(periods=130), daily_panel()])
@pytest.mark.parametrize("origin", [1, 30, 48])
def test_features_hold_nothing_of_the_future(panel: SalesPanel, origin: int):
    horizon = 6
    plan = plan_features(panel, horizon)
    other = disturb(panel, origin, horizon)
    expected = build_features(panel, plan, np.array([origin]), horizon)
    got = build_features(other, plan, np.array([origin]), horizon)
    np.testing.assert_array_equal(got.matrix(), expected.matrix())
    np.testing.assert_array_equal(got.scale, expected.scale)


def test_a_step_reads_known_covariates_no_further_than_its_own_period():
    panel, horizon, origin = small_panel(), 6, 40
    plan = plan_features(panel, horizon)
    expected = build_features(panel, plan, np.array([origin]), horizon).matrix().reshape(panel.items, horizon, -1)
    other = disturb(panel, origin, 3)
    got = build_features(other, plan, np.array([origin]), horizon).matrix().reshape(expected.shape)
    np.testing.assert_array_equal(got[:, :3], expected[:, :3])
    assert not np.array_equal(got[:, 3:], expected[:, 3:], equal_nan=True)


def test_past_sales_by_hand():
    known = [[True, True, True, False, True, True]]
    panel = panel_of([[4, 0, 2, 99, 6, 1]], known)
    got = features_of(panel, [6], 1)
    level = np.average([4, 0, 2, 6, 1], weights=[0.2] * 5)  # fewer periods than 1 / 0.12: a plain mean
    expected = {
        "mean_1": np.log((1 + OFFSET) / (level + OFFSET)),
        "mean_2": np.log((3.5 + OFFSET) / (level + OFFSET)),
        "mean_4": np.log((3 + OFFSET) / (level + OFFSET)),
        "informative_4": 0.75,
        "zeros_13": 0.2,
        "spread_13": np.std([4, 0, 2, 6, 1]) / (level + OFFSET),
        "since_sale": 1,
        "since_stockout": 3,
        "seen": 5,
        "age": 6,
        "level": np.log(level + OFFSET),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(got[name][0, 0, 0], value, rtol=1e-6, err_msg=name)


def test_the_quick_level_forgets_three_times_as_fast():
    got = features_of(panel_of([[4, 0, 2, 99, 6, 1]], [[True, True, True, False, True, True]]), [6], 1)
    quick = 2.0  # the first three: 4, then half of 4 and 0, then 0.36 of 2
    for sold in (6.0, 1.0):
        quick = 0.64 * quick + 0.36 * sold
    np.testing.assert_allclose(got["quick"][0, 0, 0], np.log((quick + OFFSET) / (13 / 5 + OFFSET)), rtol=1e-6)


def test_what_is_missing_is_nan():
    panel = panel_of([[3, 1, 4, 1, 5, 9]], [[True, True, True, True, False, False]])
    got = features_of(panel, [6], 2)
    assert np.isnan(got["mean_1"]).all()
    assert np.isnan(got["mean_2"]).all()
    assert np.isfinite(got["mean_4"]).all()


def test_covariates_by_hand():
    price = np.array([[10.0, 10, 10, 8, 10, 5, 10, 8, 9, 7]])
    price = np.concatenate([price, price * 1.3])
    known = np.ones((2, 10), dtype=bool)
    known[0, 3] = False
    views = np.array([[0.0, 1, 3, 7, 15, 31, 63, 5, 5, 5]] * 2)
    panel = panel_of(np.full((2, 10), 2.0), known, known={"price": price}, observed={"views": views})
    got = {name: table[0, 0] for name, table in features_of(panel, [6], 3).items()}
    log = np.log(price[0])
    level = log[[0, 1, 2, 4, 5]].mean()
    np.testing.assert_allclose(got["price:against_level"], log[6:9] - level, rtol=1e-5)
    np.testing.assert_allclose(got["price:against_year"], log[6:9] - log[:6].mean(), rtol=1e-5)
    np.testing.assert_allclose(got["price:step"], log[6:9] - log[5:8], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(got["price:between"], [np.nan, log[6] - level, log[6:8].mean() - level], rtol=1e-5)
    np.testing.assert_allclose(got["price:recent"], log[2:6].mean() - level, rtol=1e-5)
    views = np.log1p(views[0])
    np.testing.assert_allclose(got["views:base"], views[:6].mean(), rtol=1e-6)
    np.testing.assert_allclose(got["views:lag_2"], views[4] - views[:6].mean(), rtol=1e-6)


def test_a_covariate_that_an_item_lacks_is_missing_and_spoils_nothing():
    values = np.ones((3, 40))
    values[1] = np.nan
    values[0, 20] = np.nan
    values[:, ::3] *= 2.0
    rng = np.random.default_rng(0)
    panel = panel_of(rng.poisson(3.0, (3, 40)), known={"depth": values})
    got = features_of(panel, [30], 2)
    lacking = [name for name in got if name.startswith("depth:")]
    assert all(np.isnan(got[name][1]).all() for name in lacking)
    assert np.isfinite(got["depth:against_level"][[0, 2]]).all()
    assert np.isfinite(got["mean_13"]).all()


def test_running_means_share_their_weights():
    known = np.array([[1.0, 0.0, 1.0, 1.0]])
    series = np.array([[[4.0, 50.0, 8.0, 3.0]], [[np.nan, 1.0, 1.0, 2.0]]])
    means = running_means(known, series, 0.4)
    # Weights 1, then 1/2, then 0.4 of the newest; the second series lacks its first value.
    np.testing.assert_allclose(means[0, 0], [np.nan, 4, 4, 6, 0.6 * 6 + 0.4 * 3])
    np.testing.assert_allclose(means[1, 0], [np.nan, np.nan, np.nan, 1, (0.3 * 1 + 0.4 * 2) / 0.7])


def test_a_holiday_that_moves_is_found_where_it_was():
    flags = np.zeros((1, 60))
    flags[0, [10, 11]] = 1.0
    flags[0, [65 - 52 + 42, 56]] = 1.0  # three weeks later in the year: 55 and 56, not 62 and 63
    panel = panel_of(np.ones((1, 60)))
    source = seasons_ago(panel, [flags], 48, 4)[0]
    assert source[55] == 10
    assert source[56] == 11
    assert source[58] == 9  # 58 − 48 = 10 was a holiday, 58 is none
    assert source[59] == 12
    assert source[54] == 6
    np.testing.assert_array_equal(seasons_ago(panel, [], 48, 4)[0, 48:], np.arange(12))


def test_the_season_index_pools_a_category():
    weeks = np.arange(104)
    factor = np.where(weeks % 52 == 20, 3.0, 1.0)
    sales = np.concatenate([np.tile(10.0 * factor, (50, 1)), np.full((50, 104), 5.0)])
    panel = panel_of(sales)
    groups = {"": np.zeros(100, dtype=int), "kind": np.repeat([0, 1], 50)}
    index = fit_season_index(panel, groups, 52, 8)
    codes = np.array([0, 1, -1])
    got = np.exp(index.at("kind", codes, panel.dates))
    # Four average items draw each category to all: (50 · 30 + 4 · share) / (50 · mean + 4 · mean of all).
    assert got[0, 72] == pytest.approx(2.9, abs=0.15)
    assert got[1, 72] == pytest.approx(1.0, abs=0.15)
    np.testing.assert_allclose(got[2], np.exp(index.values[""][0]))
    later = pd.date_range("2030-01-07", periods=2, freq="W-MON")
    assert np.isnan(index.at("kind", codes, later)).all()


def test_last_years_sales_are_held_against_their_surroundings():
    weeks = np.arange(120)
    panel = panel_of(np.where(weeks % 52 == 20, 40.0, 10.0)[None])
    got = features_of(panel, [70], 4)
    # Three weeks around week 20: 10, 40, 10; their year begins with the panel and ends 26 weeks later.
    around = np.array([(10 * n + 30) / n for n in (19 + 26, 20 + 26, 21 + 26)])
    np.testing.assert_allclose(got["season_52:1"][0, 0, 1:4], np.log(20.2 / (around + OFFSET)), rtol=1e-5)
    assert got["season_52:1"][0, 0, 0] < 0
    assert np.isnan(got["season_52:2"]).all()


def test_blocks_of_items_make_no_difference(monkeypatch: pytest.MonkeyPatch):
    import fractile.forecasters.trees.features as module

    panel = small_panel()
    plan = plan_features(panel, 4)
    origins = np.array([20, 40])
    whole = [block.matrix() for _, block in feature_blocks(panel, plan, origins, 4)]
    monkeypatch.setattr(module, "CELLS", 17)
    parts = [block.matrix() for _, block in feature_blocks(panel, plan, origins, 4)]
    assert len(whole) == 1
    assert len(parts) == 5
    np.testing.assert_array_equal(np.concatenate(parts), whole[0])


def test_rows_are_all_known_targets_over_the_items_level():
    panel = small_panel()
    config = TreeConfig(horizon=3)
    plan = plan_features(panel, 3)
    rows = training_rows(History.of(panel, "mask"), plan, config)
    origins = np.arange(panel.periods)
    demand = targets_of(panel, origins, 3)
    assert len(rows.target) == np.isfinite(demand).sum()
    longer = panel.extended(np.zeros((panel.items, 3)))
    scale = build_features(longer, plan, origins, 3).scale
    ratio = demand / scale[..., None]
    np.testing.assert_allclose(rows.target, ratio[np.isfinite(ratio)])
    np.testing.assert_allclose(rows.weight, np.broadcast_to(scale[..., None], ratio.shape)[np.isfinite(ratio)] ** 0.4)


def test_no_more_rows_than_wanted_and_the_same_each_time():
    panel = small_panel(items=40)
    plan = plan_features(panel, 6)
    history, config = History.of(panel, "mask"), TreeConfig(horizon=6, most_rows=1000)
    few, again = (training_rows(history, plan, config) for _ in range(2))
    np.testing.assert_array_equal(few.features, again.features)
    assert 800 < len(few.target) < 1200
    other = training_rows(History.of(panel, "mask"), plan, TreeConfig(horizon=6, most_rows=1000, seed=1))
    assert not np.array_equal(few.target[:50], other.target[:50])


def test_the_plan_survives_json():
    panel = small_panel()
    plan = plan_features(panel, 6)
    again = FeaturePlan.from_state(plan.to_config(), plan.arrays())
    assert again.to_config() == plan.to_config()
    assert plan.categories == {"group": ("g0", "g1", "g2")}
    assert {c.name: c.kind for c in (*plan.known, *plan.observed)} == {
        "price": "price",
        "promotion": "flag",
        "views": "counts",
    }
    np.testing.assert_array_equal(again.index.at("group", np.arange(3), panel.dates), plan.index.values["group"])


def test_numbers_are_numbers_and_names_are_no_categories():
    panel = small_panel()
    static = panel.static.assign(size=np.arange(10), article=[f"a{i}" for i in range(10)], shop="one")
    plan = plan_features(replace(panel, static=static), 4)
    assert list(plan.categories) == ["group"]
    assert plan.numeric == ("size",)


def test_only_covariates_that_all_items_share_are_a_calendar():
    rng = np.random.default_rng(0)
    flags = np.tile(rng.random((1, 40)) < 0.2, (3, 1)).astype(float)
    own = (rng.random((3, 40)) < 0.2).astype(float)
    plan = plan_features(panel_of(rng.poisson(3, (3, 40)), known={"holiday": flags, "promotion": own}), 4)
    assert {c.name: c.calendar for c in plan.known} == {"holiday": True, "promotion": False}


def test_rows_of_blocks_are_joined_in_order(monkeypatch: pytest.MonkeyPatch):
    import fractile.forecasters.trees.forecaster as module

    panel, config = small_panel(), TreeConfig(horizon=3)
    plan = plan_features(panel, 3)
    whole = training_rows(History.of(panel, "mask"), plan, config)
    monkeypatch.setattr(module, "CELLS", 500)
    parts = list(training_blocks(History.of(panel, "mask"), plan, config))
    assert len(parts) > 2
    np.testing.assert_array_equal(np.concatenate([part.target for part in parts]), whole.target)
    np.testing.assert_array_equal(training_rows(History.of(panel, "mask"), plan, config).target, whole.target)
