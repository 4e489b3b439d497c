"""Mutations of tables: their cells, rows and columns, and their types in Parquet and in workbooks."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, date, datetime, time
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS = (
    *("1e12", "1e16", "1e100", "1e154", "1e300", "1e308", "1e309", "1" + "0" * 400, "inf", "-inf", "Infinity", "nan"),
    *("-0.0", "-0", "-1", "-1e300", "1e-300", "5e-324", "0", "0.5", "1.0", "01", "+1", "1_000", "1,5", "0x10", "1e"),
    *("", " ", "NA", "None", "null", "two", "=1+1", "1 000", "１", "½", "½", "9223372036854775808", "9007199254740993"),
)
DATES = (
    *("0001-01-01", "1677-09-21", "1600-01-01", "1900-01-01", "2262-04-12", "9999-12-31", "10000-01-01", "-0001-01-01"),
    *("2023-02-29", "2023-13-01", "NaT", "", "20230102", "2023-01", "2023", "2023-W01", "02.01.2023", "01/02/2023"),
    *(
        "2023-01-02T00:00:00Z",
        "2023-01-02T23:59:59.999999999+14:00",
        "2023-01-02 12:00",
        "1672617600",
        "44927",
        "today",
    ),
    *("2023-01-03", "2024-12-30", "2090-01-02", "1970-01-05", "Jan 2, 2023", "2023-01-02T25:00:00", "2023-01-02\0"),
)
IDS = (
    *("", " ", "NA", "nan", "None", "0", "00", "1.0", "1e5", "-", "a ", " a", "A", "а", "a\u0301", "á", "a\nb", 'a"b'),
    *("a,b", "../../a", "/etc/passwd", "C:\\a", "\x1b[2Ja", "a\0b", "\u202ea", "😀" * 50, "x" * 300, "y" * 100_000),
    *(
        "=cmd|' /C calc'!A0",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "%s%n",
        "$x^2",
        "item_id",
        "true",
        "\ufeffa",
        "\ud7ff",
    ),
)
NAMES = (
    *(
        "",
        " ",
        "item_id",
        "date",
        "sales",
        "SALES",
        "Item ID",
        "in_stock",
        "availability",
        "listed",
        "ordered",
        "on_hand",
    ),
    *(
        "price",
        "promotion",
        "holiday",
        "lead_time",
        "pack_size",
        "discontinued",
        "order_up_to",
        "reorder_point",
        "level",
    ),
    *(
        "x" * 5000,
        "a\nb",
        "\0",
        "\x1b[31m",
        "0",
        "index",
        "__index_level_0__",
        "Unnamed: 0",
        "arriving_2",
        "arriving_99",
    ),
    *(
        "$x^2",
        "{x}",
        "<b>",
        "unique_id",
        "ds",
        "y",
        "value",
        "origin_date",
        "correlation_1",
        "arriving_0",
        "shelf_life",
    ),
)


def table_of(text):
    """Return a CSV text as rows of cells, the header first."""
    return list(csv.reader(io.StringIO(text)))


def text_of(rows):
    """Return rows of cells as a CSV text."""
    found = io.StringIO()
    csv.writer(found, lineterminator="\n").writerows(rows)
    return found.getvalue()


def odd_cell(rng, name):
    """Return an odd content for a column's cell; mostly of the column's own kind."""
    kinds = {"item_id": IDS, "date": DATES, "origin_date": DATES, "brand": IDS}
    pool = kinds.get(name, NUMBERS) if rng.random() < 0.8 else (NUMBERS, DATES, IDS)[rng.integers(3)]
    return pool[rng.integers(len(pool))]


def mutate_cells(rng, rows):
    """Return rows with odd cells: one, a few, or a whole column."""
    rows = [list(row) for row in rows]
    at = int(rng.integers(len(rows[0])))
    name, content = rows[0][at], odd_cell(rng, rows[0][at])
    chosen = np.arange(1, len(rows))
    share = rng.random()
    if share < 0.6:
        chosen = rng.choice(chosen, int(rng.integers(1, 4)))
    elif share < 0.75:
        chosen = chosen[-1:] if rng.random() < 0.5 else chosen[:1]
    for row in chosen:
        rows[row][at] = content if rng.random() < 0.7 else odd_cell(rng, name)
    return rows


def mutate_rows(rng, rows):
    """Return rows left out, repeated, in another order, of one item, of one period, or none."""
    header, body = rows[0], [list(row) for row in rows[1:]]
    kind = rng.integers(0, 9)
    if kind == 0:
        return [header]
    if kind == 1:
        return [header, body[rng.integers(len(body))]]
    if kind == 2:
        return [header, *(row for row in body if row[0] == body[0][0])]
    if kind == 3:
        return [header, *(body[at] for at in rng.permutation(len(body)))]
    if kind == 4:
        return [header, *body, *body[: int(rng.integers(1, len(body) + 1))]]
    if kind == 5:
        return [header, *body[int(rng.integers(len(body))) :]]
    if kind == 6:
        kept = rng.random(len(body)) < rng.random()
        return [header, *(row for row, keep in zip(body, kept, strict=True) if keep)]
    if kind == 7:
        return [header, *(row[: int(rng.integers(0, len(row) + 1))] for row in body)]
    return [header, *([*row, "1"] if rng.random() < 0.1 else row for row in body)]


def mutate_columns(rng, rows):
    """Return columns renamed, repeated, left out, added, in another order, or very many."""
    rows = [list(row) for row in rows]
    at, kind = int(rng.integers(len(rows[0]))), rng.integers(0, 7)
    name = NAMES[rng.integers(len(NAMES))]
    if kind == 0:
        rows[0][at] = name
    elif kind == 1:
        for row in rows:
            row.append(row[at])
    elif kind == 2:
        for row in rows:
            del row[at]
    elif kind in (3, 4):
        for row in rows:
            row.append(odd_cell(rng, name))
        rows[0][-1] = name
    elif kind == 5:
        order = rng.permutation(len(rows[0]))
        rows = [[row[k] for k in order] for row in rows]
    else:
        number = 1500 if rng.random() < 0.1 else 30
        rows = [[*row, *(f"c{k}" if line == 0 else str(k % 7) for k in range(number))] for line, row in enumerate(rows)]
    return rows


def mutate_table(rng, rows):
    """Return rows after one mutation of cells, rows or columns, or two of them."""
    for _ in range(1 + int(rng.random() < 0.25)):
        if len(rows) > 1 and rows[0] and all(len(row) == len(rows[0]) for row in rows):
            rows = (mutate_cells, mutate_cells, mutate_rows, mutate_columns)[rng.integers(4)](rng, rows)
    return rows


TYPES = {
    "list": lambda cells: pa.array([[cell] for cell in cells]),
    "struct": lambda cells: pa.array([{"a": cell} for cell in cells]),
    "map": lambda cells: pa.array([[("a", cell)] for cell in cells], pa.map_(pa.string(), pa.string())),
    "decimal": lambda cells: pa.array([Decimal(k) / 8 for k in range(len(cells))], pa.decimal128(38, 10)),
    "dictionary": lambda cells: pa.array(cells).dictionary_encode(),
    "binary": lambda cells: pa.array([cell.encode() for cell in cells]),
    "odd binary": lambda cells: pa.array([b"\xff\0" + cell.encode() for cell in cells]),
    "null": lambda cells: pa.nulls(len(cells)),
    "large": lambda cells: pa.array(cells, pa.large_string()),
    "bool": lambda cells: pa.array([k % 2 == 0 for k in range(len(cells))]),
    "int8": lambda cells: pa.array([k % 100 - 20 for k in range(len(cells))], pa.int8()),
    "uint64": lambda cells: pa.array([2**64 - 1 - k for k in range(len(cells))], pa.uint64()),
    "float": lambda cells: pa.array([(1e308, np.nan, np.inf, -0.0, 1e12)[k % 5] for k in range(len(cells))]),
    "half": lambda cells: pa.array(np.arange(len(cells), dtype=np.float16)),
    "date32": lambda cells: pa.array([date(1, 1, 1)] * len(cells), pa.date32()),
    "date64": lambda cells: pa.array([date(9999, 1, 1)] * len(cells), pa.date64()),
    "seconds": lambda cells: pa.array([k * 10**12 for k in range(len(cells))], pa.timestamp("s")),
    "zone": lambda cells: pa.array([datetime(2023, 1, 2 + k % 27, tzinfo=UTC) for k in range(len(cells))]),
    "nanoseconds": lambda cells: pa.array([k + 2**62 for k in range(len(cells))], pa.timestamp("ns")),
    "time": lambda cells: pa.array([time(k % 24) for k in range(len(cells))]),
    "duration": lambda cells: pa.array(list(range(len(cells))), pa.duration("us")),
    "number": lambda cells: pa.array([float(k) for k in range(len(cells))]),
    "whole": lambda cells: pa.array(list(range(len(cells)))),
    "view": lambda cells: pa.array(cells).cast(pa.string()).cast(pa.large_binary()),
}


def parquet_of(rng, rows):
    """Return rows as Parquet, a column or two of another type, or its schema changed."""
    header, body = rows[0], rows[1:]
    cells = {name: [row[at] if at < len(row) else "" for row in body] for at, name in enumerate(header)}
    columns = {name: _typed(name, values) for name, values in cells.items()}
    for _ in range(int(rng.integers(0, 3))):
        name = header[rng.integers(len(header))]
        kind = list(TYPES)[rng.integers(len(TYPES))]
        columns[name] = TYPES[kind](cells[name])
    names = list(columns)
    if rng.random() < 0.1 and names:
        names[rng.integers(len(names))] = NAMES[rng.integers(len(NAMES))]
    table = pa.Table.from_arrays(list(columns.values()), names=names)
    if rng.random() < 0.1:
        table = table.replace_schema_metadata({"pandas": ("{}", "[", '{"index_columns": ["date"]}')[rng.integers(3)]})
    found = io.BytesIO()
    codec = ("snappy", "zstd", "gzip", "none")[rng.integers(4)]
    pq.write_table(table, found, row_group_size=int(rng.integers(1, 200)), compression=codec)
    return found.getvalue()


def _typed(name, cells):
    """Return a column as a frame would have it: dates as timestamps, numbers as numbers, where they all are."""
    if name in ("date", "origin_date"):
        days = pd.to_datetime(pd.Series(cells, dtype=object), format="%Y-%m-%d", errors="coerce")
        return pa.array(cells) if days.isna().any() else pa.array(days)
    numbers = pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce")
    return pa.array(cells) if name == "item_id" or numbers.isna().any() else pa.array(numbers)


def workbook_of(rng, rows):
    """Return rows as a workbook: cells of several types, and sheets beside it."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    for at in range(int(rng.integers(0, 4)) if rng.random() < 0.2 else 0):
        sheet.append([f"title {at}"])
    for row in rows:
        sheet.append([_workbook_cell(rng, cell) for cell in row])
    if rng.random() < 0.1:
        sheet.merge_cells(start_row=1, end_row=3, start_column=1, end_column=2)
    if rng.random() < 0.1:
        other = book.create_sheet("x" * 30)
        for row in rows[:5]:
            other.append([str(cell)[:30].replace("\0", "").replace("\x1b", "") for cell in row])
    if rng.random() < 0.1:
        sheet.cell(row=20_000, column=1).value = "end"
    found = io.BytesIO()
    book.save(found)
    return found.getvalue() if rng.random() < 0.8 else _mutate_archive(rng, found.getvalue())


def _workbook_cell(rng, cell):
    cell = "".join(sign for sign in str(cell)[:30_000] if sign.isprintable())
    kind = rng.random()
    try:
        if kind < 0.6:
            return float(cell) if abs(float(cell)) < 1e300 else cell
        if kind < 0.7:
            return datetime.fromisoformat(cell).replace(tzinfo=None)
    except (ValueError, OverflowError):
        pass
    return ("=A1", True, "#N/A", time(3), None)[rng.integers(5)] if rng.random() < 0.004 else cell


def _mutate_archive(rng, data):
    """Return a workbook with a file of it left out, damaged, or very large."""
    found = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        hit, kind = names[rng.integers(len(names))], rng.integers(0, 5)
        for name in names:
            content = old.read(name)
            if name == hit and kind == 0:
                continue
            if name == hit and kind == 1:
                content = content[: int(rng.integers(len(content) + 1))]
            elif name == hit and kind == 2:
                at = int(rng.integers(len(content) + 1))
                content = content[:at] + rng.bytes(3) + content[at + 3 :]
            elif name.startswith("xl/worksheets/") and kind == 3:
                content = content.replace(b"</sheetData>", b" " * 6_000_000 + b"</sheetData>")
            elif name.startswith("xl/worksheets/") and kind == 4:
                entities = b"".join(
                    b'<!ENTITY e%d "%s">' % (k, b"&e%d;" % (k - 1) * 10 if k else b"x") for k in range(9)
                )
                head, _, rest = content.partition(b"<worksheet")
                content = head + b"<!DOCTYPE w [" + entities + b"]><worksheet" + rest.replace(b"<v>", b"<v>&e8;", 1)
            new.writestr(name, content)
    return found.getvalue()
