"""Checks that any policy, of this package or a user's own, keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..arrays import FloatArray, IntArray
from ..envs.core.period import SystemParams, system_of
from ..envs.core.types import ItemParams, Observation, Scenario
from ..envs.demand.distributions import NegativeBinomial
from ..envs.demand.model import draw_scenario
from ..errors import FractileError
from ..forecasters.forecast import QuantileForecast
from ..randomness import keyed_generator
from .base import Planner, Policy
from .rollout import simulate
from .storage import reload_policy

PATHS, PERIODS = 6, 16


@dataclass(frozen=True, eq=False)
class _Trial:
    """A policy and what it is tried on."""

    policy: Policy
    scenario: Scenario
    params: SystemParams

    @property
    def shape(self) -> tuple[int, int]:
        """Of every order: (paths, items), or (paths, links) in a network."""
        return self.scenario.paths, system_of(self.params).orders(self.scenario.items)


class _Recorder:
    """Passes observations on, and keeps them with the orders that they led to."""

    def __init__(self, trial: _Trial) -> None:
        self.trial = trial
        self.seen: list[tuple[Observation, FloatArray]] = []

    def order(self, obs: Observation) -> FloatArray:
        """Return the policy's order."""
        order = _check_order(self.trial, obs)
        self.seen.append((_copied(obs), np.array(order)))
        return order


def check_policy(policy: Policy, scenario: Scenario | None = None, params: SystemParams | None = None) -> None:
    """Check that a policy keeps its contract, as `fractile.policies.base.Policy` words it.

    Orders are finite, not negative, of the shape (paths, items), and the same for the same observation; changing
    everything that happens after a decision changes no order up to it; the observation is left alone; paths do not
    affect each other: in another order they lead to the same orders; and a policy that can be kept orders the same
    after it was written to a file and loaded again.

    Args:
        policy: turns observations into orders.
        scenario: to try it on, four periods or more; three items with negative binomial demand and their true
            forecasts where None. Its demand is changed while the check runs, and put back.
        params: lead times and costs of its items, or the network; lead times of 1, 2 and 4 periods where both are
            None.

    Raises:
        FractileError: names the check that failed, what was expected, what came, and what to do.
    """
    if isinstance(policy, Planner):
        raise FractileError(
            f"{type(policy).__name__} is a planner: it is shown the future, and has a plan instead of orders; "
            "check_policy is for policies"
        )
    if not callable(getattr(policy, "order", None)):
        raise FractileError(
            f"{type(policy).__name__} has no method order(obs); a policy turns observations into orders"
        )
    if params is None:
        several = ItemParams(lead_time=np.array([1, 2, 4]), stockout_cost=np.array([4.0, 9.0, 19.0]))
        params = several if scenario is None else ItemParams()
    if scenario is None:
        demand = NegativeBinomial(mean=np.array([3.0, 12.0, 0.8]), size=2.0)
        scenario = draw_scenario(demand, 0, PATHS, PERIODS, system_of(params).horizon)
    trial = _Trial(policy, scenario, params)
    recorder = _Recorder(trial)
    simulate(recorder, scenario, params)
    seen = recorder.seen
    for obs, order in (*seen, *reversed(seen)):
        wanted = f"the order of period {obs.period} again"
        remedy = "keep nothing between calls, and draw nothing at random"
        _equal(_check_order(trial, obs), order, trial, "determinism", wanted, remedy)
    _check_observation(trial, seen)
    _check_no_peeking(trial)
    paths = keyed_generator(0, "paths").permutation(scenario.paths)
    for obs, order in seen:
        other = _check_order(trial, _reordered(obs, paths))
        wanted = f"the orders of period {obs.period} in the other order"
        remedy = "decide for each path from that path alone"
        _equal(other, order[paths], trial, "independent paths", wanted, remedy, tolerance=1e-9)
    _check_storage(trial, seen)


def _check_order(trial: _Trial, obs: Observation) -> FloatArray:
    """Return the policy's order, checked."""
    order = np.asarray(trial.policy.order(obs))
    _require(
        order.shape == trial.shape,
        trial,
        "shape",
        f"orders of shape (paths, items or links) = {trial.shape}",
        f"{order.shape} in period {obs.period}",
        "return an order for every path and item, and none summed or squeezed",
    )
    finite = bool(np.isfinite(order).all())
    _require(finite, trial, "finite", "numbers", f"NaN or infinity in period {obs.period}", "look for 0 / 0")
    _require(
        bool((order >= 0).all()),
        trial,
        "non-negative",
        "orders >= 0",
        f"{order.min():g} in period {obs.period}",
        "take max(order, 0): stock cannot be sent back",
    )
    return order


def _check_observation(trial: _Trial, seen: list[tuple[Observation, FloatArray]]) -> None:
    for obs, _ in seen:
        given = _copied(obs)
        trial.policy.order(given)
        pairs = [(obs.net_inventory, given.net_inventory), (obs.pipeline, given.pipeline)]
        if obs.forecast is not None and given.forecast is not None:
            pairs.append((obs.forecast.values, given.forecast.values))
        for before, after in pairs:
            remedy = "work on copies: the simulation goes on from the same arrays"
            _equal(after, before, trial, "no mutation", "the observation as it was", remedy)


def _check_no_peeking(trial: _Trial) -> None:
    orders = simulate(trial.policy, trial.scenario, trial.params).order
    periods = trial.scenario.periods
    for period in sorted({0, 1, periods // 2, periods - 1}):
        with _disturbed(trial.scenario, period) as scenario:
            other = simulate(trial.policy, scenario, trial.params).order
        _equal(
            other[:, : period + 1],
            orders[:, : period + 1],
            trial,
            "no peeking",
            f"the same orders up to period {period} when demand changes from it on",
            "read nothing but the observation; a bound that knows the future has a plan() instead",
        )


@contextmanager
def _disturbed(scenario: Scenario, period: int) -> Iterator[Scenario]:
    """Give the scenario with other demand from a period on, and with other forecasts after it.

    The demand is changed in place, where that can be done, so that a policy which holds on to the array is caught.
    """
    demand = scenario.demand if scenario.demand.flags.writeable else scenario.demand.copy()
    kept = demand.copy()
    demand[:, period:] = 3.0 * demand[:, period:] + 7.0
    forecasts = scenario.forecasts
    if forecasts is not None:
        others = (
            QuantileForecast(later.levels, 2.0 * later.values + 5.0, later.origins, later.item_ids)
            for later in forecasts[period + 1 :]
        )
        forecasts = [*forecasts[: period + 1], *others]
    try:
        yield replace(scenario, demand=demand, forecasts=forecasts)
    finally:
        demand[...] = kept


def _check_storage(trial: _Trial, seen: list[tuple[Observation, FloatArray]]) -> None:
    with TemporaryDirectory() as folder:
        loaded = reload_policy(trial.policy, Path(folder))
    if loaded is None:
        return
    for obs, order in seen:
        _equal(
            np.asarray(loaded.order(obs)),
            order,
            trial,
            "storage",
            f"the order of period {obs.period} from the policy that was kept and loaded again",
            "keep every parameter in to_state, and restore it in from_state",
        )


def _reordered(obs: Observation, paths: IntArray) -> Observation:
    """Return the observation with its paths in another order."""
    params, forecast = obs.params, obs.forecast
    if isinstance(params, ItemParams):
        values = {f.name: getattr(params, f.name) for f in fields(params) if f.init}
        by_path = {k: v[paths] for k, v in values.items() if np.ndim(v) == 2 and len(v) == len(paths)}
        params = replace(params, **by_path)
    if forecast is not None and forecast.values.shape[1] > 1:
        forecast = forecast.at_origin(paths)
    return replace(
        obs,
        net_inventory=obs.net_inventory[paths],
        pipeline=obs.pipeline[:, paths],
        stock=None if obs.stock is None else obs.stock[:, paths],
        history=None if obs.history is None else obs.history[:, paths],
        params=params,
        forecast=forecast,
        total=None,
        features=None,
    )


def _copied(obs: Observation) -> Observation:
    """Return the observation with arrays of its own."""
    forecast = obs.forecast
    if forecast is not None:
        forecast = forecast.select(np.arange(len(forecast.values)))
    arrays = {name: getattr(obs, name) for name in ("net_inventory", "pipeline", "stock", "history")}
    copies: dict[str, Any] = {name: None if array is None else np.array(array) for name, array in arrays.items()}
    return replace(obs, **copies, forecast=forecast)


def _equal(
    got: FloatArray,
    expected: FloatArray,
    trial: _Trial,
    check: str,
    wanted: str,
    remedy: str,
    *,
    tolerance: float = 0.0,
) -> None:
    gap = float(np.max(np.abs(got - expected), initial=0.0))
    _require(gap <= tolerance, trial, check, wanted, f"up to {gap:.3g} units apart", remedy)


def _require(holds: bool, trial: _Trial, check: str, expected: str, actual: str, remedy: str) -> None:
    if not holds:
        name = type(trial.policy).__name__
        raise FractileError(f"{name} fails the check {check!r}: expected {expected}, got {actual}; {remedy}")
