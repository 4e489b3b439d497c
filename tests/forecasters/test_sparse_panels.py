"""Histories with next to nothing in them: every forecaster fits, forecasts and adds up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fractile import FORECASTERS, SalesPanel, make_forecaster
from fractile.forecasters.calibration.point_errors import fit_error_distribution

NETWORKS = ("mqmlp", "rnn", "deepar", "mqrnn", "mqcnn", "mqtransformer", "quantile_function")
TREES = ("random_forest", "quantile_forest", "sqrf", "lightgbm")
QUICK = {
    **{name: {"steps": 2, "horizon": 4} for name in NETWORKS},
    **{name: {"trees": 4, "horizon": 4} for name in TREES},
    "arima": {"searched": 2, "horizon": 4},
    "ensemble": {"horizon": 4, "members": ("croston", "patchwork")},
}


def panel_of(sales: np.ndarray, listed_from: int = 0, late: int = 0) -> SalesPanel:
    """Weekly sales; the last `late` items are listed from a period on, all of them where `late` is 0."""
    listed = np.ones(sales.shape, dtype=bool)
    listed[-late:, :listed_from] = False
    dates = pd.date_range("2021-01-04", periods=sales.shape[1], freq="W-MON")
    names = tuple(f"part-{k}" for k in range(len(sales)))
    return SalesPanel(sales * listed, np.ones(sales.shape, dtype=bool), listed, dates, names, "W-MON")


def rare(items: int, periods: int, share: float = 0.03) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(1, 4, (items, periods)) * (rng.random((items, periods)) < share) * 1.0


PANELS = {
    "97 % zeros": panel_of(rare(40, 130)),
    "all zeros": panel_of(np.zeros((12, 60))),
    "one item": panel_of(rare(1, 130, 0.05)),
    "one informative period": panel_of(np.full((6, 40), 2.0), listed_from=39),
    "items that start late": panel_of(rare(20, 130, 0.05), listed_from=115, late=15),
    "all start late": panel_of(rare(20, 130, 0.05), listed_from=118),
}


@pytest.mark.parametrize("name", sorted(FORECASTERS))
@pytest.mark.parametrize("kind", PANELS)
def test_every_forecaster_forecasts_them(name: str, kind: str):
    panel = PANELS[kind]
    forecaster = make_forecaster(name, **QUICK.get(name, {})).fit(panel)
    forecast = forecaster.predict(panel, 4, origins=[panel.periods - 5, panel.periods])
    for values in (forecast.values, forecast.total(4).values):
        assert np.isfinite(values).all()
        assert (values >= 0).all()
        assert (np.diff(values, axis=-1) >= -1e-9).all()


@pytest.mark.parametrize("small", [0, 1, 9, 10, 400])
def test_sizes_that_tie_leave_no_band_empty(small: int):
    """Nearly all forecasts are zero for items that never sold, a few are not: an edge may lie on the tie."""
    point = np.zeros((500, 10, 2))
    point[:small] = np.linspace(0.5, 20, max(small, 1))[:, None, None][:small]
    errors = fit_error_distribution(point, np.random.default_rng(0).poisson(0.1, point.shape) * 1.0, point[:, :, 0])
    assert np.isfinite(errors.table).all()
    assert (np.diff(errors.middle) > 0).all()
    assert len(errors.middle) >= (2 if small == 400 else 1)


def test_nothing_sold_is_forecast_as_nothing():
    panel = PANELS["all zeros"]
    for name in ("seasonal_naive", "croston", "ets", "arima"):
        assert make_forecaster(name).fit(panel).predict(panel, 4).values.max() == 0.0
