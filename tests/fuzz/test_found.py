"""What the mutated inputs brought to light, each kind of fault by the smallest input that shows it."""

from __future__ import annotations

import gzip
import io
import os
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzz_inputs import HISTORY, ITEMS
from fuzz_watch import faults_of, run_command, snapshot

from fractile import InputError, load_panel
from fractile.forecasters.data.parquet import read_parquet
from fractile.forecasters.importing import sources
from fractile.studies.config import read_toml


def refused(folder, *arguments):
    """Return the faults of a command, which must be clear ones."""
    before = snapshot(folder)
    outcome = run_command(*arguments)
    assert faults_of(outcome, before, snapshot(folder)) == []
    assert outcome.code == 2
    return outcome.err


def weeks():
    frame = pd.read_csv(io.StringIO(HISTORY))
    return frame.assign(date=pd.to_datetime(frame["date"]))


NOT_PLAIN = {
    "lists": ([[1, 2]] * 120, "holds lists or structures; write one value a cell"),
    "structures": ([{"a": 1}] * 120, "holds lists or structures"),
    "durations": (pa.array([5] * 120, pa.duration("s")), "holds durations; write numbers"),
    "times": (pa.array([5] * 120, pa.time32("s")), "holds times of day"),
}


@pytest.mark.parametrize("name", NOT_PLAIN)
@pytest.mark.parametrize("column", ["item_id", "date", "sales", "brand"])
def test_cells_that_hold_no_single_value_are_a_fault(tmp_path, name, column):
    cells, rule = NOT_PLAIN[name]
    table = pa.Table.from_pandas(weeks(), preserve_index=False)
    columns = dict(zip(table.column_names, table.columns, strict=True)) | {column: cells}
    pq.write_table(pa.table(columns), tmp_path / "h.parquet")
    assert f"column {column!r} {rule}" in refused(tmp_path, "validate", "--history", tmp_path / "h.parquet")


def test_bytes_are_text_and_days_no_numbers(tmp_path):
    frame = weeks()
    assert load_panel(frame.assign(item_id=frame["item_id"].str.encode("utf-8"))).item_ids == ("a", "b", "c")
    with pytest.raises(InputError, match="sales must be a number >= 0"):
        load_panel(frame.assign(sales=frame["date"]))


def test_a_parquet_file_of_damaged_metadata_or_too_many_rows_is_a_fault(tmp_path, monkeypatch):
    table = pa.Table.from_pandas(weeks(), preserve_index=False)
    pq.write_table(table.replace_schema_metadata({"pandas": "{}"}), tmp_path / "h.parquet")
    assert "cannot be read: KeyError: 'columns'" in refused(tmp_path, "validate", "--history", tmp_path / "h.parquet")
    pq.write_table(table, tmp_path / "h.parquet")
    monkeypatch.setattr("fractile.forecasters.data.parquet._memory", lambda: 1000.0)
    with pytest.raises(ValueError, match="its 120 rows of 4 columns are more than this machine's memory holds"):
        read_parquet(tmp_path / "h.parquet")


def test_a_file_that_unpacks_to_a_thousand_times_its_size_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_LEAST_REFUSED", 1_000_000)
    large = b"item_id,date,sales\n" + b"a,2024-01-01,1\n" * 200_000
    (tmp_path / "h.csv.gz").write_bytes(gzip.compress(large))
    with zipfile.ZipFile(tmp_path / "h.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("h.csv", large)
    with zipfile.ZipFile(tmp_path / "h.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", large)
    for name in ("h.csv.gz", "h.zip", "h.xlsx"):
        assert "as no table does" in refused(tmp_path, "import", tmp_path / name)
    packed = HISTORY.encode()
    for _ in range(2000):
        packed = gzip.compress(packed, 1)
    (tmp_path / "h.csv.gz").write_bytes(packed)
    assert "is packed several times over" in refused(tmp_path, "import", tmp_path / "h.csv.gz")


def test_long_words_and_many_equal_names_cost_no_more_than_their_length(tmp_path):
    (tmp_path / "word.csv").write_text(HISTORY.replace("a,2023-01-02", "x" * 200_000 + ",2023-01-02"))
    assert len(refused(tmp_path, "validate", "--history", tmp_path / "word.csv")) < 1000
    names = ",".join(["1"] * 1_000)
    (tmp_path / "names.csv").write_text(f"item_id,date,sales,{names}\n" + f"a,2023-01-02,1,{names}\n" * 3)
    assert "column '1' stands more than once" in refused(tmp_path, "validate", "--history", tmp_path / "names.csv")


def test_messages_show_long_names_in_part_and_no_control_characters(tmp_path):
    (tmp_path / "h.csv").write_text(HISTORY.replace("sales", "y" * 5000).replace("price", "\x1b[2J"))
    said = refused(tmp_path, "validate", "--history", tmp_path / "h.csv")
    assert "\\x1b[2J" in said
    assert "y...y" in said


def test_a_config_nested_too_deeply_or_of_too_many_digits_is_a_fault(tmp_path):
    for text, rule in (("x = " + "[" * 5000, "nested too deeply"), ("seed = " + "9" * 5000, "is not valid TOML")):
        (tmp_path / "c.toml").write_text(text)
        with pytest.raises(InputError, match=rule):
            read_toml(tmp_path / "c.toml")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this file system")
def test_a_config_that_is_a_pipe_or_a_device_is_a_fault(tmp_path):
    os.mkfifo(tmp_path / "c.toml")
    for path in (tmp_path / "c.toml", "/dev/zero"):
        assert "is a device or a pipe" in refused(tmp_path, "validate", path)


def test_a_workbook_whose_numbers_are_all_missing_is_a_fault(tmp_path):
    rows = [line.split(",") for line in ITEMS.splitlines()]
    frame = pd.DataFrame(rows[1:], columns=rows[0])
    frame.assign(lead_time=np.nan).to_excel(tmp_path / "i.xlsx", index=False)
    (tmp_path / "h.csv").write_text(HISTORY)
    said = refused(tmp_path, "validate", "--history", tmp_path / "h.csv", "--items", tmp_path / "i.xlsx")
    assert "lead_time" in said


def test_a_workbook_of_styles_that_are_not_there_is_a_fault(tmp_path):
    pd.read_csv(io.StringIO(HISTORY)).to_excel(tmp_path / "sound.xlsx", index=False)
    with zipfile.ZipFile(tmp_path / "sound.xlsx") as sound, zipfile.ZipFile(tmp_path / "h.xlsx", "w") as damaged:
        for name in sound.namelist():
            damaged.writestr(name, sound.read(name).replace(b'<c r="C2"', b'<c r="C2" s="99"'))
    assert "is a damaged or locked zip or workbook: IndexError" in refused(tmp_path, "import", tmp_path / "h.xlsx")


def test_forecasts_beyond_the_last_date_are_a_fault(tmp_path):
    (tmp_path / "h.csv").write_text(HISTORY)
    wanted = ["forecast", "--history", tmp_path / "h.csv", "--forecaster", "seasonal_naive", "--horizon"]
    assert "lie beyond 2262-04-11, the last date that can be kept" in refused(tmp_path, *wanted, "30000")
    assert "(100,000 at most), got 3000000" in refused(tmp_path, *wanted, "3000000")


def test_days_that_no_date_in_nanoseconds_reaches_are_a_fault_of_an_import(tmp_path):
    (tmp_path / "h.csv").write_text(HISTORY.replace("a,2023-01-02", "a,9999-12-31"))
    assert "dates must be dates" in refused(tmp_path, "import", tmp_path / "h.csv", "--out", tmp_path / "out.csv")


def test_prices_that_cannot_be_added_up_are_a_fault_of_an_import(tmp_path):
    (tmp_path / "h.csv").write_text(HISTORY.replace("2023-01-09,1,3", "2023-01-09,1,1e308"))
    said = refused(tmp_path, "import", tmp_path / "h.csv", "--out", tmp_path / "out.csv")
    assert "column 'price' holds 1e+308, too large to be added up" in said


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("units", ["1e308", "-1e16"])
def test_sales_beyond_counting_are_a_fault_of_an_import(tmp_path, units, wide):
    """Times a price they overflow, and infinity went into the history."""
    text = HISTORY.replace("a,2023-01-09,1,", f"a,2023-01-09,{units},")
    if wide:
        frame = pd.read_csv(io.StringIO(text), dtype=str)
        frame.pivot(index="item_id", columns="date", values="sales").to_csv(tmp_path / "h.csv")
    else:
        (tmp_path / "h.csv").write_text(text)
    said = refused(tmp_path, "import", tmp_path / "h.csv", "--out", tmp_path / "out.csv")
    assert "sales must be at most 1e+15, got" in said


def test_a_lead_time_of_more_periods_than_memory_holds_is_a_fault(tmp_path):
    (tmp_path / "h.csv").write_text(HISTORY)
    (tmp_path / "i.csv").write_text(ITEMS.replace("a,2,1", "a,1e12,1"))
    said = refused(tmp_path, "validate", "--history", tmp_path / "h.csv", "--items", tmp_path / "i.csv")
    assert "lead_time must be at most 10000, got 1e+12" in said
