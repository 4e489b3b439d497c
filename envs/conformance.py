"""Is it the physics of an inventory system? Checks for any step function that claims to be one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..arrays import FloatArray
from ..randomness import keyed_generator
from .core.params import ItemParams
from .core.system import step_of
from .core.types import PeriodOutcome
from .networks.network import Network
from .trials import ITEM_CASES, ITEMS, OTHER_CASES, PATHS, StepFunction, Trial, trials


def check_dynamics(system: Any = None, cases: Mapping[str, Any] | None = None, *, seed: int = 0) -> None:
    """Check that a step function is the physics of an inventory system.

    Units are neither made nor lost, in stock and under way; nothing is negative, and nothing is both on hand and
    short; costs are what the parameters say; a batch is its paths one by one, in any order; the same call gives the
    same answer, leaves its inputs alone, and gives it in torch, too, where torch is installed. Of a system of your
    own, which brings its `step` along, what holds for every system is checked: all but the units under way and cost.

    Args:
        system: a step function `(state, order, demand, params, arrivals) -> (state, outcome)` for items; or the
            parameters of a system: `ItemParams`, a `Network`, or an object with `step` (and `slots`, and
            `empty_state(paths, items)` where its state is not an `InventoryState`). Every system there is where None.
        cases: parameters to try a step function with, by a name of your own; scalars, or arrays over four items.
            Lost sales, backorders, both at once, mixed lead times and order rules where None.
        seed: of the random states, orders and demands.

    Raises:
        FractileError: names the check that failed, and how.
    """
    for name, step, params in _cases(system, cases):
        for trial in trials(step, name, params, seed):
            for check in _CHECKS:
                check(trial)


def _cases(system: Any, cases: Mapping[str, Any] | None) -> list[tuple[str, StepFunction, Any]]:
    if system is None:
        return [(name, step_of(params), params) for name, params in (cases or {**ITEM_CASES, **OTHER_CASES}).items()]
    if isinstance(system, ItemParams | Network) or hasattr(system, "step"):
        return [(type(system).__name__, step_of(system), system)]
    return [(name, system, params) for name, params in (cases or ITEM_CASES).items()]


def _check_shapes(trial: Trial) -> None:
    after, out = trial.run()
    missing = [name for name in PeriodOutcome._fields if not hasattr(out, name)]
    trial.require(not missing, "outcome", f"it lacks {', '.join(missing)}")
    for name, value in zip(type(out)._fields, out, strict=True):
        trial.require(np.shape(value)[0] == PATHS, "shapes", f"{name} has {np.shape(value)}")
        trial.require(bool(np.isfinite(value).all()), "finite", f"{name} is NaN or infinite somewhere")
    for name, before, value in zip(type(after)._fields, trial.state, after, strict=True):
        trial.require(np.shape(value) == np.shape(before), "shapes", f"{name} must stay {np.shape(before)}")
        trial.require(bool(np.isfinite(value).all()), "finite", f"{name} is NaN or infinite somewhere")
    for name in ("received", "sales", "shortfall", "on_hand", "cost"):
        shape = np.shape(getattr(out, name))
        trial.require(shape == trial.demand.shape, "shapes", f"{name} has {shape}, demand {trial.demand.shape}")
    trial.require(np.shape(out.order) == trial.order.shape, "shapes", f"order has {np.shape(out.order)}")


def _check_signs(trial: Trial) -> None:
    after, out = trial.run()
    for name, value in zip(type(out)._fields, out, strict=True):
        low = float(np.min(value))
        trial.require(name == "cost" or low >= 0, "non-negativity", f"{name} is {low:g} somewhere")
    for name, value in zip(type(after)._fields, after, strict=True):
        low = float(np.min(value)) if value.size else 0.0
        trial.require(name == "net_inventory" or low >= 0, "non-negativity", f"{name} is {low:g} somewhere")
    both = float(np.minimum(out.on_hand, out.shortfall).max())
    trial.require(both == 0, "never on hand and short", f"{both:g} units are on hand and as many short as well")
    trial.require(bool((out.sales <= trial.demand).all()), "sales", "more is sold than there is demand for")


def _check_stock(trial: Trial) -> None:
    """Stock identities: what is there and what comes in is what goes out and what stays."""
    if not _ours(trial):
        return
    after, out = trial.run()
    available = trial.state.net_inventory + out.received - _sent(trial, out)
    waste = getattr(out, "waste", 0.0)
    gap = available - trial.demand
    trial.equal(out.on_hand - out.shortfall + waste, gap, "on_hand − shortfall = net inventory + received − demand")
    unmet = np.minimum(out.shortfall, trial.demand)
    trial.equal(out.sales, trial.demand - unmet, "sales = demand − min(shortfall, demand)")
    lost = trial.params.lost_share * unmet
    trial.equal(after.net_inventory, gap + lost - waste, "closing = opening + received − demand + lost")


def _check_pipeline(trial: Trial) -> None:
    """Every unit ordered arrives now, is under way, or was never sent; each slot moves up by one."""
    if not _ours(trial):
        return
    after, out = trial.run()
    sent = _shares(trial) * out.order
    if isinstance(trial.params, Network):
        sent = sent @ trial.params.into
    expected = np.concatenate([trial.state.pipeline, np.zeros((1, *sent.shape[1:]))]) + sent
    trial.equal(out.received, expected[0], "received = what was due now")
    trial.equal(after.pipeline, expected[1:], "the pipeline moves up, and the order enters L periods ahead")
    total = np.sum(trial.state.pipeline, axis=0) + sent.sum(0)
    trial.equal(out.received + np.sum(after.pipeline, axis=0), total, "units under way")


def _shares(trial: Trial) -> FloatArray:
    if trial.arrivals is not None:
        return np.asarray(trial.arrivals)
    slot = np.arange(len(trial.state.pipeline) + 1)[:, None, None]
    return (slot == np.asarray(trial.params.lead_time)).astype(np.float64)


def _check_orders(trial: Trial) -> None:
    """The order that was placed keeps the rules; without rules it is the one that was asked for."""
    placed, params = trial.run()[1].order, trial.params
    if isinstance(params, Network):
        return _check_shipments(trial, placed)
    if not isinstance(params, ItemParams):
        return None
    if not params.order_rules and params.capacity is None:
        trial.equal(placed, trial.order, "an order that breaks no rule is placed as it is")
    if params.pack_size is not None:
        packs = placed / params.pack_size
        trial.equal(packs, np.rint(packs), "orders are whole packs")
    if params.maximum_order is not None:
        trial.require(bool((placed <= params.maximum_order).all()), "maximum order", f"placed {placed.max():g}")
    if params.minimum_order is not None:
        small = (placed > 0) & (placed < params.minimum_order)
        trial.require(not small.any(), "minimum order", "an order is above zero and below the minimum")
    if params.capacity is not None:
        position = trial.state.net_inventory + np.sum(trial.state.pipeline, axis=0)
        used = (params.capacity.use * placed).sum(1, keepdims=True)
        over = float((used - params.capacity.left(position)).max())
        trial.require(over <= 1e-9, "capacity", f"orders use {over:g} more than there is")
    return None


def _check_shipments(trial: Trial, shipped: FloatArray) -> None:
    """A location ships no more than it has, and no more than it was asked for."""
    trial.require(bool((shipped <= trial.order + 1e-9).all()), "shipments", "more is shipped than was asked for")
    due = trial.state.pipeline[0] if len(trial.state.pipeline) else 0.0
    available = np.maximum(trial.state.net_inventory + due, 0.0)
    over = float((shipped @ trial.params.out_of - available).max())
    trial.require(over <= 1e-9, "shipments", f"a location ships {over:g} more than it has")
    short = shipped @ trial.params.out_of < np.minimum(available, trial.order @ trial.params.out_of) - 1e-6
    trial.require(not short.any(), "shipments", "a location holds units back that were asked for")


def _check_cost(trial: Trial) -> None:
    """Costs are those that the parameters say."""
    if not _ours(trial):
        return
    after, out = trial.run()
    p = trial.params.stock if isinstance(trial.params, Network) else trial.params
    lost = p.lost_share * np.minimum(out.shortfall, trial.demand)
    expected = p.holding_cost * out.on_hand + p.stockout_cost * out.shortfall - p.price * (trial.demand - lost)
    expected = expected + trial.params.ordering_cost(np.asarray(out.order)) + p.waste_cost * getattr(out, "waste", 0.0)
    if isinstance(trial.params, Network):
        expected = expected + trial.params.transit_cost * np.sum(after.pipeline, axis=0)
    trial.equal(out.cost, expected, "cost = h·on_hand + b·shortfall + K·1[q > 0] + c·q + w·waste − p·(demand − lost)")


def _check_again(trial: Trial) -> None:
    """The same inputs, which stay as they are, give the same answer."""
    inputs = (*trial.state, trial.order, trial.demand)
    before = [value.copy() for value in inputs]
    first, second = trial.run(), trial.run()
    untouched = all(np.array_equal(a, b) for a, b in zip(inputs, before, strict=True))
    trial.require(untouched, "no mutation", "the step wrote into its inputs; work on copies")
    trial.same(second, first, "determinism", 0.0)


def _check_batch(trial: Trial) -> None:
    """A batch is its paths, and where they do not meet its items, one by one."""
    whole, check = trial.run(), "a batch is its episodes one by one"
    for path in range(PATHS):
        chosen = np.array([path])
        trial.same(trial.paths(chosen).run(), _picked(whole, lambda x, c=chosen: x[..., c, :]), check, 1e-12)
    for item in range(ITEMS if trial.separable else 0):
        chosen = np.array([item])
        trial.same(trial.items(chosen).run(), _picked(whole, lambda x, c=chosen: x[..., c]), check, 1e-12)


def _check_permutation(trial: Trial) -> None:
    rng, check = keyed_generator(0, "permutation"), "other paths and items change nothing"
    paths, items = rng.permutation(PATHS), rng.permutation(ITEMS)
    trial.same(trial.paths(paths).run(), _picked(trial.run(), lambda x: x[..., paths, :]), check, 1e-12)
    if isinstance(trial.params, ItemParams):
        expected = _picked(trial.run(), lambda x: x[..., items] if x.shape[-1] == ITEMS else x)
        trial.same(trial.items(items).run(), expected, check, 1e-12)


def _check_torch(trial: Trial) -> None:
    """Torch tensors give what numpy arrays give."""
    if find_spec("torch") is None:
        return
    torch: Any = import_module("torch")
    after, out = trial.converted(torch.as_tensor).run()
    tensors = all(isinstance(value, torch.Tensor) for value in (*after, *out))
    trial.require(tensors, "numpy = torch", "tensors went in, and something else came out")
    trial.same(_picked((after, out), lambda x: x.numpy()), trial.run(), "numpy = torch", 1e-12)


# Inputs that a step writes into would spoil every later check: that one comes first.
_CHECKS = (
    _check_again,
    _check_shapes,
    _check_signs,
    _check_stock,
    _check_pipeline,
    _check_orders,
    _check_cost,
    _check_batch,
    _check_permutation,
    _check_torch,
)


def _ours(trial: Trial) -> bool:
    return isinstance(trial.params, ItemParams | Network)


def _sent(trial: Trial, out: Any) -> Any:
    return out.order @ trial.params.out_of if isinstance(trial.params, Network) else 0.0


def _picked(result: tuple[Any, Any], pick: Any) -> tuple[Any, Any]:
    after, outcome = result
    return type(after)(*map(pick, after)), type(outcome)(*map(pick, outcome))
