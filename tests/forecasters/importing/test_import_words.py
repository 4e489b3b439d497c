"""Numbers, dates and names of columns, one by one."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

import fractile as fr
from fractile.forecasters.importing.dates import readings
from fractile.forecasters.importing.findings import Options
from fractile.forecasters.importing.numbers import parse_number
from fractile.forecasters.importing.vocabulary import is_place, is_total, strength


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("1.234,5", ",", 1234.5),
        ("1,234.5", ".", 1234.5),
        ("1 234,5", ",", 1234.5),
        ("1\u202f234,5", ",", 1234.5),
        ("1'234.5", ".", 1234.5),
        ("1.234.567", ",", 1234567),
        ("(5)", ".", -5),
        ("5-", ".", -5),
        ("\u22125", ".", -5),
        ("- 5", ".", -5),
        ("+5", ".", 5),
        ("€ 3,50", ",", 3.5),
        ("3.50 USD", ".", 3.5),
        ("-€3.50", ".", -3.5),
        ("12 Stk.", ",", 12),
        ("15 %", ".", 0.15),
        ("4.0E+3", ".", 4000),
        (",5", ",", 0.5),
    ],
)
def test_numbers(text, decimal, number):
    assert parse_number(text, decimal) == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize("text", ["", "-", "n/a", "#N/A", "k.A.", "NaN", " "])
def test_words_for_nothing(text):
    assert np.isnan(parse_number(text, "."))


@pytest.mark.parametrize("text", ["three", "01.02.2023", "1.2.3", "12,34,5", "1.23,4.5", "a1"])
def test_no_numbers(text):
    assert parse_number(text, ",") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-01-31", {"ymd": dt.date(2023, 1, 31)}),
        ("20230131", {"ymd": dt.date(2023, 1, 31)}),
        ("20022023", {"dmy": dt.date(2023, 2, 20)}),
        ("31.01.2023", {"dmy": dt.date(2023, 1, 31)}),
        ("1/13/23", {"mdy": dt.date(2023, 1, 13)}),
        ("01/02/2023", {"dmy": dt.date(2023, 2, 1), "mdy": dt.date(2023, 1, 2)}),
        ("Mo, 02.01.2023", {"dmy": dt.date(2023, 1, 2), "mdy": dt.date(2023, 2, 1)}),
        ("3. Januar 2022", {"named": dt.date(2022, 1, 3)}),
        ("3 janv. 2022", {"named": dt.date(2022, 1, 3)}),
        ("Jan 3, 2022", {"named": dt.date(2022, 1, 3)}),
        ("03-Jan-22", {"named": dt.date(2022, 1, 3)}),
        ("3 de enero de 2022", {"named": dt.date(2022, 1, 3)}),
        ("2022-W01", {"yw": dt.date(2022, 1, 3)}),
        ("2022W1", {"yw": dt.date(2022, 1, 3)}),
        ("KW 1/2022", {"yw": dt.date(2022, 1, 3)}),
        ("W01 2022", {"yw": dt.date(2022, 1, 3)}),
        ("202253", {}),
        ("202152", {"yw": dt.date(2021, 12, 27)}),
        ("202201", {"ym": dt.date(2022, 1, 1), "yw": dt.date(2022, 1, 3)}),
        ("Jan-22", {"ym": dt.date(2022, 1, 1)}),
        ("Oktober 2022", {"ym": dt.date(2022, 10, 1)}),
        ("maio 2022", {"ym": dt.date(2022, 5, 1)}),
        ("2022 Dez", {"ym": dt.date(2022, 12, 1)}),
        ("2022-Q3", {"yq": dt.date(2022, 7, 1)}),
        ("44928", {"serial": dt.date(2023, 1, 2)}),
        ("1672617600", {"epoch": dt.date(2023, 1, 2)}),
        ("2023-02-30", {}),
        ("12", {}),
        ("tea", {}),
        ("Sales 2022", {}),
    ],
)
def test_dates(text, expected):
    assert readings(text) == expected


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (
            "item_id",
            "item_id SKU Artikel ArtikelNr Artikelnummer StockCode product_id Código_artículo EAN Towar unique_id",
        ),
        ("date", "Date Datum week KW InvoiceDate order_date Fecha jour ds Monat Verkaufsdatum"),
        ("sales", "sales units units_sold Qty Quantity Menge Absatz Verkaufsmenge Stückzahl Ilość Aantal y Ventas"),
        ("price", "price Preis UnitPrice sell_price Prix Precio Cena Einzelpreis VK"),
        ("promotion", "promo onpromotion Aktion Promotion"),
    ],
)
def test_names_of_columns(role, names):
    weak = [name for name in names.split() if strength(name, role) < 85]
    assert weak == []


@pytest.mark.parametrize(
    "name", ["Umsatz", "revenue", "amount", "on_hand", "Bestand", "units_returned", "price", "Wert"]
)
def test_names_that_are_no_units(name):
    assert strength(name, "sales") == 0


def test_places_and_totals():
    assert all(map(is_place, ("Store", "Filiale", "store_id", "Region", "Verkaufsstelle")))
    assert not any(map(is_place, ("product", "color", "restore")))
    assert all(map(is_total, ("Total", "Summe", "Grand Total", "Gesamtergebnis", "TOTAL:")))
    assert not any(map(is_total, ("Totem", "Sumatra", "tea")))


def test_one_thousand_or_one_is_asked_about(tmp_path):
    path = tmp_path / "a.csv"
    weeks = [dt.date(2023, 1, 2) + dt.timedelta(7 * at) for at in range(5)]
    path.write_text("Artikel;Datum;Menge\n" + "".join(f"a;{d};1.{at}00\n" for at, d in enumerate(weeks)))
    with pytest.raises(fr.InputError, match=r"'1.000', which may be 1 or 1,000.*--decimal , .1000. or --decimal . .1."):
        fr.import_sales(path)
    assert fr.import_sales(path, decimal=",").history["sales"].tolist() == [1000, 1100, 1200, 1300, 1400]
    assert fr.import_sales(path, decimal=".").history["sales"].tolist() == [1.0, 1.1, 1.2, 1.3, 1.4]


def test_months_or_weeks_are_asked_about_within_a_year_only(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("sku,period,qty\n" + "".join(f"a,2022{m:02d},{m}\n" for m in range(1, 9)))
    with pytest.raises(fr.InputError, match=r"--date-format ym .months. or --date-format yw .weeks."):
        fr.import_sales(path)
    assert fr.import_sales(path, date_format="yw").history["date"].iloc[1] == np.datetime64("2022-01-10")
    path.write_text("sku,period,qty\n" + "".join(f"a,{y}{m:02d},{m}\n" for y in (2021, 2022) for m in range(1, 13)))
    assert len(fr.import_sales(path).history) == 24


def test_a_date_format_that_is_not_the_files_is_a_fault(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("sku,date,qty\na,2024-01-01,1\na,2024-01-08,1\n")
    with pytest.raises(fr.InputError, match=r"dates must be dates written as dmy \(--date-format\), got '2024-01-01'"):
        fr.import_sales(path, date_format="dmy")


def test_a_year_and_a_week_in_two_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("Jahr;KW;Artikel;Absatz\n" + "".join(f"2022;{w};tea;{w}\n" for w in range(1, 20)))
    found = fr.import_sales(path)
    assert found.history["date"].iloc[0] == np.datetime64("2022-01-03")
    assert found.history["sales"].tolist() == list(range(1, 20))


def test_options_are_checked_together():
    with pytest.raises(fr.InputError) as caught:
        Options(layout="broad", returns="keep", separator=";;", encoding="utf-99")
    flags = [fault.split(":")[0] for fault in caught.value.faults]
    assert flags == ["--layout", "--returns", "--separator", "--encoding"]


def test_columns_that_are_named_must_be_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("sku,date,qty\na,2024-01-01,1\na,2024-01-08,1\n")
    with pytest.raises(fr.InputError, match=r"has no column 'skuu', named by --item skuu\+date; did you mean 'sku'"):
        fr.import_sales(path, item="skuu+date")
