"""When an item could be bought: shares of periods in stock, and items that are taken off sale."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fractile import InputError, SalesPanel, load_panel
from fractile.forecasters.data.fingerprint import panel_fingerprint
from fractile.forecasters.data.tables import read_history, read_items

MONDAY = pd.Timestamp("2024-01-01")
NAN = np.nan


def days(item, sales, start=MONDAY, **columns):
    dates = pd.date_range(start, periods=len(sales))
    frame = pd.DataFrame({"item_id": item, "date": dates, "sales": sales, **columns})
    return frame[frame["sales"].notna()]


def weeks(item, sales, **columns):
    frame = days(item, sales, **columns)
    return frame.assign(date=MONDAY + 7 * (frame["date"] - MONDAY))


def faults(*args, **options):
    with pytest.raises(InputError) as caught:
        load_panel(*args, **options)
    return caught.value.faults


# Shares of periods in stock


def test_availability_is_the_share_of_days_in_stock_and_a_day_with_sales_is_half_a_day():
    stocked = [True] * 7 + [True] * 5 + [False] * 2 + [False] * 7
    sales = [1] * 7 + [1] * 5 + [3, 0] + [0] * 7
    panel = load_panel(days("a", sales, in_stock=stocked), freq="W-MON")
    np.testing.assert_array_equal(panel.in_stock, [[True, False, False]])
    np.testing.assert_allclose(panel.availability, [[1.0, 5.5 / 7, 0.0]])
    np.testing.assert_array_equal(panel.sales, [[7, 8, 0]])
    assert "1 of the 2 item-periods out of stock were in stock in part" in panel.notes
    assert any(note.startswith("1 item-days out of stock had sales and count as half in stock") for note in panel.notes)


def test_closed_days_do_not_count():
    frame = pd.concat([days("a", np.ones(14), in_stock=True), days("b", np.ones(14), in_stock=True)])
    frame = frame[frame["date"].dt.dayofweek < 5]
    frame.loc[(frame["item_id"] == "b") & (frame["date"] == MONDAY), ["sales", "in_stock"]] = [0, False]
    panel = load_panel(frame, freq="W-MON")
    np.testing.assert_allclose(panel.availability, [[1.0, 1.0], [0.8, 1.0]])


@pytest.mark.parametrize(
    ("missing", "expected"), [("unknown", [[1, 1, 1], [0, 4 / 7, 5 / 7]]), ("zero", [[1, 1, 1], [0, 1, 1]])]
)
def test_missing_days(missing, expected):
    full = days("a", np.ones(21))
    gappy = days("b", [1.0] * 4 + [NAN, 1, 1, NAN, 1, 1, 1, 1, NAN, 1], MONDAY + pd.Timedelta(days=10))
    frame = pd.concat([full, gappy])
    frame = frame[frame["date"] < MONDAY + pd.Timedelta(days=21)]
    panel = load_panel(frame, freq="W-MON", missing=missing)
    if missing == "zero":
        assert panel.availability is None
        assert panel.in_stock.all()
    else:
        np.testing.assert_allclose(panel.availability[1, 1:], expected[1][1:])
        np.testing.assert_array_equal(panel.in_stock[1], [True, False, False])


def test_the_week_of_a_launch_is_in_stock_since_the_launch():
    frame = pd.concat([days("a", np.ones(14)), days("b", np.ones(11), MONDAY + pd.Timedelta(days=3))])
    panel = load_panel(frame, freq="W-MON")
    np.testing.assert_allclose(panel.availability, [[1, 1], [4 / 7, 1]])


def test_nothing_more_is_known_of_weekly_data_or_where_all_was_in_stock():
    assert load_panel(weeks("a", [1, 2, 3], in_stock=[True, False, True])).availability is None
    assert load_panel(days("a", np.ones(14)), freq="W-MON").availability is None


def test_a_given_share_counts_in_the_datas_own_periods_and_in_longer_ones():
    share = [1.0, 0.5, NAN, 1, 1, 1, 0.0] + [1.0] * 7
    frame = days("a", [1.0] * 6 + [0.0] + [1.0] * 7, availability=share)
    daily = load_panel(frame)
    np.testing.assert_array_equal(daily.availability[0], np.nan_to_num(share, nan=1.0))
    np.testing.assert_array_equal(daily.in_stock[0], np.nan_to_num(share, nan=1.0) == 1)
    assert "availability" not in daily.observed
    weekly = load_panel(frame, freq="W-MON")
    np.testing.assert_allclose(weekly.availability, [[5.5 / 7, 1.0]])


def test_faults_of_a_given_share():
    share = [1.5, 0.5, 1.0, "x", -0.1, NAN]
    frame = weeks(
        "a", [1] * 6, availability=pd.Series(share, dtype=object), in_stock=[True, True, False, True, False, True]
    )
    words = [
        "row 3: availability must be a number >= 0, got 'x'",
        "row 4: availability must be a number >= 0, got -0.1",
        "row 0: availability must be a share of the period, at most 1, got 1.5; divide",
        "row 1: availability must be 1 or empty where in_stock is true, got 0.5; correct one",
        "row 2: availability must be below 1 where in_stock is false, got 1; correct one",
    ]
    found = faults(frame)
    assert len(found) == len(words)
    for word in words:
        assert any(word in fault for fault in found), word


def test_a_share_survives_slices_frames_and_new_periods():
    share = [1.0, 0.25, 1.0, 0.5, 1.0, 0.0]
    frame = pd.concat([weeks("a", [1, 1, 1, 1, 1, 0], availability=share), weeks("b", [1] * 6, availability=1.0)])
    panel = load_panel(frame)
    np.testing.assert_array_equal(panel.until(2).availability, [[1, 0.25], [1, 1]])
    np.testing.assert_array_equal(panel.window(3, 5).availability, [[0.5, 1], [1, 1]])
    np.testing.assert_array_equal(panel.select([1, 0]).availability[1], share)
    np.testing.assert_array_equal(panel.extended(np.ones((2, 1))).availability[:, -2:], [[0, 1], [1, 1]])
    assert list(panel.to_frame().columns) == ["item_id", "date", "sales", "in_stock", "availability"]
    back = SalesPanel.from_frame(panel.to_frame())
    np.testing.assert_array_equal(back.availability, panel.availability)
    np.testing.assert_array_equal(back.in_stock, panel.in_stock)


def test_a_share_counts_in_the_fingerprint():
    one, other = (load_panel(weeks("a", [1, 2, 3], availability=[1, share, 1])) for share in (0.2, 0.6))
    assert panel_fingerprint(one) != panel_fingerprint(other)


# Items taken off sale

SOLD = pd.concat([weeks("a", [1, 2, 3, 4, 5, 6]), weeks("b", [1, 2, 3, NAN, NAN, NAN])])
LIVE_AND_ENDED = pd.DataFrame({"item_id": ["a", "b"], "discontinued": [None, "2024-01-22"], "size": [1, 2]})


def test_an_item_is_off_sale_from_the_first_period_that_begins_on_or_after_its_date():
    panel = load_panel(SOLD, LIVE_AND_ENDED)
    np.testing.assert_array_equal(panel.listed, [[1] * 6, [1, 1, 1, 0, 0, 0]])
    assert panel.in_stock.all()
    assert panel.static["discontinued"].tolist() == [pd.NaT, pd.Timestamp("2024-01-22")]
    assert list(panel.attributes.columns) == ["size"]
    late = LIVE_AND_ENDED.assign(discontinued=["", "2024-01-17"])
    np.testing.assert_array_equal(load_panel(SOLD, late).listed, panel.listed)


def test_a_date_after_the_history_changes_nothing_before():
    items = LIVE_AND_ENDED.assign(discontinued=["2025-01-01", "2024-01-22"])
    panel = load_panel(SOLD, items)
    assert panel.listed[0].all()
    longer = panel.extended(np.zeros((2, 60)))
    assert longer.dates[longer.listed[0]].max() == pd.Timestamp("2024-12-30")


def test_missing_rows_of_an_item_still_sold_are_a_fault_that_names_the_column():
    [fault] = faults(SOLD, LIVE_AND_ENDED.assign(discontinued=None))
    assert "item 'b' from 2024-01-22 on (3)" in fault
    assert "items that are sold no more have their date in the items' column 'discontinued'" in fault


def test_the_week_in_which_an_item_is_discontinued_is_in_stock_in_part():
    frame = pd.concat([days("a", np.ones(21)), days("b", np.ones(10))])
    items = pd.DataFrame({"item_id": ["a", "b"], "discontinued": ["", "2024-01-11"]})
    panel = load_panel(frame, items, freq="W-MON")
    np.testing.assert_array_equal(panel.listed, [[1, 1, 1], [1, 1, 0]])
    np.testing.assert_allclose(panel.availability, [[1, 1, 1], [1, 3 / 7, 1]])
    # Zeros that are written out say the same, and what was sold in the rest of the week was sold.
    written = pd.concat([days("a", np.ones(21)), days("b", [1.0] * 10 + [0.0] * 11)])
    np.testing.assert_array_equal(load_panel(written, items, freq="W-MON").availability, panel.availability)
    sold = pd.concat([days("a", np.ones(21)), days("b", [1.0] * 12 + [0.0] * 9)])
    assert load_panel(sold, items, freq="W-MON").sales[1].tolist() == [7, 5, 0]


def test_listed_tells_gaps_and_ends():
    flags = [False, True, False, False, True, True, False]
    frame = pd.concat([weeks("a", [1] * 7, listed=True), weeks("b", [0, 5, 0, 0, 6, 7, 0], listed=flags)])
    panel = load_panel(frame)
    np.testing.assert_array_equal(panel.listed[1], flags)
    assert panel.in_stock.all()
    assert panel.static["discontinued"].tolist() == [pd.NaT, pd.Timestamp("2024-02-12")]
    assert panel.attributes.columns.empty
    assert len(panel_fingerprint(panel)) == 64
    # What is off sale stays so without a row.
    unwritten = (frame["item_id"] == "b") & (frame["date"] == MONDAY + pd.Timedelta(weeks=3))
    np.testing.assert_array_equal(load_panel(frame[~unwritten]).listed, panel.listed)


def test_rows_may_end_with_the_last_one_off_sale():
    frame = pd.concat([weeks("a", [1] * 6, listed="yes"), weeks("b", [1, 2, 0], listed=["yes", "yes", "no"])])
    panel = load_panel(frame)
    np.testing.assert_array_equal(panel.listed, [[1] * 6, [1, 1, 0, 0, 0, 0]])


def test_an_item_never_on_sale_is_in_the_panel():
    frame = pd.concat([weeks("a", [1] * 4, listed=True), weeks("b", [0] * 4, listed=False)])
    panel = load_panel(frame)
    assert not panel.listed[1].any()
    assert panel.static["discontinued"].tolist() == [pd.NaT, MONDAY]


def test_a_date_in_the_items_stands_beside_listed():
    flags = [True, True, False]
    frame = pd.concat([weeks("a", [1, 1, 0], listed=flags), weeks("b", [1, 1, 0], listed=flags)])
    items = pd.DataFrame({"item_id": ["a", "b"], "discontinued": ["2024-03-01", ""]})
    dates = [pd.Timestamp("2024-03-01"), pd.Timestamp("2024-01-15")]
    assert load_panel(frame, items).static["discontinued"].tolist() == dates


def test_what_contradicts_is_a_fault_each():
    frame = pd.concat([weeks("a", [1, 2, 3, 4], listed=True), weeks("b", [1, 2, 0, 0], listed=True)])
    items = pd.DataFrame({"item_id": ["a", "b"], "discontinued": ["2024-01-08", "2024-01-15"]})
    sales, listed = faults(frame, items)
    assert sales.startswith(
        "history: item 'a' has sales on 2024-01-08 (3 such rows) but was discontinued on 2024-01-08; "
        "correct the date in the items' column 'discontinued'"
    )
    assert "item 'b' is listed on 2024-01-15 (2 such rows) but was discontinued on 2024-01-15" in listed


def test_an_item_without_a_row_of_its_own_is_a_fault_among_the_others():
    items = pd.DataFrame({"item_id": ["a", "a", "c"], "discontinued": ["2024-01-15", "2024-01-15", ""]})
    found = faults(pd.concat([weeks("a", [1, 2, 3]), weeks("b", [1, 2, 3])]), items)
    words = ["item_id must stand once", "in the history but not", "in the items but not", "'a' has sales on 2024-01-15"]
    assert [any(word in fault for fault in found) for word in words] == [True] * 4
    assert len(found) == 4


def test_sales_while_off_sale_are_a_fault():
    [fault] = faults(weeks("a", [1, 2, 3], listed=[True, False, False]))
    assert "rows 1, 2: sales must be 0 where listed is false, got 2, 3; correct one of them" in fault


@pytest.mark.parametrize(("value", "shown"), [("soon", "'soon'"), (20240101, "20240101")])
def test_a_date_that_is_none_is_a_fault(value, shown):
    items = pd.DataFrame({"item_id": ["a", "b"], "discontinued": pd.Series([value, None], dtype=object)})
    with pytest.raises(InputError) as caught:
        read_items(items)
    assert caught.value.faults == (
        f"items: row 0: discontinued must be a date, got {shown}; write it as YYYY-MM-DD, or nothing",
    )


def test_dates_are_read_from_files(tmp_path):
    (tmp_path / "items.csv").write_text("item_id,discontinued\na,\nb,2024-01-22\n")
    assert read_items(tmp_path / "items.csv")["discontinued"].tolist() == [pd.NaT, pd.Timestamp("2024-01-22")]
    (tmp_path / "none.csv").write_text("item_id,discontinued\na,\nb,\n")
    assert read_items(tmp_path / "none.csv")["discontinued"].isna().all()


@pytest.mark.parametrize("column", ["Listed", "Availability"])
def test_lookalikes_of_history_columns(column):
    with pytest.raises(InputError, match=f"column '{column}' must be called '{column.lower()}'"):
        read_history(weeks("a", [1, 2]).assign(**{column: 1}))


def test_lookalikes_of_the_items_column():
    with pytest.raises(InputError, match="column 'Discontinued' must be called 'discontinued'"):
        read_items(pd.DataFrame({"item_id": ["a"], "Discontinued": ["2024-01-01"]}))


def test_an_item_taken_off_sale_stays_so_in_new_periods():
    flags = [[True] * 4, [True, True, False, False], [False] * 4, [True, False, True, True]]
    panel = SalesPanel(
        sales=np.array(flags, dtype=float),
        in_stock=np.ones((4, 4), dtype=bool),
        listed=np.array(flags),
        dates=pd.date_range(MONDAY, periods=4, freq="W-MON"),
        item_ids=("live", "ended", "new", "back"),
        freq="W-MON",
    )
    np.testing.assert_array_equal(panel.extended(np.zeros((4, 2))).listed[:, -2:], [[1, 1], [0, 0], [1, 1], [1, 1]])
    # Sales tell that it is back.
    sold = panel.extended(np.array([[0.0, 0, 0]] * 1 + [[0, 2, 0]] + [[0, 0, 0]] * 2))
    np.testing.assert_array_equal(sold.listed[1, -3:], [False, True, True])


def test_periods_off_sale_survive_the_way_through_a_frame():
    flags = [True, True, False, True, False, False]
    frame = pd.concat([weeks("a", [1] * 6, listed=True), weeks("b", [1, 1, 0, 1, 0, 0], listed=flags, price=2.0)])
    panel = load_panel(frame)
    back = SalesPanel.from_frame(panel.to_frame(), known=("price",))
    np.testing.assert_array_equal(back.listed, panel.listed)
    np.testing.assert_array_equal(back.sales, panel.sales)
    long = panel.to_nixtla()
    assert list(long.columns) == ["unique_id", "ds", "y"]
    assert len(long) == panel.listed.sum()


def test_items_taken_for_discontinued_are_named_with_the_remedy():
    rng = np.random.default_rng(0)
    live = [weeks(f"live{k}", rng.poisson(6, 100)) for k in range(2)]
    gone = [weeks(f"gone{k:02}", [*rng.poisson(6, 60), *[0] * 40]) for k in range(12)]
    frame = pd.concat([*live, *gone])
    [note] = load_panel(frame).notes
    assert note.startswith("12 items are taken for discontinued, so long have they not sold: 'gone00', 'gone01', ")
    assert "'gone09' and 2 more; give the items a column 'discontinued' (a date, empty where one is" in note
    assert load_panel(frame, check=False).notes == ()
    # Told that they are still sold, or no longer, nothing is left to the rule.
    items = pd.DataFrame({"item_id": frame["item_id"].unique(), "discontinued": ""})
    assert load_panel(frame, items).notes == ()
    assert load_panel(frame.assign(listed=True)).notes == ()
    ended = items.assign(discontinued=["", "", *["2025-03-03"] * 12])
    assert load_panel(frame, ended).notes == ()
