"""Measure whether simulated demand is the demand that comes: `python docs/demand.py --data FOLDER --work FOLDER`.

Writes docs/demand.md and its pictures. Every piece (a panel, a forecaster, a seed) is kept in the work folder as soon
as it is done; a second call runs what is missing, and writes the page of all that is there. `--only` chooses parts,
`--fresh` runs them again, `--quick` tries the script on small panels, with short training. Panels that are not in the
data folder are left out, and that is said. The text beside the numbers is written by hand, in docs/demand_notes.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from demand_generator import chain
from demand_measures import (
    correlations,
    interval_losses,
    law_measures,
    mean_loss,
    pair_correlation,
    rolled,
    run_lengths,
    total_spread,
    transform_shares,
    transforms,
)
from demand_page import write_page
from demand_truth import JointLaw
from lineage import freshretailnet50k, online_retail_uci, vn2

import fractile as fr
from fractile.forecasters.scores import StockOuts, weighted_quantile_loss
from fractile.randomness import keyed_generator
from fractile.studies.backtest import new_forecaster
from fractile.studies.league.run import quick_options

HERE = Path(__file__).parent
NAMES = ("croston", "patchwork", "lightgbm", "mqrnn", "mqcnn")
"""A textbook forecaster, the structural one, trees and two networks."""
NETWORKS = ("mqrnn", "mqcnn")
SEEDED = ("mqrnn", "mqcnn")
"""Names whose fit depends on a seed: on real panels the others are fitted once."""
PICTURED = "mqcnn"
LEVELS = np.arange(1, 10) / 10
TRUTH = "truth"
WEEKS = 26
"""Periods after the cutoff that demand is simulated for."""
HORIZON = 8
LATER = (2, 10, 18)
"""Origins of the league, counted from the cutoff."""
LAST = 25
"""Origins that sums over the protection interval are scored at."""
SHOWN, SETTLED = 3, 4
"""In pictures: the protection interval, and the periods at the beginning of a simulation that are left out."""


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        seeds: of generators and networks.
        paths: simulated by each forecaster and seed.
        truth: simulated from true laws.
        items: of panels that demand is simulated for.
        made: items of the embedded panel.
        dead: numbers of dead items.
    """

    seeds: int = 3
    paths: int = 32
    truth: int = 2000
    items: int = 100
    made: int = 300
    dead: tuple[int, ...] = (0, 16, 32, 64)


QUICK = Size(seeds=1, paths=8, truth=400, items=30, made=60, dead=(0, 16))


@dataclass(frozen=True)
class Job:
    """What was asked on the command line."""

    data: Path
    work: Path
    quick: bool
    fresh: bool
    names: tuple[str, ...]

    @property
    def size(self) -> Size:
        return QUICK if self.quick else Size()

    def options(self, name: str) -> dict[str, Any]:
        return quick_options([name], {})[name] if self.quick else {}

    def seeds_of(self, name: str) -> int:
        return self.size.seeds if name in SEEDED else 1

    def kept(self, part: str, name: str, seed: int, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return one piece of a part: read where it was kept, else made and kept."""
        path = self.work / part / f"{name}-{seed}.json"
        if path.is_file() and not self.fresh:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        start = time.process_time()
        piece = {"name": name, "seed": seed, **make()}
        piece["seconds"] = time.process_time() - start
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(piece, indent=1), encoding="utf-8")
        print(f"{part} {name} {seed}: {piece['seconds']:.0f} CPU-seconds", flush=True)
        return piece

    def picture(self, part: str) -> Path:
        return self.work / part / "picture.npz"


def fitted(job: Job, name: str, panel: fr.SalesPanel, cutoff: int, horizon: int, seed: int) -> tuple[Any, float]:
    """Return a forecaster fitted on what was on record before the cutoff, and the CPU-seconds that it took."""
    start = time.process_time()
    forecaster = new_forecaster(name, job.options(name), horizon, seed).fit(panel.until(cutoff))
    return forecaster, time.process_time() - start


# Panels whose true law is known.


@dataclass(frozen=True, eq=False)
class World:
    """A panel whose true law is known: the embedded one, or one of the second generator.

    Attributes:
        panel: what is on record.
        demand: of customers, units, shape (items, periods).
        law: draws of demand, and quantiles, from the true law given the record.
        span: periods of the protection interval, shape (items,).
        level: critical ratio, shape (items,).
    """

    panel: fr.SalesPanel
    demand: np.ndarray
    law: Any
    span: np.ndarray
    level: np.ndarray

    @property
    def cutoff(self) -> int:
        return self.panel.periods - WEEKS

    def simulated(self, most: int) -> np.ndarray:
        """Return the items that demand is simulated for: those listed before the cutoff."""
        return np.flatnonzero(self.panel.listed[:, self.cutoff - 1])[:most]


def embedded(size: Size, seed: int) -> World:
    retail = fr.retail_panel(size.made, seed=seed)
    static = retail.panel.static
    ratio = static["stockout_cost"] / (static["stockout_cost"] + static["holding_cost"])
    span = static["lead_time"].to_numpy(dtype=np.int64) + 1
    return World(retail.panel, retail.demand, JointLaw(retail), span, ratio.to_numpy(dtype=np.float64))


def second(size: Size, seed: int) -> World:
    made = chain(size.items, seed=seed)
    items = made.panel.items
    return World(made.panel, made.demand, made, np.full(items, 3), np.full(items, 0.9))


WORLDS = {"embedded": embedded, "second": second}
world_of = cache(lambda kind, size, seed: WORLDS[kind](size, seed))


def run_world(job: Job, kind: str) -> None:
    """Simulate a panel's future by every forecaster, and by its true law; score quantiles and sums."""
    for seed in range(job.size.seeds):
        job.kept(kind, TRUTH, seed, partial(true_piece, job, kind, seed))
        for name in job.names:
            job.kept(kind, name, seed, partial(world_piece, job, kind, name, seed))


def true_piece(job: Job, kind: str, seed: int) -> dict[str, Any]:
    world = world_of(kind, job.size, seed)
    items = world.simulated(job.size.items)
    drawn = world.law.paths(world.cutoff, WEEKS, job.size.truth, keyed_generator(seed, "true law"))[:, :, items]
    origins = [world.cutoff + later for later in LATER]
    values = world.law.quantiles(origins, HORIZON, LEVELS)
    return {"law": law_measures(drawn), "wql": weighted_loss(world, origins, values)}


def weighted_loss(world: World, origins: list[int], values: np.ndarray) -> float:
    """Weighted quantile loss against true demand, stock-out or not, of items that were listed at the origin."""
    targets = np.array(origins)[:, None] + np.arange(HORIZON)
    demand = np.where(world.panel.listed[:, targets], world.demand[:, targets], np.nan)
    return weighted_quantile_loss(demand, values, LEVELS)


def world_piece(job: Job, kind: str, name: str, seed: int) -> dict[str, Any]:
    world, size = world_of(kind, job.size, seed), job.size
    panel, cutoff = world.panel, world.cutoff
    forecaster, seconds = fitted(job, name, panel, cutoff, HORIZON, seed)
    items = world.simulated(size.items)
    few = panel.select(items)
    drawn, _, scenarios = rolled(forecaster, few, cutoff, WEEKS, size.paths, seed, span=shown(name, seed))
    origins = [cutoff + later for later in LATER]
    values = forecaster.predict(panel, HORIZON, LEVELS, origins=origins).values
    last = np.arange(cutoff, panel.periods - int(world.span.min()) + 1)[:LAST]
    ahead = forecaster.predict(panel, int(world.span.max()), origins=last)
    losses = interval_losses(ahead, panel, world.span, world.level, world.demand)
    if name == PICTURED and seed == 0:
        keep_picture(job, kind, forecaster, few, cutoff, drawn, scenarios, world.demand[items])
    return {
        "law": law_measures(drawn),
        "wql": weighted_loss(world, origins, values),
        "sums": {key: mean_loss(loss) for key, loss in losses.items()},
        "cells": {key: loss.tolist() for key, loss in losses.items()},
        "made": seed,
        "fit_seconds": seconds,
    }


# Real panels.


@dataclass(frozen=True)
class Real:
    """A real panel.

    Attributes:
        load: from the data folder.
        items: that forecasters are fitted on, drawn by key; all of them where None.
        span: periods of the protection interval.
        level: critical ratio.
        simulate: whether demand is simulated beyond the cutoff.
    """

    load: Callable[[Path], fr.SalesPanel]
    items: int | None
    span: int
    level: float
    simulate: bool


REAL = {
    "vn2": Real(vn2, None, 3, 1.0 / 1.2, simulate=True),
    "online_retail_uci": Real(online_retail_uci, 1000, 3, 0.9, simulate=False),
    "freshretailnet50k": Real(freshretailnet50k, 1000, 3, 0.9, simulate=True),
}


@cache
def real_panel(job: Job, kind: str) -> fr.SalesPanel:
    panel, most = REAL[kind].load(job.data), job.size.made if job.quick else REAL[kind].items
    return panel if most is None else panel.select(some(panel, most, kind))


def some(panel: fr.SalesPanel, most: int, purpose: str) -> np.ndarray:
    """Return the positions of items drawn by key."""
    chosen = keyed_generator(0, "docs/demand", purpose).permutation(panel.items)[:most]
    return np.sort(chosen)


def run_real(job: Job, kind: str) -> None:
    for name in job.names:
        for seed in range(job.seeds_of(name)):
            job.kept(kind, name, seed, partial(real_piece, job, kind, name, seed))


def real_piece(job: Job, kind: str, name: str, seed: int) -> dict[str, Any]:
    """Score sums over the protection interval at the last origins; simulate the last periods, and compare them."""
    panel, about = real_panel(job, kind), REAL[kind]
    span = np.full(panel.items, about.span)
    last = panel.periods - about.span - np.arange(LAST + 1)[::-1]  # the first is of the transform alone
    forecaster, seconds = fitted(job, name, panel, int(last[0]), max(about.span, 4), seed)
    ahead = forecaster.predict(panel, about.span, origins=last)
    losses = interval_losses(ahead, panel, span, np.full(panel.items, about.level), None)
    ways: tuple[StockOuts, ...] = ("mask", "bound")
    piece: dict[str, Any] = {
        "sums": {key: mean_loss(loss[1:]) for key, loss in losses.items()},
        "cells": {key: loss[1:].tolist() for key, loss in losses.items()},
        "transform": {way: transform_shares(transforms(ahead, panel, span, way), LEVELS) for way in ways},
        "fit_seconds": seconds,
    }
    if about.simulate and seed == 0:
        cutoff = int(last[0])
        few = panel.select(some(panel, 2 * job.size.items, f"{kind} simulated"))
        # What is not known of the real record is left out of the simulated one as well.
        known = few.informative[:, cutoff:].T
        weeks = panel.periods - cutoff
        drawn, expected, scenarios = rolled(
            forecaster, few, cutoff, weeks, job.size.paths, seed, span=shown(name, seed)
        )
        one = forecaster.predict(few, 1, origins=np.arange(cutoff, panel.periods)).mean()[:, :, 0].T
        real = few.sales[:, cutoff:].T
        piece["shocks"] = {
            "spread": total_spread(real, one, known),
            "spreads": [total_spread(d, e, known) for d, e in zip(drawn, expected, strict=True)],
            "pairs": pair_correlation(real, known),
            "pairs_simulated": [pair_correlation(d, known) for d in drawn],
        }
        if name == PICTURED:
            keep_picture(job, kind, forecaster, few, cutoff, drawn, scenarios, None)
    return piece


def shown(name: str, seed: int) -> int:
    """Return how many periods ahead policies see: the pictured forecaster's paths are simulated with a policy."""
    return SHOWN if name == PICTURED and seed == 0 else 1


# Dead items.


def run_dead(job: Job, _: str) -> None:
    """Forecast eight live items beside dead ones, by every name."""
    for name in fr.FORECASTERS:
        job.kept("dead", name, 0, partial(dead_piece, job, name))


LIVE, WEEKS_LONG, DIED = 8, 150, 40


def dead_panel(dead: int) -> fr.SalesPanel:
    """Return a panel of live items, Poisson with mean 6, and of dead ones that sold alike until `DIED` weeks ago."""
    import pandas as pd

    names = [*(f"live-{k}" for k in range(LIVE)), *(f"dead-{k}" for k in range(dead))]
    sales = np.array([keyed_generator(0, "dead items", name).poisson(6.0, WEEKS_LONG) for name in names], dtype=float)
    sales[LIVE:, -DIED:] = 0.0
    every = np.ones(sales.shape, dtype=bool)
    dates = pd.date_range("2022-01-03", periods=WEEKS_LONG, freq="W-MON")
    return fr.SalesPanel(sales, every, every.copy(), dates, tuple(names), "W-MON")


def dead_piece(job: Job, name: str) -> dict[str, Any]:
    # A panel of a few items needs no long training.
    options, rows = quick_options([name], {})[name], []
    if "steps" in options and not job.quick:
        options["steps"] = 400
    try:
        for dead in job.size.dead:
            panel = dead_panel(dead)
            forecaster = new_forecaster(name, options, 4, 0).fit(panel)
            forecast = forecaster.predict(panel, 4)
            one, four = forecast.quantile(0.95)[:LIVE, 0, 0], forecast.total(4).quantile(0.95)[:LIVE, 0, 0]
            gone = forecast.quantile(0.95)[LIVE:, 0, 0]
            rows.append(
                {
                    "dead": dead,
                    "one": float(one.mean()),
                    "four": float(four.mean()),
                    "gone": float(gone.max()) if dead else None,
                }
            )
    except ImportError as error:
        return {"rows": [], "error": str(error)}
    return {"rows": rows}


# Pictures.


def keep_picture(
    job: Job,
    kind: str,
    forecaster: Any,
    panel: fr.SalesPanel,
    cutoff: int,
    drawn: np.ndarray,
    scenarios: list[Any],
    demand: np.ndarray | None,
) -> None:
    """Keep what the pictures of one panel are drawn from."""
    window = slice(cutoff, cutoff + drawn.shape[1])
    known = panel.informative[:, window].T
    span = np.full(panel.items, SHOWN)
    ahead = forecaster.predict(panel, SHOWN, origins=np.arange(cutoff, panel.periods - SHOWN + 1))
    # Where demand is known, whether in stock or not, it is what forecasts are held against.
    came = panel if demand is None else replace(panel, sales=demand, in_stock=np.ones_like(panel.in_stock))
    found = transforms(ahead, came, span, "bound")
    out = panel.listed & ~panel.in_stock
    after = out[:, cutoff + SETTLED : window.stop]
    simulated_runs, ratio = policy_runs(scenarios[0], float(after.mean()))
    path = job.picture(kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        past=panel.sales.sum(axis=0),
        demand=np.zeros(0) if demand is None else demand.sum(axis=0),
        totals=drawn.sum(axis=2),
        pairs_real=correlations(panel.sales[:, window].T, known),
        pairs_simulated=np.array([correlations(path, known) for path in drawn[:8]]),
        runs_real=run_lengths(after),
        runs_simulated=simulated_runs,
        ratio=ratio,
        shares=np.array([np.nanmean(found.below(edge)) for edge in np.linspace(0, 1, 11)]),
        cutoff=cutoff,
        freq=panel.freq,
    )


def policy_runs(scenario: Any, share: float) -> tuple[np.ndarray, float]:
    """Return run lengths of simulated stock-outs, and the critical ratio of the policy.

    What the shop's own policy was is not known. `newsvendor` (lead time 2) gets the critical ratio under which the
    share of item-periods out of stock is nearest to the record's; whether runs are then as long is the question.
    """
    best = (np.inf, np.zeros(1), 0.5)
    for ratio in (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
        params = fr.ItemParams(lead_time=SHOWN - 1, holding_cost=1 - ratio, stockout_cost=ratio, unmet_demand="lost")
        lived = fr.simulate(fr.make_policy("newsvendor"), scenario, params, warm_up=SETTLED)
        short = np.asarray(lived.shortfall) > 0
        distance = abs(float(short.mean()) - share)
        if distance < best[0]:
            best = (distance, run_lengths(short.transpose(0, 2, 1).reshape(-1, short.shape[1])), ratio)
    return best[1], best[2]


PARTS: dict[str, Callable[[Job, str], None]] = {
    "embedded": run_world,
    "second": run_world,
    **dict.fromkeys(REAL, run_real),
    "dead": run_dead,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data", help="folder of panels")
    parser.add_argument("--work", type=Path, default=Path("runs") / "demand", help="folder of results")
    parser.add_argument("--page", type=Path, default=HERE / "demand.md", help="the page to write")
    parser.add_argument("--only", default="", help=f"parts, with commas between them: {', '.join(PARTS)}, page")
    parser.add_argument("--names", default=",".join(NAMES), help="forecasters, with commas between them")
    parser.add_argument("--quick", action="store_true", help="small panels and short training, to try the script")
    parser.add_argument("--fresh", action="store_true", help="run again what is there")
    given = parser.parse_args()
    job = Job(given.data.absolute(), given.work.absolute(), given.quick, given.fresh, tuple(given.names.split(",")))
    chosen = [part for part in given.only.split(",") if part] or [*PARTS, "page"]
    unknown = sorted(set(chosen) - {*PARTS, "page"}) + sorted(set(job.names) - set(fr.FORECASTERS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; parts: {', '.join(PARTS)}, page; names: see `fractile list`")
    for part in chosen:
        if part in REAL and not (job.data / part).is_dir():
            print(f"{part}: left out, for it is not in {job.data}", file=sys.stderr)
        elif part in PARTS:
            PARTS[part](job, part)
    print(f"{time.process_time():.0f} CPU-seconds in all")
    if "page" in chosen:
        write_page(job.work, given.page, HERE / "demand_notes.md")


if __name__ == "__main__":
    main()
