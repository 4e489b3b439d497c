"""The user's own orders and levels as baselines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fractile as fr
from fractile.errors import InputError
from fractile.forecasters.data.panel import load_inputs
from fractile.forecasters.data.records import order_records
from fractile.policies.recorded import RecordedOrders
from fractile.progress import no_progress
from fractile.studies.backtest import begin
from fractile.studies.commands.input_files import files_text, validate_files
from fractile.studies.config import load_config
from fractile.studies.data import load_data
from fractile.studies.headline import choose_baseline
from fractile.studies.kept_orders import next_orders
from fractile.studies.own import own_policy, stock_at
from fractile.studies.study import run_study

WEEKS = 60
LEVEL = 12.0
LIGHT = {
    "forecast.forecaster": "seasonal_naive",
    "forecast.also": [],
    "backtest.periods": 10,
    "backtest.validation": 12,
    "policies.names": ["newsvendor"],
    "defaults.lead_time": 2,
}


@pytest.fixture
def history():
    """Two items; orders of a base-stock rule that its user ran by hand, and the stock that was left each week."""
    rng = np.random.default_rng(3)
    demand = rng.poisson([[4.0], [2.0]], (2, WEEKS)).astype(float)
    dates = pd.date_range("2023-01-02", periods=WEEKS, freq="W-MON")
    rows = []
    for item, name in enumerate(("tea", "jam")):
        stock, pipeline = LEVEL, [0.0, 0.0]
        for week in range(WEEKS):
            ordered = LEVEL - stock - sum(pipeline)
            stock += pipeline.pop(0)
            pipeline.append(ordered)
            sales = min(stock, demand[item, week])
            stock -= sales
            in_stock = sales == demand[item, week]
            rows.append((name, dates[week], sales, in_stock, ordered, stock))
    return pd.DataFrame(rows, columns=["item_id", "date", "sales", "in_stock", "ordered", "on_hand"])


def study_of(history, tmp_path, items=None, **overrides):
    path = tmp_path / "history.csv"
    history.to_csv(path, index=False)
    files = {"data.history": path}
    if items is not None:
        items.to_csv(tmp_path / "items.csv", index=False)
        files["data.items"] = tmp_path / "items.csv"
    return begin(load_config(None, {**LIGHT, **files, **overrides}), 10, no_progress)


def test_orders_on_record_are_added_up_and_stock_is_the_last(history):
    daily = history.assign(date=history["date"] + pd.Timedelta(days=1), ordered=1.0, on_hand=9.0)
    both = pd.concat([daily, history])
    ids, dates = ("jam", "tea"), pd.date_range("2023-01-02", periods=WEEKS, freq="W-MON")
    found = order_records(both, ids, dates, "W-MON")
    tea = history[history["item_id"] == "tea"]
    np.testing.assert_array_equal(found["ordered"][1], tea["ordered"] + 1.0)
    np.testing.assert_array_equal(found["on_hand"], np.full((2, WEEKS), 9.0))


def test_weeks_without_a_row_have_no_order_and_no_known_stock(history):
    found = order_records(
        history[history["date"] > "2023-01-02"],
        ("tea",),
        pd.date_range("2023-01-02", periods=WEEKS, freq="W-MON"),
        "W-MON",
    )
    assert found["ordered"][0, 0] == 0.0
    assert np.isnan(found["on_hand"][0, 0])


def test_own_columns_are_no_features(history, tmp_path):
    items = pd.DataFrame({"item_id": ["tea", "jam"], "reorder_point": 3.0, "order_up_to": 9.0, "aisle": ["a", "b"]})
    inputs = load_inputs(history, items)
    assert not inputs.panel.known
    assert not inputs.panel.observed
    assert list(inputs.panel.attributes) == ["aisle"]


def test_replayed_orders_give_back_what_happened(history, tmp_path):
    """Stock at the cutoff, sales and stock of the held-out weeks are those of the records."""
    study = study_of(history, tmp_path)
    first = study.window.cutoff
    truth = history.pivot(index="item_id", columns="date", values="on_hand").loc[list(study.data.panel.item_ids)]
    state = stock_at(study.data, first)
    np.testing.assert_allclose(state.net_inventory[0], truth.iloc[:, first - 1])
    trajectory = study.backtest("seasonal_naive", ["own_orders"]).trajectories["own_orders"]
    np.testing.assert_allclose(trajectory.on_hand[0].T, truth.iloc[:, first:])
    np.testing.assert_allclose(trajectory.sales[0].T, study.data.panel.sales[:, first:])
    np.testing.assert_allclose(trajectory.order[0].T, study.data.records["ordered"][:, first:])


def test_without_a_record_stock_is_the_least_that_sales_can_have_come_from(history, tmp_path):
    """An item that ran out had nothing left; one that did not had what its sales needed, at least."""
    dry = history["item_id"] == "jam"
    history.loc[dry & (history["date"] == "2023-06-05"), "in_stock"] = False
    data = study_of(history.drop(columns="on_hand"), tmp_path).data
    jam, tea = data.panel.item_ids.index("jam"), data.panel.item_ids.index("tea")
    weeks = [np.flatnonzero(data.panel.ran_out[item])[-1] + 1 for item in (jam, tea)]
    for item, week in zip((jam, tea), weeks, strict=True):
        assert stock_at(data, week).net_inventory[0, item] == 0.0
    ordered, sales = data.records["ordered"], data.panel.sales
    later = stock_at(data, weeks[0] + 1).net_inventory[0, jam]
    assert later == max(ordered[jam, weeks[0] - 2] - sales[jam, weeks[0]], 0.0)
    np.testing.assert_array_equal(stock_at(data, 20).pipeline[:, 0], ordered[:, [18, 19]].T)


def test_packs_do_not_change_what_was_ordered(history, tmp_path):
    study = study_of(history, tmp_path, **{"defaults.pack_size": 5.0})
    trajectory = study.backtest("seasonal_naive", ["own_orders"]).trajectories["own_orders"]
    np.testing.assert_allclose(trajectory.order[0].T, study.data.records["ordered"][:, study.window.cutoff :])


def test_own_levels_order_as_their_policy(history, tmp_path):
    items = pd.DataFrame({"item_id": ["jam", "tea"], "reorder_point": [3.0, 5.0], "order_up_to": [8.0, 15.0]})
    study = study_of(history, tmp_path, items)
    names = study.config.policies.names
    assert names == ("newsvendor", "own_levels", "own_orders")
    backtest = study.backtest("seasonal_naive", names)
    by_item = items.set_index("item_id").loc[list(study.data.panel.item_ids)]
    twin = fr.make_policy(
        "ss", reorder_point=by_item["reorder_point"].to_numpy(), order_up_to=by_item["order_up_to"].to_numpy()
    )
    np.testing.assert_array_equal(
        backtest.trajectories["own_levels"].cost, study.simulate(backtest, {"ss": twin})["ss"].cost
    )
    assert choose_baseline("cheapest", backtest.trained) == "own_levels"
    assert choose_baseline("newsvendor", backtest.trained) == "newsvendor"


def test_base_stock_levels_are_own_levels(history, tmp_path):
    items = pd.DataFrame({"item_id": ["jam", "tea"], "base_stock_level": [7.0, 12.0]})
    data = study_of(history, tmp_path, items).data
    np.testing.assert_array_equal(own_policy("own_levels", data).level, [12.0, 7.0])


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"reorder_point": [9.0, 3.0], "order_up_to": [8.0, 8.0]}, "reorder_point must not exceed order_up_to"),
        ({"reorder_point": [-1.0, 3.0], "order_up_to": [8.0, 8.0]}, "reorder_point must be a number >= 0"),
        ({"reorder_point": [1.0, None], "order_up_to": [8.0, 8.0]}, "reorder_point must be a number >= 0, is missing"),
        ({"order_up_to": [8.0, 8.0]}, "order_up_to needs a column reorder_point, too"),
        (
            {"reorder_point": [1.0, 1.0], "order_up_to": [8.0, 8.0], "base_stock_level": [8.0, 8.0]},
            "levels in use, not both",
        ),
    ],
)
def test_faulty_levels_are_refused(history, columns, fault):
    items = pd.DataFrame({"item_id": ["tea", "jam"], **columns})
    with pytest.raises(InputError, match=fault):
        load_inputs(history, items)


@pytest.mark.parametrize(("column", "value"), [("ordered", -1.0), ("ordered", np.nan), ("on_hand", -2.0)])
def test_faulty_records_are_refused(history, column, value):
    history.loc[3, column] = value
    with pytest.raises(InputError, match=f"{column} must be a number >= 0"):
        load_inputs(history)


@pytest.mark.parametrize(
    ("name", "needs"), [("own_levels", "reorder_point and order_up_to"), ("own_orders", "a column ordered")]
)
def test_own_policies_need_their_columns(history, tmp_path, name, needs):
    plain = history.drop(columns=["ordered", "on_hand"])
    with pytest.raises(InputError, match=f"{name}.*{needs}"):
        study_of(plain, tmp_path, **{"policies.baseline": name})


def test_a_study_measures_against_own_orders(history, tmp_path):
    """They are the baseline; where the advice is to keep them there is no list of orders, and `order` says why."""
    history.to_csv(tmp_path / "history.csv", index=False)
    state = pd.DataFrame({"item_id": ["tea", "jam"], "on_hand": 4.0, "arriving_1": 0.0, "arriving_2": 0.0})
    state.to_csv(tmp_path / "state.csv", index=False)
    files = {"data.history": tmp_path / "history.csv", "data.state": tmp_path / "state.csv"}
    config = load_config(None, {**LIGHT, **files, "policies.names": ["constant_order"]})
    result = run_study(config, tmp_path / "run", command="study", progress=no_progress)
    assert result.comparison.baseline == "own_orders"
    assert set(result.comparison.table.index) == {"constant_order", "own_orders"}
    assert result.advice.policy == "own_orders"
    assert not (result.folder / "orders.csv").exists()
    with pytest.raises(InputError, match="go on with your own orders"):
        next_orders(result.folder, files["data.history"], files["data.state"], None)


def test_no_order_beyond_the_record():
    policy = RecordedOrders(np.ones((2, 3)))
    scenario = fr.Scenario(np.ones((1, 3, 3)))
    with pytest.raises(fr.FractileError, match="on record for 2 periods, none for 2"):
        fr.simulate(policy, scenario, fr.ItemParams(lead_time=1))


def test_the_embedded_panel_has_no_orders_of_its_own():
    data = load_data(load_config(None, {"data.embedded_items": 3}))
    assert not data.records


def test_validate_names_what_the_user_does_today(history, tmp_path):
    history.to_csv(tmp_path / "history.csv", index=False)
    items = pd.DataFrame({"item_id": ["tea", "jam"], "reorder_point": 3.0, "order_up_to": 9.0})
    items.to_csv(tmp_path / "items.csv", index=False)
    files = {"data.history": tmp_path / "history.csv", "data.items": tmp_path / "items.csv"}
    found = validate_files(load_config(None, files))
    assert found["own"] == ["reorder_point", "order_up_to", "ordered", "on_hand"]
    assert "yours today   reorder_point, order_up_to, ordered, on_hand" in files_text(found)
