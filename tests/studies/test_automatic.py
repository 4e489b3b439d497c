"""`auto`: pairs played on windows of the history, and kept runs that order week by week."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import fractile as fr
from fractile.envs.core.period import advance
from fractile.envs.core.types import Scenario, with_protection_totals
from fractile.errors import InputError
from fractile.forecasters.storage import load_forecaster
from fractile.policies.blended import Blended
from fractile.policies.lookahead import Lookahead
from fractile.policies.newsvendor import TunedProjected
from fractile.policies.storage import load_policy, save_policy
from fractile.progress import no_progress
from fractile.studies.automatic.candidates import Candidate, average
from fractile.studies.automatic.choice import Search, _cross_validated, choose
from fractile.studies.automatic.scoring import Windows, final_policy, place_choice
from fractile.studies.backtest import begin
from fractile.studies.commands.kept import order_basis, training_document
from fractile.studies.config import load_config
from fractile.studies.data import load_data
from fractile.studies.folder import new_run
from fractile.studies.kept_orders import next_orders
from fractile.studies.kept_runs import train_run

LIGHT = {
    "data.embedded_items": 8,
    "data.embedded_periods": 84,
    "forecast.forecaster": "seasonal_naive",
    "forecast.also": [],
    "backtest.validation": 12,
    "policies.names": ["newsvendor"],
    "policies.baseline": "newsvendor",
    "choice.forecasters": ["seasonal_naive", "croston"],
    "choice.policies": ["newsvendor", "projected", "base_stock"],
    "choice.windows": 3,
    "choice.periods": 10,
    "defaults.lead_time": 2,
}


def study_of(held_out=0, data=None, **overrides):
    return begin(load_config(None, {**LIGHT, **overrides}), held_out, no_progress, data)


@pytest.fixture(scope="module")
def choice():
    study = study_of()
    return choose(study, study.config.choice.forecasters, study.config.choice.policies)


@pytest.mark.parametrize(
    ("end", "windows", "periods", "span", "bounds"),
    [
        (157, 3, 17, 3, (106, 123, 140, 157)),
        (40, 3, 17, 3, (22, 28, 34, 40)),  # half of the history comes before the first window
        (24, 3, 17, 6, (12, 24)),  # windows of 7 periods at least: one of them
    ],
)
def test_windows_lie_at_the_end_of_the_history(end, windows, periods, span, bounds):
    assert place_choice(end, windows, periods, span) == bounds


def test_a_history_that_is_too_short_is_refused():
    with pytest.raises(InputError, match="auto needs about 16 to choose on"):
        place_choice(11, 3, 17, 3)


def test_costs_are_those_of_policies_on_forecasts_that_did_not_know_the_window():
    study = study_of()
    windows = Windows.of(study)
    found = windows.cost(Candidate(("croston",), "projected", 0.3))
    panel, params = study.data.panel, study.data.params
    first, end = windows.bounds[0], windows.bounds[-1]
    forecasts = []
    for start, stop in zip(windows.bounds[:-1], windows.bounds[1:], strict=True):
        forecaster = fr.make_forecaster("croston", horizon=study.window.horizon).fit(panel.until(start))
        after = forecaster.predict(panel, study.window.horizon, origins=np.arange(start, stop)).head(study.shown)
        forecasts += [after.at_origin(k) for k in range(stop - start)]
    demand = windows.scenario(("croston",)).demand
    scenario = with_protection_totals(Scenario(demand, forecasts), params)
    twin = fr.simulate(TunedProjected(shift=0.3), scenario, params, warm_up=windows.run_in)
    assert found.shape == (1, end - first - windows.run_in, panel.items)
    np.testing.assert_allclose(found, twin.cost)


def test_averages_are_those_of_the_ensemble():
    study = study_of(**{"choice.windows": 1})
    windows, members = Windows.of(study), ("seasonal_naive", "croston")
    first = windows.bounds[0]
    ensemble = average(members, study.window.horizon, {}, 0).fit(study.data.panel.until(first))
    expected = ensemble.predict(study.data.panel, study.window.horizon, origins=[first]).head(study.shown)
    np.testing.assert_allclose(windows.scenario(members).forecasts[0].values, expected.values)


def test_levels_are_tuned_again_before_each_window():
    windows = Windows.of(study_of())
    levels = [policy.level for policy in windows.policies(Candidate((), "base_stock"))]
    assert len(levels) == len(windows.bounds) - 1
    assert any(not np.array_equal(levels[0], other) for other in levels[1:])


def test_nothing_after_the_cutoff_is_looked_at(choice):
    """Another future changes no figure of the choice."""
    data = load_data(load_config(None, LIGHT))
    sales = data.panel.sales.copy()
    sales[:, -10:] = 7.0 * sales[:, -10:] + 3.0
    other = replace(data, panel=replace(data.panel, sales=sales), demand=data.demand * 2.0)
    tables = []
    for given in (data, other):
        study = study_of(10, given)
        tables.append(choose(study, study.config.choice.forecasters, study.config.choice.policies).table)
    pd.testing.assert_frame_equal(*tables)
    assert len(tables[0]) != len(choice.table) or not np.allclose(tables[0]["cost"], choice.table["cost"])


def test_the_cheapest_pair_is_chosen_and_all_are_listed(choice):
    table = choice.table
    assert table["cost"].is_monotonic_increasing
    assert choice.best.label == " / ".join(filter(None, table.loc[0, ["forecaster", "policy"]]))
    assert {"seasonal_naive", "croston", ""} < set(table["forecaster"])
    assert set(table["forecaster"]) & {"seasonal_naive + croston", "croston + seasonal_naive"}
    assert table["policy"].str.contains("&").any()
    assert table["among_best"].iloc[0]
    assert (table["more"] >= 0).all()
    assert choice.cross_validated_cost >= table["cost"].iloc[0] - 1e-9
    assert f"costs least of {len(table)} pairs" in choice.sentence


def test_windows_weigh_as_their_periods(choice):
    lengths = np.array([choice.periods - 20, 10, 10])
    windows = choice.table[["cost_1", "cost_2", "cost_3"]].to_numpy()
    np.testing.assert_allclose(windows @ lengths / choice.periods, choice.table["cost"])


def test_a_setting_moves_only_where_it_saves():
    search = Search(Windows.of(study_of()), {})
    start = Candidate(("croston",), "projected")
    search.score(start)
    search.setting(start, 6)
    costs = {candidate.shift: cost.mean() for candidate, cost in search.costs.items()}
    best = min(costs, key=costs.get)
    assert costs[best] <= costs[0.0]
    assert min(costs) < best < max(costs)


def test_a_choice_on_other_windows_is_costed_where_it_was_not_made():
    # On the second window the second pair is cheaper, so that the first window costs 3; the other way round it is 4.
    assert _cross_validated(np.array([[1.0, 4.0], [3.0, 2.0]])) == 7.0


def test_what_is_not_for_the_items_is_left_out():
    said = []
    study = replace(study_of(), progress=lambda message, share=None: said.append(message))
    found = choose(study, ["seasonal_naive"], ["newsvendor", "forecast_dp", "estimated_waste"])
    assert found.best.policy in {"newsvendor", "forecast_dp"}
    assert any("left out" in message for message in said)


def test_the_mean_of_two_orders_is_kept(tmp_path):
    study = study_of()
    pair = Candidate(("croston",), "lookahead", -0.3, Candidate((), "projected"))
    policy = final_policy(pair, study)
    assert isinstance(policy, Blended)
    assert isinstance(policy.baseline, Lookahead)
    save_policy("blended", policy, tmp_path)
    scenario = Windows.of(study).scenario(("croston",)).window(0, 6)
    trajectories = [fr.simulate(p, scenario, study.data.params) for p in (policy, load_policy("blended", tmp_path))]
    np.testing.assert_array_equal(*[t.order for t in trajectories])


def files_of(folder, panel, weeks, state):
    history, stock = folder / "history.csv", folder / "state.csv"
    panel.until(weeks).to_frame()[["item_id", "date", "sales", "in_stock"]].to_csv(history, index=False)
    frame = {"item_id": panel.item_ids, "on_hand": state.net_inventory[0]}
    frame |= {f"arriving_{k + 1}": slot[0] for k, slot in enumerate(state.pipeline)}
    pd.DataFrame(frame).to_csv(stock, index=False)
    return history, stock


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run that was chosen on the first 78 of 84 weeks, and the panel."""
    folder = tmp_path_factory.mktemp("kept")
    retail = fr.retail_panel(items=8, periods=84, seed=0)
    panel = replace(retail.panel, sales=retail.demand, in_stock=np.ones_like(retail.panel.in_stock))
    state = fr.InventoryState(np.full((1, 8), 6.0), np.full((2, 1, 8), 2.0))
    history, _ = files_of(folder, panel, 78, state)
    config = load_config(None, {**LIGHT, "data.history": history})
    run = train_run(config, folder / "run", policy="auto", any_forecaster=True, command="train", progress=no_progress)
    return folder, run, panel, state, config


def test_a_choice_is_kept_bit_for_bit(kept):
    folder, run, _, _, config = kept
    again = train_run(
        config, folder / "again", policy="auto", any_forecaster=True, command="train", progress=no_progress
    )
    for name in ("choice.parquet", *(f"models/{path.name}" for path in (run / "models").iterdir())):
        assert (run / name).read_bytes() == (again / name).read_bytes()
    record = json.loads((run / "manifest.json").read_text())
    assert record["choice"] == json.loads((again / "manifest.json").read_text())["choice"]
    assert record["choice"]["last_date"] == str(pd.read_csv(folder / "history.csv")["date"].max())
    assert record["choice"]["sentence"] in order_basis(record)


def test_orders_week_by_week_cost_what_the_simulation_costs(kept, tmp_path):
    """`fractile order` after each of six weeks, against one simulation of the same policy over them."""
    _, run, panel, state, config = kept
    record = json.loads((run / "manifest.json").read_text())
    policy, forecaster = load_policy(record["policy"], run / "models"), load_forecaster(run / "models")
    params = load_data(config).params
    weeks = range(78, 84)
    forecasts = forecaster.predict(panel, 8, origins=np.array(weeks)).head(5)  # as a study's forecasts
    demand = np.ascontiguousarray(panel.sales[:, 78:].T)[None]
    scenario = Scenario(demand, [forecasts.at_origin(k) for k in range(6)])
    simulated = fr.simulate(policy, scenario, params, initial_state=state)
    costs = []
    for k, week in enumerate(weeks):
        history, stock = files_of(tmp_path, panel, week, state)
        order = next_orders(run, history, stock).table["order"].to_numpy(dtype=float)
        state, outcome = advance(state, order[None], scenario, k, params)
        costs.append(outcome.cost)
    np.testing.assert_allclose(np.stack(costs, axis=1), simulated.cost)
    assert simulated.order.sum() > 0


def test_a_new_item_is_ordered_by_the_pair_that_was_chosen(kept, tmp_path):
    """The twin of an item under another id gets that item's order."""
    folder, run, *_ = kept
    history = pd.read_csv(folder / "history.csv", dtype={"item_id": str})
    first = history["item_id"].iloc[0]
    pd.concat([history, history[history["item_id"] == first].assign(item_id="twin")]).to_csv(
        tmp_path / "history.csv", index=False
    )
    found = next_orders(run, tmp_path / "history.csv", on_hand=0.0)
    orders = found.table.set_index("item_id")["order"]
    assert found.new == ("twin",)
    assert orders["twin"] == orders[first] > 0


def test_a_named_policy_says_that_it_was_not_compared():
    record = {"kind": "train", "policy": "newsvendor", "forecaster": "ets"}
    assert "no saving is proven" in order_basis(record)
    assert order_basis({}) == ""


def test_a_network_that_is_not_followed_is_said_by_train_and_by_order(tmp_path):
    notes = {"backprop": ["orders as tuned newsvendor, the cheapest there: …"], "base_stock": ["orders as its untuned"]}
    record = {"kind": "train", "policy": "backprop", "forecaster": "ets", "policy_notes": notes}
    said = order_basis(record)
    assert said.startswith("ordered by backprop on forecasts of ets (it orders as tuned newsvendor, the cheapest there")
    assert "no saving is proven" in said
    assert "untuned" not in said
    with new_run(tmp_path / "run") as run:
        run.write_json("manifest.json", {**record, "status": "complete"})
    document, text = training_document(tmp_path / "run", "backprop")
    assert text == f"backprop orders as tuned newsvendor, the cheapest there: …\nRun: {tmp_path / 'run'}"
    assert document["notes"] == notes["backprop"]


def test_the_forecaster_alone_may_be_chosen(tmp_path):
    config = load_config(None, {**LIGHT, "policies.names": ["projected"], "policies.baseline": "projected"})
    run = train_run(
        config, tmp_path / "run", policy="projected", any_forecaster=True, command="train", progress=no_progress
    )
    record = json.loads((run / "manifest.json").read_text())
    table = pd.read_parquet(run / "choice.parquet")
    assert record["policy"] == "projected"
    assert table["policy"].str.startswith("projected").all()
    assert record["forecaster"] == table["forecaster"].iloc[0]
