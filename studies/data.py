"""The data of a study: panel, parameters, starting stock, and the demand that a replay meets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..arrays import FloatArray
from ..envs.core.item_table import params_from_items
from ..envs.core.system import State, state_of
from ..envs.core.types import ItemParams
from ..envs.demand.replay import uncensored
from ..errors import InputError
from ..forecasters.data.panel import SalesPanel
from .config import DefaultsConfig, StudyConfig


@dataclass(frozen=True, eq=False)
class StudyData:
    """What a study works on.

    Attributes:
        panel: the sales history.
        params: lead times, costs and order rules of its items, in its order.
        demand: what replays meet, units, shape (items, periods): sales, with what stands in for them in
            stock-outs, or the truth where the panel is synthetic.
        state: what is on hand and under way at the history's end; None where it is not given.
    """

    panel: SalesPanel
    params: ItemParams
    demand: FloatArray
    state: State | None = None


def load_data(config: StudyConfig) -> StudyData:
    """Return the data that a config names: its files, or the embedded panel.

    Raises:
        InputError: with the faults of all files.
    """
    if config.data.history is None:
        return _embedded(config)
    from .commands.validation import read_inputs

    inputs = read_inputs(config.data)
    params = item_params(inputs.panel, inputs.items, config.defaults)
    state = None if inputs.state is None else read_stock(inputs.state, params)
    return StudyData(inputs.panel, params, uncensored(inputs.panel), state)


def item_params(panel: SalesPanel, items: pd.DataFrame | None, defaults: DefaultsConfig) -> ItemParams:
    """Return the parameters of a panel's items: the table's, and the defaults where it says nothing.

    Orders are whole units where demand is and nothing else is said.
    """
    values = defaults.model_dump()
    if values["pack_size"] is None and panel.integer_demand:
        values["pack_size"] = 1.0
    params = params_from_items(pd.DataFrame() if items is None else items, values)
    weightless = np.asarray(params.stockout_cost) + np.asarray(params.holding_cost) == 0
    idle = np.asarray(params.stockout_cost) == 0
    free = np.asarray(params.holding_cost) == 0
    if (weightless | idle | free).any():
        raise InputError(
            ["items: holding_cost and stockout_cost must both be above 0, or no quantity is the best; set them"]
        )
    return params


def read_stock(state: pd.DataFrame, params: ItemParams) -> State:
    """Return the state that a table of on_hand, arriving_1 … arriving_n and backorders describes, one path.

    The table says nothing of the age of stock: where it perishes, it is taken to be fresh.

    Raises:
        InputError: where something arrives later than an order placed now would.
    """
    backorders = state["backorders"].to_numpy(float) if "backorders" in state else 0.0
    net = state["on_hand"].to_numpy(float) - backorders
    names = [f"arriving_{k}" for k in range(1, len(state.columns)) if f"arriving_{k}" in state]
    arriving = np.array([state[name].to_numpy(float) for name in names]).reshape(len(names), len(state))
    lead_time = np.broadcast_to(params.lead_time, (len(state),))
    late = (np.arange(len(names))[:, None] >= lead_time) & (arriving > 0)
    if late.any():
        slot, item = np.argwhere(late)[0]
        raise InputError(
            [
                f"state: item {state['item_id'].iloc[item]!r} has {names[slot]} = {arriving[slot, item]:g}, but with "
                f"its lead time of {lead_time[item]} it would be due after an order placed now "
                f"({int(late.sum())} such entries); correct the state or the lead time"
            ]
        )
    pipeline = np.zeros((params.slots, 1, len(state)))
    used = min(params.slots, len(names))
    pipeline[:used, 0] = arriving[:used]
    return state_of(params, net[None], pipeline)


def _embedded(config: StudyConfig) -> StudyData:
    from ..forecasters.retail.panel import retail_panel

    retail = retail_panel(config.data.embedded_items, config.data.embedded_periods, config.seed)
    params = item_params(retail.panel, retail.items, config.defaults)
    return StudyData(retail.panel, params, retail.demand, read_stock(retail.state, params))
