"""The league of forecasters: its numbers by hand, what it may see, what it keeps, and its page."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import fractile as fr
from fractile import (
    DEFAULT_LEVELS,
    InputError,
    QuantileForecast,
    SalesPanel,
)
from fractile.cli import app
from fractile.studies.config import DefaultsConfig, load_config
from fractile.studies.league import (
    Entry,
    entry as lineage_entry,
    league,
    league_task,
    make_league,
    page as lineage_page,
    run as lineage_module,
)
from fractile.studies.league.entry import FINE_LEVELS, by_target, entry_key, load_entry, make_entry, save_entry
from fractile.studies.league.run import lineage_run, run_league
from fractile.studies.league.table import check_history_order
from fractile.studies.league.task import LOSS_LEVELS, TRUTH, choose_example_items, comparison_pairs, sort_by_history
from fractile.studies.report.page import build_report
from fractile.studies.statistics import paired_saving
from fractile.studies.study import run_study

HORIZON = 4
RETAIL = fr.retail_panel(items=8, periods=90, seed=1)
PANEL = RETAIL.panel
IN_STOCK = replace(PANEL, in_stock=np.ones_like(PANEL.in_stock))


def silent(message, share=None):
    pass


def flat_panel(demand=5.0, items=3, periods=40):
    dates = pd.date_range("2024-01-01", periods=periods, freq="W-MON")
    true = np.ones((items, periods), dtype=bool)
    ids = tuple(f"item {i}" for i in range(items))
    return SalesPanel(np.full((items, periods), demand), true, true, dates, ids, "W-MON")


class Fixed:
    """Forecasts 10 τ times a factor, whatever happens, and remembers what it was given."""

    def __init__(self, factor=1.0, error=None):
        self.factor, self.error, self.fitted, self.asked = factor, error, [], []

    def fit(self, panel):
        if self.error:
            raise RuntimeError(self.error)
        self.fitted.append(panel)
        return self

    def predict(self, panel, horizon, levels=DEFAULT_LEVELS, origins=None, future=None):
        self.asked.append((panel.items, tuple(origins)))
        levels, origins = np.asarray(levels), np.asarray(origins)
        values = np.broadcast_to(10.0 * self.factor * levels, (panel.items, len(origins), horizon, len(levels)))
        return QuantileForecast(levels, values.copy(), origins, panel.item_ids, panel.dates[origins], panel.freq)


@pytest.fixture
def fixed(monkeypatch):
    """Puts fixed forecasters in the place of real ones: `fixed(ets=…)`; the list of what was built comes back."""
    built = []

    def use(**stand_ins):
        def new_forecaster(name, options, horizon, seed, given, **more):
            built.append(name)
            return stand_ins[name]

        monkeypatch.setattr(lineage_entry, "new_forecaster", new_forecaster)
        return built

    return use


def row(found, name):
    return found.table.set_index("forecaster").loc[name]


def test_scores_of_a_forecast_that_can_be_scored_by_hand(fixed):
    fixed(ets=Fixed())
    found = row(league(flat_panel(), ["ets"], HORIZON), "ets")
    # Demand 5, quantile 10 τ: 2 ρ = 2 τ (5 − 10 τ) below the median, 2 (1 − τ) (10 τ − 5) above it.
    losses = [2 * t * (5 - 10 * t) if t < 0.5 else 2 * (1 - t) * (10 * t - 5) for t in LOSS_LEVELS]
    assert found["wql"] == pytest.approx(np.mean(losses) / 5)
    assert found["p50"] == pytest.approx(0.0)
    assert found["p90"] == pytest.approx(2 * 0.1 * 4 / 5)
    assert (found["coverage_10"], found["coverage_50"], found["coverage_90"]) == (0.0, 1.0, 1.0)
    assert found["inside_80"] == 1.0
    assert found["sharpness"] == pytest.approx((9 - 1) / 5)
    assert found["wql_low"] == pytest.approx(found["wql"]) == found["wql_high"]


def test_the_table_is_what_forecasts_by_hand_give():
    found = league(IN_STOCK, ["seasonal_naive"], HORIZON)
    starts = [90 - 12, 90 - 8, 90 - 4]
    forecaster = fr.make_forecaster("seasonal_naive", horizon=HORIZON).fit(IN_STOCK.until(starts[0]))
    loss = {level: 0.0 for level in DEFAULT_LEVELS}
    units, below, weeks = 0.0, dict(loss), 0
    for origin in starts:
        values = forecaster.predict(IN_STOCK, HORIZON, DEFAULT_LEVELS, origins=[origin]).values
        for i in range(PANEL.items):
            for h in range(HORIZON):
                if not PANEL.listed[i, origin + h]:
                    continue
                demand, weeks = PANEL.sales[i, origin + h], weeks + 1
                units += demand
                for level, quantile in zip(DEFAULT_LEVELS, values[i, 0, h], strict=True):
                    loss[level] += 2 * max(level * (demand - quantile), (level - 1) * (demand - quantile))
                    below[level] += demand <= quantile
    mine = row(found, "seasonal_naive")
    assert mine["wql"] == pytest.approx(np.mean([loss[level] for level in LOSS_LEVELS]) / units)
    assert mine["p50"] == pytest.approx(loss[0.5] / units)
    assert mine["p90"] == pytest.approx(loss[0.9] / units)
    assert mine["coverage_90"] == pytest.approx(below[0.9] / weeks)
    assert mine["wql_low"] < mine["wql"] < mine["wql_high"]


def test_true_demand_counts_where_items_were_listed_and_in_stock_or_not():
    found = league(PANEL, ["seasonal_naive"], HORIZON, truth=RETAIL.demand)
    cells = found.entries["seasonal_naive"].loss
    held_out = np.where(PANEL.listed, RETAIL.demand, 0.0)[:, -12:].T
    np.testing.assert_array_equal(cells.weight, held_out)
    assert cells.weight.sum() > np.where(PANEL.informative, PANEL.sales, 0.0)[:, -12:].sum()


def test_what_was_sold_out_of_stock_is_a_bound(fixed):
    fixed(ets=Fixed())
    later = np.arange(40) >= 30
    panel = flat_panel(periods=40)  # always 5
    out = replace(panel, in_stock=panel.in_stock & ~later, sales=np.where(later, [[0.0], [2.0], [30.0]], panel.sales))
    loss = league(out, ["ets"], HORIZON).entries["ets"].loss
    np.testing.assert_array_equal(loss.weight[-10:], [[0.0, 2.0, 30.0]] * 10)
    # Quantiles 10 τ: none is below 0; one is below 2, by 1 at the level 0.1; all are below 30.
    few = 2 * 0.1 * 1 / 9
    many = np.mean([2 * t * (30 - 10 * t) for t in LOSS_LEVELS])
    np.testing.assert_allclose(loss.value[-10:], [[0.0, few, many]] * 10)


def test_demand_summed_over_the_protection_interval_is_scored_at_the_critical_ratio(fixed):
    fixed(ets=Fixed(), lightgbm=Fixed(0.5))
    span, ratio = np.array([1, 3, 9]), np.array([0.5, 0.9, 0.7])  # 9 periods are beyond the horizon
    asked = league_task(flat_panel(), HORIZON, span=span, critical_ratio=ratio)
    found = played_as(asked, ["ets", "lightgbm"])
    forecast = Fixed().predict(asked.panel, HORIZON, FINE_LEVELS, [30])
    high = forecast.total(3).quantile(0.9)[0, 0, 0]
    own = found.entries["ets"].protection
    np.testing.assert_allclose(own.value, [[0.0, 2 * 0.1 * (high - 15), 0.0]] * 9)
    np.testing.assert_array_equal(own.weight, [[5.0, 15.0, 0.0]] * 9)
    mine, half = row(found, "ets"), row(found, "lightgbm")
    assert mine["protection_loss"] == pytest.approx(2 * 0.1 * (high - 15) / 20)
    assert mine["protection_loss_low"] <= mine["protection_loss"] <= mine["protection_loss_high"]
    pair = found.differences.set_index(["earlier", "later"]).loc[("lightgbm", "ets")]
    assert pair["protection_reduction"] == pytest.approx(1 - mine["protection_loss"] / half["protection_loss"])


def test_lead_times_and_costs_are_those_of_the_items_else_the_defaults():
    own = league_task(PANEL, HORIZON)
    np.testing.assert_array_equal(own.span, RETAIL.items["lead_time"] + 1)
    ratio = RETAIL.items["stockout_cost"] / (RETAIL.items["stockout_cost"] + RETAIL.items["holding_cost"])
    np.testing.assert_allclose(own.critical_ratio, ratio)
    plain = league_task(
        flat_panel(), HORIZON, defaults=DefaultsConfig(lead_time=2, holding_cost=1.0, stockout_cost=3.0)
    )
    assert (int(np.max(plain.span)), float(np.max(plain.critical_ratio))) == (3, 0.75)
    assert plain.fingerprint != league_task(flat_panel(), HORIZON).fingerprint


def test_sums_beyond_the_horizon_are_not_there(fixed):
    fixed(ets=Fixed(), lightgbm=Fixed(0.5))
    found = played_as(league_task(flat_panel(), HORIZON, span=HORIZON + 1), ["ets", "lightgbm"])
    assert found.table["protection_loss"].isna().all()
    assert found.differences["protection_reduction"].isna().all()
    assert found.to_text().splitlines()[2].split()[4] == "–"


def test_differences_are_paired(fixed):
    fixed(ets=Fixed(2.0), lightgbm=Fixed(1.0), mqcnn=Fixed(1.0))
    names = ["mqcnn", "lightgbm", "ets"]
    asked = league_task(flat_panel(), HORIZON)
    rows = played_as(asked, names).differences.set_index(["earlier", "later", "why"])
    same = rows.loc[("lightgbm", "mqcnn", "baseline")]
    assert (same["reduction"], same["reduction_low"], same["reduction_high"]) == (0.0, 0.0, 0.0)
    losses = [[2 * max(t * (5 - 10 * f * t), (t - 1) * (5 - 10 * f * t)) for t in LOSS_LEVELS] for f in (1.0, 2.0)]
    better = rows.loc[("ets", "mqcnn", "baseline")]
    assert better["reduction"] == pytest.approx(1 - np.mean(losses[0]) / np.mean(losses[1]))
    assert ("ets", "mqcnn", "step") in rows.index
    assert ("mqcnn", "lightgbm", "step") not in rows.index


def played_as(asked, names):
    """Run a league of stand-ins, whose names the registry need not know."""
    return make_league(asked, [make_entry(asked, name, {}) for name in sort_by_history(names)])


def test_paired_intervals_are_those_of_paired_savings():
    found = league(IN_STOCK, ["seasonal_naive", "ets"], HORIZON)
    starts, losses = np.array([78, 82, 86]), []
    for name in ("seasonal_naive", "ets"):
        fitted = fr.make_forecaster(name, horizon=HORIZON).fit(IN_STOCK.until(78))
        forecast = fitted.predict(IN_STOCK, HORIZON, LOSS_LEVELS, origins=starts)
        cells = np.zeros((12, PANEL.items))
        for o, origin in enumerate(starts):
            for h in range(HORIZON):
                excess = PANEL.sales[:, origin + h, None] - forecast.values[:, o, h]
                loss = 2 * np.maximum(np.multiply(LOSS_LEVELS, excess), (np.array(LOSS_LEVELS) - 1) * excess).mean(1)
                cells[4 * o + h] = np.where(PANEL.listed[:, origin + h], loss, 0.0)
        losses.append(cells[None])
    expected = paired_saving(*losses, clusters="item_time")
    got = found.differences.set_index(["earlier", "later", "why"]).loc[("seasonal_naive", "ets", "step")]
    np.testing.assert_allclose(
        got[["reduction", "reduction_low", "reduction_high"]].to_numpy(dtype=float),
        [expected.saving, expected.low, expected.high],
        rtol=1e-9,
    )


def test_the_calmer_one_of_a_pair_has_the_lower_volatility():
    def entry(name, volatility):
        names = ("loss", "demand", "protection_loss", "protection_demand", "volatility_weight")
        cells = {name: np.ones((6, 3)) for name in names}
        levels = pd.DataFrame({"horizon": 0, "level": (0.1, 0.5, 0.9), "wql": 0.2, "coverage": 0.5})
        return Entry(name, "", scores=levels, cells=cells | {"volatility": np.full((6, 3), volatility)})

    found = make_league(league_task(flat_panel(), HORIZON), [entry("mqcnn", 0.3), entry("mqtransformer", 0.1)])
    steps = found.differences.set_index(["earlier", "later", "why"])
    assert steps.loc[("mqcnn", "mqtransformer", "step"), "calmer"] == pytest.approx(0.2)
    order = check_history_order(found.differences).set_index(["earlier", "later", "what"])
    assert order.loc[("mqcnn", "mqtransformer", "volatility"), "verdict"] == "holds"


def test_windows_that_overlap_share_their_target_periods():
    values = np.arange(2 * 2 * 3, dtype=float).reshape(2, 2, 3)
    summed = by_target(values, np.array([10, 11]))
    np.testing.assert_array_equal(summed, [[0, 6], [1 + 3, 7 + 9], [2 + 4, 8 + 10], [5, 11]])


def test_nothing_of_the_windows_is_seen_at_the_fit(fixed):
    stand_in = Fixed()
    fixed(ets=stand_in)
    league(flat_panel(periods=40), ["ets"], HORIZON)
    assert [panel.periods for panel in stand_in.fitted] == [40 - 3 * HORIZON]


@pytest.mark.parametrize("name", ["seasonal_naive", "ets"])
def test_what_comes_later_leaves_the_first_forecast_as_it_was(name):
    first = 90 - 3 * HORIZON
    later = np.arange(PANEL.periods) >= first
    changed = replace(
        PANEL,
        sales=np.where(later, 999.0 - PANEL.sales, PANEL.sales),
        in_stock=PANEL.in_stock ^ later,
        observed={k: np.where(later, -v, v) for k, v in PANEL.observed.items()},
    )
    one, other = (make_entry(league_task(p, HORIZON, truth=RETAIL.demand), name, {}) for p in (PANEL, changed))
    assert one.error is None
    np.testing.assert_array_equal(one.fans[:, 0], other.fans[:, 0])
    assert not np.array_equal(one.fans[:, 1:], other.fans[:, 1:])
    assert one.key != other.key


def test_origins_are_spaced():
    asked = league_task(PANEL, HORIZON, origins=2, spacing=3)
    assert asked.origins.tolist() == [83, 86]
    assert asked.targets.tolist() == list(range(83, 90))
    assert league_task(PANEL, HORIZON).origins.tolist() == [78, 82, 86]


def test_a_short_history_is_refused_with_the_remedy():
    with pytest.raises(InputError, match=r"leave 0 to learn from.*fewer origins \(lineage.origins\)"):
        league_task(PANEL.until(12), HORIZON)


def test_a_panel_without_demand_in_its_windows_is_refused():
    with pytest.raises(InputError, match="nothing can be scored"):
        league_task(flat_panel(demand=0.0), HORIZON)


def test_items_whose_forecasts_are_followed_are_bounded(fixed):
    stand_in = Fixed()
    fixed(ets=stand_in)
    asked = league_task(flat_panel(items=9), HORIZON, volatility_items=4)
    entry = make_entry(asked, "ets", {})
    assert stand_in.asked == [(9, (28, 32, 36)), (4, tuple(range(28, 37)))]
    assert entry.volatility.value.shape[1] == 4
    assert entry.numbers["forecasts"] == 9 * 3


def test_all_items_are_followed_where_they_are_few(fixed):
    stand_in = Fixed()
    fixed(ets=stand_in)
    entry = make_entry(league_task(flat_panel(), HORIZON), "ets", {})
    assert stand_in.asked == [(3, (28, 32, 36)), (3, tuple(range(28, 37)))]
    assert entry.volatility.value.shape == (6, 3)  # targets that are followed from all of four origins
    assert entry.loss.value.shape == (12, 3)


def test_a_forecast_that_never_moves_has_no_volatility_beyond_what_is_learnt(fixed):
    fixed(ets=Fixed())
    found = row(league(flat_panel(), ["ets"], HORIZON), "ets")
    assert found["volatility"] <= 0.0


def test_the_truth_has_a_row_where_it_is_known():
    asked = league_task(PANEL, HORIZON, truth=RETAIL.demand, reference=RETAIL.true_forecast)
    found = run_league(asked, ["seasonal_naive"], {})
    assert found.table["forecaster"].tolist() == ["seasonal_naive", TRUTH]
    assert row(found, TRUTH)["wql"] < row(found, "seasonal_naive")["wql"]
    assert np.isnan(row(found, TRUTH)["fit_seconds"])
    assert TRUTH not in set(found.differences["later"])


def test_a_failing_forecaster_is_shown_and_the_others_are_kept(fixed):
    fixed(ets=Fixed(error="out of\npaper"), seasonal_naive=Fixed())
    found = league(flat_panel(), ["ets", "seasonal_naive"], HORIZON)
    assert found.failed == {"ets": "RuntimeError: out of paper"}
    assert row(found, "ets")["error"] == "RuntimeError: out of paper"
    assert np.isnan(row(found, "ets")["wql"])
    assert row(found, "seasonal_naive")["wql"] > 0
    assert "failed: ets: RuntimeError: out of paper" in found.to_text()


def test_all_may_fail(fixed):
    fixed(ets=Fixed(error="no"))
    found = league(flat_panel(), ["ets"], HORIZON)
    assert len(found.differences) == 0
    assert "failed: ets" in str(found)


def test_forecasts_that_are_no_numbers_are_a_failure(fixed):
    fixed(ets=Fixed(np.nan))
    assert "values must be finite demand" in league(flat_panel(), ["ets"], HORIZON).failed["ets"]


def test_an_entry_comes_back_as_it_was_kept(tmp_path):
    asked = league_task(PANEL, HORIZON)
    entry = make_entry(asked, "seasonal_naive", {})
    save_entry(tmp_path, entry)
    again = load_entry(tmp_path, "seasonal_naive")
    assert (again.name, again.key, again.error, dict(again.numbers)) == (
        entry.name,
        entry.key,
        None,
        dict(entry.numbers),
    )
    pd.testing.assert_frame_equal(again.scores, entry.scores)
    assert set(again.cells) == set(entry.cells)
    for name, cells in entry.cells.items():
        np.testing.assert_array_equal(again.cells[name], cells)
        assert again.cells[name].flags.c_contiguous == cells.flags.c_contiguous, name  # sums depend on it
    np.testing.assert_array_equal(again.fans, entry.fans)


def test_what_is_kept_is_not_made_again(fixed, tmp_path):
    built = fixed(ets=Fixed(), seasonal_naive=Fixed(2.0))
    asked = league_task(flat_panel(), HORIZON)
    first = run_league(asked, ["ets", "seasonal_naive"], {}, keep=tmp_path)
    again = run_league(asked, ["ets", "seasonal_naive"], {}, keep=tmp_path)
    assert built == ["seasonal_naive", "ets"]
    pd.testing.assert_frame_equal(again.table, first.table)
    run_league(asked, ["ets", "seasonal_naive"], {"ets": {"season_length": 3}}, keep=tmp_path)
    assert built[2:] == ["ets"]
    run_league(league_task(flat_panel(demand=6.0), HORIZON), ["ets"], {}, keep=tmp_path)
    assert built[3:] == ["ets"]


def test_failures_and_damaged_entries_are_made_again(fixed, tmp_path):
    broken = Fixed(error="no")
    built = fixed(ets=broken, seasonal_naive=Fixed())
    asked = league_task(flat_panel(), HORIZON)
    run_league(asked, ["ets", "seasonal_naive"], {}, keep=tmp_path)
    broken.error = None
    (tmp_path / "seasonal_naive.json").write_text("{")
    found = run_league(asked, ["ets", "seasonal_naive"], {}, keep=tmp_path)
    assert built == ["seasonal_naive", "ets"] * 2
    assert found.failed == {}


@pytest.mark.parametrize(
    "change",
    [
        {"sales": PANEL.sales + 1},
        {"in_stock": ~PANEL.in_stock},
        {"item_ids": tuple("abcdefgh")},
        {"known": {k: v + 1 for k, v in PANEL.known.items()}},
    ],
)
def test_a_key_stands_for_all_that_an_entry_depends_on(change):
    one, other = (league_task(p, HORIZON, truth=RETAIL.demand) for p in (PANEL, replace(PANEL, **change)))
    assert entry_key(one, "ets", {}) == entry_key(league_task(PANEL, HORIZON, truth=RETAIL.demand), "ets", {})
    assert entry_key(one, "ets", {}) != entry_key(other, "ets", {})
    assert entry_key(one, "ets", {}) != entry_key(one, "ets", {"trend": 1})
    assert entry_key(one, "ets", {}) != entry_key(one, "arima", {})
    assert entry_key(one, "ets", {}) != entry_key(league_task(PANEL, HORIZON, truth=RETAIL.demand, seed=1), "ets", {})


def test_an_unknown_name_is_refused_with_all_others():
    with pytest.raises(InputError) as caught:
        league(PANEL, ["ets", "etz", "naive"], HORIZON)
    assert len(caught.value.faults) == 2
    assert "did you mean 'ets'?" in caught.value.faults[0]


def test_the_order_is_that_of_history():
    assert sort_by_history(["lightgbm", "mine", "mqcnn", "ets", "ets"]) == ("ets", "mqcnn", "lightgbm", "mine")


def test_who_is_compared_with_whom():
    pairs = comparison_pairs(["ets", "arima", "patchwork", "lightgbm", TRUTH])
    assert [(one, other) for one, other, why in pairs if why == "step"] == [
        ("ets", "arima"),
        ("arima", "patchwork"),
        ("ets", "patchwork"),
    ]
    against = {(one, other) for one, other, why in pairs if why == "baseline"}
    assert ("lightgbm", "ets") in against
    assert ("ets", "lightgbm") in against
    assert TRUTH not in {name for pair in pairs for name in pair}


def test_where_the_order_holds():
    names = ["reduction", "reduction_low", "reduction_high", "calmer", "calmer_low", "calmer_high"]
    rows = [
        ("ets", "patchwork", "step", 0.2, 0.1, 0.3, 0.0, 0.0, 0.0),
        ("mqmlp", "mqcnn", "step", 0.1, -0.1, 0.3, 0.0, 0.0, 0.0),
        ("mqcnn", "mqtransformer", "step", -0.1, -0.2, -0.05, 0.3, 0.2, 0.4),
        ("rnn", "deepar", "step", 0.1, 0.05, 0.2, 0.0, 0.0, 0.0),
    ]
    found = check_history_order(pd.DataFrame(rows, columns=["earlier", "later", "why", *names]))
    assert found[["later", "what", "verdict"]].to_numpy().tolist() == [
        ["patchwork", "loss", "holds"],
        ["mqcnn", "loss", "open"],
        ["mqtransformer", "loss", "fails"],
        ["mqtransformer", "volatility", "holds"],
    ]


def test_telling_items_are_chosen_on_history():
    panel = flat_panel(items=5)
    sales = np.array([50.0, 20.0, 5.0, 9.0, 30.0])[:, None] * np.ones(40)
    sales[2] *= np.arange(40) % 4 == 0
    listed = np.ones((5, 40), dtype=bool)
    listed[3, :35] = False
    promoted = np.zeros((5, 40))
    promoted[1, ::10] = 1.0
    panel = replace(panel, sales=np.where(listed, sales, 0.0), listed=listed, known={"promotion": promoted})
    assert [(item.position, item.rule.partition(":")[0]) for item in choose_example_items(panel)] == [
        (0, "the largest"),
        (1, "promoted"),
        (2, "intermittent"),
        (3, "young"),
    ]


SMALL = {"data.embedded_items": 6, "data.embedded_periods": 70, "lineage.horizon": 4}
SMALL_NAMES = {**SMALL, "lineage.forecasters": ["seasonal_naive", "ets"]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("league") / "run"
    return out, lineage_run(load_config(None, SMALL_NAMES), out, command="fractile lineage", progress=silent)


def test_a_run_leaves_tables_entries_and_a_page(finished):
    out, found = finished
    names = {path.name for path in out.iterdir()}
    assert {"manifest.json", "config.toml", "league.csv", "league.json", "differences.csv", "lineage.html"} <= names
    table = pd.read_csv(out / "league.csv")
    assert table["forecaster"].tolist() == ["seasonal_naive", "ets", TRUTH]
    np.testing.assert_allclose(table["wql"], found.table["wql"])
    said = json.loads((out / "league.json").read_text())
    assert said["asked"]["origins"] == ["2025-04-14", "2025-05-12", "2025-06-09"]
    assert [line["forecaster"] for line in said["table"]] == table["forecaster"].tolist()
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["kind"], manifest["status"], manifest["failed"]) == ("lineage", "complete", {})
    assert load_config(out / "config.toml").lineage.forecasters == ("seasonal_naive", "ets")


class Outline(HTMLParser):
    """Collects elements, ids and references."""

    def __init__(self):
        super().__init__()
        self.tags, self.ids, self.references = [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.references += [values[name] for name in ("href", "src", "xlink:href", "action") if name in values]


def test_the_page_asks_for_nothing_from_outside(finished):
    page = (finished[0] / "lineage.html").read_text(encoding="utf-8")
    found = Outline()
    found.feed(page)
    assert all(reference.startswith("#") for reference in found.references)
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert re.sub(r'xmlns(:xlink)?="[^"]*"', "", page).count("http") == 1  # the meta element's http-equiv
    assert len(found.ids) == len(set(found.ids))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(found.ids)
    assert re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", page.split("</style>")[1]) == []


def test_the_page_is_the_same_twice(finished):
    page = (finished[0] / "lineage.html").read_bytes()
    assert build_report(finished[0]).read_bytes() == page


def test_the_page_says_what_the_table_says(finished):
    out, found = finished
    text = " ".join(re.sub(r"<[^>]*>", " ", (out / "lineage.html").read_text(encoding="utf-8")).split())
    mine = row(found, "ets")
    assert f"{mine['wql']:.4f} [{mine['wql_low']:.3f}, {mine['wql_high']:.3f}]" in text
    assert "true quantiles" in text
    assert "Scored against true demand" in text


def test_a_run_is_taken_up_again(finished, tmp_path, monkeypatch):
    out, found = finished
    built = []

    def new_forecaster(name, options, horizon, seed, given, **more):
        built.append(name)
        return Fixed()

    monkeypatch.setattr(lineage_entry, "new_forecaster", new_forecaster)
    config = load_config(None, SMALL_NAMES)
    again = lineage_run(config, out, command="fractile lineage", progress=silent, resume=True)
    assert built == []
    pd.testing.assert_frame_equal(again.table, found.table, check_dtype=False)
    other = config.with_overrides({"seed": 1})
    with pytest.raises(InputError, match="a league of other data, origins, horizon or seed"):
        lineage_run(other, out, command="x", progress=silent, resume=True)
    with pytest.raises(InputError, match="exists and is not empty"):
        lineage_run(config, out, command="x", progress=silent)


MOMENTS = ("save_entry", "write_league", "replace_file")
"""Calls that an interruption falls on: an entry is kept, tables are written, the page is written."""


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def interrupt(monkeypatch, moment):
    """Make the call of that name raise as Ctrl-C does."""

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(lineage_page if moment == "replace_file" else lineage_module, moment, stopped)


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupted_overwrite_keeps_the_old_league_and_can_be_resumed(moment, fixed, tmp_path, monkeypatch):
    out, config = tmp_path / "run", load_config(None, SMALL_NAMES)
    fixed(ets=Fixed(), seasonal_naive=Fixed())
    lineage_run(config, out, command="old", progress=silent)
    old = files_of(out)
    with monkeypatch.context() as patched:
        interrupt(patched, moment)
        with pytest.raises(KeyboardInterrupt):
            lineage_run(config, out, command="new", progress=silent, overwrite=True)
    assert files_of(out) == old
    with pytest.raises(InputError, match="exists and is not empty"):
        lineage_run(config, out, command="new", progress=silent)
    built = fixed(ets=Fixed(), seasonal_naive=Fixed())
    built.clear()
    lineage_run(config, out, command="resumed", progress=silent, resume=True)
    assert built == []  # nothing was kept at the first moment: the old league is gone on with
    assert json.loads((out / "manifest.json").read_text())["command"] == "resumed"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("again", ["resume", "overwrite"])
def test_an_interrupted_league_can_be_resumed_or_discarded(again, fixed, tmp_path, monkeypatch):
    out, config = tmp_path / "run", load_config(None, SMALL_NAMES)
    fixed(ets=Fixed(), seasonal_naive=Fixed())
    with monkeypatch.context() as patched:
        interrupt(patched, "write_league")
        with pytest.raises(KeyboardInterrupt):
            lineage_run(config, out, command="cut off", progress=silent)
    assert not out.exists()
    with pytest.raises(
        InputError,
        match=r"an interrupted run of it is kept; go on with it: fractile resume .*; or begin anew: .* --overwrite",
    ):
        lineage_run(config, out, command="x", progress=silent)
    built = fixed(ets=Fixed(), seasonal_naive=Fixed())
    built.clear()
    lineage_run(config, out, command="whole", progress=silent, **{again: True})
    assert built == ([] if again == "resume" else ["seasonal_naive", "ets"])
    assert (out / "lineage.html").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


KILLED = """
import os, signal, sys
from fractile.cli import main
from fractile.studies.league import run
keep, calls = run.{moment}, []

def killed(*arguments):
    calls.append(1)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return keep(*arguments)

run.{moment} = killed
sys.argv = ["fractile", *{arguments}]
main()
"""


@pytest.mark.parametrize(("moment", "call", "kept"), [("save_entry", 2, 1), ("write_league", 1, 2)])
def test_a_killed_league_is_resumed_without_fitting_again(history, tmp_path, moment, call, kept):
    names = ("--forecasters", "seasonal_naive,croston", "--horizon", "4", "--out", "here")
    arguments = ["lineage", "--history", str(history), *names]
    program = KILLED.format(moment=moment, call=call, arguments=arguments)
    dead = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert dead.returncode == -signal.SIGKILL
    assert not (tmp_path / "here").exists()
    entries = {path: path.stat().st_mtime_ns for path in (tmp_path / ".here.partial" / "entries").glob("*.json")}
    assert len(entries) == kept
    result = invoke(*arguments, "--resume")
    assert result.exit_code == 0, result.output
    stamps = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "here" / "entries").glob("*.json")}
    assert len(stamps) == 2
    assert all(stamps[path.name] == stamp for path, stamp in entries.items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "here"]


RUNNER = CliRunner()


def invoke(*arguments):
    return RUNNER.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def history(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data" / "history.csv"
    path.parent.mkdir()
    fr.retail_panel(items=5, periods=60, seed=2).panel.to_frame().to_csv(path, index=False)
    return path


def test_the_command_prints_the_table(history):
    result = invoke("lineage", "--history", history, "--forecasters", "seasonal_naive", "--horizon", 4, "--out", "here")
    assert result.exit_code == 0, result.output
    first, _, third, *_ = result.stdout.splitlines()
    assert first.startswith("holding_cost 1, stockout_cost 9 and lead_time 1 are Fractile's defaults")
    assert third.split()[:3] == ["forecaster", "wql", "interval"]
    assert result.stdout.endswith("\nPage: here/lineage.html\n")
    assert TRUTH not in result.stdout


def test_the_command_as_json(history):
    arguments = ("lineage", "--history", history, "--forecasters", "seasonal_naive, ets", "--horizon", 4, "--json")
    document = json.loads(invoke(*arguments, "--origins", 2, "--spacing", 3).stdout)
    assert set(document) == {"folder", "page", "assumed", "table", "differences", "held", "failed"}
    assert document["assumed"].startswith("holding_cost 1, stockout_cost 9 and lead_time 1 are")
    assert [line["forecaster"] for line in document["table"]] == ["seasonal_naive", "ets"]
    assert document["folder"] == "runs/data-lineage"


def test_a_failure_is_exit_code_1_and_the_others_are_there(history, fixed, tmp_path):
    fixed(ets=Fixed(error="no"), seasonal_naive=Fixed())
    result = invoke("lineage", "--history", history, "--forecasters", "ets,seasonal_naive", "--out", "here", "--quiet")
    assert result.exit_code == 1
    assert result.stderr == "error: ets failed: RuntimeError: no\n"
    assert "failed: ets: RuntimeError: no" in result.stdout
    table = pd.read_csv(tmp_path / "here" / "league.csv").set_index("forecaster")
    assert table["wql"].notna().to_dict() == {"seasonal_naive": True, "ets": False}
    assert "ets failed" in (tmp_path / "here" / "lineage.html").read_text()


def test_bad_input_is_exit_code_2_with_every_fault(history, tmp_path):
    result = invoke("lineage", "--forecasters", "etz,mqcmm", "--horizon", 0, "--origins", "x", "--out", "here")
    assert (result.exit_code, result.stdout) == (2, "")
    faults = result.stderr.splitlines()
    assert [fault.split(":")[1].strip() for fault in faults] == [
        "--forecasters",
        "--forecasters",
        "--horizon",
        "--origins",
    ]
    assert not (tmp_path / "here").exists()
    short = invoke("lineage", "--history", history, "--horizon", 20, "--out", "here")
    assert (short.exit_code, (tmp_path / "here").exists()) == (2, False)
    assert "history: has 60 periods; 3 origins, 20 apart" in short.stderr


def test_a_folder_that_is_taken_is_exit_code_2(history, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mine").write_text("")
    for flag in ((), ("--resume",), ("--overwrite",)):
        result = invoke("lineage", "--history", history, "--forecasters", "ets", "--out", "here", *flag)
        assert result.exit_code == 2
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["mine"]


def test_going_on_needs_a_folder(history):
    result = invoke("lineage", "--history", history, "--resume")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: --resume: needs the folder to go on in; give --out, too\n",
    )


def test_all_means_every_name():
    assert load_config(None, {"lineage.forecasters": ["all"]}).lineage.forecasters == tuple(fr.FORECASTERS)
    assert load_config(None, {"lineage.forecasters": "all"}).lineage.forecasters == tuple(fr.FORECASTERS)
    with pytest.raises(InputError, match=r"lineage\.forecasters"):
        load_config(None, {"lineage.forecasters": "some"})


DOCS = Path(fr.__file__).parent / "docs"


def test_the_page_of_the_docs_shows_tables_failures_and_what_was_written_by_hand(fixed):
    spec = importlib.util.spec_from_file_location("lineage_page", DOCS / "lineage_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fixed(ets=Fixed(2.0), seasonal_naive=Fixed(error="no"), mqcnn=Fixed(1.5), mqtransformer=Fixed(1.0))
    found = played_as(league_task(flat_panel(), HORIZON), ["ets", "seasonal_naive", "mqcnn", "mqtransformer"])
    notes = "<!-- hint -->\n## summary\n\nIn short.\n\n## tiny\n\nBecause.\n"
    page = module.page_of({"tiny": found}, {"tiny": "a tiny panel"}, notes)
    best = row(found, "mqtransformer")
    assert f"| mqtransformer | **{best['wql']:.4f}** |" in page
    assert "**seasonal naive failed:** RuntimeError: no" in page
    assert (
        page.index("In short.")
        < page.index("## tiny")
        < page.index("A tiny panel. 3 items, 40 weeks")
        < page.index("Because.")
    )
    assert "hint" not in page
    assert "The history’s order holds: mqtransformer after mqcnn" in page
    assert "The best network here, mqtransformer, loses" in page


def test_the_page_of_the_docs_has_its_pictures():
    page = DOCS / "lineage.md"
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", page.read_text(encoding="utf-8")) if page.is_file() else []
    assert all((DOCS / picture).stat().st_size < 100_000 for picture in pictures)


def test_a_study_shows_the_lineage_where_it_is_asked_for(tmp_path):
    light = {
        **{"data.embedded_items": 6, "data.embedded_periods": 70, "backtest.periods": 8, "backtest.validation": 16},
        **{"forecast.forecaster": "seasonal_naive", "forecast.also": [], "policies.names": ["newsvendor"]},
        **{"policies.baseline": "newsvendor", "training.simulated_paths": 1},
    }
    config = load_config(None, {**light, "lineage.forecasters": ["seasonal_naive"], "lineage.horizon": 4})
    found = run_study(config, tmp_path / "run", command="x", progress=silent)
    page = (found.folder / "report.html").read_text()
    assert page.index('id="forecasters"') < page.index('id="lineage"') < page.index('id="orders"')
    assert (found.folder / "lineage" / "league.csv").is_file()
    assert found.failed == {}
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
