"""What the tables of an impact say, in sentences and as text."""

from __future__ import annotations

import textwrap
from typing import Any

import pandas as pd

from ..report.read import rows_of
from ..report.text import (
    align_columns,
    capitalise,
    interval,
    join_words,
    label,
    money,
    note_lines,
    number,
    percent,
    period_of,
    periods_a_year,
)
from ..sections import TRUTH
from .miscalibration import RIGHT
from .result import Impact
from .staircase import PERFECT

WIDTH = 100
"""Columns of text."""
SHOWN = 3
"""Names, pairs and mistakes that a sentence lists."""
WHOLE = 0.001
"""Share of a cost that is as good as nothing."""


def sentences(impact: Impact, freq: str | None, currency: str | None = None) -> list[str]:
    """Return the findings, the most important first.

    Args:
        impact: the tables.
        freq: pandas frequency of the periods.
        currency: written after amounts of money.
    """
    said = [_cheapest(impact, freq, currency), _worth(impact, freq, currency), _ranks(impact), _split(impact)]
    said += [_truth(impact, freq, currency), _mistakes(impact)]
    return [text for text in said if text]


def pair_text(forecaster: str, policy: str) -> str:
    """Return a pair for readers: "ets with the tuned newsvendor"."""
    return f"{label(forecaster)} with {label(policy)}"


def per_year(amount: float, freq: str | None, currency: str | None) -> str:
    """Return an amount a period, and a year where it is known how many periods that has."""
    period, year = period_of(freq, 1), periods_a_year(freq)
    text = f"{money(amount, currency)} a {period}"
    return text if year is None else f"{text} ({money(amount * year, currency)} a year)"


def _cheapest(impact: Impact, freq: str | None, currency: str | None) -> str:
    pair, reference = impact.best, impact.reference
    best = _row(impact.cells, forecaster=pair[0], policy=pair[1])
    text = f"Cheapest is {pair_text(*pair)}: {money(best['cost'], currency)} a {period_of(freq, 1)}"
    if pair != reference:
        saved = f"{percent(best['saving'])} {interval(best['saving_low'], best['saving_high'])}"
        text += f", {saved} less than {pair_text(*reference)}"
    alike = impact.cells[impact.cells["among_best"]]
    names = [pair_text(*each) for each in zip(alike["forecaster"], alike["policy"], strict=True) if each != pair]
    if names:
        more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
        text += f"; it cannot be told from {join_words([*names[:SHOWN], *more])}"
    return f"{text}."


def _worth(impact: Impact, freq: str | None, currency: str | None) -> str:
    row = _row(impact.worth, policy=impact.policy, loss="protection_loss")
    if row is None or pd.isna(row["slope"]):
        return ""
    share = f"{number(row['slope'], 2)} % [{number(row['slope_low'], 2)}, {number(row['slope_high'], 2)}]"
    return (
        f"One per cent less loss on the protection interval goes with {share} less cost under {label(impact.policy)}, "
        f"over {row['forecasters']} forecasters: {per_year(row['worth'], freq, currency)}."
    )


def _ranks(impact: Impact) -> str:
    row = _row(impact.ranks, policy=impact.policy, loss="protection_loss")
    if row is None or pd.isna(row["correlation"]):
        return ""
    within = f"[{number(row['correlation_low'], 2)}, {number(row['correlation_high'], 2)}]"
    text = (
        f"Rank of accuracy against rank of money under {label(impact.policy)}: "
        f"{number(row['correlation'], 2)} {within} (Spearman; 1 = the more accurate is always the cheaper)"
    )
    apart = impact.disagreements[impact.disagreements["policy"] == impact.policy]
    sure = apart[apart["saving_low"] > 0]
    if len(sure):
        pairs = [f"{label(c)} costs less than {label(a)}" for c, a in zip(sure["cheap"], sure["accurate"], strict=True)]
        text += f"; {join_words(pairs[:SHOWN])} although less accurate"
    elif len(apart):
        text += f"; {len(apart)} pair{'s' * (len(apart) > 1)} of forecasters the other way round, none of them proven"
    return f"{text}."


def _split(impact: Impact) -> str:
    row = _row(impact.split, forecaster=impact.best[0], policy=impact.best[1])
    if row is None:
        return ""
    parts = [f"{percent(row[f'{name}_effect'])} by the {name}" for name in ("forecast", "policy")]
    pair = pair_text(*impact.best)
    return f"Of the {percent(row['saving'])} that {pair} saves, {join_words(parts)}."


def _truth(impact: Impact, freq: str | None, currency: str | None) -> str:
    rows = impact.staircase[impact.staircase["policy"] == impact.policy]
    last = rows[rows["step"] == PERFECT]
    if len(rows) < 2 or rows["step"].iloc[0] == PERFECT:
        return ""
    own = rows[~rows["step"].isin([PERFECT, TRUTH])]
    best = own[own["step"] == impact.best[0]]
    ours = (best if len(best) else own).iloc[-1]
    text = (
        f"From {label(rows['step'].iloc[0])} to {label(ours['step'])} under {label(impact.policy)}: "
        f"{per_year(ours['total'], freq, currency)}"
    )
    if TRUTH in set(rows["step"]):
        text += f"; to the true quantiles {money(rows.loc[rows['step'] == TRUTH, 'total'].iloc[0], currency)}"
    if len(last):
        saved = money(last["total"].iloc[0], currency)
        text += f"; perfect information, which nobody has, would save {saved} a {period_of(freq, 1)}"
        if last["cost"].iloc[0] <= WHOLE * rows["cost"].iloc[0]:  # orders that arrive when they are needed cost nothing
            text += ", the whole cost"
    return f"{text}."


def _mistakes(impact: Impact) -> str:
    table = impact.miscalibration
    if not len(table):
        return ""
    own = table[(table["policy"] == impact.policy) & ~table["retuned"] & (table["mistake"] != RIGHT)]
    if not len(own):
        return ""
    worst = own.loc[own.groupby("mistake")["extra"].idxmax()].sort_values("extra", ascending=False)
    each = zip(worst["mistake"], worst["size"], worst["extra"], strict=True)
    said = [f"{percent(extra, 0)} for {name_mistake(kind, size)}" for kind, size, extra in each]
    return f"What mistakes cost more under {label(impact.policy)}, in simulation: {join_words(said)}."


def name_mistake(kind: str, size: float) -> str:
    """Return a mistake for readers.

    >>> name_mistake("bias", 1.3), name_mistake("spread", 0.5), name_mistake("lateness", 2)
    ('a forecast 30 % too high', 'a spread of half', 'a forecast 2 periods late')
    """
    if kind == "bias":
        return f"a forecast {abs(size - 1):.0%}".replace("%", " %") + (" too high" if size > 1 else " too low")
    if kind == "spread":
        return "a spread of half" if size == 0.5 else f"a spread times {size:g}"
    if kind == "noise":
        return f"noise of {size:.0%}".replace("%", " %")
    return f"a forecast {size:g} period{'s' * (size != 1)} late"


def impact_text(impact: Impact, freq: str | None, currency: str | None = None) -> str:
    """Return tables and findings as text for a terminal."""
    cells = impact.cells
    rows = [["forecaster", "policy", "cost", "fill rate", f"saving [{percent(impact.level, 0)} interval]", ""]]
    for row in rows_of(cells):
        base = (row.forecaster, row.policy) == impact.reference
        saving = "reference" if base else f"{percent(row.saving)} {interval(row.saving_low, row.saving_high)}"
        mark = "among the best" if row.among_best else ""
        rows.append([row.forecaster, row.policy, f"{row.cost:,.2f}", percent(row.fill_rate), saving, mark])
    scores = [["forecaster", "protection loss", "wql", "crps", "bias", "calibration", "volatility"]]
    for row in rows_of(impact.accuracy):
        losses = [f"{value:.4f}" for value in (row.protection_loss, row.wql, row.crps)]
        scores.append([row.forecaster, *losses, percent(row.bias), f"{row.calibration:.3f}", f"{row.volatility:.4f}"])
    said = [textwrap.fill(capitalise(text), WIDTH) for text in sentences(impact, freq, currency)]
    said += note_lines(impact.forecast_notes)
    return "\n\n".join(map("\n".join, (align_columns(rows, (0, 1)), align_columns(scores), said)))


def _row(frame: pd.DataFrame, **keys: Any) -> Any:
    """Return the first row with these values, or None."""
    if not len(frame):
        return None
    rows = frame
    for name, value in keys.items():
        rows = rows[rows[name] == value]
    return rows.iloc[0] if len(rows) else None
