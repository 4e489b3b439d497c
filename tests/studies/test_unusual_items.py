"""Studies of items unlike others: hardly ever sold, ordered in packs, or with one lead time far from the rest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fractile.forecasters.data.panel import load_panel
from fractile.forecasters.registry import make_forecaster
from fractile.studies.backtest import begin
from fractile.studies.config import load_config

SMALL = {
    "forecast.forecaster": "patchwork",
    "forecast.also": [],
    "policies.baseline": "newsvendor",
    "training.simulated_paths": 1,
    "training.backprop_steps": 2,
    "training.ppo_steps": 64,
    "training.refits": 1,
    "training.seeds": 1,
    "backtest.folds": 1,
    "backtest.validation": 16,
}


def silent(message, share=None):
    pass


def costs(folder, sales, freq, policies, **columns):
    """Return what policies cost on held-out periods of sales, shape (items, periods); columns are of the items."""
    ids = [f"i{k:02d}" for k in range(len(sales))]
    dates = pd.date_range("2016-01-04" if freq == "W-MON" else "2016-01-01", periods=sales.shape[1], freq=freq)
    frame = pd.DataFrame(sales.T, index=dates, columns=ids).rename_axis("date")
    frame = frame.melt(ignore_index=False, var_name="item_id", value_name="sales").reset_index()
    frame.to_csv(folder / "h.csv", index=False)
    items = pd.DataFrame({"item_id": ids, "holding_cost": 0.02, "stockout_cost": 1.5, **columns})
    items.to_csv(folder / "i.csv", index=False)
    files = {"data.history": folder / "h.csv", "data.items": folder / "i.csv"}
    study = begin(load_config(None, {**SMALL, **files, "policies.names": policies}), 12, silent)
    played = study.backtest(study.config.forecast.forecaster, policies).trajectories
    return {name: float(trajectory.cost.sum()) for name, trajectory in played.items()}


def rare(share, items=6, periods=90, seed=0):
    rng = np.random.default_rng(seed)
    sold = rng.random((items, periods)) < share
    sold[:, 20 + np.arange(items) % 30] = True  # each has sold once
    return rng.integers(1, 4, (items, periods)) * sold


SPARE_PARTS = {
    "97 % zeros, seven weeks": (
        rare(0.03),
        "W-MON",
        ("tuned_newsvendor", "generalist"),
        {"lead_time": 7, "fixed_order_cost": 5, "pack_size": [1, 10] * 3, "minimum_order": 10},
    ),
    "99 % zeros, five months": (
        rare(0.01),
        "MS",
        ("tuned_newsvendor", "generalist"),
        {"lead_time": 5, "fixed_order_cost": 20, "pack_size": 25},
    ),
    "one that sells among those that never did": (
        np.vstack([np.zeros((5, 90)), np.random.default_rng(1).poisson(3.0, (1, 90))]),
        "W-MON",
        ("tuned_newsvendor", "base_stock"),
        {"lead_time": 7, "minimum_order": 6},
    ),
}


@pytest.mark.parametrize("kind", SPARE_PARTS)
def test_items_that_hardly_ever_sell_can_be_studied(kind, tmp_path):
    sales, freq, policies, columns = SPARE_PARTS[kind]
    found = costs(tmp_path, sales, freq, ("newsvendor", *policies), **columns)
    assert set(found) == {"newsvendor", *policies}
    assert np.isfinite(list(found.values())).all()


LEAD_TIMES = {
    "monthly, one of nine": ("MS", ("backprop",), [2, 3, 2, 1, 9, 1]),
    "the same, by an agent": ("MS", ("ppo",), [2, 3, 2, 1, 9, 1]),
    "weekly, none, and one of thirteen": ("W-MON", ("tuned_newsvendor", "generalist"), [0] * 5 + [13]),
    "daily, one at once": ("D", ("tuned_newsvendor", "base_stock"), [0] + [6] * 5),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow) if "agent" in kind else kind for kind in LEAD_TIMES]
)
def test_lead_times_that_differ_much_can_be_studied(kind, tmp_path):
    freq, policies, lead_times = LEAD_TIMES[kind]
    sales = np.random.default_rng(2).poisson(np.linspace(0.3, 6, 6)[:, None], (6, 90))
    found = costs(tmp_path, sales, freq, ("newsvendor", *policies), lead_time=lead_times)
    assert set(found) == {"newsvendor", *policies}
    assert np.isfinite(list(found.values())).all()


@pytest.mark.parametrize(
    ("alive", "dead", "freq", "ended"), [(8, 16, "W-MON", 110), (4, 40, "W-MON", 120), (8, 24, "MS", 140)]
)
def test_quantiles_of_items_that_sell_are_as_without_those_that_do_no_more(alive, dead, freq, ended):
    """Poisson(6) has a 95 % quantile of 10, the sum of four of 32, however many have stopped selling."""
    sales = np.random.default_rng(7).poisson(6.0, (alive + dead, 150))
    sales[alive:, ended:] = 0
    dates = pd.date_range("2012-01-02" if freq != "MS" else "2012-01-01", periods=150, freq=freq)
    frame = (
        pd.DataFrame(sales.T, index=dates)
        .rename_axis("date")
        .melt(ignore_index=False, var_name="item_id", value_name="sales")
    )
    panel = load_panel(frame.astype({"item_id": str}).reset_index())
    forecast = make_forecaster("patchwork").fit(panel).predict(panel, 4)
    one, four = forecast.quantile(0.95)[:, -1], forecast.total(4).quantile(0.95)[:, -1, 0]
    # Fitted levels err by about 6 / 150 of a variance of 6; their mean over items by less.
    np.testing.assert_allclose(one[:alive].mean(), 10.0, atol=1.0)
    np.testing.assert_allclose(four[:alive].mean(), 32.0, atol=3.2)
    assert not one[alive:].any()
    assert not four[alive:].any()
    assert any(f"{dead} items are taken for discontinued" in note for note in panel.notes)
