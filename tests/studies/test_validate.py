"""`fractile validate`: what is suspicious in files without faults, each kind by a code and words with the remedy."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fractile.cli import app
from fractile.studies.commands.input_files import files_text
from fractile.studies.folder import new_run

RUNNER = CliRunner()
WEEKS = pd.date_range("2022-01-03", periods=104, freq="W-MON")
COSTS = "item_id,lead_time,holding_cost,stockout_cost\na,2,1,9\nb,1,1,9\n"
ENOUGH = "item_id,on_hand,arriving_1,arriving_2\na,3,0,1\nb,2,0,0\n"


def invoke(*arguments):
    return RUNNER.invoke(app, [str(argument) for argument in arguments])


def sales(mean=6.0, items="ab", periods=104):
    return pd.DataFrame(np.random.default_rng(4).poisson(mean, (periods, len(items))) + 1.0, columns=list(items))


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Writes files and returns what is suspicious in them, text by code."""
    monkeypatch.chdir(tmp_path)

    def write_and_check(table=None, items=COSTS, state=None, *options, freq="W-MON", **columns):
        table = sales() if table is None else table
        dates = pd.date_range("2022-01-03", periods=len(table), freq=freq)
        frame = (
            table.set_axis(dates).rename_axis("date").melt(ignore_index=False, var_name="item_id", value_name="sales")
        )
        frame.reset_index().assign(**columns).to_csv("h.csv", index=False)
        arguments = ["--history", "h.csv"]
        for name, text in (("items", items), ("state", state)):
            if text is not None:
                (tmp_path / f"{name}.csv").write_text(text)
                arguments += [f"--{name}", f"{name}.csv"]
        result = invoke("validate", *arguments, *options, "--json")
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        found, text = document["suspicious"], files_text(document)
        assert ("suspicious:\n" in text) == bool(found)
        assert all(f"  {each['code']}: {each['text']}" in text for each in found)
        assert text.endswith("no faults")
        return {each["code"]: each["text"] for each in found}

    return write_and_check


def test_sound_files_are_not_suspicious(check):
    assert check(state=ENOUGH) == {}


def test_costs_that_are_missing_and_the_default_in_their_place(check):
    assert check(items=None)["costs_missing"].startswith("holding_cost 1, stockout_cost 9 and lead_time 1 are")
    found = check(None, "item_id,lead_time,holding_cost,price\na,2,1,5\nb,2,1,6\n")
    assert found["costs_missing"].startswith("stockout_cost 9 is Fractile's default")
    assert found["costs_missing"].endswith("with unit_cost, too, price - unit_cost would be the stockout_cost")
    options = ("--lead-time", 1, "--holding-cost", 1, "--stockout-cost", 3)
    assert check(None, None, None, *options) == {}


def test_weeks_without_a_sale_that_are_no_demand(check):
    table = sales()
    table.loc[30:33, "a"] = 0
    found = check(table)
    assert found.keys() == {"no_in_stock"}
    assert found["no_in_stock"].startswith("1 of 2 items sold nothing for longer than their own rate")
    assert "'a' 4 weeks from 2022-08-01" in found["no_in_stock"]
    stocked = np.ones((2, 104), dtype=bool)
    stocked[0, 30:34] = False
    assert check(table, in_stock=stocked.reshape(-1)) == {}
    stocked[0, 33] = True  # three of the four are on record
    stocked[1, 2] = False
    table.loc[60:63, "a"] = 0
    assert check(table, in_stock=stocked.reshape(-1)).keys() == {"zero_runs"}


def test_ids_that_look_alike_or_lost_their_digits(check):
    found = check(sales(items=["tea", "Tea ", "t\u200bea", "4.0E+12"]), None)
    assert found["near_twins"].startswith("items that look like one and the same: 'tea' and 'Tea ' and 't\\u200bea'")
    assert found["ids_cut_short"].startswith("ids cut short by a spreadsheet, as it looks: '4.0E+12' (1 in all)")
    assert check(sales(items=["007", "7"]), None)["near_twins"].endswith(
        "(they differ by leading zeros); give them one id where they are"
    )


def test_discontinued_items(check):
    table = sales()
    table.loc[60:, "b"] = 0
    assert "1 items are taken for discontinued" in check(table)["discontinued"]
    later = (
        COSTS.replace("cost\n", "cost,discontinued\n")
        .replace("a,2,1,9", "a,2,1,9,2030-01-01")
        .replace("b,1,1,9", "b,1,1,9,")
    )
    assert check(None, later)["discontinued_later"].startswith("item 'a': 'discontinued' lies beyond")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda t: t + 45_291, "Excel's numbers of days, e.g. 45,292"),
        (lambda t: 20_230_100 + (t - 1) % 28 + 1, "days without separators, e.g. 202301"),
    ],
)
def test_sales_that_are_dates(check, made, words):
    found = check(made(sales()))
    assert found.keys() == {"sales_are_dates"}
    assert words.replace(",2", "2") in found["sales_are_dates"] or words.split(",")[0] in found["sales_are_dates"]


@pytest.mark.parametrize(("units", "words"), [(1e15, "1e+15 units"), (1e12, "1,000,000,000,000 units")])
def test_absurd_sales(check, units, words):
    table = sales()
    table.loc[50, "a"] = units
    assert words in check(table)["absurd_sales"]
    table["a"] = units  # not one of them is typical
    assert "absurd sale? item 'a'" in check(table)["absurd_sales"]


def test_sales_that_cannot_be_counted_are_refused_where_anything_is_computed(check):
    table = sales()
    table["a"] = 1e15
    check(table, freq="D")
    result = invoke("train", "--history", "h.csv", "--freq", "MS", "--forecaster", "patchwork", "--out", "kept")
    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        "error: history: item 'a' sold 3.1e+16 units on 2022-03-01, more than can be counted (9e+15)" in result.stderr
    )


def test_large_sales_are_no_dates(check):
    assert check(sales(45_000.0) * np.linspace(0.3, 3, 104).round(1)[:, None] // 1) == {}


@pytest.mark.parametrize(
    ("items", "code", "words"),
    [
        (
            COSTS.replace("a,2", "a,200"),
            "lead_time_long",
            "item 'a': a lead time of 200 weeks is longer than the history (104)",
        ),
        (COSTS.replace("a,2", "a,45"), "history_short", "too short for `fractile study`: history: has 104 periods"),
        (
            COSTS.replace("a,2", "a,14").replace("b,1", "b,7"),
            "lead_time_days",
            "every lead_time is a multiple of 7 (7, 14)",
        ),
        (COSTS.replace("a,2", "a,28").replace("b,1", "b,28"), "lead_time_days", "28 days are 4"),
        (COSTS.replace("a,2,1,9", "a,2,10,9"), "stockout_cost_low", "stockout_cost 9 is below holding_cost 10"),
        ("item_id,lead_time,holding_cost,price,unit_cost\na,2,1,9,3\nb,2,1,5,0.5\n", "holding_cost_high", "(item 'b')"),
        (
            "item_id,lead_time,holding_cost,stockout_cost,price,unit_cost\na,2,1,9,0,3\nb,2,1,9,5,4\n",
            "price_zero",
            "price is 0 in the items (item 'a')",
        ),
        (
            "item_id,lead_time,holding_cost,stockout_cost,price,unit_cost\na,2,1,9,2,3\nb,2,1,9,5,4\n",
            "unit_cost_high",
            "unit_cost is above price (item 'a')",
        ),
        (
            "item_id,lead_time,holding_cost,stockout_cost,pack_size\na,2,1,9,0.7\nb,2,1,9,1\n",
            "pack_fractional",
            "pack_size 0.7 is no whole number, though all sales are (item 'a')",
        ),
        (
            "item_id,lead_time,holding_cost,stockout_cost,maximum_order\na,2,1,9,3\nb,2,1,9,\n",
            "maximum_order_low",
            "maximum_order 3 is below mean sales of 6.",
        ),
        (
            "item_id,lead_time,holding_cost,stockout_cost,minimum_order\na,2,1,9,5000\nb,2,1,9,\n",
            "smallest_order_large",
            "the smallest order of 5000 units is more than twice all that the history sold (item 'a')",
        ),
    ],
)
def test_items_that_look_wrong(check, items, code, words):
    assert words in check(None, items)[code]


def test_lead_times_that_are_no_days(check):
    assert check(None, COSTS.replace("a,2", "a,7").replace("b,1", "b,7")) == {}  # seven weeks may well be meant
    assert check(None, COSTS.replace("a,2", "a,14").replace("b,1", "b,3")) == {}
    months = COSTS.replace("a,2", "a,30").replace("b,1", "b,60")
    assert "every lead_time is a multiple of 30" in check(sales(periods=400), months, freq="MS")["lead_time_days"]


def test_prices_of_nothing(check):
    prices = np.full(208, 3.0)
    prices[:5] = 0
    assert check(price=prices)["price_zero"].startswith("price is 0 in 5 rows (item 'a')")


def test_a_state_that_does_not_fit(check):
    assert (
        "the state has arrivals up to arriving_1, the lead time of item 'a' is 2"
        in (check(state="item_id,on_hand,arriving_1\na,3,0\nb,2,0\n")["state_arrivals"])
    )
    assert check(state="item_id,on_hand\na,0\nb,0\n").keys() == {"state_arrivals", "state_empty"}
    dated = ENOUGH.replace("arriving_2", "arriving_2,date")
    # The last week begins on 2023-12-25: stock is counted when it is over, and before the next one is.
    fits = {"2023-12-31": True, "2024-01-01": True, "2024-01-07": True, "2023-12-25": False, "2024-01-08": False}
    for day, fit in fits.items():
        found = check(state=dated.replace("1\nb", f"1,{day}\nb").replace("b,2,0,0", "b,2,0,0,2024-01-01"))
        assert found.keys() == (set() if fit else {"state_date"})
    assert "item 'a': stock was counted on 2024-01-08, after the period that is ordered for" in found["state_date"]
    assert "count it when 2024-01-01 begins" in found["state_date"]


def test_a_state_whose_date_is_none_is_a_fault(check, tmp_path):
    check()
    (tmp_path / "state.csv").write_text("item_id,on_hand,date\na,3,soon\nb,1,\n")
    result = invoke("validate", "--history", "h.csv", "--state", "state.csv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith(
        "state.csv: line 2: date must be a date, got 'soon'; write it as YYYY-MM-DD, or nothing\n"
    )


def test_faults_of_costs_and_of_stock_come_together(check, tmp_path):
    check()
    (tmp_path / "items.csv").write_text("item_id,lead_time,holding_cost\na,0,1\nb,1,0\n")
    (tmp_path / "state.csv").write_text("item_id,on_hand,arriving_1\na,3,1\nb,1,0\n")
    faults = invoke(
        "validate", "--history", "h.csv", "--items", "items.csv", "--state", "state.csv"
    ).stderr.splitlines()
    assert len(faults) == 2
    assert (
        "holding_cost and stockout_cost must both be above 0, or no quantity is the best; set them ('b')" in faults[0]
    )
    assert "with its lead time of 0 it would be due after" in faults[1]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = {"freq": "W-MON", "item_ids": ["a", "b"], "last_date": "2023-12-25"}
    assumed = {"name": "lead_time", "symbol": "L", "low": 4.0, "high": 4.0, "value": None, "source": "default"}
    with new_run(tmp_path / "kept") as run:
        run.write_json("manifest.json", {"data": data, "assumptions": [assumed]})
        run.write_text("config.toml", "[defaults]\nlead_time = 4\n")
    return tmp_path / "kept"


def test_a_history_is_compared_with_a_kept_run(check, kept):
    found = check(None, None, None, "--run", kept)
    assert found == {
        "costs_missing": "lead_time 4 is Fractile's default, not yours: give --lead-time, or columns of the items file "
        "(fractile init writes one)"
    }
    found = check(sales(items="ac", periods=100), None, None, "--run", kept)
    assert "1 items were not in the run's history: 'c'" in found["run_items_new"]
    assert "1 items of the run are not in the history: 'b'" in found["run_items_gone"]
    assert "the history ends with 2023-11-27, before the run's, which ends with 2023-12-25" in found["run_is_newer"]
    assert (
        "52 of the history's 156 weeks are later than the run's"
        in (check(sales(periods=156), None, None, "--run", kept)["run_is_old"])
    )
    found = check(sales(periods=800), None, None, "--run", kept, freq="D")
    assert found["run_frequency"].startswith("the history's periods are D, the run's W-MON; give --freq W-MON")
    assert "run_frequency" not in check(sales(periods=800), None, None, "--run", kept, "--freq", "W-MON", freq="D")


def test_a_history_is_read_as_the_run_read_its_own(check, kept):
    (kept / "config.toml").write_text('[data]\nfreq = "W-MON"\n')
    assert "run_frequency" not in check(sales(periods=728), None, None, "--run", kept, freq="D")
