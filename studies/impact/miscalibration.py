"""What mistakes of a forecast cost: a simulated world in which it is right, and policies that see it distorted.

Demand of each held-out period is drawn from the forecast made just before it (`histories`), so that the truth is
known. Policies then see the forecast as it is, or with one mistake: too high or too low (`bias`, a factor), too sure or
too unsure (`spread`, a factor on the distance from the median), shaky (`noise`, the deviation of a random factor), or
late (`lateness`, the forecast of some periods ago). All see the same demand. Policies that are tuned are tuned anew on
another draw with the same mistake: what they then cost less than the untuned form is what tuning absorbs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...arrays import FloatArray, IntArray
from ...envs.core.forecast_features import ProtectionTotals
from ...envs.core.types import ItemParams, Scenario, with_protection_totals
from ...envs.demand.belief import Distortion
from ...forecasters.demand_forecast import DemandForecast
from ...forecasters.forecast import QuantileForecast
from ...forecasters.storage import load_state, save_state
from ...policies.base import Planner, Policy
from ...policies.rollout import policy_of_items, simulate
from ...randomness import keyed_generator
from ...training.train import needs_training
from ...training.tune import TUNERS, tune_policy
from ..backtest import Backtest, Study
from ..compare import per_period
from ..engine import Engine, Key, Pieces, Recipe, measured, worker_policies, worker_study
from ..histories import draw_histories
from ..statistics import paired_saving
from ..windows import shown_periods

BIAS = (0.7, 0.8, 0.9, 1.1, 1.2, 1.3)
SPREAD = (0.5, 0.75, 1.5, 2.0)
NOISE = (0.1, 0.2, 0.3, 0.5)
LATENESS = (1, 2, 3, 4)
"""Sizes of the mistakes: factors on demand, factors on the distance from the median, deviations, periods."""
RIGHT = "none"
"""The mistake of a forecast that is right."""
PLAYED = "played"
"""Name of the files of what was played."""
RECENT = 8
"""Periods before the held-out ones in which an item must have sold: where nothing sells nothing is decided."""


@dataclass(frozen=True, eq=False)
class World:
    """Demand that a forecaster's quantiles are right about, with forecasts from each period.

    Attributes:
        demand: units, shape (paths, periods, items).
        forecasts: one a period, each as far as a late policy needs.
        reach: periods ahead that policies are shown.
        lateness: the largest that forecasts reach over.
    """

    demand: FloatArray
    forecasts: Sequence[Any]
    reach: int
    lateness: int

    def believed(self, periods: int = 0) -> Scenario:
        """Return what policies see, the forecasts of some periods ago.

        Args:
            periods: ago; in the first periods as long ago as there are forecasts.
        """
        seen = []
        for t in range(len(self.forecasts)):
            ago = min(periods, t)
            seen.append((self.forecasts[t - ago].after(ago) if ago else self.forecasts[t]).head(self.reach))
        return Scenario(self.demand, forecasts=seen)


@dataclass(frozen=True)
class Mistake:
    """One way of being wrong.

    Attributes:
        kind: "bias", "spread", "noise", "lateness" or `RIGHT`.
        size: how much; 1, 1, 0 and 0 are none.
    """

    kind: str
    size: float


def mistakes(lateness: int) -> list[Mistake]:
    """Return the right forecast and all mistakes; late ones as far as forecasts reach."""
    sizes = {"bias": BIAS, "spread": SPREAD, "noise": NOISE, "lateness": [k for k in LATENESS if k <= lateness]}
    return [Mistake(RIGHT, 0.0), *(Mistake(kind, size) for kind, each in sizes.items() for size in each)]


@dataclass(frozen=True, eq=False)
class Trial:
    """Policies in two worlds: they are judged in one, and tuned anew in the other.

    Attributes:
        judged: what policies see in the first, without a mistake.
        tuning: likewise in the second.
        worlds: both.
        params: of the worlds' items.
        policies: by name, for these items.
        tuned: names of those that are tuned anew with each mistake.
        seed: of everything random.
        warm_up: periods that do not count.
    """

    judged: Scenario
    tuning: Scenario
    worlds: tuple[World, World]
    params: ItemParams
    policies: Mapping[str, Policy]
    tuned: tuple[str, ...]
    seed: int
    warm_up: int

    @classmethod
    def of(cls, study: Study, backtest: Backtest) -> Trial:
        """Draw the worlds of a backtest: see `miscalibration_table`."""
        items = _items(study, backtest)
        params, given = study.data.params.select(items), study.config.policies.options
        judged, other = (_draw_world(study, backtest, items, name) for name in ("judged", "tuned"))
        whole = {name: p for name, p in backtest.trained.policies.items() if not isinstance(p, Planner)}
        policies = {name: policy_of_items(p, items, study.data.panel.items) for name, p in whole.items()}
        tuned = tuple(name for name in policies if name in TUNERS and needs_training(name, given.get(name, {})))
        seen, tuning = (with_protection_totals(world.believed(), params) for world in (judged, other))
        return cls(seen, tuning, (judged, other), params, policies, tuned, study.config.seed, backtest.warm_up)

    @property
    def mistakes(self) -> list[Mistake]:
        """What is tried."""
        return mistakes(self.worlds[0].lateness)

    def play(self, mistake: Mistake) -> dict[tuple[str, bool], tuple[FloatArray, float]]:
        """Return what each policy costs, shape (paths, periods, items), and its fill rate.

        Keys are its name, and whether it was tuned anew with the mistake.
        """
        scenario = _scenario(self.worlds[0], self.judged, self.params, self.seed, mistake)
        runs = {(name, False): policy for name, policy in self.policies.items()}
        if self.tuned:
            tuning = _scenario(self.worlds[1], self.tuning, self.params, self.seed, mistake)
            runs |= {(n, True): tune_policy(n, tuning, self.params, seed=self.seed).policy for n in self.tuned}
        found = {run: simulate(each, scenario, self.params, warm_up=self.warm_up) for run, each in runs.items()}
        return {run: (np.asarray(each.cost), float(each.fill_rate)) for run, each in found.items()}


def miscalibration_table(
    study: Study, backtest: Backtest, *, level: float = 0.95, engine: Engine | None = None
) -> pd.DataFrame:
    """Price mistakes of a forecaster's forecasts under each policy of its backtest.

    Args:
        study: whose `impact.simulated_items` and `impact.simulated_paths` say how large the world is.
        backtest: of the forecaster, with its policies.
        level: of the intervals, over independent paths.
        engine: plays each mistake as a task; None: this process does.

    Returns:
        A row a mistake and policy: `mistake`, `size`, `policy`, `retuned` (whether it was tuned anew with the
        mistake), `cost` (a period, over the world's items), `extra` (share that it costs more than with the right
        forecast), `extra_low`, `extra_high`, `fill_rate`.
    """
    if engine is None:
        played: Iterable[tuple[Mistake, Played]] = _play_here(study, backtest)
    else:
        tried = mistakes(_lateness(study, backtest))
        names = tuple(backtest.trained.policies)
        calls: dict[Key, dict[str, Any]] = {
            ("task", "mistake", each.kind, repr(each.size)): {
                "forecaster": backtest.forecaster,
                "policies": names,
                "mistake": each,
            }
            for each in tried
        }
        folders = engine.run("simulating miscalibration", f"{__name__}:mistake_task", calls)
        worker_trial.cache_clear()  # of tasks that ran in this process
        played = ((each, _read(folder)) for each, folder in zip(tried, folders.values(), strict=True))
    right, rows = dict[tuple[str, bool], FloatArray](), []
    for mistake, found in played:
        for (name, retuned), (cost, fill_rate) in found.items():
            base = right.setdefault((name, retuned), cost)
            saving = paired_saving(base, cost, level=level, clusters="path")
            rows.append(
                {
                    "mistake": mistake.kind,
                    "size": mistake.size,
                    "policy": name,
                    "retuned": retuned,
                    "cost": per_period(cost),
                    "extra": -saving.saving,
                    "extra_low": -saving.high,
                    "extra_high": -saving.low,
                    "fill_rate": fill_rate,
                }
            )
    return pd.DataFrame(rows)


Played = dict[tuple[str, bool], tuple[FloatArray, float]]
"""Costs and fill rates under one mistake: see `Trial.play`."""


def _play_here(study: Study, backtest: Backtest) -> Iterator[tuple[Mistake, Played]]:
    with study.stage("simulating miscalibration", counted=True):
        trial = Trial.of(study, backtest)
        for k, mistake in enumerate(trial.mistakes):
            study.progress(f"simulating {mistake.kind} {mistake.size:g}", k / len(trial.mistakes))
            yield mistake, trial.play(mistake)


def mistake_task(folder: Path, recipe: Recipe, forecaster: str, policies: tuple[str, ...], mistake: Mistake) -> None:
    """Play one mistake in a worker, and keep what it costs."""

    def play(_: Study) -> None:
        found = worker_trial(recipe, forecaster, policies).play(mistake)
        runs = [[name, retuned, fill_rate] for (name, retuned), (_, fill_rate) in found.items()]
        save_state(folder, PLAYED, {"runs": runs}, {str(k): cost for k, (cost, _) in enumerate(found.values())})

    measured(folder, recipe, forecaster, play, strict=True)


@lru_cache(maxsize=1)
def worker_trial(recipe: Recipe, forecaster: str, policies: tuple[str, ...]) -> Trial:
    """Return the worlds of a study; a worker draws them once for all of its tasks."""
    return Trial.of(worker_study(recipe), worker_policies(recipe, forecaster, Pieces(policies), policies))


def _read(folder: Path) -> Played:
    known, arrays = load_state(folder, PLAYED)
    return {(name, retuned): (arrays[str(k)], rate) for k, (name, retuned, rate) in enumerate(known["runs"])}


def absorbed_table(table: pd.DataFrame, untuned: str) -> pd.DataFrame:
    """Return how much of each mistake's cost tuning absorbs.

    Args:
        table: see `miscalibration_table`.
        untuned: the policy that nothing is tuned in.

    Returns:
        A row a mistake, size and tuned policy: `mistake`, `size`, `policy`, `untuned_extra`, `extra` (money a period
        more than with the right forecast), `absorbed` (share of the untuned one's extra cost that is not there; NaN
        where that is below two per cent of its cost).
    """
    keys = ["mistake", "size"]

    def extra(rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows with what they cost more than with the right forecast, money."""
        right = rows[rows["mistake"] == RIGHT].set_index("policy")["cost"]
        return rows.assign(extra=rows["cost"] - rows["policy"].map(right))

    plain = extra(table[(table["policy"] == untuned) & ~table["retuned"]]).set_index(keys)
    rows = extra(table[table["retuned"]])
    rows = rows.loc[rows["mistake"] != RIGHT, [*keys, "policy", "extra"]]
    own = plain["extra"].reindex(pd.MultiIndex.from_frame(rows[keys])).to_numpy()
    rows.insert(3, "untuned_extra", own)
    counts = own > 0.02 * plain["cost"].iloc[0]
    rows["absorbed"] = np.where(counts, 1.0 - rows["extra"].to_numpy() / np.where(counts, own, 1.0), np.nan)
    return rows.reset_index(drop=True)


def _items(study: Study, backtest: Backtest) -> IntArray:
    """Choose items by key among those that sold lately."""
    first, panel = backtest.folds[0].first, study.data.panel
    sells = panel.sales[:, max(0, first - RECENT) : first].sum(1) > 0
    order = keyed_generator(study.config.seed, "miscalibration items").permutation(panel.items)
    return np.sort(order[sells[order]][: study.config.impact.simulated_items])


def _draw_world(study: Study, backtest: Backtest, items: IntArray, name: str) -> World:
    """Draw demand along the held-out periods from the forecasts made just before each: see `histories`."""
    seed = int(keyed_generator(study.config.seed, "miscalibration", name).integers(2**62))
    demand = draw_histories(study, backtest, study.config.impact.simulated_paths, seed)[:, :, items]
    before, after = backtest.folds[0].forecasts.before, [fold.forecasts.after for fold in backtest.folds]
    whole = after if before is None else [before, *after]
    horizon, lateness = min(forecast.horizon for forecast in whole), _lateness(study, backtest)
    each = [f.head(horizon).select(items).at_origin(k) for f in whole for k in range(len(f.origins))]
    reach = min(shown_periods(study.data.params, horizon), horizon - lateness)
    return World(demand, each[len(each) - demand.shape[1] :], reach, lateness)


def _lateness(study: Study, backtest: Backtest) -> int:
    """Return how late a forecast may be at most, periods."""
    before, after = backtest.folds[0].forecasts.before, [fold.forecasts.after for fold in backtest.folds]
    horizon = min(forecast.horizon for forecast in (after if before is None else [before, *after]))
    return min(max(LATENESS), horizon - study.window.span)


def _scenario(world: World, right: Scenario, params: ItemParams, seed: int, mistake: Mistake) -> Scenario:
    """Return what policies see with a mistake; what all mistakes read of the right forecast was computed before."""
    assert right.protection_totals is not None
    if mistake.kind == RIGHT:
        return right
    if mistake.kind == "lateness":
        return with_protection_totals(world.believed(int(mistake.size)), params)
    paths, periods, items = world.demand.shape
    distortion = _distortion(mistake)
    drawn: list[FloatArray | None] = [None] * periods
    if distortion.noise > 0:
        normal = keyed_generator(seed, "miscalibration noise").standard_normal((items, paths, periods))
        drawn = [normal[:, :, t] for t in range(periods)]
    seen = [_plain(distortion.apply(f, z)) for f, z in zip(right.forecasts or (), drawn, strict=True)]
    # A distorted sum is the sum, distorted in the same way.
    totals = [_plain(distortion.apply(f, z)) for f, z in zip(right.protection_totals.totals, drawn, strict=True)]
    made = ProtectionTotals(seen, right.protection_totals.span, totals)
    return Scenario(world.demand, forecasts=seen, protection_totals=made)


def _plain(forecast: DemandForecast) -> DemandForecast:
    """Return the quantiles of a forecast as plain data, which simulations read many times."""
    return QuantileForecast.unchecked(
        forecast.levels, forecast.values, forecast.origins, forecast.item_ids, forecast.dependence
    )


def _distortion(mistake: Mistake) -> Distortion:
    if mistake.kind == "bias":
        return Distortion(bias=mistake.size - 1.0)
    return Distortion(spread=mistake.size) if mistake.kind == "spread" else Distortion(noise=mistake.size)
