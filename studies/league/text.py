"""The league table as text, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from .table import League

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


def league_text(league: League) -> str:
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
    asked = league.contest
    demand = "true demand" if asked.truth is not None else "demand of item-periods listed and in stock"
    return [
        f"{asked.panel.items:,} items, {len(asked.origins)} origins, horizon {asked.horizon}; scored on {demand}",
        "wql: mean weighted quantile loss over the levels 0.1 ... 0.9 with its interval; P50, P90: at that level;",
        "at .1, .5, .9: % of demand at or below that quantile; in 80 %: between .1 and .9; volatility: excess; s: CPU",
    ]


def _failures(league: League) -> list[str]:
    return [f"failed: {name}: {error[:LONGEST_ERROR]}" for name, error in league.failed.items()]
