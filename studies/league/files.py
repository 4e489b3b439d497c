"""The files of a league: tables for people and machines, and what the page is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import FractileError
from ...forecasters.forecast import DEFAULT_LEVELS
from ..folder import RunFolder
from ..report.text import period_of
from .entry import Entry
from .names import TRUTH
from .table import DIFFERENCES, ORDER_COLUMNS, League, check_history_order
from .task import LeagueTask

RECENT = 30
"""Periods of history that are drawn before the first origin."""


def write_league(folder: Path, league: League) -> None:
    """Write a league into a folder.

    Files: `league.csv` (the table), `differences.csv`, `league.json` (both, and what was task), `scores.parquet`
    (by horizon and level), `calibration.parquet` (by level), `fans.parquet` and `history.parquet` (of the examples
    items).

    Args:
        folder: where to; entries may lie there already.
        league: the league.
    """
    run, task = RunFolder(folder, folder), league.task
    run.write_frame("league.csv", league.table)
    run.write_frame("differences.csv", league.differences)
    run.write_frame("scores.parquet", league.scores)
    run.write_frame("calibration.parquet", league.calibration)
    run.write_frame("fans.parquet", fans(league))
    run.write_frame("history.parquet", history(task))
    run.write_json("league.json", league_document(league))


def league_document(league: League) -> dict[str, Any]:
    """Return a league as JSON knows it: `asked`, `table`, `differences`, `held`, `examples`."""
    examples = [{"item_id": item.item_id, "rule": item.rule} for item in league.task.examples]
    return {
        "asked": describe_task(league.task),
        "table": league.table.to_dict("records"),
        "differences": league.differences.to_dict("records"),
        "held": check_history_order(league.differences).to_dict("records"),
        "telling": examples,
    }


def describe_task(task: LeagueTask) -> dict[str, Any]:
    """Return what was task, and of which data."""
    panel, demand = task.panel, task.demand()
    listed = panel.listed
    return {
        "items": panel.items,
        "periods": panel.periods,
        "freq": panel.freq,
        "first_date": panel.dates[0].date(),
        "last_date": panel.dates[-1].date(),
        "horizon": task.horizon,
        "origins": [day.date() for day in panel.dates[task.origins]],
        "level": task.level,
        "block": task.block,
        "blocks": max(1, len(task.targets) // task.block),
        "scored": int(np.isfinite(demand).sum()),
        "unknown_share": float((~panel.in_stock)[listed].mean()),
        "unknown_share_forecast": float(1.0 - np.isfinite(demand).sum() / max(1, _listed_targets(task))),
        "zero_share": float((panel.sales == 0)[panel.informative].mean()),
        "truth": task.truth is not None,
        "followed_items": len(task.followed),
        "followed_origins": len(task.successive),
    }


def _listed_targets(task: LeagueTask) -> int:
    return int(task.panel.listed[:, task.origins[:, None] + np.arange(task.horizon)].sum())


def fans(league: League) -> pd.DataFrame:
    """Return the examples items' quantiles: a row a forecaster, item, origin, horizon and level."""
    frames = [_fan(entry, league.task) for entry in league.entries.values() if entry.fans is not None]
    columns = ["forecaster", "item_id", "origin", "date", "level", "value"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _fan(entry: Entry, task: LeagueTask) -> pd.DataFrame:
    ids = [item.item_id for item in task.examples]
    keys = pd.MultiIndex.from_product([ids, task.origins, range(task.horizon), DEFAULT_LEVELS])
    frame = keys.set_names(["item_id", "origin", "ahead", "level"]).to_frame(index=False)
    dates = task.panel.dates[frame["origin"] + frame["ahead"]]
    values = np.asarray(entry.fans).reshape(-1)
    return frame.assign(forecaster=entry.name, date=dates, value=values).drop(columns="ahead")


def history(task: LeagueTask) -> pd.DataFrame:
    """Return what the examples items sold, and their demand where it is known, to the end of the last window."""
    first, last = max(0, task.first - RECENT), int(task.targets[-1]) + 1
    panel, rows = task.panel, [item.position for item in task.examples]
    known = np.where(panel.informative, panel.sales, np.nan) if task.truth is None else task.truth
    span = panel.select(rows).window(first, last)
    item, period = np.nonzero(span.listed)
    return pd.DataFrame(
        {
            "item_id": np.array(span.item_ids, dtype=object)[item],
            "date": span.dates[period],
            "sales": span.sales[item, period],
            "in_stock": span.in_stock[item, period],
            "demand": known[rows, first:last][item, period],
        }
    )


@dataclass(frozen=True, eq=False)
class LeagueFiles:
    """A league's files.

    Attributes:
        asked: what was task, and of which data.
        table: a row a forecaster.
        differences: a row a pair.
        held: where the history's order holds.
        examples: the items that are drawn, with the rule that chose each.
        scores: a row a forecaster, horizon and level.
        calibration: a row a forecaster and level.
        fans: the examples items' quantiles.
        history: what they sold.
    """

    asked: Mapping[str, Any]
    table: pd.DataFrame
    differences: pd.DataFrame
    held: pd.DataFrame
    examples: list[Mapping[str, str]]
    scores: pd.DataFrame
    calibration: pd.DataFrame
    fans: pd.DataFrame
    history: pd.DataFrame

    @property
    def sound(self) -> pd.DataFrame:
        """The rows of forecasters that did not fail."""
        return self.table[self.table["error"].isna()]

    @property
    def ranked(self) -> pd.DataFrame:
        """The same without the truth, lowest loss first."""
        return self.sound[self.sound["forecaster"] != TRUTH].sort_values("wql", kind="stable")

    def periods(self, amount: int = 2) -> str:
        """Return what periods are called."""
        return period_of(str(self.asked["freq"]), amount)


def read_league(folder: Path) -> LeagueFiles:
    """Read what `write_league` wrote.

    Raises:
        FractileError: where a file is missing or damaged.
    """
    try:
        said = json.loads((folder / "league.json").read_text(encoding="utf-8"))
        frames = {
            name: pd.read_parquet(folder / f"{name}.parquet") for name in ("scores", "calibration", "fans", "history")
        }
        columns = {"table": None, "differences": list(DIFFERENCES), "held": list(ORDER_COLUMNS)}
        tables = {name: pd.DataFrame(said[name], columns=wanted) for name, wanted in columns.items()}
        return LeagueFiles(asked=said["asked"], examples=said["telling"], **tables, **frames)
    except (OSError, ValueError, KeyError) as fault:
        raise FractileError(f"{folder}: holds no whole league ({fault}); run `fractile lineage` again") from None
