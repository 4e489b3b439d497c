"""ARIMA for many items: a few orders for all, parameters for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from ..base import Arrays, Config, State
from ..data.panel import SalesPanel
from ..point import PointForecaster
from .arima_fit import fit_order
from .arima_orders import searched_orders
from .arima_recursion import Order, Polynomials, innovations, projected
from .smoothing import unfitted
from .statistical import checked_season, season_or_none

FEWEST = 20
"""Informative periods that an item needs for parameters of its own, with those that its orders look back."""


@dataclass(frozen=True, eq=False)
class ArimaModels:
    """ARIMA models of many items.

    Attributes:
        item_ids: the fitted items.
        orders: what items choose from.
        choice: which order each item has, −1 where its record is too short for any, shape (items,).
        polynomials: of the items, padded with zeros.
    """

    item_ids: tuple[str, ...]
    orders: tuple[Order, ...]
    choice: IntArray
    polynomials: Polynomials

    @cached_property
    def position(self) -> dict[str, int]:
        """Row of each item."""
        return {item: row for row, item in enumerate(self.item_ids)}

    def forecast(self, panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
        """Return point forecasts of the panel's items, units, shape (items, origins, horizon).

        Items that were not fitted are fitted on what precedes the first origin. Those with a short record are
        smoothed.
        """
        models = self.covering(panel, int(origins.min()))
        rows = np.array([models.position[item] for item in panel.item_ids])
        own = _rows(models.polynomials, rows)
        record = panel.until(int(origins.max()))
        run = innovations(own, record.sales, record.informative)
        point = np.maximum(projected(own, run, origins, horizon), 0.0)
        short = np.flatnonzero(models.choice[rows] < 0)
        if len(short):
            few = panel.select(short)
            point[short] = unfitted(few).forecast(few, origins, horizon)
        return point

    def covering(self, panel: SalesPanel, first: int) -> ArimaModels:
        """Return models for all of a panel's items, fitting those that are new on periods before `first`."""
        new = [i for i, item in enumerate(panel.item_ids) if item not in self.position]
        if not new:
            return self
        other = fit_models(panel.select(new).until(first), self.orders)
        return ArimaModels(
            self.item_ids + other.item_ids,
            self.orders,
            np.concatenate([self.choice, other.choice]),
            joined([self.polynomials, other.polynomials]),
        )

    def to_state(self) -> State:
        """Return configuration and arrays."""
        config = {"item_ids": list(self.item_ids), "orders": [list(order) for order in self.orders]}
        own = self.polynomials
        arrays = {"choice": self.choice, "past": own.past, "errors": own.errors, "mean": own.mean, "memory": own.memory}
        return config, {f"arima_{name}": array for name, array in arrays.items()}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> ArimaModels:
        """Rebuild from `to_state()`."""
        own = Polynomials(*(arrays[f"arima_{name}"] for name in ("past", "errors", "mean", "memory")))
        orders = tuple(Order(*order) for order in config["orders"])
        return cls(tuple(config["item_ids"]), orders, arrays["arima_choice"], own)


def fit_models(panel: SalesPanel, orders: tuple[Order, ...]) -> ArimaModels:
    """Fit every order to every item and keep the one with the least criterion.

    One-step errors of all orders are counted over the same periods, so that orders with other differences
    can be compared.
    """
    known = panel.informative
    warm_up = max(order.memory for order in orders)
    enough = (known.sum(axis=1) >= FEWEST + warm_up) & (np.where(known, panel.sales, 0.0) > 0).any(axis=1)
    sales = np.where(known, panel.sales, 0.0)
    fits = [fit_order(sales, known, order, warm_up) for order in orders]
    choice = np.argmin(np.stack([fit.criterion for fit in fits]), axis=0)
    all_ = joined([fit.model for fit in fits])
    chosen = _rows(all_, choice * panel.items + np.arange(panel.items))
    return ArimaModels(panel.item_ids, orders, np.where(enough, choice, -1), chosen)


def joined(parts: list[Polynomials]) -> Polynomials:
    """Return the models of all parts, padded to the longest polynomials."""
    past = _padded([part.past for part in parts])
    errors = _padded([part.errors for part in parts])
    mean = np.concatenate([part.mean for part in parts])
    return Polynomials(past, errors, mean, np.concatenate([part.memory for part in parts]))


class ARIMA(PointForecaster[ArimaModels]):
    """ARIMA models with orders from statsforecast's AutoARIMA and empirical error quantiles.

    AutoARIMA searches the orders of a sample of items, once, without the part of the history whose errors are
    learnt. The orders found most often are then fitted to every item by conditional least squares, and each
    item keeps the one that suits it best (AICc). Forecasts from many origins cost one pass through the data:
    a period out of stock has its own forecast for a value. Seasons of more than 24 periods are left out.

    Args:
        horizon: periods ahead over which errors are learnt; a longer forecast keeps the last one's.
        season_length: periods in a season; 1 for none; by the panel's frequency where None.
        searched: items in the sample.
        orders: how many orders are fitted to every item.
    """

    name = "arima"

    def __init__(
        self, horizon: int = 12, season_length: int | None = None, *, searched: int = 60, orders: int = 3
    ) -> None:
        super().__init__(horizon)
        self.season_length = checked_season(season_length)
        for name, value, least in (("searched", searched, 0), ("orders", orders, 1)):
            if value < least:
                raise FractileError(f"{name} must be a whole number >= {least}, got {value}")
        self.searched, self.orders = searched, orders

    def options(self) -> Config:
        """Return the arguments of the constructor."""
        own = {"season_length": self.season_length, "searched": self.searched, "orders": self.orders}
        return {**super().options(), **own}

    def learn(self, panel: SalesPanel, before: ArimaModels | None) -> ArimaModels:
        """Fit a model for each item, with the orders found before where there are any."""
        if before is not None:
            return fit_models(panel, before.orders)
        season = season_or_none(self.season_length, panel)
        return fit_models(panel, searched_orders(panel, season, self.searched, self.orders, FEWEST + season))

    def points(self, model: ArimaModels, panel: SalesPanel, origins: IntArray, horizon: int) -> FloatArray:
        """Return point forecasts, units, shape (items, origins, horizon)."""
        return model.forecast(panel, origins, horizon)

    def model_state(self, model: ArimaModels) -> State:
        """Return what `model_from` needs."""
        return model.to_state()

    @classmethod
    def model_from(cls, config: Config, arrays: Arrays) -> ArimaModels:
        """Rebuild the models."""
        return ArimaModels.from_state(config, arrays)


def _rows(models: Polynomials, rows: IntArray) -> Polynomials:
    return Polynomials(models.past[rows], models.errors[rows], models.mean[rows], models.memory[rows])


def _padded(parts: list[FloatArray]) -> FloatArray:
    longest = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, longest - part.shape[1]))) for part in parts])
