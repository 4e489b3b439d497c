"""What a study's savings depend on: held-out periods played again under other costs, lead times, demand and forecasts.

Policies that read costs, lead times and forecasts decide anew under the changed ones. What was tuned stays as tuned: a
safety setting, fixed levels and the weights of a network were found under the costs that were given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..arrays import FloatArray
from ..envs.arrivals.models import RandomLeadTime, with_arrivals
from ..envs.core.types import ItemParams, Scenario, Trajectory, with_protection_totals
from ..envs.demand.belief import Distortion, distort
from ..errors import FractileError
from ..randomness import keyed_generator
from .advice import rivals_of
from .backtest import Backtest, Study
from .compare import Comparison, per_period
from .engine import Engine, Key, Pieces, Recipe, measured, study_pieces, worker_policies
from .stages import valued_policies
from .statistics.saving import paired_saving

FRONTIER = ("policy", "factor", "fill_rate", "mean_on_hand")
TORNADO = ("parameter", "side", "value", "saving", "saving_low", "saving_high")
BREAK_EVEN = ("ratio", "bias", "saving", "saving_low", "saving_high")
COLUMNS = {"frontier": FRONTIER, "tornado": TORNADO, "break_even": BREAK_EVEN}
"""Columns of the tables that are played, by name."""
GIVEN = "as given"
"""Where nothing is changed."""
ROWS = "rows.json"
"""File of the rows of a piece, and notes."""
GAINS = ("policy", "stock_saved", "fill_gained")
CYCLE = 2
"""Periods that an economic lot lasts where a fixed cost is tried and none is given."""
LATE = (0.25, 0.5, 0.25)
"""Probabilities of one period early, in time and one period late."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """A study's policies under other parameters.

    Attributes:
        frontier: a row a policy and factor of the stock-out cost: `fill_rate`, `mean_on_hand` (units, all items).
        gains: a row a policy: `stock_saved` at the baseline's fill rate (share of its stock), `fill_gained` at the
            baseline's stock (share of demand); NaN where the policy's frontier does not reach there.
        tornado: a row a parameter and side ("low", "high"): the best policy's saving with its interval, and the value
            in words; the row "as given" has the side "base".
        break_even: a row a pair of the stock-out to holding cost ratio (as a factor on the one given) and of the
            forecasts' bias: the best policy's saving.
        best: the policy whose saving it is.
        notes: what could not be played.
    """

    frontier: pd.DataFrame
    gains: pd.DataFrame
    tornado: pd.DataFrame
    break_even: pd.DataFrame
    best: str
    notes: tuple[str, ...] = ()

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return the tables by the name of their files."""
        return {
            "frontier": self.frontier,
            "frontier_gains": self.gains,
            "tornado": self.tornado,
            "break_even": self.break_even,
        }


@dataclass(frozen=True, eq=False)
class Change:
    """One change of the world that policies are played in.

    Attributes:
        params: from the parameters given to others; None = as given.
        scenario: from the scenario (warm-up and held-out periods) to another; None = as it was.
    """

    params: Callable[[ItemParams], ItemParams] | None = None
    scenario: Callable[[Scenario], Scenario] | None = None


@dataclass(frozen=True, eq=False)
class World:
    """Held-out periods that are played again.

    Attributes:
        study: whose periods they are.
        backtest: with its folds, forecasts and policies; learned ones with their first training seed.
        notes: changes that could not be played are added.
    """

    study: Study
    backtest: Backtest
    notes: list[str] = field(default_factory=list)

    def play(self, names: Sequence[str], change: Change) -> dict[str, Trajectory]:
        """Simulate policies by name under a change."""
        folds = self.backtest.folds
        policies = {name: [fold.trained.policies[name] for fold in folds] for name in names}
        params = None if change.params is None else change.params(self.study.data.params)
        backtest = self.backtest
        if change.scenario is not None:
            backtest = replace(backtest, scenario=change.scenario(self.study.replay(backtest, params)))
        return self.study.simulate(backtest, policies, params=params)

    def saving(self, baseline: str, best: str, change: Change, said: str) -> tuple[float, float, float]:
        """Return the saving of a policy under a change, with its interval; NaN where it cannot be played."""
        settings = self.study.config.statistics
        try:
            played = self.play(tuple(dict.fromkeys((baseline, best))), change)
            found = paired_saving(played[baseline].cost, played[best].cost, level=settings.level)
        except FractileError as fault:
            self.notes.append(f"{said}: {fault}")
            return float("nan"), float("nan"), float("nan")
        return float(found.saving), float(found.low), float(found.high)


def sweep_study(study: Study, backtest: Backtest, comparison: Comparison, engine: Engine | None = None) -> Sweep:
    """Play the held-out periods again under other parameters.

    Args:
        study: with `sweep` in its config.
        backtest: of the study.
        comparison: of the study: it says which policies cost least.
        engine: plays each setting as a task; None: this process does.
    """
    settings, best, baseline = study.config.sweep, comparison.rival, comparison.baseline
    rivals = [str(name) for name in rivals_of(comparison.table.reset_index(), baseline)["policy"]]
    plan = Plan(tuple([baseline, *rivals][: settings.policies]), baseline, best, settings.factors, settings.biases)
    pieces = plan.pieces(study)
    if engine is None:
        world, found = World(study, backtest), {}
        with study.stage("sweeping", counted=True):
            for k, piece in enumerate(pieces):
                found[piece] = plan.play(world, *piece)
                study.progress(f"sweeping {piece[1]}", (k + 1) / len(pieces))
    else:
        main = backtest.forecaster
        wanted = study_pieces(study.config, valued_policies(study.config))[main]
        calls: dict[Key, dict[str, Any]] = {
            ("task", "sweep", *piece): {"forecaster": main, "pieces": wanted, "plan": plan, "piece": piece}
            for piece in pieces
        }
        folders = engine.run("sweeping", f"{__name__}:sweep_task", calls)
        found = {piece: _read_rows(folders["task", "sweep", *piece]) for piece in pieces}
    rows = {name: [row for piece in pieces if piece[0] == name for row in found[piece][0]] for name in COLUMNS}
    frames = {name: pd.DataFrame(rows[name], columns=list(COLUMNS[name])) for name in COLUMNS}
    frontier = frames["frontier"].sort_values(["policy", "factor"], ignore_index=True)
    grid = frames["break_even"].sort_values(["ratio", "bias"], ignore_index=True)
    notes = tuple(dict.fromkeys(note for piece in pieces for note in found[piece][1]))
    return Sweep(frontier, frontier_gains(frontier, baseline), frames["tornado"], grid, best, notes)


@dataclass(frozen=True)
class Plan:
    """What is played.

    Attributes:
        names: of the policies whose frontiers are drawn.
        baseline: what savings are measured against.
        best: the policy whose savings they are.
        factors: on the stock-out cost.
        biases: share by which forecasts overstate demand.
    """

    names: tuple[str, ...]
    baseline: str
    best: str
    factors: tuple[float, ...]
    biases: tuple[float, ...]

    def pieces(self, study: Study) -> list[tuple[str, str]]:
        """Return which table each piece belongs to, and what is changed in it."""
        return [
            *(("frontier", repr(factor)) for factor in sorted({1.0, *self.factors})),
            *(("tornado", text) for text in (GIVEN, *changes(study))),
            *(("break_even", repr(bias)) for bias in self.biases),
        ]

    def play(self, world: World, table: str, changed: str) -> tuple[list[tuple[Any, ...]], list[str]]:
        """Return the rows of a piece, and notes on what could not be played."""
        world = replace(world, notes=[])
        if table == "frontier":
            return service_rows(world, self.names, float(changed)), world.notes
        if table == "tornado":
            return parameter_rows(world, self.baseline, self.best, changed), world.notes
        return break_even_rows(world, self.baseline, self.best, self.factors, float(changed)), world.notes


def sweep_task(
    folder: Path, recipe: Recipe, forecaster: str, pieces: Pieces, plan: Plan, piece: tuple[str, str]
) -> None:
    """Play one piece in a worker, on policies that are kept."""

    def play(study: Study) -> None:
        names = tuple(dict.fromkeys((*plan.names, plan.baseline, plan.best)))
        found = plan.play(World(study, worker_policies(recipe, forecaster, pieces, names)), *piece)
        (folder / ROWS).write_text(json.dumps(found), encoding="utf-8")

    measured(folder, recipe, forecaster, play, strict=True)


def _read_rows(folder: Path) -> tuple[list[tuple[Any, ...]], list[str]]:
    rows, notes = json.loads((folder / ROWS).read_text(encoding="utf-8"))
    return [tuple(row) for row in rows], notes


def service_rows(world: World, names: Sequence[str], factor: float) -> list[tuple[str, float, float, float]]:
    """Return fill rate and stock of policies that decide under another stock-out cost, a row a policy.

    Args:
        world: where they are played.
        names: of the policies.
        factor: on the stock-out cost.
    """
    played = world.play(names, Change(scale("stockout_cost", factor)))
    return [(name, factor, float(t.fill_rate), float(per_period(t.on_hand))) for name, t in played.items()]


def frontier_gains(frontier: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return what each policy saves of the baseline's stock at its fill rate, and gains in fill rate at its stock.

    Between the points of a policy's frontier its stock and fill rate are interpolated.

    Args:
        frontier: see `Sweep.frontier`.
        baseline: at its own costs, a factor of 1.

    >>> rows = [("a", 1.0, 0.9, 10.0), ("b", 1.0, 0.8, 6.0), ("b", 2.0, 1.0, 10.0)]
    >>> gains = frontier_gains(pd.DataFrame(rows, columns=list(FRONTIER)), "a").loc[1]
    >>> gains["policy"], [round(float(share), 3) for share in gains.iloc[1:]]
    ('b', [0.2, 0.1])
    """
    own = frontier[(frontier["policy"] == baseline) & (frontier["factor"] == 1.0)].iloc[0]
    rows = []
    for name in dict.fromkeys(frontier["policy"]):
        points = frontier[frontier["policy"] == name].sort_values(["fill_rate", "mean_on_hand"])
        fill, stock = (
            np.maximum.accumulate(points[column].to_numpy(float)) for column in ("fill_rate", "mean_on_hand")
        )
        needed = np.interp(own["fill_rate"], fill, stock, left=np.nan, right=np.nan)
        reached = np.interp(own["mean_on_hand"], stock, fill, left=np.nan, right=np.nan)
        saved = 1.0 - needed / own["mean_on_hand"] if own["mean_on_hand"] > 0 else float("nan")
        rows.append((name, round(float(saved), 12), round(float(reached - own["fill_rate"]), 12)))
    return pd.DataFrame(rows, columns=list(GAINS))


def parameter_rows(world: World, baseline: str, best: str, parameter: str) -> list[tuple[Any, ...]]:
    """Return the saving of a policy where a parameter is lower or higher than given, a row a side.

    Args:
        world: where both policies are played.
        baseline: what savings are measured against.
        best: the policy.
        parameter: of `changes`, or `GIVEN`.
    """
    if parameter == GIVEN:
        return [(GIVEN, "base", "", *world.saving(baseline, best, Change(), GIVEN))]
    sides = changes(world.study)[parameter].items()
    return [
        (parameter, side, value, *world.saving(baseline, best, change, f"{parameter} {value}"))
        for side, (value, change) in sides
    ]


def changes(study: Study) -> Mapping[str, Mapping[str, tuple[str, Change]]]:
    """Return what is changed, by parameter and side ("low", "high"), with the value in words."""
    params = study.data.params
    lead_time = np.asarray(params.lead_time)
    cycle = f"a lot lasts {CYCLE} periods"
    lot = 0.5 * CYCLE**2 * np.asarray(params.holding_cost) * study.data.panel.sales.mean(1)
    fixed = np.any(np.asarray(params.fixed_order_cost) > 0)
    found: dict[str, dict[str, tuple[str, Change]]] = {
        "holding cost": {
            "low": ("half", Change(scale("holding_cost", 0.5))),
            "high": ("twice", Change(scale("holding_cost", 2.0))),
        },
        "stock-out cost": {
            "low": ("half", Change(scale("stockout_cost", 0.5))),
            "high": ("twice", Change(scale("stockout_cost", 2.0))),
        },
        "fixed order cost": {
            "low": ("half", Change(scale("fixed_order_cost", 0.5))),
            "high": ("twice", Change(scale("fixed_order_cost", 2.0))),
        }
        if fixed
        else {"high": (cycle, Change(lambda p: replace(p, fixed_order_cost=lot)))},
        "lead time": {
            "low": ("one period less", Change(lambda p: replace(p, lead_time=np.maximum(lead_time - 1, 0)))),
            "high": ("one period more", Change(lambda p: replace(p, lead_time=lead_time + 1))),
        },
        "lead time's variance": {
            "high": ("a period early or late, 1 in 4 each", Change(scenario=lambda s: random_lead_times(s, study))),
        },
        "demand's variance": {
            "low": ("half the deviations", Change(scenario=lambda s: spread_demand(s, 0.5))),
            "high": ("half as large again", Change(scenario=lambda s: spread_demand(s, 1.5))),
        },
        "forecast bias": {
            "low": ("20 % too low", Change(scenario=lambda s: biased(s, -0.2))),
            "high": ("20 % too high", Change(scenario=lambda s: biased(s, 0.2))),
        },
    }
    if not lead_time.any():
        del found["lead time"]["low"], found["lead time's variance"]
    return found


def break_even_rows(
    world: World, baseline: str, best: str, factors: Sequence[float], bias: float
) -> list[tuple[float, ...]]:
    """Return the saving of a policy over cost ratios, where forecasts are biased.

    Args:
        world: where both policies are played.
        baseline: what savings are measured against.
        best: the policy.
        factors: on the ratio of stock-out to holding cost.
        bias: share by which forecasts overstate demand.
    """
    # Forecasts are distorted, and summed over the protection interval, once for all ratios.
    scenario = with_protection_totals(biased(world.backtest.scenario, bias), world.study.data.params)
    shown = World(world.study, replace(world.backtest, scenario=scenario), world.notes)
    rows: list[tuple[float, ...]] = []
    for factor in factors:
        said = f"ratio x {factor:g}, bias {bias:+.0%}"
        rows.append((factor, bias, *shown.saving(baseline, best, Change(scale("stockout_cost", factor)), said)))
    return rows


def break_even_line(grid: pd.DataFrame) -> pd.DataFrame:
    """Return where both policies cost the same: for each cost ratio the biases at which the saving passes zero.

    Args:
        grid: columns ratio, bias, saving.

    Returns:
        Columns ratio and bias, a row a crossing, interpolated between neighbours.
    """
    rows = []
    for ratio, part in grid.sort_values("bias").groupby("ratio"):
        bias, saving = part["bias"].to_numpy(float), part["saving"].to_numpy(float)
        for k in np.flatnonzero(saving[:-1] * saving[1:] < 0):
            share = saving[k] / (saving[k] - saving[k + 1])
            rows.append((ratio, bias[k] + share * (bias[k + 1] - bias[k])))
        rows += [(ratio, bias[k]) for k in np.flatnonzero(saving == 0)]
    return pd.DataFrame(rows, columns=["ratio", "bias"])


def scale(name: str, factor: float) -> Callable[[ItemParams], ItemParams]:
    """Return what multiplies a parameter."""

    def change(params: ItemParams) -> ItemParams:
        values: dict[str, Any] = {name: factor * np.asarray(getattr(params, name), dtype=np.float64)}
        return replace(params, **values)

    return change


def biased(scenario: Scenario, bias: float) -> Scenario:
    """Return the scenario with forecasts that overstate demand by a share."""
    return distort(scenario, Distortion(bias=bias), keyed_generator(0, "no noise"))


def random_lead_times(scenario: Scenario, study: Study) -> Scenario:
    """Return the scenario with lead times that are a period shorter or longer at times, the same on average."""
    lead_time = np.broadcast_to(study.data.params.lead_time, (scenario.items,)).astype(np.int64)
    probabilities = np.zeros((scenario.items, int(lead_time.max()) + 2))
    items = np.arange(scenario.items)
    for step, share in zip((-1, 0, 1), LATE, strict=True):
        np.add.at(probabilities, (items, np.where(lead_time > 0, lead_time + step, 0)), share)
    return with_arrivals(scenario, RandomLeadTime(probabilities), study.config.seed)


def spread_demand(scenario: Scenario, factor: float) -> Scenario:
    """Return the scenario with demand whose distance from each item's mean is multiplied, and whose total stays.

    Demand stays at or above zero, and whole where it was: what rounding cuts off is carried to the next period.

    Args:
        scenario: demand and what else there is.
        factor: on the distance from the mean.
    """
    demand = np.asarray(scenario.demand, dtype=np.float64)
    mean = demand.mean(1, keepdims=True)
    wide = np.maximum(mean + factor * (demand - mean), 0.0)
    total = wide.sum(1, keepdims=True)
    wide *= np.divide(demand.sum(1, keepdims=True), total, out=np.ones_like(total), where=total > 0)
    if np.array_equal(demand, np.rint(demand)):
        wide = _whole(wide)
    return replace(scenario, demand=wide)


def _whole(demand: FloatArray) -> FloatArray:
    """Round demand along the periods so that its running total is never off by more than half a unit."""
    running = np.floor(np.cumsum(demand, axis=1) + 0.5)
    return np.diff(running, axis=1, prepend=0.0)
