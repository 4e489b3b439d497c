"""What forecasts are worth: cells, split, ranks, slopes, staircase, mistakes, the command and its page."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

import fractile as fr
from fractile import (
    FractileError,
    InputError,
    ItemParams,
    Scenario,
    impact as value_in_python,
    make_forecaster,
    make_policy,
    retail_panel,
    simulate,
)
from fractile.cli import app
from fractile.envs.core.types import with_protection_totals
from fractile.envs.demand.belief import Distortion
from fractile.progress import no_progress
from fractile.randomness import keyed_generator
from fractile.studies.config import load_config
from fractile.studies.impact.direct import hold_out
from fractile.studies.impact.grid import Grid, read_pair
from fractile.studies.impact.miscalibration import (
    RIGHT,
    World,
    _scenario,
    absorbed_table,
    miscalibration_table,
    mistakes,
)
from fractile.studies.impact.money import disagreements, jackknife, loss_slope, rank_correlation
from fractile.studies.impact.page import build_impact_page
from fractile.studies.impact.result import TABLES
from fractile.studies.impact.run import begin_impact, main_forecaster, value_study, valued_names
from fractile.studies.impact.split import split_saving, split_table
from fractile.studies.impact.staircase import PERFECT, staircase
from fractile.studies.impact.words import impact_text, sentences
from fractile.studies.report.page import build_report


def costs_of(**cells):
    """A grid whose trajectories have costs alone: `a_p` is forecaster a under policy p."""
    pairs = {tuple(name.split("_", 1)): np.asarray(cost, dtype=float) for name, cost in cells.items()}
    trajectories = {pair: SimpleNamespace(cost=cost if cost.ndim == 3 else cost[None]) for pair, cost in pairs.items()}
    return Grid(trajectories, {})


def random_grid(seed, periods=13, items=9):
    rng = keyed_generator(seed, "costs")
    cells = {f"{f}_{p}": rng.gamma(2.0, 20.0, (periods, items)).round(3) for f in "abc" for p in ("plain", "tuned")}
    return costs_of(**cells)


def test_the_split_is_the_shapley_value_of_four_costs():
    # Forecast b saves 3 under the plain policy and 1 under the tuned one; the tuned policy saves 4 on a and 2 on b.
    level = np.ones((6, 2))
    grid = costs_of(a_plain=10 * level, b_plain=7 * level, a_tuned=6 * level, b_tuned=5 * level)
    split = split_saving(grid, ("a", "plain"), ("b", "tuned"))
    assert split.saving.money == 10.0  # (10 − 5) for each of two items
    assert split.forecast_effect.money == 4.0  # ((10 − 7) + (6 − 5)) / 2
    assert split.policy_effect.money == 6.0  # ((10 − 6) + (7 − 5)) / 2
    assert (split.forecast_effect.share, split.policy_effect.share) == (pytest.approx(0.2), pytest.approx(0.3))


@pytest.mark.parametrize("seed", range(40))
def test_the_parts_add_up_to_the_cent(seed):
    table = split_table(random_grid(seed), ("a", "plain"))
    assert len(table) == 5
    for row in table.itertuples():
        assert round(row.forecast_effect_money + row.policy_effect_money, 2) == row.saving_money
        assert row.forecast_effect + row.policy_effect == pytest.approx(row.saving, abs=1e-12)
        assert row.saving_money == round(row.saving_money, 2)
    same_forecaster = table[table["forecaster"] == "a"]
    assert (same_forecaster["forecast_effect_money"] == 0).all()
    assert (same_forecaster["forecast_effect_low"] == 0).all()


def test_pairs_without_all_four_cells_are_not_split():
    level = np.ones((6, 2))
    grid = costs_of(a_plain=level, b_plain=level, b_tuned=level)
    assert split_table(grid, ("a", "plain"))["policy"].tolist() == ["plain"]


def test_intervals_of_the_parts_are_paired():
    # The forecast saves a tenth of every cell: whatever the weeks are like, its part has no spread.
    base = keyed_generator(1, "weeks").gamma(2.0, 20.0, (26, 30))
    grid = costs_of(a_plain=base, b_plain=0.9 * base, a_tuned=0.8 * base, b_tuned=0.7 * base)
    part = split_saving(grid, ("a", "plain"), ("b", "tuned")).forecast_effect
    assert part.share == pytest.approx(0.1)
    assert part.high - part.low < 1e-9


def test_ranks_that_agree_correlate_fully_and_those_reversed_not_at_all():
    scale = np.array([1.0, 1.5, 2.0, 3.0])[:, None]
    items = 1.0 + keyed_generator(2, "items").random((1, 50))
    same, apart = rank_correlation(scale * items, scale * items), rank_correlation(scale * items, items / scale)
    assert (same.value, same.low, same.high) == (1.0, 1.0, 1.0)
    assert apart.value == -1.0
    assert np.isnan(rank_correlation(scale[:2] * items, scale[:2] * items).value)


def test_the_interval_of_a_rank_correlation_knows_of_near_ties():
    rng = keyed_generator(3, "near ties")
    losses = 10.0 + rng.standard_normal((5, 60))
    found = rank_correlation(losses, 10.0 + rng.standard_normal((5, 60)))
    assert found.high - found.low > 0.5


def test_one_per_cent_of_loss_is_worth_the_slope_of_logarithms():
    losses = np.array([1.0, 1.2, 1.5, 2.0])[:, None] * np.ones((4, 30))
    found = loss_slope(losses, losses**0.6)
    assert found.value == pytest.approx(0.6)
    assert found.high - found.low < 1e-9


def test_the_jackknife_gives_the_error_of_a_mean():
    values = keyed_generator(4, "values").standard_normal(80)
    found = jackknife(lambda sums: sums[0] / sums[1], np.stack([values, np.ones(80)]))
    error = values.std(ddof=1) / np.sqrt(80)
    assert found.value == pytest.approx(values.mean())
    assert (found.high - found.low) / 2 == pytest.approx(1.99045 * error, rel=1e-4)  # t quantile, 79 degrees


def test_forecasters_that_money_ranks_the_other_way_round_are_named():
    base = keyed_generator(5, "weeks").gamma(2.0, 20.0, (26, 30))
    grid = costs_of(a_plain=base, b_plain=0.8 * base, c_plain=1.1 * base)
    accuracy = SimpleNamespace(table=pd.DataFrame({"forecaster": ["a", "b", "c"], "protection_loss": [0.2, 0.3, 0.4]}))
    table = disagreements(grid, accuracy, "plain")
    assert table[["accurate", "cheap"]].to_numpy().tolist() == [["a", "b"]]
    assert table["saving"].iloc[0] == pytest.approx(0.2)
    assert table["loss_gap"].iloc[0] == pytest.approx(0.5)


def test_the_staircase_goes_through_history_to_perfect_information():
    level = np.ones((6, 2))
    trajectories = {
        (f, "p"): SimpleNamespace(cost=cost * level[None])
        for f, cost in (("truth", 4), ("mqcnn", 6), ("ets", 8), ("seasonal_naive", 10))
    }
    table = staircase(Grid(trajectories, {}), "p", 1.0 * level)
    assert table["step"].tolist() == ["seasonal_naive", "ets", "mqcnn", "truth", PERFECT]
    assert table["saved"].tolist() == pytest.approx([0, 4, 4, 4, 6])
    assert table["total"].tolist() == pytest.approx([0, 4, 8, 12, 18])
    assert table["saved"].sum() == pytest.approx(table["total"].iloc[-1])


def test_a_reference_is_a_pair_of_the_grid():
    grid = random_grid(0)
    assert read_pair(None, grid) == ("a", "plain")
    assert read_pair("b/tuned", grid) == ("b", "tuned")
    with pytest.raises(FractileError, match="reference must be a pair that was simulated, got 'b/tunes'; did you mean"):
        read_pair("b/tunes", grid)


def test_which_forecasters_are_valued():
    config = load_config()
    assert valued_names(config) == ("seasonal_naive", "ets", "patchwork", "mqcnn", "lightgbm", "truth")
    real = load_config(None, {"data.history": "h.csv", "forecast.files": {"mine": "f.csv"}})
    assert valued_names(real) == ("seasonal_naive", "ets", "patchwork", "mqcnn", "lightgbm", "mine")
    named = load_config(None, {"impact.forecasters": ["ets", "patchwork"]})
    assert valued_names(named) == ("ets", "patchwork")
    assert main_forecaster(valued_names(config), "mqcnn") == "mqcnn"
    assert main_forecaster(("patchwork", "ets", "truth"), "mqcnn") == "patchwork"


SMALL = {
    "data.embedded_items": 12,
    "data.embedded_periods": 110,
    "backtest.periods": 10,
    "backtest.validation": 20,
    "impact.forecasters": ["seasonal_naive", "ets", "truth"],
    "impact.policies": ["newsvendor", "tuned_newsvendor"],
    "impact.simulated_items": 4,
    "impact.simulated_paths": 4,
    "forecast.forecaster": "ets",
    "training.simulated_paths": 1,
}


@pytest.fixture(scope="module")
def study():
    return begin_impact(load_config(None, SMALL), no_progress)


@pytest.fixture(scope="module")
def impact(study):
    return value_study(study)[0]


def test_every_forecaster_stands_under_every_policy(impact):
    cells = impact.cells
    assert len(cells) == 6
    assert cells["cost"].is_monotonic_increasing
    assert impact.reference == ("seasonal_naive", "newsvendor")
    reference = cells[(cells["forecaster"] == "seasonal_naive") & (cells["policy"] == "newsvendor")]
    assert reference["saving"].item() == 0
    assert cells["forecaster"].iloc[0] == "truth"
    assert not cells.loc[cells["forecaster"] == "truth", ["among_best", "proven"]].any().any()
    own = cells[cells["forecaster"] != "truth"].iloc[0]
    assert impact.best == (own["forecaster"], own["policy"])
    assert own["among_best"]
    accuracy = impact.accuracy.set_index("forecaster")
    assert accuracy["protection_loss"].idxmin() == "truth"
    assert accuracy[["wql", "crps", "priced_loss", "calibration"]].gt(0).all().all()
    assert set(impact.staircase["policy"]) == {"newsvendor", "tuned_newsvendor"}
    assert not impact.failed
    for name in ("ranks", "worth", "split", "miscalibration", "absorbed"):
        assert len(getattr(impact, name)), name


def test_findings_are_sentences(impact):
    found = sentences(impact, "W-MON", "EUR")
    assert found[0].startswith("Cheapest is ")
    assert any("EUR a year" in text for text in found)
    (best,) = [text for text in found if "perfect information" in text]
    assert "perfect information, which nobody has, would save " in best
    free = replace(impact, staircase=impact.staircase.assign(cost=lambda t: t["cost"].where(t["step"] != PERFECT, 0.0)))
    assert next(text for text in sentences(free, "W-MON", "EUR") if "nobody" in text).endswith(", the whole cost.")
    assert "forecaster" in impact_text(impact, "W-MON").splitlines()[0]


class Broken:
    """A forecaster that cannot be fitted."""

    name = "broken"

    def fit(self, panel):
        raise RuntimeError(f"no luck with {panel.items} items")


def test_forecasters_that_fail_leave_the_others(study):
    broken = replace(study, data=replace(study.data, given={**study.data.given, "ets": Broken()}))
    broken.config = study.config.with_overrides({"impact.simulated_items": 0})
    found, _ = value_study(broken)
    assert found.failed == {"ets": "RuntimeError: no luck with 12 items"}
    assert set(found.cells["forecaster"]) == {"seasonal_naive", "truth"}
    assert not len(found.miscalibration)


def world(lateness=2):
    retail = retail_panel(items=3, periods=80, seed=6)
    forecaster = make_forecaster("seasonal_naive", horizon=6).fit(retail.panel.until(60))
    forecasts = [forecaster.predict(retail.panel, 4 + lateness, origins=[t, t]) for t in range(60, 72)]
    demand = np.repeat(retail.demand[:, 60:72].T[None], 2, axis=0)
    return World(demand, forecasts, 4, lateness)


def test_mistakes_are_made_of_the_same_forecasts_on_the_same_demand():
    made, params = world(), ItemParams(lead_time=3, stockout_cost=9.0)
    plain = with_protection_totals(made.believed(), params)
    seen = {(m.kind, m.size): _scenario(made, plain, params, 0, m) for m in mistakes(2)}
    right = seen[RIGHT, 0.0]
    assert set(seen) == {(m.kind, m.size) for m in mistakes(2)}
    for scenario in seen.values():
        np.testing.assert_array_equal(scenario.demand, made.demand)
    high = seen["bias", 1.3]
    np.testing.assert_allclose(high.forecasts[5].values, 1.3 * right.forecasts[5].values)
    np.testing.assert_allclose(high.protection_totals.totals[5].values, 1.3 * right.protection_totals.totals[5].values)
    sure = Distortion(spread=0.5).apply(right.protection_totals.totals[5])
    np.testing.assert_allclose(seen["spread", 0.5].protection_totals.totals[5].values, sure.values)
    late = seen["lateness", 2.0].forecasts[7]
    np.testing.assert_array_equal(late.values, made.forecasts[5].values[:, :, 2:6])
    np.testing.assert_array_equal(seen["lateness", 2.0].forecasts[1].values, made.forecasts[0].values[:, :, 1:5])


def test_the_right_forecast_costs_nothing_extra_and_larger_mistakes_more(impact):
    table = impact.miscalibration
    assert (table.loc[table["mistake"] == RIGHT, "extra"] == 0).all()
    own = table[(table["policy"] == "newsvendor") & ~table["retuned"]].set_index(["mistake", "size"])["extra"]
    assert own["bias", 1.3] > own["bias", 1.1] > 0
    assert own["noise", 0.5] > own["noise", 0.1]
    assert (table["extra_low"] <= table["extra"]).all()


def test_what_tuning_absorbs_is_what_it_does_not_pay():
    rows = [("none", 0.0, "n", False, 100.0), ("bias", 1.3, "n", False, 150.0)]
    rows += [("none", 0.0, "t", True, 90.0), ("bias", 1.3, "t", True, 100.0)]
    table = pd.DataFrame(rows, columns=["mistake", "size", "policy", "retuned", "cost"])
    found = absorbed_table(table, "n")
    assert found[["mistake", "policy"]].to_numpy().tolist() == [["bias", "t"]]
    assert (found["untuned_extra"].item(), found["extra"].item()) == (50.0, 10.0)
    assert found["absorbed"].item() == pytest.approx(0.8)  # 40 of 50


def test_miscalibration_repeats(study, impact):
    from fractile.studies.impact.grid import run_grid

    grid = run_grid(study, ["ets"], study.config.impact.policies, keep="ets")
    again = miscalibration_table(study, grid.kept)
    pd.testing.assert_frame_equal(again, impact.miscalibration)


def test_truth_is_known_on_the_embedded_panel_alone(tmp_path):
    retail_panel(items=4, periods=90, seed=1).write(tmp_path)
    config = load_config(None, {"data.history": tmp_path / "history.csv", "impact.forecasters": ["truth", "ets"]})
    with pytest.raises(InputError, match="'truth' is known on the embedded panel alone"):
        begin_impact(config, no_progress)


def test_a_reference_that_is_not_compared_is_refused_before_any_work():
    config = load_config(None, {**SMALL, "impact.reference": "ets/newsvendr"})
    with pytest.raises(InputError, match="--reference: must be a pair that is compared, got 'ets/newsvendr'; did you"):
        begin_impact(config, no_progress)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("impact")
    retail = retail_panel(items=6, periods=100, seed=3)
    retail.write(path)
    fitted = make_forecaster("ets", horizon=6).fit(retail.panel.until(60))
    frame = fitted.predict(retail.panel, 6, origins=np.arange(60, 101)).to_frame()
    frame[["item_id", "origin_date", "date", "level", "value"]].to_csv(path / "mine.csv", index=False)
    files = [*("--history", path / "history.csv"), *("--items", path / "items.csv")]
    asked = [*("--forecasters", "seasonal_naive,croston"), *("--forecasts", f"mine={path / 'mine.csv'}")]
    small = [*("--policies", "newsvendor,tuned_newsvendor"), *("--periods", 10), "--quick", "--json"]
    command = ["impact", *files, *asked, *small, "--currency", "EUR", "--out", path / "run"]
    done = CliRunner().invoke(app, [str(argument) for argument in command])
    assert done.exit_code == 0, done.output
    (path / "printed.json").write_text(done.stdout)
    return path


def test_the_command_writes_tables_page_and_figures(folder):
    run, printed = folder / "run", json.loads((folder / "printed.json").read_text())
    assert {row["forecaster"] for row in printed["cells"]} == {"seasonal_naive", "croston", "mine"}
    assert printed["reference"] == {"forecaster": "seasonal_naive", "policy": "newsvendor"}
    manifest = json.loads((run / "manifest.json").read_text())
    assert (manifest["kind"], manifest["currency"], manifest["failed"]) == ("impact", "EUR", {})
    assert "mine.csv" in manifest["data"]["hashes"]
    for name in TABLES:
        assert (run / f"{name}.parquet").is_file(), name
    page = (run / "impact.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "src=" not in page
    drawn = pd.read_csv(run / "figures" / "cells.csv")
    kept = pd.read_parquet(run / "cells.parquet")
    np.testing.assert_allclose(drawn["saving"], kept["saving"], rtol=1e-9)


def test_the_page_is_made_anew_from_the_folder(folder):
    run = folder / "run"
    before = (run / "impact.html").read_bytes()
    (run / "impact.html").unlink()
    assert build_report(run) == run / "impact.html"
    assert (run / "impact.html").read_bytes() == before


def test_a_page_needs_its_tables(folder, tmp_path):
    (tmp_path / "manifest.json").write_text((folder / "run" / "manifest.json").read_text())
    with pytest.raises(FractileError, match=r"cells\.parquet: is missing; `fractile impact` writes it"):
        build_impact_page(tmp_path)


@pytest.fixture(scope="module")
def made_elsewhere():
    retail = retail_panel(items=8, periods=120, seed=2)
    fitted = {
        name: make_forecaster(name, horizon=5).fit(retail.panel.until(95)) for name in ("seasonal_naive", "croston")
    }
    forecasts = {name: f.predict(retail.panel, 5, origins=np.arange(95, 120)) for name, f in fitted.items()}
    return retail, forecasts


def test_forecasts_are_valued_in_python(made_elsewhere):
    retail, forecasts = made_elsewhere
    params = ItemParams(lead_time=2, stockout_cost=9.0)
    policies = {"newsvendor": make_policy("newsvendor"), "projected": make_policy("projected")}
    found = value_in_python(forecasts, policies, retail.panel, params, demand=retail.demand)
    assert len(found.cells) == 4
    assert found.reference == ("seasonal_naive", "newsvendor")
    scenario = Scenario(retail.demand[:, 95:].T[None], [forecasts["croston"].head(3).at_origin(k) for k in range(25)])
    cost = simulate(policies["projected"], scenario, params).cost.sum(2).mean()
    row = found.cells[(found.cells["forecaster"] == "croston") & (found.cells["policy"] == "projected")]
    assert row["cost"].item() == pytest.approx(cost)
    assert PERFECT in set(found.staircase["step"])


def test_forecasts_of_other_origins_are_refused(made_elsewhere):
    retail, forecasts = made_elsewhere
    params, policies = ItemParams(lead_time=2), {"newsvendor": make_policy("newsvendor")}
    later = forecasts["croston"].at_origin(np.arange(1, 25))
    with pytest.raises(FractileError, match="late: must forecast the panel's items from the same origins"):
        value_in_python({**forecasts, "late": later}, policies, retail.panel, params)
    sparse = {"croston": forecasts["croston"].at_origin(np.arange(0, 25, 2))}
    with pytest.raises(FractileError, match="origins must follow each other"):
        value_in_python(sparse, policies, retail.panel, params)
    with pytest.raises(FractileError, match="one forecast and one policy at least"):
        value_in_python({}, policies, retail.panel, params)


def test_an_impact_in_python_is_a_text_and_a_figure():
    retail = fr.retail_panel(items=5, periods=120, seed=0)
    fitted = {name: fr.make_forecaster(name).fit(retail.panel.until(100)) for name in ("seasonal_naive", "croston")}
    forecasts = {name: each.predict(retail.panel, 3, origins=range(100, 120)) for name, each in fitted.items()}
    policies = {name: fr.make_policy(name) for name in ("newsvendor", "projected")}
    found = fr.impact(forecasts, policies, retail.panel, fr.ItemParams(lead_time=2, stockout_cost=9.0))
    assert str(found) == impact_text(found, "W-MON")
    assert max(map(len, str(found).splitlines())) <= 100
    axes = found.plot(Figure().subplots())
    assert "saving against seasonal naive with newsvendor" in axes.get_xlabel()
    assert {text.get_text() for text in axes.get_yticklabels()} == {"seasonal naive", "croston"}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["newsvendor", "projected"]
    row = found.cells.set_index(["forecaster", "policy"]).loc[("croston", "projected")]
    assert found.describe_saving("croston", "projected").startswith(f"{100 * row['saving']:.1f} % [")
    with pytest.raises(fr.FractileError, match=r"no pair ets/projected; the pairs are: .*croston/projected"):
        found.describe_saving("ets", "projected")


@pytest.fixture(scope="module")
def outside_files(tmp_path_factory):
    """A history with items of one lead time, and forecasts of `ets`: from every origin, and from held-out ones."""
    folder = tmp_path_factory.mktemp("outside_impact")
    retail = retail_panel(items=6, periods=90, seed=2)
    retail.write(folder)
    items = pd.DataFrame({"item_id": retail.panel.item_ids, "lead_time": 2, "holding_cost": 0.2, "stockout_cost": 1.0})
    items.to_csv(folder / "items.csv", index=False)
    fitted = make_forecaster("ets", horizon=4).fit(retail.panel.until(40))
    frame = fitted.predict(retail.panel, 4, origins=np.arange(20, 91)).to_frame()
    frame[frame["level"] <= 0.8].to_parquet(folder / "whole.parquet")
    frame[(frame["level"] <= 0.8) & (frame["origin"] >= 82)].to_parquet(folder / "late.parquet")
    return folder


def config_outside(folder, file, policies):
    return load_config(
        None,
        {
            **{f"data.{name}": folder / f"{name}.csv" for name in ("history", "items")},
            **{"forecast.files": {"mine": folder / file}, "forecast.forecaster": "mine", "forecast.also": []},
            **{"impact.forecasters": ["seasonal_naive"], "impact.policies": list(policies)},
            **{"impact.simulated_items": 0, "backtest.periods": 8, "backtest.validation": 20},
        },
    )


def value_outside(folder, file, policies=("newsvendor",)):
    return value_study(begin_impact(config_outside(folder, file, policies), no_progress))[0]


def test_python_and_the_command_value_a_file_alike(outside_files):
    """Both estimate from earlier origins how errors move together, and leave the origin of the coming week out."""
    panel = fr.load_panel(outside_files / "history.csv")
    params = ItemParams(lead_time=2, holding_cost=0.2, stockout_cost=1.0, pack_size=1.0)
    policies, cost = {"newsvendor": make_policy("newsvendor")}, {}
    for file, warm_up, apart in (("whole.parquet", 6, 0.02), ("late.parquet", 0, 1e-9)):
        forecast = fr.QuantileForecast.from_frame(pd.read_parquet(outside_files / file), panel)
        found = value_in_python({"mine": forecast}, policies, panel, params, warm_up=warm_up, periods=8)
        asked = value_outside(outside_files, file)
        cost[file] = asked.cells.set_index("forecaster").loc["mine", "cost"]
        # The dependence in the weeks of the warm-up is another one, so the stock that the held-out weeks begin with is.
        assert found.cells["cost"].item() == pytest.approx(cost[file], rel=apart)
        assert set(found.forecast_notes) <= set(asked.forecast_notes)
        independent = any("taken to be independent" in note for note in found.forecast_notes)
        assert independent == (file == "late.parquet")
    assert abs(cost["late.parquet"] / cost["whole.parquet"] - 1) > 0.03  # else the test shows nothing


def test_the_dependence_in_python_is_the_command_s(outside_files):
    panel = fr.load_panel(outside_files / "history.csv")
    forecast = fr.QuantileForecast.from_frame(pd.read_parquet(outside_files / "whole.parquet"), panel)
    config = config_outside(outside_files, "whole.parquet", ["newsvendor"])
    theirs = begin_impact(config, no_progress).forecast("mine", 0).after
    ours = hold_out("mine", forecast, panel, 82, 0)
    np.testing.assert_array_equal(ours.total(3).values, theirs.total(3).values)
    assert np.abs(ours.total(3).values - forecast.head(3).at_origin(ours.origins - 20).total(3).values).max() > 0.1


def test_what_a_file_lacks_is_said_beside_the_numbers(outside_files):
    found = value_outside(outside_files, "late.parquet", ("newsvendor", "tuned_newsvendor"))
    assert ("mine", "tuned_newsvendor") not in set(zip(found.cells["forecaster"], found.cells["policy"], strict=True))
    text = " ".join(impact_text(found, "W-MON").split())
    for note in (
        "note: mine: the critical ratio 0.833 lies beyond its levels, 0.05 to 0.8",
        "policies with parameters to find are left out",
        "taken to be independent, which makes sums over the lead time too sure",
    ):
        assert note in text


def test_origins_that_are_missing_in_between_are_named(made_elsewhere):
    retail, forecasts = made_elsewhere
    policies, croston = {"newsvendor": make_policy("newsvendor")}, forecasts["croston"]
    gap = {"croston": croston.at_origin(np.delete(np.arange(25), 3))}
    day = str(retail.panel.dates[98].date())
    with pytest.raises(FractileError, match=rf"origins must follow each other, .*missing: '{day}'; forecast from them"):
        value_in_python(gap, policies, retail.panel, ItemParams(lead_time=2))
    with pytest.raises(FractileError, match="periods must be from 1 to 119"):
        value_in_python(forecasts, policies, retail.panel, ItemParams(lead_time=2), periods=120)
    with pytest.raises(FractileError, match="seasonal_naive: has no origin from period 95"):
        value_in_python(forecasts, policies, retail.panel.until(95), ItemParams(lead_time=2))
