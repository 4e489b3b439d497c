"""The value of forecasts as one object: its tables, what they say in words, as text and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from ...arrays import FloatArray
from ...envs.core.types import ItemParams
from ...errors import FractileError
from ...forecasters.data.panel import SalesPanel
from ..sections import TRUTH
from ..statistics import rank_policies
from .accuracy import Accuracy, measure_accuracy
from .grid import Grid, Pair, read_pair
from .miscalibration import absorbed_table
from .money import disagreements, rank_table, worth_table
from .split import split_table
from .staircase import staircase

UNTUNED = "newsvendor"
"""The policy whose mistakes tuned ones are held against, where it was run."""


@dataclass(frozen=True, eq=False)
class Impact:
    """What forecasts are worth.

    Attributes:
        cells: a row a forecaster and policy: see `Grid.table`; with `among_best` (cannot be told from the cheapest)
            and `proven` (saves against the reference, though several pairs were compared); the true quantiles are
            neither, since nobody has them.
        accuracy: a row a forecaster: see `Accuracy.table`.
        scores: a row a forecaster, horizon and level: see `Accuracy.scores`.
        ranks: see `rank_table`.
        worth: see `worth_table`.
        disagreements: see `disagreements`, with the policy as `policy`.
        staircase: see `staircase`, of every policy.
        split: see `split_table`.
        miscalibration: see `miscalibration_table`; empty where it was not made.
        absorbed: see `absorbed_table`; likewise.
        reference: what savings are measured against.
        level: of the intervals.
        notes: what a reader should know of pairs.
        failed: errors of forecasters that failed, by name.
        forecast_notes: what a reader should know of forecasts made elsewhere.
    """

    cells: pd.DataFrame
    accuracy: pd.DataFrame
    scores: pd.DataFrame
    ranks: pd.DataFrame
    worth: pd.DataFrame
    disagreements: pd.DataFrame
    staircase: pd.DataFrame
    split: pd.DataFrame
    miscalibration: pd.DataFrame
    absorbed: pd.DataFrame
    reference: Pair
    level: float
    notes: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    forecast_notes: tuple[str, ...] = ()

    @property
    def best(self) -> Pair:
        """The cheapest pair that can be had: not on the true quantiles, unless there is no other."""
        own = self.cells[self.cells["forecaster"] != TRUTH]
        first = (own if len(own) else self.cells).iloc[0]
        return str(first["forecaster"]), str(first["policy"])

    @property
    def policy(self) -> str:
        """The policy of the cheapest pair, under which forecasters are compared first."""
        return self.best[1]

    def with_miscalibration(self, table: pd.DataFrame) -> Impact:
        """Return the same with the study of mistakes."""
        policies = set(table["policy"])
        untuned = UNTUNED if UNTUNED in policies else self.reference[1]
        absorbed = absorbed_table(table, untuned) if untuned in policies else pd.DataFrame()
        return replace(self, miscalibration=table, absorbed=absorbed)


TABLES = tuple(f.name for f in fields(Impact) if f.type == "pd.DataFrame")
"""Names of the tables, and of their files."""


def value_forecasts(
    grid: Grid,
    panel: SalesPanel,
    params: ItemParams,
    *,
    reference: str | None = None,
    truth: FloatArray | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Impact:
    """Put costs and accuracy of a grid together.

    Args:
        grid: forecasters crossed with policies.
        panel: what was forecast.
        params: lead times and costs of its items.
        reference: the pair that savings are measured against, "forecaster/policy"; the first one where None.
        truth: demand that forecasts are scored against, shape (items, periods); see `measure_accuracy`.
        level: of the intervals.
        seed: of random halves of the items.

    Raises:
        FractileError: where nothing was simulated, or the reference is no pair of the grid.
    """
    if not grid.trajectories:
        faults = "; ".join(f"{name}: {error}" for name, error in grid.failed.items())
        raise FractileError(f"no forecaster could be valued: {faults}")
    pair = read_pair(reference, grid)
    accuracy = measure_accuracy(grid.forecasts, panel, params, truth)
    apart = [disagreements(grid, accuracy, name, level=level).assign(policy=name) for name in grid.policies]
    stairs = [staircase(grid, name, grid.hindsight, level=level) for name in grid.policies]
    notes = [f"{f} / {p}: {text}" for (f, p), texts in grid.notes.items() for text in texts]
    return Impact(
        cells=_ranked(grid, pair, level),
        accuracy=accuracy.table,
        scores=accuracy.scores,
        ranks=rank_table(grid, accuracy, level=level, seed=seed),
        worth=worth_table(grid, accuracy, level=level),
        disagreements=pd.concat([each for each in apart if len(each)] or apart[:1], ignore_index=True),
        staircase=pd.concat(stairs, ignore_index=True),
        split=split_table(grid, pair, level=level),
        miscalibration=pd.DataFrame(),
        absorbed=pd.DataFrame(),
        reference=pair,
        level=level,
        notes=tuple(notes),
        failed=grid.failed,
    )


def _ranked(grid: Grid, reference: Pair, level: float) -> pd.DataFrame:
    """Return the table of pairs with what is proven and what cannot be told from the cheapest, all pairs at once."""
    table = grid.table(reference, level=level)
    names = {pair: f"{pair[0]}/{pair[1]}" for pair in grid.trajectories}
    costs = {name: grid.cost(pair) for pair, name in names.items()}
    bounds = [name for (forecaster, _), name in names.items() if forecaster == TRUTH]
    ranking = rank_policies(
        costs, baseline=names[reference], level=level, clusters="item_time", seeds=True, bounds=bounds
    )
    own = [names[row] for row in zip(table["forecaster"], table["policy"], strict=True)]
    among, proven = np.isin(own, ranking.among_best), np.isin(own, ranking.proven)
    return table.assign(among_best=among, proven=proven).sort_values("cost", kind="stable", ignore_index=True)


def document(impact: Impact) -> dict[str, Any]:
    """Return the tables and the reference as JSON holds them; scores by horizon stay in their file."""
    tables = {name: getattr(impact, name).to_dict("records") for name in TABLES if name != "scores"}
    reference = {"forecaster": impact.reference[0], "policy": impact.reference[1]}
    return {
        "reference": reference,
        "policy": impact.policy,
        "level": impact.level,
        **tables,
        "notes": (*impact.forecast_notes, *impact.notes),
        "failed": impact.failed,
    }


__all__ = ["TABLES", "Accuracy", "Impact", "document", "value_forecasts"]
