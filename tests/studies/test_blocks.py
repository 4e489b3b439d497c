"""Studies in blocks of items: as the study of the whole where the sample is the whole, and whatever the blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fractile.forecasters.registry import FORECASTERS
from fractile.progress import no_progress
from fractile.studies.backtest import Backtest, Study, begin
from fractile.studies.blocks.block import EACH, ITEM_COSTS, ITEMS, run_block, select_items
from fractile.studies.blocks.history import BlockedHistory
from fractile.studies.blocks.merge import AllItems, merge_blocks
from fractile.studies.blocks.plan import BlockPlan
from fractile.studies.blocks.tile import simulate_tile
from fractile.studies.checks.study import simulate_bounds
from fractile.studies.compare import Comparison, summarise
from fractile.studies.config import StudyConfig
from fractile.studies.data import StudyData
from fractile.studies.fold_savings import savings_by_fold, savings_of_periods
from fractile.studies.histories import with_histories

NUMBER, PERIODS, HELD_OUT, TILE = 21, 80, 20, 4
NETWORKS = ("rnn", "deepar", "mqmlp", "mqrnn", "mqcnn", "mqtransformer", "quantile_function")
NAMES = ("newsvendor", "tuned_newsvendor", "hindsight")


def write_history(folder: Path, number: int = NUMBER, periods: int = PERIODS) -> dict[str, str]:
    """Write a history with newcomers, items that ended, stock-outs and mixed lead times; return the files' paths."""
    rng = np.random.default_rng(3)
    dates = pd.date_range("2022-01-03", periods=periods, freq="W-MON")
    parts = []
    for item in range(number):
        first = int(rng.integers(20, periods - 10)) if item % 5 == 1 else 0
        sales = rng.poisson(2 + item % 7, periods - first).astype(float)
        if item % 5 == 2:
            sales[-30:] = 0.0
        in_stock = rng.random(len(sales)) > (0.1 if item % 3 else 0.0)
        name = f"item {(4 * item) % number:03d}"
        parts.append(pd.DataFrame({"item_id": name, "date": dates[first:], "sales": sales, "in_stock": in_stock}))
    history = pd.concat(parts, ignore_index=True)
    history.to_parquet(folder / "history.parquet", index=False, row_group_size=200)
    ids = history["item_id"].unique()
    spread = np.arange(len(ids))
    costs = {"lead_time": spread % 4, "holding_cost": 1.0 + spread % 3, "stockout_cost": 9.0}
    pd.DataFrame({"item_id": ids, **costs}).to_csv(folder / "items.csv", index=False)
    return {"history": str(folder / "history.parquet"), "items": str(folder / "items.csv")}


@dataclass(frozen=True)
class Example:
    """A study of the whole, and what its blocks are made from."""

    study: Study
    backtest: Backtest
    comparison: Comparison
    plan: BlockPlan
    history: BlockedHistory
    folder: Path


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    folder = tmp_path_factory.mktemp("blocks")
    config = StudyConfig.from_mapping(
        {
            "data": write_history(folder),
            "backtest": {"periods": HELD_OUT, "folds": 2, "validation": 12, "simulated_histories": 10},
            "forecast": {"forecaster": "patchwork", "also": []},
            "policies": {"names": NAMES, "baseline": "newsvendor"},
        }
    )
    study = begin(config, HELD_OUT, no_progress)
    backtest = study.backtest("patchwork", NAMES)
    bounds = simulate_bounds(study, backtest, "newsvendor")
    comparison = with_histories(study, backtest, summarise({**backtest.trajectories, **bounds}, baseline="newsvendor"))
    whole = study.data.panel.integer_demand
    plan = BlockPlan.of_sample(study, backtest, "newsvendor", whole=whole, tile=TILE)
    plan.save(folder / "plan")
    history = BlockedHistory.survey(config.data, config.defaults, folder / "survey")
    return Example(study, backtest, comparison, plan, history, folder)


def run_blocks(example: Example, edges: list[int], folder: Path) -> tuple[AllItems, list[Path]]:
    """Run blocks that begin at some positions, and return what they add up to, with their folders."""
    folders = []
    for first, end in zip(edges, [*edges[1:], example.history.items], strict=True):
        folders.append(folder / str(first))
        folders[-1].mkdir(parents=True)
        record = example.history.to_record()
        run_block(folders[-1], plan=str(example.folder / "plan"), history=record, first=first, end=end)
    return merge_blocks(example.plan, folders), folders


def test_blocks_of_a_sample_of_all_items_give_the_table_of_the_whole(example: Example, tmp_path: Path) -> None:
    found, folders = run_blocks(example, [0, 8], tmp_path)
    table, whole = found.comparison.table, example.comparison.table
    assert list(table.index) == list(whole.index)
    assert list(table.columns) == list(whole.columns)
    for column in whole.columns:
        if whole[column].dtype == float:
            np.testing.assert_allclose(table[column], whole[column], rtol=1e-9, atol=1e-12, err_msg=column)
        else:
            assert list(table[column]) == list(whole[column]), column
    assert found.comparison.shape == example.comparison.shape
    assert found.comparison.intervals.trusted == example.comparison.intervals.trusted
    folds = savings_of_periods(found.periods, example.backtest.ends, "newsvendor")
    by_fold = savings_by_fold(example.comparison.trajectories, example.backtest.ends, "newsvendor")
    merged = folds.merge(by_fold, on=["policy", "fold", "seed"], validate="one_to_one")
    assert len(merged) == len(NAMES) * 2
    np.testing.assert_allclose(merged["saving_x"], merged["saving_y"], rtol=1e-9, atol=1e-12)
    costs = pd.concat([pd.read_parquet(part / ITEM_COSTS) for part in folders])
    each = costs[costs["policy"] == "tuned_newsvendor"].set_index("item_id")
    trajectory = example.comparison.trajectories["tuned_newsvendor"]
    assert tuple(each.index) == example.study.data.panel.item_ids
    np.testing.assert_allclose(each["cost"], trajectory.cost.mean((0, 1)), rtol=1e-9)
    np.testing.assert_allclose(each["sales"], trajectory.sales.mean((0, 1)), rtol=1e-9)
    assert list(each.columns) == ["policy", *EACH]
    items = pd.concat([pd.read_parquet(part / ITEMS) for part in folders])
    np.testing.assert_array_equal(items["lead_time"], np.arange(NUMBER) % 4)
    panel = example.study.data.panel
    assert found.counts["listed"] == panel.listed.sum()
    assert found.counts["held_out_of_stock"] == panel.ran_out[:, -HELD_OUT:].sum() > 0


def test_the_number_of_blocks_changes_no_bit(example: Example, tmp_path: Path) -> None:
    one, _ = run_blocks(example, [0], tmp_path / "one")
    many, _ = run_blocks(example, [0, 4, 8, 12, 16, 20], tmp_path / "many")
    pd.testing.assert_frame_equal(one.comparison.table, many.comparison.table, check_exact=True)
    assert repr(one.comparison.ranking) == repr(many.comparison.ranking)
    for name in NAMES:
        np.testing.assert_array_equal(one.periods[name], many.periods[name])


def test_a_plan_comes_back_from_its_folder(example: Example) -> None:
    loaded = BlockPlan.load(example.folder / "plan")
    assert (loaded.windows, loaded.names, loaded.sample) == (example.plan.windows, example.plan.names, ())
    assert loaded.fitted.keys() == example.plan.fitted.keys()
    tuned, before = (plan.policies["tuned_newsvendor"] for plan in (loaded, example.plan))
    assert [[(p.scale, p.shift) for p in seeds] for seeds in tuned] == [[(p.scale, p.shift) for p in s] for s in before]
    assert repr(loaded.shocks) == repr(example.plan.shocks)


def tile_of(example: Example, rows: np.ndarray) -> StudyData:
    """Return the data of some items."""
    return select_items(example.study.data, rows)


@pytest.mark.parametrize("names", [("newsvendor", "base_stock", "constant_order")])
def test_policies_tuned_item_by_item_are_tuned_on_each_tile(example: Example, names: tuple[str, ...]) -> None:
    config = example.study.config.with_overrides(
        {"policies.names": names, "policies.baseline": "newsvendor", "forecast.forecaster": "seasonal_naive"}
    )
    study = replace(example.study, config=config, seconds={}, windows=example.study.windows[:1])
    backtest = study.backtest("seasonal_naive", names)
    plan = BlockPlan.of_sample(study, backtest, "newsvendor", whole=True)
    assert plan.by_tile == names[1:]
    assert not set(plan.by_tile) & set(plan.policies)
    found = simulate_tile(plan, study.data)  # one tile of all items: tuned as the whole is
    for name in names:
        np.testing.assert_allclose(found.periods[name], backtest.trajectories[name].cost.sum(2), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_each_forecaster_forecasts_items_that_it_was_not_fitted_on(example: Example, name: str) -> None:
    options = {"steps": 5} if name in NETWORKS else {}
    config = example.study.config.with_overrides(
        {
            "policies.names": ["newsvendor"],
            "policies.baseline": "newsvendor",
            "forecast.forecaster": name,
            "forecast.options": {name: options},
            "backtest.simulated_histories": 0,
        }
    )
    sample, others = np.arange(0, NUMBER, 2), np.arange(1, NUMBER, 2)
    study = replace(example.study, config=config, data=tile_of(example, sample), seconds={})
    plan = BlockPlan.of_sample(study, study.backtest(name, ["newsvendor"]), "newsvendor", whole=True)
    plan.save(example.folder / name)
    loaded = BlockPlan.load(example.folder / name)
    found = simulate_tile(loaded, tile_of(example, others))
    assert found.costs.items.shape == (1, len(others))
    assert np.isfinite(found.costs.items).all()
    # Nothing of a tile depends on which other items it holds but for rounding: forecasts are each item's own.
    half = simulate_tile(loaded, tile_of(example, others[:4]))
    np.testing.assert_allclose(half.costs.items, found.costs.items[:, :4], rtol=1e-6)


@pytest.mark.slow
def test_networks_that_order_are_followed_in_blocks(example: Example) -> None:
    names = ("newsvendor", "backprop", "generalist")
    config = example.study.config.with_overrides(
        {
            "policies.names": names,
            "policies.baseline": "newsvendor",
            "forecast.forecaster": "seasonal_naive",
            "training.seeds": 2,
            "training.backprop_steps": 20,
        }
    )
    study = replace(example.study, config=config, seconds={})
    backtest = study.backtest("seasonal_naive", names)
    BlockPlan.of_sample(study, backtest, "newsvendor", whole=True).save(example.folder / "networks")
    plan = BlockPlan.load(example.folder / "networks")
    tiles = [simulate_tile(plan, tile_of(example, rows)) for rows in (np.arange(8), np.arange(8, NUMBER))]
    for name in names:
        summed = sum(tile.periods[name] for tile in tiles)
        np.testing.assert_allclose(summed, backtest.trajectories[name].cost.sum(2), rtol=1e-6)
