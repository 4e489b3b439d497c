"""Held-out periods played again under other parameters."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import fractile as fr
from fractile.envs.arrivals.models import expected_lead_time
from fractile.progress import no_progress
from fractile.studies.backtest import begin
from fractile.studies.compare import summarise
from fractile.studies.config import load_config
from fractile.studies.data import load_data
from fractile.studies.report.page import build_report
from fractile.studies.study import run_study
from fractile.studies.sweeps import (
    FRONTIER,
    GIVEN,
    TORNADO,
    Change,
    World,
    biased,
    break_even_line,
    changes,
    frontier_gains,
    parameter_rows,
    random_lead_times,
    scale,
    service_rows,
    spread_demand,
    sweep_study,
)

LIGHT = {
    "data.embedded_items": 6,
    "data.embedded_periods": 80,
    "forecast.forecaster": "seasonal_naive",
    "forecast.also": [],
    "backtest.periods": 10,
    "backtest.validation": 12,
    "policies.names": ["newsvendor", "projected", "base_stock"],
    "policies.baseline": "newsvendor",
    "defaults.lead_time": 2,
    "sweep": {"enabled": True, "factors": [0.5, 1.0, 2.0], "biases": [-0.2, 0.2]},
}


@pytest.fixture(scope="module")
def studied():
    config = load_config(None, LIGHT)
    study = begin(config, config.backtest.periods, no_progress)
    backtest = study.backtest("seasonal_naive", config.policies.names)
    return study, backtest, summarise(backtest.trajectories, baseline="newsvendor")


def test_policies_decide_anew_and_fixed_levels_do_not(studied):
    study, backtest, _ = studied
    world = World(study, backtest)
    rows = [row for factor in (0.5, 1.0, 2.0) for row in service_rows(world, ["newsvendor", "base_stock"], factor)]
    own = pd.DataFrame(rows, columns=list(FRONTIER)).set_index(["policy", "factor"])
    fill = own.loc["newsvendor", "fill_rate"]
    assert fill.is_monotonic_increasing
    assert fill.iloc[-1] > fill.iloc[0]
    assert own.loc["base_stock", "fill_rate"].nunique() == 1
    params = replace(study.data.params, stockout_cost=2.0 * study.data.params.stockout_cost)
    twin = study.simulate(backtest, {"n": fr.make_policy("newsvendor")}, params=params)["n"]
    assert own.loc[("newsvendor", 2.0), "fill_rate"] == twin.fill_rate
    np.testing.assert_allclose(own.loc[("newsvendor", 2.0), "mean_on_hand"], twin.on_hand.sum(2).mean())


def test_gains_are_read_between_the_points_of_a_frontier():
    rows = [
        ("a", 1.0, 0.9, 10.0),
        ("a", 2.0, 0.95, 14.0),
        ("b", 1.0, 0.8, 6.0),
        ("b", 2.0, 1.0, 10.0),
        ("c", 1.0, 0.5, 2.0),
    ]
    gains = frontier_gains(pd.DataFrame(rows, columns=list(FRONTIER)), "a").set_index("policy")
    assert gains.loc["a"].tolist() == [0.0, 0.0]
    assert gains.loc["b"].tolist() == [0.2, 0.1]
    assert gains.loc["c"].isna().all()


def test_the_row_as_given_is_the_comparison(studied):
    study, backtest, comparison = studied
    world, names = World(study, backtest), (GIVEN, *changes(study))
    rows = [row for name in names for row in parameter_rows(world, "newsvendor", "projected", name)]
    table = pd.DataFrame(rows, columns=list(TORNADO)).set_index(["parameter", "side"])
    assert table.loc[("as given", "base"), "saving"] == pytest.approx(comparison.table.loc["projected", "saving"])
    # Half the holding cost is, in units of it, twice the stock-out cost.
    cheap, dear = table.loc[("holding cost", "low"), "saving"], table.loc[("stock-out cost", "high"), "saving"]
    assert cheap == pytest.approx(dear)
    assert table["saving"].notna().all()
    assert table["saving"].nunique() > 5


def test_what_forecasts_do_not_reach_is_noted_and_left_out():
    config = load_config(None, {**LIGHT, "policies.names": ["newsvendor", "projected"]})
    data = load_data(config)
    study = begin(config, 10, no_progress, replace(data, params=replace(data.params, lead_time=7)))
    backtest = study.backtest("seasonal_naive", config.policies.names)
    found = sweep_study(study, backtest, summarise(backtest.trajectories, baseline="newsvendor"))
    row = found.tornado.set_index(["parameter", "side"]).loc[("lead time", "high")]
    assert np.isnan(row["saving"])
    assert any("protection interval of 9" in note for note in found.notes)


def test_the_grid_shows_biased_forecasts_and_other_costs(studied):
    study, backtest, comparison = studied
    grid = sweep_study(study, backtest, comparison).break_even
    assert len(grid) == 6
    cell = grid[(grid["ratio"] == 2.0) & (grid["bias"] == 0.2)].iloc[0]
    world = World(study, backtest)
    change = Change(scale("stockout_cost", 2.0), lambda scenario: biased(scenario, 0.2))
    assert cell["saving"] == pytest.approx(world.saving("newsvendor", "projected", change, "")[0])


def test_bias_is_a_factor_on_every_quantile(studied):
    scenario = studied[1].scenario
    np.testing.assert_allclose(
        biased(scenario, 0.2).forecasts[3].values, 1.2 * scenario.forecasts[3].values, rtol=1e-12
    )
    np.testing.assert_array_equal(biased(scenario, 0.2).demand, scenario.demand)


def test_lead_times_vary_about_the_one_that_is_given(studied):
    study, backtest, _ = studied

    def drawn(lead_time):
        data = replace(study.data, params=replace(study.data.params, lead_time=lead_time))
        return random_lead_times(backtest.scenario, replace(study, data=data)).arrivals

    arrivals = drawn(2)
    # Four standard errors of a share of a quarter among so many orders.
    error = 4 * np.sqrt(0.1875 / arrivals[0].size)
    np.testing.assert_allclose(arrivals.mean((1, 2, 3)), [0.0, 0.25, 0.5, 0.25], atol=error)
    mixed = drawn(np.array([0, 2, 0, 2, 1, 3]))
    np.testing.assert_array_equal(expected_lead_time(mixed)[[0, 2]], 0.0)
    np.testing.assert_array_equal(mixed.sum(0), 1.0)


def test_demand_is_spread_about_its_mean():
    demand = np.array([[[4.0, 1.0], [6.0, 1.0], [8.0, 7.0], [2.0, 3.0]]])
    wide = spread_demand(fr.Scenario(demand + 0.5), 1.5).demand
    np.testing.assert_allclose(wide[..., 0], [[4.0, 7.0, 10.0, 1.0]])
    np.testing.assert_allclose(wide.sum(1), (demand + 0.5).sum(1))
    whole = spread_demand(fr.Scenario(demand), 1.5).demand
    np.testing.assert_array_equal(whole, np.rint(whole))
    np.testing.assert_array_equal(whole.sum(1), demand.sum(1))
    assert (whole >= 0).all()
    narrow = spread_demand(fr.Scenario(demand), 0.5).demand
    assert narrow.var(1).sum() < demand.var(1).sum() < whole.var(1).sum()


def test_the_break_even_line_passes_between_signs():
    grid = pd.DataFrame(
        [(1.0, -0.2, -0.3), (1.0, 0.2, 0.1), (2.0, -0.2, 0.1), (2.0, 0.2, 0.2), (4.0, -0.2, 0.0), (4.0, 0.2, 0.2)],
        columns=["ratio", "bias", "saving"],
    )
    line = break_even_line(grid)
    assert line["ratio"].tolist() == [1.0, 4.0]
    np.testing.assert_allclose(line["bias"], [0.1, -0.2])


def test_a_study_writes_and_reports_its_sweep(tmp_path):
    result = run_study(load_config(None, LIGHT), tmp_path / "run", command="study --sweep", progress=no_progress)
    frames = {
        name: pd.read_parquet(result.folder / f"{name}.parquet") for name in ("frontier", "tornado", "break_even")
    }
    assert all(len(frame) for frame in frames.values())
    record = json.loads((result.folder / "manifest.json").read_text())
    assert record["sweep"] == {"policy": frames and record["sweep"]["policy"], "notes": []}
    report = (result.folder / "report.html").read_text()
    assert 'id="sweeps"' in report
    for name in ("frontier", "tornado", "break_even"):
        written = pd.read_csv(result.folder / "figures" / f"{name}.csv")
        assert len(written) == len(frames[name])
    # An older run folder has no sweep, and no hashes: the section is left out.
    older = {key: value for key, value in record.items() if key not in ("sha256", "checksum")}
    (result.folder / "manifest.json").write_text(json.dumps(older))
    for path in ("frontier.parquet", "tornado.parquet", "break_even.parquet"):
        (result.folder / path).unlink()
    build_report(result.folder)
    assert 'id="sweeps"' not in (result.folder / "report.html").read_text()
