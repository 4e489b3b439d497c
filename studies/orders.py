"""Next period's orders: a policy, a fitted forecaster, the history, and what is on hand and arriving."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..arrays import FloatArray
from ..envs.core.backend import are_quantities, first_fault
from ..envs.core.dynamics import feasible_order
from ..envs.core.forecast_features import by_origin
from ..envs.core.params import ItemParams
from ..envs.core.period import StockState, observation, system_of
from ..envs.core.types import Scenario
from ..errors import FractileError
from ..forecasters.base import Forecaster
from ..forecasters.data.panel import SalesPanel
from ..policies.base import OrderUpToPolicy, Policy

GRID = np.linspace(0.001, 0.999, 999)
"""Quantile levels that an order is read as."""


def next_orders(
    policy: Policy,
    forecaster: Forecaster,
    panel: SalesPanel,
    params: ItemParams,
    state: StockState | None = None,
    *,
    horizon: int | None = None,
) -> pd.DataFrame:
    """Return the order of every item for the period after the history's end.

    Args:
        policy: turns observations into orders.
        forecaster: fitted.
        panel: sales up to the end of the last period.
        params: lead times, costs and order rules of its items.
        state: units on hand and arriving at the start of the next period, one path; None = nothing.
        horizon: periods ahead that the policy is shown of the forecast; the longest protection interval where None.

    Returns:
        `item_id`, `order` (units), `order_up_to` (units) and `critical_quantile`: the level of demand over the
        protection interval that the order covers.

    Raises:
        FractileError: where an order is no number, or negative; it names the item.

    >>> import fractile as fr
    >>> retail = fr.retail_panel(items=3, periods=120, seed=0)
    >>> forecaster = fr.make_forecaster("seasonal_naive").fit(retail.panel)
    >>> orders = next_orders(fr.make_policy("newsvendor"), forecaster, retail.panel, fr.ItemParams(lead_time=1))
    >>> list(orders.columns)
    ['item_id', 'order', 'order_up_to', 'critical_quantile']
    """
    forecast = forecaster.predict(panel, horizon or int(np.max(params.protection_interval)))
    begin = state or system_of(params).empty_state(1, panel.items, int(params.slots))
    obs = observation(begin, 0, params, Scenario(np.zeros((1, 1, panel.items)), forecasts=[forecast]))
    wanted = np.asarray(policy.order(obs))
    if wanted.shape != (1, panel.items) or not are_quantities(wanted):
        got = str(wanted.shape)
        if wanted.shape == (1, panel.items):
            item = first_fault(wanted)[1]
            got = f"{wanted[0, item]:g} for item {panel.item_ids[item]}"
        raise FractileError(f"{type(policy).__name__} must order a number >= 0 for each item, got {got}")
    order = np.asarray(feasible_order(wanted, params))[0]
    # The level that orders go up to: the policy's target where that is its rule, else the position they reach.
    level: FloatArray = np.asarray(obs.inventory_position) + wanted
    if isinstance(policy, OrderUpToPolicy):
        target: FloatArray = np.broadcast_to(policy.target(obs), wanted.shape)
        follows = np.isclose(np.maximum(target - obs.inventory_position, 0.0), wanted)
        level = np.where(follows, target, level)
    level = level[0]
    total = forecast.total(by_origin(params.protection_interval))
    quantiles = np.stack([total.quantile(tau)[:, -1, 0] for tau in GRID])
    covered = (quantiles <= level + 1e-9).sum(0)
    table = {
        "item_id": panel.item_ids,
        "order": order.astype(np.int64) if (order == np.floor(order)).all() else order,
        "order_up_to": level.round(6),
        "critical_quantile": np.where(covered == 0, 0.0, GRID[np.maximum(covered, 1) - 1]).round(4),
    }
    return pd.DataFrame(table)
