"""The section of forecasters: their scores, and what decisions on them cost."""

from __future__ import annotations

from typing import Any

import pandas as pd

from . import figures as plots
from .read import Run, rows_of
from .template import as_markup, render_template
from .text import column, interval, label, number, percent


def forecasters_section(run: Run) -> str:
    """Return the table of forecasters, with figures of what they are worth and how well calibrated they are."""
    value, scores = run.forecast_value, all_horizons(run.scores)
    worth = calibration = None
    if value["forecaster"].nunique() > 1:
        drawn = plots.draw_forecast_value(value, baseline=run.baseline, level=run.level, best=run.best)
        worth = as_markup(drawn)
    if len(scores):
        calibration = as_markup(plots.draw_calibration(scores))
    return render_template(
        "forecasters",
        run=run,
        manifest=run.manifest,
        rows=forecaster_rows(run),
        sentence=describe_forecasters(run),
        valued_policies=valued_policies(run),
        worth=worth,
        calibration=calibration,
    )


def forecasters_figures(run: Run) -> dict[str, pd.DataFrame]:
    """Return what the figures of forecasters are drawn from."""
    scores = all_horizons(run.scores)
    return {"forecast_value": run.forecast_value, "calibration": scores[["forecaster", "level", "coverage"]]}


def forecaster_rows(run: Run) -> list[dict[str, Any]]:
    """Return a row a forecaster: its scores, and what `valued_policies` that use it pay and save."""
    value, scores, rows = run.forecast_value, all_horizons(run.scores), []
    for name in dict.fromkeys([*value["forecaster"], *scores["forecaster"]]):
        own = scores[scores["forecaster"] == name]
        gap = 100 * (own["coverage"] - own["level"]).abs().mean()
        cells = {
            row.policy: (number(row.cost), percent(row.saving), interval(row.saving_low, row.saving_high))
            for row in rows_of(value[value["forecaster"] == name])
        }
        rows.append(
            {
                "forecaster": label(str(name)),
                "wql": column([own["wql"].mean()], 3)[0],
                "protection": column([own["protection_loss"].mean()], 3)[0] if "protection_loss" in own else "–",
                "gap": column([gap], 2)[0],
                "valued": [cells.get(policy, ("", "–", "")) for policy in valued_policies(run)],
            }
        )
    return rows


def valued_policies(run: Run) -> list[str]:
    """Return the policies that forecasters were valued with."""
    return [str(name) for name in dict.fromkeys(run.forecast_value["policy"])]


def describe_forecasters(run: Run) -> str:
    """Return which forecaster is worth most, and whether it is the one that scores best."""
    value, scores = run.forecast_value, all_horizons(run.scores)
    names = list(dict.fromkeys(scores["forecaster"]))
    if len(names) == 1 and set(value["forecaster"]) <= set(names):
        return f"{names[0]} is the only forecaster of this study: those in forecast.also would be compared with it."
    if not len(value):
        return "The run holds no valuation of forecasters (forecast_value.parquet)."
    top: Any = value.sort_values("cost", kind="stable").iloc[0]
    text = (
        f"Decisions were cheapest on {top['forecaster']}: with the {label(str(top['policy']))} they cost "
        f"{number(top['cost'])} a {run.periods(1)}."
    )
    if not len(scores) or scores["forecaster"].nunique() < 2:
        return text
    sharp = str(scores.groupby("forecaster")["wql"].mean().idxmin())
    if sharp == top["forecaster"]:
        return f"{text} It is also the most accurate one (weighted quantile loss)."
    return f"{text} The most accurate one is another: {sharp} (weighted quantile loss)."


def all_horizons(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row a forecaster and level: the rows over all horizons (0), or the mean where there are none."""
    if (scores["horizon"] == 0).any():
        return scores[scores["horizon"] == 0]
    columns = ["pinball", "wql", "coverage"]
    return scores.groupby(["forecaster", "level"], sort=False, as_index=False)[columns].mean()
