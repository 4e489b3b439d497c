"""What a policy is, and what policies share: rules for parameters, pipelines of any length, a progress callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ..arrays import Array, FloatArray
from ..envs.core.backend import concatenate, zeros
from ..envs.core.types import InventoryState, ItemParams, Observation, Scenario
from ..errors import Faults, FractileError


@runtime_checkable
class Policy(Protocol):
    """Turns what may be known into an order."""

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""


@runtime_checkable
class OrderUpToPolicy(Policy, Protocol):
    """A policy with a target for the inventory position, which a simulation without a state starts from."""

    def target(self, obs: Observation) -> Array:
        """Return the order-up-to level, units, broadcasts to (paths, items). [S]"""


@runtime_checkable
class PreparingPolicy(Policy, Protocol):
    """A policy that reads forecasts of all periods once, before a simulation."""

    def prepare(self, scenario: Scenario, params: ItemParams) -> Scenario:
        """Return the scenario with what is read of its forecasts (`Scenario.features`)."""


@runtime_checkable
class Planner(Protocol):
    """A bound, not a policy: it plans with the whole scenario, demand to come included."""

    def plan(self, scenario: Scenario, params: ItemParams, state: InventoryState) -> Array:
        """Return orders for all periods, shape (paths, periods, items)."""

    def relaxed(self, params: ItemParams) -> ItemParams:
        """Return the parameters without the rules that the plan ignores."""


def fit_pipeline(pipeline: Array, slots: int) -> Array:
    """Return a pipeline with this many slots: what arrives later is summed into the last one, missing slots are empty.

    Where lead times are random or deliveries are data, a pipeline may be longer or shorter than the lead time that a
    policy plans with; units that come later than planned are on order all the same.

    Args:
        pipeline: units under way, shape (slots, paths, items).
        slots: how many are wanted; with none, nothing is left.
    """
    if len(pipeline) == slots:
        return pipeline
    if len(pipeline) < slots:
        missing = zeros((slots - len(pipeline), *pipeline.shape[1:]), pipeline)
        return concatenate([pipeline, missing]) if len(pipeline) else missing
    return concatenate([pipeline[: slots - 1], pipeline[slots - 1 :].sum(0)[None]]) if slots else pipeline[:0]


def per_item(value: Any) -> Any:
    """Return a parameter of a policy as a float or an array over items."""
    array = np.asarray(value, dtype=np.float64)
    return array.item() if array.ndim == 0 else array


def spread(value: Any, obs: Observation) -> FloatArray:
    """Return a parameter over items or over (paths, items) with an axis of paths, which may be of length one."""
    array = np.asarray(value, dtype=np.float64)
    return np.broadcast_to(array, np.broadcast_shapes(array.shape, (1, obs.net_inventory.shape[1])))


class Rule(NamedTuple):
    """What a policy's parameter must be.

    Attributes:
        text: in words, for messages.
        holds: whether each number is that.
    """

    text: str
    holds: Callable[[FloatArray], Any]


FINITE = Rule("a finite number", np.isfinite)
NOT_NEGATIVE = Rule("a number >= 0", lambda x: np.isfinite(x) & (x >= 0))
LIMIT = Rule("a number >= 0", lambda x: x >= 0)
"""Infinity is no limit."""


def keep_parameters(policy: Any, **rules: Rule) -> None:
    """Hold parameters of a frozen policy as floats or arrays over items.

    Args:
        policy: under construction.
        **rules: by the name of a parameter.

    Raises:
        FractileError: with every parameter that breaks its rule.
    """
    faults = Faults()
    for name, rule in rules.items():
        given = getattr(policy, name)
        number = per_item(given)
        if not np.all(rule.holds(np.asarray(number))):
            faults.add(f"{name} must be {rule.text}, got {given}")
        object.__setattr__(policy, name, number)
    faults.raise_if_any()


def check_fractile(critical_ratio: Any, scale: Any) -> None:
    """Raise a `FractileError` where a critical ratio (None: the costs' own) or a scale is out of its range."""
    ratio = np.asarray(0.5 if critical_ratio is None else critical_ratio, dtype=np.float64)
    if not ((ratio > 0) & (ratio < 1)).all():
        raise FractileError(f"critical_ratio must lie strictly between 0 and 1, got {critical_ratio}")
    if not (np.asarray(scale, dtype=np.float64) >= 0).all():
        raise FractileError(f"scale must be at least 0, got {scale}")
