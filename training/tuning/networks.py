"""Policies of networks: their coordinates, in which the untuned form is the origin.

The two suppliers of an item are tuned item by item. The levels of a chain, or of warehouses and stores, act together:
locations at the same distance from demand share a coordinate, and the cost of the whole network decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import norm

from ...arrays import FloatArray
from ...envs.networks.network import OUTSIDE, Network
from ...errors import FractileError
from ...policies.base import Policy
from ...policies.base_stock import EchelonBaseStock
from ...policies.dual_sourcing import CappedDualIndex, DualIndex, SingleIndex, TailoredBaseSurge
from .fixed import NO_CAP, Form, History
from .search import Axis

LEVELS = tuple(float(u) for u in np.round(np.arange(-2.5, 1.51, 0.5), 2))
POSITIONS = tuple(float(u) for u in np.round(np.arange(-4.0, 1.01, 0.25), 2))
"""Of the single index: every gap between its levels has a valley of its own, narrow and far below the newsvendor's."""

GAPS = tuple(float(u) for u in np.round(np.arange(-2.0, 3.01, 0.5), 2))
CAPS = (-0.5, 0.0, 0.5, 1.0, NO_CAP)
SHARES = tuple(float(u) for u in np.round(np.arange(-0.4, 0.11, 0.1), 2))
BASE = 0.9
"""The untuned regular order of a tailored base-surge, as a share of mean demand."""


def _suppliers(history: History, name: str) -> tuple[Network, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the network, both untuned levels and both standard deviations, regular and expedited, by item."""
    network: Any = history.params
    usable = isinstance(network, Network) and len(network.links) == 2 * network.locations
    if not usable or not (network.source == OUTSIDE).all():
        raise FractileError(f"{name} is tuned for two suppliers of each item: give fr.networks.dual_sourcing(...)")
    slow, fast = np.split(network.lead_time, 2)
    ratio = network.stock.critical_ratio
    levels = (history.level(lead_time + 1, ratio) for lead_time in (slow, fast))
    spreads = (history.over(lead_time + 1)[1] for lead_time in (slow, fast))
    return network, *levels, *spreads


def _whole(level: FloatArray, history: History) -> FloatArray:
    return np.rint(level) if history.whole else level


def _typical(history: History, network: Network) -> FloatArray:
    stock = network.stock
    return history.typical(int(network.lead_time.max()) + 1, stock.holding_cost, stock.stockout_cost)


def single_index(history: History) -> Form:
    """A regular level and how far the expedited one lies below it; untuned a period's demand."""
    network, regular, _, deviation, fast = _suppliers(history, "single_index")
    gap = history.mean

    def make(u: FloatArray) -> Policy:
        level = _whole(regular + u[..., 0] * deviation, history)
        return SingleIndex(level, level - _whole(np.maximum(gap + u[..., 1] * fast, 0.0), history))

    axes = (Axis("the regular level", POSITIONS), Axis("the gap between levels", GAPS))
    return Form(axes, make, np.stack([deviation, fast], axis=-1), _typical(history, network))


def dual_index(history: History) -> Form:
    """Two levels."""
    network, regular, expedited, deviation, fast = _suppliers(history, "dual_index")

    def make(u: FloatArray) -> Policy:
        levels = (regular + u[..., 0] * deviation, expedited + u[..., 1] * fast)
        return DualIndex(*(_whole(level, history) for level in levels))

    axes = (Axis("the regular level", LEVELS), Axis("the expedited level", LEVELS))
    return Form(axes, make, np.stack([deviation, fast], axis=-1), _typical(history, network))


def capped_dual_index(history: History) -> Form:
    """Two levels and a cap on regular orders, which the untuned form has not."""
    network, regular, expedited, deviation, fast = _suppliers(history, "capped_dual_index")

    def make(u: FloatArray) -> Policy:
        levels = (regular + u[..., 0] * deviation, expedited + u[..., 1] * fast)
        bound = np.where(np.isfinite(u[..., 2]), u[..., 2], 0.0) * history.deviation + history.mean
        cap = np.where(np.isfinite(u[..., 2]), np.maximum(_whole(bound, history), 0.0), np.inf)
        regular_level, expedited_level = (_whole(level, history) for level in levels)
        return CappedDualIndex(regular_level, expedited_level, cap)

    axes = (
        Axis("the regular level", LEVELS),
        Axis("the expedited level", LEVELS),
        Axis("the cap", CAPS, origin=NO_CAP),
    )
    return Form(axes, make, np.stack([deviation, fast, history.deviation], axis=-1), _typical(history, network))


def tailored_base_surge(history: History) -> Form:
    """A regular order and the expedited level; untuned nine tenths of mean demand."""
    network, _, expedited, _, fast = _suppliers(history, "tailored_base_surge")
    mean = np.maximum(history.mean, 1e-6)

    def make(u: FloatArray) -> Policy:
        quantity = np.maximum(mean * (BASE + u[..., 0]), 0.0)
        quantity = np.floor(quantity + 1e-9) if network.whole_units and history.whole else quantity
        return TailoredBaseSurge(quantity, _whole(expedited + u[..., 1] * fast, history))

    unit = "times mean demand beyond the untuned"
    axes = (Axis("the regular order", SHARES, lowest=-BASE, unit=unit), Axis("the expedited level", LEVELS))
    return Form(axes, make, np.stack([mean, fast], axis=-1), _typical(history, network))


def echelon_base_stock(history: History) -> tuple[Form, Callable[[FloatArray], FloatArray]]:
    """Return the form of all locations' levels, and what spreads coordinates of tiers (..., 1, tiers) over them."""
    network: Any = history.params
    if not isinstance(network, Network):
        raise FractileError("echelon_base_stock is tuned for a network: give fr.networks.serial(...) or the like")
    into = (network.into * ~network.lateral[:, None]) > 0
    lead_time = np.where(into, network.lead_time[:, None], 0).max(0)
    downstream = network.downstream
    # Demand of all that a location supplies, from its order until what arrives then reaches demand.
    span = lead_time + network.onward + 1.0
    mean = downstream @ history.mean * span
    deviation = np.maximum(np.sqrt((downstream @ (history.deviation**2 * (history.mean > 0))) * span), 1e-6)
    stock = network.stock
    selling = np.broadcast_to(np.asarray(stock.critical_ratio), network.locations)[np.asarray(network.demand_at)]
    level = mean + norm.ppf(np.clip(np.mean(selling), 0.01, 0.999)) * deviation
    steps = downstream.sum(1)
    tiers = sorted(set(zip(network.onward.tolist(), (steps > 1).tolist(), strict=True)))
    tier = np.array([tiers.index(key) for key in zip(network.onward.tolist(), (steps > 1).tolist(), strict=True)])

    def make(u: FloatArray) -> Policy:
        levels = level + u[..., 0] * deviation
        return EchelonBaseStock(np.rint(levels) if history.whole and network.whole_units else levels)

    def spread(u: FloatArray) -> FloatArray:
        return u[..., 0, :][..., tier][..., None]

    names = [f"the levels of tier {k + 1}" if len(tiers) > 1 else "the levels" for k in range(len(tiers))]
    axes = tuple(Axis(name, LEVELS) for name in names)
    unit = np.array([[deviation[tier == k].min() for k in range(len(tiers))]])
    return Form(axes, make, unit, np.ones(1)), spread
