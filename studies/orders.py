"""Next period's orders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..arrays import FloatArray
from ..envs.core.dynamics import feasible_order
from ..envs.core.system import empty_state, observation
from ..envs.core.types import Observation, Scenario
from ..envs.gym.observation import by_origin
from ..errors import InputError
from ..forecasters.base import Forecaster
from ..forecasters.forecast import (
    QuantileForecast,
)
from ..forecasters.storage import load_forecaster
from ..policies.base import OrderUpToPolicy
from ..policies.storage import load_policy
from .config import load_config
from .data import StudyData, load_data
from .folder import read_manifest

GRID = np.linspace(0.001, 0.999, 999)
"""Levels between which `critical_quantile` is read off."""


def next_orders(run: Path, history: Path, state: Path | None, items: Path | None) -> pd.DataFrame:
    """Return the order of every item for the period behind the history's end, by a kept run.

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
    ordered = _in_the_runs_order(data, manifest)
    return orders_at_end(ordered, load_forecaster(run / "models"), policy)


def orders_at_end(data: StudyData, forecaster: Forecaster, policy: Any) -> pd.DataFrame:
    """Return the orders of a policy at the history's end: see `next_orders`."""
    span = int(np.max(data.params.protection_interval))
    forecast = forecaster.predict(data.panel, span)
    state = data.state or empty_state(data.params, 1, data.panel.items)
    obs = observation(state, 0, data.params, Scenario(np.zeros((1, 1, data.panel.items)), forecasts=[forecast]))
    wanted = np.asarray(policy.order(obs))
    order = np.asarray(feasible_order(wanted, data.params))
    target = _level_behind(policy, obs, wanted)
    table = {
        "item_id": data.panel.item_ids,
        "order": _whole(order[0]),
        "order_up_to": target[0].round(6),
        "critical_quantile": _level_of(forecast.total(by_origin(data.params.protection_interval)), target[0]).round(4),
    }
    return pd.DataFrame(table)


def _level_behind(policy: Any, obs: Observation, wanted: FloatArray) -> FloatArray:
    """The level that orders go up to: the policy's target where that is its rule, else the position they reach."""
    reached: FloatArray = np.asarray(obs.inventory_position) + wanted
    if not isinstance(policy, OrderUpToPolicy):
        return reached
    target: FloatArray = np.broadcast_to(policy.target(obs), wanted.shape)
    return np.where(np.isclose(np.maximum(target - obs.inventory_position, 0.0), wanted), target, reached)


def _whole(order: FloatArray) -> Any:
    return order.astype(np.int64) if (order == np.floor(order)).all() else order


def _level_of(total: QuantileForecast, units: FloatArray) -> FloatArray:
    """The level whose quantile is just covered by these units, per item."""
    quantiles = np.stack([total.quantile(level)[:, -1, 0] for level in GRID])
    covered = (quantiles <= units + 1e-9).sum(0)
    return np.where(covered == 0, 0.0, GRID[np.maximum(covered, 1) - 1])


def _in_the_runs_order(data: StudyData, manifest: dict[str, Any]) -> StudyData:
    """Check that the items are those of the run: parameters of policies stand in its order."""
    kept = manifest["data"]["item_ids"]
    new, gone = sorted(set(data.panel.item_ids) - set(kept)), sorted(set(kept) - set(data.panel.item_ids))
    faults = [f"history: item {name!r} was not in the run's history; train again" for name in new[:5]]
    faults += [f"history: item {name!r} of the run is missing; give its history, too" for name in gone[:5]]
    if faults:
        raise InputError([*faults, f"history: {len(new)} items are new and {len(gone)} are missing in all"])
    place = {name: i for i, name in enumerate(data.panel.item_ids)}
    order = np.array([place[name] for name in kept])
    assert data.state is not None
    state = type(data.state)(*(part[..., order] for part in data.state))
    return StudyData(data.panel.select(order), data.params.select(order), data.demand[order], state)
