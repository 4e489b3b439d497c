"""Run folders of studies in blocks: as those of the whole, on any engine, resumed, and ordered from."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fractile.errors import InputError, WorkError
from fractile.policies.newsvendor import TunedNewsvendor
from fractile.policies.registry import make_policy
from fractile.progress import no_progress
from fractile.studies import study
from fractile.studies.backtest import begin
from fractile.studies.blocks import block, dispatch, study as block_study, study_orders, written
from fractile.studies.blocks.block import run_block
from fractile.studies.blocks.dispatch import run_study
from fractile.studies.blocks.history import SURVEY, BlockedHistory
from fractile.studies.blocks.study import choose_sample, run_block_study
from fractile.studies.blocks.tile import shown_of
from fractile.studies.config import StudyConfig
from fractile.studies.kept_orders import next_orders
from fractile.studies.report.page import build_report
from fractile.studies.study import run_study as run_whole_study

from .test_blocks import HELD_OUT, NUMBER, TILE, write_history

TABLES = ("comparison.parquet", "folds.parquet", "items.parquet", "item_costs.parquet", "orders.csv")
"""Files that are of all items."""


def make_config(folder: Path, **scale: object) -> StudyConfig:
    files = write_history(folder)
    ids = pd.read_csv(files["items"])["item_id"]
    spread = np.arange(len(ids))
    state = pd.DataFrame({"item_id": ids, "on_hand": spread % 5, "arriving_1": np.where(spread % 4 > 0, 2, 0)})
    state.to_csv(folder / "state.csv", index=False)
    return StudyConfig.from_mapping(
        {
            "data": {**files, "state": str(folder / "state.csv")},
            "backtest": {"periods": HELD_OUT, "folds": 1, "validation": 12, "simulated_histories": 10},
            "forecast": {"forecaster": "seasonal_naive", "also": []},
            "policies": {"names": ("newsvendor", "tuned_newsvendor"), "baseline": "newsvendor"},
            "scale": scale,
        }
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The run of the whole, one in blocks on all items, and one on a sample of them."""
    folder = tmp_path_factory.mktemp("runs")
    config = make_config(folder)
    with pytest.MonkeyPatch.context() as patch:
        without_report(patch)
        run_whole_study(config, folder / "whole")
        run_block_study(config, folder / "blocks", tile=NUMBER)
    run_block_study(make_config(folder, sample=9, blocks=3), folder / "sample", tile=TILE)
    return {name: folder / name for name in ("whole", "blocks", "sample")}


def without_report(patch: pytest.MonkeyPatch) -> None:
    """Leave out the report, which takes longer than all else here."""
    for module in (study, block_study):
        patch.setattr(module, "build_report", lambda folder: folder)


def read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"item_id": str})


@pytest.mark.parametrize("name", ["comparison.parquet", "folds.parquet", "items.parquet", "orders.csv"])
def test_a_sample_of_all_items_writes_the_tables_of_the_whole(runs: dict[str, Path], name: str) -> None:
    pd.testing.assert_frame_equal(
        read(runs["blocks"] / name), read(runs["whole"] / name), rtol=1e-9, check_categorical=False
    )


def test_the_record_says_what_is_of_the_sample(runs: dict[str, Path]) -> None:
    record = json.loads((runs["sample"] / "manifest.json").read_text(encoding="utf-8"))
    assert record["data"]["items"] == NUMBER == len(read(runs["sample"] / "items.parquet"))
    assert record["blocks"]["items"] == NUMBER
    assert record["blocks"]["sample"] < NUMBER
    (note,) = record["blocks"]["notes"]
    assert f"of {NUMBER} items" in note
    assert note in (runs["sample"] / "report.html").read_text(encoding="utf-8")
    assert not json.loads((runs["blocks"] / "manifest.json").read_text(encoding="utf-8"))["blocks"]["notes"]
    build_report(runs["sample"])


def test_a_run_in_blocks_orders_all_items(runs: dict[str, Path]) -> None:
    orders = read(runs["sample"] / "orders.csv")
    assert list(orders["item_id"]) == list(read(runs["sample"] / "items.parquet")["item_id"])
    config = json.loads((runs["sample"] / "manifest.json").read_text(encoding="utf-8"))
    files = {name: runs["sample"].parent / f"{name}" for name in ("history.parquet", "state.csv")}
    found = next_orders(runs["sample"], files["history.parquet"], files["state.csv"])
    assert not found.new
    assert not found.gone
    np.testing.assert_array_equal(found.table["order"], orders["order"])
    assert config["policy"] == orders["policy"].iloc[0]


def test_workers_start_once_and_orders_are_forecast_once(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_report(monkeypatch)
    forecast, made = study_orders.forecast_tile, []
    monkeypatch.setattr(study_orders, "forecast_tile", lambda *given, **how: made.append(0) or forecast(*given, **how))
    opened, once = list[str | None](), written.open_executor
    monkeypatch.setattr(written, "open_executor", lambda engine, *how: opened.append(engine) or once(engine, *how))
    run_block_study(make_config(runs["sample"].parent, sample=9, blocks=3), tmp_path / "run", tile=TILE)
    assert len(opened) == 1
    assert not made
    assert (tmp_path / "run" / "orders.csv").read_bytes() == (runs["sample"] / "orders.csv").read_bytes()


@pytest.mark.parametrize(("policy", "ahead"), [("newsvendor", False), ("lookahead", True)])
def test_policies_are_shown_what_they_read(runs: dict[str, Path], policy: str, ahead: bool) -> None:
    config = make_config(runs["sample"].parent)
    whole = begin(config, HELD_OUT, no_progress)
    kinds = {"newsvendor": TunedNewsvendor(), "lookahead": make_policy("lookahead")}
    plan = SimpleNamespace(names=("tuned_newsvendor",), policies={"tuned_newsvendor": [[kinds[policy]]]})
    longest = int(np.max(whole.data.params.protection_interval))
    assert longest < whole.shown
    assert shown_of(plan, whole) == (whole.shown if ahead else longest)  # type: ignore[arg-type]  # only what is read
    plan.names += ("lead_time",)  # a policy without parameters of the sample
    assert shown_of(plan, whole) == whole.shown  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["process", "ray"])
def test_engines_and_blocks_change_no_byte(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    if engine == "ray" and importlib.util.find_spec("ray") is None:  # loaded here, it would take another address
        pytest.skip("needs the extra ray")
    without_report(monkeypatch)
    config = make_config(runs["sample"].parent, sample=9, blocks=2, engine=engine, workers=2)
    run_block_study(config, tmp_path / "run", tile=TILE)
    for name in TABLES:
        assert (tmp_path / "run" / name).read_bytes() == (runs["sample"] / name).read_bytes(), name


def test_a_run_whose_blocks_failed_is_resumed(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_report(monkeypatch)
    config = make_config(runs["sample"].parent, sample=9, blocks=3)
    ran: list[int] = []

    def count(folder: Path, *, first: int, **given: Any) -> None:
        ran.append(first)
        run_block(folder, first=first, **given)

    def fail_but_one(folder: Path, *, first: int, **given: Any) -> None:
        if first:
            ran.append(first)
            raise OSError("no memory left")
        count(folder, first=first, **given)

    with monkeypatch.context() as patch:
        patch.setattr(block, "run_block", fail_but_one)
        with pytest.raises(WorkError, match="no memory left"):
            run_block_study(config, tmp_path / "run", tile=TILE)
    assert ran.count(0) == 1
    with monkeypatch.context() as patch:
        patch.setattr(block, "run_block", count)
        run_block_study(config, tmp_path / "run", tile=TILE, resume=True)
    assert ran.count(0) == 1  # the block that was finished was not run again
    for name in TABLES:
        assert (tmp_path / "run" / name).read_bytes() == (runs["sample"] / name).read_bytes(), name


def test_a_run_whose_rows_were_sorted_is_resumed_wherever_it_lies(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_report(monkeypatch)
    config, scattered = make_config(runs["sample"].parent, sample=9, blocks=3), tmp_path / "scattered.parquet"
    pd.read_parquet(config.data.history).sort_values("date", kind="stable").to_parquet(scattered)
    config = config.with_overrides({"data.history": str(scattered)})
    run_block_study(config, tmp_path / "whole", tile=TILE)

    def interrupt(*, resume: bool) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(block_study, "run_blocks", lambda *_, **__: pytest.fail("interrupted"))
            with pytest.raises(pytest.fail.Exception, match="interrupted"):
                run_block_study(config, tmp_path / "here" / "run", tile=TILE, resume=resume)

    interrupt(resume=False)
    (survey,) = tmp_path.glob(f"here/.run.partial/parts/history*/{SURVEY}")
    survey.write_text("", encoding="utf-8")  # what a full disk may leave
    interrupt(resume=True)
    (tmp_path / "here" / ".run.partial").rename(tmp_path / "here" / ".other.partial")
    (tmp_path / "here").rename(tmp_path / "elsewhere")
    monkeypatch.setattr(BlockedHistory, "survey", None)  # nobody reads the history again
    run_block_study(config, tmp_path / "elsewhere" / "other", tile=TILE, resume=True)
    for name in TABLES:
        assert (tmp_path / "elsewhere" / "other" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_sample_holds_the_longest_lead_time(runs: dict[str, Path]) -> None:
    config = make_config(runs["sample"].parent)
    history = BlockedHistory.survey(config.data, config.defaults, runs["sample"].parent / "survey")
    few = config.with_overrides({"scale.sample": 4})
    sample = choose_sample(history, few)
    assert 4 <= len(sample) <= 7
    assert history.params.select(sample).protection_interval.max() == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": {}}, "embedded panel"),
        ({"forecast.files": {"mine": "mine.csv"}}, "forecast.files"),
        ({"statistics.clusters": "path"}, "statistics.clusters"),
        ({"policies.names": ["hindsight"], "policies.baseline": "hindsight"}, "policies.baseline"),
    ],
)
def test_what_blocks_cannot_tell_is_refused(
    runs: dict[str, Path], tmp_path: Path, change: dict[str, object], said: str
) -> None:
    config = make_config(runs["sample"].parent).with_overrides(change)
    with pytest.raises(InputError, match=said):
        run_block_study(config, tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_large_histories_are_studied_in_blocks(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = runs["sample"].parent
    monkeypatch.setattr(dispatch, "run_block_study", lambda *_, **__: "blocks")
    monkeypatch.setattr(dispatch, "run_whole_study", lambda *_, **__: "whole")
    scales = ({"whole": NUMBER - 1}, {"whole": NUMBER}, {"blocks": 1}, {"engine": "serial"})
    found = [run_study(make_config(folder, **scale), folder / "none") for scale in scales]
    assert found == ["blocks", "whole", "blocks", "whole"]
