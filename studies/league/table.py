"""A league: its table with the paired differences, the table as text, and its files.

The files hold the tables for people and machines, and what the page is made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import FractileError
from ...files import inside, read_json
from ...forecasters.forecast import DEFAULT_LEVELS
from ..folder import RunFolder
from ..integrity import read_table
from ..report.text import align_columns, period_of
from .entry import Entry, change, mean, ratio, reduction
from .task import CALMER, LINEAGE, STEPS, TRUTH, Ancestor, LeagueTask, comparison_pairs

NUMBERS = ("inside_80", "crps", "sharpness", "bias", "fit_seconds", "forecast_seconds", "forecasts")
"""Columns copied from an entry."""
SHOWN_LEVELS = {"coverage_10": 0.1, "coverage_50": 0.5, "coverage_90": 0.9}
COLUMNS = (
    *("wql", "wql_low", "wql_high", "protection_loss", "protection_loss_low", "protection_loss_high"),
    *("p50", "p90", *SHOWN_LEVELS, *NUMBERS),
    *("volatility", "volatility_low", "volatility_high"),
)
"""Columns of numbers."""
DIFFERENCES = (
    *("earlier", "later", "why", "reduction", "reduction_low", "reduction_high"),
    *("protection_reduction", "protection_reduction_low", "protection_reduction_high"),
    *("calmer", "calmer_low", "calmer_high"),
)
ORDER_COLUMNS = ("earlier", "later", "what", "gain", "gain_low", "gain_high", "verdict")


@dataclass(frozen=True, eq=False)
class League:
    """The scores of forecasters on one task.

    Attributes:
        table: a row a forecaster in the order of history: `forecaster`, `era`, `source`, `error` (None: none),
            `wql` (mean weighted quantile loss over the levels 0.1 … 0.9), `wql_low`, `wql_high`, `protection_loss`
            (weighted quantile loss of demand summed over the protection interval, at the critical ratio, from
            successive origins), `protection_loss_low`, `protection_loss_high`, `p50`, `p90` (weighted quantile loss at
            that level), `coverage_10`, `coverage_50`, `coverage_90` (share of demand at
            or below the quantile), `inside_80` (share between the quantiles 0.1 and 0.9), `crps` and `sharpness`
            (width of that interval; both as shares of demand), `bias` (of the mean), `volatility` (excess
            volatility), `volatility_low`, `volatility_high`, `fit_seconds`, `forecast_seconds` (CPU), `forecasts`
            (item-origins in those seconds).
        differences: a row a pair: `earlier`, `later`, `why` ("baseline" or "step"), `reduction` (share by which
            the later one's loss is below the earlier one's), `reduction_low`, `reduction_high`,
            `protection_reduction` (the same of the sums), `protection_reduction_low`, `protection_reduction_high`,
            `calmer` (by how
            much its excess volatility is lower), `calmer_low`, `calmer_high`.
        scores: a row a forecaster, horizon (0: all) and level: see `score_forecast`.
        calibration: a row a forecaster and level: see `calibration_table`.
        task: the panel, origins and horizon that all forecasters share.
        entries: scores or error of each forecaster.
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
    loss, sums, volatility = ratio(entry.loss, task), ratio(entry.protection, task), mean(entry.volatility, task)
    whole = entry.scores[entry.scores["horizon"] == 0]  # over all periods ahead
    losses, shares = (dict(zip(whole["level"], whole[name], strict=True)) for name in ("wql", "coverage"))
    return row | {
        "wql": loss.mean,
        "wql_low": loss.low,
        "wql_high": loss.high,
        "protection_loss": sums.mean,
        "protection_loss_low": sums.low,
        "protection_loss_high": sums.high,
        "p50": losses[0.5],
        "p90": losses[0.9],
        **{name: shares[level] for name, level in SHOWN_LEVELS.items()},
        **{name: entry.numbers.get(name, np.nan) for name in NUMBERS},
        "volatility": volatility.mean,
        "volatility_low": volatility.low,
        "volatility_high": volatility.high,
    }


def _differences(task: LeagueTask, entries: Mapping[str, Entry]) -> pd.DataFrame:
    rows = []
    for earlier, later, why in comparison_pairs(entries):
        less = reduction(entries[earlier].loss, entries[later].loss, task)
        sums = reduction(entries[earlier].protection, entries[later].protection, task)
        calmer = change(entries[earlier].volatility, entries[later].volatility, task)
        rows.append(
            {
                "earlier": earlier,
                "later": later,
                "why": why,
                "reduction": less.saving,
                "reduction_low": less.low,
                "reduction_high": less.high,
                "protection_reduction": sums.saving,
                "protection_reduction_low": sums.low,
                "protection_reduction_high": sums.high,
                "calmer": calmer.mean,
                "calmer_low": calmer.low,
                "calmer_high": calmer.high,
            }
        )
    return pd.DataFrame(rows, columns=list(DIFFERENCES))


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
    "sums",
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
    rows: list[list[str]] = [list(HEAD)]
    sound: list[Any] = list(league.table[league.table["error"].isna()].itertuples(index=False))
    for row in sound:
        shares = (row.coverage_10, row.coverage_50, row.coverage_90, row.inside_80)
        rows.append(
            [
                str(row.forecaster),
                f"{row.wql:.4f}",
                f"[{row.wql_low:.3f}, {row.wql_high:.3f}]",
                "–" if pd.isna(row.protection_loss) else f"{row.protection_loss:.4f}",
                f"{row.p50:.3f}",
                f"{row.p90:.3f}",
                *(f"{100 * value:.0f}" for value in shares),
                f"{row.bias:+.3f}",
                f"{row.volatility:.4f}",
                _seconds(row.fit_seconds),
                _seconds(row.forecast_seconds),
            ]
        )
    task = league.task
    demand = "true demand" if task.truth is not None else "sales of listed item-periods, bounds where stock ran out"
    return "\n".join(
        [
            *align_columns(rows),
            f"{task.panel.items:,} items, {len(task.origins)} origins, horizon {task.horizon}; scored on {demand}",
            "wql: mean weighted quantile loss over the levels 0.1 ... 0.9 with its interval; P50, P90: at that level;",
            f"sums: demand over the protection interval, at the critical ratio ({describe_span(task)});",
            "at .1, .5, .9: % of demand at or below that quantile; in 80 %: between .1 and .9; volatility: excess; "
            "s: CPU",
            *(f"failed: {name}: {error[:LONGEST_ERROR]}" for name, error in league.failed.items()),
        ]
    )


def describe_span(task: LeagueTask) -> str:
    """Return the protection interval's periods and the critical ratio as text, with their ranges over items."""
    spans, ratios = np.unique(task.span), np.unique(np.round(task.critical_ratio, 2))
    span = f"{spans[0]}" if len(spans) == 1 else f"{spans[0]} to {spans[-1]}"
    ratio = f"{ratios[0]:g}" if len(ratios) == 1 else f"{ratios[0]:g} to {ratios[-1]:g}"
    return f"{span} periods, {ratio}"


def _seconds(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:,.{2 if value < 10 else 0}f}"


RECENT = 30
"""Periods of history that are drawn before the first origin."""


def write_league(folder: Path, league: League) -> None:
    """Write a league into a folder.

    Files: `league.csv` (the table), `differences.csv`, `league.json` (both, and a description of the task),
    `scores.parquet` (by horizon and level), `calibration.parquet` (by level), `fans.parquet` and `history.parquet`
    (of the example items).

    Args:
        folder: may hold entries already.
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
    """Return a league for JSON: `asked` (the task), `table`, `differences`, `held` (the history's order), `telling`."""
    examples = [{"item_id": item.item_id, "rule": item.rule} for item in league.task.examples]
    return {
        "asked": describe_task(league.task),
        "table": league.table.to_dict("records"),
        "differences": league.differences.to_dict("records"),
        "held": check_history_order(league.differences).to_dict("records"),
        "telling": examples,
    }


def describe_task(task: LeagueTask) -> dict[str, Any]:
    """Describe a task and its data: periods, origins, and how much demand is known."""
    panel, outcomes = task.panel, task.outcomes()
    listed, known = panel.listed, outcomes.known
    return {
        "items": panel.items,
        "periods": panel.periods,
        "freq": panel.freq,
        "first_date": panel.dates[0].date(),
        "last_date": panel.dates[-1].date(),
        "horizon": task.horizon,
        "origins": [day.date() for day in panel.dates[task.origins]],
        "level": task.level,
        "scored": int(known.sum()),
        "bound_share": float(outcomes.ran_out[known].mean()),
        "protection": describe_span(task),
        "protection_origins": len(task.successive),
        "unknown_share": float((~panel.in_stock)[listed].mean()),
        "zero_share": float((panel.sales == 0)[panel.informative].mean()),
        "truth": task.truth is not None,
        "followed_items": len(task.followed),
        "followed_origins": len(task.successive),
    }


def fans(league: League) -> pd.DataFrame:
    """Return the example items' quantiles: a row a forecaster, item, origin, horizon and level."""
    task, frames = league.task, []
    keys = ([item.item_id for item in task.examples], task.origins, range(task.horizon), DEFAULT_LEVELS)
    index = pd.MultiIndex.from_product(keys, names=["item_id", "origin", "ahead", "level"])
    for entry in league.entries.values():
        if entry.fans is not None:
            frame = index.to_frame(index=False)
            date = task.panel.dates[frame["origin"] + frame.pop("ahead")]
            frames.append(frame.assign(forecaster=entry.name, date=date, value=entry.fans.reshape(-1)))
    columns = ["forecaster", "item_id", "origin", "date", "level", "value"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def history(task: LeagueTask) -> pd.DataFrame:
    """Return what the example items sold, and their demand where it is known, to the end of the last window."""
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
        description: of the task and its data; see `describe_task`.
        table: a row a forecaster.
        differences: a row a pair.
        order: where the history's order holds; see `check_history_order`.
        examples: item id, and the rule that chose it, of each item that is drawn.
        scores: a row a forecaster, horizon and level.
        calibration: a row a forecaster and level.
        fans: the example items' quantiles.
        history: their sales and demand.
    """

    description: Mapping[str, Any]
    table: pd.DataFrame
    differences: pd.DataFrame
    order: pd.DataFrame
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
        """Return the word for the periods of this league."""
        return period_of(str(self.description["freq"]), amount)


def read_league(folder: Path) -> LeagueFiles:
    """Read what `write_league` wrote.

    Raises:
        FractileError: where a file is missing or damaged.
    """
    try:
        document = read_json(inside(folder, "league.json"))
        frames = {name: read_table(folder, f"{name}.parquet") for name in ("scores", "calibration", "fans", "history")}
        return LeagueFiles(
            description=document["asked"],
            table=pd.DataFrame(document["table"]),
            differences=pd.DataFrame(document["differences"], columns=list(DIFFERENCES)),
            order=pd.DataFrame(document["held"], columns=list(ORDER_COLUMNS)),
            examples=document["telling"],
            **frames,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise FractileError(f"{folder}: holds no whole league ({fault}); run `fractile lineage` again") from None
