"""The conformance check of forecasters: does a class keep the contract of `fractile.Forecaster`?"""

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
DEAD = 6
"""Items that have stopped selling, beside those of a panel."""
WEEKLY_ITEMS, CENSORED_ITEMS = 6, 24
ForecasterFactory = Callable[[], Forecaster]


def check_forecaster(forecaster: Forecaster | ForecasterFactory, panel: SalesPanel | None = None) -> None:
    """Check that a forecaster keeps the contract of `fractile.forecasters.base.Forecaster`.

    Shapes, order and range of quantiles; the same forecast twice, from a copy written to a file and read back, and
    after another fit; many origins in one call equal to one at a time; no peeking: a change of whatever an
    origin must not know changes nothing, the daily sales of a week that is forecast included; costs and lead times of
    the items change nothing; items that have stopped selling change nothing for the others and are forecast near zero;
    and stock-outs are lower bounds of demand.

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
    expected = (panel.items, len(origins), HORIZON, len(DEFAULT_LEVELS))
    _require(forecast.values.shape == expected, made, "shape", f"expected {expected}, got {forecast.values.shape}")
    _require(forecast.item_ids == panel.item_ids, made, "items", "the forecast's item_ids are not the panel's")
    _require(bool(np.isfinite(forecast.values).all()), made, "finite", "a quantile is NaN or infinite")
    _require(bool((forecast.values >= 0).all()), made, "range", f"a quantile is {forecast.values.min():.3g} < 0")
    fall = float(np.diff(forecast.values, axis=-1).min())
    _require(fall >= -1e-9, made, "order", f"quantiles cross: a higher level lies {-fall:.3g} lower")
    dated = forecast.dates is not None and list(forecast.dates) == list(panel.dates[forecast.origins])
    _require(dated, made, "dates", "the forecast's dates must be those of its origins")
    for levels in ((0.25, 0.75), (0.123, 0.5, 0.777, 0.975)):
        other = made.predict(panel, HORIZON, levels, origins=origins)
        same = np.array_equal(other.levels, levels) and other.values.shape[-1] == len(levels)
        _require(same, made, "levels", f"{levels} were requested, got {other.levels}")
        _require(bool((np.diff(other.values) >= -1e-9).all()), made, "levels", f"quantiles at {levels} cross")

    _require_equal(made.predict(panel, HORIZON, origins=origins), forecast, made, "determinism")
    for k, origin in enumerate(origins):
        alone = made.predict(panel, HORIZON, origins=[origin])
        _require_equal(alone, forecast.at_origin(k), made, "many origins equal single origins")
        other = made.predict(disturb(panel, origin, HORIZON), HORIZON, origins=[origin])
        _require_equal(other, forecast.at_origin(k), made, f"no peeking (origin {origin}, later data changed)")

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
    again = copy.predict(panel, HORIZON, origins=origins)
    _require_equal(again, forecast, made, "a rebuilt copy forecasts the same", exact=True)

    refitted = build()
    refitted.fit(small_panel(seed=1))
    refitted.fit(panel.until(panel.periods - HORIZON))
    again = refitted.predict(panel, HORIZON, origins=origins)
    _require_equal(again, forecast, made, "an earlier fit leaves no trace, and fits repeat")
    _check_costs(build, panel, forecast)
    _check_dead_items(build, panel, forecast)
    _check_week_of_target(build)
    _check_stock_outs(build)


def _check_costs(build: ForecasterFactory, panel: SalesPanel, forecast: QuantileForecast) -> None:
    """A forecast must not know what it costs to miss it: parameters of the items are no features."""
    ids = list(panel.item_ids)
    parameters = {"lead_time": 1 + np.arange(panel.items) % 4, "stockout_cost": 1.0 + 9.0 * np.arange(panel.items)}
    static = pd.DataFrame({**panel.attributes, **parameters}, index=ids)
    dear = replace(panel, static=static)
    made = build().fit(dear.until(panel.periods - HORIZON))
    again = made.predict(dear, HORIZON, origins=forecast.origins)
    _require_equal(again, forecast, made, "unaffected by costs and lead times of the items")


def _check_dead_items(build: ForecasterFactory, panel: SalesPanel, forecast: QuantileForecast) -> None:
    """Items that no longer sell must change nothing for the others, and are forecast near zero."""
    rng = keyed_generator(0, "conformance dead items")
    copies = panel.select(np.arange(min(DEAD, panel.items)))
    alive = np.arange(panel.periods) < panel.periods // 3
    sales = np.where(alive, rng.poisson(6.0, copies.sales.shape) + 1.0, 0.0)
    everywhere = np.ones(sales.shape, dtype=bool)
    names = tuple(f"no longer sold {k}" for k in range(copies.items))
    dead = replace(copies, sales=sales, in_stock=everywhere, listed=everywhere, item_ids=names, availability=None)
    both = _side_by_side(panel, dead)
    made = build().fit(both.until(panel.periods - HORIZON))
    again = made.predict(both, HORIZON, origins=forecast.origins)
    live = np.arange(panel.items)
    _require_equal(again.select(live), forecast, made, "unaffected by items that have stopped selling")
    most = float(again.values[panel.items :, -1].max())
    message = f"an item without a sale in {panel.periods * 2 // 3} periods has a quantile of {most:.3g}"
    _require(most <= 0.1, made, "items that have stopped selling are forecast near zero", message)


def _check_week_of_target(build: ForecasterFactory) -> None:
    """Weekly values of what is known ahead must not carry the daily sales of the week that is forecast."""
    days = pd.date_range("2023-01-02", periods=7 * PERIODS, freq="D")
    rng = keyed_generator(0, "conformance days")
    number = len(days)
    frames = [
        pd.DataFrame(
            {
                "item_id": f"item-{i}",
                "date": days,
                "sales": rng.poisson(3.0 + i, number),
                # The price moves within the week, so that a mean weighted by sales would move with them.
                "price": 10.0 - (rng.random(number) < 0.3) - 2.0 * (rng.random(number) < 0.1),
            }
        )
        for i in range(WEEKLY_ITEMS)
    ]
    frame = pd.concat(frames, ignore_index=True)
    origin = PERIODS - HORIZON
    later = frame["date"] >= days[7 * origin]
    moved = frame.assign(sales=frame["sales"].where(~later, rng.poisson(8.0, len(frame))))
    weekly = [SalesPanel.from_frame(each, known=("price",), freq="W-MON") for each in (frame, moved)]
    made = build().fit(weekly[0].until(origin))
    one, other = (made.predict(panel, HORIZON, origins=[origin]) for panel in weekly)
    _require_equal(other, one, made, "unaffected by the daily sales of the weeks that are forecast")


def _check_stock_outs(build: ForecasterFactory) -> None:
    """Demand that is met from a low stock by turns is forecast as demand, and not as demand in stock."""
    rng = keyed_generator(0, "conformance stock-outs")
    shape = (CENSORED_ITEMS, 2 * PERIODS)
    demand = rng.poisson(8.0, shape).astype(np.float64)
    stock = np.where(rng.random(shape) < 2 / 3, 9.0, np.inf)
    everywhere = np.ones(shape, dtype=bool)
    full = SalesPanel(
        sales=demand,
        in_stock=everywhere,
        listed=everywhere,
        dates=pd.date_range("2023-01-02", periods=shape[1], freq="W-MON"),
        item_ids=tuple(f"item-{i}" for i in range(shape[0])),
        freq="W-MON",
    )
    short = replace(full, sales=np.minimum(demand, stock), in_stock=demand <= stock)
    made = build()
    of_demand, of_sales = (
        float(made.fit(panel).predict(panel, HORIZON, origins=[100, 110, shape[1]]).mean().mean())
        for panel in (full, short)
    )
    in_stock = float(short.sales[short.in_stock].mean() / demand.mean())
    share = of_sales / of_demand
    message = (
        f"a mean of {share:.3f} of that with all demand on record, where sales in stock have {in_stock:.3f}: "
        "sales out of stock are lower bounds of demand"
    )
    _require(abs(share - 1.0) <= 0.5 * (1.0 - in_stock), made, "honest under stock-outs", message)


def _side_by_side(one: SalesPanel, other: SalesPanel) -> SalesPanel:
    """Return a panel of the items of both."""

    def join(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([a, b])

    static = pd.concat([one.static, other.static.set_axis(list(other.item_ids))]) if len(one.static) else one.static
    return replace(
        one,
        sales=join(one.sales, other.sales),
        in_stock=join(one.in_stock, other.in_stock),
        listed=join(one.listed, other.listed),
        item_ids=(*one.item_ids, *other.item_ids),
        known={name: join(values, other.known[name]) for name, values in one.known.items()},
        observed={name: join(values, other.observed[name]) for name, values in one.observed.items()},
        static=static,
        availability=None,
    )


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
        availability=None,
        known={name: change(values, beyond) for name, values in panel.known.items()},
        observed={name: change(values, later) for name, values in panel.observed.items()},
    )


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
