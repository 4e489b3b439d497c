"""Is it the physics of a stock-keeping location? Checks for any step function that claims to be one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..errors import FractileError
from ..forecasters.forecast import FloatArray, IntArray
from ..randomness import keyed_generator
from .backend import Array
from .dynamics import step as our_step
from .types import InventoryState, ItemParams, PeriodOutcome

PATHS, ITEMS, SLOTS = 12, 4, 3

StepFunction = Callable[..., tuple[InventoryState, PeriodOutcome]]

CASES: Mapping[str, ItemParams] = {
    "lost sales, no lead time": ItemParams(lead_time=0),
    "lost sales": ItemParams(lead_time=2, holding_cost=np.array([1.0, 2.0, 0.5, 1.0]), price=3.0),
    "backorders": ItemParams(lead_time=1, unmet_demand="backorder", fixed_order_cost=5.0, unit_cost=2.0),
    "partial backorders": ItemParams(lead_time=3, unmet_demand=np.array([0.0, 0.3, 0.8, 1.0]), price=2.0),
    "mixed lead times": ItemParams(lead_time=np.array([0, 1, 3, 2]), stockout_cost=np.array([4.0, 9.0, 19.0, 1.0])),
    "order rules": ItemParams(lead_time=1, pack_size=4.0, minimum_order=8.0, maximum_order=20.0),
}
"""The parameters that a step function is tried with, for four items."""


@dataclass(frozen=True, eq=False)
class _Trial:
    """One call: a step function, its inputs, and what it says."""

    step: StepFunction
    name: str
    state: InventoryState
    order: Array
    demand: Array
    params: ItemParams
    arrivals: Array | None = None

    def run(self) -> tuple[InventoryState, PeriodOutcome]:
        """Call the step function."""
        return self.step(self.state, self.order, self.demand, self.params, self.arrivals)

    def pick(self, paths: IntArray, items: IntArray) -> _Trial:
        """Return the call for these paths and items alone."""
        state = InventoryState(self.state.net_inventory[paths][:, items], self.state.pipeline[:, paths][:, :, items])
        order, demand = self.order[paths][:, items], self.demand[paths][:, items]
        arrivals = None if self.arrivals is None else self.arrivals[:, paths][:, :, items]
        params = self.params.select(items)
        return replace(self, state=state, order=order, demand=demand, params=params, arrivals=arrivals)


def check_dynamics(
    step: StepFunction = our_step, cases: Mapping[str, ItemParams] | None = None, *, seed: int = 0
) -> None:
    """Check that a function with the signature of `fractile.step` is the physics of a stock-keeping location.

    Units are neither made nor lost, in stock and under way; nothing is negative, and no item is both on hand and
    short; a batch is its episodes one by one, in any order; the same call gives the same answer, leaves its inputs
    alone, and gives it in torch, too, where torch is installed.

    Args:
        step: `(state, order, demand, params, arrivals) -> (state, outcome)`.
        cases: parameters to try it with, by a name of your own; scalars, or arrays over four items. Lost sales,
            backorders, both at once, mixed lead times and order rules where None.
        seed: of the random states, orders and demands.

    Raises:
        FractileError: names the check that failed, and how.
    """
    for name, params in (CASES if cases is None else cases).items():
        for shares in (False, True):
            trial = _trial(step, name, params, shares, seed)
            for check in _CHECKS:
                check(trial)


def _trial(step: StepFunction, name: str, params: ItemParams, shares: bool, seed: int) -> _Trial:
    """Random inputs in whole units; arrivals come as data where `shares`, split and short."""
    rng = keyed_generator(seed, "dynamics", name)
    slots = max(SLOTS, params.slots) if shares or np.ndim(params.lead_time) else params.slots
    shape = (PATHS, ITEMS)
    net = rng.integers(-6 if np.min(params.lost_share) < 1 else 0, 12, shape).astype(np.float64)
    pipeline = rng.integers(0, 8, (slots, *shape)).astype(np.float64)
    order, demand = (rng.integers(0, high, shape).astype(np.float64) for high in (15, 12))
    arrivals = rng.dirichlet(np.ones(slots + 2), shape).transpose(2, 0, 1)[: slots + 1] if shares else None
    label = f"{name}, arrivals as data" if shares else name
    return _Trial(step, label, InventoryState(net, pipeline), order, demand, params, arrivals)


def _check_shapes(trial: _Trial) -> None:
    after, outcome = trial.run()
    parts = {**outcome._asdict(), "net_inventory": after.net_inventory}
    for name, value in parts.items():
        _require(np.shape(value) == (PATHS, ITEMS), trial, "shapes", f"{name} has {np.shape(value)}")
        _require(bool(np.isfinite(value).all()), trial, "finite", f"{name} is NaN or infinite somewhere")
    expected, got = trial.state.pipeline.shape, np.shape(after.pipeline)
    _require(got == expected, trial, "shapes", f"the pipeline must stay {expected}, got {got}")


def _check_stock(trial: _Trial) -> None:
    """Stock identities: what is there and what comes in is what goes out and what stays."""
    after, out = trial.run()
    for name in ("order", "received", "sales", "shortfall", "on_hand"):
        low = float(getattr(out, name).min())
        _require(low >= 0, trial, "non-negativity", f"{name} is {low:g} somewhere")
    both = float(np.minimum(out.on_hand, out.shortfall).max())
    _require(both == 0, trial, "never on hand and short", f"an item has {both:g} on hand and is short as well")
    gap = trial.state.net_inventory + out.received - trial.demand
    _equal(out.on_hand - out.shortfall, gap, trial, "on_hand − shortfall = net inventory + received − demand")
    sales = trial.demand - np.minimum(out.shortfall, trial.demand)
    _equal(out.sales, sales, trial, "sales = demand − min(shortfall, demand)")
    lost = trial.params.lost_share * (trial.demand - out.sales)
    _equal(after.net_inventory, gap + lost, trial, "closing = opening + received − demand + lost")


def _check_pipeline(trial: _Trial) -> None:
    """Every unit ordered arrives now, is under way, or was never sent; each slot moves up by one."""
    after, out = trial.run()
    slots = len(trial.state.pipeline)
    sent = _shares(trial) * out.order
    expected = np.concatenate([trial.state.pipeline, np.zeros((1, PATHS, ITEMS))]) + sent
    _equal(out.received, expected[0], trial, "received = what was due now")
    _equal(after.pipeline, expected[1:], trial, "the pipeline moves up, and the order enters L periods ahead")
    total = trial.state.pipeline.sum(0) + sent.sum(0)
    _equal(out.received + np.sum(after.pipeline, axis=0) if slots else out.received, total, trial, "units under way")


def _shares(trial: _Trial) -> FloatArray:
    if trial.arrivals is not None:
        return np.asarray(trial.arrivals)
    slot = np.arange(len(trial.state.pipeline) + 1)[:, None, None]
    return (slot == np.asarray(trial.params.lead_time)).astype(np.float64)


def _check_orders(trial: _Trial) -> None:
    """The order that was placed keeps the rules; without rules it is the one that was asked for."""
    placed, params = trial.run()[1].order, trial.params
    if not params.order_rules:
        _equal(placed, trial.order, trial, "an order that breaks no rule is placed as it is")
    if params.pack_size is not None:
        packs = placed / params.pack_size
        _equal(packs, np.rint(packs), trial, "orders are whole packs")
    if params.maximum_order is not None:
        _require(bool((placed <= params.maximum_order).all()), trial, "maximum order", f"placed {placed.max():g}")
    if params.minimum_order is not None:
        small = (placed > 0) & (placed < params.minimum_order)
        _require(not small.any(), trial, "minimum order", "an order is above zero and below the minimum")


def _check_cost(trial: _Trial) -> None:
    out, p = trial.run()[1], trial.params
    lost = p.lost_share * (trial.demand - out.sales)
    ordering = p.fixed_order_cost * (out.order > 0) + p.unit_cost * out.order
    expected = (
        p.holding_cost * out.on_hand + p.stockout_cost * out.shortfall + ordering - p.price * (trial.demand - lost)
    )
    _equal(out.cost, expected, trial, "cost = h·on_hand + b·shortfall + K·1[q > 0] + c·q − p·(demand − lost)")


def _check_again(trial: _Trial) -> None:
    """The same inputs, which stay as they are, give the same answer."""
    inputs = (*trial.state, trial.order, trial.demand)
    before = [value.copy() for value in inputs]
    first, second = trial.run(), trial.run()
    for kept, value in zip(before, inputs, strict=True):
        _require(np.array_equal(kept, value), trial, "no mutation", "the step wrote into its inputs; work on copies")
    _same(second, first, trial, "determinism", 0.0)


def _check_batch(trial: _Trial) -> None:
    """A batch is its paths and items one by one."""
    whole = trial.run()
    for path in range(PATHS):
        for item in range(ITEMS):
            chosen = np.array([path]), np.array([item])
            _same(
                trial.pick(*chosen).run(), _picked(whole, *chosen), trial, "a batch is its episodes one by one", 1e-12
            )


def _check_permutation(trial: _Trial) -> None:
    order = keyed_generator(0, "permutation")
    chosen = order.permutation(PATHS), order.permutation(ITEMS)
    expected = _picked(trial.run(), *chosen)
    _same(trial.pick(*chosen).run(), expected, trial, "other paths and items change nothing", 1e-12)


def _check_torch(trial: _Trial) -> None:
    """Torch tensors give what numpy arrays give."""
    if find_spec("torch") is None:
        return
    torch: Any = import_module("torch")
    state = InventoryState(*(torch.as_tensor(value) for value in trial.state))
    order, demand = torch.as_tensor(trial.order), torch.as_tensor(trial.demand)
    arrivals = None if trial.arrivals is None else torch.as_tensor(trial.arrivals)
    after, out = replace(trial, state=state, order=order, demand=demand, arrivals=arrivals).run()
    tensors = all(isinstance(value, torch.Tensor) for value in (*after, *out))
    _require(tensors, trial, "numpy = torch", "tensors went in, and something else came out")
    kept = InventoryState(*(value.numpy() for value in after)), PeriodOutcome(*(value.numpy() for value in out))
    _same(kept, trial.run(), trial, "numpy = torch", 1e-12)


# Inputs that a step writes into would spoil every later check: that one comes first.
_CHECKS = (
    _check_again,
    _check_shapes,
    _check_stock,
    _check_pipeline,
    _check_orders,
    _check_cost,
    _check_batch,
    _check_permutation,
    _check_torch,
)


def _picked(
    result: tuple[InventoryState, PeriodOutcome], paths: IntArray, items: IntArray
) -> tuple[InventoryState, PeriodOutcome]:
    after, outcome = result
    state = InventoryState(after.net_inventory[paths][:, items], after.pipeline[:, paths][:, :, items])
    return state, PeriodOutcome(*(value[paths][:, items] for value in outcome))


def _same(got: Any, expected: Any, trial: _Trial, check: str, tolerance: float) -> None:
    """Compare all of (state, outcome)."""
    names = (*InventoryState._fields, *PeriodOutcome._fields)
    for name, a, b in zip(names, (*got[0], *got[1]), (*expected[0], *expected[1]), strict=True):
        _equal(a, b, trial, f"{check} ({name})", tolerance)


def _equal(got: Array, expected: Array, trial: _Trial, check: str, tolerance: float = 1e-9) -> None:
    _require(np.shape(got) == np.shape(expected), trial, check, f"shapes {np.shape(got)} and {np.shape(expected)}")
    gap = np.abs(np.asarray(got) - np.asarray(expected))
    if gap.size and not gap.max() <= tolerance:
        worst = np.unravel_index(int(gap.argmax()), gap.shape)
        shown = f"expected {np.asarray(expected)[worst]:.9g}, got {np.asarray(got)[worst]:.9g}"
        _require(False, trial, check, f"{shown} at {tuple(int(i) for i in worst)}")


def _require(holds: bool, trial: _Trial, check: str, message: str) -> None:
    if not holds:
        raise FractileError(f"the step function fails the check {check!r} ({trial.name}): {message}")
