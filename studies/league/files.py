"""The files of a league: tables for people and machines, and what the pictures are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...forecasters.forecast import DEFAULT_LEVELS
from ..folder import RunFolder
from .entry import Entry
from .table import League, held
from .task import Contest

RECENT = 30
"""Periods of history that are drawn before the first origin."""


def write_league(folder: Path, league: League) -> None:
    """Write a league into a folder.

    Files: `league.csv` (the table), `differences.csv`, `league.json` (both, and what was asked), `scores.parquet`
    (by horizon and level), `calibration.parquet` (by level), `fans.parquet` and `history.parquet` (of the telling
    items).

    Args:
        folder: where to; entries may lie there already.
        league: the league.
    """
    run, asked = RunFolder(folder, folder), league.contest
    run.write_frame("league.csv", league.table)
    run.write_frame("differences.csv", league.differences)
    run.write_frame("scores.parquet", league.scores)
    run.write_frame("calibration.parquet", league.calibration)
    run.write_frame("fans.parquet", fans(league))
    run.write_frame("history.parquet", history(asked))
    run.write_json("league.json", document(league))


def document(league: League) -> dict[str, Any]:
    """Return a league as JSON knows it: `asked`, `table`, `differences`, `held`, `telling`."""
    telling = [{"item_id": item.item_id, "rule": item.rule} for item in league.contest.telling]
    return {
        "asked": facts(league.contest),
        "table": league.table.to_dict("records"),
        "differences": league.differences.to_dict("records"),
        "held": held(league.differences).to_dict("records"),
        "telling": telling,
    }


def facts(asked: Contest) -> dict[str, Any]:
    """Return what was asked, and of which data."""
    panel, demand = asked.panel, asked.demand()
    listed = panel.listed
    return {
        "items": panel.items,
        "periods": panel.periods,
        "freq": panel.freq,
        "first_date": panel.dates[0].date(),
        "last_date": panel.dates[-1].date(),
        "horizon": asked.horizon,
        "origins": [day.date() for day in panel.dates[asked.origins]],
        "level": asked.level,
        "block": asked.block,
        "blocks": max(1, len(asked.targets) // asked.block),
        "scored": int(np.isfinite(demand).sum()),
        "unknown_share": float((~panel.in_stock)[listed].mean()),
        "unknown_share_forecast": float(1.0 - np.isfinite(demand).sum() / max(1, _listed_targets(asked))),
        "zero_share": float((panel.sales == 0)[panel.informative].mean()),
        "truth": asked.truth is not None,
        "followed_items": len(asked.followed),
        "followed_origins": len(asked.successive),
    }


def _listed_targets(asked: Contest) -> int:
    return int(asked.panel.listed[:, asked.origins[:, None] + np.arange(asked.horizon)].sum())


def fans(league: League) -> pd.DataFrame:
    """Return the telling items' quantiles: a row a forecaster, item, origin, horizon and level."""
    frames = [_fan(entry, league.contest) for entry in league.entries.values() if entry.fans is not None]
    columns = ["forecaster", "item_id", "origin", "date", "level", "value"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _fan(entry: Entry, asked: Contest) -> pd.DataFrame:
    ids = [item.item_id for item in asked.telling]
    keys = pd.MultiIndex.from_product([ids, asked.origins, range(asked.horizon), DEFAULT_LEVELS])
    frame = keys.set_names(["item_id", "origin", "ahead", "level"]).to_frame(index=False)
    dates = asked.panel.dates[frame["origin"] + frame["ahead"]]
    values = np.asarray(entry.fans).reshape(-1)
    return frame.assign(forecaster=entry.name, date=dates, value=values).drop(columns="ahead")


def history(asked: Contest) -> pd.DataFrame:
    """Return what the telling items sold, and their demand where it is known, to the end of the last window."""
    first, last = max(0, asked.first - RECENT), int(asked.targets[-1]) + 1
    panel, rows = asked.panel, [item.position for item in asked.telling]
    known = np.where(panel.informative, panel.sales, np.nan) if asked.truth is None else asked.truth
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
