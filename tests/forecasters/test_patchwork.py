"""The patchwork's parts against dense algebra, other libraries and demand made with known effects."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import nbinom, poisson

import fractile as fr
from fractile import FractileError, SalesPanel, check_forecaster, retail_panel
from fractile.forecasters.conformance import small_panel
from fractile.forecasters.patchwork.effects import (
    WHOLE_SPREAD,
    Evidence,
    Record,
    Spread,
    make_factors,
    pool,
    smoothing_kernel,
)
from fractile.forecasters.patchwork.forecaster import DistributionEngine, Patchwork, fit_engine, textbook_quantiles
from fractile.forecasters.patchwork.levels import Start, filter_levels, fit_launch_levels
from fractile.forecasters.patchwork.plan import Occasion, Plan, find_promotions, make_columns, make_plan, relative_price
from fractile.forecasters.patchwork.series import DRIFTS, Expected, SeriesOptions, fit_series, fit_unit, noise_of

DOCS = Path(fr.__file__).parent / "docs"
ALL = {"seasonal": True, "elasticity": True, "cold_start": True}


def panel_of(sales: np.ndarray, freq: str = "W-MON", **more) -> SalesPanel:
    true = np.ones(sales.shape, dtype=bool)
    dates = pd.date_range("2021-01-04", periods=sales.shape[1], freq=freq)
    return SalesPanel(sales.astype(float), true, true, dates, tuple(f"i{k}" for k in range(len(sales))), freq, **more)


def shop(items: int = 60, periods: int = 120, seed: int = 0) -> tuple[SalesPanel, dict[str, np.ndarray]]:
    """Demand with known effects: two categories with opposite seasons and elasticities −1 and −3."""
    rng = np.random.default_rng(seed)
    kind = np.arange(items) % 2
    cut = (rng.random((items, periods)) < 0.1) * rng.choice([0.2, 0.3], (items, periods))
    price = np.exp(rng.normal(1, 0.5, (items, 1))) * (1 - cut)
    day = pd.date_range("2021-01-04", periods=periods, freq="W-MON").dayofyear.to_numpy()
    season = 0.5 * np.cos(2 * np.pi * day / 365.25) * np.where(kind == 0, 1.0, -1.0)[:, None]
    elasticity = np.where(kind == 0, -1.0, -3.0)
    level = np.exp(rng.normal(2.5, 0.7, (items, 1)))
    mean = level * np.exp(season + elasticity[:, None] * np.log1p(-cut))
    sales = rng.negative_binomial(8, 8 / (8 + mean))
    names = [f"i{k}" for k in range(items)]
    static = pd.DataFrame({"colour": rng.choice(list("rgb"), items), "kind": [f"k{k}" for k in kind]}, index=names)
    panel = panel_of(sales, known={"price": price}, static=static)
    return panel, {"mean": mean, "kind": kind, "elasticity": elasticity}


def test_holidays_are_parted_where_they_lie_apart():
    """Christmas goes across the turn of the year; Easter moves by five weeks."""
    dates = pd.date_range("2021-01-04", periods=160, freq="W-MON")
    flag = dates.isin(
        pd.to_datetime(["2021-03-29", "2021-12-27", "2022-04-11", "2022-12-26", "2023-01-02", "2023-04-03"])
    )
    panel = panel_of(np.ones((2, 160)), known={"holiday": np.tile(flag, (2, 1)) * 1.0})
    plan = make_plan(panel, **ALL)
    columns = make_columns(panel, plan)[0, :, 2 * plan.harmonics :]
    assert columns.shape[1] == 2
    np.testing.assert_array_equal(columns.sum(axis=1), flag)
    assert {tuple(dates[column > 0].month.unique()) for column in columns.T} == {(3, 4), (12, 1)}


@pytest.mark.parametrize(
    ("freq", "periods", "expected"),
    [("W-MON", 59, (0, 0)), ("W-MON", 60, (3, 0)), ("D", 14, (0, 7)), ("D", 13, (0, 0)), ("MS", 24, (0, 12))],
)
def test_a_season_needs_a_history(freq: str, periods: int, expected: tuple[int, int]):
    plan = make_plan(panel_of(np.ones((2, periods)), freq), **ALL)
    assert (plan.harmonics, plan.phases) == expected
    off = make_plan(panel_of(np.ones((2, periods)), freq), seasonal=False, elasticity=True, cold_start=True)
    assert (off.harmonics, off.phases) == (0, 0)


def test_covariates_find_their_part():
    panel = small_panel()
    known = {**panel.known, "always": np.ones(panel.sales.shape), "change": panel.known["price"] - 5.0}
    plan = make_plan(replace(panel, known=known), **ALL)
    assert (plan.prices, plan.flags, plan.ages) == (("price",), ("promotion",), (4.0, 13.0))
    assert make_plan(panel.select([0, 1]), **ALL).ages == ()
    off = make_plan(panel, seasonal=True, elasticity=False, cold_start=False)
    assert (off.prices, off.flags, off.ages) == ((), (), ())


def test_a_plan_survives_its_state():
    plan = Plan(3, 0, (Occasion("holiday", 300, 90),), ("price",), ("promotion",), 13, (4.0, 13.0))
    assert Plan.from_config(plan.to_config()) == plan


def test_relative_price_by_hand():
    price = np.array([[10.0, 10, 8, 10, 12, 12, 12]])
    got = relative_price(panel_of(np.ones((1, 7)), known={"price": price}), "price", 3)
    np.testing.assert_allclose(np.exp(got[0]), [1, 1, 0.8, 1, 1.2, 1, 1])


def test_a_flag_has_an_effect_and_another_in_the_period_after_it():
    flag = np.array([[0.0, 1, 1, 0, 0, 1, 0]])
    columns = make_columns(panel_of(np.ones((1, 7)), known={"promotion": flag}), Plan(flags=("promotion",)))
    np.testing.assert_array_equal(columns[0].T, [flag[0], [0, 0, 0, 1, 0, 0, 1]])


def test_each_value_of_a_code_but_the_most_frequent_has_an_effect():
    grade = np.array([[2.0, 1, 2, 3, 2, 3, np.nan], [2, 1, 1, 2, 3, 2, 2]])
    panel = panel_of(np.ones((2, 7)), known={"grade": grade})
    plan = make_plan(panel, **ALL)
    assert plan.codes == (("grade", 1.0), ("grade", 3.0))
    assert make_plan(panel, seasonal=True, elasticity=False, cold_start=True).codes == ()
    np.testing.assert_array_equal(make_columns(panel, plan)[0].T, [[0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 1, 0]])
    assert Plan.from_config(json.loads(json.dumps(plan.to_config()))) == plan


def test_an_unknown_price_is_the_one_before_it():
    price = np.array([[10.0, 10, np.nan, 5, np.nan, 10], [np.nan] * 6])
    got = relative_price(panel_of(np.ones((2, 6)), known={"price": price}), "price", 3)
    np.testing.assert_allclose(np.exp(got), [[1, 1, 1, 0.5, 1, 2], [1] * 6])


def test_items_without_a_category_are_a_group_of_their_own():
    panel, _ = shop()
    bare = panel.static.assign(kind=np.where(np.arange(60) % 2 == 0, panel.static["kind"], None))
    series = fit_series(replace(panel, static=bare[["kind"]]), SeriesOptions(), 4)
    assert series.effects.attribute == ""
    static = panel.static.assign(kind=np.where(np.arange(60) < 6, None, panel.static["kind"]))
    series = fit_series(replace(panel, static=static), SeriesOptions(), 4)
    assert (series.effects.attribute, series.effects.labels) == ("kind", ("k0", "k1"))
    price = series.effects.effects.group[:, 2 * series.plan.harmonics]
    np.testing.assert_allclose(price[:2], [-1.0, -3.0], atol=0.4)
    assert len(price) == 3


def test_pooling_is_the_posterior_mean_of_the_whole_hierarchy():
    """Against the dense Gaussian over everyone, two categories and five items, two columns each."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 2, 2))
    evidence = Evidence(rng.normal(size=(5, 2)), root @ root.transpose(0, 2, 1))
    group, spread = np.array([0, 1, 0, 1, 1]), Spread(np.array([0.3, 0.1]), np.array([0.5, 0.2]))
    effects, _ = pool(evidence, group, spread)
    precision, vector = np.zeros((8, 2, 8, 2)), np.zeros((8, 2))
    precision[0, :, 0] += np.eye(2) / WHOLE_SPREAD**2
    links = [(1 + g, 0, spread.group) for g in range(2)] + [(3 + i, 1 + g, spread.item) for i, g in enumerate(group)]
    for child, parent, variance in links:
        for a, b, sign in ((child, child, 1), (parent, parent, 1), (child, parent, -1), (parent, child, -1)):
            precision[a, :, b] += sign * np.diag(1 / variance)
    for i in range(5):
        precision[3 + i, :, 3 + i] += evidence.precision[i]
        vector[3 + i] += evidence.vector[i]
    expected = np.linalg.solve(precision.reshape(16, 16), vector.ravel()).reshape(8, 2)
    np.testing.assert_allclose(np.concatenate([effects.whole[None], effects.group, effects.item]), expected)


def test_blurring_adds_variance_to_the_estimate():
    precision = np.array([[[4.0, 1.0], [1.0, 2.0]]])
    evidence = Evidence((precision @ np.array([1.0, -1.0])).reshape(1, 2), precision)
    blurred = evidence.blurred(np.array([0.5, 0.0]))
    np.testing.assert_allclose(np.linalg.inv(blurred.precision[0]), np.linalg.inv(precision[0]) + np.diag([0.5, 0]))
    np.testing.assert_allclose(np.linalg.solve(blurred.precision[0], blurred.vector[0]), [1.0, -1.0])


def test_effects_are_found_with_the_categories_that_make_them():
    panel, truth = shop()
    series = fit_series(panel, SeriesOptions(), 4)
    assert series.effects.attribute == "kind"
    price = series.effects.effects.group[:, 2 * series.plan.harmonics]
    # Both are drawn towards each other, and to zero.
    np.testing.assert_allclose(price, [-1.0, -3.0], atol=0.4)
    factor = make_factors(panel, series.plan, series.effects).past
    ratio = np.log(factor / truth["mean"])
    spread = (ratio - ratio.mean(axis=1, keepdims=True)).std()
    assert spread < 0.1 < np.log(truth["mean"]).std(axis=1).mean()


def test_new_items_have_the_effects_of_their_category():
    panel, _ = shop()
    series = fit_series(panel.select(np.arange(40)), SeriesOptions(), 4)
    own = series.effects.of(panel)
    np.testing.assert_array_equal(own[:40], series.effects.effects.item)
    np.testing.assert_array_equal(own[40:], series.effects.effects.group[np.arange(40, 60) % 2])
    stranger = replace(panel, static=panel.static.assign(kind="other"))
    np.testing.assert_array_equal(series.effects.of(stranger)[59], series.effects.effects.whole)
    bare = replace(panel, static=pd.DataFrame())
    np.testing.assert_array_equal(series.effects.of(bare)[59], series.effects.effects.whole)


def test_drift_that_looks_like_a_season_is_as_large_as_is_said():
    """Random walks of 104 weeks, regressed on a wave: the estimate varies by about 4 q / (n ω²)."""
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(0, 0.1, (4000, 104)), axis=1)
    walk -= walk.mean(axis=1, keepdims=True)
    wave = np.cos(2 * np.pi * 2 * np.arange(104) / 52)
    estimate = walk @ wave / (wave**2).sum()
    record = fit_record(104)
    said = noise_of(Plan(harmonics=3), record, 0.01)
    assert 0.5 < (estimate**2).mean() / said[2] < 1.5
    np.testing.assert_allclose(said[[0, 2, 4]] / said[0], [1, 1 / 4, 1 / 9])


def fit_record(periods: int):
    ones = np.ones((2, periods))
    return Record(ones, ones, np.zeros((2, periods, 6)), smoothing_kernel(periods, 20.0))


def test_a_sale_moves_the_level_to_the_posterior_mode():
    start = Start(np.array([np.log(5.0)]), np.array([0.2]), 0.4)
    levels = filter_levels(np.array([[9.0]]), np.ones((1, 1)), np.array([[1.5]]), start, 0.0)

    def against(log_level: float) -> float:
        mean = 1.5 * np.exp(log_level)
        return (log_level - np.log(5.0)) ** 2 / 0.4 - nbinom.logpmf(9, 1 / 0.4, 1 / (1 + 0.4 * mean))

    assert levels.log_level[0, 1] == pytest.approx(minimize_scalar(against, bounds=(0, 4)).x, abs=1e-3)


def test_levels_settle_on_the_mean_and_weigh_what_they_know():
    rng = np.random.default_rng(2)
    mean = np.array([0.3, 3.0, 30.0])[np.arange(300) % 3]
    sales = rng.poisson(mean[:, None], (300, 200)).astype(float)
    start = Start(np.zeros(300), np.full(300, 2.0), 0.1)
    levels = filter_levels(sales, np.ones(sales.shape), np.ones(sales.shape), start, 0.0)
    for k in range(3):
        found = np.exp(levels.log_level[k::3, -1])
        assert found.mean() == pytest.approx(mean[k], abs=4 * np.sqrt(mean[k] / (200 * 100)))
    variance = levels.variance[:, -1].reshape(100, 3).mean(axis=0)
    assert variance[0] > 5 * variance[1] > 5 * variance[2]
    assert levels.dispersion[2::3, -1].mean() < 0.05


def test_a_period_that_says_nothing_leaves_the_level_and_widens_it():
    sales, known = np.full((1, 30), 8.0), np.ones((1, 30))
    known[0, 20:] = 0
    start = Start(np.log([8.0]), np.array([0.1]), 0.1)
    levels = filter_levels(sales * 5, known, np.ones(sales.shape), start, 0.01)
    np.testing.assert_array_equal(levels.log_level[0, 20:], levels.log_level[0, 20])
    np.testing.assert_allclose(np.diff(levels.variance[0, 20:]), 0.01)


def test_dispersion_is_found():
    rng = np.random.default_rng(3)
    true = np.array([0.1, 1.0, 3.0])[np.arange(600) % 3]
    sales = rng.negative_binomial(1 / true[:, None], 1 / (1 + true[:, None] * 10), (600, 300)).astype(float)
    start = Start(np.full(600, np.log(10.0)), np.full(600, 0.05), 0.5)
    levels = filter_levels(sales, np.ones(sales.shape), np.ones(sales.shape), start, 0.0)
    found = np.median(levels.dispersion[:, -1].reshape(200, 3), axis=0)
    np.testing.assert_allclose(found, [0.1, 1.0, 3.0], rtol=0.25)


def test_one_absurd_sale_does_not_carry_the_level_away():
    sales = np.full((1, 60), 10.0)
    start = Start(np.log([10.0]), np.array([0.05]), 0.1)
    sales[0, 50] = 5000
    levels = filter_levels(sales, np.ones(sales.shape), np.ones(sales.shape), start, 0.002)
    assert np.exp(levels.log_level[0, 51]) < 14


def test_launch_levels_follow_attributes_and_price():
    rng = np.random.default_rng(4)
    static = pd.DataFrame({"kind": rng.choice(["a", "b"], 200), "noise": rng.choice(list("xyz"), 200)})
    price = rng.normal(0, 1, 200)
    log_level = np.where(static["kind"] == "a", 1.0, 4.0) - 0.8 * price + rng.normal(0, 0.3, 200)
    levels = fit_launch_levels(log_level, np.full(200, 50.0), static, price)
    new = pd.DataFrame({"kind": ["a", "b", "unheard of"], "noise": ["x", "y", "z"]})
    got = levels.of(new, np.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(got[:2], [1.0, 3.2], atol=0.2)
    assert 1.5 < got[2] < 3.5
    assert levels.variance == pytest.approx(0.09 + 0.1, rel=0.25)


def test_attributes_that_say_nothing_are_left_out():
    rng = np.random.default_rng(5)
    static = pd.DataFrame({"noise": rng.choice(list("uvwxyz"), 40)})
    log_level = rng.normal(2, 1, 40)
    levels = fit_launch_levels(log_level, np.full(40, 50.0), static, rng.normal(0, 1, 40))
    assert np.abs(levels.weights).max() < 0.2
    assert levels.variance == pytest.approx(1.1, rel=0.5)


def launching(items: int = 80, periods: int = 80) -> SalesPanel:
    """Items that sell 40 or 4 a week by category, and start at a fifth of it for some weeks."""
    rng = np.random.default_rng(6)
    first = np.where(np.arange(items) < 60, rng.integers(1, 60, items), 79)
    age = np.arange(periods) - first[:, None]
    mean = np.where(np.arange(items) % 2 == 0, 40.0, 4.0)[:, None] * (1 - 0.8 * np.exp(-np.maximum(age, 0) / 4))
    listed = age >= 0
    static = pd.DataFrame({"kind": [f"k{k % 2}" for k in range(items)]}, index=[f"i{k}" for k in range(items)])
    panel = panel_of(np.where(listed, rng.poisson(mean), 0), static=static)
    return replace(panel, listed=listed)


def test_an_item_without_a_history_starts_as_others_of_its_kind_did():
    panel = launching()
    series = fit_series(panel.until(70), SeriesOptions(), 8)
    expected = series.expected(panel.extended(np.zeros((80, 8))), np.array([70]), 8).point[60:, 0]
    curve = 1 - 0.8 * np.exp(-np.arange(8) / 4)
    np.testing.assert_allclose(expected[::2].mean(axis=0), 40 * curve, rtol=0.3)
    np.testing.assert_allclose(expected[1::2].mean(axis=0), 4 * curve, rtol=0.3)
    off = fit_series(panel.until(70), SeriesOptions(cold_start=False), 8)
    assert off.expected(panel.extended(np.zeros((80, 8))), np.array([70]), 8).point[60:].max() < 1e-3


def test_the_own_history_of_an_item_takes_over():
    """New items sell 100 a week where those of their kind sell 40 in the end."""
    panel = launching()
    sales = np.where(panel.listed, 100.0, 0.0)
    sales[:60] = panel.sales[:60]
    panel = replace(panel, sales=sales).extended(np.full((80, 20), 100.0))
    series = fit_series(panel.until(79), SeriesOptions(), 4)
    before, after, late = series.expected(panel, np.array([79, 81, 96]), 4).point[60::2, :, 0].mean(axis=0)
    assert 2 * before < 40 < after
    assert late == pytest.approx(100, rel=0.1)


def test_the_unit_of_demand_is_found():
    rng = np.random.default_rng(7)
    mean = np.exp(rng.uniform(0, 3, 80))
    sales = 0.1 * rng.negative_binomial(5, 5 / (5 + mean[:, None] * 10), (80, 100)) * 1.0
    assert fit_unit(panel_of(sales, "D")) == pytest.approx(0.1, rel=0.6)
    assert fit_series(panel_of(np.round(10 * sales), "D"), SeriesOptions(), 2).unit == 1.0


@pytest.mark.parametrize("drift", [DRIFTS[1], DRIFTS[-2]])
def test_the_drift_of_levels_is_found(drift: float):
    rng = np.random.default_rng(8)
    log_level = 3 + np.cumsum(rng.normal(0, np.sqrt(drift), (200, 120)), axis=1)
    series = fit_series(panel_of(rng.poisson(np.exp(log_level)), "D"), SeriesOptions(seasonal=False), 1)
    assert drift / 4 <= series.drift <= 4 * drift


def expected_of(point: np.ndarray, dispersion: np.ndarray, cut: np.ndarray | None = None) -> Expected:
    cut = np.zeros(point.shape, dtype=bool) if cut is None else cut
    return Expected(point, point, dispersion, cut)


def test_the_engine_tells_steady_items_from_lumpy_ones():
    """Negative binomial demand of dispersion 0.05 and 2 at the same means; promotions twice as wide."""
    rng = np.random.default_rng(9)
    point = np.exp(rng.uniform(2, 4, (200, 40, 2)))
    dispersion = np.where(np.arange(200) % 2 == 0, 0.05, 2.0)[:, None] * np.ones((200, 40))
    cut = rng.random(point.shape) < 0.2
    size = 1 / (dispersion[..., None] * (1 + cut))
    actual = rng.negative_binomial(size, size / (size + point)).astype(float)
    engine = fit_engine(expected_of(point, dispersion, cut), actual)
    assert len(engine.classes) == len(engine.edges) + 2
    levels = np.array([0.1, 0.5, 0.9])
    got = engine.quantiles(expected_of(point, dispersion, cut), levels)
    for chosen in (~cut & (size > 1), ~cut & (size < 1), cut):
        # Counts: the level must lie within the jump of the share covered.
        low, high = ((actual[..., None] + half <= got)[chosen].mean(axis=0) for half in (0.5, -0.5))
        assert ((low - 0.03 <= levels) & (levels <= high + 0.03)).all()
    steady, lumpy = (np.diff(got[k::2, ..., [0, 2]])[~cut[k::2]].mean() for k in (0, 1))
    assert lumpy > 2 * steady
    again = DistributionEngine.from_arrays(engine.arrays())
    np.testing.assert_array_equal(again.quantiles(expected_of(point, dispersion, cut), levels), got)


def test_the_engine_makes_do_with_little():
    point, dispersion = np.full((3, 2, 2), 5.0), np.ones((3, 2))
    engine = fit_engine(expected_of(point, dispersion), np.full(point.shape, np.nan))
    assert len(engine.classes) == 1
    assert np.isfinite(engine.quantiles(expected_of(point, dispersion), np.array([0.1, 0.9]))).all()


def test_textbook_quantiles():
    point, levels = np.array([0.2, 5.0, 40.0]), np.array([0.1, 0.5, 0.9])
    got = textbook_quantiles(point, 1.0, levels, whole=True)
    np.testing.assert_array_equal(got, poisson.ppf(levels, point[:, None]))
    got = textbook_quantiles(point, 0.5, levels, whole=False)
    np.testing.assert_allclose(got[2], 40 + np.array([-1, 0, 1]) * 1.2815516 * np.sqrt(20))
    assert got.min() == 0


@pytest.mark.parametrize(
    "options",
    [
        {"base": "ets"},
        {"seasonal": False, "elasticity": False, "cold_start": False, "distribution": False},
        {"base": "ets", "cold_start": False},
    ],
)
def test_every_make_keeps_the_contract(options: dict):
    check_forecaster(lambda: Patchwork(horizon=6, **options))


def test_fractional_demand_keeps_the_contract():
    panel = small_panel()
    panel = replace(panel, sales=panel.sales * 0.37)
    check_forecaster(lambda: Patchwork(horizon=6), panel)
    check_forecaster(lambda: Patchwork(horizon=6, distribution=False), panel)


def test_counted_demand_is_forecast_in_whole_units():
    panel = small_panel()
    whole = Patchwork(horizon=6).fit(panel).predict(panel, 6).values
    np.testing.assert_array_equal(whole, np.round(whole))
    half = replace(panel, sales=panel.sales / 2)
    assert (Patchwork(horizon=6).fit(half).predict(half, 6).values % 0.5).max() > 0


def test_a_promotion_ahead_raises_the_forecast_and_an_absurd_price_does_not_explode_it():
    panel, _ = shop()
    forecaster = Patchwork(horizon=4).fit(panel)
    dates = pd.date_range(panel.dates[-1], periods=5, freq=panel.freq)[1:]
    regular = panel.known["price"].max(axis=1)

    def medians(share: float) -> np.ndarray:
        rows = [(i, day, share * p) for i, p in zip(panel.item_ids, regular, strict=True) for day in dates]
        future = pd.DataFrame(rows, columns=["item_id", "date", "price"])
        return forecaster.predict(panel, 4, [0.5, 0.9], future=future).values[..., 0].sum(axis=(1, 2))

    usual, cut = medians(1.0), medians(0.7)
    lift = [cut[k::2].sum() / usual[k::2].sum() for k in (0, 1)]
    np.testing.assert_allclose(lift, [0.7**-1.0, 0.7**-3.0], rtol=0.2)
    assert (medians(1e-6) / usual).max() < 1.2 * np.exp(2.5)


def test_a_panel_without_the_covariates_of_the_fit_is_forecast():
    panel, _ = shop()
    forecaster = Patchwork(horizon=4).fit(panel)
    bare = forecaster.predict(replace(panel, known={}, static=pd.DataFrame()), 4)
    assert np.isfinite(bare.values).all()
    assert not find_promotions(replace(panel, known={}), make_plan(panel, **ALL)).any()


def test_the_day_of_week_is_forecast():
    rng = np.random.default_rng(10)
    share = np.array([0.6, 0.7, 0.8, 0.9, 1.2, 1.6, 1.2])
    mean = np.exp(rng.normal(3, 0.5, (40, 1))) * share[np.arange(97) % 7]
    panel = panel_of(rng.poisson(mean), "D")
    forecast = Patchwork(horizon=7).fit(panel.until(90)).predict(panel, 7, [0.5, 0.9], origins=[90])
    got = forecast.values[:, 0, :, 0].sum(axis=0)
    np.testing.assert_allclose(got, mean[:, 90:].sum(axis=0), rtol=0.08)


def test_the_base_is_checked():
    with pytest.raises(FractileError, match="base must be 'level' or 'ets', got 'arima'"):
        Patchwork(base="arima")


def docs_script():
    spec = importlib.util.spec_from_file_location("docs_patchwork", DOCS / "patchwork.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(table: str) -> dict[str, list[float]]:
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {row[0]: [float(cell.strip("*").replace(",", "")) for cell in row[1:]] for row in rows if "0." in row[1]}


def test_the_page_shows_that_each_add_on_helps_where_it_is_meant_to():
    shown = numbers((DOCS / "patchwork.md").read_text(encoding="utf-8"))
    assert list(shown) == list(docs_script().ROWS)
    full, season, price, cold, engine, bare, *_, ets = shown.values()
    assert min(season[1] / full[1], price[2] / full[2], cold[3] / full[3]) > 1.05
    assert all(loss > best for loss, best in zip(engine, full, strict=True))
    assert full[0] < 0.85 * ets[0] < ets[0] < bare[0]


@pytest.mark.slow
def test_the_page_shows_what_is_measured():
    module = docs_script()
    text = (DOCS / "patchwork.md").read_text(encoding="utf-8")
    measured, shown = numbers(module.table()), numbers(text)
    assert list(measured) == list(shown)
    for title, losses in measured.items():
        np.testing.assert_allclose(losses, shown[title], atol=0.003)
    assert module.renewed(text, module.table(rows={}, seeds=1)).count("| patchwork |") == 1


def test_patchwork_beats_smoothing_by_a_fifth_where_effects_are_large():
    panel = retail_panel(items=120).panel
    levels, origins = np.arange(1, 10) / 10, [109, 117, 125]
    loss = {}
    for name in ("ets", "patchwork"):
        forecaster = fr.make_forecaster(name, horizon=8).fit(panel.until(109))
        loss[name] = fr.scores.mean_weighted_quantile_loss(forecaster.predict(panel, 8, levels, origins=origins), panel)
    assert loss["patchwork"] < 0.85 * loss["ets"]
