"""What the generalist costs on problems that it never saw: a section of docs/policies.md."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from policies_settings import Settings

import fractile as fr
from fractile.envs.core.types import ItemParams, Scenario
from fractile.errors import FractileError
from fractile.policies.exact.dynamic_programming import DynamicProgramming, OneItemGrid
from fractile.policies.generalist import WEIGHTS, Generalist, project
from fractile.policies.newsvendor import Newsvendor
from fractile.policies.rollout import simulate
from fractile.randomness import keyed_generator
from fractile.training.random_problems import draw_models
from fractile.training.tune import tune_policy

SECTION = "generalist"
SEED = 20_11
"""Of the problems here; those of training have seed 0, those that designs were chosen on others."""

SMALL = ("poisson", "negative_binomial", "geometric", "intermittent")
LARGEST_MEAN = {0: 8.0, 1: 8.0, 2: 8.0, 3: 5.0, 4: 4.0}
"""Largest mean demand by lead time: exact solutions grow with both."""

STATES = 2e6
"""States times orders up to which a problem is solved; larger ones are left out."""


@dataclass(frozen=True, eq=False)
class Group:
    """Problems of one family, one lead time and one kind of unmet demand, an item each.

    Attributes:
        family: of demand.
        demand: what it is.
        forecast: what is forecast.
        params: lead time (one for all) and costs, of whole units.
        error: "right", "biased" or "spread": how the forecast is wrong.
        optimal: the least cost per period, (problems,), where it is known.
    """

    family: str
    demand: Any
    forecast: Any
    params: ItemParams
    error: str
    optimal: np.ndarray | None = None


def measure(settings: Settings) -> pd.DataFrame:
    """Return a row for each problem and policy, and a row for each table's sum."""
    quick = settings.quick
    tables = {
        "known": lambda: known(8 if quick else 500),
        "misled": lambda: misled(8 if quick else 150),
        "simulated": lambda: simulated(8 if quick else 500, 20 if quick else 200),
        "long": lambda: long(1 if quick else 6, 20 if quick else 100),
        "rules": lambda: rules(4 if quick else 60),
        "literature": literature,
    }
    parts = []
    for name, make in tables.items():
        if settings.skips(SECTION, name):
            continue
        piece = settings.kept(SECTION, name, lambda make=make: {"rows": make()})
        rows = pd.DataFrame(piece["rows"]).assign(table=name, seed=SEED)
        parts.append(rows.assign(cpu_seconds=piece["cpu_seconds"] / len(rows)))
    return pd.concat(parts, ignore_index=True)


def draw_group(
    rng: np.random.Generator, family: str, lead_time: int, unmet: str, number: int, mean: np.ndarray, error: str
) -> Group:
    """Draw problems, each with its forecast."""
    bias = rng.choice([0.8, 1.2], number) if error == "biased" else np.ones(number)
    widening = rng.choice([0.6, 1.6], number) if error == "spread" else np.ones(number)
    demand, forecast = draw_models(rng, family, mean, bias, widening)
    short = 2.0 * 50.0 ** rng.random(number)
    params = ItemParams(lead_time=lead_time, stockout_cost=short, unmet_demand=unmet, pack_size=1.0)
    return Group(family, demand, forecast, params, error)


def solved(number: int, errors: tuple[str, ...] = ("right",), key: str = "known") -> list[Group]:
    """Draw problems small enough to be solved exactly, by family, lead time and unmet demand, with their optima."""
    rng = keyed_generator(SEED, key)
    wanted: dict[tuple[str, int, str, str], int] = {}
    for _ in range(number):
        unmet = "lost" if key != "known" or rng.random() < 0.7 else "backorder"
        lead_time = int(rng.integers(0 if key == "known" else 1, 5))
        family = str(rng.choice(SMALL, p=[0.3, 0.35, 0.1, 0.25]))
        kind = family, lead_time, unmet, str(rng.choice(errors))
        wanted[kind] = wanted.get(kind, 0) + 1
    groups = []
    for (family, lead_time, unmet, error), count in sorted(wanted.items()):
        candidates = 4 * count + 4
        mean = 0.2 * (LARGEST_MEAN[lead_time] / 0.2) ** rng.random(candidates)
        whole = draw_group(rng, family, lead_time, unmet, candidates, mean, error)
        kept, optimal = [], []
        for item in range(candidates):
            problem = problem_of(whole, item)
            if len(kept) < count and problem is not None:
                kept.append(item)
                optimal.append(problem.average_cost)
        some = np.array(kept)
        groups.append(
            Group(
                family,
                whole.demand.select(some),
                whole.forecast.select(some),
                whole.params.select(some),
                error,
                np.array(optimal),
            )
        )
    return groups


def problem_of(group: Group, item: int) -> DynamicProgramming | None:
    """Return one problem as a dynamic programme; None where it is too large."""
    demand, params = group.demand.select(np.array([item])), group.params.select(np.array([item])).as_numbers()
    bounds: tuple[int, ...] = ()
    try:
        grid = OneItemGrid(demand, params)
        if group.error != "right":
            # Room for whoever orders by a wrong forecast.
            bounds = 2 * grid.largest + 4, 2 * grid.highest + 4
            grid = OneItemGrid(demand, params, *bounds)
    except FractileError:
        return None
    orders = len(grid.quantities)
    later = max(params.lead_time - 1, 0) if grid.in_pipeline else 0
    if (grid.highest - grid.lowest + 1) * float(orders) ** later * orders > STATES:
        return None
    return DynamicProgramming(demand, params, 1e-7, *bounds)


class Misled:
    """A policy that is shown another forecast than the true one."""

    def __init__(self, policy: Any, forecast: Any) -> None:
        self.policy, self.forecast = policy, forecast

    def order(self, obs: Any) -> Any:
        return self.policy.order(replace(obs, forecast=self.forecast, total=None, features=None))


def exact_gaps(groups: list[Group], policies: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the exact cost of policies above the optimum, percent, a row a problem."""
    rows = []
    for group in groups:
        spans = group.params.slots + 1
        for item in range(group.demand.items):
            problem, one = problem_of(group, item), np.array([item])
            forecast = group.forecast.select(one).forecast(spans)
            try:
                costs = {name: problem.average_cost_of(Misled(policy, forecast)) for name, policy in policies.items()}
            except FractileError as fault:  # more is ordered than the grid holds
                print(group.family, fault)
                continue
            for name, cost in costs.items():
                rows.append(
                    {
                        "policy": name,
                        "family": group.family,
                        "lead_time": group.params.slots,
                        "unmet": group.params.unmet_demand,
                        "stockout_cost": float(group.params.stockout_cost[item]),
                        "mean": float(np.ravel(group.demand.select(one).distribution().mean())[0]),
                        "forecast": group.error,
                        "optimal": float(group.optimal[item]),
                        "cost": float(cost),
                        "gap": 100.0 * (float(cost) / float(group.optimal[item]) - 1.0),
                    }
                )
    return rows


def known(number: int) -> list[dict[str, Any]]:
    """Gaps on problems with right forecasts."""
    return exact_gaps(solved(number), {"generalist": Generalist()})


def misled(number: int) -> list[dict[str, Any]]:
    """Gaps on lost sales with forecasts right, biased, and of a wrong spread."""
    groups = solved(number, ("right", "biased", "spread"), "misled")
    return exact_gaps(groups, {"generalist": Generalist(), "newsvendor": Whole(Newsvendor())})


class Whole:
    """A policy whose orders are cut to what theory allows: never more than the periods served may need."""

    def __init__(self, policy: Any) -> None:
        self.policy = policy

    def order(self, obs: Any) -> Any:
        served = obs.forecast.after(int(obs.params.lead_time)).head(1).quantile(obs.params.critical_ratio)
        return np.minimum(self.policy.order(obs), served[:, :, 0].T)


def simulated(number: int, paths: int, periods: int = 140, warm_up: int = 40) -> list[dict[str, Any]]:
    """Simulate the solved problems: a check of the exact costs, with its standard error."""
    rows = []
    for k, group in enumerate(solved(number)):
        rng = keyed_generator(SEED, "simulated", k)
        items, spans = group.demand.items, group.params.slots + 1
        scenario = Scenario(group.demand.sample(rng, paths, periods), [group.forecast.forecast(spans)] * periods)
        cost = simulate(Generalist(), scenario, group.params, warm_up=warm_up).cost.mean(1) / group.optimal
        error = cost.std(0, ddof=1) / np.sqrt(paths)
        rows += [
            {
                "policy": "generalist",
                "family": group.family,
                "lead_time": group.params.slots,
                "gap": 100.0 * float(cost[:, i].mean() - 1.0),
                "gap_error": 100.0 * float(error[i]),
                "item_periods": paths * periods,
            }
            for i in range(items)
        ]
    return rows


class ProjectedAt:
    """Projected-inventory-level policy: order so that expected stock on arrival is a fixed level, units an item."""

    def __init__(self, level: np.ndarray) -> None:
        self.level = level

    def order(self, obs: Any) -> Any:
        stock = project(obs, obs.features.parts)
        return np.maximum(self.level - stock.mean, 0.0)


def long(number: int, paths: int, periods: int = 130) -> list[dict[str, Any]]:
    """Compare with the best tuned classical policy at lead times that no exact solution reaches, L = 5 to 10.

    Base-stock levels, capped base-stock levels and projected levels are searched on half of the paths, for each problem
    on its own; all policies are then compared on the other half.
    """
    rows = []
    for lead_time in range(5, 11):
        for family in (*SMALL, "gamma"):
            rng = keyed_generator(SEED, "long", lead_time, family)
            mean = 0.2 * 100.0 ** rng.random(number)
            group = draw_group(rng, family, lead_time, "lost", number, mean, "right")
            params = group.params if family != "gamma" else replace(group.params, pack_size=None)
            demand = group.demand.sample(rng, 2 * paths, periods)
            forecasts = [group.forecast.forecast(lead_time + 1)] * periods
            search, judge = (
                Generalist().prepare(Scenario(half, forecasts), params) for half in (demand[:paths], demand[paths:])
            )
            best = tuned(search, params)
            costs = {
                name: simulate(policy, judge, params, warm_up=30).cost.mean(1)
                for name, policy in {"generalist": Generalist(), "newsvendor": Newsvendor(), **best}.items()
            }
            # The one of the three that costs least on the paths that it was tuned on.
            found = [simulate(policy, search, params, warm_up=30).cost.mean((0, 1)) for policy in best.values()]
            cheapest = np.argmin(found, axis=0)
            classical = np.choose(cheapest, [costs[name] for name in best])
            for name, cost in costs.items():
                more = (cost - classical) / classical.mean(0)
                gap, error = 100.0 * more.mean(0), 100.0 * more.std(0, ddof=1) / np.sqrt(paths)
                rows += [
                    {
                        "policy": name,
                        "family": family,
                        "lead_time": lead_time,
                        "stockout_cost": float(params.stockout_cost[i]),
                        "mean": float(np.ravel(group.demand.distribution().mean())[i]),
                        "gap": float(gap[i]),
                        "gap_error": float(error[i]),
                        "item_periods": paths * periods,
                    }
                    for i in range(number)
                ]
    return rows


def tuned(scenario: Scenario, params: ItemParams) -> dict[str, Any]:
    """Tune three classical policies on a scenario, each problem for itself."""
    found = {name: tune_policy(name, scenario, params).policy for name in ("base_stock", "capped_base_stock")}
    parts = scenario.features.at(0).parts
    targets = np.array([np.maximum(parts.served[0] + z * parts.scale[0], 0.0) for z in np.linspace(-0.8, 1.6, 25)])
    costs = [simulate(ProjectedAt(x), scenario, params, warm_up=30).cost.mean((0, 1)) for x in targets]
    best = np.take_along_axis(targets, np.argmin(costs, axis=0)[None], 0)[0]
    return {**found, "projected_level": ProjectedAt(best)}


def rules(number: int) -> list[dict[str, Any]]:
    """Exact gaps with fixed order costs and with packs; both are lost sales but for Zheng and Federgruen's."""
    rows = []
    cases = [
        ("fixed cost, literature", name, i.demand, i.params)
        for name, i in fr.instances.items()
        if i.system == "fixed_cost"
    ]
    rng = keyed_generator(SEED, "rules")
    for k in range(number):
        lead_time, pack = int(rng.integers(1, 4)), float(rng.integers(2, 7))
        demand = fr.NegativeBinomial(float(rng.uniform(0.5, 5.0)), float(rng.uniform(0.7, 8.0)))
        params = ItemParams(lead_time=lead_time, stockout_cost=float(2.0 * 50.0 ** rng.random()), pack_size=pack)
        cases.append(("packs, lost sales", f"packs {k}", demand, params))
    for k in range(number):
        unmet = "lost" if k % 2 else "backorder"
        lead_time, mean = int(rng.integers(0, 2 if k % 2 else 4)), float(rng.uniform(0.5, 4.0 if k % 2 else 12.0))
        demand = fr.NegativeBinomial(mean, mean / float(rng.uniform(0.1, 4.0)))
        short, fixed = float(2.0 * 50.0 ** rng.random()), float(2.0 * 100.0 ** rng.random())
        params = ItemParams(lead_time, 1, 1.0, short, fixed, unmet_demand=unmet, pack_size=1.0)
        cases.append((f"fixed cost, {'lost sales' if k % 2 else 'backorders'}", f"fixed {k}", demand, params))
    for rule, name, demand, params in cases:
        try:
            problem = DynamicProgramming(demand, params)
            cost = problem.average_cost_of(Generalist())
        except FractileError as fault:  # a grid that is too large, or too small for what is ordered
            print(name, fault)
            continue
        row = {"policy": "generalist", "family": rule, "name": name, "lead_time": int(params.lead_time)}
        gap = 100.0 * (float(cost) / problem.average_cost - 1.0)
        rows.append({**row, "optimal": problem.average_cost, "cost": float(cost), "gap": gap})
    return rows


def literature() -> list[dict[str, Any]]:
    """Exact gaps on Zipkin's instances with Poisson and geometric demand, L = 1 to 4."""
    rows = []
    for family, lead_time, b in [
        (f, k, b) for f in ("poisson", "geometric") for k in range(1, 5) for b in (4, 9, 19, 39)
    ]:
        instance = fr.instances[f"zipkin2008-{family}-b{b}-L{lead_time}"]
        problem = DynamicProgramming(instance.demand, instance.params)
        try:
            cost = problem.average_cost_of(Generalist())
        except FractileError as fault:  # a grid that is too large
            print(instance.name, fault)
            continue
        gap = 100.0 * (cost / instance.optimal - 1.0)
        row = {"policy": "generalist", "family": family, "lead_time": lead_time, "stockout_cost": float(b)}
        rows.append({**row, "optimal": instance.optimal, "cost": float(cost), "gap": float(gap)})
    return rows


def page(frame: pd.DataFrame) -> str:
    """Return the section in Markdown."""
    known, simulated_rows = (frame[frame.table == name] for name in ("known", "simulated"))
    lost = known[(known.unmet == "lost") & (known.lead_time > 0)]
    made = MADE["settings"]
    return "\n\n".join(
        [
            "## One network for every problem: `generalist`",
            f"Trained once, for {MADE['cpu_seconds']} CPU-seconds on one thread ({made['steps']} steps of "
            f"{made['paths']} random problems; `{MADE['command']}`), shipped with the package, and never trained "
            "again. Problems here have another seed than those of training and those that designs were chosen on. "
            "Without lost sales, and without a lead time, it is the newsvendor by construction.",
            f"**Problems with a known optimum** ({len(known)}: L = 0 to 4, b/h = 2 to 100, Poisson, negative binomial, "
            f"geometric and intermittent demand up to 8 units a period, forecasts right; problems whose exact solution "
            "is too large are left out). Gaps are exact, from the Markov chain of the policy. "
            f"Simulated on {int(simulated_rows.item_periods.sum()) / 1e6:.1f} million item-periods, the same policy is "
            f"{simulated_rows.gap.mean():.2f} % ± {standard_error(simulated_rows):.2f} above the optimum "
            f"({known.gap.mean():.2f} % exact).",
            markdown(
                [
                    summary("all", known),
                    summary("lost sales, L ≥ 1", lost),
                    *(summary(f"… {name.replace('_', ' ')}", rows) for name, rows in lost.groupby("family")),
                    *(summary(f"… L = {k}", rows) for k, rows in lost.groupby("lead_time")),
                    *(
                        summary(f"… b/h from {cut.left:g} to {cut.right:g}", rows)
                        for cut, rows in lost.groupby(pd.cut(lost.stockout_cost, [2, 5, 20, 100]), observed=True)
                    ),
                    *(
                        summary(f"… mean demand {cut.left:g} to {cut.right:g}", rows)
                        for cut, rows in lost.groupby(pd.cut(lost["mean"], [0, 0.5, 2, 8]), observed=True)
                    ),
                ],
                ("lost sales and backorders", "problems", "mean gap %", "95th percentile", "largest"),
            ),
            "**Zipkin's instances**, never seen (L = 1 to 4, b = 4, 9, 19, 39; exact):",
            markdown(
                [summary(name, rows) for name, rows in frame[frame.table == "literature"].groupby("family")],
                ("demand", "problems", "mean gap %", "95th percentile", "largest"),
            ),
            "**Fixed costs and packs** (exact; the literature's are Zheng and Federgruen's and Bijvank et al.'s; "
            "others are negative binomial demand, K = 2 to 200, or packs of 2 to 6 units with L = 1 to 3):",
            markdown(
                [summary(name, rows) for name, rows in frame[frame.table == "rules"].groupby("family")],
                ("", "problems", "mean gap %", "95th percentile", "largest"),
            ),
            "**Wrong forecasts** (lost sales, L = 1 to 4; mean forecast 20 % off, or spread 0.6 or 1.6 times the right "
            "one where the family has a free spread; exact gap to the optimum that knows the law):",
            misled_table(frame[frame.table == "misled"]),
            "**Long lead times** (L = 5 to 10, lost sales, where no exact solution reaches): cost against the best of "
            "a base-stock, a capped base-stock and a projected level, tuned and chosen for each problem on its own "
            "paths; all are compared on other paths:",
            long_table(frame[frame.table == "long"]),
            FAILS,
        ]
    )


FAILS = """\
**Where it fails.** Items that sell less than a unit a period: the best order jumps by a unit where the network's rises
smoothly, so that some close calls are rounded the wrong way. Intermittent and negative binomial demand at L = 8 to 10.
Lost sales with a fixed cost: that is handled by a formula for backorders (power approximation), not by the network.
Packs of several units made up a tenth of the training problems; reviews of several periods, perishable stock and shared
capacity were never seen; networks are refused. What forecasts get wrong it cannot know: a tuned policy learns it on
the history of its items, this one does not, and with backorders it does not hedge at all. Lead times beyond 10 are read
as 10."""


def summary(name: str, rows: pd.DataFrame) -> tuple[Any, ...]:
    """Return a line of a table of gaps."""
    gap = rows.gap
    return name, len(gap), f"{gap.mean():.2f}", f"{gap.quantile(0.95):.2f}", f"{gap.max():.2f}"


def standard_error(rows: pd.DataFrame) -> float:
    """Standard error of a mean over problems that are simulated on their own, percent."""
    return float(np.sqrt((rows.gap_error**2).sum()) / len(rows))


def misled_table(rows: pd.DataFrame) -> str:
    """Gaps by what is wrong with the forecast."""
    lines = []
    for error in ("right", "biased", "spread"):
        some = rows[rows.forecast == error]
        means = [some[some.policy == name].gap for name in ("generalist", "newsvendor")]
        lines.append((error, len(means[0]), *(f"{gap.mean():.1f}" for gap in means)))
    return markdown(lines, ("forecast", "problems", "generalist, mean gap %", "newsvendor (cut to what is served)"))


def long_table(rows: pd.DataFrame) -> str:
    """Costs against the best tuned classical policy, by lead time and by family."""
    lines = []
    groups = [(f"L = {k}", some) for k, some in rows.groupby("lead_time")]
    groups += [(name.replace("_", " "), some) for name, some in rows.groupby("family")]
    for name, some in [("all", rows), *groups]:
        of = {policy: some[some.policy == policy] for policy in ("generalist", "projected_level", "base_stock")}
        ours = of["generalist"]
        error = standard_error(ours)
        lines.append(
            (
                *(name, len(ours), f"{ours.gap.mean():+.2f} ± {error:.2f}", f"{ours.gap.quantile(0.95):+.2f}"),
                *(f"{of[policy].gap.mean():+.2f}" for policy in ("projected_level", "base_stock")),
            )
        )
    head = ("", "problems", "generalist, % above the best", "95th percentile", "projected level", "base-stock")
    return markdown(lines, head)


def markdown(lines: list[tuple[Any, ...]], head: tuple[str, ...]) -> str:
    """Return a table in Markdown, its first column text."""
    rows = [head, ("---", *["---:"] * (len(head) - 1)), *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


MADE = json.loads((WEIGHTS / "generalist.json").read_text(encoding="utf-8"))
"""How the shipped weights were made."""
