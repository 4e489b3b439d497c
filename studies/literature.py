"""The instances of the literature, solved and simulated, beside their published numbers: one table."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..envs.core.period import system_of
from ..envs.core.types import InventoryState, Scenario
from ..envs.demand.distributions import Normal
from ..envs.gym.batch import target_state
from ..envs.instances.catalogue import Instance, Known, instances
from ..envs.networks.network import Network
from ..errors import FractileError
from ..policies.base import Policy
from ..policies.dual_sourcing import CappedDualIndex, DualIndex, SingleIndex, TailoredBaseSurge
from ..policies.exact.backorders import clark_scarf, transshipment_bound, zheng_federgruen
from ..policies.exact.dynamic_programming import DynamicProgramming
from ..policies.exact.markov_decision import optimal_policy
from ..policies.exact.policy_evaluation import best_dual_sourcing, exact_cost
from ..policies.newsvendor import normal_newsvendor
from ..policies.registry import make_policy
from ..policies.rollout import roll
from ..randomness import keyed_generator

if TYPE_CHECKING:
    from ..progress import Progress

PATHS, PERIODS, WARM_UP = 1000, 2000, 100
"""Of a simulation: two million periods."""

LISTED = ("base_stock", "capped_base_stock", "projected_level", "constant_order", "ss", "rq", "capped ss")
"""Policies whose states can be listed, so that their cost is exact."""

HORIZON = 365
"""Periods of a discounted cost."""

STANDARD_ERRORS = 4
"""Within how many of them a simulated cost has to lie."""

DUAL_POLICIES: dict[str, Callable[..., Policy]] = {
    "single_index": SingleIndex,
    "dual_index": DualIndex,
    "capped_dual_index": CappedDualIndex,
    "tailored_base_surge": TailoredBaseSurge,
}
"""Policies of two suppliers, whose best parameters are searched."""


@dataclass(frozen=True)
class Row:
    """One number of the literature, and ours.

    Attributes:
        instance: its name.
        quantity: "optimal", "bound", or a policy.
        method: how ours was found: "exact", "formula" or "simulated".
        ours: money per period.
        literature: likewise.
        standard_error: of ours, where it was simulated; else 0.
        tolerance: the largest difference that agrees: a unit of the last digit that is given, and four standard errors.
        evidence: where the literature's number comes from; see `Known`.
    """

    instance: str
    quantity: str
    method: str
    ours: float
    literature: float
    standard_error: float
    tolerance: float
    evidence: str

    @property
    def agrees(self) -> bool:
        """Whether the two numbers are the same within the tolerance."""
        return abs(self.ours - self.literature) <= self.tolerance


def literature_rows(
    pattern: str = "*", *, paths: int = PATHS, seed: int = 0, progress: Progress | None = None
) -> Iterator[Row]:
    """Yield a row for every number that is known of the instances, and that can be computed.

    Args:
        pattern: of the instances' names, as in a shell.
        paths: of each simulation.
        seed: of the simulations.
        progress: called with the instance and the share that is done.

    Raises:
        FractileError: where no instance has such a name.
    """
    chosen = fnmatch.filter(instances, pattern)
    if not chosen:
        raise FractileError(f"no instance is called {pattern!r}; list(fractile.instances) has their names")
    for i, name in enumerate(chosen):
        instance = instances[name]
        if progress is not None:
            progress(name, i / len(chosen))
        yield from _compare_optimum(instance, paths, seed)
        for policy, known in instance.known.items():
            yield from _compare_policy(instance, policy, known, paths, seed)


def literature_table(
    pattern: str = "*", *, paths: int = PATHS, seed: int = 0, progress: Progress | None = None
) -> pd.DataFrame:
    """Return the rows as a table, with `difference` and `agrees`; see `literature_rows`."""
    rows = list(literature_rows(pattern, paths=paths, seed=seed, progress=progress))
    table = pd.DataFrame([row.__dict__ for row in rows])
    table.insert(5, "difference", table["ours"] - table["literature"])
    return table.assign(agrees=[row.agrees for row in rows])


@dataclass(frozen=True)
class Solved:
    """The optimum of an instance.

    Attributes:
        method: "exact" or "formula".
        cost: money per period.
        policy: its optimal policy, where that is one of a simple form.
    """

    method: str
    cost: float
    policy: Policy | None = None


def solve(instance: Instance) -> Solved:
    """Return the optimum of an instance, by the solver of its kind."""
    demand: Any = instance.demand
    params = instance.params
    if instance.system == "serial":
        # Clark and Scarf's cost, and what every unit costs on its way: demand passes all links.
        holding = np.asarray(params.holding_cost)[::-1].tolist()
        stages = clark_scarf(demand, params.lead_time[::-1].tolist(), holding, float(np.max(params.stockout_cost)))
        transit = np.broadcast_to(params.transit_cost, params.locations)
        unit = float((transit[params.destination] * params.lead_time + params.link_costs[1]).sum())
        policy = make_policy("echelon_base_stock", levels=stages.levels[::-1])
        return Solved("exact", stages.cost + unit * float(np.mean(demand.mean)), policy)
    if instance.system == "dual_sourcing":
        return Solved("exact", optimal_policy(demand, params).average_cost)
    if isinstance(demand, Normal):
        level, cost = normal_newsvendor(demand, params)
        return Solved("formula", cost, make_policy("base_stock", level=level))
    if params.fixed_order_cost and params.lost_share == 0:
        return Solved("exact", zheng_federgruen(demand, params).cost)
    return Solved("exact", DynamicProgramming(demand, params).average_cost)


def _compare_optimum(instance: Instance, paths: int, seed: int) -> Iterator[Row]:
    """Compare the optimum, solved and simulated, and a bound, as far as the literature gives them."""
    unit, name = 10.0**-instance.digits, instance.name
    if instance.optimal is not None:
        best = solve(instance)
        yield Row(name, "optimal", best.method, best.cost, instance.optimal, 0.0, unit, instance.evidence)
        if best.policy is not None:
            known = Known(instance.optimal, evidence=instance.evidence)
            yield _simulate(instance, "optimal", best.policy, known, paths, seed)
    if instance.bound is not None:
        network: Network = instance.params
        demand: Any = getattr(instance.demand, "base", instance.demand)
        bound = transshipment_bound(
            demand.standard_deviation,
            store_lead_time=int(network.lead_time[-1]),
            warehouse_lead_time=int(network.lead_time[0]),
            stockout_cost=float(np.max(network.stockout_cost)),
            correlation=float(getattr(instance.demand, "correlation", 0.0)),
        )
        yield Row(name, "bound", "formula", float(bound), instance.bound, 0.0, unit, instance.evidence)


def _compare_policy(instance: Instance, policy: str, known: Known, paths: int, seed: int) -> Iterator[Row]:
    """Compare a policy's cost: exact where its parameters are searched, simulated where the literature gives them."""
    if policy.endswith(", discounted"):
        # Cost of `HORIZON` periods discounted to their first, after a warm-up, from nothing on hand.
        demand: Any = instance.demand
        undiscounted = replace(instance.params, discount=1.0)
        if known.parameters:
            made = make_policy("base_stock", **known.parameters)
        else:  # a wide bound: the position rarely goes there, but the optimal order there is not cut
            made = optimal_policy(demand, instance.params, highest=30)
        costs = exact_cost(made, demand, undiscounted).by_period(WARM_UP + HORIZON)[WARM_UP:]
        cost = float(costs @ instance.params.discount ** np.arange(HORIZON))
        # The base-stock costs were simulated: to a few units of money.
        tolerance = 1.0 if known.parameters else 1e-3
        yield Row(instance.name, policy, "exact", cost, known.cost, 0.0, tolerance, known.evidence)
    elif policy in DUAL_POLICIES:
        best = best_dual_sourcing(DUAL_POLICIES[policy], instance.demand, instance.params)  # type: ignore[arg-type]
        # The literature gives gaps to three decimals of a per cent.
        tolerance = 1e-5 * known.cost
        yield Row(instance.name, policy, "exact", best.cost, known.cost, 0.0, tolerance, known.evidence)
        yield _simulate(instance, policy, best.policy, known, paths, seed)
    elif known.parameters:
        given = {"demand": instance.demand} if policy == "projected_level" else {}
        made = make_policy("ss" if policy == "capped ss" else policy, **given, **known.parameters)
        if policy in LISTED:
            cost = exact_cost(made, instance.demand, instance.params).average_cost  # type: ignore[arg-type]
            yield Row(instance.name, policy, "exact", cost, known.cost, 0.0, _rounding(known), known.evidence)
        yield _simulate(instance, policy, made, known, paths, seed)


def _simulate(instance: Instance, name: str, policy: Policy, known: Known, paths: int, seed: int) -> Row:
    cost, error = simulated_cost(instance, policy, paths=paths, seed=seed)
    tolerance = STANDARD_ERRORS * error + _rounding(known)
    return Row(instance.name, name, "simulated", cost, known.cost, error, tolerance, known.evidence)


def _rounding(known: Known) -> float:
    """Return a unit of the last digit that is given: the second where it was printed, else the fourth."""
    return 0.01 if known.evidence == "printed" or "levels" in known.parameters else 1e-4


def simulated_cost(instance: Instance, policy: Policy, *, paths: int = PATHS, seed: int = 0) -> tuple[float, float]:
    """Return the simulated cost per period of a policy on an instance, and its standard error, money.

    Args:
        instance: of the literature.
        policy: to simulate.
        paths: independent demand paths, each of `PERIODS` periods after a warm-up.
        seed: of the demand.
    """
    rng = keyed_generator(seed, "literature", instance.name)
    demand = instance.demand.sample(rng, paths, PERIODS + WARM_UP)
    params, scenario = instance.params, Scenario(system_of(instance.params).place(demand))
    # Near a steady state, so that the warm-up can be short: mean demand on every way, and some periods' on hand.
    start: Any
    if isinstance(params, Network):
        mean = float(np.mean(instance.demand.sample(keyed_generator(0, "mean"), 256, 4)))
        regular = params.into * params.lead_time[:, None]
        due = np.arange(params.slots)[:, None, None] < regular.max(0)
        pipeline = np.where(due, np.rint(mean), 0.0) * np.ones((1, paths, 1))
        start = InventoryState(np.full((paths, params.locations), np.rint(2 * mean)), pipeline)
    else:
        forecast = instance.demand.forecast(params.slots + 1)  # type: ignore[attr-defined]  # known distributions have one
        target = target_state(forecast, params, paths, params.slots)
        start = system_of(params).fresh_state(np.rint(target.net_inventory), np.rint(target.pipeline))
    total = np.zeros(paths)
    for period, (_, outcome) in enumerate(roll(policy, scenario, params, start)):
        if period >= WARM_UP:
            total += outcome.cost.sum(1)
    cost = total / PERIODS
    return float(cost.mean()), float(cost.std(ddof=1) / np.sqrt(paths))


def literature_page(table: pd.DataFrame) -> str:
    """Return the table as Markdown, an instance's rows together, with its sources below."""
    apart = int((~table["agrees"]).sum())
    head = [
        "# The literature, recomputed",
        "",
        "Made by `fractile literature --out docs/literature.md`. Exact numbers have to agree to a unit of the last",
        f"digit that the literature gives; simulated ones within {STANDARD_ERRORS} standard errors of two million",
        "periods besides. `recomputed` marks reference values that were found independently of this library,",
        "`printed` those of the papers, `reported` those that somebody else gives for a paper.",
        "",
        f"{len(table)} rows, {apart} apart.",
        "",
        "| instance | what | how | ours | literature | difference | standard error | source | agrees |",
        "|---|---|---|---:|---:|---:|---:|---|---|",
    ]
    sources = sorted({instances[name].citation for name in table["instance"]})
    rows, found = [], list[Any](table.itertuples(index=False))
    for row in found:
        error = f"{row.standard_error:.4f}" if row.method == "simulated" else ""
        numbers = f"{row.ours:.5f} | {row.literature:.5f} | {row.difference:+.5f} | {error}"
        agreed = "yes" if row.agrees else "**no**"
        rows.append(f"| {row.instance} | {row.quantity} | {row.method} | {numbers} | {row.evidence} | {agreed} |")
    return "\n".join([*head, *rows, "", "## Sources", "", *(f"- {source}" for source in sources), ""])
