"""ARIMA for many items: orders and coefficients from statsforecast, forecasts in one pass over time.

statsforecast can forecast from a later origin with a model that it fitted once (`forward`), at 0.4 to 0.8
milliseconds an item and origin: 4 CPU-seconds for 12 origins of 600 items, and three times that for the errors that
`fit` calibrates on. The recursion below takes 0.04 seconds for the same forecasts, and it bridges periods out of
stock, which the library cannot. So the library fits, and the recursion forecasts.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import FractileError
from ...randomness import keyed_generator
from ..base import Arrays, Config, State
from ..data.panel import SalesPanel
from .ets import check_season, choose_season, fallback_models, fill_gaps
from .library import load_models
from .point import PointForecaster

logger = logging.getLogger(__name__)

FEWEST = 20
"""Informative periods that an item needs for a model of its own, beside those that its orders look back."""
LARGEST: dict[str, Any] = {"max_p": 3, "max_q": 3, "max_P": 1, "max_Q": 1, "max_d": 1, "max_D": 1}
"""Bounds of AutoARIMA's search."""
CONVERGENCE = "possible convergence problem"
"""The library's warning where its optimiser stopped early; such fits lose by their criterion."""


class Order(NamedTuple):
    """Orders of a seasonal ARIMA model, (p, d, q)(P, D, Q), and the periods of its season."""

    p: int = 0
    d: int = 0
    q: int = 0
    P: int = 0
    D: int = 0
    Q: int = 0
    season: int = 1

    @property
    def has_mean(self) -> bool:
        """Whether the series returns to a mean: where nothing is differenced."""
        return self.d + self.D == 0

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names of the coefficients, as statsforecast calls them."""
        counts = {"ar": self.p, "ma": self.q, "sar": self.P, "sma": self.Q}
        return tuple(f"{kind}{k + 1}" for kind, count in counts.items() for k in range(count))

    @property
    def memory(self) -> int:
        """Past values that the next one depends on."""
        return self.p + self.d + self.season * (self.P + self.D)


USUAL = (Order(q=1, d=1), Order(p=1), Order(p=1, q=1))
"""Orders where none can be searched: simple exponential smoothing, and what returns to a mean."""


@dataclass(frozen=True, eq=False)
class Polynomials:
    """Models `z_t = Σ_j a_j z_{t−j} + e_t + Σ_j b_j e_{t−j}` of demand less its mean, z = y − mean.

    Attributes:
        past: a, differences and seasons multiplied out, shape (items, longest). [a]
        errors: b, shape (items, longest). [b]
        mean: units, shape (items,); 0 where something is differenced.
        memory: how many values an item's a reaches back: errors count from then on, shape (items,).
    """

    past: FloatArray
    errors: FloatArray
    mean: FloatArray
    memory: IntArray

    def select(self, rows: IntArray) -> Polynomials:
        """Return the models of some items."""
        return Polynomials(self.past[rows], self.errors[rows], self.mean[rows], self.memory[rows])

    @classmethod
    def join(cls, parts: list[Polynomials]) -> Polynomials:
        """Return the models of all parts, padded with zeros to the longest polynomials."""

        def stack(arrays: list[FloatArray]) -> FloatArray:
            longest = max(array.shape[1] for array in arrays)
            return np.concatenate([np.pad(array, ((0, 0), (0, longest - array.shape[1]))) for array in arrays])

        past, errors = stack([part.past for part in parts]), stack([part.errors for part in parts])
        mean = np.concatenate([part.mean for part in parts])
        return cls(past, errors, mean, np.concatenate([part.memory for part in parts]))


@dataclass(frozen=True, eq=False)
class ArimaModels:
    """ARIMA models of many items.

    Attributes:
        item_ids: the fitted items.
        orders: that each item chooses from.
        choice: the order of each item, −1 where its record is too short for any, shape (items,).
        polynomials: of the items.
    """

    item_ids: tuple[str, ...]
    orders: tuple[Order, ...]
    choice: IntArray
    polynomials: Polynomials

    def forecast(self, panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
        """Return point forecasts of the panel's items, units, shape (items, origins, horizon).

        Items that were not fitted are fitted on what precedes the first origin. Those with a short record are
        smoothed.
        """
        models = self._covering(panel, int(origins.min()))
        rows = pd.Index(models.item_ids).get_indexer(pd.Index(panel.item_ids))
        own, record = models.polynomials.select(rows), panel.until(int(origins.max()))
        run = innovations(own, record.sales, record.informative)
        point = np.maximum(project(own, run, origins, horizon), 0.0)
        short = np.flatnonzero(models.choice[rows] < 0)
        if len(short):
            few = panel.select(short)
            point[short] = fallback_models(few).forecast(few, origins, horizon)
        return point

    def _covering(self, panel: SalesPanel, first: int) -> ArimaModels:
        """Return models of all of a panel's items, fitting those that are new on periods before `first`."""
        fitted = set(self.item_ids)
        new = [i for i, item in enumerate(panel.item_ids) if item not in fitted]
        if not new:
            return self
        other = fit_models(panel.select(new).until(first), self.orders)
        return ArimaModels(
            self.item_ids + other.item_ids,
            self.orders,
            np.concatenate([self.choice, other.choice]),
            Polynomials.join([self.polynomials, other.polynomials]),
        )

    def to_state(self) -> State:
        """Return configuration and arrays."""
        config = {"item_ids": list(self.item_ids), "orders": [list(order) for order in self.orders]}
        own = self.polynomials
        arrays = {"choice": self.choice, "past": own.past, "errors": own.errors, "mean": own.mean, "memory": own.memory}
        return config, {f"arima_{name}": array for name, array in arrays.items()}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        own = Polynomials(*(arrays[f"arima_{name}"] for name in ("past", "errors", "mean", "memory")))
        orders = tuple(Order(*order) for order in config["orders"])
        return cls(tuple(config["item_ids"]), orders, arrays["arima_choice"], own)


class ARIMA(PointForecaster[ArimaModels]):
    """ARIMA models with orders from statsforecast's AutoARIMA and empirical error quantiles.

    AutoARIMA searches the orders of a sample of items, once, without the part of the history whose errors are
    calibrated. The orders found most often are then fitted to every item by conditional least squares
    (statsforecast's ARIMA), and each item keeps the one that suits it best (AICc). Forecasts from many origins
    cost one pass through the data: a period out of stock has its own forecast for a value. Seasons of more than
    24 periods are left out.

    Args:
        horizon: periods ahead over which errors are calibrated; a longer forecast keeps the last one's.
        season_length: periods in a season; 1 for none; by the panel's frequency where None.
        searched: items in the sample.
        orders: how many orders are fitted to every item.
        censoring: as in `PointForecaster`.
    """

    name = "arima"
    model_type = ArimaModels

    def __init__(
        self,
        horizon: int = 12,
        season_length: int | None = None,
        *,
        searched: int = 60,
        orders: int = 3,
        censoring: str = "bound",
    ) -> None:
        super().__init__(horizon, censoring=censoring)
        self.season_length = check_season(season_length)
        for name, value, least in (("searched", searched, 0), ("orders", orders, 1)):
            if value < least:
                raise FractileError(f"{name} must be a whole number >= {least}, got {value}")
        self.searched, self.orders = searched, orders

    def options(self) -> Config:
        """Return the arguments of the constructor."""
        own = {"season_length": self.season_length, "searched": self.searched, "orders": self.orders}
        return {**super().options(), **own}

    def fit_model(self, panel: SalesPanel, before: ArimaModels | None) -> ArimaModels:
        """Fit a model for each item, with the orders found before where there are any."""
        if before is not None:
            return fit_models(panel, before.orders)
        season = choose_season(self.season_length, panel)
        return fit_models(panel, search_orders(panel, season, self.searched, self.orders, FEWEST + season))


def search_orders(panel: SalesPanel, season: int, searched: int, most: int, fewest: int) -> tuple[Order, ...]:
    """Return up to `most` orders, those found most often first.

    Args:
        panel: the history.
        season: periods in a season; 1 for none.
        searched: items in the sample.
        most: orders to return.
        fewest: periods that an item must have to be in the sample.
    """
    able = np.flatnonzero(_has_record(panel, fewest)).tolist()
    # Each item is drawn by its own key, so that the sample does not depend on the order of the items.
    draws = {i: keyed_generator(0, "arima orders", panel.item_ids[i]).random() for i in able}
    sample = sorted(able, key=lambda i: draws[i])[:searched]
    found: Counter[Order] = Counter()
    for i in sample:
        found.update(_search_order(fill_gaps(panel.sales[i], panel.informative[i]), season))
    logger.info("arima: orders in a sample of %d items: %s", len(sample), dict(found))
    common = sorted(found, key=lambda order: (-found[order], order))
    return tuple(dict.fromkeys([*common, *USUAL]))[:most]


def _search_order(series: FloatArray, season: int) -> list[Order]:
    """Return AutoARIMA's order of a series, or none where no order fits."""
    library = load_models()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", CONVERGENCE, UserWarning)
            model = library.AutoARIMA(season_length=season, allowdrift=False, **LARGEST).fit(series).model_
    except Exception as fault:  # the library raises bare exceptions where no order fits
        logger.debug("arima: %s", fault)
        return []
    p, q, seasonal_p, seasonal_q, _, d, seasonal_d = model["arma"]
    return [Order(p, d, q, seasonal_p, seasonal_d, seasonal_q, season)]


def fit_models(panel: SalesPanel, orders: tuple[Order, ...]) -> ArimaModels:
    """Fit every order to every item and keep the one with the least criterion.

    The criterion is Akaike's, corrected for short records (AICc). One-step errors of all orders are counted over
    the same periods, so that orders with other differences can be compared.
    """
    known = panel.informative
    warm_up = max(order.memory for order in orders)
    enough = _has_record(panel, FEWEST + warm_up)
    since = np.arange(panel.periods) - known.argmax(axis=1)[:, None]
    counted = known & (since >= warm_up)
    number = np.maximum(counted.sum(axis=1), 1)
    each, criteria = [], []
    for order in orders:
        coefficients, mean = _fit_order(panel, order, enough)
        models = expand(order, np.nan_to_num(coefficients), mean)
        errors = np.where(counted, innovations(models, panel.sales, known).errors, 0.0)
        free = len(order.coefficients) + order.has_mean + 1
        correction = 2 * free * (free + 1) / np.maximum(number - free - 1, 1e-3)
        criterion = number * np.log((errors**2).sum(axis=1) / number + 1e-12) + 2 * free + correction
        criteria.append(np.where(np.isnan(coefficients).any(axis=1), np.inf, criterion))
        each.append(models)
    choice = np.argmin(np.stack(criteria), axis=0)
    chosen = Polynomials.join(each).select(choice * panel.items + np.arange(panel.items))
    fitted = enough & np.isfinite(np.min(criteria, axis=0))
    return ArimaModels(panel.item_ids, orders, np.where(fitted, choice, -1), chosen)


def _fit_order(panel: SalesPanel, order: Order, enough: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return one order's coefficients (items, coefficients), NaN where none are usable, and means (items,)."""
    names = order.coefficients
    coefficients, mean = np.full((panel.items, len(names)), np.nan if names else 0.0), np.zeros(panel.items)
    model = load_models().ARIMA(
        order=(order.p, order.d, order.q),
        season_length=order.season,
        seasonal_order=(order.P, order.D, order.Q),
        include_mean=order.has_mean,
        method="CSS",
    )
    for i in np.flatnonzero(enough):
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", CONVERGENCE, UserWarning)
                found = model.fit(fill_gaps(panel.sales[i], panel.informative[i])).model_["coef"]
        except Exception as fault:  # the library raises bare exceptions where it cannot fit
            logger.debug("arima %s of %s: %s", order, panel.item_ids[i], fault)
            continue
        values = np.array([found[name] for name in names])
        if _is_stable(order, values):
            coefficients[i], mean[i] = values, found.get("intercept", 0.0)
    return coefficients, mean


def _is_stable(order: Order, coefficients: FloatArray) -> bool:
    """Whether autoregressions are stationary and moving averages invertible; least squares does not see to it."""
    blocks = np.split(coefficients, np.cumsum([order.p, order.q, order.P]))
    # A moving average is invertible where the autoregression of the opposite sign is stationary.
    roots = [np.roots([1.0, *sign * block]) for sign, block in zip((-1.0, 1.0, -1.0, 1.0), blocks, strict=True)]
    return bool(np.isfinite(coefficients).all()) and all((np.abs(found) < 1.0).all() for found in roots)


def _has_record(panel: SalesPanel, fewest: int) -> BoolArray:
    """Return which items have so many informative periods, and sold something in them."""
    known = panel.informative
    return (known.sum(axis=1) >= fewest) & (np.where(known, panel.sales, 0.0) > 0).any(axis=1)


def expand(order: Order, coefficients: FloatArray, mean: FloatArray) -> Polynomials:
    """Multiply the polynomials out: `φ(B) Φ(B^m) (1 − B)^d (1 − B^m)^D` and `θ(B) Θ(B^m)`.

    Args:
        order: of all items.
        coefficients: φ, θ, Φ, Θ one after another as Box and Jenkins sign them but for θ and Θ, which are
            added (as R and statsforecast do), shape (items, p + q + P + Q).
        mean: units, shape (items,).
    """
    phi, theta, seasonal_phi, seasonal_theta = np.split(coefficients, np.cumsum([order.p, order.q, order.P]), axis=1)
    past = _multiply(_in_lags(-phi, 1), _in_lags(-seasonal_phi, order.season))
    for lag, times in ((1, order.d), (order.season, order.D)):
        for _ in range(times):
            past = _multiply(past, _in_lags(-np.ones((len(mean), 1)), lag))
    errors = _multiply(_in_lags(theta, 1), _in_lags(seasonal_theta, order.season))
    return Polynomials(-past[:, 1:], errors[:, 1:], mean, np.full(len(mean), order.memory))


def _in_lags(coefficients: FloatArray, lag: int) -> FloatArray:
    """Return `1 + Σ_k c_k B^(k·lag)` as coefficients of B^0, B^1, …, shape (items, degree + 1)."""
    items, number = coefficients.shape
    out = np.zeros((items, number * lag + 1))
    out[:, 0] = 1.0
    out[:, lag::lag] = coefficients
    return out


def _multiply(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return products of polynomials, item by item."""
    out = np.zeros((len(one), one.shape[1] + other.shape[1] - 1))
    for k in range(one.shape[1]):
        out[:, k : k + other.shape[1]] += one[:, k : k + 1] * other
    return out


class Innovations(NamedTuple):
    """Values with gaps filled by their own forecasts, and one-step errors, each (items, periods)."""

    values: FloatArray
    errors: FloatArray


def innovations(model: Polynomials, sales: FloatArray, known: BoolArray) -> Innovations:
    """Run through the record of every item, one step ahead at a time.

    Before an item's first known period nothing happens. The first values that others depend on have no error
    (conditional least squares). A period that is not known has its own forecast for a value, so no error; one
    so early that there is no forecast repeats the value before.

    Args:
        model: of the items.
        sales: units, shape (items, periods).
        known: where sales were demand, the same shape.
    """
    items, periods = sales.shape
    reach, echo = model.past.shape[1], model.errors.shape[1]
    values, errors = np.zeros((items, reach + periods)), np.zeros((items, echo + periods))
    past, moving = model.past[:, ::-1], model.errors[:, ::-1]
    centred = sales - model.mean[:, None]
    age = np.arange(periods) - np.where(known.any(axis=1), known.argmax(axis=1), periods)[:, None]
    for t in range(periods):
        foretold = np.einsum("ij,ij->i", past, values[:, t : t + reach])
        foretold += np.einsum("ij,ij->i", moving, errors[:, t : t + echo])
        early = age[:, t] < model.memory
        before = values[:, reach + t - 1] if reach else np.zeros(items)
        unknown = np.where(early, before, foretold)
        now = np.where(known[:, t], centred[:, t], np.where(age[:, t] < 0, 0.0, unknown))
        values[:, reach + t] = now
        errors[:, echo + t] = np.where(early | ~known[:, t], 0.0, now - foretold)
    return Innovations(values[:, reach:], errors[:, echo:])


def project(model: Polynomials, record: Innovations, origins: IntArray, horizon: int) -> FloatArray:
    """Return forecasts from every origin, units, shape (items, origins, horizon); later errors are zero."""
    reach, echo = model.past.shape[1], model.errors.shape[1]
    values = _before_origins(record.values, origins, reach, horizon)
    errors = _before_origins(record.errors, origins, echo, horizon)
    past, moving = model.past[:, None, ::-1], model.errors[:, None, ::-1]
    for step in range(horizon):
        foretold = (past * values[..., step : step + reach]).sum(-1)
        values[..., reach + step] = foretold + (moving * errors[..., step : step + echo]).sum(-1)
    return values[..., reach:] + model.mean[:, None, None]


def _before_origins(values: FloatArray, origins: IntArray, reach: int, horizon: int) -> FloatArray:
    """Return the `reach` values before each origin and zeros over the horizon: (items, origins, reach + horizon)."""
    out = np.zeros((len(values), len(origins), reach + horizon))
    if reach:
        padded = np.pad(values, ((0, 0), (reach, 0)))
        out[..., :reach] = sliding_window_view(padded, reach, axis=1)[:, origins]
    return out
