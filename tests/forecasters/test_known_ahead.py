"""What is known ahead of a period uses nothing of the period's own sales."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from fractile import load_panel

MONDAY = pd.Timestamp("2024-01-01")
WEEKS = 10


def daily(seed: int, items: int = 4) -> pd.DataFrame:
    """A row an item and day: sales, a list price and a promotion of whole weeks, a price that changes any day."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range(MONDAY, periods=7 * WEEKS)
    week = np.arange(7 * WEEKS) // 7
    parts = []
    for item in range(items):
        promotion = (rng.random(WEEKS) < 0.3)[week]
        part = {"item_id": f"i{item}", "date": dates, "sales": rng.poisson(0.8, len(dates)), "promotion": promotion}
        parts.append(
            pd.DataFrame(part).assign(
                list_price=(3.0 + rng.integers(0, 4, WEEKS))[week], price=1.0 + rng.random(len(dates))
            )
        )
    return pd.concat(parts, ignore_index=True)


def load(frame: pd.DataFrame, missing: str = "zero"):
    return load_panel(frame, freq="W-MON", missing=missing, known=["price", "promotion", "list_price"], check=False)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, WEEKS - 1))
def test_sales_of_the_week_change_nothing_known_ahead(seed, week):
    frame = daily(seed)
    rng = np.random.default_rng(seed + 1)
    inside = (frame["date"] - MONDAY).dt.days // 7 >= week
    other = frame.assign(sales=frame["sales"].where(~inside, rng.poisson(5.0, len(frame))))
    before, after = load(frame), load(other)
    assert not np.array_equal(before.sales[:, week], after.sales[:, week])
    for name, values in before.known.items():
        np.testing.assert_array_equal(after.known[name], values)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, WEEKS - 1))
def test_days_without_a_row_change_nothing_that_lasts_the_week(seed, week):
    frame = daily(seed)
    inside = (frame["date"] - MONDAY).dt.days // 7 == week
    unsold = inside & (frame["sales"] == 0)
    # One row of the week is left, so that it can show its price at all.
    first = frame[inside].drop_duplicates("item_id", keep="last").index
    before, after = load(frame), load(frame[~unsold | frame.index.isin(first)])
    for name in ("list_price", "promotion"):
        np.testing.assert_array_equal(after.known[name], before.known[name])


def test_a_price_known_ahead_is_the_mean_of_days_and_the_price_paid_is_observed():
    frame = pd.DataFrame({"item_id": "a", "date": pd.date_range(MONDAY, periods=14), "sales": [0] * 6 + [10] + [1] * 7})
    panel = load_panel(frame.assign(price=[7.0] * 6 + [14.0] + [8.0] * 7), freq="W-MON")
    np.testing.assert_allclose(panel.known["price"], [[8.0, 8.0]])
    np.testing.assert_allclose(panel.observed["price_paid"], [[14.0, 8.0]])


def test_a_price_that_is_only_observed_is_the_one_paid():
    frame = pd.DataFrame({"item_id": "a", "date": pd.date_range(MONDAY, periods=14), "sales": [0] * 6 + [10] + [1] * 7})
    panel = load_panel(frame.assign(price=[7.0] * 6 + [14.0] + [8.0] * 7), freq="W-MON", known=())
    np.testing.assert_allclose(panel.observed["price"], [[14.0, 8.0]])
    assert list(panel.observed) == ["price"]


def test_no_price_paid_where_it_is_the_same():
    frame = daily(3).drop(columns=["price", "promotion"]).rename(columns={"list_price": "price"})
    assert load_panel(frame, freq="W-MON").observed == {}


def test_a_day_without_a_row_has_the_price_before_it():
    prices, sales = [2.0, 2.0, 2.0, np.nan, 9.0, 9.0, 9.0], [1, 0, 0, np.nan, 0, 0, 1]
    frame = pd.DataFrame({"item_id": "a", "date": pd.date_range(MONDAY, periods=14), "sales": sales * 2})
    # Another item keeps the day from counting as closed.
    frame = pd.concat([frame.assign(price=prices * 2).dropna(), frame.assign(item_id="b", sales=1, price=3.0)])
    panel = load_panel(frame, freq="W-MON", missing="zero")
    np.testing.assert_allclose(panel.known["price"], [[5.0, 5.0], [3.0, 3.0]])


def test_records_of_sales_tell_slow_items_nothing_of_the_week_itself():
    frame = daily(11, items=6)
    frame["sales"] = np.where(frame["item_id"] == "i0", 1, frame["sales"] * (np.arange(len(frame)) % 14 == 3))
    panel = load(frame[frame["sales"] > 0])
    price = frame.groupby(["item_id", (frame["date"] - MONDAY).dt.days // 7])["list_price"].first().unstack().to_numpy()
    sold = panel.sales > 0
    rows = [int(item[1:]) for item in panel.item_ids]
    for at, item in enumerate(rows):
        for t in range(1, panel.periods):
            earlier = np.flatnonzero(sold[at, :t])
            if item == 0:
                # It sells every day, so that its rows hide nothing.
                assert panel.known["list_price"][at, t] == price[item, t]
            elif len(earlier):
                assert panel.known["list_price"][at, t] == price[item, earlier[-1]]
    assert any("5 slow items know ahead the last value of an earlier period" in note for note in panel.notes)


def test_a_calendar_is_known_of_days_without_a_row():
    days = pd.date_range(MONDAY, periods=28)
    frame = pd.DataFrame({"item_id": np.repeat(["a", "b"], 28), "date": np.tile(days, 2), "sales": 1})
    frame["holiday"] = (frame["date"] == MONDAY + pd.Timedelta(days=16)).astype(int)
    gappy = frame[~((frame["item_id"] == "b") & (frame["holiday"] == 1))]
    panel = load_panel(gappy, freq="W-MON", missing="zero")
    np.testing.assert_array_equal(panel.known["holiday"], [[0, 0, 1, 0]] * 2)


@pytest.mark.parametrize("columns", [["price", "promotion"], ["promotion"]])
def test_weekly_data_is_read_as_it_stands(columns):
    frame = daily(5)
    frame = frame[frame["date"].dt.dayofweek == 0][["item_id", "date", "sales", *columns]]
    panel = load_panel(frame, known=columns)
    np.testing.assert_array_equal(panel.known[columns[0]].ravel(), frame[columns[0]].to_numpy(float))
    assert panel.observed == {}
