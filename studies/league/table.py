"""The league table, the paired differences behind it, and the table as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .entry import Entry, change, mean, ratio, reduction
from .names import CALMER, LINEAGE, STEPS, TRUTH, Ancestor, comparison_pairs
from .task import LeagueTask

NUMBERS = ("inside_80", "crps", "sharpness", "bias", "fit_seconds", "forecast_seconds", "forecasts")
"""Columns that an entry brings as they are."""
SHOWN_LEVELS = {"coverage_10": 0.1, "coverage_50": 0.5, "coverage_90": 0.9}
COLUMNS = (
    *("wql", "wql_low", "wql_high", "p50", "p90", *SHOWN_LEVELS, *NUMBERS),
    *("volatility", "volatility_low", "volatility_high"),
)
"""Columns of numbers."""
DIFFERENCES = (
    *("earlier", "later", "why", "reduction", "reduction_low", "reduction_high"),
    *("calmer", "calmer_low", "calmer_high"),
)
ORDER_COLUMNS = ("earlier", "later", "what", "gain", "gain_low", "gain_high", "verdict")


@dataclass(frozen=True, eq=False)
class League:
    """Forecasters that were asked the same, and how they did.

    Attributes:
        table: a row a forecaster in the order of history: `forecaster`, `era`, `source`, `error` (None: none),
            `wql` (mean weighted quantile loss over the levels 0.1 … 0.9), `wql_low`, `wql_high`, `p50`, `p90`
            (weighted quantile loss at that level), `coverage_10`, `coverage_50`, `coverage_90` (share of demand at
            or below the quantile), `inside_80` (share between the quantiles 0.1 and 0.9), `crps` and `sharpness`
            (width of that interval; both as shares of demand), `bias` (of the mean), `volatility` (excess
            volatility), `volatility_low`, `volatility_high`, `fit_seconds`, `forecast_seconds` (CPU), `forecasts`
            (item-origins in those seconds).
        differences: a row a pair: `earlier`, `later`, `why` ("baseline" or "step"), `reduction` (share by which
            the later one's loss is below the earlier one's), `reduction_low`, `reduction_high`, `calmer` (by how
            much its excess volatility is lower), `calmer_low`, `calmer_high`.
        scores: a row a forecaster, horizon (0: all) and level: see `score_forecast`.
        calibration: a row a forecaster and level: see `calibration_table`.
        task: what was task.
        entries: what became of each forecaster.
    """

    table: pd.DataFrame
    differences: pd.DataFrame
    scores: pd.DataFrame
    calibration: pd.DataFrame
    task: LeagueTask
    entries: Mapping[str, Entry]

    @property
    def failed(self) -> dict[str, str]:
        """The errors of those that failed, by name."""
        return {name: entry.error for name, entry in self.entries.items() if entry.error is not None}

    def to_text(self) -> str:
        """Return the table as text."""
        return format_league(self)

    def __str__(self) -> str:
        return self.to_text()


def make_league(task: LeagueTask, entries: Sequence[Entry]) -> League:
    """Put entries side by side."""
    by_name = {entry.name: entry for entry in entries}
    sound = {name: entry for name, entry in by_name.items() if entry.error is None}
    table = pd.DataFrame([_row(entry, task) for entry in entries])
    scores = _stack({name: entry.scores for name, entry in sound.items()})
    calibration = _stack({name: entry.calibration for name, entry in sound.items()})
    return League(table, _differences(task, sound), scores, calibration, task, by_name)


def _stack(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    named = [frame.assign(forecaster=name) for name, frame in frames.items()]
    return pd.concat(named, ignore_index=True) if named else pd.DataFrame()


def _row(entry: Entry, task: LeagueTask) -> dict[str, Any]:
    about = LINEAGE.get(entry.name, Ancestor("bound" if entry.name == TRUTH else "", ""))
    row: dict[str, Any] = {"forecaster": entry.name, "era": about.era, "source": about.source, "error": entry.error}
    if entry.error is not None:
        return row | dict.fromkeys(COLUMNS, np.nan)
    loss, volatility = ratio(entry.loss, task), mean(entry.volatility, task)
    return row | {
        "wql": loss.mean,
        "wql_low": loss.low,
        "wql_high": loss.high,
        **_at_levels(entry.scores),
        **{name: entry.numbers.get(name, np.nan) for name in NUMBERS},
        "volatility": volatility.mean,
        "volatility_low": volatility.low,
        "volatility_high": volatility.high,
    }


def _at_levels(scores: pd.DataFrame) -> dict[str, float]:
    """The scores over all horizons at the levels that the table shows."""
    rows = scores[scores["horizon"] == 0]
    losses, shares = (dict(zip(rows["level"], rows[name], strict=True)) for name in ("wql", "coverage"))
    return {"p50": losses[0.5], "p90": losses[0.9], **{name: shares[level] for name, level in SHOWN_LEVELS.items()}}


def _differences(task: LeagueTask, entries: Mapping[str, Entry]) -> pd.DataFrame:
    pairs = comparison_pairs(entries)
    rows = [_difference(task, entries[one], entries[other], why) for one, other, why in pairs]
    return pd.DataFrame(rows, columns=list(DIFFERENCES))


def _difference(task: LeagueTask, earlier: Entry, later: Entry, why: str) -> dict[str, Any]:
    less = reduction(earlier.loss, later.loss, task)
    calmer = change(earlier.volatility, later.volatility, task)
    return {
        "earlier": earlier.name,
        "later": later.name,
        "why": why,
        "reduction": less.saving,
        "reduction_low": less.low,
        "reduction_high": less.high,
        "calmer": calmer.mean,
        "calmer_low": calmer.low,
        "calmer_high": calmer.high,
    }


def check_history_order(differences: pd.DataFrame) -> pd.DataFrame:
    """Return where the history's order holds: a row a step of `STEPS` and one for `CALMER`, as far as they are there.

    Args:
        differences: of a league.

    Returns:
        `earlier`, `later`, `what` ("loss" or "volatility"), `gain`, `gain_low`, `gain_high`, `verdict` ("holds":
        the interval is above zero; "open": it covers zero; "fails": it is below zero).
    """
    steps = differences[differences["why"] == "step"].set_index(["earlier", "later"])
    wanted = [(*pair, "loss", "reduction") for pair in STEPS] + [(*CALMER, "volatility", "calmer")]
    rows = []
    for earlier, later, what, column in wanted:
        if (earlier, later) in steps.index:
            row: Any = steps.loc[(earlier, later)]
            gain = [float(row[name]) for name in (column, f"{column}_low", f"{column}_high")]
            verdict = "holds" if gain[1] > 0 else "fails" if gain[2] < 0 else "open"
            rows.append((earlier, later, what, *gain, verdict))
    return pd.DataFrame(rows, columns=list(ORDER_COLUMNS))


HEAD = (
    "forecaster",
    "wql",
    "interval",
    "P50",
    "P90",
    "at .1",
    "at .5",
    "at .9",
    "in 80 %",
    "bias",
    "volatility",
    "fit s",
    "ask s",
)
LONGEST_ERROR = 70


def format_league(league: League) -> str:
    """Return the table, a line a forecaster, and what the columns mean; failures stand below it."""
    sound = league.table[league.table["error"].isna()]
    rows = [list(HEAD), *(_cells(row) for row in sound.itertuples(index=False))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([*lines, *_notes(league), *_failures(league)])


def _cells(row: Any) -> list[str]:
    coverage = [f"{100 * value:.0f}" for value in (row.coverage_10, row.coverage_50, row.coverage_90, row.inside_80)]
    interval = f"[{row.wql_low:.3f}, {row.wql_high:.3f}]"
    seconds = [_seconds(row.fit_seconds), _seconds(row.forecast_seconds)]
    scores = [f"{row.wql:.4f}", interval, f"{row.p50:.3f}", f"{row.p90:.3f}"]
    return [row.forecaster, *scores, *coverage, f"{row.bias:+.3f}", f"{row.volatility:.4f}", *seconds]


def _seconds(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:,.{2 if value < 10 else 0}f}"


def _notes(league: League) -> list[str]:
    task = league.task
    demand = "true demand" if task.truth is not None else "demand of item-periods listed and in stock"
    return [
        f"{task.panel.items:,} items, {len(task.origins)} origins, horizon {task.horizon}; scored on {demand}",
        "wql: mean weighted quantile loss over the levels 0.1 ... 0.9 with its interval; P50, P90: at that level;",
        "at .1, .5, .9: % of demand at or below that quantile; in 80 %: between .1 and .9; volatility: excess; s: CPU",
    ]


def _failures(league: League) -> list[str]:
    return [f"failed: {name}: {error[:LONGEST_ERROR]}" for name, error in league.failed.items()]
