"""Each shape of file that people have, and siblings of it: what comes out, and what is said."""

from __future__ import annotations

import datetime as dt
import io

import numpy as np
import pandas as pd
import pytest

import fractile as fr

WEEKS = [dt.date(2023, 1, 2) + dt.timedelta(7 * at) for at in range(10)]
DAYS = [dt.date(2023, 1, 9) + dt.timedelta(at) for at in range(21)]
NAMES = ("Käse 01", "Öl", "007")


def units(items=NAMES, dates=WEEKS, low=1):
    """Return rows of item, date and units."""
    rng = np.random.default_rng(7)
    return [(item, date, int(rng.integers(low, 9))) for item in items for date in dates]


def write(tmp_path, text, name="sales.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def table(header, rows, form):
    return header + "\n" + "".join(form(*row) + "\n" for row in rows)


def report(found):
    return "\n".join(found.report.lines)


def total(rows):
    return sum(row[-1] for row in rows)


def loaded(found):
    """Return the panel that the written history makes, read back from CSV without any option."""
    text = io.StringIO()
    found.history.to_csv(text, index=False)
    text.seek(0)
    frame = pd.read_csv(text, dtype={"item_id": str}, keep_default_na=False, na_values={"price": [""]})
    return fr.load_panel(frame)


# German exports: cp1252, semicolons, decimal commas, dd.mm.yyyy.


@pytest.mark.parametrize(
    ("encoding", "said"), [("cp1252", "cp1252, e.g. 'Käse'"), ("utf-8-sig", "UTF-8"), ("utf-16", "UTF-16")]
)
def test_german_export(tmp_path, encoding, said):
    rows = units()
    form = lambda i, d, q: f"{i};{d:%d.%m.%Y};{q},0;1.006,21 €"  # noqa: E731
    path = write(tmp_path, table("Artikel;Datum;Menge;Preis", rows, form), encoding=encoding)
    found = fr.import_sales(path)
    assert list(found.history) == ["item_id", "date", "sales", "price"]
    assert found.history["sales"].sum() == total(rows)
    assert set(found.history["item_id"]) == set(NAMES)
    assert (found.history["price"] == 1006.21).all()
    for word in (said, "';'", "decimal comma", "dd.mm.yyyy", "item_id = Artikel", "price = Preis", "3 items, 10 weeks"):
        assert word in report(found)
    assert len(found.report.lines) <= 10


def test_polish_export(tmp_path):
    rows = [({"Käse 01": "Łosoś", "Öl": "Żurek", "007": "Śliwka"}[i], d, q) for i, d, q in units()]
    text = table("Towar;Data sprzedaży;Ilość;Cena", rows, lambda i, d, q: f"{i};{d};{q};2,50 zł")
    found = fr.import_sales(write(tmp_path, text, encoding="cp1250"))
    assert set(found.history["item_id"]) == {"Łosoś", "Żurek", "Śliwka"}
    assert found.history["sales"].sum() == total(rows)


@pytest.mark.parametrize(
    ("encoding", "word"),
    [("cp1252", "Crème brûlée n° 1"), ("cp1252", "Größe 5 €"), ("cp850", "Öl für Mühle"), ("cp1250", "Příliš žluť"),
     ("cp1251", "Хлеб"), ("cp1252", "L’été"), ("mac_roman", "Größe für Öl")],
)  # fmt: skip
def test_code_pages_are_told_by_their_words(tmp_path, encoding, word):
    rows = units((word, "tea"))
    path = write(tmp_path, table("Artikel;Datum;Menge", rows, lambda i, d, q: f"{i};{d};{q}"), encoding=encoding)
    assert set(fr.import_sales(path).history["item_id"]) == {word, "tea"}
    assert fr.import_sales(path, encoding=encoding).history["sales"].sum() == total(rows)


def test_a_code_page_that_is_open_is_asked_about(tmp_path):
    path = write(
        tmp_path, table("Artikel;Datum;Menge", units(("čaj",)), lambda *r: ";".join(map(str, r))), encoding="cp1250"
    )
    with pytest.raises(fr.InputError, match=r"'čaj;2023' in cp1250.*--encoding cp1252"):
        fr.import_sales(path)
    assert set(fr.import_sales(path, encoding="cp1250").history["item_id"]) == {"čaj"}


def test_titles_totals_and_blank_lines_are_no_data(tmp_path):
    rows = units()
    body = table("Artikel;Datum;Menge;", rows, lambda i, d, q: f"{i};{d:%d.%m.%Y};{q};")
    text = f"Verkäufe 2023;;;\nStand:;01.04.2023;;\n;;;\n{body}\nSumme;;{total(rows)};\nexportiert;;;\n"
    found = fr.import_sales(write(tmp_path, text, encoding="cp1252"))
    assert found.history["sales"].sum() == total(rows)
    assert "3 lines above the header" in report(found)
    assert "2 rows of totals or remarks, e.g. 'Summe'" in report(found)


# Wide tables.


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (lambda d: f"{d.isocalendar()[0]}-W{d.isocalendar()[1]:02d}", "ISO weeks"),
        (lambda d: f"KW {d.isocalendar()[1]}/{d.isocalendar()[0]}", "ISO weeks"),
        (lambda d: f"{d:%d/%m/%Y}", "dd/mm/yyyy"),
        (lambda d: f"Sales {d}", "year-month-day"),
        (lambda d: str((d - dt.date(1899, 12, 30)).days), "spreadsheets"),
    ],
)
def test_wide_table(tmp_path, label, said):
    rows = units(dates=WEEKS)
    by_item = {name: [q for i, _, q in rows if i == name] for name in NAMES}
    text = "SKU,Total," + ",".join(map(label, WEEKS)) + "\n"
    text += "".join(f"{name},{sum(q)}," + ",".join(map(str, q)) + "\n" for name, q in by_item.items())
    found = fr.import_sales(write(tmp_path, text + "Total,,\n"))
    history = found.history
    assert [tuple(row) for row in history[["item_id", "date", "sales"]].to_numpy()] == [
        (i, pd.Timestamp(d), q) for i, d, q in rows
    ]
    assert said in report(found)
    assert "columns of totals: 'Total'" in report(found)


def test_wide_months_below_their_years(tmp_path):
    months = ["Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez"]
    text = ";2021" + ";" * 11 + ";2022" + ";" * 11 + "\nArtikel;" + ";".join(months * 2) + "\n"
    text += "tea;" + ";".join(str(at) for at in range(24)) + "\n"
    found = fr.import_sales(write(tmp_path, text))
    assert found.history["sales"].tolist() == list(range(24))
    assert found.history["date"].tolist() == list(pd.date_range("2021-01-01", periods=24, freq="MS"))


def test_wide_with_a_column_an_item(tmp_path):
    text = "date,tea,ink\n" + "".join(f"{d},{at},{2 * at}\n" for at, d in enumerate(WEEKS))
    found = fr.import_sales(write(tmp_path, text))
    assert found.history.groupby("item_id")["sales"].sum().to_dict() == {"tea": 45, "ink": 90}


def test_wide_with_two_keys_is_asked_about(tmp_path):
    text = "Filiale;Artikel;" + ";".join(map(str, WEEKS)) + "\n"
    text += "".join(f"{s};{i};" + ";".join("3" for _ in WEEKS) + "\n" for s in ("B", "H") for i in ("tea", "ink"))
    path = write(tmp_path, text)
    with pytest.raises(fr.InputError, match=r"--item Filiale\+Artikel"):
        fr.import_sales(path)
    found = fr.import_sales(path, item="Filiale+Artikel")
    assert found.history["item_id"].unique().tolist() == ["B/tea", "B/ink", "H/tea", "H/ink"]


# Daily transactions with returns and closed Sundays.


def daily(form):
    rows = [(i, d, q) for i, d, q in units(dates=DAYS) if d.weekday() != 6 and d != DAYS[8]]
    return table("SKU,Date,Qty", [*rows, ("Öl", DAYS[2], -2), ("Öl", DAYS[4], -90)], form), rows


def test_returns_are_asked_about_and_then_netted_or_dropped(tmp_path):
    text, rows = daily(lambda i, d, q: f"{i},{d:%m/%d/%Y},{q}")
    path = write(tmp_path, text)
    with pytest.raises(fr.InputError) as caught:
        fr.import_sales(path, out="h.csv")
    [fault] = caught.value.faults
    assert f"fractile import {path} --out h.csv --returns net   or: " in fault
    assert fault.endswith("--returns drop")
    dropped = fr.import_sales(path, returns="drop")
    assert dropped.history["sales"].sum() == total(rows)
    netted = fr.import_sales(path, returns="net")
    sold = {(i, d): q for i, d, q in rows}
    assert netted.history["sales"].sum() == total(rows) - 2 - sold["Öl", DAYS[4]]
    assert "2 rows of returns (92 units) netted; more came back than was sold for 1 item-period" in report(netted)


def test_missing_days_of_a_record_of_sales_are_no_sale_and_sundays_closed(tmp_path):
    text, rows = daily(lambda i, d, q: f"{i},{d:%m/%d/%Y},{q}")
    found = fr.import_sales(write(tmp_path, text), returns="drop")
    assert len(found.history) == 3 * len(DAYS)  # the last Sunday is closed, too
    assert "never on Sundays and 1 day without any row" in report(found)
    panel = loaded(found)
    assert (panel.freq, panel.periods) == ("D", 21)
    sundays = panel.dates.dayofweek == 6
    assert panel.sales[:, sundays].sum() == 0
    assert panel.in_stock.all()
    weekly = fr.load_panel(found.history, freq="W-MON")
    assert weekly.sales.sum() == total(rows)


def test_daily_sales_are_added_up_to_weeks(tmp_path):
    text, rows = daily(lambda i, d, q: f"{i},{d:%m/%d/%Y},{q}")
    path = write(tmp_path, text)
    found = fr.import_sales(path, returns="drop", freq="W-MON")
    assert found.history["sales"].sum() == total(rows)
    assert len(found.history) == 9
    with pytest.raises(fr.InputError, match=r"--missing unknown goes with the file's own periods"):
        fr.import_sales(path, returns="drop", freq="W-MON", missing="unknown")


@pytest.mark.parametrize(("form", "ok"), [("%m/%d/%Y", "mm/dd/yyyy"), ("%d/%m/%Y", "dd/mm/yyyy")])
def test_the_order_of_dates_is_decided_by_those_of_one_reading(tmp_path, form, ok):
    rows = units(dates=DAYS)
    found = fr.import_sales(write(tmp_path, table("SKU,Date,Qty", rows, lambda i, d, q: f"{i},{d:{form}},{q}")))
    assert ok in report(found)
    assert found.history["date"].min() == pd.Timestamp(DAYS[0])


def test_dates_that_can_be_read_in_two_ways_are_asked_about_with_other_questions(tmp_path):
    dates = [dt.date(2024, month, 3) for month in (1, 2, 3)]
    rows = [*units(("a", "b"), dates), ("a", dates[0], -1)]
    path = write(tmp_path, table("SKU,Date,Qty", rows, lambda i, d, q: f"{i},{d:%d/%m/%Y},{q}"), "my sales.csv")
    with pytest.raises(fr.InputError) as caught:
        fr.import_sales(path)
    first, second = caught.value.faults
    assert "03/01/2024 is 3 January 2024" in first
    assert "03/01/2024 is 1 March 2024" in first
    assert f"fractile import '{path}' --out history.csv --date-format dmy --returns net" in second
    found = fr.import_sales(path, date_format="dmy", returns="drop")
    assert found.history["date"].unique().tolist() == [pd.Timestamp(2024, month, 1) for month in (1, 2, 3)]
    assert "months are named by their day 3" in report(found)
    american = fr.import_sales(path, date_format="mm/dd/yyyy", returns="drop").history
    assert american["date"].unique().tolist() == [pd.Timestamp(2024, 3, day) for day in (1, 2, 3)]


# Composite keys.


def stores(form, header):
    return table(header, [(s, i, d, q) for s in ("1", "2") for i, d, q in units()], form)


def test_composite_key(tmp_path):
    path = write(tmp_path, stores(lambda s, i, d, q: f"{s},{i},{d},{q},6.21", "store,product,week,units_sold,price"))
    with pytest.raises(fr.InputError, match=r"--item store\+product .*or --item product"):
        fr.import_sales(path)
    found = fr.import_sales(path, item="store+product")
    panel = loaded(found)
    assert panel.items == 6
    assert panel.item_ids[0] == "1/Käse 01"
    assert panel.attributes["product"].tolist() == [*NAMES] * 2
    assert panel.attributes["store"].tolist() == ["store 1"] * 3 + ["store 2"] * 3  # words, as they must stay
    added = fr.import_sales(path, item="product")
    assert added.history["sales"].sum() == found.history["sales"].sum()
    assert added.history["item_id"].nunique() == 3


def test_a_composite_key_of_three_columns_with_the_sign_inside(tmp_path):
    rows = [(r, s, i, d, q) for r in ("N", "S/W") for s in ("x", "y") for i, d, q in units(("a",))]
    text = table("region,shop,sku,date,qty", rows, lambda *row: ",".join(map(str, row)))
    found = fr.import_sales(write(tmp_path, text), item="region+shop+sku")
    assert set(found.history["item_id"]) == {f"{r}|{s}|a" for r in ("N", "S/W") for s in ("x", "y")}


# Columns that are named win.


def test_a_named_column_wins_and_the_files_own_is_kept(tmp_path):
    rows = [(f"{i}_{s}", i, d, q) for s in ("CA", "TX") for i, d, q in units(("a", "b"))]
    path = write(tmp_path, table("id,item_id,date,sales", rows, lambda *row: ",".join(map(str, row))))
    with pytest.raises(fr.InputError, match=r"--column item_id=item_id .2 items. or --column item_id=id .4 items."):
        fr.import_sales(path)
    found = fr.import_sales(path, columns={"item_id": "id"})
    assert found.history["item_id"].nunique() == 4
    assert found.history["file_item_id"].tolist() == [row[1] for row in rows]
    assert "'item_id' as 'file_item_id'" in report(found)
    panel = fr.load_panel(path, columns={"item_id": "id"})
    assert panel.attributes["file_item_id"].tolist() == ["a", "b", "a", "b"]
    assert any("'item_id' is called 'file_item_id'" in note for note in panel.notes)


def test_units_beside_money(tmp_path):
    path = write(tmp_path, table("item_id,date,sales,units", units(), lambda i, d, q: f"{i},{d},{q * 2.5},{q}"))
    with pytest.raises(fr.InputError, match=r"--column sales=sales .*--column sales=units"):
        fr.import_sales(path)
    found = fr.import_sales(path, columns={"sales": "units"})
    assert found.history["sales"].sum() == total(units())
    assert (found.history["file_sales"] == 2.5 * found.history["sales"]).all()


def test_of_two_prices_none_is_taken_unless_it_is_named(tmp_path):
    text = table("sku,date,qty,avg_price,list price", units(), lambda i, d, q: f"{i},{d},{q},2.5,3.5")
    path = write(tmp_path, text)
    assert "'avg_price', 'list price' may each be price: none is taken" in report(fr.import_sales(path))
    assert (fr.import_sales(path, columns={"price": "list price"}).history["price"] == 3.5).all()


def test_umsatz_is_money_and_absatz_units(tmp_path):
    text = table("Artikel;Datum;Umsatz;Absatz", units(), lambda i, d, q: f"{i};{d:%d.%m.%Y};{q * 3},50;{q}")
    assert fr.import_sales(write(tmp_path, text)).history["sales"].sum() == total(units())


# Categories.


def test_words_beside_numbers_are_a_category(tmp_path):
    rows = [(1, d, q, "0abc"[at % 4] if at % 5 == 0 else "0") for at, (_, d, q) in enumerate(units(("x",), DAYS))]
    path = write(tmp_path, table("Store,Date,Sales,StateHoliday", rows, lambda *row: ",".join(map(str, row))))
    found = fr.import_sales(path)
    assert set(found.history["StateHoliday"]) == {"0", "a", "b", "c"}
    assert "'StateHoliday' a category" in report(found)
    assert "StateHoliday" not in fr.import_sales(path, leave_out=["StateHoliday"]).history
    mapped = {"item_id": "Store", "date": "Date", "sales": "Sales"}
    assert fr.load_panel(path, columns=mapped).observed["StateHoliday"].max() == 3


def test_numbers_taken_as_words(tmp_path):
    rows = [(i, d, q, at % 3) for at, (i, d, q) in enumerate(units())]
    path = write(tmp_path, table("sku,date,qty,zone", rows, lambda *row: ",".join(map(str, row))))
    assert fr.import_sales(path).history["zone"].dtype == np.int64
    assert set(fr.import_sales(path, text=["zone"]).history["zone"]) == {"zone 0", "zone 1", "zone 2"}


def test_yes_and_no_in_other_languages(tmp_path):
    rows = [(i, d, q, "ja" if at % 3 else "nein", "J" if at % 4 else "N") for at, (i, d, q) in enumerate(units())]
    path = write(
        tmp_path, table("sku;Datum;Menge;Aktion;Verfügbar;Rabatt", rows, lambda *r: ";".join(map(str, r)) + ";5 %")
    )
    history = fr.import_sales(path).history
    assert history["promotion"].tolist() == [int(at % 3 > 0) for at in range(30)]
    assert history["in_stock"].tolist() == [at % 4 > 0 for at in range(30)]
    assert (history["Rabatt"] == 0.05).all()


# Single sales.


def test_single_sales_with_the_time_of_day(tmp_path):
    rows = [(i, f"{d} {h:02d}:{h}:00", q, p) for i, d, q in units(dates=DAYS) for h, p in ((10, 2), (15, 4))]
    path = write(tmp_path, table("StockCode,InvoiceDate,Quantity,UnitPrice", rows, lambda *r: ",".join(map(str, r))))
    found = fr.import_sales(path)
    assert found.history["sales"].sum() == 2 * total(units(dates=DAYS))
    assert (found.history["price"] == 3).all()
    assert "126 single sales with the time of day, added up to 63 item-days" in report(found)
    panel = loaded(found)
    assert panel.freq == "D"
    assert panel.in_stock.all()


def test_the_price_of_several_rows_is_weighted_by_units_and_receipts_are_left_out(tmp_path):
    rows = [("tea", d, q, p, 100 * at + q) for at, d in enumerate(DAYS) for q, p in ((1, 5), (3, 1))]
    path = write(tmp_path, table("sku,date,qty,price,receipt", rows, lambda *r: ",".join(map(str, r))))
    found = fr.import_sales(path)
    assert (found.history["price"] == 2).all()
    assert list(found.history) == ["item_id", "date", "sales", "price"]
    assert "'receipt' (they differ between the rows of an item and period)" in report(found)


def test_rows_that_stand_twice_are_asked_about(tmp_path):
    rows = units()
    path = write(tmp_path, table("sku,date,qty", [*rows, rows[3]], lambda i, d, q: f"{i},{d},{q}"))
    with pytest.raises(fr.InputError, match=r"1 row that stood before .*--duplicates drop .*--duplicates add"):
        fr.import_sales(path)
    assert fr.import_sales(path, duplicates="drop").history["sales"].sum() == total(rows)
    assert fr.import_sales(path, duplicates="add").history["sales"].sum() == total(rows) + rows[3][2]


# Columns without a name.


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_a_nameless_column_that_numbers_the_rows_is_left_out(tmp_path, name):
    rows = list(enumerate(units()))
    path = write(tmp_path, table(f"{name},item_id,date,sales", rows, lambda at, r: f"{at},{r[0]},{r[1]},{r[2]}"))
    found = fr.import_sales(path)
    assert list(found.history) == ["item_id", "date", "sales"]
    assert "a nameless column that numbers the rows" in report(found)
    panel = fr.load_panel(path)
    assert not panel.observed
    assert panel.notes[0] == "a nameless column that numbers the rows was left out"


def test_a_nameless_column_of_items_is_the_item(tmp_path):
    found = fr.import_sales(write(tmp_path, table(",date,qty", units(), lambda i, d, q: f"{i},{d},{q}")))
    assert set(found.history["item_id"]) == set(NAMES)


def test_a_column_that_counts_the_rows_and_times_of_day_are_left_out(tmp_path):
    rows = [(at, i, d, f"{8 + at % 9}:15", q) for at, (i, d, q) in enumerate(units())]
    path = write(tmp_path, table("row,sku,date,time,qty", rows, lambda *r: ",".join(map(str, r))))
    found = fr.import_sales(path)
    assert list(found.history) == ["item_id", "date", "sales"]
    assert "'row' (it numbers the rows)" in report(found)
    assert "'time' (times of day" in report(found)


# Gaps.


def test_gaps_beside_rows_of_zero_are_asked_about(tmp_path):
    rows = [row for at, row in enumerate(units(low=0)) if at % 7 != 3]
    assert 0 in {row[2] for row in rows}
    path = write(tmp_path, table("sku,date,qty", rows, lambda i, d, q: f"{i},{d},{q}"))
    with pytest.raises(fr.InputError, match=r"--missing zero .*--missing unknown"):
        fr.import_sales(path)
    unknown = loaded(fr.import_sales(path, missing="unknown"))
    assert int((~unknown.in_stock).sum()) == 3
    assert loaded(fr.import_sales(path, missing="zero")).in_stock.all()


def test_cells_without_a_number_are_asked_about(tmp_path):
    rows = [(i, d, "n/a" if at % 7 == 3 else q) for at, (i, d, q) in enumerate(units())]
    path = write(tmp_path, table("sku,date,qty", rows, lambda i, d, q: f"{i},{d},{q}"))
    with pytest.raises(fr.InputError, match=r"3 rows without a number of units; give --missing zero"):
        fr.import_sales(path)
    assert (~loaded(fr.import_sales(path, missing="unknown")).in_stock).sum() == 3


def test_prices_of_records_of_sales_are_known_ahead_from_earlier_periods_only(tmp_path):
    dates = [dt.date(2023, 1, 2) + dt.timedelta(at) for at in range(60)]
    rows = [("a", d, 2, 9) for d in dates] + [("b", d, 2, 5 + at // 20) for at, d in enumerate(dates) if at % 6 == 0]
    text = table("sku,date,qty,price", rows, lambda *r: ",".join(map(str, r)))
    panel = loaded(fr.import_sales(write(tmp_path, text)))
    assert any("rows stand only where something was sold, so that 1 slow items" in note for note in panel.notes)


# Names of items.


def test_blanks_around_every_id_are_layout(tmp_path):
    path = write(tmp_path, table("sku , date , qty", units(), lambda i, d, q: f"{i} , {d} , {q} "))
    assert set(fr.import_sales(path).history["item_id"]) == set(NAMES)


def test_ids_are_kept_as_written_and_twins_reported(tmp_path):
    names = ("A1", "a1", "A1 ", "4.0E+12", "Käse", "Ka\u0308se", "B\u200b2", "B2", "007", "7")
    path = write(tmp_path, table("sku,date,qty", units(names), lambda i, d, q: f"{i},{d},{q}"))
    found = fr.import_sales(path)
    assert set(found.history["item_id"]) == set(names)
    for words in ("'007' and '7'", "'A1' and 'A1 ' and 'a1'", r"'B2' and 'B\u200b2'", "cut short", "'4.0E+12'"):
        assert words in report(found)


# Refusals of other commands.


def test_a_refused_history_names_the_import(tmp_path):
    text = table("Artikel;Datum;Menge", units(), lambda i, d, q: f"{i};{d:%d.%m.%Y};{q},0")
    path = write(tmp_path, text, encoding="cp1252")
    with pytest.raises(fr.InputError) as caught:
        fr.load_panel(path)
    fault = caught.value.faults[-1]
    assert f"type: fractile import {path} --out history.csv   (recognised: text in cp1252" in fault
    assert "decimal comma" in fault


def test_a_refused_file_of_single_sales_is_asked_about_returns_at_once(tmp_path):
    text, _ = daily(lambda i, d, q: f"{i},{d:%m/%d/%Y} 10:00,{q}")
    with pytest.raises(fr.InputError, match=r"--returns net   or: fractile import .* --returns drop"):
        fr.load_panel(write(tmp_path, text))


def test_what_an_import_cannot_read_either_names_none(tmp_path):
    path = write(tmp_path, "item_id,date,sales\na,2024-01-01,three\na,2024-01-08,2\n")
    with pytest.raises(fr.InputError) as caught:
        fr.load_panel(path)
    assert "fractile import" not in caught.value.faults[-1]
