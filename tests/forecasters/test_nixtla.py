"""Frames of Nixtla's libraries: there and back, and a real cross-validation scored as their own tools score it."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from fractile import FractileError, QuantileForecast, SalesPanel, make_forecaster, retail_panel
from fractile.forecasters.scores import (
    mean_weighted_quantile_loss,
    quantile_loss_cells,
    score_forecast,
)


@pytest.fixture(scope="module")
def panel():
    return retail_panel(items=5, periods=70, seed=4).panel


def forecast_of(panel, levels=(0.1, 0.25, 0.5, 0.75, 0.9), origins=(50, 53), horizon=3):
    return make_forecaster("seasonal_naive").fit(panel).predict(panel, horizon, levels, origins)


def test_panel_with_covariates_comes_back_from_nixtlas_frames(panel):
    frame = panel.to_nixtla(covariates=True)
    assert list(frame.columns) == ["unique_id", "ds", "y", "in_stock", "price", "promotion", "holiday", "page_views"]
    static = panel.static.rename_axis("unique_id").reset_index()
    back = SalesPanel.from_nixtla(frame, static, tuple(panel.known), "W-MON", check=False)
    for name in ("sales", "in_stock", "listed"):
        np.testing.assert_array_equal(getattr(back, name), getattr(panel, name))
    assert list(back.known) == list(panel.known)
    assert list(back.observed) == ["page_views"]
    for name in panel.known:
        np.testing.assert_array_equal(back.known[name][panel.listed], panel.known[name][panel.listed])
    assert back.static["category"].tolist() == panel.static["category"].tolist()


def test_unique_id_may_be_the_index(panel):
    frame = panel.to_nixtla().set_index("unique_id")
    back = SalesPanel.from_nixtla(frame, freq="W-MON")
    np.testing.assert_array_equal(back.sales, panel.sales)


def test_exogenous_columns_are_observed_only_unless_named(panel):
    back = SalesPanel.from_nixtla(panel.to_nixtla(covariates=True), freq="W-MON", check=False)
    assert list(back.known) == []
    assert list(back.observed) == ["price", "promotion", "holiday", "page_views"]


def test_future_frames_may_have_nixtlas_names(panel):
    forecaster = make_forecaster("seasonal_naive").fit(panel)
    days = pd.date_range(panel.dates[-1], periods=3, freq="W-MON")[1:]
    rows = pd.MultiIndex.from_product([panel.item_ids, days], names=["item_id", "date"])
    future = pd.DataFrame({"price": np.arange(10.0)}, index=rows).reset_index()
    theirs = future.rename(columns={"item_id": "unique_id", "date": "ds"})
    from fractile.forecasters.base import known_ahead

    for frame in (theirs, theirs.set_index("unique_id")):
        np.testing.assert_array_equal(known_ahead(panel, 2, frame)["price"], np.arange(10.0).reshape(5, 2))
    values = [forecaster.predict(panel, 2, future=frame).values for frame in (future, theirs)]
    np.testing.assert_array_equal(values[0], values[1])


@pytest.mark.parametrize("style", ["quantiles", "statsforecast", "neuralforecast"])
def test_forecast_comes_back_in_every_style(panel, style):
    forecast = forecast_of(panel)
    frame = forecast.to_nixtla(style, model="Naive").sample(frac=1.0, random_state=0)
    back = QuantileForecast.from_nixtla(frame, panel)
    np.testing.assert_allclose(back.levels, forecast.levels)
    np.testing.assert_allclose(back.values, forecast.values)
    np.testing.assert_array_equal(back.origins, forecast.origins)
    assert back.item_ids == forecast.item_ids
    np.testing.assert_array_equal(back.dates, forecast.dates)


def test_columns_are_named_as_the_libraries_name_them(panel):
    forecast = forecast_of(panel, levels=(0.1, 0.5, 0.9))
    keys = ["unique_id", "cutoff", "ds"]
    assert list(forecast.to_nixtla()) == [*keys, "q0.1", "q0.5", "q0.9"]
    assert list(forecast.to_nixtla("statsforecast", "Naive")) == [*keys, "Naive", "Naive-lo-80", "Naive-hi-80"]
    neural = [*keys, "Naive-median", "Naive-lo-80.0", "Naive-hi-80.0"]
    assert list(forecast.to_nixtla("neuralforecast", "Naive")) == neural


def test_an_interval_that_lacks_an_end_gets_it(panel):
    forecast = forecast_of(panel, levels=(0.3, 0.5, 0.9))
    frame = forecast.to_nixtla("statsforecast", "Naive")
    wide = ["Naive-lo-80", "Naive-lo-40", "Naive-hi-40", "Naive-hi-80"]
    assert list(frame)[3:] == ["Naive", *wide]
    np.testing.assert_allclose(frame["Naive-lo-80"], forecast.quantile(0.1).ravel())


def test_cutoff_is_the_last_known_period(panel):
    frame = forecast_of(panel, origins=(50,)).to_nixtla()
    assert set(frame["cutoff"]) == {panel.dates[49]}
    assert frame["ds"].min() == panel.dates[50]


def test_a_forecast_beyond_the_end_without_cutoff(panel):
    forecast = forecast_of(panel, origins=(70,))
    frame = forecast.to_nixtla("neuralforecast").drop(columns="cutoff")
    back = QuantileForecast.from_nixtla(frame, panel)
    np.testing.assert_array_equal(back.origins, [70])
    np.testing.assert_allclose(back.values, forecast.values)


def small_frame(panel, **columns):
    frame = pd.DataFrame({"unique_id": panel.item_ids, "ds": panel.dates[60], "cutoff": panel.dates[59]})
    return frame.assign(**columns)


def test_quantiles_by_level_below_zero_or_crossing_are_put_right(panel):
    frame = small_frame(panel, **{"NHITS_ql0.1": -1.0, "NHITS_ql0.5": 4.0, "NHITS-ql-0.9": 3.0})
    back = QuantileForecast.from_nixtla(frame, panel)
    np.testing.assert_allclose(back.levels, [0.1, 0.5, 0.9])
    np.testing.assert_array_equal(back.values[0, 0, 0], [0.0, 3.0, 4.0])


def test_the_point_is_the_median_unless_told(panel):
    frame = small_frame(panel, **{"A": 5.0, "A-lo-80": 2.0, "A-hi-80": 9.0, "B": 1.0, "B-lo-80": 1.0, "B-hi-80": 1.0})
    back = QuantileForecast.from_nixtla(frame, panel, model="A")
    np.testing.assert_array_equal(back.values[0, 0, 0], [2.0, 5.0, 9.0])
    bare = QuantileForecast.from_nixtla(frame, panel, model="A", point="ignore")
    np.testing.assert_allclose(bare.levels, [0.1, 0.9])
    both = QuantileForecast.from_nixtla(frame.assign(**{"A-median": 4.0}), panel, model="A")
    np.testing.assert_array_equal(both.values[0, 0, 0], [2.0, 4.0, 9.0])
    with pytest.raises(FractileError, match=r"model must be one of the frame's models \(A, B\), got None"):
        QuantileForecast.from_nixtla(frame, panel)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="ds"), "needs a column 'ds'"),
        (lambda f: f.drop(columns=["A-lo-80", "A-hi-80"]), "two or more levels"),
        (lambda f: f.iloc[1:], "lacks step 1 from"),
        (lambda f: f.assign(unique_id="else"), "an item that the panel lacks: 'else'"),
        (lambda f: f.assign(ds=f["ds"] + pd.Timedelta(days=1)), "ds must begin a period of the panel"),
        (lambda f: f.assign(ds=f["cutoff"]), "after the cutoff"),
    ],
)
def test_faults_of_a_frame_are_named(panel, change, message):
    frame = small_frame(panel, **{"A": 5.0, "A-lo-80": 2.0, "A-hi-80": 9.0})
    with pytest.raises(FractileError, match=message):
        QuantileForecast.from_nixtla(change(frame), panel)


def test_an_unknown_style_is_refused(panel):
    with pytest.raises(FractileError, match='style must be "quantiles", "statsforecast" or "neuralforecast"'):
        forecast_of(panel).to_nixtla("prophet")


def test_a_real_cross_validation_scores_as_nixtlas_own_losses_say():
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS, SeasonalNaive
    from utilsforecast.losses import quantile_loss

    rng = np.random.default_rng(0)
    season = 80 + 20 * np.sin(np.arange(60) * 2 * np.pi / 7)
    days = pd.date_range("2024-01-01", periods=60)
    frames = [pd.DataFrame({"unique_id": k, "ds": days, "y": rng.poisson(season)}) for k in ("a", "b", "c")]
    history = pd.concat(frames, ignore_index=True).astype({"y": float})
    with warnings.catch_warnings():
        # statsforecast's own use of pandas and numba, nothing of ours.
        warnings.simplefilter("ignore")
        engine = StatsForecast([SeasonalNaive(7), AutoETS(7, model="ANA")], freq="D")
        crossed = engine.cross_validation(df=history, h=5, n_windows=3, step_size=5, level=[50, 80])
    panel = SalesPanel.from_nixtla(history)
    for model in ("SeasonalNaive", "AutoETS"):
        forecast = QuantileForecast.from_nixtla(crossed, panel, model=model)
        assert forecast.values.shape == (3, 3, 5, 5)
        np.testing.assert_array_equal(forecast.origins, [45, 50, 55])
        np.testing.assert_allclose(forecast.levels, [0.1, 0.25, 0.5, 0.75, 0.9])
        names = [f"{model}-lo-80", f"{model}-lo-50", model, f"{model}-hi-50", f"{model}-hi-80"]
        table = score_forecast(forecast, panel).query("horizon == 0").set_index("level")
        by_level = []
        for level, name in zip(forecast.levels, names, strict=True):
            theirs = quantile_loss(crossed, models={model: name}, q=level)[model].mean()
            assert table.loc[level, "pinball"] == pytest.approx(theirs, rel=1e-9)
            by_level.append(2 * theirs * len(crossed) / crossed["y"].sum())
        assert mean_weighted_quantile_loss(forecast, panel) == pytest.approx(np.mean(by_level), rel=1e-9)
        loss, demand = quantile_loss_cells(forecast, panel, [0.5])
        by_hand = np.abs(crossed["y"] - crossed[model]).sum()
        assert loss.sum() == pytest.approx(by_hand)
        assert demand.sum() == crossed["y"].sum()
