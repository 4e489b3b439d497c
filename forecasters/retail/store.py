"""How the embedded retail panel was restocked, and so which of its demand could be sold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import BoolArray, FloatArray
from ...randomness import keyed_generator
from .market import SUPPLIERS, Market, Traits

_SAFETY = 1.9
"""Standard deviations of protection-interval demand that the planner keeps as safety."""
_FORESIGHT = 0.7
"""The share of a promotion's effect on log demand that the planner expects."""
_SMOOTHING = 0.12
_LATE_SHARE = 0.05
_LATE_BY = 2


class StoreRecord(NamedTuple):
    """What the shop saw.

    Attributes:
        sales: units, shape (items, periods).
        in_stock: False where demand was cut or nothing could be bought, shape (items, periods).
        on_hand: units at the end, shape (items,).
        arriving: units due at the start of the next period, the one after it, ..., shape (items, slots).
    """

    sales: FloatArray
    in_stock: BoolArray
    on_hand: FloatArray
    arriving: FloatArray


def run_store(traits: Traits, market: Market, demand: FloatArray, seed: int) -> StoreRecord:
    """Sell under a base-stock rule whose forecast smooths censored sales and expects most of a promotion.

    Each period: order up to the level, receive what is due, sell min(available, demand). Some weeks' orders
    at a supplier come two periods late.
    """
    (items, periods), listed = demand.shape, market.listed
    lead_time = traits.lead_time
    due = np.zeros((items, periods + int(lead_time.max()) + 1))
    sales, in_stock = np.zeros_like(demand), np.ones_like(listed)
    late = _late_orders(traits, periods, seed)
    forecast, on_hand, on_order = traits.base.copy(), np.zeros(items), np.zeros(items)
    uplift, ahead = _planned(traits, market)
    rows = np.arange(items)
    for t in range(periods):
        level = _order_up_to(forecast, ahead[:, t], traits)
        opens = listed[:, t] & ((t == 0) | (traits.launch == t))
        on_hand[opens] = level[opens]
        order = _in_packs(level - on_hand - on_order, traits.pack_size) * listed[:, t]
        arrival = t + lead_time + np.where(late[:, t] & (t + lead_time + _LATE_BY < periods), _LATE_BY, 0)
        due[rows, arrival] += order
        on_hand += due[:, t]
        on_order += order - due[:, t]
        sales[:, t] = np.minimum(demand[:, t], on_hand)
        in_stock[:, t] = ((demand[:, t] <= on_hand) & (on_hand > 0)) | ~listed[:, t]
        on_hand -= sales[:, t]
        forecast = _learned(forecast, sales[:, t] / uplift[:, t], in_stock[:, t] & listed[:, t])
    return StoreRecord(sales, in_stock, on_hand, due[:, periods : periods + int(lead_time.max())])


def _planned(traits: Traits, market: Market) -> tuple[FloatArray, FloatArray]:
    """Return the planner's factor on the forecast: in each period, and summed over protection intervals."""
    uplift = np.exp(_FORESIGHT * market.price_effect)
    longest = int(traits.lead_time.max()) + 1
    padded = np.concatenate([uplift, np.ones((len(uplift), longest))], axis=1)
    summed = np.cumsum(np.pad(padded, ((0, 0), (1, 0))), axis=1)
    start = np.arange(uplift.shape[1])
    end = start + traits.lead_time[:, None] + 1
    return uplift, np.take_along_axis(summed, end, axis=1) - summed[:, start]


def _order_up_to(forecast: FloatArray, ahead: FloatArray, traits: Traits) -> FloatArray:
    mean = forecast * ahead
    return np.ceil(mean + _SAFETY * np.sqrt(mean + mean * forecast / traits.dispersion))


def _in_packs(units: FloatArray, pack_size: FloatArray) -> FloatArray:
    return np.ceil(np.maximum(units, 0.0) / pack_size) * pack_size


def _learned(forecast: FloatArray, sales: FloatArray, told: BoolArray) -> FloatArray:
    useful = told | (sales > forecast)
    return np.maximum(0.05, forecast + _SMOOTHING * useful * (sales - forecast))


def _late_orders(traits: Traits, periods: int, seed: int) -> BoolArray:
    late = [keyed_generator(seed, "retail late", name).random(periods) < _LATE_SHARE for name in SUPPLIERS]
    by_item: BoolArray = np.array(late)[traits.supplier]
    return by_item
