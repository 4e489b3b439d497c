"""Histories that are read in blocks of items: every slice equals the slice of the whole, and so do the faults."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fractile.errors import FractileError, InputError
from fractile.studies.blocks import layout
from fractile.studies.blocks.history import BlockedHistory
from fractile.studies.config import StudyConfig
from fractile.studies.data import StudyData, load_data

ITEMS, PERIODS = 37, 30


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _history(rng: np.random.Generator, *, items: int = ITEMS, freq: str = "W-MON") -> pd.DataFrame:
    """Newcomers, items that ended, stock-outs and zeros, the items' rows together, dates ascending."""
    dates = pd.date_range("2022-01-03", periods=PERIODS, freq=freq)
    parts = []
    for item in range(items):
        first = int(rng.integers(0, 12)) if item % 3 == 0 else 0
        days = dates[first:]
        sales = rng.poisson(3, len(days)).astype(float)
        if item % 5 == 0:
            sales[len(sales) // 2 :] = 0.0
        in_stock = rng.random(len(days)) > (0.2 if item % 2 else 0.0)
        parts.append(pd.DataFrame({"item_id": f"item {item:03d}", "date": days, "sales": sales, "in_stock": in_stock}))
    return pd.concat(parts, ignore_index=True)


def _write(folder: Path, frame: pd.DataFrame, **tables: pd.DataFrame) -> StudyConfig:
    frame.to_parquet(folder / "history.parquet", row_group_size=100, index=False)
    data = {"history": str(folder / "history.parquet")}
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
        data[name] = str(folder / f"{name}.csv")
    return StudyConfig.from_mapping({"data": data, "defaults": {"lead_time": 2}})


def _items(frame: pd.DataFrame) -> pd.DataFrame:
    ids = frame["item_id"].unique()[::-1]
    spread = np.arange(len(ids))
    table = {"item_id": ids, "lead_time": spread % 4, "pack_size": np.where(spread % 2, 6.0, np.nan)}
    return pd.DataFrame({**table, "holding_cost": 1 + spread / 10, "colour": np.where(spread % 3, "red", "blue")})


def _state(frame: pd.DataFrame) -> pd.DataFrame:
    ids = frame["item_id"].unique()
    return pd.DataFrame({"item_id": ids, "on_hand": np.arange(len(ids)), "arriving_1": 0.0})


def _survey(config: StudyConfig, folder: Path) -> BlockedHistory:
    made = BlockedHistory.survey(config.data, config.defaults, folder / "scratch")
    # As another process would open it.
    return BlockedHistory.from_record(json.loads(json.dumps(made.to_record())))


def _same(part: StudyData, whole: StudyData, at: np.ndarray) -> None:
    expected = whole.panel.select(at)
    assert part.panel.item_ids == expected.item_ids
    assert part.panel.freq == expected.freq
    assert part.panel.integer_demand == whole.panel.integer_demand
    np.testing.assert_array_equal(part.panel.dates, expected.dates)
    for name in ("sales", "in_stock", "listed", "availability"):
        np.testing.assert_array_equal(getattr(part.panel, name), getattr(expected, name), err_msg=name)
    for name in ("known", "observed"):
        mine, theirs = getattr(part.panel, name), getattr(expected, name)
        assert list(mine) == list(theirs)
        for key in theirs:
            np.testing.assert_array_equal(mine[key], theirs[key], err_msg=key)
    pd.testing.assert_frame_equal(part.panel.static, expected.static)
    np.testing.assert_array_equal(part.demand, whole.demand[at])
    own, params = whole.params.select(at), part.params
    for name in ("lead_time", "holding_cost", "stockout_cost", "pack_size", "maximum_order", "slots"):
        np.testing.assert_array_equal(getattr(params, name), getattr(own, name), err_msg=name)
    assert (part.state is None) == (whole.state is None)
    if part.state is not None:
        np.testing.assert_array_equal(part.state.net_inventory, whole.state.net_inventory[:, at])
        slots = len(part.state.pipeline)
        np.testing.assert_array_equal(part.state.pipeline, whole.state.pipeline[:slots][..., at])
    if whole.items is not None:
        pd.testing.assert_frame_equal(part.items, whole.items.iloc[at].reset_index(drop=True))
    assert list(part.records) == list(whole.records)
    for name, values in whole.records.items():
        np.testing.assert_array_equal(part.records[name], values[at])


def _check(config: StudyConfig, folder: Path) -> BlockedHistory:
    history, whole = _survey(config, folder), load_data(config)
    assert history.items == whole.panel.items
    cuts = [0, 1, 8, history.items // 2, history.items]
    for first, end in pairwise(cuts):
        _same(history.read(first, end), whole, np.arange(first, end))
    some = history.sample(7, seed=3)
    assert len(set(some)) == 7
    _same(history.read_items(some), whole, some)
    return history


def test_slices_equal_slices_of_the_whole(tmp_path, rng):
    frame = _history(rng)
    history = _check(_write(tmp_path, frame, items=_items(frame), state=_state(frame)), tmp_path)
    assert history.layout.files == (tmp_path / "history.parquet",)  # no row was written anew


def test_rows_by_date_are_sorted_by_item_within_bounded_memory(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(layout, "ROWS_AT_ONCE", 200)
    frame = _history(rng).sort_values("date", kind="stable").reset_index(drop=True)
    frame["on_hand"] = np.arange(len(frame)) % 11
    history = _check(_write(tmp_path, frame), tmp_path)
    assert history.layout.files == (tmp_path / "scratch" / "sorted.parquet",)
    assert [path.name for path in (tmp_path / "scratch").glob("*.parquet")] == ["sorted.parquet"]


def test_several_files_are_one_history(tmp_path, rng):
    frame = _history(rng)
    folder = tmp_path / "months"
    folder.mkdir()
    for number, (_, part) in enumerate(frame.groupby(frame["date"].dt.to_period("Q"))):
        part.to_parquet(folder / f"{number:02d}.parquet", index=False)
    config = _write(tmp_path, pd.concat([part for _, part in frame.groupby(frame["date"].dt.to_period("Q"))]))
    whole = load_data(config)
    several = config.with_overrides({"data.history": str(folder)})
    history = _survey(several, tmp_path)
    at = np.arange(whole.panel.items)
    _same(history.read(0, history.items), whole, at)


@pytest.mark.parametrize("missing", ["zero", "unknown"])
def test_days_become_weeks_of_the_whole(tmp_path, rng, missing):
    frame = _history(rng, freq="D")
    frame = frame[rng.random(len(frame)) > 0.1]
    frame.loc[frame["item_id"] == "item 004", "sales"] += 0.5  # one item makes the whole history's demand fractional
    late = pd.DataFrame({"item_id": "late", "date": [pd.Timestamp("2022-02-01")], "sales": 1.0, "in_stock": True})
    config = _write(tmp_path, pd.concat([late, frame], ignore_index=True))
    history = _check(config.with_overrides({"data.freq": "W-MON", "data.missing": missing}), tmp_path)
    assert any("late" in note for note in history.whole.notes)  # its rows lie in the week that is dropped


def test_discontinued_items_and_listed_flags(tmp_path, rng):
    frame = _history(rng)
    frame["listed"] = ~((frame["item_id"] == "item 007") & (frame["date"] > "2022-05-01"))
    frame.loc[(frame["item_id"] == "item 010") & (frame["date"] >= "2022-07-18"), "listed"] = False
    frame.loc[~frame["listed"], "sales"] = 0.0
    items = _items(frame)
    items["discontinued"] = np.where(items["item_id"] == "item 010", "2022-07-18", None)
    _check(_write(tmp_path, frame, items=items), tmp_path)


def test_ids_that_are_numbers_and_dates_that_are_text(tmp_path, rng):
    frame = _history(rng)
    frame["item_id"] = pd.factorize(frame["item_id"])[0] + 7
    frame["date"] = frame["date"].dt.strftime("%Y-%m-%d")
    _check(_write(tmp_path, frame), tmp_path)


def test_faults_are_those_of_the_whole(tmp_path, rng, monkeypatch):
    frame = _history(rng)
    frame.loc[[5, 300, 301, 900], "sales"] = [-1.0, np.nan, np.nan, -2.0]
    frame.loc[950, "date"] = frame.loc[949, "date"]
    config = _write(tmp_path, frame, items=_items(frame).iloc[1:], state=_state(frame).iloc[:-2])
    with pytest.raises(InputError) as whole:
        load_data(config)
    monkeypatch.setattr("fractile.studies.blocks.history.TILE", 4)
    monkeypatch.setattr("fractile.studies.blocks.history.ROWS_AT_ONCE", 100)
    with pytest.raises(InputError) as blocks:
        _survey(config, tmp_path)
    command = "; type: fractile import"  # named where a single file is read
    assert sorted(blocks.value.faults) == sorted(fault.partition(command)[0] for fault in whole.value.faults)


def test_faults_of_rows_that_were_sorted_name_the_rows_of_the_file(tmp_path, rng):
    frame = _history(rng).sort_values("date", kind="stable").reset_index(drop=True)
    frame.loc[[5, 300, 900], "sales"] = [-1.0, -3.0, -2.0]
    frame.loc[700, "in_stock"] = False
    config = _write(tmp_path, frame.assign(availability=np.where(np.arange(len(frame)) == 700, 2.0, np.nan)))
    with pytest.raises(InputError) as whole:
        load_data(config)
    with pytest.raises(InputError) as blocks:
        _survey(config, tmp_path)
    found = [fault.partition("; type: fractile import")[0] for fault in whole.value.faults]
    assert "rows 5, 300, 900: sales must be a number >= 0" in found[0]
    assert [fault.partition(", got")[0] for fault in blocks.value.faults] == [
        fault.partition(", got")[0] for fault in found
    ]


def test_missing_rows_of_many_slices_are_one_fault(tmp_path, rng, monkeypatch):
    frame = _history(rng)
    config = _write(tmp_path, frame[np.arange(len(frame)) % 20 != 17])
    with pytest.raises(InputError) as whole:
        load_data(config)
    monkeypatch.setattr("fractile.studies.blocks.history.TILE", 4)
    monkeypatch.setattr("fractile.studies.blocks.history.ROWS_AT_ONCE", 100)
    with pytest.raises(InputError) as blocks:
        _survey(config, tmp_path)
    assert len(blocks.value.faults) == 1
    assert whole.value.faults[0].startswith(blocks.value.faults[0])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("history.csv", b"item_id,date,sales\n", "only Parquet is read in blocks"),
        ("none.parquet", None, "no such file"),
        ("broken.parquet", b"PAR1 and no more", "cannot be read"),
    ],
)
def test_what_is_no_parquet_file_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    config = StudyConfig.from_mapping({"data": {"history": str(tmp_path / name)}})
    with pytest.raises(InputError, match=message):
        BlockedHistory.survey(config.data, config.defaults, tmp_path / "scratch")


def test_columns_that_are_missing_are_named(tmp_path, rng):
    config = _write(tmp_path, _history(rng).rename(columns={"item_id": "sku", "sales": "units"}))
    with pytest.raises(InputError, match="has no column 'item_id'") as found:
        _survey(config, tmp_path)
    assert len(found.value.faults) == 2
    mapped = config.with_overrides({"data.columns": {"item_id": "sku", "sales": "units"}})
    _check(mapped, tmp_path)


def test_memory_does_not_grow_with_the_items(tmp_path, monkeypatch):
    monkeypatch.setattr("fractile.studies.blocks.history.ROWS_AT_ONCE", 6_000)
    peaks = []
    for items in (600, 6_000):
        folder = tmp_path / str(items)
        folder.mkdir()
        ids = np.repeat([f"item {at}" for at in range(items)], 20)
        dates = np.tile(pd.date_range("2022-01-03", periods=20, freq="W-MON"), items)
        table = pa.table({"item_id": ids, "date": dates, "sales": np.ones(len(ids))})
        pq.write_table(table, folder / "history.parquet", row_group_size=5_000)
        config = StudyConfig.from_mapping({"data": {"history": str(folder / "history.parquet")}})
        del ids, dates, table
        arrow = pa.total_allocated_bytes()
        tracemalloc.start()
        _survey(config, folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert pa.total_allocated_bytes() - arrow < 4e6
    assert peaks[1] < 1.5 * peaks[0] + 250 * 6_000  # ids and positions alone grow


def _covariates(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Prices, flags, words, a calendar with holes, an attribute, and what is known only afterwards."""
    item = pd.factorize(frame["item_id"])[0]
    period = pd.factorize(frame["date"], sort=True)[0]
    price = np.where(rng.random(len(frame)) < 0.2, np.nan, 3.0 + item % 4 - (period % 7 == 0))
    holiday = np.where(rng.random(len(frame)) < 0.3, None, np.where(period % 13 == 5, "feast", "none"))
    return frame.assign(
        price=price,
        promotion=(period % 7 == 0).astype(float),
        holiday=holiday,
        colour=np.array(["red", "green", "blue"])[item % 3],
        weather=np.array(["sun", "rain", "snow"])[(item + period) % 3],
        visitors=rng.poisson(50, len(frame)).astype(float),
    )


@pytest.mark.parametrize("freq", ["W-MON", "D"])
def test_covariates_are_those_of_the_whole(tmp_path, rng, freq):
    frame = _covariates(_history(rng, freq=freq), rng)
    config = _write(tmp_path, frame, items=_items(frame))
    history = _check(config.with_overrides({"data.freq": "W-MON"}), tmp_path)
    whole = load_data(config.with_overrides({"data.freq": "W-MON"})).panel
    assert set(whole.known) == {"price", "promotion", "holiday"}
    assert history.whole.attributes == ("colour",)
    assert set(history.whole.notes) <= set(whole.notes)
    odd = ("never sold", "discontinued")  # oddities are not looked for in slices
    assert [note for note in whole.notes if not any(word in note for word in odd)] == list(history.whole.notes)


def test_rows_of_sales_alone_and_words_among_numbers(tmp_path, rng):
    frame = _covariates(_history(rng, freq="D"), rng)
    frame = frame[(frame["sales"] > 0) | (np.arange(len(frame)) % 30 == 0)]
    config = _write(tmp_path, frame.drop(columns=["holiday"]))
    _check(config.with_overrides({"data.missing": "zero", "data.freq": "W-MON", "data.known": ["price"]}), tmp_path)


def test_words_among_numbers_are_a_fault_of_the_whole(tmp_path, rng, monkeypatch):
    frame = _history(rng)
    frame["size"] = rng.random(len(frame)).round(4).astype(str)
    frame.loc[[3, 400], "size"] = "?"
    config = _write(tmp_path, frame)
    with pytest.raises(InputError) as whole:
        load_data(config)
    monkeypatch.setattr("fractile.studies.blocks.history.TILE", 4)
    monkeypatch.setattr("fractile.studies.blocks.history.ROWS_AT_ONCE", 100)
    with pytest.raises(InputError) as blocks:
        _survey(config, tmp_path)
    assert blocks.value.faults[0] == whole.value.faults[0].partition("; type:")[0]


def test_a_name_that_is_no_covariate_is_a_fault(tmp_path, rng):
    config = _write(tmp_path, _history(rng))
    with pytest.raises(InputError, match="known names 'prize', which is no covariate"):
        _survey(config.with_overrides({"data.known": ["prize"]}), tmp_path)


def test_a_file_that_is_damaged_or_changed_after_its_survey_is_named(tmp_path, rng):
    frame = _history(rng)
    config = _write(tmp_path, frame)
    history = _survey(config, tmp_path)
    record = history.to_record()
    content = bytearray((tmp_path / "history.parquet").read_bytes())
    content[40:4000] = bytes(3960)
    (tmp_path / "history.parquet").write_bytes(bytes(content))
    with pytest.raises(FractileError, match=r"history.parquet: was changed or moved since"):
        BlockedHistory.from_record(record)
    with pytest.raises(InputError, match=r"history.parquet: cannot be read"):
        history.read(0, 30)
    with pytest.raises(InputError, match=r"history.parquet: cannot be read"):
        _survey(config, tmp_path)


def test_files_with_other_columns_or_one_twice_are_refused(tmp_path, rng):
    frame = _history(rng)
    folder = tmp_path / "months"
    folder.mkdir()
    frame.to_parquet(folder / "a.parquet", index=False)
    frame.assign(price=1.0).to_parquet(folder / "b.parquet", index=False)
    twice = pa.table(
        [pa.array(frame[name]) for name in ("item_id", "date", "sales", "sales")],
        names=["item_id", "date", "sales", "sales"],
    )
    pq.write_table(twice, tmp_path / "twice.parquet")
    config = StudyConfig.from_mapping({"data": {"history": str(folder)}})
    with pytest.raises(InputError, match=r"b.parquet: has other columns than .*a.parquet \('price'\)"):
        BlockedHistory.survey(config.data, config.defaults, tmp_path / "scratch")
    config = StudyConfig.from_mapping({"data": {"history": str(tmp_path / "twice.parquet")}})
    with pytest.raises(InputError, match="column 'sales' stands more than once"):
        BlockedHistory.survey(config.data, config.defaults, tmp_path / "scratch")
