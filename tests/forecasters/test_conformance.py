"""Every registered forecaster keeps the contract, and the suite catches forecasters that do not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fractile import (
    FORECASTERS,
    Forecaster,
    FractileError,
    SalesPanel,
    check_forecaster,
    make_forecaster,
)
from fractile.forecasters.censoring import History
from fractile.forecasters.classical.naive import SeasonalNaive
from fractile.forecasters.conformance import small_panel

NETWORKS = ("mqmlp", "rnn", "deepar", "mqrnn", "mqcnn", "mqtransformer", "quantile_function")
TREES = ("random_forest", "quantile_forest", "sqrf", "lightgbm")
QUICK = {
    **{name: {"steps": 20, "horizon": 6} for name in NETWORKS},
    **{name: {"trees": 8, "horizon": 6} for name in TREES},
    "arima": {"searched": 6, "horizon": 6},
    "ensemble": {"horizon": 6, "members": ("ets", "mqcnn"), "options": {"mqcnn": {"steps": 20}}},
}


def make(name: str, censoring: str = "bound") -> Forecaster:
    options = QUICK.get(name, {})
    if name == "ensemble":
        own = {member: {**options["options"].get(member, {}), "censoring": censoring} for member in options["members"]}
        return make_forecaster(name, **{**options, "options": own})
    return make_forecaster(name, **options, censoring=censoring)


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_registered_forecaster_conforms(name: str):
    check_forecaster(lambda: make(name))


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_registered_forecaster_is_a_forecaster(name: str):
    assert isinstance(make(name), Forecaster)
    assert make(name).name == name


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_masked_stock_outs_teach_nothing(name: str):
    panel = small_panel()
    absurd = replace(panel, sales=np.where(panel.informative, panel.sales, 1e4))
    expected = make(name, censoring="mask").fit(panel).predict(panel, 6)
    got = make(name, censoring="mask").fit(absurd).predict(absurd, 6)
    np.testing.assert_array_equal(got.values, expected.values)


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_young_and_empty_items_are_forecast(name: str):
    panel = small_panel()
    listed = panel.listed.copy()
    listed[0, :-2] = False
    listed[1] = False
    panel = replace(panel, listed=listed, sales=np.where(listed, panel.sales, 0.0))
    forecast = make(name).fit(panel).predict(panel, 6)
    assert np.isfinite(forecast.values).all()


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_a_short_panel_without_covariates_is_forecast(name: str):
    panel = replace(small_panel(periods=20), known={}, observed={}, static=pd.DataFrame())
    forecast = make(name).fit(panel).predict(panel, 6, origins=[3, 20])
    assert np.isfinite(forecast.values).all()


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_items_that_were_not_fitted_are_forecast(name: str):
    panel = small_panel()
    forecaster = make(name).fit(panel.select([0, 1, 2, 3]))
    forecast = forecaster.predict(panel.select([2, 7]), 6)
    np.testing.assert_allclose(forecast.values[0], forecaster.predict(panel, 6).values[2], rtol=1e-4, atol=1e-4)
    # Nor need they have more than one period on record.
    listed = panel.listed.copy()
    listed[[6, 7], :-1] = False
    young = replace(panel, listed=listed, sales=np.where(listed, panel.sales, 0.0))
    assert np.isfinite(forecaster.predict(young.select([2, 6, 7]), 6).values).all()


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_an_unfitted_forecaster_says_so(name: str):
    with pytest.raises(FractileError, match="not fitted"):
        make(name).predict(small_panel(), 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"horizon": 0}, "horizon must be"),
        ({"horizon": 6, "levels": [0.5, 0.4]}, "levels must be"),
        ({"horizon": 6, "levels": [0.5, 1.0]}, "levels must be"),
        ({"horizon": 6, "origins": [61]}, "origins must be"),
        ({"horizon": 6, "origins": [0]}, "origins must be"),
        ({"horizon": 6, "origins": []}, "origins must be"),
    ],
)
def test_bad_requests_are_refused(arguments: dict, message: str):
    forecaster = SeasonalNaive().fit(small_panel())
    with pytest.raises(FractileError, match=message):
        forecaster.predict(small_panel(), **arguments)


def test_future_covariates_reach_the_forecast():
    panel = small_panel(items=6)
    forecaster = make("mqcnn").fit(panel)
    days = pd.date_range(panel.dates[-1], periods=7, freq=panel.freq)[1:]
    rows = [(item, day, 1.0, 2.0) for item in panel.item_ids for day in days]
    future = pd.DataFrame(rows, columns=["item_id", "date", "promotion", "price"])
    promoted = forecaster.predict(panel, 6, future=future)
    carried = forecaster.predict(panel, 6)
    assert not np.allclose(promoted.values, carried.values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item_id": "stranger"}, "an item that the panel lacks"),
        ({"date": "2024-03-06"}, "begins no period"),
    ],
)
def test_a_future_off_the_panel_is_refused(change: dict, message: str):
    panel = small_panel()
    day = pd.date_range(panel.dates[-1], periods=2, freq=panel.freq)[1]
    row = {"item_id": panel.item_ids[0], "date": day, "price": 1.0, **change}
    with pytest.raises(FractileError, match=message):
        SeasonalNaive().fit(panel).predict(panel, 6, future=pd.DataFrame([row]))


def test_an_unknown_forecaster_or_option_lists_the_known_ones():
    with pytest.raises(FractileError, match=r"did you mean 'ets'.*mqcnn"):
        make_forecaster("etss")
    with pytest.raises(FractileError, match="no option 'horizn'; did you mean 'horizon'"):
        make_forecaster("seasonal_naive", horizn=3)
    with pytest.raises(FractileError, match="no option 'step'; did you mean 'steps'"):
        make_forecaster("mqcnn", step=3)


def test_torch_stays_out_until_a_network_is_asked_for():
    script = (
        "import sys; from fractile.forecasters.registry import FORECASTERS, make_forecaster;"
        "list(FORECASTERS); make_forecaster('seasonal_naive'); assert 'torch' not in sys.modules;"
        "make_forecaster('mqcnn'); assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


class Peeking(SeasonalNaive):
    """Knows the sales of the period it forecasts."""

    def predict(self, panel: SalesPanel, horizon: int, *args, **options):
        forecast = super().predict(panel, horizon, *args, **options)
        last = np.minimum(forecast.origins, panel.periods - 1)
        return replace(forecast, values=forecast.values + panel.sales[:, last, None, None])


class Crossing(SeasonalNaive):
    """Gives the quantiles in the wrong order."""

    def predict(self, *args, **options):
        forecast = super().predict(*args, **options)
        return replace(forecast, values=forecast.values[..., ::-1])


class Restless(SeasonalNaive):
    """Never says the same twice."""

    calls = 0

    def predict(self, *args, **options):
        forecast = super().predict(*args, **options)
        type(self).calls += 1
        return replace(forecast, values=forecast.values + type(self).calls)


class Deaf(SeasonalNaive):
    """Gives its own levels, whatever is asked for."""

    def predict(self, panel, horizon, levels=None, origins=None, future=None):
        return super().predict(panel, horizon, origins=origins, future=future)


class Hoarding(SeasonalNaive):
    """Adds what it learns to what it learnt before."""

    seen = 0.0

    def fit(self, panel: SalesPanel):
        self.seen += panel.periods
        return super().fit(panel)

    def predict(self, *args, **options):
        forecast = super().predict(*args, **options)
        return replace(forecast, values=forecast.values + self.seen)

    def to_state(self):
        config, arrays = super().to_state()
        return config, {**arrays, "seen": np.asarray(self.seen)}

    @classmethod
    def from_state(cls, config, arrays):
        made = super().from_state(config, arrays)
        made.seen = float(arrays["seen"])
        return made


class Forgetful(SeasonalNaive):
    """Loses a band when it is rebuilt."""

    @classmethod
    def from_state(cls, config, arrays):
        return super().from_state(config, {**arrays, "error_table": arrays["error_table"] * 1.1})


class Mercenary(SeasonalNaive):
    """Forecasts more of what it costs much to miss."""

    def predict(self, panel, *args, **options):
        forecast = super().predict(panel, *args, **options)
        dear = panel.static["stockout_cost"].to_numpy() if "stockout_cost" in panel.static else np.zeros(panel.items)
        return replace(forecast, values=forecast.values + dear[:, None, None, None])


class Mournful(SeasonalNaive):
    """Learns its errors from items that are no longer sold, too."""

    def fit(self, panel: SalesPanel):
        self._fitted = self._fit(History.of(panel, self.censoring))
        return self


class Undying(SeasonalNaive):
    """Forecasts items that are no longer sold at their mean so far."""

    def predict(self, panel, *args, **options):
        forecast = super().predict(panel, *args, **options)
        dead = ~forecast.values.any(axis=(2, 3))
        return replace(forecast, values=np.where(dead[..., None, None], panel.sales.mean(), forecast.values))


class InStock(SeasonalNaive):
    """Takes demand in stock for demand."""

    def __init__(self, horizon: int = 12, censoring: str = "mask") -> None:
        super().__init__(horizon, censoring=censoring)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Mercenary, "unaffected by costs"),
        (Mournful, "unaffected by items that have stopped selling"),
        (Undying, "forecast near zero"),
        (InStock, "honest under stock-outs"),
        (Peeking, "no peeking"),
        (Crossing, "cross"),
        (Restless, "determinism"),
        (Deaf, "levels"),
        (Hoarding, "no trace"),
        (Forgetful, "rebuilt copy"),
    ],
)
def test_the_suite_catches_a_fault(kind: type, message: str):
    with pytest.raises(FractileError, match=message):
        check_forecaster(kind)
