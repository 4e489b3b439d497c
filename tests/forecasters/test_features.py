"""One rule for the kinds of attributes and covariates, and that every family of forecasters reads what it keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fractile import SalesPanel, make_forecaster
from fractile.forecasters.conformance import small_panel
from fractile.forecasters.features.history import SalesSums
from fractile.forecasters.features.kinds import (
    classify_attributes,
    classify_covariates,
    codes_of,
    fill_gaps,
    frequent_labels,
)
from fractile.forecasters.networks.inputs import plan_inputs, seasonal_lag

FAMILIES = {
    "lightgbm": {"trees": 12, "leaves": 60, "fewest": 5, "features": 1.0, "levels": (0.3, 0.7), "learning_rate": 0.3},
    "random_forest": {"trees": 8, "leaves": 200, "fewest": 5, "features": 0.8},
    "quantile_forest": {"trees": 8, "leaves": 200, "fewest": 5, "features": 0.8},
    "sqrf": {"trees": 8, "leaves": 200, "fewest": 5, "features": 0.8, "groups": 1},
    "patchwork": {},
    "mqcnn": {"steps": 10, "width": 16},
}
ITEMS, PERIODS = 160, 40


def launches_by_attributes() -> tuple[SalesPanel, dict[str, bool]]:
    """Items that are launched one after another at levels which their attributes decide, and which of them do."""
    rng = np.random.default_rng(0)
    rank = {name: rng.permutation(ITEMS) / (ITEMS - 1) for name in "abcdefg"}
    missing = rng.random(ITEMS) < 0.1
    static = pd.DataFrame(
        {
            "many whole numbers": (40 + 9000 * rank["a"]).astype(int),
            "few whole numbers": (5 * rank["b"]).astype(int),
            "whole numbers with gaps": np.where(missing, np.nan, np.floor(4000 * rank["c"])),
            "text": np.array(list("vwxyz"))[(4.99 * rank["d"]).astype(int)],
            "text of many values": [f"v{k:02d}" for k in (79.99 * rank["e"]).astype(int)],
            "flag as a float": np.round(rank["f"]),
            "amount": rank["g"] + 0.001,
            "constant": 7,
            "constant with gaps": np.where(missing, None, "one"),
            "name": [f"n{k}" for k in rng.permutation(ITEMS)],
            "empty": np.nan,
        },
        index=[f"i{k}" for k in range(ITEMS)],
    )
    kept = {name: k < 7 for k, name in enumerate(static)}
    first = np.where(np.arange(ITEMS) % 4 == 3, PERIODS, rng.integers(0, PERIODS - 4, ITEMS))
    listed = np.arange(PERIODS) >= first[:, None]
    level = np.exp(1.0 + 1.5 * sum(rank.values()) - 3.0)
    sales = np.where(listed, rng.poisson(level[:, None], listed.shape), 0).astype(float)
    dates = pd.date_range("2024-01-01", periods=PERIODS, freq="D")
    return SalesPanel(sales, np.ones_like(listed), listed, dates, tuple(static.index), "D", static=static), kept


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_reads_every_attribute_that_is_kept_and_no_other(family: str):
    panel, kept = launches_by_attributes()
    forecaster = make_forecaster(family, horizon=2, **FAMILIES[family]).fit(panel)
    values = forecaster.predict(panel, 2).values
    order = np.random.default_rng(1).permutation(ITEMS)
    for name, matters in kept.items():
        shuffled = panel.static.assign(**{name: panel.static[name].to_numpy()[order]})
        other = forecaster.predict(replace(panel, static=shuffled), 2).values
        assert np.array_equal(other, values) != matters, name
    retyped = panel.static.astype({"few whole numbers": float, "flag as a float": int, "text": "category"})
    np.testing.assert_array_equal(forecaster.predict(replace(panel, static=retyped), 2).values, values)


@pytest.mark.parametrize("family", ["lightgbm", "quantile_forest", "patchwork"])
def test_many_whole_numbers_decide_the_level_of_new_items(family: str):
    panel, _ = launches_by_attributes()
    static = panel.static[["many whole numbers"]]
    rank = static["many whole numbers"].rank(pct=True).to_numpy()
    sales = np.where(panel.listed, np.random.default_rng(2).poisson(40 * rank[:, None] + 1, panel.sales.shape), 0.0)
    panel = replace(panel, static=static, sales=sales.astype(float))
    median = make_forecaster(family, horizon=2, **FAMILIES[family]).fit(panel).predict(panel, 2).quantile(0.5)
    new = ~panel.listed.any(axis=1)
    small, large = (median[new & where].mean() for where in (rank < 0.3, rank > 0.7))
    assert large > 2.5 * small


def kinds_of(static: pd.DataFrame) -> dict[str, str]:
    return {name: kind for name, (kind, _) in classify_attributes(static).items()}


def test_the_kinds_of_attributes():
    panel, kept = launches_by_attributes()
    attributes = classify_attributes(panel.static)
    assert kinds_of(panel.static) == {
        "many whole numbers": "number",
        "few whole numbers": "code",
        "whole numbers with gaps": "number",
        "text": "category",
        "text of many values": "category",
        "flag as a float": "code",
        "amount": "number",
    }
    assert list(attributes) == [name for name, matters in kept.items() if matters]
    assert attributes["few whole numbers"].labels == ("0", "1", "2", "3", "4", "5")
    static = pd.DataFrame(
        {"gaps": [1.0, np.nan, 2.0, 1.0, 2.0, 2.0], "half": [0.5, 1.0, 2.0] * 2, "yes": [True, False] * 3}
    )
    assert {n: k for n, (k, _) in classify_attributes(static).items()} == {
        "gaps": "code",
        "half": "number",
        "yes": "category",
    }
    np.testing.assert_array_equal(codes_of(static, "gaps", ("1", "2")), [0, -1, 1, 0, 1, 1])


def test_sixty_whole_numbers_are_codes_and_sixty_one_a_number():
    static = pd.DataFrame({"sixty": np.arange(200) % 60, "more": np.arange(200) % 61})
    assert {name: kind for name, (kind, _) in classify_attributes(static).items()} == {
        "sixty": "code",
        "more": "number",
    }


def test_the_kinds_of_covariates():
    panel = small_panel()
    rng, shape = np.random.default_rng(0), panel.sales.shape
    week = np.tile(rng.integers(0, 3, shape[1]), (shape[0], 1)).astype(float)
    known = {
        "always": np.ones(shape),
        "change": rng.normal(size=shape),
        "empty": np.full(shape, np.nan),
        "gaps": np.where(rng.random(shape) < 0.1, np.nan, rng.integers(0, 2, shape)),
        "grade": rng.integers(1, 5, shape).astype(float),
        "price": np.where(rng.random(shape) < 0.3, 8.0, 10.0),
        "rate": rng.random(shape) + 0.01,
        "week": week,
    }
    found = classify_covariates(replace(panel, known=known), ahead=True)
    assert {one.name: (one.kind, one.calendar) for one in found} == {
        "change": ("plain", False),
        "gaps": ("flag", False),
        "grade": ("code", False),
        "price": ("price", False),
        "rate": ("price", False),
        "week": ("code", True),
    }
    observed = {"clicks": rng.integers(0, 40, shape).astype(float), "rate": known["rate"]}
    found = classify_covariates(replace(panel, observed=observed), ahead=False)
    assert {one.name: one.kind for one in found} == {"clicks": "counts", "rate": "price"}
    one = classify_covariates(replace(panel, known={"week": week}).select([0]), ahead=True)
    assert not one[0].calendar


def test_the_most_frequent_values_have_columns_of_their_own():
    names = [f"v{k}" for k in range(70) for _ in range(2 + (k % 7 == 0))]
    static = pd.DataFrame({"shop": names})
    labels = classify_attributes(static)["shop"].labels
    often = frequent_labels(static, "shop", labels, 10)
    assert set(often) == {f"v{k}" for k in range(0, 70, 7)}
    panel = small_panel(items=len(names))
    plan = plan_inputs(replace(panel, static=static.set_index(pd.Index(panel.item_ids))), 4, adjust=False)
    assert len(plan.categories["shop"]) == 60
    assert set(often) < set(plan.categories["shop"])


def test_gaps_take_the_value_before_them():
    values = np.array([[np.nan, 2.0, np.nan, 3.0], [np.nan] * 4])
    np.testing.assert_array_equal(fill_gaps(values, 7.0), [[2, 2, 2, 3], [7, 7, 7, 7]])


def test_a_networks_seasonal_lag_is_three_periods_of_last_season_against_their_year():
    panel = small_panel(items=1, periods=20)
    known = np.arange(20) != 9
    sales = np.where(known, np.arange(20.0) ** 2, 0.0)
    panel = replace(panel, sales=sales[None], in_stock=known[None], listed=np.ones((1, 20), dtype=bool))
    stand, there = (values[0] for values in seasonal_lag(SalesSums.of(panel), 5))
    # Period 15 reads periods 9 (unknown), 10 and 11 and what came up to 10; period 12 reads 6, 7 and 8.
    np.testing.assert_allclose(stand[15], np.log1p((100 + 121) / 2) - np.log1p(sales[:11].sum() / 10))
    np.testing.assert_allclose(stand[12], np.log1p((36 + 49 + 64) / 3) - np.log1p(sales[:8].mean()))
    np.testing.assert_array_equal(there, np.arange(20) >= 12)  # eight informative periods, five ago
