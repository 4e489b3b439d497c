"""Forecasts made elsewhere: frames there and back, every fault of a file, and the forecaster that answers from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fractile import FractileError, InputError, ItemParams, QuantileForecast, make_forecaster, make_policy, next_orders
from fractile.errors import Faults
from fractile.forecasters.outside import OutsideForecaster, tail_levels
from fractile.forecasters.retail.panel import retail_panel
from fractile.forecasters.storage import load_forecaster, save_forecaster

FIRST, HORIZON = 60, 4


@pytest.fixture(scope="module")
def panel():
    return retail_panel(items=6, periods=80, seed=5).panel


@pytest.fixture(scope="module")
def fitted(panel):
    return make_forecaster("seasonal_naive", horizon=HORIZON).fit(panel.until(FIRST))


@pytest.fixture(scope="module")
def forecast(panel, fitted):
    return fitted.predict(panel, HORIZON, origins=np.arange(FIRST, panel.periods + 1))


def test_a_long_frame_comes_back_as_the_same_forecast(panel, forecast):
    frame = forecast.to_frame()
    shuffled = frame.sample(frac=1.0, random_state=1)
    back = QuantileForecast.from_frame(shuffled, panel)
    for name in ("levels", "values", "origins"):
        np.testing.assert_array_equal(getattr(back, name), getattr(forecast, name))
    assert (back.item_ids, back.freq, list(back.dates)) == (forecast.item_ids, forecast.freq, list(forecast.dates))
    assert back.dependence is None


def test_sums_come_back_too_where_the_frame_holds_the_dependence(panel, forecast, tmp_path):
    frame = forecast.to_frame(dependence=True)
    assert np.abs(frame["correlation_2"][frame["horizon"] == 1]).max() > 0.05  # else the test shows nothing
    frame.to_csv(tmp_path / "f.csv", index=False)
    made = OutsideForecaster.read("mine", tmp_path / "f.csv", panel, Faults())
    np.testing.assert_array_equal(made.forecast.total(3).values, forecast.total(3).values)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_orders_from_a_file_are_those_from_the_forecaster(panel, fitted, forecast, tmp_path, ending):
    frame, path = forecast.to_frame(dependence=True), tmp_path / f"f.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    made = OutsideForecaster.read("mine", path, panel, Faults()).fit(panel)
    params, policy = ItemParams(lead_time=2, stockout_cost=9.0), make_policy("newsvendor")
    pd.testing.assert_frame_equal(next_orders(policy, made, panel, params), next_orders(policy, fitted, panel, params))


def test_an_item_needs_no_rows_before_it_was_listed(panel, forecast):
    listed = panel.listed.copy()
    listed[2, : FIRST + 3] = False
    young = type(panel)(**{**vars(panel), "listed": listed})
    frame = forecast.to_frame()
    early = (frame["item_id"] == panel.item_ids[2]) & (frame["origin"] <= FIRST + 3)
    back = QuantileForecast.from_frame(frame[~early], young)
    assert (back.values[2, :4] == 0).all()
    np.testing.assert_array_equal(back.values[2, 4:], forecast.values[2, 4:])


def changed(column, row, value):
    def change(frame):
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value

    return change


def removed(frame):
    frame.drop(index=[17, 40], inplace=True)


FAULTS = {
    "no such item": (changed("item_id", 3, "tea"), "row 3: item_id must be an item of the history, got 'tea'"),
    "no item": (changed("item_id", 3, ""), "row 3: item_id must not be empty"),
    "not a number": (changed("value", 4, np.nan), "row 4: value must be a number >= 0, is missing"),
    "text": (changed("value", 4, "many"), "row 4: value must be a number >= 0, got 'many'"),
    "negative": (changed("value", 5, -2.0), "row 5: value must be a number >= 0, got -2"),
    "infinite": (changed("value", 5, np.inf), "row 5: value must be a number >= 0 and finite, got inf"),
    "per cent": (changed("level", 6, 90.0), "row 6: level must be below 1, got 90"),
    "level zero": (changed("level", 6, 0.0), "row 6: level must be a number > 0, got 0"),
    "no period": (changed("date", 7, "2025-01-08"), "row 7: date must begin a period of the history .*'2025-01-08'"),
    "no date": (changed("date", 7, "soon"), "row 7: date must be a date, got 'soon'"),
    "origin in a week": (changed("origin_date", 8, "2025-03-05"), "row 8: origin_date must begin a period of"),
    "origin too late": (changed("origin_date", 8, "2025-07-14"), "row 8: origin_date must be the period after the"),
    "date before origin": (changed("date", 9, "2024-01-01"), "row 9: date must not lie before origin_date"),
    "missing cells": (
        removed,
        r"2 of [\d,]+ cells are missing, the first at item 'SKU-0001', .* 2025-02-24, level 0.4",
    ),
    "twice": (changed("level", 1, 0.05), "row 1: item_id, origin_date, date and level must stand together once"),
    "crossing": (changed("value", 12, 0.0), "row 12: value must not fall as the level rises"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_of_a_frame_is_named(panel, forecast, name):
    change, message = FAULTS[name]
    frame = forecast.to_frame().astype({"date": str, "origin_date": str})
    frame["value"] += frame["level"]  # so that none of them are equal
    change(frame)
    with pytest.raises(InputError, match=message):
        QuantileForecast.from_frame(frame, panel)


def test_faults_of_rows_are_named_together(panel, forecast):
    frame = forecast.to_frame().astype({"date": str})
    for name in ("no such item", "negative", "per cent", "no date"):
        FAULTS[name][0](frame)
    with pytest.raises(InputError) as caught:
        QuantileForecast.from_frame(frame, panel)
    assert len(caught.value.faults) == 4


def test_one_level_alone_is_no_quantile_forecast(panel, forecast):
    frame = forecast.to_frame()
    with pytest.raises(InputError, match=r"level must take two values at least, got 0\.5 alone"):
        QuantileForecast.from_frame(frame[frame["level"] == 0.5], panel)


def test_items_that_are_not_forecast_are_named(panel, forecast):
    frame = forecast.to_frame()
    with pytest.raises(InputError, match="items of the history are not forecast: 'SKU-0002', 'SKU-0004'"):
        QuantileForecast.from_frame(frame[~frame["item_id"].isin(["SKU-0002", "SKU-0004"])], panel)


@pytest.mark.parametrize("column", ["item_id", "origin_date", "date", "level", "value"])
def test_each_column_is_needed(panel, forecast, column):
    with pytest.raises(InputError, match=f"has no column '{column}'"):
        QuantileForecast.from_frame(forecast.to_frame().drop(columns=column), panel)


@pytest.mark.parametrize("value", [np.nan, 1.5, -1.0])
def test_correlations_that_are_none_are_refused(panel, forecast, value):
    frame = forecast.to_frame(dependence=True)
    frame.loc[frame["horizon"] == 1, "correlation_2"] = value
    with pytest.raises(InputError, match="must hold a correlation matrix"):
        QuantileForecast.from_frame(frame, panel)


def test_a_file_that_is_not_there_is_a_fault(panel, tmp_path):
    faults = Faults()
    assert OutsideForecaster.read("mine", tmp_path / "no.csv", panel, faults) is None
    assert "no such file" in faults.messages[0]


@pytest.fixture
def mine(panel, forecast):
    return OutsideForecaster("mine", forecast.with_dependence(None)).fit(panel.until(75))


def test_the_forecaster_gives_the_quantiles_of_the_file(panel, forecast, mine):
    found = mine.predict(panel, 3, origins=[70, 80])
    np.testing.assert_array_equal(found.values, forecast.values[:, [10, 20], :3])
    assert found.origins.tolist() == [70, 80]
    assert list(found.dates) == list(forecast.dates[[10, 20]])
    np.testing.assert_allclose(
        mine.predict(panel, 1, [0.5, 0.75], [70]).values[..., 1], forecast.quantile(0.75)[:, 10:11, :1]
    )
    few = mine.predict(panel.select([4, 1]), 2, origins=[70])
    np.testing.assert_array_equal(few.values, forecast.values[[4, 1]][:, [10], :2])


def test_dates_count_and_not_positions(panel, forecast, mine):
    later = panel.window(20, panel.periods)  # the same history without its first weeks
    np.testing.assert_array_equal(mine.predict(later, 2, origins=[50]).values, forecast.values[:, [10], :2])


def test_dependence_is_taken_from_the_past_alone(panel, mine, forecast):
    def correlation(history):
        made = OutsideForecaster("mine", forecast.with_dependence(None)).fit(history.until(75))
        return made.predict(history, 3, origins=[78]).dependence.correlation

    own = correlation(panel)
    sales = panel.sales.copy()
    sales[:, 75:] = sales[:, 75:][:, ::-1] + 7
    later = type(panel)(**{**vars(panel), "sales": sales})
    np.testing.assert_array_equal(correlation(later), own)
    sales = panel.sales.copy()
    sales[:, 60:75] = 3.0
    earlier = type(panel)(**{**vars(panel), "sales": sales})
    assert not np.array_equal(correlation(earlier), own)
    without = OutsideForecaster("mine", forecast.with_dependence(None)).fit(panel.until(FIRST))
    np.testing.assert_array_equal(without.predict(panel, 3, origins=[78]).dependence.correlation[0], np.eye(3))


def test_what_was_not_forecast_is_refused_by_name(panel, mine):
    with pytest.raises(
        FractileError, match="no forecast was made at 1 of 2 origins: '2025-02-03'; there are forecasts"
    ):
        mine.predict(panel, 2, origins=[58, 70])
    with pytest.raises(FractileError, match="mine forecasts 4 periods ahead, 5 are needed"):
        mine.predict(panel, 5, origins=[70])
    stranger = type(panel)(**{**vars(panel), "item_ids": ("tea", *panel.item_ids[1:])})
    with pytest.raises(FractileError, match="items were not forecast: 'tea'"):
        mine.predict(stranger, 2, origins=[70])


@pytest.mark.parametrize("whole", [True, False])
def test_a_saved_forecaster_predicts_the_same(panel, forecast, mine, tmp_path, whole):
    made = OutsideForecaster("mine", forecast).fit(panel) if whole else mine
    save_forecaster(made, tmp_path)
    copy = load_forecaster(tmp_path)
    ours, theirs = (each.predict(panel, 3, origins=[70, 76]) for each in (made, copy))
    np.testing.assert_array_equal(theirs.values, ours.values)
    np.testing.assert_array_equal(theirs.total(3).values, ours.total(3).values)
    assert copy.name == "mine"


def test_critical_ratios_beyond_the_levels_are_found(forecast):
    assert tail_levels(forecast, [0.5, 0.04, 0.995, 0.99]).tolist() == [0.04, 0.995]
    assert not len(tail_levels(forecast, 0.9))


def test_frames_of_nixtla_and_point_forecasts_are_told_what_to_do(panel, forecast):
    wide = forecast.to_nixtla()
    with pytest.raises(InputError, match=r"unique_id is the item_id, .*fr\.QuantileForecast\.from_nixtla") as raised:
        QuantileForecast.from_frame(wide, panel)
    assert len(raised.value.faults) == 1
    assert "map it" not in str(raised.value)  # `--column` maps the history
    back = QuantileForecast.from_frame(QuantileForecast.from_nixtla(wide, panel).to_frame(), panel)
    np.testing.assert_allclose(back.values, forecast.values)
    point = forecast.to_frame().query("level == 0.5").drop(columns="level")
    with pytest.raises(InputError, match=r"has no column 'level'; .* quantiles of their past errors"):
        QuantileForecast.from_frame(point, panel)
