"""A study from Python: a config from keys, and the run folder."""

from __future__ import annotations

import json

import pandas as pd
from IPython.lib.pretty import pretty

import fractile as fr


def test_a_study_needs_a_config_and_a_folder(tmp_path):
    history, items, _ = fr.retail_panel(items=5, periods=80, seed=1).write(tmp_path)
    settings = {"data.history": history, "data.items": items, "policies.names": ["newsvendor", "tuned_newsvendor"]}
    quick = {"backtest.periods": 8, "backtest.validation": 8, "forecast.forecaster": "seasonal_naive"}
    found = fr.run_study(fr.load_config(None, settings | quick).quick(), tmp_path / "run")
    assert str(found) == pretty(found) == found.to_text()
    table = pd.read_parquet(found.folder / "comparison.parquet")
    assert set(table["policy"]) >= {"newsvendor", "tuned_newsvendor"}
    assert json.loads((found.folder / "manifest.json").read_text())["command"] == "fr.run_study(config, out)"
