"""What policies save in simulated demand: the held-out periods again and again, as forecasts have them.

Demand of each held-out period is drawn from the forecast that was made just before it, the one that policies saw, with
shocks that items share and that last as earlier forecasts' errors did (`CommonShocks`). Forecasts, folds and policies
are those of the backtest; forecasts do not answer the demand that is drawn, which a forecaster that is run along every
path would do at a hundred times the cost. So both savings are of the same decisions on the same forecasts, and differ
by nothing but the demand that followed: what the real one did otherwise is chance, or the forecasts are wrong.

It flatters forecasts a little: a surprise on a path does not move the next forecast, so that errors of successive
periods add up to less than those of a forecaster that follows the path. Beside one that does (`ForecastDemand` in mode
"rolled"; patchwork, 40 items of the embedded panel, 40 histories of 26 weeks) costs were 2 to 7 % lower, the savings of
four policies against the tuned newsvendor 1 to 6 points higher, and one history's savings spread 10 to 20 % less, those
of fixed levels half as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import numpy as np
import pandas as pd

from ..arrays import FloatArray
from ..envs.core.types import Scenario
from ..envs.demand.shock_moments import FEWEST_PERIODS
from ..envs.demand.shocks import CommonShocks
from ..forecasters.forecast import QuantileForecast, concatenate_origins
from ..forecasters.several import first_period_demand
from ..policies.base import Planner
from ..policies.recorded import RecordedOrders
from ..progress import begin_stage
from ..randomness import keyed_generator
from .backtest import Backtest, Study
from .compare import Comparison
from .pieces import keep_arrays
from .sections import FEWEST_SIMULATED
from .statistics import simulated_saving

CELLS = 1_000_000
"""Path-item-periods that are simulated together."""
MOST_CELLS = 8_000_000
"""Path-item-periods that are simulated in all at most; panels of very many items have fewer histories."""
FEWEST = 20
"""Histories at least, whatever they hold."""
COLUMNS = ("simulated_saving", "simulated_low", "simulated_high", "history_low", "history_high")


def past_shocks(study: Study, backtest: Backtest) -> CommonShocks:
    """Return the shocks that items shared in the errors of forecasts made before the first fold.

    Independent items where too few origins were forecast.

    Args:
        study: the study in progress.
        backtest: with its forecasts.
    """
    fold = backtest.folds[0]
    learning = fold.forecasts.learning
    if learning is None:
        return CommonShocks()
    forecasts = list(learning.history.forecasts or ())
    if learning.kept is not None:
        forecasts += list(learning.kept.forecasts or ())[learning.run_in :]
    if len(forecasts) < FEWEST_PERIODS:
        return CommonShocks()
    near = [cast(QuantileForecast, forecast).head(1) for forecast in forecasts]
    return CommonShocks.from_forecast(concatenate_origins(near), study.data.panel.until(fold.first))


def draw_histories(study: Study, backtest: Backtest, paths: int, seed: int) -> FloatArray:
    """Draw demand of the warm-up and of all held-out periods from the forecasts made just before each.

    Args:
        study: the study in progress.
        backtest: with its forecasts.
        paths: histories.
        seed: of the draws.

    Returns:
        Units, shape (paths, periods, items).
    """
    forecasts, panel = backtest.scenario.forecasts or (), study.data.panel
    shocks = past_shocks(study, backtest)
    items = shocks.of(panel.item_ids, None if shocks.attribute is None else panel.attributes)
    normal = items.sample(seed, paths, len(forecasts)).swapaxes(1, 2)
    demand = first_period_demand(forecasts, normal)
    return np.rint(demand, out=demand) if panel.until(study.window.cutoff).integer_demand else demand


def simulate_histories(study: Study, backtest: Backtest, histories: int) -> dict[str, FloatArray]:
    """Return what each policy costs in each of many simulated histories.

    Bounds and orders on record, which belong to one demand, are left out.

    Args:
        study: the study in progress.
        backtest: with its policies.
        histories: how many; fewer where items and periods are very many.

    Returns:
        By name, money, shape (training seeds, histories).
    """
    names = _drawn(backtest)
    cells = backtest.scenario.periods * backtest.scenario.items
    histories = min(histories, max(FEWEST, MOST_CELLS // cells))
    rng = keyed_generator(study.config.seed, "simulated histories")
    costs: dict[str, list[FloatArray]] = {name: [] for name in names}
    with study.stage("simulating histories"):
        size = max(1, CELLS // cells)
        for first in range(0, histories, size):
            paths = min(size, histories - first)
            demand = draw_histories(study, backtest, paths, int(rng.integers(2**62)))
            scenario: Scenario = replace(backtest.scenario, demand=demand)
            for name in names:
                costs[name].append(study.cost_by_seed(backtest, name, scenario).sum((2, 3)))
            study.progress(f"{first + paths} of {histories} histories", (first + paths) / histories)
    return {name: np.concatenate(parts, axis=1) for name, parts in costs.items()}


def _drawn(backtest: Backtest) -> list[str]:
    """Return the policies that can be simulated on another demand: all but bounds and orders on record."""
    ready = backtest.folds[0].trained.policies
    return [name for name, policy in ready.items() if not isinstance(policy, Planner | RecordedOrders)]


def simulated_table(
    costs: Mapping[str, FloatArray], realised: Mapping[str, float], baseline: str, level: float
) -> pd.DataFrame:
    """Return the savings in simulation, and how far the saving of one history of that length may be off.

    Args:
        costs: of each policy in each history, money, shape (training seeds, histories).
        realised: each policy's saving on the real history, a share of the baseline's cost.
        baseline: the policy that savings are measured against.
        level: of the intervals.

    Returns:
        A row for each of `realised`, columns `COLUMNS`: the saving in simulation with its interval, and the interval
        about the real saving that histories of this length spread over; not a number where nothing was simulated.
    """
    table = pd.DataFrame(np.nan, index=pd.Index(list(realised), name="policy"), columns=list(COLUMNS))
    if baseline not in costs or costs[baseline].sum() <= 0:
        return table
    charged = costs[baseline][:1, :, None, None]
    for name, saving in realised.items():
        if name not in costs:
            continue
        paid = costs[name][:, :, None, None]
        found = simulated_saving(np.broadcast_to(charged, paid.shape), paid, level=level)
        around = found.around(saving)
        table.loc[name] = [found.mean.saving, found.mean.low, found.mean.high, *around]
    return table


def with_histories(study: Study, backtest: Backtest, comparison: Comparison) -> Comparison:
    """Return a comparison whose table holds the savings in simulated histories, too (`COLUMNS`).

    Args:
        study: the study in progress; `backtest.simulated_histories` says how many.
        backtest: with its policies.
        comparison: of them on the held-out periods.
    """
    histories, names = study.config.backtest.simulated_histories, _drawn(backtest)
    nothing = len(names) < 2 or comparison.baseline not in names or backtest.scenario.periods == backtest.warm_up
    if histories < FEWEST_SIMULATED or nothing:
        return comparison
    begin_stage(study.progress, "simulating histories", kept=study.parts.holds(("histories",)))
    costs = keep_arrays(study.parts, ("histories",), lambda: simulate_histories(study, backtest, histories))
    savings = {str(name): float(saving) for name, saving in comparison.table["saving"].items()}
    found = simulated_table(costs, savings, comparison.baseline, comparison.level)
    return replace(comparison, table=comparison.table.join(found))


def gap_sentence(table: pd.DataFrame, policy: str, period: str = "periods") -> str:
    """Return how a policy's savings in simulated and on held-out demand go together; "" where they are not known.

    Args:
        table: of the comparison, with `COLUMNS`, a row a policy.
        policy: which one.
        period: what the held-out periods are called.
    """
    if COLUMNS[0] not in table or policy not in table.index:
        return ""
    row = table.loc[policy].to_dict()
    known, alike = np.isfinite(row[COLUMNS[0]]), row["saving"] == row[COLUMNS[0]] == 0.0
    if not known or alike:  # nothing simulated, or the baseline itself
        return ""
    simulated, low, high = (100 * float(row[name]) for name in COLUMNS[:3])
    gap = 100 * float(row["saving"]) - simulated
    inside = row["history_low"] <= row["simulated_saving"] <= row["history_high"]
    return (
        f"In simulated demand {policy} saves {simulated:.1f} % [{low:.1f}, {high:.1f}], on the held-out {period} "
        f"{100 * float(row['saving']):.1f} %: the gap of {gap:+.1f} points is {'inside' if inside else 'beyond'} what "
        f"chance gives in one history of this length, [{100 * float(row['history_low']):.1f}, "
        f"{100 * float(row['history_high']):.1f}]."
    )
