"""Reading history, items and state: what is accepted, and that every fault is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fractile import InputError
from fractile.forecasters.data.rules import ITEM_RULES
from fractile.forecasters.data.tables import (
    collect_history,
    cross_check,
    read_history,
    read_items,
    read_state,
)

HISTORY = "item_id,date,sales\n007,2024-01-01,3\n"


def _faults(read, *args):
    with pytest.raises(InputError) as caught:
        read(*args)
    assert all("\n" not in fault for fault in caught.value.faults)
    return caught.value.faults


def _write(folder, text, name="history.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_item_ids_stay_as_written(tmp_path):
    ids = ["007", "NA", "null", "1.0", " x", "nan", "1e5"]
    rows = "".join(f"{item},2024-01-01,1\n" for item in ids)
    frame = read_history(_write(tmp_path, "item_id,date,sales\n" + rows))
    assert list(frame["item_id"]) == ids


def test_integer_item_ids_of_a_parquet_file_become_text(tmp_path):
    frame = pd.DataFrame({"item_id": [7, 8], "date": pd.to_datetime(["2024-01-01"] * 2), "sales": [1, 2]})
    frame.to_parquet(tmp_path / "history.parquet")
    assert list(read_history(tmp_path / "history.parquet")["item_id"]) == ["7", "8"]


def test_csv_and_parquet_give_the_same_history(tmp_path):
    dates = pd.date_range("2024-01-01", periods=3, freq="W-MON").as_unit("us")
    frame = pd.DataFrame(
        {"item_id": ["a", "a", "007"], "date": dates, "sales": [0, 1, 0.1], "price": [1.5, 2.25, 1 / 3]}
    )
    frame["in_stock"] = [True, False, True]
    frame.to_csv(tmp_path / "history.csv", index=False)
    frame.to_parquet(tmp_path / "history.parquet")
    pd.testing.assert_frame_equal(read_history(tmp_path / "history.csv"), read_history(tmp_path / "history.parquet"))


def test_in_stock_is_read_in_every_spelling(tmp_path):
    words = {"true": 1, "FALSE": 0, "1": 1, "0": 0, "Yes": 1, "nO": 0}
    rows = "".join(f"i{at},2024-01-01,1,{word}\n" for at, word in enumerate(words))
    frame = read_history(_write(tmp_path, "item_id,date,sales,in_stock\n" + rows))
    assert list(frame["in_stock"]) == [bool(value) for value in words.values()]


def test_in_stock_is_true_where_the_file_does_not_say(tmp_path):
    assert read_history(_write(tmp_path, HISTORY))["in_stock"].tolist() == [True]


def test_columns_map_our_names_to_the_files(tmp_path):
    path = _write(tmp_path, "StockCode,day,units\n007,2024-01-01,3\n")
    frame = read_history(path, {"item_id": "StockCode", "date": "day", "sales": "units"})
    assert frame[["item_id", "sales"]].to_numpy().tolist() == [["007", 3.0]]


def test_a_column_that_is_named_wins_over_one_of_the_files_own(tmp_path):
    path = _write(tmp_path, "item_id,date,sales,units\n007,2024-01-01,12.5,4\n")
    frame = read_history(path, {"sales": "units"})
    assert frame[["sales", "file_sales"]].to_numpy().tolist() == [[4.0, 12.5]]
    swapped = read_history(path, {"sales": "units", "units": "sales"})
    assert swapped[["sales", "units"]].to_numpy().tolist() == [[4.0, 12.5]]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("007,2024-01-01,-3", "sales must be a number >= 0, got -3"),
        ("007,2024-01-01,", "sales must be a number >= 0, is missing"),
        ("007,2024-01-01,nan", "sales must be a number >= 0, is missing"),
        ("007,2024-01-01,inf", "sales must be a number >= 0 and finite, got inf"),
        ("007,2024-01-01,three", "sales must be a number >= 0, got 'three'"),
        ("007,2024-02-30,3", "date must be a date, got '2024-02-30'"),
        ("007,01/02/2024,3", "date must be a date, got '01/02/2024'"),
        ("007,,3", "date must be a date"),
        (",2024-01-01,3", "item_id must not be empty"),
        ("  ,2024-01-01,3", "item_id must not be empty"),
        ("x,2023-12-25,3", "item_id and date must stand together once, got 'x on 2023-12-25'"),
    ],
)
def test_a_bad_row_is_one_fault_that_names_its_line(tmp_path, row, words):
    path = _write(tmp_path, f"item_id,date,sales\nx,2023-12-25,1\n{row}\ny,2024-01-01,1\n")
    [fault] = _faults(read_history, path)
    assert fault.startswith(f"{path}: line 3: {words}")
    assert "; " in fault


def test_a_word_in_in_stock_is_a_fault():
    frame = pd.DataFrame({"item_id": ["a"], "date": ["2024-01-01"], "sales": [1], "in_stock": ["maybe"]})
    [fault] = _faults(read_history, frame)
    assert fault.startswith("history: row 0: in_stock must be true or false, got 'maybe'")


def test_faults_are_counted_and_all_reported_at_once(tmp_path):
    rows = "".join(f"a{at},2024-01-01,-{at},maybe\n" for at in range(1, 8))
    faults = _faults(read_history, _write(tmp_path, "item_id,date,sales,in_stock\n" + rows + ",2024-01-01,1,1\n"))
    assert len(faults) == 3
    assert any("lines 2, 3, 4 (7 in all): sales must be a number >= 0, got -1, -2, -3;" in fault for fault in faults)


def test_a_word_among_many_numbers_of_a_covariate_is_a_fault(tmp_path):
    rows = "".join(f"a{at},2024-01-01,1,{at}\n" for at in range(60))
    [fault] = _faults(read_history, _write(tmp_path, "item_id,date,sales,views\n" + rows + "a,2024-01-06,1,x\n"))
    assert "line 62: views must be a number, as it is in most rows, got 'x'" in fault
    assert "correct" not in fault


def test_words_beside_a_few_numbers_are_categories(tmp_path):
    rows = "".join(f"a,2024-01-{at:02d},1,{'abc'[at % 3] if at % 7 == 0 else 0}\n" for at in range(1, 30))
    frame = read_history(_write(tmp_path, "item_id,date,sales,StateHoliday\n" + rows))
    assert set(frame["StateHoliday"]) == {"0", "a", "b", "c"}


@pytest.mark.parametrize("price", ["free", "-1", "inf"])
def test_a_price_is_a_number(tmp_path, price):
    path = _write(tmp_path, f"item_id,date,sales,price\na,2024-01-01,1,{price}\nb,2024-01-01,1,\n")
    assert "line 2: price must be a number >= 0" in _faults(read_history, path)[0]


def test_dates_far_outside_are_a_fault():
    dates = np.array(["2024-01-01", "9999-12-31"], dtype="datetime64[us]")
    frame = pd.DataFrame({"item_id": ["a", "a"], "date": dates, "sales": [1, 2]})
    assert "row 1: date must be a date, got 9999-12-31" in _faults(read_history, frame)[0]


def test_blank_lines_do_not_shift_line_numbers(tmp_path):
    path = _write(tmp_path, "item_id,date,sales\nx,2023-12-25,1\n\n,,\ny,2024-01-01,-1\n\n")
    [fault] = _faults(read_history, path)
    assert ": line 5: " in fault


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "is empty (0 bytes)"),
        ("a.csv", b"item_id,date,sales\n", "has no rows"),
        ("a.txt", b"item_id", "the extension must be .csv or .parquet, got '.txt'"),
        ("a.csv", b"item_id,date,sales\n\xff\xfe,2024-01-01,1\n", "is not UTF-8 text"),
        ("a.csv", b"item_id;date;sales\n1;2024-01-01;1\n", "not separated by commas"),
        ("a.csv", b"item_id,date,sales\n1,2024-01-01,1,9\n", "cannot be read"),
        ("a.csv", b"item_id,date,sales\n1,2024-01-01,1\n2,2024-01-01,1,9\n", "line 3"),
        ("a.parquet", b"PAR1", "cannot be read"),
        ("a.csv", b"item_id,date,sales,sales\n1,2024-01-01,1,9\n", "'sales' stands more than once"),
        ("a.csv", b"item_id,date,sale\n1,2024-01-01,1\n", "did you mean 'sale'?"),
        ("a.csv", b"item_id,date,sales,In_Stock\n1,2024-01-01,1,1\n", "'In_Stock' must be called 'in_stock'"),
    ],
)
def test_an_unusable_file_is_one_fault(tmp_path, name, content, words):
    path = _write(tmp_path, content, name)
    [fault] = _faults(read_history, path)
    assert fault.startswith(f"{path}: ")
    assert words in fault


def test_missing_file_and_directory_are_faults(tmp_path):
    assert "no such file" in _faults(read_history, tmp_path / "none.csv")[0]
    assert "is a directory" in _faults(read_history, tmp_path)[0]


def test_unknown_column_of_a_map_is_a_fault(tmp_path):
    faults = _faults(read_history, _write(tmp_path, HISTORY), {"price": "prise"})
    assert "no column 'prise', which was to be 'price'" in faults[0]


def test_time_zones_keep_the_written_day():
    frame = pd.DataFrame({"item_id": ["a", "b"], "sales": [1, 2], "date": ["2024-01-01T23:00:00+02:00", "2024-01-01"]})
    assert read_history(frame)["date"].dt.day.tolist() == [1, 1]


def test_collecting_adds_to_given_faults(tmp_path):
    from fractile.errors import Faults

    faults = Faults()
    faults.add("first")
    assert collect_history(tmp_path / "none.csv", faults) is None
    assert len(faults.messages) == 2


def test_items_keep_attributes_and_types(tmp_path):
    path = _write(tmp_path, "item_id,lead_time,holding_cost,pack_size,region\n007,2,0.5,,NA\n008,0,1,6,EU\n")
    frame = read_items(path)
    assert frame["lead_time"].dtype == np.int64
    assert frame["region"].tolist() == ["NA", "EU"]
    np.testing.assert_array_equal(frame["pack_size"], [np.nan, 6])


def test_stockout_cost_comes_from_the_margin():
    frame = read_items(pd.DataFrame({"item_id": ["a"], "price": [5.0], "unit_cost": [3.5]}))
    assert frame["stockout_cost"].tolist() == [1.5]


def test_a_given_stockout_cost_stands_even_without_a_margin():
    given = pd.DataFrame({"item_id": ["a"], "price": [3.0], "unit_cost": [3.5], "stockout_cost": [9.0]})
    assert read_items(given)["stockout_cost"].tolist() == [9.0]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("lead_time", 1.5, "lead_time must be an integer >= 0, got 1.5; round it"),
        ("lead_time", -1, "lead_time must be an integer >= 0, got -1"),
        ("lead_time", "two", "lead_time must be an integer >= 0, got 'two'"),
        ("lead_time", np.nan, "lead_time must be an integer >= 0, is missing"),
        ("review_period", 0, "review_period must be an integer >= 1"),
        ("holding_cost", -0.1, "holding_cost must be a number >= 0, got -0.1"),
        ("stockout_cost", np.nan, "stockout_cost must be a number >= 0, is missing"),
        ("fixed_order_cost", np.inf, "fixed_order_cost must be a number >= 0 and finite"),
        ("pack_size", 0, "pack_size must be a number > 0, got 0"),
        ("minimum_order", -2, "minimum_order must be a number >= 0, got -2"),
        ("maximum_order", "many", "maximum_order must be a number > 0, got 'many'"),
        ("shelf_life", 2.5, "shelf_life must be an integer >= 1, got 2.5"),
    ],
)
def test_a_bad_item_value_is_one_fault(column, value, words):
    assert column in ITEM_RULES
    [fault] = _faults(read_items, pd.DataFrame({"item_id": ["a", "b"], column: pd.Series([1, value], dtype=object)}))
    assert fault.startswith(f"items: row 1: {words}")


def test_faults_between_item_columns():
    crossed = pd.DataFrame({"item_id": ["a"], "minimum_order": [9], "maximum_order": [5]})
    [fault] = _faults(read_items, crossed)
    assert fault == (
        "items: row 0: item 'a' can never be ordered: minimum_order 9 exceeds maximum_order 5; correct one of them"
    )
    none = pd.DataFrame({"item_id": ["a"], "pack_size": [6], "minimum_order": [7], "maximum_order": [11]})
    assert "item 'a' can never be ordered: pack_size 6 has no multiple in [7, 11]" in _faults(read_items, none)[0]
    zero = pd.DataFrame({"item_id": ["a"], "maximum_order": [0]})
    assert "maximum_order must be a number > 0, got 0" in _faults(read_items, zero)[0]
    packed = pd.DataFrame({"item_id": ["a", "b"], "pack_size": [6, 6], "maximum_order": [12, 4]})
    [fault] = _faults(read_items, packed)
    assert fault.startswith(
        "items: row 1: item 'b' can never be ordered: pack_size 6 has no multiple in (0, 4]; correct"
    )
    dear = pd.DataFrame({"item_id": ["a"], "price": [3.0], "unit_cost": [3.0]})
    assert "price must exceed unit_cost" in _faults(read_items, dear)[0]
    twice = pd.DataFrame({"item_id": ["a", "a"]})
    assert "row 1: item_id must stand once, got 'a'" in _faults(read_items, twice)[0]


def test_empty_cells_of_costs_are_faults_that_name_the_items():
    table = pd.DataFrame({"item_id": [*"abcd"], "stockout_cost": [None] * 4, "pack_size": [None] * 4})
    assert _faults(read_items, table) == (
        "items: rows 0, 1, 2 (4 in all): stockout_cost must be a number >= 0, is missing for 'a', 'b', 'c' and 1 more; "
        "write the number",
    )


def test_state_comes_in_the_order_of_the_history():
    given = pd.DataFrame({"item_id": ["b", "a"], "on_hand": [1, 2], "arriving_2": [5, 6], "arriving_1": [3, 4]})
    state = read_state(given, ["a", "b"])
    assert list(state.columns) == ["item_id", "on_hand", "arriving_1", "arriving_2", "backorders"]
    assert state.loc[0].tolist() == ["a", 2.0, 4.0, 6.0, 0.0]


def test_faults_of_a_state_are_reported_together():
    given = {"item_id": ["a", "a"], "on_hand": [-1, 2], "arriving_2": [1, "x"], "backorders": [np.nan, 0]}
    faults = _faults(read_state, pd.DataFrame(given), ["a", "c"])
    words = ["without a hole", "on_hand must be", "'x'", "backorders must be", "must stand once", "'c'"]
    assert all(any(word in fault for fault in faults) for word in words)
    assert len(faults) == len(words)


def test_cross_check_names_items_of_one_table_only():
    messages = cross_check(["a", "b", "c"], ["b", "c", "d"], ["a", "b", "c"])
    assert len(messages) == 2
    assert "1 item is in the history but not in the items: 'a'; " in messages[0]
    assert "1 item is in the items but not in the history: 'd'; " in messages[1]
    [many] = cross_check([str(at) for at in range(9)], state_ids=["0"])
    assert "8 items are in the history but not in the state: '1', '2', '3' and 5 more" in many
