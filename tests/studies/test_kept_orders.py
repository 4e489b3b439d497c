"""Orders of a kept run week after week: new items, items that are gone or discontinued, runs older than the history."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import fractile as fr
from fractile.cli import app
from fractile.forecasters.storage import load_forecaster
from fractile.policies.blended import Blended
from fractile.policies.transfer import for_items, pool_parameters
from fractile.studies.config import load_config
from fractile.studies.data import load_data
from fractile.studies.folder import new_run
from fractile.studies.kept_orders import next_orders
from fractile.studies.kept_runs import orders_at_end, pooled_parameters, train_run

WEEKS = 80
KNOWN = WEEKS - 6
"""Weeks of the run's own history."""


def silent(message, share=None):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of eight items; the last two and the last six weeks came after the run."""
    folder = tmp_path_factory.mktemp("data")
    retail = fr.retail_panel(items=8, periods=WEEKS, seed=3)
    retail.write(folder)
    history = pd.read_csv(folder / "history.csv", dtype={"item_id": str})
    ids, dates = list(retail.panel.item_ids), retail.panel.dates.strftime("%Y-%m-%d")
    old = history["item_id"].isin(ids[:6]) & (history["date"] <= dates[KNOWN - 1])
    history[old].to_csv(folder / "old.csv", index=False)
    items = pd.read_csv(folder / "items.csv", dtype={"item_id": str})
    items[items["item_id"].isin(ids[:6])].to_csv(folder / "old_items.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def keep(folder, train_once):
    """Return a function that trains a policy on the old files, each once."""
    return partial(train_once, folder / "old.csv", folder / "old_items.csv")


def frame(path):
    return pd.read_csv(path, dtype={"item_id": str})


def files(folder):
    return folder / "history.csv", folder / "state.csv", folder / "items.csv"


def test_new_items_are_ordered_by_what_is_shared(folder, keep):
    """The newsvendor's order of each item, new or not, is that of the same forecaster and policy in memory."""
    run = keep("newsvendor")
    found = next_orders(run, *files(folder))
    names = {f"data.{name}": path for name, path in zip(("history", "state", "items"), files(folder), strict=True)}
    data = load_data(load_config(None, names))
    expected = orders_at_end(data, load_forecaster(run / "models"), fr.make_policy("newsvendor"))
    pd.testing.assert_frame_equal(found.table[list(expected)], expected)
    assert list(found.table["item_id"]) == list(dict.fromkeys(frame(folder / "history.csv")["item_id"]))
    assert len(found.new) == 2
    assert found.table.set_index("item_id").loc[list(found.new), "order_up_to"].gt(0).all()
    after = data.panel.dates[-1] + pd.Timedelta(weeks=1)
    assert (found.table["date"] == after).all()
    assert set(found.table["policy"]) == {"newsvendor"}
    assert set(found.table["forecaster"]) == {"seasonal_naive"}


def test_the_age_of_the_run_and_its_new_items_are_said(folder, keep):
    found = next_orders(keep("newsvendor"), *files(folder))
    assert found.periods_behind == WEEKS - KNOWN
    new = ", ".join(repr(item) for item in found.new)
    assert found.notes[0] == f"2 items are new since the run was made, and ordered: {new}"
    assert found.notes[1].endswith(
        "6 periods before its end: its parameters are of then, its forecasts of now; train again after 13 or so"
    )


@pytest.mark.parametrize("policy", ["base_stock", "ss", "tuned_newsvendor"])
def test_items_of_the_run_keep_their_parameters_in_any_order(folder, keep, policy, tmp_path):
    """An item's order does not depend on which others come or go, or on where it stands in the history."""
    run = keep(policy)
    whole = next_orders(run, *files(folder)).table.set_index("item_id")
    shuffled = frame(folder / "history.csv").sort_values(["item_id", "date"], ascending=[False, True])
    left = shuffled[shuffled["item_id"] != shuffled["item_id"].iloc[-1]]
    left.to_csv(tmp_path / "history.csv", index=False)
    found = next_orders(run, tmp_path / "history.csv", *files(folder)[1:])
    assert list(found.table["item_id"]) == list(dict.fromkeys(left["item_id"]))
    fewer = found.table.set_index("item_id")
    pd.testing.assert_frame_equal(fewer, whole.loc[fewer.index])
    assert found.gone == (shuffled["item_id"].iloc[-1],)
    assert found.no_history == ()
    assert "1 item of the run has no history any more, and is left out" in found.notes[1]


@pytest.mark.parametrize("policy", ["base_stock", "capped_base_stock", "constant_order", "ss", "rq"])
def test_a_new_item_takes_the_pools_parameters(folder, keep, policy, tmp_path):
    """Of two new items that sell alike, one ten times as much, that one's order is about ten times as large."""
    run = keep(policy)
    pooled = pooled_parameters(run / "models", policy)
    assert pooled
    history = frame(folder / "old.csv")
    first = history["item_id"].iloc[0]
    twins = [history]
    for name, factor in (("small", 20.0), ("large", 200.0)):
        twin = history[history["item_id"] == first]
        twins.append(twin.assign(item_id=name, sales=factor * twin["sales"]))
    pd.concat(twins).to_csv(tmp_path / "history.csv", index=False)
    items = frame(folder / "old_items.csv")
    own = items[items["item_id"] == first]
    items = pd.concat([items, *(own.assign(item_id=name) for name in ("small", "large"))])
    items.to_csv(tmp_path / "items.csv", index=False)
    table = next_orders(run, tmp_path / "history.csv", None, tmp_path / "items.csv", on_hand=0.0).table
    levels = table.set_index("item_id")["order"]
    assert levels["small"] > 0
    # The small one's is rounded to a whole unit.
    np.testing.assert_allclose(levels["large"], 10.0 * levels["small"], rtol=0.1, atol=5.0)


def test_pooled_parameters_say_the_same_of_every_scale():
    """Levels that are a fixed number of standard deviations beside the newsvendor's are found as that number."""
    retail = fr.retail_panel(items=9, periods=60, seed=1)
    forecast = fr.make_forecaster("seasonal_naive").fit(retail.panel).predict(retail.panel, 3)
    params = fr.ItemParams(lead_time=2, stockout_cost=9.0)
    ids = list(retail.panel.item_ids)
    total = forecast.total(3)
    level = total.quantile(0.9)[:, 0, 0]
    spread = np.maximum(
        (total.quantile(0.75) - total.quantile(0.25))[:, 0, 0] / 1.349, 0.5 * np.sqrt(total.mean()[:, 0, 0])
    )
    levels = level + 0.5 * spread
    pooled = pool_parameters(fr.make_policy("base_stock", level=levels[:6]), forecast.select(np.arange(6)), params)
    np.testing.assert_allclose(pooled["level"], 0.5, atol=1e-9)
    policy = fr.make_policy("base_stock", level=levels[:6])
    found = for_items(policy, ids[:6], ids[::-1], params, pooled=pooled, forecast=forecast.select(np.arange(9)[::-1]))
    np.testing.assert_allclose(found.level, levels[::-1])
    blended = Blended(policy, fr.make_policy("newsvendor"), 0.25)
    pooled = pool_parameters(blended, forecast.select(np.arange(6)), params)
    assert list(pooled) == ["baseline.level"]
    found = for_items(blended, ids[:6], ids[:7], params, pooled=pooled, forecast=forecast.select(np.arange(7)))
    np.testing.assert_allclose(found.baseline.level, levels[:7])


def test_levels_without_a_pool_have_none_for_new_items():
    policy = fr.make_policy("base_stock", level=[3.0, 4.0])
    np.testing.assert_array_equal(for_items(policy, ["a", "b"], ["b"], fr.ItemParams()).level, [4.0])
    with pytest.raises(fr.FractileError, match="BaseStock keeps level item by item, and has none for new items: 'c'"):
        for_items(policy, ["a", "b"], ["b", "c"], fr.ItemParams())


def test_solved_items_keep_their_solutions_and_new_ones_are_not_solved():
    params = fr.ItemParams(lead_time=1, stockout_cost=np.array([4.0, 9.0]), pack_size=1)
    cls = type(fr.make_policy("forecast_dp", probabilities=[[0.5, 0.5]], solved=[0.0], params=fr.ItemParams()))
    policy = cls(np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]), np.array([0.0, 1.0]), params)
    now = fr.ItemParams(lead_time=1, stockout_cost=np.array([9.0, 4.0, 9.0]), pack_size=1)
    found = for_items(policy, ["a", "b"], ["b", "a", "new"], now)
    assert list(found.solutions) == [0]
    np.testing.assert_array_equal(found.solved, [1, 0, 0])


def test_items_that_are_not_in_the_items_file_are_named_all_at_once(folder, keep):
    with pytest.raises(fr.InputError, match=r"2 items are in the history but not in the items: .*; add a row"):
        next_orders(keep("newsvendor"), folder / "history.csv", folder / "state.csv")


def test_an_item_without_a_history_is_left_out_and_named(folder, keep, tmp_path):
    state = frame(folder / "state.csv")
    pd.concat([state, state.iloc[:1].assign(item_id="coming")]).to_csv(tmp_path / "state.csv", index=False)
    found = next_orders(keep("newsvendor"), folder / "history.csv", tmp_path / "state.csv", folder / "items.csv")
    assert found.no_history == ("coming",)
    assert "1 item has no history yet, and is left out: 'coming'; a row of sales 0" in " ".join(found.notes)
    assert "coming" not in set(found.table["item_id"])


@pytest.mark.parametrize("policy", ["newsvendor", "base_stock"])
def test_a_discontinued_item_is_listed_and_not_ordered(folder, keep, policy, tmp_path):
    items = frame(folder / "items.csv")
    first = items["item_id"].iloc[0]
    last = frame(folder / "history.csv")["date"].max()
    history = frame(folder / "history.csv")
    ended = (history["item_id"] == first) & (history["date"] == last)
    history.assign(sales=history["sales"].where(~ended, 0.0)).to_csv(tmp_path / "history.csv", index=False)
    items.assign(discontinued=np.where(items["item_id"] == first, last, "")).to_csv(tmp_path / "items.csv", index=False)
    found = next_orders(keep(policy), tmp_path / "history.csv", None, tmp_path / "items.csv", on_hand=0)
    orders = found.table.set_index("item_id")["order"]
    assert orders[first] == 0
    assert (orders.drop(first) > 0).any()
    assert found.discontinued == (first,)
    assert f"1 item is taken for discontinued, and not ordered: {first!r}" in found.notes


def test_a_history_older_than_the_run_is_refused(folder, keep, tmp_path):
    history = frame(folder / "old.csv")
    history[history["date"] < history["date"].max()].to_csv(tmp_path / "history.csv", index=False)
    with pytest.raises(fr.InputError, match=r"--history: ends on .*, before the history of the run .*; give"):
        next_orders(keep("newsvendor"), tmp_path / "history.csv", None, folder / "old_items.csv", on_hand=0)


def test_a_history_of_another_frequency_is_refused(folder, keep, tmp_path):
    history = frame(folder / "old.csv")
    days = pd.to_datetime(history["date"]) - pd.Timestamp(history["date"].min())
    moved = pd.Timestamp("2030-01-07") + days / 7
    history.assign(date=moved.dt.date).to_csv(tmp_path / "history.csv", index=False)
    rule = (
        r"--history: has periods of frequency D, and the run .* of W-MON; add it up: fractile import .* --freq W-MON "
    )
    with pytest.raises(fr.InputError, match=rule):
        next_orders(keep("newsvendor"), tmp_path / "history.csv", None, folder / "old_items.csv", on_hand=0)


def test_the_history_of_another_run_is_refused(folder, keep, tmp_path):
    history = frame(folder / "old.csv")
    history.assign(item_id="x" + history["item_id"]).to_csv(tmp_path / "history.csv", index=False)
    items = frame(folder / "old_items.csv")
    items.assign(item_id="x" + items["item_id"]).to_csv(tmp_path / "items.csv", index=False)
    with pytest.raises(fr.InputError, match=r"none of its 6 items \(.*\) is among the 6 of the run"):
        next_orders(keep("newsvendor"), tmp_path / "history.csv", None, tmp_path / "items.csv", on_hand=0)


def test_stock_is_asked_for(folder, keep):
    with pytest.raises(fr.InputError, match=r"--state: is missing.*fractile init --history .*or --on-hand N"):
        next_orders(keep("newsvendor"), folder / "old.csv")


def test_stock_that_no_file_names_is_what_is_given(folder, keep, tmp_path):
    run, state = keep("newsvendor"), frame(folder / "state.csv")
    few = state.iloc[1:].copy()
    few.to_csv(tmp_path / "few.csv", index=False)
    units = {name: 0.0 for name in state.columns[1:]} | {"on_hand": 7.0}
    pd.concat([few, state.iloc[:1].assign(**units)]).to_csv(tmp_path / "all.csv", index=False)
    history, _, items = files(folder)
    found = next_orders(run, history, tmp_path / "few.csv", items, on_hand=7.0).table
    pd.testing.assert_frame_equal(found, next_orders(run, history, tmp_path / "all.csv", items).table)
    with pytest.raises(fr.InputError, match=r"1 item is in the history but not in the state: .*; .* give --on-hand N"):
        next_orders(run, history, tmp_path / "few.csv", items)


def test_items_without_a_count_are_named(folder, keep, tmp_path):
    run, (history, state, items) = keep("newsvendor"), files(folder)
    frame(state).iloc[2:].to_csv(tmp_path / "few.csv", index=False)
    first = tuple(frame(state)["item_id"][:2])
    found = next_orders(run, history, tmp_path / "few.csv", items, on_hand=4)
    assert found.not_counted == first
    names = ", ".join(map(repr, first))
    said = f"2 items are taken to have 4 on hand and nothing under way: {names} (--on-hand)"
    assert said in found.notes
    assert found.to_record()["not_counted"] == first
    bare = next_orders(run, history, None, items, on_hand=0)
    assert any(note.startswith("all 8 items are taken to have 0 on hand") for note in bare.notes)
    assert next_orders(run, history, state, items).not_counted == ()


def test_items_that_two_files_lack_are_told_at_once(folder, keep, tmp_path):
    history, state, _ = files(folder)
    frame(state).iloc[:-1].to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(fr.InputError) as caught:
        next_orders(keep("newsvendor"), history, tmp_path / "few.csv", folder / "old_items.csv")
    by_items, by_state = caught.value.faults
    assert by_items.startswith(f"{folder / 'old_items.csv'}: 2 items are in the history but not in the items")
    assert by_state.startswith(f"{tmp_path / 'few.csv'}: 1 item is in the history but not in the state")
    assert "--on-hand N" in by_state


def test_a_discontinued_item_needs_no_count(folder, keep, tmp_path):
    run, (history, state, _) = keep("newsvendor"), files(folder)
    items = frame(folder / "items.csv")
    first, end = items["item_id"][0], frame(history)["date"].max()
    items["discontinued"] = np.where(items["item_id"] == first, end, "")
    items.to_csv(tmp_path / "items.csv", index=False)
    sales = frame(history)
    sales.loc[(sales["item_id"] == first) & (sales["date"] == end), "sales"] = 0
    sales.to_csv(tmp_path / "history.csv", index=False)
    there = frame(state)
    there[there["item_id"] != first].to_csv(tmp_path / "few.csv", index=False)
    found = next_orders(run, tmp_path / "history.csv", tmp_path / "few.csv", tmp_path / "items.csv")
    whole = next_orders(run, tmp_path / "history.csv", state, tmp_path / "items.csv")
    assert found.discontinued == (first,)
    pd.testing.assert_series_equal(found.table["order"], whole.table["order"])


@pytest.mark.parametrize(
    ("days", "said"), [(-1, None), (6, None), (-2, "before the history's"), (7, "after the period")]
)
def test_stock_that_was_counted_on_another_day_is_refused(folder, keep, tmp_path, days, said):
    """Days from the start of the period that is ordered for, which is a week; items without a day are not checked."""
    run, (history, state, items) = keep("newsvendor"), files(folder)
    begin = pd.Timestamp(frame(history)["date"].max()) + pd.Timedelta(weeks=1)
    dated = frame(state).iloc[1:].assign(date="")
    dated.loc[dated.index[2], "date"] = str((begin + pd.Timedelta(days=days)).date())
    dated.to_csv(tmp_path / "state.csv", index=False)
    name = dated["item_id"].iloc[2]
    if said is None:
        assert len(next_orders(run, history, tmp_path / "state.csv", items, on_hand=3).table) == len(frame(items))
    else:
        with pytest.raises(fr.InputError, match=f"--state: item '{name}': stock was counted on .*, {said}.*; count it"):
            next_orders(run, history, tmp_path / "state.csv", items, on_hand=3)


def test_the_items_file_of_the_run_is_named(folder, keep):
    run = keep("newsvendor")
    found = next_orders(run, folder / "old.csv", None, on_hand=0)
    assert f"items: {folder / 'old_items.csv'}, as in the run" in found.notes
    with pytest.raises(fr.InputError, match=f"{folder / 'old_items.csv'}: 2 items are in the history but not in"):
        next_orders(run, folder / "history.csv", None, on_hand=0)


def test_a_state_as_a_spreadsheet_saves_it_is_read_and_said(folder, keep, tmp_path):
    run, (history, state, items) = keep("newsvendor"), files(folder)
    frame(state).to_csv(tmp_path / "state.csv", index=False, sep=";", decimal=",", encoding="utf-16")
    found = next_orders(run, history, tmp_path / "state.csv", items)
    pd.testing.assert_frame_equal(found.table, next_orders(run, history, state, items).table)
    assert any(note.startswith(f"{tmp_path / 'state.csv'}: read as text in UTF-16") for note in found.notes)


def test_a_policy_that_the_run_does_not_keep_is_refused(folder, keep):
    with pytest.raises(fr.InputError, match="--policy: 'ss' is not kept by the run; the run has newsvendor"):
        next_orders(keep("newsvendor"), *files(folder), policy="ss")
    with pytest.raises(fr.InputError, match="--policy: 'hindsight' is a bound that knows the future; the run has"):
        next_orders(keep("newsvendor"), *files(folder), policy="hindsight")


def test_levels_in_use_are_those_of_the_items_file_now(folder, tmp_path):
    """The user's own levels are no parameters of the run: a new item has its own, and a changed one counts."""
    old = frame(folder / "old_items.csv").assign(base_stock_level=50.0)
    old.to_csv(tmp_path / "old_items.csv", index=False)
    files = {"data.history": folder / "old.csv", "data.items": tmp_path / "old_items.csv"}
    named = {"policies.names": ["own_levels"], "policies.baseline": "own_levels"}
    config = load_config(None, {**files, **named, "forecast.forecaster": "seasonal_naive"})
    run = train_run(config, tmp_path / "run", policy="own_levels", command="fractile train", progress=silent)
    items = frame(folder / "items.csv")
    levels = 60.0 + np.arange(len(items))
    items.assign(base_stock_level=levels).to_csv(tmp_path / "items.csv", index=False)
    found = next_orders(run, folder / "history.csv", None, tmp_path / "items.csv", on_hand=0).table
    expected = items.assign(level=levels).set_index("item_id")["level"][found["item_id"]]
    np.testing.assert_array_equal(found["order_up_to"], expected)
    with pytest.raises(fr.InputError, match="--items: has no levels, and own_levels orders by them"):
        next_orders(run, folder / "history.csv", None, folder / "items.csv", on_hand=0)


def test_a_run_of_the_embedded_panel_needs_an_items_file(folder, tmp_path):
    data = {"source": "embedded panel", "item_ids": ["a"], "freq": "W-MON", "last_date": "2024-01-01"}
    with new_run(tmp_path / "run") as run:
        run.write_json("manifest.json", {"kind": "train", "policy": "ss", "forecaster": "ets", "data": data})
    with pytest.raises(fr.InputError, match=r"--items: is missing; the run .* is of the embedded panel"):
        next_orders(tmp_path / "run", folder / "history.csv", folder / "state.csv")


def test_a_run_without_a_policy_is_refused(folder, tmp_path):
    with new_run(tmp_path / "league") as run:
        run.write_json("manifest.json", {"kind": "lineage"})
    with pytest.raises(fr.InputError, match="is a run of kind 'lineage', which keeps no policy"):
        next_orders(tmp_path / "league", *files(folder))


def test_ids_that_look_like_formulas_are_escaped_and_read_back(folder, keep, tmp_path):
    """Ids in the history are as written; those in the orders, the state and the items may have a ' in front."""
    run, first = keep("newsvendor"), frame(folder / "history.csv")["item_id"].iloc[-1]
    for name, shown in (("history", "=1+1"), ("state", "'=1+1"), ("items", "'=1+1")):
        table = frame(folder / f"{name}.csv")
        table["item_id"] = table["item_id"].replace(first, shown)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    paths = [f"--{name}={tmp_path / name}.csv" for name in ("history", "state", "items")]
    done = CliRunner().invoke(app, ["order", f"--run={run}", *paths, f"--out={tmp_path / 'orders.csv'}"])
    assert done.exit_code == 0, done.output
    table = frame(tmp_path / "orders.csv")
    assert table["item_id"].iloc[-1] == "'=1+1"
    expected = next_orders(run, *files(folder)).table
    np.testing.assert_array_equal(table["order"], expected["order"])


@pytest.mark.parametrize("mark", ["=", "+", "-", "@", "\t", "\r"])
def test_every_first_character_of_a_formula_is_escaped(mark):
    table = pd.DataFrame({"item_id": [f"{mark}a", "a=", "007"]})
    written = fr.forecasters.data.matching.escape_ids(table)
    assert written["item_id"].tolist() == [f"'{mark}a", "a=", "007"]
    unescape = fr.forecasters.data.matching.unescape_ids
    pd.testing.assert_frame_equal(unescape(written, [f"{mark}a", "a="]), table)
    # An id that the history has is never changed.
    assert unescape(written, [f"'{mark}a", f"{mark}a"])["item_id"].iloc[0] == f"'{mark}a"
