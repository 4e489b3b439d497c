"""The fan chart of a forecast: the same marks as in the report, from the forecast's own quantiles."""

from __future__ import annotations

from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

import fractile as fr
from fractile.forecasters.plot import FAN, INK, MUTED, SKY

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def made():
    retail = fr.retail_panel(items=3, periods=80, seed=0)
    known = retail.panel.until(70)
    return retail.panel, fr.make_forecaster("seasonal_naive").fit(known).predict(known, 6)


def axes():
    return Figure().subplots()


def test_the_fan_is_the_quantiles(made):
    panel, forecast = made
    ax = forecast.plot(panel.item_ids[1], panel, ax=axes())
    bands = [band.get_paths()[0].vertices for band in ax.collections]
    assert len(bands) == len(FAN)
    for (low, high), band in zip(FAN, bands, strict=True):
        np.testing.assert_allclose(band[:, 1].min(), forecast.quantile(low)[1].min())
        np.testing.assert_allclose(band[:, 1].max(), forecast.quantile(high)[1].max())
    median = next(line for line in ax.lines if line.get_color() == SKY)
    np.testing.assert_allclose(median.get_ydata(), forecast.quantile(0.5)[1, 0])


def test_sales_stand_before_and_after_the_origin(made):
    panel, forecast = made
    ax = forecast.plot(panel.item_ids[2], panel, ax=axes())
    before = next(line for line in ax.lines if line.get_color() == MUTED and line.get_linestyle() == "-")
    after = next(line for line in ax.lines if line.get_color() == INK)
    np.testing.assert_array_equal(before.get_ydata(), panel.sales[2, 52:70])
    np.testing.assert_array_equal(after.get_ydata(), panel.sales[2, 70:76])
    assert ax.get_title() == panel.item_ids[2]


def test_without_a_panel_only_the_forecast_is_drawn(made):
    _, forecast = made
    ax = forecast.plot(forecast.item_ids[0])
    assert [line.get_color() for line in ax.lines] == [SKY]


def test_levels_that_a_forecast_does_not_reach_are_left_out(made):
    _, forecast = made
    inner = fr.QuantileForecast(
        np.array([0.25, 0.5, 0.75]), forecast.values[..., [3, 5, 7]], forecast.origins, forecast.item_ids
    )
    ax = inner.plot(forecast.item_ids[0], ax=axes())
    assert len(ax.collections) == 2  # 30 to 70 and 40 to 60 %


def test_an_unknown_item_is_named(made):
    panel, forecast = made
    with pytest.raises(fr.FractileError, match="item 'SKU-9' is none of the forecast's"):
        forecast.plot("SKU-9", panel)
    with pytest.raises(fr.FractileError, match=r"none of the panel's"):
        forecast.plot("SKU-0003", panel.select([0, 1]))


def test_dates_do_not_cover_each_other(made):
    panel, forecast = made
    ax = forecast.head(4).plot(panel.item_ids[1], panel, ax=axes())
    ax.figure.set_size_inches(6.0, 3.0)
    ax.figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
    assert len(boxes) > 2
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
