"""Shapes between long and wide: a column an item beside columns of the day, numbered periods; files that are broken."""

from __future__ import annotations

import datetime as dt
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest

import fractile as fr

DAYS = pd.date_range("2024-01-01", periods=28)
HEAD = "Tag;Wochentag;Feiertag;Temperatur;Fisch;Lamm;Steak\n"


def kitchen(head=HEAD, *, cells=None):
    """Return a file with a column a dish beside weekday, holiday and temperature."""
    rows = [f"{d:%d.%m.%Y};{'MDMDFSS'[d.dayofweek]};nein;{at},5;{at * 3 % 11};2;{at % 5}" for at, d in enumerate(DAYS)]
    for at, row in (cells or {}).items():
        rows[at] = row
    return head + "\n".join(rows)


def write(tmp_path, text, name="a.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_of_the_day_beside_a_column_an_item_hold_for_all_items(tmp_path):
    found = fr.import_sales(write(tmp_path, kitchen()))
    history = found.history
    assert list(history["item_id"].unique()) == ["Fisch", "Lamm", "Steak"]
    assert history["sales"].sum() == sum(at * 3 % 11 for at in range(28)) + 2 * 28 + sum(at % 5 for at in range(28))
    steak = history[history["item_id"] == "Steak"].set_index("date")
    assert steak.loc[pd.Timestamp("2024-01-06"), "Temperatur"] == 5.5
    assert steak["holiday"].eq(0).all()
    assert steak.loc[pd.Timestamp("2024-01-02"), "Wochentag"] == "D"
    assert "'Wochentag', 'Feiertag', 'Temperatur' hold for all items" in " ".join(found.report.lines)
    panel = fr.load_panel(history)
    assert panel.item_ids == ("Fisch", "Lamm", "Steak")


def test_a_temperature_is_never_offered_as_sales_but_a_column_an_item_is(tmp_path):
    text = kitchen(HEAD.replace("Feiertag", "Gang"))
    with pytest.raises(fr.InputError, match="--layout wide") as caught:
        fr.import_sales(write(tmp_path, text))
    assert "sales=Temperatur" not in str(caught.value)
    found = fr.import_sales(write(tmp_path, text), layout="wide")
    assert found.history["item_id"].nunique() == 3
    assert "Temperatur" in found.history


def test_money_and_visitors_are_not_items(tmp_path):
    rows = "".join(f"{d:%Y-%m-%d},{at * 3.5},{at + 20}\n" for at, d in enumerate(DAYS))
    with pytest.raises(fr.InputError, match="no column is recognised as units sold"):
        fr.import_sales(write(tmp_path, "date,revenue,customers\n" + rows))


def test_days_on_which_a_shop_was_closed_may_say_so(tmp_path):
    closed = "07.01.2024;S;nein;1,5;geschlossen;geschlossen;geschlossen"
    found = fr.import_sales(write(tmp_path, kitchen(cells={6: closed})))
    day = found.history[found.history["date"] == "2024-01-07"]
    assert list(day["sales"]) == [0, 0, 0]
    assert "1 day without any row" in " ".join(found.report.lines)


def test_the_same_fault_in_several_columns_is_one_with_its_lines(tmp_path):
    wrong = {4: "05.01.2024;F;nein;1,5;?x;?x;3", 9: "10.01.2024;M;nein;1,5;?x;1;3"}
    with pytest.raises(fr.InputError) as caught:
        fr.import_sales(write(tmp_path, kitchen(cells=wrong)))
    message = str(caught.value)
    assert message.count("must be numbers") == 1
    assert "lines 6, 11: units must be numbers, got '?x' in 'Fisch', 'Lamm'" in message
    assert "--leave-out Fisch --leave-out Lamm" in message


def months(last):
    header = ",".join(["sku", *(f"{m:%Y-%m}" for m in pd.date_range("2022-01-01", periods=15, freq="MS"))])
    return header + "\n" + "\n".join(f"{name},{','.join(['40'] * 14)},{last}" for name in "abc")


def test_a_last_month_far_below_all_others_is_said(tmp_path):
    found = fr.import_sales(write(tmp_path, months(9)))
    assert "the last period (2023-03-01) has 22 % of the usual sales" in found.report.lines[-1]
    assert any("has 22 % of the usual sales" in note for note in fr.load_panel(found.history).notes)
    assert "usual" not in fr.import_sales(write(tmp_path, months(25))).report.lines[-1]


def numbered():
    names = ",".join(f"d_{at}" for at in range(1, 31))
    return f"id,cat_id,{names}\n" + "\n".join(f"{i},F,{','.join(map(str, range(30)))}" for i in ("a", "b"))


def test_columns_that_number_their_periods_get_dates_from_the_first_one(tmp_path):
    path = write(tmp_path, numbered())
    with pytest.raises(fr.InputError, match="'d_1' to 'd_30' number their periods") as caught:
        fr.import_sales(path)
    assert "--first-date YYYY-MM-DD" in str(caught.value)
    assert "sales=d_1" not in str(caught.value)
    history = fr.import_sales(path, first_date="2011-01-29").history
    assert history["date"].min() == pd.Timestamp("2011-01-29")
    assert history["date"].max() == pd.Timestamp("2011-02-27")
    assert list(history["sales"]) == [*range(30), *range(30)]
    weeks = fr.import_sales(path, first_date="2011-01-03", freq="W-MON").history
    assert weeks["date"].max() == pd.Timestamp("2011-07-25")


def test_a_first_date_that_is_none_is_a_fault(tmp_path):
    with pytest.raises(fr.InputError, match="--first-date: must be a date"):
        fr.import_sales(write(tmp_path, numbered()), first_date="2011-02-31")


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv.gz", "a.zip", "a.parquet"])
def test_broken_files_are_faults(tmp_path, name):
    path = tmp_path / name
    rows = pd.DataFrame({"sku": "a", "date": DAYS, "qty": np.arange(28)})
    if name == "a.xlsx":
        book = openpyxl.Workbook()
        for row in rows.itertuples(index=False):
            book.active.append([row.sku, row.date.to_pydatetime(), row.qty])
        book.save(path)
    elif name == "a.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.csv", rows.to_csv(index=False))
    elif name == "a.parquet":
        rows.to_parquet(path)
    else:
        rows.to_csv(path, index=False)
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(fr.InputError, match=r"export it again|write it anew"):
        fr.import_sales(path)


def test_headings_of_groups_and_skipped_sheets_are_said(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Bericht"])
    sheet = book.create_sheet("Daten")
    sheet.append([None, "Artikel", *(dt.datetime(2024, m, 1) for m in range(1, 7))])
    for group, item in (("Fisch", "Calamari"), ("Fleisch", "Lamm")):
        sheet.append([group])
        sheet.append([None, item, *range(20, 26)])
    book.save(tmp_path / "a.xlsx")
    found = fr.import_sales(tmp_path / "a.xlsx", sheet="Daten")
    text = " ".join(found.report.lines)
    assert "'Daten' of 2 sheets" in text
    assert "'column_1' (Fisch, Fleisch) (nothing in it beside sales)" in text
    assert list(found.history.columns) == ["item_id", "date", "sales"]


WEEKS = pd.date_range("2023-01-02", periods=10, freq="W-MON")
MONTHS = ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober"]


def long(line, items=("a", "b")):
    """Return one line for each item and week."""
    return [line(item, week, at + 1) for item in items for at, week in enumerate(WEEKS)]


def test_a_header_on_each_page_is_no_row(tmp_path):
    rows = long(lambda i, d, q: f"{i};{d:%d.%m.%Y};{q}")
    rows.insert(7, "Artikel;Datum;Menge")
    found = fr.import_sales(write(tmp_path, "\n".join(["Artikel;Datum;Menge", *rows])))
    assert found.history["sales"].sum() == 110
    assert "1 row like the header" in " ".join(found.report.lines)


def test_a_price_below_zero_is_not_known(tmp_path):
    rows = long(lambda i, d, q: f"{i},{d:%Y-%m-%d},{q},{-2 if q == 3 else 2}")
    found = fr.import_sales(write(tmp_path, "\n".join(["sku,date,qty,price", *rows])))
    assert "2 prices below zero in 'price': taken as not known" in " ".join(found.report.lines)
    assert found.history["price"].isna().sum() == 2
    fr.load_panel(found.history)


def test_formulas_without_results_are_named(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Artikel", "Datum", "Menge"])
    for at, week in enumerate(WEEKS):
        book.active.append(["a", week.to_pydatetime(), f"={at}+1"])
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(fr.InputError, match="columns 'Menge' hold formulas without their results"):
        fr.import_sales(tmp_path / "a.xlsx")


def test_a_name_that_stands_twice_is_asked_about_where_contents_differ(tmp_path):
    def rows(more):
        return "\n".join(["sku,date,qty,qty", *long(lambda i, d, q: f"{i},{d:%Y-%m-%d},{q},{q + more}")])

    with pytest.raises(fr.InputError, match="columns 'qty', 'qty_2' may all be units sold"):
        fr.import_sales(write(tmp_path, rows(1)))
    assert fr.import_sales(write(tmp_path, rows(0))).history["sales"].sum() == 110


@pytest.mark.parametrize(
    ("head", "line", "freq"),
    [
        ("Artikel;Woche;Menge", lambda i, d, q: f"{i};{d:%d.%m.%Y} - {d + pd.Timedelta(6, 'D'):%d.%m.%Y};{q}", "W-MON"),
        (
            "Artikel;Woche;Menge",
            lambda i, d, q: f"{i};{d:%d.%m.%Y} bis {d + pd.Timedelta(6, 'D'):%d.%m.%Y};{q}",
            "W-MON",
        ),
        (
            "Artikel;Jahr;Monat;Menge",
            lambda i, d, q: f"{i};2023;{MONTHS[q - 1]};{q}",
            "MS",
        ),
    ],
)
def test_periods_written_from_first_to_last_day_and_months_in_words(tmp_path, head, line, freq):
    found = fr.import_sales(write(tmp_path, "\n".join([head, *long(line)])))
    expected = pd.date_range("2023-01-02" if freq == "W-MON" else "2023-01-01", periods=10, freq=freq)
    assert list(found.history["date"][:10]) == list(expected)
    assert list(found.history["sales"][:10]) == list(range(1, 11))


def test_rows_of_other_measures_are_left_out(tmp_path):
    header = ";".join(["Artikel", "Kennzahl", *(f"{d:%d.%m.%Y}" for d in WEEKS)])
    rows = [f"{i};{what};{';'.join([n] * 10)}" for i in "ab" for what, n in (("Absatz", "5"), ("Umsatz", "12,5"))]
    found = fr.import_sales(write(tmp_path, "\n".join([header, *rows])))
    assert found.history["sales"].sum() == 100
    assert "rows of 'Umsatz' in 'Kennzahl': 'Absatz' are the units" in " ".join(found.report.lines)


def test_columns_of_other_measures_are_left_out(tmp_path):
    header = ",".join(["sku", *(f"{d:%Y-%m-%d} {what}" for d in WEEKS for what in ("units", "revenue"))])
    found = fr.import_sales(
        write(tmp_path, "\n".join([header, *(f"{i},{','.join(['5', '12.5'] * 10)}" for i in "ab")]))
    )
    assert found.history["sales"].sum() == 100
    assert found.history["date"].nunique() == 10


def test_money_beside_a_column_an_item_is_no_item(tmp_path):
    path = write(tmp_path, kitchen(HEAD.replace("Temperatur", "Umsatz")))
    with pytest.raises(fr.InputError, match="each of 3 columns is an item, 'Fisch', 'Lamm', 'Steak'"):
        fr.import_sales(path)
    history = fr.import_sales(path, layout="wide").history
    assert list(history["item_id"].unique()) == ["Fisch", "Lamm", "Steak"]


def test_dates_that_stand_twice_in_the_header_are_a_fault(tmp_path):
    header = ",".join(["sku", *(f"{d:%Y-%m-%d}" for d in [*WEEKS, *WEEKS])])
    path = write(tmp_path, "\n".join([header, *(f"{i},{','.join(['5'] * 20)}" for i in "ab")]))
    with pytest.raises(fr.InputError, match="'2023-01-02' stands twice in the header"):
        fr.import_sales(path)
