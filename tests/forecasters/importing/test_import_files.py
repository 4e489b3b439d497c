"""Files of every kind: workbooks, Parquet, packed and zipped ones, frames; and time zones."""

from __future__ import annotations

import datetime as dt
import gzip
import zipfile
from decimal import Decimal

import openpyxl
import pandas as pd
import pytest

import fractile as fr

WEEKS = [dt.datetime(2023, 1, 2) + dt.timedelta(7 * at) for at in range(8)]
ROWS = [(item, date, at + k) for k, item in enumerate(("tea", "ink")) for at, date in enumerate(WEEKS)]
TOTAL = sum(row[2] for row in ROWS)
CSV = ("Artikel;Datum;Menge\r\n" + "".join(f"{i};{d:%d.%m.%Y};{q}\r\n" for i, d, q in ROWS)).encode()


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def frame(**columns):
    made = pd.DataFrame(ROWS, columns=["sku", "date", "qty"])
    return made.assign(**{name: make(made) for name, make in columns.items()})


def test_a_workbook_with_an_empty_sheet_titles_and_numbers_as_ids(tmp_path):
    rows = [(123 if i == "tea" else 7.0, d, q) for i, d, q in ROWS]
    path = workbook(tmp_path / "a.xlsx", Leer=[], Daten=[["Bericht"], [], ["SKU", "Datum", "Menge"], *rows])
    found = fr.import_sales(path)
    assert set(found.history["item_id"]) == {"123", "7"}
    assert found.history["sales"].sum() == TOTAL
    assert "sheet 'Daten', others hold no table: 'Leer'" in found.report.lines[0]


def test_ids_shown_with_leading_zeros_keep_them(tmp_path):
    path = workbook(tmp_path / "a.xlsx", A=[["SKU", "Date", "Qty"], *((7, d, q) for _, d, q in ROWS[:8])])
    book = openpyxl.load_workbook(path)
    for row in book["A"].iter_rows(min_row=2, max_col=1):
        row[0].number_format = "00000"
    book.save(path)
    assert set(fr.import_sales(path).history["item_id"]) == {"00007"}


def test_a_workbook_with_dates_and_numbers_as_text_and_merged_names(tmp_path):
    rows = [
        (i if d == WEEKS[0] else None, f"{d:%d.%m.%Y}" if at % 2 else d, str(q)) for at, (i, d, q) in enumerate(ROWS)
    ]
    found = fr.import_sales(workbook(tmp_path / "a.xlsx", A=[["SKU", "Datum", "Menge"], *rows, ["Summe", None, TOTAL]]))
    assert found.history[["item_id", "date", "sales"]].to_numpy().tolist() == [
        [i, pd.Timestamp(d), q] for i, d, q in ROWS
    ]
    assert "14 empty names of items filled" in "\n".join(found.report.lines)


def test_a_wide_workbook_with_dates_above(tmp_path):
    rows = [["tea", *range(8)], ["ink", *range(1, 9)]]
    found = fr.import_sales(workbook(tmp_path / "a.xlsx", A=[["SKU", *WEEKS], *rows]))
    assert found.history["sales"].sum() == TOTAL


def test_several_sheets_are_asked_about(tmp_path):
    rows = [["SKU", "Date", "Qty"], *ROWS]
    path = workbook(tmp_path / "a.xlsx", North=rows, South=rows)
    with pytest.raises(fr.InputError, match=r"--sheet North .*--sheet South"):
        fr.import_sales(path)
    assert fr.import_sales(path, sheet="South").history["sales"].sum() == TOTAL


def test_a_workbook_without_openpyxl_names_the_extra(tmp_path, monkeypatch):
    path = workbook(tmp_path / "a.xlsx", A=[["SKU", "Date", "Qty"], *ROWS])
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(fr.InputError, match=r'pip install "fractile\[excel\]"'):
        fr.import_sales(path)


@pytest.mark.parametrize(
    "made",
    [
        frame(qty=lambda f: [Decimal(f"{q}.00") for q in f["qty"]]),
        frame(sku=lambda f: f["sku"].astype("category")),
        frame(date=lambda f: f["date"].dt.to_period("W-SUN")),
        frame(date=lambda f: f["date"].dt.tz_localize("Europe/Berlin")),
        frame(date=lambda f: f["date"].dt.strftime("%Y%m%d").astype(int)),
        frame(date=lambda f: f["date"].dt.date),
        frame(date=lambda f: f["date"].astype("datetime64[ms]")),
        frame().set_index(["sku", "date"]),
    ],
    ids=["decimal", "category", "period", "zone", "integers", "dates", "milliseconds", "index"],
)
def test_parquet(tmp_path, made):
    made.to_parquet(tmp_path / "a.parquet")
    found = fr.import_sales(tmp_path / "a.parquet")
    expected = [[i, pd.Timestamp(d), q] for i, d, q in ROWS]
    assert found.history[["item_id", "date", "sales"]].to_numpy().tolist() == expected
    assert fr.import_sales(made).history.equals(found.history)


@pytest.mark.parametrize("label", [pd.Timestamp, lambda d: pd.Period(d, "W-SUN"), str])
def test_a_wide_frame(label):
    wide = pd.DataFrame(
        {label(d): [at, at + 1] for at, d in enumerate(WEEKS)}, index=pd.Index(["tea", "ink"], name="sku")
    )
    found = fr.import_sales(wide)
    assert found.history[["item_id", "date", "sales"]].to_numpy().tolist() == [
        [i, pd.Timestamp(d), q] for i, d, q in ROWS
    ]


def test_float_ids_of_a_frame_are_whole_numbers():
    found = fr.import_sales(frame(sku=lambda f: pd.factorize(f["sku"])[0] + 41.0))
    assert set(found.history["item_id"]) == {"41", "42"}


@pytest.mark.parametrize("pack", ["gz", "zip"])
def test_packed(tmp_path, pack):
    path = tmp_path / f"a.csv.{pack}"
    if pack == "gz":
        path.write_bytes(gzip.compress(CSV))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("in/a.csv", CSV)
            archive.writestr("__MACOSX/in/._a.csv", b"junk")
    assert fr.import_sales(path).history["sales"].sum() == TOTAL


def test_a_zip_of_two_files_is_asked_about(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", CSV)
        archive.writestr("b b.csv", CSV)
    with pytest.raises(fr.InputError, match=r"--sheet a.csv   or: .* --sheet 'b b.csv'"):
        fr.import_sales(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xd0\xcf\x11\xe0" + bytes(600), r"an old Excel file \(\.xls\)"),
        (b"<html><table></table></html>", "a web page"),
        (b"", "is empty"),
        (b"item\n1\n2\n", "a single column"),
        (b"item_id,date,sales\n", "no rows"),
        (b"item_id,date,sales\na,2024-01-01,1\na,2024-01-08,1,5,6\n" * 300, "line 3 has more cells than the header"),
        (b"item_id,date,sales\na,2024-01-01,three\na,2024-01-08,2\n", r"line 2: sales must be numbers, got 'three'"),
        (b"item_id,date,sales\na,soon,3\na,2024-01-08,2\n", r"line 2: dates must be dates, got 'soon'"),
        (b"Report,,\nsku,date,qty\n,,\nTotal,,9\na,2024-01-01,1\na,2024-01-08,x\n", r"line 6: sales must be"),
        (b"item_id,date,sales\na,,3\na,2024-01-08,2\n", r"line 2: no date beside 1 numbers"),
        (b"item_id,date,sales\na,2024-01-01,1\na,08.01.2024,1\n", "written in more than one way"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, data, said):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(fr.InputError, match=said):
        fr.import_sales(path)


# Time zones.


def stamped(tmp_path, form):
    path = tmp_path / "a.csv"
    path.write_text("sku,timestamp,qty\n" + "".join(f"{i},{d:{form}},{q}\n" for i, d, q in ROWS))
    return path


def test_local_days_are_kept(tmp_path):
    found = fr.import_sales(stamped(tmp_path, "%Y-%m-%dT23:30:00+02:00"))
    assert found.history["date"].min() == pd.Timestamp("2023-01-02")
    assert "the local day of each counts" in "\n".join(found.report.lines)


def test_times_in_utc_are_asked_about(tmp_path):
    path = stamped(tmp_path, "%Y-%m-%d 23:00:00Z")
    with pytest.raises(fr.InputError, match=r"all at 23:00, .*--time-zone Europe/Berlin .*--time-zone UTC"):
        fr.import_sales(path)
    assert fr.import_sales(path, time_zone="Europe/Berlin").history["date"].min() == pd.Timestamp("2023-01-03")
    assert fr.import_sales(path, time_zone="UTC").history["date"].min() == pd.Timestamp("2023-01-02")


def test_midnights_in_utc_are_days(tmp_path):
    assert fr.import_sales(stamped(tmp_path, "%Y-%m-%dT00:00:00Z")).history["date"].min() == pd.Timestamp("2023-01-02")


def test_seconds_since_1970_count_in_utc(tmp_path):
    path = tmp_path / "a.csv"
    seconds = [int(d.replace(tzinfo=dt.UTC).timestamp()) + 22 * 3600 for _, d, _ in ROWS[:8]]
    path.write_text("sku,ts,qty\n" + "".join(f"a,{second},1\n" for second in seconds))
    with pytest.raises(fr.InputError, match=r"all at 22:00, .*--time-zone"):
        fr.import_sales(path)
    assert fr.import_sales(path, time_zone="Europe/Berlin").history["date"].min() == pd.Timestamp("2023-01-02")


def test_an_unknown_time_zone_is_a_fault(tmp_path):
    with pytest.raises(fr.InputError, match="unknown 'Berlin'"):
        fr.import_sales(stamped(tmp_path, "%Y-%m-%d 23:00:00Z"), time_zone="Berlin")
