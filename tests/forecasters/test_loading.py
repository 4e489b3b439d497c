"""From tables to panels: what missing rows mean, resampling, covariates, and the faults of whole inputs."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from fractile import (
    FractileError,
    InputError,
    load_panel,
)
from fractile.forecasters.data.panel import load_inputs

MONDAY = pd.Timestamp("2024-01-01")


def _frame(rows, **covariates):
    """Rows are (item, day or week number as a date, sales)."""
    frame = pd.DataFrame(rows, columns=["item_id", "date", "sales"])
    return frame.assign(**covariates)


def _days(item, sales, start=MONDAY):
    dates = pd.date_range(start, periods=len(sales))
    frame = pd.DataFrame({"item_id": item, "date": dates, "sales": sales})
    return frame[frame["sales"].notna()]


def _weeks(item, sales, start=MONDAY):
    return _days(item, sales).assign(date=lambda f: start + 7 * (f["date"] - MONDAY))


def _fault(*args, **options):
    with pytest.raises(InputError) as caught:
        load_panel(*args, **options)
    [fault] = caught.value.faults
    return fault


NAN = np.nan
GAPPY = pd.concat([_weeks("a", [1, 2, NAN, 4, NAN]), _weeks("b", [NAN, NAN, 5, 6, 7])])


def test_a_missing_row_is_a_fault_that_names_item_date_and_count():
    fault = _fault(GAPPY)
    assert "2 rows are missing after the items' first ones: item 'a' from 2024-01-15 on (2)" in fault
    assert 'set missing to "zero"' in fault


@pytest.mark.parametrize(("missing", "in_stock"), [("zero", True), ("unknown", False)])
def test_missing_rows_mean_what_the_caller_says(missing, in_stock):
    panel = load_panel(GAPPY, missing=missing)
    np.testing.assert_array_equal(panel.sales, [[1, 2, 0, 4, 0], [0, 0, 5, 6, 7]])
    np.testing.assert_array_equal(panel.listed, [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
    np.testing.assert_array_equal(panel.in_stock[0], [True, True, in_stock, True, in_stock])
    assert panel.in_stock[1].all()
    assert any("2 missing rows" in note for note in panel.notes)


def test_a_week_without_any_row_is_a_gap_of_every_item():
    frame = pd.concat([_weeks("a", [1, 2, NAN, 4]), _weeks("b", [1, 2, NAN, 4])])
    assert "2 rows are missing" in _fault(frame)
    assert load_panel(frame, missing="zero").sales.shape == (2, 4)


def test_unknown_word_for_missing_is_refused():
    with pytest.raises(FractileError, match="missing must be 'error', 'zero' or 'unknown', got 'drop'"):
        load_panel(GAPPY, missing="drop")


@pytest.mark.parametrize(
    ("dates", "freq"),
    [
        (["2024-01-02", "2024-01-03", "2024-01-05"], "D"),
        (["2024-01-03", "2024-01-10"], "W-WED"),
        (["2024-01-01", "2024-01-08", "2024-01-29"], "W-MON"),
        (["2024-01-07", "2024-01-14", "2024-01-21"], "W-SUN"),
        (["2024-01-01", "2024-02-01", "2024-04-01"], "MS"),
        (["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 03:00"], "h"),
    ],
)
def test_frequency_is_that_of_the_dates(dates, freq):
    assert load_panel(_frame([("a", day, 1) for day in dates]), missing="zero").freq == freq


@pytest.mark.parametrize(
    ("dates", "freq", "words"),
    [
        (["2024-01-01"], None, "cannot be inferred from a single date; give freq"),
        (["2024-01-01", "2024-01-08", "2024-01-12"], None, "cannot be inferred from the dates 2024-01-01"),
        (["2024-01-01", "2024-01-02"], "weekly", "freq must be a pandas frequency, got 'weekly'"),
        (["2024-01-01", "2024-01-02"], "M", "freq must be a pandas frequency, got 'M'"),
        (["2024-01-07", "2024-01-14"], "W-MON", "(Sunday) do not begin a period of freq 'W-MON'"),
        (["2024-01-01", "2024-01-02"], "ME", "periods are named by their first day"),
        (["2024-01-02", "2024-01-03"], "W-MON", "covers no whole period"),
        (["2024-01-01", "2024-01-02", "2204-01-03"], None, "correct the first or the last date"),
    ],
)
def test_a_frequency_that_does_not_suit_is_a_fault(dates, freq, words):
    fault = _fault(_frame([("a", day, 1) for day in dates]), freq=freq, missing="zero")
    assert fault.startswith("history: ")
    assert words in fault


def test_days_are_added_up_to_whole_weeks():
    frame = _days("a", np.arange(30.0), pd.Timestamp("2024-01-03"))
    panel = load_panel(frame, freq="W-MON")
    assert panel.dates[0] == pd.Timestamp("2024-01-08")
    np.testing.assert_array_equal(panel.sales, [[sum(range(5, 12)), sum(range(12, 19)), sum(range(19, 26))]])
    assert panel.notes[:2] == (
        "the partial period from 2024-01-01 was dropped",
        "the partial period from 2024-01-29 was dropped",
    )


def test_weeks_may_start_on_sunday():
    panel = load_panel(_days("a", np.ones(28), pd.Timestamp("2024-01-01")), freq="W-SUN")
    assert panel.dates[0] == pd.Timestamp("2024-01-07")
    assert panel.sales.tolist() == [[7, 7, 7]]


def test_days_are_added_up_to_months():
    panel = load_panel(_days("a", np.ones(91), pd.Timestamp("2024-01-01")), freq="MS")
    assert panel.sales.tolist() == [[31, 29, 31]]


def test_a_weekday_on_which_nobody_sells_is_closed_not_missing():
    days = _days("a", np.ones(26))
    open_days = days[days["date"].dt.dayofweek < 5]
    panel = load_panel(open_days, freq="W-MON")
    assert panel.sales.tolist() == [[5, 5, 5, 5]]
    assert panel.in_stock.all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["W-MON", "W-SUN", "W-THU", "MS"]))
def test_resampling_equals_a_loop_over_items_and_periods(seed, freq):
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2023-11-20", periods=100)
    parts = [
        pd.DataFrame({"item_id": item, "date": dates[start:], "sales": rng.poisson(1.0, 100 - start)})
        for item, start in zip("abc", [0, *rng.integers(1, 60, 2)], strict=True)
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["in_stock"] = rng.random(len(frame)) < 0.9
    frame["price"] = rng.random(len(frame)) + 1
    frame["promotion"] = rng.random(len(frame)) < 0.1
    frame["views"] = rng.random(len(frame))
    panel = load_panel(frame, freq=freq)
    for i, item in enumerate(panel.item_ids):
        own = frame[frame["item_id"] == item].set_index("date")
        for t, day in enumerate(panel.dates):
            rows = own.loc[day : day + pd.tseries.frequencies.to_offset(freq) - pd.Timedelta(days=1)]
            whole = len(rows) == len(pd.date_range(day, day + pd.tseries.frequencies.to_offset(freq))) - 1
            assert panel.listed[i, t] == (len(rows) > 0)
            assert panel.sales[i, t] == rows["sales"].sum()
            if len(rows):
                weights = rows["sales"] if rows["sales"].sum() else np.ones(len(rows))
                days = pd.date_range(day, day + pd.tseries.frequencies.to_offset(freq), inclusive="left")
                price = rows["price"].reindex(days).ffill().bfill()
                stocked = np.where(rows["in_stock"], 1.0, np.where(rows["sales"] > 0, 0.5, 0.0))
                assert panel.in_stock[i, t] == (rows["in_stock"].all() and whole)
                assert panel.availability[i, t] == pytest.approx(stocked.sum() / len(days))
                assert panel.known["price"][i, t] == pytest.approx(price.mean())
                assert panel.observed["price_paid"][i, t] == pytest.approx(np.average(rows["price"], weights=weights))
                assert panel.known["promotion"][i, t] == rows["promotion"].max()
                assert panel.observed["views"][i, t] == pytest.approx(rows["views"].mean())


HOLES = pd.concat([_days("a", np.ones(14)), _days("b", [NAN] * 2 + [1.0] * 5 + [1, NAN, 1, 1, 1, 1, 1])])


def test_a_missing_day_is_a_fault_when_days_are_added_up():
    assert "item 'b' from 2024-01-09 on (1)" in _fault(HOLES, freq="W-MON")


def test_an_item_of_the_dropped_first_week_exists_already():
    early = _days("b", [3.0, NAN, NAN, 1.0] + [1.0] * 12, MONDAY - pd.Timedelta(days=2))
    frame = pd.concat([_days("a", np.ones(16), MONDAY - pd.Timedelta(days=2)), early])
    assert "item 'b' from 2024-01-01 on (1)" in _fault(frame, freq="W-MON")
    assert load_panel(frame, freq="W-MON", missing="unknown").in_stock.tolist() == [
        [True, True],
        [False, True],
    ]


@pytest.mark.parametrize(("missing", "in_stock"), [("zero", [True, True]), ("unknown", [False, False])])
def test_missing_days_of_a_week_mean_what_the_caller_says(missing, in_stock):
    panel = load_panel(HOLES, freq="W-MON", missing=missing)
    assert panel.sales.tolist() == [[7, 7], [5, 6]]
    assert panel.in_stock.tolist() == [[True, True], in_stock]


def test_an_item_of_the_dropped_last_week_is_left_out_and_named():
    late = _days("late", [5.0], MONDAY + pd.Timedelta(days=15))
    items = pd.DataFrame({"item_id": ["late", "a"], "store": [1, 2]})
    state = pd.DataFrame({"item_id": ["late", "a"], "on_hand": [1, 2]})
    given = load_inputs(pd.concat([_days("a", np.ones(16)), late]), items, state, freq="W-MON")
    assert given.panel.item_ids == ("a",)
    assert given.items["store"].tolist() == [2]
    assert given.state["on_hand"].tolist() == [2]
    assert any("'late'" in note for note in given.panel.notes)


def test_covariates_known_ahead_are_those_a_planner_sets():
    frame = _weeks("a", [1, 2, 3]).assign(price=1.5, promotion=[True, False, True], holiday=0, views=[5, 6, 7])
    panel = load_panel(frame)
    assert list(panel.known) == ["price", "promotion", "holiday"]
    assert list(panel.observed) == ["views"]
    np.testing.assert_array_equal(panel.known["promotion"], [[1, 0, 1]])
    assert list(load_panel(frame, known=["views"]).known) == ["views"]


def test_known_names_a_covariate_or_it_is_a_fault():
    fault = _fault(_weeks("a", [1, 2, 3]).assign(price=1.5), known=["prices"])
    assert "known names 'prices', which is no covariate of the history; did you mean 'price'?" in fault


def test_missing_covariates_are_carried_within_the_item():
    frame = pd.concat([_weeks("a", [1, 1, 1, 1]), _weeks("b", [1, 1, 1, 1]), _weeks("c", [1, 1, 1, 1])])
    frame["views"] = [NAN, 2, NAN, 4, 5, NAN, NAN, 8, NAN, NAN, NAN, NAN]
    panel = load_panel(frame)
    np.testing.assert_array_equal(panel.observed["views"][:2], [[2, 2, 2, 4], [5, 5, 5, 8]])
    assert np.isfinite(panel.observed["views"]).all()
    assert any("carried forward, then backward" in note and "'views'" in note for note in panel.notes)
    assert any("median" in note for note in panel.notes)


def test_a_hole_in_a_calendar_covariate_takes_the_dates_value():
    frame = pd.concat([_weeks("a", [1, 1, 1, 1]), _weeks("b", [1, 1, 1, 1]), _weeks("c", [1, NAN, 1, 1])])
    frame["holiday"] = (frame["date"] == MONDAY + pd.Timedelta(weeks=1)).astype(int)
    panel = load_panel(frame, missing="zero")
    np.testing.assert_array_equal(panel.known["holiday"], [[0, 1, 0, 0]] * 3)


def test_text_covariates_become_codes_and_that_is_said():
    frame = _weeks("a", [1, 2, 3]).assign(weather=["sun", "rain", "sun"])
    panel = load_panel(frame)
    np.testing.assert_array_equal(panel.observed["weather"], [[1, 0, 1]])
    assert any("category codes" in note and "'weather'" in note for note in panel.notes)


def test_true_and_false_with_holes_are_flags(tmp_path):
    rows = "a,2024-01-01,1,true\na,2024-01-08,1,\na,2024-01-15,1,false\n"
    (tmp_path / "history.csv").write_text("item_id,date,sales,promotion\n" + rows)
    np.testing.assert_array_equal(load_panel(tmp_path / "history.csv").known["promotion"], [[1, 1, 0]])


def test_oddities_are_notes_and_can_be_left_out():
    frame = pd.concat([_weeks("a", [3, 4, 50_000, 4]), _weeks("b", [0, 0, 0, 0])])
    notes = " ".join(load_panel(frame).notes)
    assert "absurd sale? item 'a': 50,000 units on 2024-01-15" in notes
    assert "never sold: 'b'" in notes
    assert load_panel(frame, check=False).notes == ()


def test_faults_of_all_three_tables_come_together(tmp_path):
    (tmp_path / "history.csv").write_text("item_id,date,sales\na,2024-01-01,-1\nb,2024-01-01,1\nb,2024-01-08,1\n")
    (tmp_path / "items.csv").write_text("item_id,lead_time\na,1.5\nc,1\n")
    with pytest.raises(InputError) as caught:
        load_inputs(tmp_path / "history.csv", tmp_path / "items.csv", tmp_path / "state.csv")
    words = [
        "sales must be",
        "lead_time must be",
        "no such file",
        "in the history but not",
        "in the items but not",
    ]
    assert [any(word in fault for fault in caught.value.faults) for word in words] == [True] * 5
    assert len(caught.value.faults) == 5


def test_gaps_and_unknown_items_come_together():
    with pytest.raises(InputError) as caught:
        load_inputs(GAPPY, pd.DataFrame({"item_id": ["a"]}))
    assert len(caught.value.faults) == 2


def test_csv_and_frame_give_the_same_panel(tmp_path):
    frame = _weeks("007", [1, 2, 3]).assign(price=[1.1, NAN, 1 / 3])
    frame.to_csv(tmp_path / "history.csv", index=False)
    np.testing.assert_array_equal(load_panel(tmp_path / "history.csv").known["price"], load_panel(frame).known["price"])
    assert load_panel(tmp_path / "history.csv").item_ids == ("007",)


def test_many_items_load_without_a_loop_over_them():
    days = pd.date_range("2024-01-01", periods=56)
    items = np.array([f"i{at}" for at in range(3_000)], dtype=object)
    frame = pd.DataFrame({"item_id": np.repeat(items, 56), "date": np.tile(days, 3_000), "sales": 1})
    began = time.process_time()
    panel = load_panel(frame.assign(price=2.0), freq="W-MON")
    assert time.process_time() - began < 5
    np.testing.assert_array_equal(panel.sales, np.full((3_000, 8), 7.0))
