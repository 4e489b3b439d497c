"""Items and state as a spreadsheet saves them: read like a CSV with commas, and said; what is open is a fault."""

from __future__ import annotations

import pandas as pd
import pytest

import fractile as fr
from fractile.forecasters.data.panel import load_inputs
from fractile.forecasters.data.tables import read_items, read_state

ITEMS = (
    "item_id,lead_time,holding_cost,pack_size,group,weight,fresh,discontinued\n"
    "Hähnchen,2,0.0134,6,Küche,0.75,True,\n"
    "007,1,0.02,,5,1.5,False,2024-03-11\n"
)
STATE = "item_id,on_hand,arriving_1,arriving_2,date\nHähnchen,12,0,3.5,2024-02-12\n007,1200,4,0,2024-02-12\n"


def german(text):
    """Return a CSV as a spreadsheet in German saves it."""
    rows = [line.split(",") for line in text.splitlines()]
    for row in rows[1:]:
        for at, cell in enumerate(row):
            row[at] = ".".join(reversed(cell.split("-"))) if cell.count("-") == 2 else cell.replace(".", ",")
    return "\r\n".join(";".join(row) for row in rows) + "\r\n"


def kinds(folder, text, name):
    """Write a table in the ways of spreadsheets; return the paths by what they are called."""
    local, plain = german(text), text
    written = {
        "cp1252.csv": local.encode("cp1252"),
        "utf8.csv": local.encode("utf-8-sig"),
        "tabs.csv": local.replace(";", "\t").encode("utf-16"),
        "tabs.txt": local.replace(";", "\t").encode("cp1252"),
        "quoted.csv": ("\n".join(",".join(f'"{c}"' for c in row.split(";")) for row in local.split())).encode(),
        "cp1252_commas.csv": plain.encode("cp1252"),
    }
    for kind, data in written.items():
        (folder / f"{name}_{kind}").write_bytes(data)
    (folder / f"{name}.csv").write_text(plain, encoding="utf-8")
    return {kind: folder / f"{name}_{kind}" for kind in written}


@pytest.mark.parametrize(("text", "read"), [(ITEMS, read_items), (STATE, read_state)], ids=["items", "state"])
def test_what_a_spreadsheet_saves_is_read_like_a_csv_with_commas(tmp_path, text, read):
    found = kinds(tmp_path, text, "table")
    expected = read(tmp_path / "table.csv")
    for kind, path in found.items():
        pd.testing.assert_frame_equal(read(path), expected, obj=kind)


@pytest.mark.parametrize(("text", "read"), [(ITEMS, read_items), (STATE, read_state)], ids=["items", "state"])
def test_a_workbook_is_read_like_a_csv_with_commas(tmp_path, text, read):
    openpyxl = pytest.importorskip("openpyxl")
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    frame = pd.read_csv(tmp_path / "table.csv", dtype={"item_id": str})
    for name in {"date", "discontinued"} & set(frame):
        frame[name] = pd.to_datetime(frame[name])
    book = openpyxl.Workbook()
    for row in [list(frame), *frame.astype(object).where(frame.notna(), None).to_numpy().tolist()]:
        book.active.append(row)
    book.active["A3"].value, book.active["A3"].number_format = 7, "000"  # shown as 007
    book.save(tmp_path / "table.xlsx")
    pd.testing.assert_frame_equal(read(tmp_path / "table.xlsx"), read(tmp_path / "table.csv"))


def test_a_workbook_with_two_tables_is_a_fault(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for sheet in (book.active, book.create_sheet("old")):
        for row in (["item_id", "on_hand"], ["a", 3], ["b", 2]):
            sheet.append(row)
    book.save(tmp_path / "state.xlsx")
    with pytest.raises(fr.InputError, match=r"holds 2 sheets with data: 'Sheet', 'old'; keep one of them"):
        read_state(tmp_path / "state.xlsx")


def history(*ids):
    weeks = pd.date_range("2024-01-01", periods=6, freq="W-MON")
    return pd.concat([pd.DataFrame({"item_id": name, "date": weeks, "sales": 3.0}) for name in ids])


def test_what_a_file_was_read_as_is_said(tmp_path):
    items, state = kinds(tmp_path, ITEMS, "items")["cp1252.csv"], kinds(tmp_path, STATE, "state")["utf8.csv"]
    inputs = load_inputs(history("Hähnchen", "007"), items, state)
    first, second = inputs.notes
    assert str(items) in first
    assert "cp1252" in first
    assert "';'" in first
    assert "decimal comma" in first
    assert "dates" in second
    assert set(inputs.notes) <= set(inputs.panel.notes)


def test_a_csv_with_commas_needs_no_note(tmp_path):
    kinds(tmp_path, ITEMS, "items")
    assert load_inputs(history("Hähnchen", "007"), tmp_path / "items.csv").notes == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("item_id;on_hand\na;1.200\n", r"'on_hand' has '1.200', which may be 1.2 or 1,200.*; save it as"),
        ("item_id;on_hand\na;1,5\nb;2.5\n", r"decimal commas and .*decimal points"),
        ("item_id;on_hand\na;viele\n", r"line 2: on_hand must be .*, got 'viele'"),
        ("item_id;on_hand\na;5 %\n", r"on_hand must be .*, got '5 %'"),
        ("item_id;on_hand;on_hand\na;1;2\n", r"column 'on_hand' stands more than once"),
        ("item_id;on_hand;date\na;1;02/05/2024\n", r"date must be a date, got '02/05/2024'; write it as YYYY-MM-DD"),
    ],
)
def test_what_a_file_leaves_open_is_a_fault(tmp_path, text, expected):
    (tmp_path / "state.csv").write_text(text)
    with pytest.raises(fr.InputError, match=expected) as caught:
        read_state(tmp_path / "state.csv")
    assert "--" not in str(caught.value)


def test_a_broken_workbook_is_a_fault(tmp_path):
    (tmp_path / "items.xlsx").write_bytes(b"PK\x03\x04 no workbook")
    with pytest.raises(fr.InputError, match=r"items.xlsx: .*"):
        read_items(tmp_path / "items.xlsx")


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman"])
def test_broken_letters_are_named(tmp_path, encoding):
    """UTF-8 that was opened in another encoding and saved: HÃ¤hnchen."""
    broken = "Hähnchen".encode().decode(encoding)
    (tmp_path / "state.csv").write_text(f"item_id,on_hand\n{broken},3\n007,2\n", encoding="utf-8")
    with pytest.raises(fr.InputError, match=rf"broken letters \('{broken}' for 'Hähnchen'\)") as caught:
        load_inputs(history("Hähnchen", "007"), state=tmp_path / "state.csv")
    assert len(caught.value.faults) == 1  # and not as items that one of the two lacks


def test_a_fault_of_items_in_one_table_only_begins_with_the_file(tmp_path):
    (tmp_path / "items.csv").write_text("item_id,lead_time\na,1\n")
    with pytest.raises(fr.InputError, match=r"items.csv: 1 item is in the history but not in the items: 'b'"):
        load_inputs(history("a", "b"), tmp_path / "items.csv")
