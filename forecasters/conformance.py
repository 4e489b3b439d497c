"""Conformance checks for forecasters: shapes, determinism, no peeking, and storage."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import FractileError
from ..randomness import keyed_generator
from .base import Forecaster
from .data.panel import SalesPanel
from .forecast import DEFAULT_LEVELS, QuantileForecast
from .storage import load_state, save_state

HORIZON = 6
PERIODS = 60
ITEMS = 10

ForecasterFactory = Callable[[], Forecaster]


def check_forecaster(forecaster: Forecaster | ForecasterFactory, panel: SalesPanel | None = None) -> None:
    """Check that a forecaster keeps the contract of `fractile.forecasters.base.Forecaster`.

    Shapes, order and range of quantiles; the same forecast twice, from a copy written to a file and read back, and
    after another fit; many origins in one call equal to one at a time; and no peeking: a change of whatever an
    origin must not know changes nothing.

    Args:
        forecaster: one forecaster, or a function that builds a new one.
        panel: history to try it on, 30 periods or more; a small synthetic one where None.

    Raises:
        FractileError: names the check that failed, and how.
    """
    panel = small_panel() if panel is None else panel
    build = forecaster if callable(forecaster) else lambda: forecaster
    made = build().fit(panel.until(panel.periods - HORIZON))
    origins = [panel.periods - 2 * HORIZON, panel.periods - HORIZON]
    forecast = made.predict(panel, HORIZON, origins=origins)
    _check_values(made, panel, forecast)
    _check_levels(made, panel, origins)
    _check_origins(made, panel, forecast)
    _check_no_peeking(made, panel, forecast)
    _check_state(made, panel, forecast)
    _check_refit(build, made, panel, forecast)


def small_panel(items: int = ITEMS, periods: int = PERIODS, seed: int = 0) -> SalesPanel:
    """Return a small history: season, promotions, an observed covariate, stock-outs and a late launch."""
    rng = keyed_generator(seed, "conformance panel")
    promotion = (rng.random((items, periods)) < 0.15).astype(np.float64)
    price = np.exp(rng.normal(1.0, 0.5, (items, 1))) * (1.0 - 0.25 * promotion)
    level = np.exp(rng.normal(1.2, 1.0, (items, 1)))
    season = 1.0 + 0.4 * np.sin(2 * np.pi * np.arange(periods) / 52.0)
    demand = rng.poisson(level * season * (1.0 + promotion)).astype(np.float64)
    in_stock = rng.random((items, periods)) > 0.08
    listed = np.ones((items, periods), dtype=bool)
    listed[-1, : periods // 3] = False
    names = tuple(f"item-{i}" for i in range(items))
    return SalesPanel(
        sales=np.where(in_stock & listed, demand, 0.0),
        in_stock=in_stock,
        listed=listed,
        dates=pd.date_range("2023-01-02", periods=periods, freq="W-MON"),
        item_ids=names,
        freq="W-MON",
        known={"price": price, "promotion": promotion},
        observed={"views": rng.poisson(20.0 * level * season).astype(np.float64)},
        static=pd.DataFrame({"group": [f"g{i % 3}" for i in range(items)]}, index=list(names)),
    )


def disturb(panel: SalesPanel, origin: int, horizon: int) -> SalesPanel:
    """Return the panel with everything changed that a forecast from `origin` must not know."""
    later, beyond = slice(origin, None), slice(origin + horizon, None)

    def change(values: NDArray[Any], span: slice) -> NDArray[Any]:
        other = values.copy()
        other[:, span] = ~other[:, span] if other.dtype == bool else 3.0 * other[:, span] + 7.0
        return other

    return replace(
        panel,
        sales=change(panel.sales, later),
        in_stock=change(panel.in_stock, later),
        listed=change(panel.listed, later),
        known={name: change(values, beyond) for name, values in panel.known.items()},
        observed={name: change(values, later) for name, values in panel.observed.items()},
    )


def _check_values(made: Forecaster, panel: SalesPanel, forecast: QuantileForecast) -> None:
    expected = (panel.items, 2, HORIZON, len(DEFAULT_LEVELS))
    _require(forecast.values.shape == expected, made, "shape", f"expected {expected}, got {forecast.values.shape}")
    _require(forecast.item_ids == panel.item_ids, made, "items", "the forecast's item_ids are not the panel's")
    _require(bool(np.isfinite(forecast.values).all()), made, "finite", "a quantile is NaN or infinite")
    _require(bool((forecast.values >= 0).all()), made, "range", f"a quantile is {forecast.values.min():.3g} < 0")
    fall = float(np.diff(forecast.values, axis=-1).min())
    _require(fall >= -1e-9, made, "order", f"quantiles cross: a higher level lies {-fall:.3g} lower")
    dated = forecast.dates is not None and list(forecast.dates) == list(panel.dates[forecast.origins])
    _require(dated, made, "dates", "the forecast's dates must be those of its origins")


def _check_levels(made: Forecaster, panel: SalesPanel, origins: list[int]) -> None:
    for levels in ((0.25, 0.75), (0.123, 0.5, 0.777, 0.975)):
        forecast = made.predict(panel, HORIZON, levels, origins=origins)
        same = np.array_equal(forecast.levels, levels) and forecast.values.shape[-1] == len(levels)
        _require(same, made, "levels", f"{levels} were asked for, got {forecast.levels}")
        _require(bool((np.diff(forecast.values) >= -1e-9).all()), made, "levels", f"quantiles at {levels} cross")


def _check_origins(made: Forecaster, panel: SalesPanel, forecast: QuantileForecast) -> None:
    _require_equal(made.predict(panel, HORIZON, origins=list(forecast.origins)), forecast, made, "determinism")
    for k, origin in enumerate(forecast.origins):
        alone = made.predict(panel, HORIZON, origins=[int(origin)])
        _require_equal(alone, forecast.at_origin(k), made, "many origins equal single origins")


def _check_no_peeking(made: Forecaster, panel: SalesPanel, forecast: QuantileForecast) -> None:
    for k, origin in enumerate(forecast.origins):
        other = made.predict(disturb(panel, int(origin), HORIZON), HORIZON, origins=[int(origin)])
        _require_equal(other, forecast.at_origin(k), made, f"no peeking (origin {origin}, later data changed)")


def _check_state(made: Forecaster, panel: SalesPanel, forecast: QuantileForecast) -> None:
    config, arrays = made.to_state()
    try:
        with tempfile.TemporaryDirectory() as folder:
            save_state(Path(folder), "checked", config, arrays)
            copy = type(made).from_state(*load_state(Path(folder), "checked"))
    except Exception as fault:
        raise FractileError(
            f"forecaster {made.name!r} fails the check 'state': it cannot be written to a file and read back "
            f"({type(fault).__name__}: {fault})"
        ) from fault
    again = copy.predict(panel, HORIZON, origins=forecast.origins)
    _require_equal(again, forecast, made, "a rebuilt copy forecasts the same", exact=True)


def _check_refit(build: ForecasterFactory, made: Forecaster, panel: SalesPanel, forecast: QuantileForecast) -> None:
    other = build()
    other.fit(small_panel(seed=1))
    other.fit(panel.until(panel.periods - HORIZON))
    again = other.predict(panel, HORIZON, origins=forecast.origins)
    _require_equal(again, forecast, made, "an earlier fit leaves no trace, and fits repeat")


def _require_equal(
    got: QuantileForecast, expected: QuantileForecast, made: Forecaster, check: str, *, exact: bool = False
) -> None:
    tolerance = 0.0 if exact else 1e-4
    totals = got.total(HORIZON).values, expected.total(HORIZON).values
    for what, a, b in (("quantiles", got.values, expected.values), ("sums over the horizon", *totals)):
        gap = float(np.max(np.abs(a - b) / (1.0 + np.abs(b))))
        _require(gap <= tolerance, made, check, f"{what} differ by up to {gap:.3g} (relative)")


def _require(holds: bool, made: Forecaster, check: str, message: str) -> None:
    if not holds:
        raise FractileError(f"forecaster {made.name!r} fails the check {check!r}: {message}")
