"""The page of what forecasts are worth, from the files of its run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ...errors import FractileError
from ..folder import read_manifest, replace_file
from ..integrity import read_table
from ..report.figure_data import figure_files, write_figures
from ..report.figures import draw_calibration
from ..report.forecasters import all_horizons
from ..report.read import rows_of
from ..report.template import as_markup, render_template, style_sheet
from ..report.text import column, interval, label, money, money_interval, number, percent, period_of, periods_a_year
from ..sections import TRUTH
from . import plots

KIND, PAGE = "impact", "impact.html"
NEEDED = ("cells", "accuracy", "staircase", "split")
"""Tables without which there is no page."""
OTHERS = ("scores", "ranks", "worth", "disagreements", "miscalibration", "absorbed")
LOSS_NAMES = {
    "protection_loss": "loss on the protection interval",
    "priced_loss": "the same, priced",
    "wql": "weighted quantile loss",
    "crps": "CRPS",
}


def build_impact_page(folder: Path) -> Path:
    """Write `impact.html` and `figures/*.csv` from the files of a run, the same bytes for the same files.

    Raises:
        FractileError: where a table is missing or damaged.
    """
    manifest = read_manifest(folder)
    tables = {name: _read(folder, name, needed=name in NEEDED) for name in (*NEEDED, *OTHERS)}
    if not len(tables["cells"]):
        raise FractileError(f"{folder / 'cells.parquet'}: holds no pair; run `fractile impact` again")
    frames = figure_frames(manifest, tables)
    page = render(manifest, tables, figure_files(frames))  # before anything is written: it may fail on a damaged file
    write_figures(folder, frames)
    return replace_file(folder / PAGE, lambda path: path.write_text(page, encoding="utf-8", newline="\n"))


def figure_frames(manifest: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return what the figures are drawn from, by name."""
    cells, policy = tables["cells"], manifest["policy"]
    points = cells[["forecaster", "policy", "cost"]].merge(tables["accuracy"][["forecaster", "protection_loss"]])
    scores = tables["scores"]
    calibration = all_horizons(scores)[["forecaster", "level", "coverage"]] if len(scores) else pd.DataFrame()
    stairs = tables["staircase"]
    return {
        "cells": cells[["forecaster", "policy", "saving", "saving_low", "saving_high"]],
        "money": points,
        "staircase": stairs[stairs["policy"] == policy],
        "split": tables["split"],
        "miscalibration": tables["miscalibration"],
        "calibration": calibration,
    }


def render(manifest: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], files: list[str]) -> str:
    """Return the page.

    Args:
        manifest: of the run.
        tables: by name.
        files: paths of the figures' data, relative to the page.
    """
    frames, level = figure_frames(manifest, tables), float(manifest["level"])
    reference, freq = manifest["reference"], manifest["data"]["freq"]
    period, currency = period_of(freq, 1), manifest.get("currency")
    policies = [str(name) for name in manifest["config_policies"] if name in set(tables["cells"]["policy"])]
    base = f"{label(reference['forecaster'])} with {label(reference['policy'])}"
    mistakes = frames["miscalibration"]
    kinds = [kind for kind in plots.MISTAKES if len(mistakes) and (mistakes["mistake"] == kind).any()]
    split = frames["split"]
    figures = {
        "cells": plots.draw_cells(frames["cells"], policies, level=level, reference=base),
        "money": plots.draw_money(frames["money"], policies, period=period),
        "staircase": plots.draw_staircase(frames["staircase"], period=period, currency=currency),
        "split": plots.draw_split(split) if len(split) else "",
        "calibration": draw_calibration(frames["calibration"]) if len(frames["calibration"]) else "",
    }
    return render_template(
        "impact",
        package=__package__ or "",
        css=style_sheet(),
        manifest=manifest,
        period=period,
        periods=period_of(freq),
        currency=currency,
        base=base,
        known_truth=(tables["cells"]["forecaster"] == TRUTH).any(),
        findings=manifest.get("findings", []),
        figures={name: as_markup(svg) for name, svg in figures.items()},
        mistakes=[as_markup(plots.draw_mistakes(mistakes, kind, policies)) for kind in kinds],
        cells=cell_rows(tables["cells"], reference, currency),
        accuracy=accuracy_rows(tables["accuracy"]),
        ranks=rank_rows(tables["ranks"], tables["worth"], freq, currency),
        apart=apart_rows(tables["disagreements"]),
        steps=step_rows(frames["staircase"], freq, currency),
        split=split_rows(split, currency),
        absorbed=absorbed_rows(tables["absorbed"], currency),
        files=files,
    )


def cell_rows(cells: pd.DataFrame, reference: Mapping[str, str], currency: str | None) -> list[dict[str, Any]]:
    """Return the pairs as text, cheapest first."""
    rows = []
    for row in rows_of(cells):
        own = (row.forecaster, row.policy) == (reference["forecaster"], reference["policy"])
        rows.append(
            {
                "role": "baseline" if own else "bound" if row.forecaster == TRUTH else "best" if row.among_best else "",
                "forecaster": label(str(row.forecaster)),
                "policy": label(str(row.policy)),
                "cost": money(row.cost, currency, 5),
                "fill": percent(row.fill_rate),
                "stock": number(row.mean_on_hand),
                "saving": "reference" if own else percent(row.saving),
                "within": "" if own else interval(row.saving_low, row.saving_high),
                "said": "cheapest or as cheap" if row.among_best else "proven" if row.proven else "",
            }
        )
    return rows


def accuracy_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the scores of forecasters as text, the least loss on the protection interval first."""
    table = table.sort_values("protection_loss", kind="stable")
    shown = {name: column(table[name], 3) for name in ("protection_loss", "wql", "crps", "calibration", "volatility")}
    shown["priced_loss"] = column(table["priced_loss"], 5)
    shown["bias"] = [percent(value) for value in table["bias"]]
    return [
        {
            "role": "bound" if name == TRUTH else "",
            "forecaster": label(str(name)),
            **{key: texts[k] for key, texts in shown.items()},
        }
        for k, name in enumerate(table["forecaster"])
    ]


def rank_rows(ranks: pd.DataFrame, worth: pd.DataFrame, freq: str, currency: str | None) -> list[dict[str, Any]]:
    """Return how alike losses and costs rank, and what one per cent is worth, a row a policy and loss."""
    if not len(ranks) or not len(worth):
        return []
    year = periods_a_year(freq) or 1.0
    return [
        {
            "policy": label(str(row.policy)),
            "loss": LOSS_NAMES[str(row.loss)],
            "rank": number(row.correlation, 2),
            "rank_within": f"[{number(row.correlation_low, 2)}, {number(row.correlation_high, 2)}]",
            "slope": number(row.slope, 2),
            "slope_within": f"[{number(row.slope_low, 2)}, {number(row.slope_high, 2)}]",
            "worth": money(year * float(row.worth), currency),
            "worth_within": money_interval(year * float(row.worth_low), year * float(row.worth_high)),
        }
        for row in rows_of(ranks.merge(worth, on=["policy", "loss", "forecasters"]))
    ]


def apart_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Return the pairs of forecasters that accuracy and money rank the other way round."""
    return [
        {
            "policy": label(str(row.policy)),
            "pair": f"{label(str(row.cheap))} against {label(str(row.accurate))}",
            "gap": percent(row.loss_gap),
            "saving": f"{percent(row.saving)} {interval(row.saving_low, row.saving_high)}",
        }
        for row in rows_of(table)
    ]


def step_rows(table: pd.DataFrame, freq: str, currency: str | None) -> list[dict[str, str]]:
    """Return the steps of the staircase as text; amounts a year where it is known how many periods that has."""
    year = periods_a_year(freq) or 1.0
    rows = []
    for k, row in enumerate(rows_of(table)):
        amounts = {}
        for name in ("saved", "total"):
            value, low, high = (year * float(getattr(row, key)) for key in (name, f"{name}_low", f"{name}_high"))
            amounts[name] = "–" if k == 0 else f"{money(value, currency)} {money_interval(low, high)}"
        cost = money(year * float(row.cost), currency, 4)
        rows.append({"step": label(str(row.step)), "era": str(row.era), "cost": cost, **amounts})
    return rows


def split_rows(table: pd.DataFrame, currency: str | None) -> list[dict[str, str]]:
    """Return the parts of each saving as text, to the cent, the largest saving first."""
    rows = []
    for row in rows_of(table.sort_values("saving", ascending=False, kind="stable")):
        cells = {}
        for name in ("saving", "forecast_effect", "policy_effect"):
            share, low, high, cents = (getattr(row, f"{name}{what}") for what in ("", "_low", "_high", "_money"))
            cells[name] = f"{cents:,.2f}".replace("-", "−") + (f" {currency}" if currency else "")
            cells[f"{name}_share"] = f"{percent(share)} {interval(low, high)}"
        rows.append({"pair": f"{label(str(row.forecaster))} / {label(str(row.policy))}", **cells})
    return rows


def absorbed_rows(table: pd.DataFrame, currency: str | None) -> list[dict[str, str]]:
    """Return how much of each mistake's cost tuning absorbs, as text."""
    from .words import name_mistake

    return [
        {
            "mistake": name_mistake(str(row.mistake), float(row.size)),
            "policy": label(str(row.policy)),
            "untuned": money(row.untuned_extra, currency),
            "tuned": money(row.extra, currency),
            "share": "–" if pd.isna(row.absorbed) else percent(row.absorbed, 0),
        }
        for row in rows_of(table)
    ]


def _read(folder: Path, name: str, *, needed: bool) -> pd.DataFrame:
    path = folder / f"{name}.parquet"
    if not path.is_file():
        if needed:
            raise FractileError(f"{path}: is missing; `fractile impact` writes it: run it again")
        return pd.DataFrame()
    return read_table(folder, path.name, "run `fractile impact` again")
