"""Next period's orders, by a kept run or at the end of a study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ..arrays import FloatArray
from ..envs.core.dynamics import feasible_order
from ..envs.core.forecast_features import by_origin
from ..envs.core.period import observation, system_of
from ..envs.core.types import Observation, Scenario
from ..errors import InputError
from ..forecasters.base import Forecaster
from ..forecasters.storage import load_forecaster
from ..policies.base import OrderUpToPolicy, Policy
from ..policies.storage import load_policy
from .config import load_config
from .data import StudyData, load_data
from .folder import read_manifest

GRID = np.linspace(0.001, 0.999, 999)
"""Levels at which `critical_quantile` is read off."""


def next_orders(run: Path, history: Path, state: Path | None, items: Path | None) -> pd.DataFrame:
    """Return the order of every item for the period after the history's end, by a kept run.

    Args:
        run: folder written by `fractile train` or `fractile study`.
        history: sales up to the end of the last period.
        state: what is on hand and arriving at the start of the next one.
        items: lead times and costs; those of the run where None.

    Returns:
        `item_id`, `order` (units), `order_up_to` (units) and `critical_quantile`: the level of demand over the
        protection interval that the order covers.

    Raises:
        InputError: where files are faulty, or the history's items are not the run's.
    """
    manifest = read_manifest(run)
    if state is None:
        raise InputError(["--state: is missing; orders depend on what is on hand and arriving"])
    files = {"data.history": history, "data.state": state} | ({} if items is None else {"data.items": items})
    data = load_data(load_config(run / "config.toml", files))
    policy = load_policy(manifest["policy"], run / "models")
    ordered = _select_items(data, manifest["data"]["item_ids"])
    return orders_at_end(ordered, load_forecaster(run / "models"), policy)


def _select_items(data: StudyData, item_ids: list[str]) -> StudyData:
    """Check that the items are those of the run, and bring them into its order, in which policies keep parameters."""
    found = data.panel.item_ids
    new, gone = sorted(set(found) - set(item_ids)), sorted(set(item_ids) - set(found))
    faults = [f"history: item {name!r} was not in the run's history; train again" for name in new[:5]]
    faults += [f"history: item {name!r} of the run is missing; give its history, too" for name in gone[:5]]
    if faults:
        raise InputError([*faults, f"history: {len(new)} items are new and {len(gone)} are missing in all"])
    position = {name: i for i, name in enumerate(found)}
    order = np.array([position[name] for name in item_ids])
    state = data.state and type(data.state)(*(part[..., order] for part in data.state))
    return StudyData(data.panel.select(order), data.params.select(order), data.demand[order], state)


def orders_at_end(data: StudyData, forecaster: Forecaster, policy: Policy) -> pd.DataFrame:
    """Return the orders of a policy at the history's end: see `next_orders`."""
    span = int(np.max(data.params.protection_interval))
    forecast = forecaster.predict(data.panel, span)
    state = data.state or system_of(data.params).empty_state(1, data.panel.items)
    obs = observation(state, 0, data.params, Scenario(np.zeros((1, 1, data.panel.items)), forecasts=[forecast]))
    wanted = np.asarray(policy.order(obs))
    order = np.asarray(feasible_order(wanted, data.params))[0]
    level = _order_up_to(policy, obs, wanted)[0]
    total = forecast.total(by_origin(data.params.protection_interval))
    quantiles = np.stack([total.quantile(tau)[:, -1, 0] for tau in GRID])
    covered = (quantiles <= level + 1e-9).sum(0)
    table = {
        "item_id": data.panel.item_ids,
        "order": order.astype(np.int64) if (order == np.floor(order)).all() else order,
        "order_up_to": level.round(6),
        "critical_quantile": np.where(covered == 0, 0.0, GRID[np.maximum(covered, 1) - 1]).round(4),
    }
    return pd.DataFrame(table)


def _order_up_to(policy: Policy, obs: Observation, wanted: FloatArray) -> FloatArray:
    """The level that orders go up to: the policy's target where that is its rule, else the position they reach."""
    reached: FloatArray = np.asarray(obs.inventory_position) + wanted
    if not isinstance(policy, OrderUpToPolicy):
        return reached
    target: FloatArray = np.broadcast_to(policy.target(obs), wanted.shape)
    return np.where(np.isclose(np.maximum(target - obs.inventory_position, 0.0), wanted), target, reached)
