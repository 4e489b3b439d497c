"""The league table, and the paired differences behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .entry import Entry
from .names import CALMER, LINEAGE, STEPS, TRUTH, Ancestor, pairs_of
from .scores import change, mean, ratio, reduction
from .task import Contest

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
HELD = ("earlier", "later", "what", "gain", "gain_low", "gain_high", "verdict")


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
        contest: what was asked.
        entries: what became of each forecaster.
    """

    table: pd.DataFrame
    differences: pd.DataFrame
    scores: pd.DataFrame
    calibration: pd.DataFrame
    contest: Contest
    entries: Mapping[str, Entry]

    @property
    def failed(self) -> dict[str, str]:
        """The errors of those that failed, by name."""
        return {name: entry.error for name, entry in self.entries.items() if entry.error is not None}

    def to_text(self) -> str:
        """Return the table as text."""
        from .text import league_text

        return league_text(self)

    def __str__(self) -> str:
        return self.to_text()


def league_of(contest: Contest, entries: Sequence[Entry]) -> League:
    """Put entries side by side."""
    by_name = {entry.name: entry for entry in entries}
    sound = {name: entry for name, entry in by_name.items() if entry.error is None}
    table = pd.DataFrame([_row(entry, contest) for entry in entries])
    scores = _together({name: entry.scores for name, entry in sound.items()})
    calibration = _together({name: entry.calibration for name, entry in sound.items()})
    return League(table, _differences(contest, sound), scores, calibration, contest, by_name)


def _together(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    named = [frame.assign(forecaster=name) for name, frame in frames.items()]
    return pd.concat(named, ignore_index=True) if named else pd.DataFrame()


def _row(entry: Entry, contest: Contest) -> dict[str, Any]:
    about = LINEAGE.get(entry.name, Ancestor("bound" if entry.name == TRUTH else "", ""))
    row: dict[str, Any] = {"forecaster": entry.name, "era": about.era, "source": about.source, "error": entry.error}
    if entry.error is not None:
        return row | dict.fromkeys(COLUMNS, np.nan)
    loss, volatility = ratio(entry.loss, contest), mean(entry.volatility, contest)
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


def _differences(contest: Contest, entries: Mapping[str, Entry]) -> pd.DataFrame:
    pairs = pairs_of(entries)
    rows = [_difference(contest, entries[one], entries[other], why) for one, other, why in pairs]
    return pd.DataFrame(rows, columns=list(DIFFERENCES))


def _difference(contest: Contest, earlier: Entry, later: Entry, why: str) -> dict[str, Any]:
    less = reduction(earlier.loss, later.loss, contest)
    calmer = change(earlier.volatility, later.volatility, contest)
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


def held(differences: pd.DataFrame) -> pd.DataFrame:
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
    return pd.DataFrame(rows, columns=list(HELD))
