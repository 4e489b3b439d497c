"""What a study takes for granted: each parameter with its source, and loudly where nobody gave it."""

from __future__ import annotations

import pandas as pd
import pytest

import fractile as fr
from fractile.studies.assumptions import (
    Assumption,
    assumed_in_run,
    assumption_record,
    describe_defaults,
    list_assumptions,
)
from fractile.studies.config import load_config
from fractile.studies.data import load_data


@pytest.fixture
def history(tmp_path):
    frame = fr.retail_panel(items=3, periods=60, seed=0).panel.to_frame()[["item_id", "date", "sales"]]
    path = tmp_path / "history.csv"
    frame.to_csv(path, index=False)
    return path


def found(history, items=None, **overrides):
    named = {"data.history": history, "data.missing": "zero", **overrides}
    if items is not None:
        path = history.parent / "items.csv"
        pd.DataFrame({"item_id": ["SKU-0001", "SKU-0002", "SKU-0003"], **items}).to_csv(path, index=False)
        named["data.items"] = path
    config = load_config(None, named)
    return {a.name: a for a in list_assumptions(config, load_data(config))}


def test_what_nobody_gave_is_a_default(history):
    rows = found(history)
    assert {row.source for row in rows.values()} == {"default"}
    assert rows["holding_cost"].describe() == "1"
    assert rows["pack_size"].describe() == "1"  # whole units, as the demand is
    assert rows["maximum_order"].describe() == "none"
    assert [name for name, row in rows.items() if row.by_default] == [
        *("lead_time", "review_period", "holding_cost", "stockout_cost", "fixed_order_cost", "unmet_demand"),
    ]


def test_an_option_counts_as_given_even_where_it_is_the_default(history):
    rows = found(history, **{"defaults.holding_cost": 1.0, "defaults.unmet_demand": "backorder"})
    assert (rows["holding_cost"].source, rows["unmet_demand"].source) == ("config", "config")
    assert rows["unmet_demand"].describe() == "backordered"
    assert rows["lead_time"].source == "default"


def test_a_quick_study_knows_what_was_given(history):
    config = load_config(None, {"data.history": history, "defaults.lead_time": 1}).quick()
    rows = {a.name: a for a in list_assumptions(config, load_data(config))}
    assert (rows["lead_time"].source, rows["holding_cost"].source) == ("config", "default")


def test_the_items_file_is_a_source(history):
    rows = found(history, {"lead_time": [1, 2, 3], "maximum_order": [5, None, 7]}, **{"defaults.lead_time": 4})
    assert (rows["lead_time"].source, rows["lead_time"].describe()) == ("items", "1 to 3")
    assert (rows["maximum_order"].source, rows["maximum_order"].describe()) == ("items", "5 to ∞")
    assert rows["holding_cost"].by_default


def test_a_margin_is_a_stockout_cost_that_was_given(history):
    rows = found(history, {"price": [3.0, 4.0, 5.0], "unit_cost": [1.0, 1.0, 1.0]})
    assert (rows["stockout_cost"].source, rows["stockout_cost"].describe()) == ("items", "2 to 4")


def test_the_embedded_panel_brings_its_own():
    config = load_config(None, {"data.embedded_items": 3})
    rows = {a.name: a for a in list_assumptions(config, load_data(config))}
    assert rows["stockout_cost"].source == rows["lead_time"].source == "panel"
    assert rows["review_period"].by_default


def test_costs_and_lead_times_that_nobody_gave_are_said_in_one_line_with_the_remedy(history):
    rows = found(history)
    assert describe_defaults(list(rows.values())) == (
        "holding_cost 1, stockout_cost 9 and lead_time 1 are Fractile's defaults, not yours: give --holding-cost, "
        "--stockout-cost and --lead-time, or columns of the items file (fractile init writes one)"
    )
    rows = found(history, {"stockout_cost": [3, 4, 5]}, **{"defaults.lead_time": 2})
    assert describe_defaults(list(rows.values())) == (
        "holding_cost 1 is Fractile's default, not yours: give --holding-cost, or columns of the items file "
        "(fractile init writes one)"
    )
    rows = found(history, {"stockout_cost": [3, 4, 5], "holding_cost": [1, 1, 1], "lead_time": [1, 1, 1]})
    assert describe_defaults(list(rows.values())) == ""
    assert [Assumption.from_record(row.to_record()) for row in rows.values()] == list(rows.values())


def test_a_kept_run_remembers_what_was_assumed_and_columns_given_later_count(history):
    record = assumption_record(list(found(history, **{"defaults.lead_time": 1}).values()))
    assert assumed_in_run(record) == record["assumed"]
    assert record["assumed"].startswith("holding_cost 1 and stockout_cost 9 are")
    later = pd.DataFrame({"price": [2.0], "unit_cost": [1.0]})
    assert assumed_in_run(record, later).startswith("holding_cost 1 is")
    assert assumed_in_run(record, later.assign(holding_cost=0.1)) == ""
    assert assumed_in_run({}) == ""  # a run of an earlier version


def test_a_share_that_is_lost_is_described():
    share = Assumption("unmet_demand", "", 0.3, 0.3, None, "config").describe()
    assert " ".join(share.split()) == "30 % lost, the rest backordered"


def test_every_parameter_that_costs_money_is_listed(history):
    rows = found(history, items={"shelf_life": [3, 3, 5], "waste_cost": [1.0, 2.0, 0.5], "salvage_value": [0.1] * 3})
    assert (rows["waste_cost"].describe(), rows["waste_cost"].source) == ("0.5 to 2", "items")
    assert rows["salvage_value"].describe() == "0.1"
    rows = found(history, items={"shelf_life": [3, 3, 5]})
    assert rows["waste_cost"].by_default  # nobody gave what waste costs
    rows = found(history, items={"price": [5.0, 6.0, 7.0], "unit_cost": [2.0, 2.0, 2.5]})
    assert (rows["price"].describe(), rows["unit_cost"].describe()) == ("5 to 7", "2 to 2.5")
    rows = found(history, items={"price": [5.0] * 3, "unit_cost": [2.0] * 3, "stockout_cost": [1.0] * 3})
    assert not {"price", "unit_cost", "waste_cost", "salvage_value"} & set(rows)
