"""Check that a step function is the physics of an inventory system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..arrays import Array, IntArray
from ..errors import FractileError
from ..randomness import keyed_generator
from .core.backend import LooseSlots
from .core.params import ItemParams, SharedCapacity
from .core.period import system_of
from .core.system import COMPARED, OBSERVED, SIMULATED, System, check_attributes
from .core.types import InventoryState, PeriodOutcome
from .networks.shapes import distribution, dual_sourcing, serial
from .systems.perishable import PerishableState

PATHS, ITEMS, SLOTS = 12, 4, 3

StepFunction = Callable[..., tuple[Any, Any]]

ITEM_CASES: Mapping[str, ItemParams] = {
    "lost sales, no lead time": ItemParams(lead_time=0),
    "lost sales": ItemParams(lead_time=2, holding_cost=np.array([1.0, 2.0, 0.5, 1.0]), price=3.0),
    "backorders": ItemParams(lead_time=1, unmet_demand="backorder", fixed_order_cost=5.0, unit_cost=2.0),
    "partial backorders": ItemParams(lead_time=3, unmet_demand=np.array([0.0, 0.3, 0.8, 1.0]), price=2.0),
    "mixed lead times": ItemParams(lead_time=np.array([0, 1, 3, 2]), stockout_cost=np.array([4.0, 9.0, 19.0, 1.0])),
    "order rules": ItemParams(lead_time=1, pack_size=4.0, minimum_order=8.0, maximum_order=20.0),
}
"""Parameters of four items whose stock keeps."""

OTHER_CASES: Mapping[str, Any] = {
    "perishable, FIFO": ItemParams(lead_time=1, shelf_life=3, waste_cost=7.0, unit_cost=3.0),
    "perishable, LIFO": ItemParams(lead_time=2, shelf_life=2, waste_cost=7.0, issuing="lifo", pack_size=2.0),
    "perishable, mixed": ItemParams(
        lead_time=np.array([0, 1, 2, 1]), shelf_life=np.array([1, 2, 3, np.inf]), unmet_demand=0.5, price=2.0
    ),
    "shared capacity": ItemParams(
        lead_time=1, unmet_demand="backorder", capacity=SharedCapacity(20.0, use=np.array([1.0, 2.0, 0.5, 1.0]))
    ),
    "shared storage": ItemParams(
        lead_time=2, pack_size=2.0, minimum_order=4.0, capacity=SharedCapacity(60.0, limited="storage")
    ),
    "dual sourcing": dual_sourcing(regular_lead_time=3, items=2),
    "serial": serial((2, 0, 3), (0.1, 0.5, 1.0), 9.0, transit_cost=np.array([0.0, 0.1, 0.5])),
    "distribution": distribution(3, unmet_demand="lost", whole_units=True),
    "two warehouses, transshipment": distribution(3, warehouses=2, transshipment_cost=0.5, unmet_demand=0.5, price=2.0),
}
"""Parameters of every other system."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One call: a step function, its inputs, and what it returns.

    Attributes:
        step: `(state, order, demand, params, arrivals) -> (state, outcome)`; the one of the parameters where None.
        name: of the case, for messages.
        state: a NamedTuple of arrays (..., paths, columns).
        order: units requested, shape (paths, columns or links).
        demand: units, shape (paths, columns).
        params: of the system.
        arrivals: shape (slots + 1, paths, columns or links), or None.
    """

    step: StepFunction | None
    name: str
    state: Any
    order: Array
    demand: Array
    params: Any
    arrivals: Array | None = None

    def run(self) -> tuple[Any, Any]:
        """Call the step function; loose slots are put together."""
        inputs = (self.state, self.order, self.demand)
        if self.step is None:
            after, outcome = self.system.step(*inputs, self.arrivals)
        else:
            after, outcome = self.step(*inputs, self.params, self.arrivals)
        return type(after)(*(x.stacked() if isinstance(x, LooseSlots) else x for x in after)), outcome

    @property
    def system(self) -> System:
        """What the parameters stand for."""
        return system_of(self.params)

    @property
    def separable(self) -> bool:
        """Whether items are independent, so that any of them can be simulated alone."""
        return isinstance(self.params, ItemParams) and self.params.capacity is None

    def map_arrays(self, convert: Callable[[Array], Array]) -> Trial:
        """Return the call with other arrays."""
        state = type(self.state)(*map(convert, self.state))
        arrivals = None if self.arrivals is None else convert(self.arrivals)
        return replace(self, state=state, order=convert(self.order), demand=convert(self.demand), arrivals=arrivals)

    def paths(self, chosen: IntArray) -> Trial:
        """Return the call for these paths alone."""
        return self.map_arrays(lambda x: x[..., chosen, :])

    def items(self, chosen: IntArray) -> Trial:
        """Return the call for these items alone, or in this order."""
        return replace(self.map_arrays(lambda x: x[..., chosen]), params=self.params.select(chosen))

    def require(self, holds: bool, check: str, message: str) -> None:
        """Raise a `FractileError` where a check does not hold."""
        if not holds:
            raise FractileError(f"the step function fails the check {check!r} ({self.name}): {message}")

    def equal(self, got: Array, expected: Array, check: str, tolerance: float = 1e-9) -> None:
        """Raise a `FractileError` where arrays differ."""
        self.require(np.shape(got) == np.shape(expected), check, f"shapes {np.shape(got)} and {np.shape(expected)}")
        gap = np.abs(np.asarray(got) - np.asarray(expected))
        if gap.size and not gap.max() <= tolerance:
            worst = np.unravel_index(int(gap.argmax()), gap.shape)
            shown = f"expected {np.asarray(expected)[worst]:.9g}, got {np.asarray(got)[worst]:.9g}"
            self.require(False, check, f"{shown} at {tuple(int(i) for i in worst)}")

    def same(self, got: tuple[Any, Any], expected: tuple[Any, Any], check: str, tolerance: float) -> None:
        """Compare all of (state, outcome)."""
        names = (*type(expected[0])._fields, *type(expected[1])._fields)
        for name, a, b in zip(names, (*got[0], *got[1]), (*expected[0], *expected[1]), strict=True):
            self.equal(a, b, f"{check} ({name})", tolerance)


def check_dynamics(system: Any = None, cases: Mapping[str, Any] | None = None, *, seed: int = 0) -> None:
    """Check that a step function is the physics of an inventory system.

    Units are neither made nor lost, in stock and under way; nothing is negative, and nothing is both on hand and
    short; costs are what the parameters say; a batch is its paths one by one, in any order; the same call gives the
    same answer, leaves its inputs alone, and gives it in torch, too, where torch is installed. Of a system of your
    own, which brings its `step` along, what holds for every system is checked: all but the units under way and cost;
    and that it has every attribute that `fr.simulate`, `fr.compare` and the environments read.

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
    if system is None:
        tried = [(name, None, params) for name, params in (cases or {**ITEM_CASES, **OTHER_CASES}).items()]
    elif isinstance(system, ItemParams | System) or hasattr(system, "step"):
        tried = [(type(system).__name__, None, system)]
    else:
        tried = [(name, system, params) for name, params in (cases or ITEM_CASES).items()]
    for name, step, params in tried:
        # A class that derives from `System` may be for simulations alone.
        others = () if isinstance(params, System) else (*COMPARED, *OBSERVED)
        if step is None:
            check_attributes(params, (*SIMULATED, *others), "a simulation, a comparison or an environment")
        # With constant lead times, and with arrivals as data where it is known what they are shares of.
        for shares in (False, True) if system_of(params).stock is not None else (False,):
            trial = _trial(step, f"{name}, arrivals as data" if shares else name, params, shares, seed)
            for check in _CHECKS:
                check(trial)


def _trial(step: StepFunction | None, name: str, params: Any, shares: bool, seed: int) -> Trial:
    """Return a call with random inputs in whole units."""
    rng, system = keyed_generator(seed, "dynamics", name), system_of(params)
    columns, orders = system.columns(ITEMS), system.orders(ITEMS)
    mixed = isinstance(params, ItemParams) and np.ndim(params.lead_time) > 0
    slots = max(SLOTS, system.slots) if shares or mixed else system.slots
    order = rng.integers(0, 15, (PATHS, orders)).astype(np.float64)
    demand = rng.integers(0, 12, (PATHS, columns)).astype(np.float64)
    if system.demand_at is not None:
        demand = demand * np.isin(np.arange(columns), system.demand_at)
    arrivals = rng.dirichlet(np.ones(slots + 2), order.shape).transpose(2, 0, 1)[: slots + 1] if shares else None
    if system.stock is not None:
        return Trial(step, name, _state(rng, system, columns, slots), order, demand, params, arrivals)
    # A system of a user's own begins with nothing, and gets going by random orders and demand.
    trial = Trial(step, name, system.empty_state(PATHS, columns), order, demand, params, arrivals)
    for _ in range(6):
        order = rng.integers(0, 15, trial.order.shape).astype(np.float64)
        demand = rng.integers(0, 12, trial.demand.shape).astype(np.float64)
        trial = replace(trial, state=trial.run()[0], order=order, demand=demand)
    return trial


def _state(rng: np.random.Generator, system: System, columns: int, slots: int) -> InventoryState | PerishableState:
    shape = (PATHS, columns)
    pipeline = rng.integers(0, 8, (slots, *shape)).astype(np.float64)
    stock: Any = system.stock
    waits = np.broadcast_to(stock.lost_share, (columns,)) < 1
    if stock.shelf_life is not None:
        life = np.broadcast_to(np.asarray(stock.shelf_life), (columns,))
        alive = np.where(np.isfinite(life), np.arange(stock.ages)[:, None, None] < life, False)
        alive[-1] |= ~np.isfinite(life)
        units = rng.integers(0, 5, (stock.ages, *shape)) * alive
        owed = rng.integers(0, 6, shape) * waits * (units.sum(0) == 0)
        return PerishableState(units.astype(np.float64), pipeline, owed.astype(np.float64))
    if system.demand_at is not None:
        waits = waits & np.isin(np.arange(columns), system.demand_at)
    return InventoryState(rng.integers(np.where(waits, -6, 0), 12, shape).astype(np.float64), pipeline)


def _check_values(trial: Trial) -> None:
    """Arrays have their shapes, are finite and not negative."""
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
    stock = trial.system.stock
    if stock is None:
        return
    after, out = trial.run()
    available = trial.state.net_inventory + out.received - trial.system.shipped_out(out.order)
    waste = getattr(out, "waste", 0.0)
    gap = available - trial.demand
    trial.equal(out.on_hand - out.shortfall + waste, gap, "on_hand − shortfall = net inventory + received − demand")
    unmet = np.minimum(out.shortfall, trial.demand)
    trial.equal(out.sales, trial.demand - unmet, "sales = demand − min(shortfall, demand)")
    lost = stock.lost_share * unmet
    trial.equal(after.net_inventory, gap + lost - waste, "closing = opening + received − demand + lost")


def _check_pipeline(trial: Trial) -> None:
    """Every unit ordered arrives now, is under way, or was never sent; each slot moves up by one."""
    if trial.system.stock is None:
        return
    after, out = trial.run()
    shares = trial.arrivals
    if shares is None:
        slot = np.arange(len(trial.state.pipeline) + 1)[:, None, None]
        shares = (slot == np.asarray(trial.params.lead_time)).astype(np.float64)
    sent = trial.system.shipped_in(shares * out.order)
    expected = np.concatenate([trial.state.pipeline, np.zeros((1, *sent.shape[1:]))]) + sent
    trial.equal(out.received, expected[0], "received = what was due now")
    trial.equal(after.pipeline, expected[1:], "the pipeline moves up, and the order enters L periods ahead")
    total = np.sum(trial.state.pipeline, axis=0) + sent.sum(0)
    trial.equal(out.received + np.sum(after.pipeline, axis=0), total, "units under way")


def _check_orders(trial: Trial) -> None:
    """The order that was placed keeps the rules; without rules it is the one that was asked for."""
    params = trial.params
    if not isinstance(params, ItemParams):
        return
    placed = trial.run()[1].order
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


def _check_shipments(trial: Trial) -> None:
    """A location ships no more than it has, and no more than was ordered from it."""
    if trial.system.stock is None or isinstance(trial.params, ItemParams):
        return
    shipped = trial.run()[1].order
    sent, asked = trial.system.shipped_out(shipped), trial.system.shipped_out(trial.order)
    trial.require(bool((shipped <= trial.order + 1e-9).all()), "shipments", "more is shipped than was asked for")
    due = trial.state.pipeline[0] if len(trial.state.pipeline) else 0.0
    available = np.maximum(trial.state.net_inventory + due, 0.0)
    over = float((sent - available).max())
    trial.require(over <= 1e-9, "shipments", f"a location ships {over:g} more than it has")
    short = sent < np.minimum(available, asked) - 1e-6
    trial.require(not short.any(), "shipments", "a location holds units back that were asked for")


def _check_cost(trial: Trial) -> None:
    """Costs are those that the parameters say."""
    system, stock = trial.system, trial.system.stock
    if stock is None:
        return
    after, out = trial.run()
    lost = stock.lost_share * np.minimum(out.shortfall, trial.demand)
    expected = stock.holding_cost * out.on_hand + stock.stockout_cost * out.shortfall
    expected = expected - stock.price * (trial.demand - lost) + stock.waste_cost * getattr(out, "waste", 0.0)
    expected = expected + trial.params.ordering_cost(np.asarray(out.order))
    expected = expected + system.transit_cost * np.sum(after.pipeline, axis=0)
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
    """A batch is its paths, and its items where they are independent, one by one and in any order."""
    whole, check = trial.run(), "a batch is its episodes one by one"
    for path in range(PATHS):
        chosen = np.array([path])
        trial.same(trial.paths(chosen).run(), _pick(whole, lambda x, c=chosen: x[..., c, :]), check, 1e-12)
    for item in range(ITEMS if trial.separable else 0):
        chosen = np.array([item])
        trial.same(trial.items(chosen).run(), _pick(whole, lambda x, c=chosen: x[..., c]), check, 1e-12)
    rng, check = keyed_generator(0, "permutation"), "other paths and items change nothing"
    paths, items = rng.permutation(PATHS), rng.permutation(ITEMS)
    trial.same(trial.paths(paths).run(), _pick(whole, lambda x: x[..., paths, :]), check, 1e-12)
    if isinstance(trial.params, ItemParams):
        expected = _pick(whole, lambda x: x[..., items] if x.shape[-1] == ITEMS else x)
        trial.same(trial.items(items).run(), expected, check, 1e-12)


def _check_torch(trial: Trial) -> None:
    """Torch tensors give what numpy arrays give."""
    if find_spec("torch") is None:
        return
    torch: Any = import_module("torch")
    after, out = trial.map_arrays(torch.as_tensor).run()
    tensors = all(isinstance(value, torch.Tensor) for value in (*after, *out))
    trial.require(tensors, "numpy = torch", "tensors went in, and something else came out")
    trial.same(_pick((after, out), lambda x: x.numpy()), trial.run(), "numpy = torch", 1e-12)


# Inputs that a step writes into would spoil every later check: that one comes first.
_CHECKS = (
    _check_again,
    _check_values,
    _check_stock,
    _check_pipeline,
    _check_orders,
    _check_shipments,
    _check_cost,
    _check_batch,
    _check_torch,
)


def _pick(result: tuple[Any, Any], pick: Any) -> tuple[Any, Any]:
    after, outcome = result
    return type(after)(*map(pick, after)), type(outcome)(*map(pick, outcome))
