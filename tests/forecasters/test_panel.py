"""SalesPanel: slicing, and the round trip through long frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from fractile import FractileError, SalesPanel


def _panel(items=3, periods=6, seed=0):
    rng = np.random.default_rng(seed)
    shape = (items, periods)
    launch = rng.integers(0, periods, items)
    launch[0] = 0
    listed = np.arange(periods) >= launch[:, None]
    return SalesPanel(
        sales=rng.poisson(2, shape) * listed.astype(float),
        in_stock=(rng.random(shape) < 0.8) | ~listed,
        listed=listed,
        dates=pd.date_range("2024-01-01", periods=periods, freq="W-MON"),
        item_ids=tuple(f"0{at}" for at in range(items)),
        freq="W-MON",
        known={"price": rng.random(shape)},
        observed={"views": rng.random(shape)},
    )


def _assert_same_where_listed(left, right):
    assert left.item_ids == right.item_ids
    assert left.freq == right.freq
    np.testing.assert_array_equal(left.dates, right.dates)
    np.testing.assert_array_equal(left.listed, right.listed)
    np.testing.assert_array_equal(left.sales, right.sales)
    np.testing.assert_array_equal(left.in_stock, right.in_stock)
    for mine, other in ((left.known, right.known), (left.observed, right.observed)):
        assert list(mine) == list(other)
        for name in mine:
            np.testing.assert_array_equal(mine[name][left.listed], other[name][left.listed])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(3, 9), st.integers(0, 10_000))
def test_panel_survives_the_way_through_a_frame(items, periods, seed):
    panel = _panel(items, periods, seed)
    _assert_same_where_listed(panel, SalesPanel.from_frame(panel.to_frame(), known=("price",), check=False))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_order_of_rows_does_not_matter(seed):
    panel = _panel(3, 6, seed)
    shuffled = panel.to_frame().sample(frac=1.0, random_state=seed)
    back = SalesPanel.from_frame(shuffled, known=("price",), freq="W-MON", check=False)
    order = [back.item_ids.index(item) for item in panel.item_ids]
    _assert_same_where_listed(panel, back.select(order))


def test_frame_holds_listed_rows_only():
    panel = _panel(4, 8, 3)
    frame = panel.to_frame()
    assert list(frame.columns) == ["item_id", "date", "sales", "in_stock", "price", "views"]
    assert len(frame) == panel.listed.sum() < panel.listed.size


def test_panel_survives_the_way_through_nixtla():
    panel = _panel(4, 8, 1)
    long = panel.to_nixtla()
    assert list(long.columns) == ["unique_id", "ds", "y"]
    back = SalesPanel.from_nixtla(long)
    np.testing.assert_array_equal(back.sales, panel.sales)
    np.testing.assert_array_equal(back.listed, panel.listed)
    assert back.in_stock.all()


def test_items_become_static_in_the_panels_order():
    frame = pd.DataFrame({"item_id": ["b", "a"] * 2, "date": ["2024-01-01"] * 2 + ["2024-01-08"] * 2, "sales": 1})
    items = pd.DataFrame({"item_id": ["a", "b"], "store": [1, 2], "lead_time": [3, 4]})
    panel = SalesPanel.from_frame(frame, items)
    assert panel.item_ids == ("b", "a")
    assert panel.static.index.tolist() == ["b", "a"]
    assert panel.static["store"].tolist() == [2, 1]


def test_from_frame_knows_nothing_ahead_unless_told():
    frame = _panel().to_frame()
    assert list(SalesPanel.from_frame(frame, check=False).known) == []
    assert list(SalesPanel.from_frame(frame, known=None, check=False).known) == ["price"]
    assert list(SalesPanel.from_frame(frame, known=("views",), check=False).observed) == ["price"]


def test_extended_goes_on_with_the_calendar():
    panel = _panel(2, 4)
    longer = panel.extended(np.array([[1.0, 2.0], [3.0, 4.0]]), {"price": np.full((2, 2), 9.0)})
    assert longer.dates[-1] == panel.dates[-1] + pd.Timedelta(weeks=2)
    np.testing.assert_array_equal(longer.sales[:, -2:], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(longer.known["price"][:, -2:], 9.0)
    np.testing.assert_array_equal(longer.observed["views"][:, -1], panel.observed["views"][:, -1])


def test_until_and_window_cut_every_array():
    panel = _panel(2, 6)
    assert panel.until(4).known["price"].shape == (2, 4)
    np.testing.assert_array_equal(panel.window(2, 5).sales, panel.sales[:, 2:5])


def test_wrong_shape_is_refused():
    with pytest.raises(FractileError, match=r"in_stock must have the shape .* = \(1, 2\), got \(2, 1\)"):
        SalesPanel(
            sales=np.zeros((1, 2)),
            in_stock=np.ones((2, 1), dtype=bool),
            listed=np.ones((1, 2), dtype=bool),
            dates=pd.date_range("2024-01-01", periods=2),
            item_ids=("a",),
            freq="D",
        )
