"""What tuned classical policies cost on instances of the literature: a section of docs/policies.md."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from policies_settings import Settings

import fractile as fr
from fractile.envs.core.period import system_of
from fractile.envs.core.types import Scenario
from fractile.envs.instances.catalogue import Instance, instances
from fractile.policies.exact.dynamic_programming import DynamicProgramming
from fractile.policies.rollout import simulate
from fractile.training.tune import tune_policy

SECTION = "classical"

ITEMS = ("base_stock", "capped_base_stock", "tuned_newsvendor")
DRAWING = ("projected_level", "projected", "tuned_projected", "myopic", "myopic2", "lookahead")
"""Policies that project stock in every decision: judged on fewer periods, beside the optimal policy on them."""

SUPPLIERS = ("single_index", "dual_index", "capped_dual_index", "tailored_base_surge")

GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "lost sales": ("zipkin2008-poisson", (*ITEMS, *DRAWING)),
    "fixed cost": ("bijvank2015", ("ss", "rq")),
    "fixed cost, backorders": ("zheng1991", ("ss",)),
    "two suppliers": ("gijsbrechts2022-dual", SUPPLIERS),
    "serial": ("alvo2023-serial", ("echelon_base_stock",)),
    "serial, book": ("snyder2019-serial", ("echelon_base_stock",)),
}
"""Group → the beginning of its instances' names, and the policies."""


def measure(settings: Settings) -> pd.DataFrame:
    """Return a row for each seed, instance and policy."""
    parts = []
    for group, (prefix, policies) in GROUPS.items():
        names = [name for name in instances if name.startswith(prefix)]
        for name in names[:1] if settings.quick else names:
            for seed in settings.seeds[:1] if settings.quick else settings.seeds:
                if settings.skips(SECTION, f"{name}-{seed}"):
                    continue
                some = [p for p in policies if p not in DRAWING or seed == settings.seeds[0]]
                piece = settings.kept(
                    SECTION,
                    f"{name}-{seed}",
                    lambda name=name, some=some, seed=seed: {
                        "rows": [row(instances[name], policy, seed, settings.quick) for policy in some]
                    },
                )
                parts.append(pd.DataFrame(piece["rows"]).assign(group=group))
    return pd.concat(parts, ignore_index=True)


def drawn(instance: Instance, seed: int, paths: int, periods: int) -> Scenario:
    """Return demand of an instance, at all locations of a network."""
    scenario = fr.draw_scenario(
        instance.demand, seed=seed, paths=paths, periods=periods, span=system_of(instance.params).horizon
    )
    if isinstance(instance.params, fr.ItemParams):
        return scenario
    return replace(scenario, demand=instance.params.place(scenario.demand), forecasts=None)


def row(instance: Instance, policy: str, seed: int, quick: bool) -> dict[str, Any]:
    """Tune a policy on some paths, and judge it on others."""
    start = time.process_time()
    if policy in ("projected", "myopic", "myopic2"):
        made = plain = fr.make_policy(policy)
        notes: tuple[str, ...] = ()
    else:
        scenario = drawn(instance, 1000 + seed, 64 if quick else 512, 100)
        tuned = tune_policy(policy, scenario, instance.params, demand=instance.demand, seed=seed)
        made, plain, notes = tuned.policy, tuned.untuned, tuned.notes
    seconds = time.process_time() - start
    optimal, warm_up = instance.optimal or np.nan, 60
    if policy in DRAWING:
        # The difference from the optimal policy on the same demand has a fraction of the error.
        fresh = drawn(instance, 2000 + seed, 16 if quick else 48, 190)
        best = DynamicProgramming(instance.demand, instance.params)
        least = of_paths(best, fresh, instance, warm_up) - optimal
        apart = [of_paths(made, fresh, instance, warm_up) - least]
        apart.append(apart[0] if plain is made else of_paths(plain, fresh, instance, warm_up) - least)
    else:
        fresh = drawn(instance, 2000 + seed, 500 if quick else 7_000, 560)
        apart = [of_paths(p, fresh, instance, warm_up) for p in (made, plain)]
    known = instance.known.get({"myopic2": "myopic-2"}.get(policy, policy))
    return {
        "instance": instance.name,
        "policy": policy,
        "seed": seed,
        "optimal": optimal,
        "cost": float(apart[0].mean()),
        "gap": 100 * (float(apart[0].mean()) / optimal - 1),
        "gap_error": 100 * float(apart[0].std() / np.sqrt(len(apart[0]))) / optimal,
        "untuned_gap": 100 * (float(apart[1].mean()) / optimal - 1),
        "known_gap": np.nan if known is None else 100 * (known.cost / optimal - 1),
        "notes": "; ".join(notes),
        "cpu_seconds": seconds,
    }


def of_paths(policy: Any, scenario: Scenario, instance: Instance, warm_up: int) -> np.ndarray:
    """Return the cost per period of each path, (paths,)."""
    blocks = []
    for first in range(0, scenario.paths, 2000):
        some = Scenario(scenario.demand[first : first + 2000], scenario.forecasts)
        blocks.append(simulate(policy, some, instance.params, warm_up=warm_up).cost.sum(2).mean(1))
    return np.concatenate(blocks)


def page(frame: pd.DataFrame) -> str:
    """Return the section."""
    lines = []
    for (group, policy), rows in frame.groupby(["group", "policy"], sort=False):
        error = np.sqrt((rows.gap_error**2).sum()) / len(rows)
        by_instance = rows.groupby("instance").gap.mean()
        known = rows[rows.known_gap.notna()].known_gap
        lines.append(
            (
                *(group, f"`{policy}`", rows.instance.nunique(), f"{rows.gap.mean():.2f} ± {error:.2f}"),
                *(f"{by_instance.max():.2f}", f"{rows.untuned_gap.mean():.2f}"),
                *(f"{known.mean():.2f}" if len(known) == len(rows) else "–", f"{rows.cpu_seconds.mean():.1f}"),
            )
        )
    head = ("system", "policy", "instances", "gap %", "worst", "untuned", "best of its kind", "CPU-s")
    table = [head, ("---", "---", *["---:"] * 6), *lines]
    text = "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in table)
    return f"{HEADING}\n\n{text}\n\n{REMARKS}"


HEADING = """\
## Classical policies

Each is tuned by `tune_policy` on 512 simulated paths of 100 periods, from its default configuration, and judged on 3.5
million fresh periods a seed; policies that project stock in every decision (`projected_level` to `lookahead`) on 6,240
of one seed, beside the optimal policy on the same demand. *Untuned* has parameters from formulas; *best of its kind* is
what the literature or an exact search says of the best parameters. `projected`, `myopic` and `myopic2` have none to
tune. The mean and the worst are over instances, ± one standard error."""

REMARKS = """\
`lookahead` plays candidates through on the forecast's own paths, with a capped newsvendor after; it reads nothing but
the forecast. Costs of two suppliers and of chains include what units cost, so that their gaps are small by nature."""
