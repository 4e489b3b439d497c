"""Tree forecasters: what they learn, what they refuse, and that they repeat."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fractile import (
    FORECASTERS,
    FractileError,
    SalesPanel,
    check_forecaster,
    make_forecaster,
)
from fractile.forecasters.base import targets_of
from fractile.forecasters.classical.ets import ETS
from fractile.forecasters.conformance import small_panel
from fractile.forecasters.scores import weighted_quantile_loss
from fractile.forecasters.trees.boosting import BoostingConfig

NAMES = ("random_forest", "quantile_forest", "sqrf", "lightgbm")
QUICK = {"horizon": 4, "trees": 8, "fewest": 5}


def panel_of(sales, in_stock=None, freq="W-MON", **options) -> SalesPanel:
    sales = np.asarray(sales, dtype=float)
    in_stock = np.ones(sales.shape, dtype=bool) if in_stock is None else np.asarray(in_stock, dtype=bool)
    dates = pd.date_range("2021-01-04", periods=sales.shape[1], freq=freq)
    names = tuple(f"i{k}" for k in range(len(sales)))
    return SalesPanel(sales, in_stock, np.ones(sales.shape, dtype=bool), dates, names, freq, **options)


def daily_panel(items: int = 6, periods: int = 60) -> SalesPanel:
    rng = np.random.default_rng(3)
    return replace(
        small_panel(items, periods),
        sales=rng.poisson(4.0 + 3.0 * (np.arange(periods) % 7 == 5), (items, periods)).astype(float),
        dates=pd.date_range("2024-01-01", periods=periods, freq="D"),
        freq="D",
    )


def promoted_panel(items: int = 60, periods: int = 100) -> SalesPanel:
    """Promotions, announced ahead, triple the demand."""
    rng = np.random.default_rng(0)
    promotion = (rng.random((items, periods)) < 0.2).astype(float)
    level = np.exp(rng.normal(2.0, 0.8, (items, 1)))
    return panel_of(rng.poisson(level * (1 + 2 * promotion)), known={"promotion": promotion})


@pytest.mark.parametrize("name", NAMES)
def test_they_learn_what_promotions_do(name: str):
    panel, origins, levels = promoted_panel(), list(range(88, 97)), np.arange(1, 10) / 10
    trees = {"trees": 60, "learning_rate": 0.15} if name == "lightgbm" else {"trees": 12, "fewest": 20}
    made = make_forecaster(name, horizon=4, **trees).fit(panel.until(88))
    ets = ETS(horizon=4).fit(panel.until(88))
    demand = targets_of(panel, np.array(origins), 4)
    own, other = (
        weighted_quantile_loss(demand, f.predict(panel, 4, levels, origins=origins).values, levels) for f in (made, ets)
    )
    assert own < 0.75 * other


@pytest.mark.parametrize("name", NAMES)
def test_they_keep_the_contract_on_daily_data(name: str):
    options = {"horizon": 6, "trees": 4, "fewest": 5}
    check_forecaster(lambda: make_forecaster(name, **options), daily_panel())


@pytest.mark.parametrize("name", NAMES)
def test_two_periods_are_enough(name: str):
    panel = small_panel(periods=2)
    forecast = make_forecaster(name, **QUICK).fit(panel).predict(panel, 3)
    assert np.isfinite(forecast.values).all()


@pytest.mark.slow  # threads that wait for a busy core make it so
def test_more_threads_grow_the_same_trees():
    panel = small_panel()
    one, two = (make_forecaster("lightgbm", **QUICK, threads=k).fit(panel).predict(panel, 4) for k in (1, 2))
    np.testing.assert_allclose(one.values, two.values, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_matters(name: str):
    panel = small_panel(items=20)
    one, other = (make_forecaster(name, **QUICK, seed=k).fit(panel).predict(panel, 4) for k in (0, 1))
    assert not np.array_equal(one.values, other.values)


@pytest.mark.parametrize("name", NAMES)
def test_a_longer_horizon_than_trained_is_refused(name: str):
    made = make_forecaster(name, **QUICK).fit(small_panel())
    with pytest.raises(FractileError, match="trained for 4 periods ahead, 5 are asked for; fit again"):
        made.predict(small_panel(), 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"known": {}}, "known covariate 'price'"),
        ({"observed": {}}, "observed covariate 'views'"),
        ({"static": pd.DataFrame()}, "static attribute 'group'"),
    ],
)
def test_what_the_panel_lacks_is_named(change: dict, message: str):
    made = make_forecaster("lightgbm", **QUICK).fit(small_panel())
    with pytest.raises(FractileError, match=message):
        made.predict(replace(small_panel(), **change), 4)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lightgbm", {"trees": 0}, "trees must be >= 1"),
        ("lightgbm", {"levels": (0.5,)}, "levels must be"),
        ("lightgbm", {"learning_rate": 0.0}, "learning_rate must be"),
        ("random_forest", {"bag": 0.0}, "bag must be in"),
        ("random_forest", {"power": 1.5}, "power must be in"),
        ("quantile_forest", {"kept": 0}, "kept must be >= 1"),
        ("sqrf", {"groups": 0}, "groups must be >= 1"),
        ("sqrf", {"tree": 5}, "no option 'tree'; did you mean 'trees'"),
    ],
)
def test_bad_options_are_refused(name: str, options: dict, message: str):
    with pytest.raises(FractileError, match=message):
        make_forecaster(name, **options)


def test_the_classes_name_unknown_options_too():
    with pytest.raises(FractileError, match="lightgbm has no option 'leafs'; did you mean 'leaves'"):
        FORECASTERS["lightgbm"](leafs=3)
    assert FORECASTERS["lightgbm"](BoostingConfig(leaves=7), trees=9).config == BoostingConfig(leaves=7, trees=9)


def test_crossing_quantiles_are_sorted():
    from fractile.forecasters.trees.boosting import BoostedQuantiles

    boosters = [SimpleNamespace(predict=lambda rows, value=value: np.full(len(rows), value)) for value in (3.0, 1.0)]
    got = BoostedQuantiles(np.array([0.4, 0.6]), boosters).quantiles(np.zeros((2, 1)), np.array([0.4, 0.5, 0.6]))
    np.testing.assert_allclose(got, [[1, 2, 3]] * 2)


def test_lightgbm_stays_out_until_trees_grow():
    script = (
        "import sys; from fractile.forecasters.registry import make_forecaster;"
        f"[make_forecaster(name) for name in {NAMES!r}]; assert 'lightgbm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
