"""Real histories from end to end, where they lie beside the checkout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fractile as fr
from fractile.studies.config import load_config
from fractile.studies.kept_orders import next_orders
from fractile.studies.kept_runs import train_run
from fractile.studies.study import run_study

DATA = Path(fr.__file__).parents[1] / "shared" / "data"
VN2, UCI = DATA / "vn2", DATA / "online_retail_uci"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no real data beside the checkout (../shared/data)")

VN2_FILES = {"data.history": VN2 / "history.parquet", "data.items": VN2 / "items.csv", "data.state": VN2 / "state.csv"}
LIGHT = {
    "forecast.forecaster": "seasonal_naive",
    "forecast.also": [],
    "training.simulated_paths": 1,
    "training.backprop_steps": 20,
    "training.ppo_steps": 8000,
}


def silent(message, share=None):
    pass


@pytest.fixture
def uci(tmp_path):
    """Daily sales without the two cancelled absurd lines, under the file's own column names."""
    sales = pd.read_parquet(UCI / "daily_item_sales.parquet")
    absurd = (sales["StockCode"].isin(["23843", "23166"])) & (sales["units"] > 10_000)
    path = tmp_path / "sales.parquet"
    sales[~absurd].to_parquet(path, index=False)
    return {
        "data.history": path,
        "data.freq": "W-MON",
        "data.missing": "zero",
        "data.columns": {"item_id": "StockCode", "sales": "units", "price": "price_median"},
        "defaults.lead_time": 2,
        "defaults.holding_cost": 0.2,
        "defaults.stockout_cost": 1.0,
    }


def test_vn2_is_read_as_its_source_says():
    panel = fr.load_panel(VN2 / "history.parquet", VN2 / "items.csv")
    assert (panel.items, panel.periods) == (599, 157)
    assert round(float((~panel.in_stock).mean()), 3) == 0.112


@pytest.mark.parametrize("policy", ["newsvendor", "projected", "tuned_newsvendor", "backprop", "ppo"])
def test_vn2_orders(policy, tmp_path):
    config = load_config(None, {**LIGHT, **VN2_FILES, "policies.names": [policy], "policies.baseline": policy})
    run = train_run(config, tmp_path / "run", policy=policy, command="fractile train", progress=silent)
    first, second = (next_orders(run, VN2_FILES["data.history"], VN2_FILES["data.state"]).table for _ in range(2))
    assert len(first) == 599
    assert first["order"].dtype == np.int64
    assert (first["order"] >= 0).all()
    assert first["order"].sum() > 0
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.slow
def test_vn2_study(tmp_path):
    result = run_study(load_config(None, {**LIGHT, **VN2_FILES}), tmp_path / "run", command="x", progress=silent)
    assert result.comparison.items == 599
    assert (result.folder / "report.html").is_file()


@pytest.mark.slow
def test_uci_study(uci, tmp_path):
    result = run_study(load_config(None, {**LIGHT, **uci}), tmp_path / "run", command="x", progress=silent)
    assert (result.comparison.items, result.comparison.periods) == (3897, 12)
    assert (result.folder / "report.html").is_file()
