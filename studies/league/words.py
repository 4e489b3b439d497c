"""What a league found, in sentences and small tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..report.words import MINUS, column, interval, label, number, percent
from .names import TRUTH
from .read import LineageRun

SHARES = ("coverage_10", "coverage_50", "coverage_90", "inside_80")


def findings(run: LineageRun) -> list[str]:
    """Return the answer first: who loses least, and against whom that is shown."""
    if not len(run.ranked):
        return ["No forecaster could be scored: all of them failed."]
    best: Any = run.ranked.iloc[0]
    name = str(best["forecaster"])
    sentences = [f"{_capital(label(name))} loses least: mean weighted quantile loss {number(best['wql'], 4)}."]
    rows = run.differences
    against = rows[(rows["later"] == name) & (rows["why"] == "baseline")]
    for row in against.itertuples(index=False):
        sentences.append(_against(row))
    truth = run.sound[run.sound["forecaster"] == TRUTH]
    if len(truth):
        over = float(best["wql"]) / float(truth["wql"].iloc[0]) - 1.0
        sentences.append(f"Its loss is {percent(over)} above that of the quantiles that demand was drawn from.")
    return sentences


def _against(row: Any) -> str:
    within = interval(row.reduction_low, row.reduction_high)
    base = label(row.earlier)
    if row.reduction_low > 0:
        return f"It loses {percent(row.reduction)} {within} less than {base}."
    if row.reduction_high < 0:
        return (
            f"It loses {percent(-row.reduction)} {interval(-row.reduction_high, -row.reduction_low)} more than {base}."
        )
    return f"Against {base} nothing is shown: {percent(row.reduction)} less, but {within} covers zero."


def league_rows(run: LineageRun) -> list[dict[str, Any]]:
    """Return the league table's cells as text, in the order of history."""
    table = run.sound
    texts: dict[str, list[str]] = {"wql": [f"{value:.4f}" for value in table["wql"]]}
    texts |= {name: column(table[name], 3) for name in ("p50", "p90")}
    texts |= {name: [f"{100 * share:.0f}" for share in table[name]] for name in SHARES}
    texts |= {
        "bias": column(100 * table["bias"], 3),
        "volatility": [f"{value:.4f}".replace("-", MINUS) for value in table["volatility"]],
    }
    texts |= {name: [_seconds(value) for value in table[name]] for name in ("fit_seconds", "forecast_seconds")}
    best = run.ranked["forecaster"].iloc[0] if len(run.ranked) else None
    rows = []
    for i, row in enumerate(_rows(table)):
        role = "bound" if row.forecaster == TRUTH else "baseline" if row.forecaster == best else "policy"
        within = f"[{row.wql_low:.3f}, {row.wql_high:.3f}]"
        cells = {name: values[i] for name, values in texts.items()}
        rows.append({"forecaster": label(row.forecaster), "era": row.era, "role": role, "interval": within, **cells})
    return rows


def bases_of(run: LineageRun) -> list[str]:
    """Return the baselines that are there."""
    against = run.differences[run.differences["why"] == "baseline"]
    return [str(name) for name in dict.fromkeys(against["earlier"])]


def against_rows(run: LineageRun) -> list[dict[str, str]]:
    """Return what each forecaster loses less than each baseline, as text."""
    rows, bases = run.differences[run.differences["why"] == "baseline"], bases_of(run)
    cells = {
        (row.earlier, row.later): gain(row.reduction, row.reduction_low, row.reduction_high) for row in _rows(rows)
    }
    names = [str(name) for name in run.sound["forecaster"] if name != TRUTH]
    return [
        {"forecaster": label(name), **{base: cells.get((base, name), "–") for base in bases}}
        for name in names
        if any((base, name) in cells for base in bases)
    ]


def step_rows(run: LineageRun) -> list[dict[str, str]]:
    """Return each step of history as text: who is expected to do better than whom, and what came of it."""
    said = {"holds": "holds", "open": "not shown", "fails": "does not hold"}
    rows = []
    for row in _rows(run.held):
        shown = gain(row.gain, row.gain_low, row.gain_high) if row.what == "loss" else _points(row)
        pair = f"{label(row.later)} after {label(row.earlier)}"
        rows.append({"pair": pair, "what": row.what, "gain": shown, "verdict": said[row.verdict]})
    return rows


def gain(value: float, low: float, high: float) -> str:
    """Return a share with its interval as text."""
    return f"{percent(value)} {interval(low, high)}"


def _points(row: Any) -> str:
    return f"{number(row.gain, 3)} [{number(row.gain_low, 3)}, {number(row.gain_high, 3)}]"


def _seconds(value: Any) -> str:
    return number(value, 3) if value is not None and float(value) >= 1 else column([value], 1)[0]


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
