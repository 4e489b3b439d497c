"""Measure what forecasts are worth on three panels: `python docs/impact.py --data FOLDER --work FOLDER`.

Writes docs/impact.md. Every panel is one run of what `fractile impact` does, with a forecast made elsewhere among the
forecasters, read from a CSV file; it is kept in the work folder as soon as it is done, and a second call runs what is
missing and writes the page of all that is there. `--only` chooses panels, `--fresh` runs them again, `--quick` tries
the script, `--kept` runs nothing.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from impact_page import page_of
from policies_panels import load_case
from policies_settings import Settings
from scipy import stats

from fractile.forecasters.data.panel import SalesPanel
from fractile.forecasters.forecast import QuantileForecast
from fractile.randomness import keyed_generator
from fractile.studies.backtest import Study
from fractile.studies.data import StudyData
from fractile.studies.folder import plain as plainly, read_manifest
from fractile.studies.impact.result import document
from fractile.studies.impact.run import begin_impact, impact_run
from fractile.studies.sections import TRUTH

HERE = Path(__file__).parent
PANELS = ("embedded", "vn2", "online_retail_uci")
FORECASTERS = ("seasonal_naive", "ets", "croston", "patchwork", "lightgbm")
"""Those that are fitted in minutes; on the embedded panel the true quantiles stand in place of `croston`."""
MAIN = "lightgbm"
"""The forecaster whose mistakes are priced."""
ITEMS = 150
"""Items of each real panel at most, drawn by key: some minutes a panel."""
OUTSIDE = "spreadsheet"
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98)
WINDOW, SPREAD_WINDOW = 8, 26
"""Weeks that the spreadsheet averages demand over, and its variance."""


def spreadsheet(panel: SalesPanel, first: int, horizon: int) -> QuantileForecast:
    """Forecast as a planner's spreadsheet might: a moving average, and a count distribution of the recent variance.

    Weeks out of stock are left out. It knows neither season nor promotions.
    """
    known = np.where(panel.informative, panel.sales, np.nan)
    origins = np.arange(first, panel.periods)
    values = np.zeros((panel.items, len(origins), horizon, len(LEVELS)))
    for k, origin in enumerate(origins):
        recent, longer = known[:, max(0, origin - WINDOW) : origin], known[:, max(0, origin - SPREAD_WINDOW) : origin]
        weeks, more = (np.maximum((~np.isnan(part)).sum(1), 1) for part in (recent, longer))
        mean = np.nansum(recent, axis=1) / weeks
        around = np.nansum(longer, axis=1) / more
        spread = np.nansum((longer - around[:, None]) ** 2, axis=1) / more
        spread = np.maximum(spread, 1.05 * np.maximum(mean, 0.01))
        size = np.maximum(mean, 1e-3) ** 2 / (spread - np.maximum(mean, 1e-3))
        share = size / (size + np.maximum(mean, 1e-3))
        quantiles = stats.nbinom.ppf(np.array(LEVELS), size[:, None], share[:, None])
        values[:, k] = np.where(mean[:, None] > 0, quantiles, 0.0)[:, None]
    return QuantileForecast(
        np.array(LEVELS), values, origins, panel.item_ids, pd.DatetimeIndex(panel.dates[origins]), panel.freq
    )


def write_outside(study: Study, path: Path) -> Path:
    """Write the spreadsheet's forecasts of all origins that a study looks at, as a CSV of somebody else's."""
    window = study.window
    forecast = spreadsheet(study.data.panel, min((*window.fits, window.cutoff)), window.span)
    frame = forecast.to_frame()[["item_id", "origin_date", "date", "level", "value"]]
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    return path


def some_of(data: StudyData) -> StudyData:
    """Return at most `ITEMS` of the items, drawn by key."""
    items = data.panel.items
    chosen = np.sort(keyed_generator(0, "impact items").choice(items, min(items, ITEMS), replace=False))
    return StudyData(data.panel.select(chosen), data.params.select(chosen), data.demand[chosen])


def silent(message: str, share: float | None = None) -> None:
    """Report nothing."""


def run_panel(name: str, settings: Settings) -> dict[str, Any]:
    """Value the usual forecasters and the spreadsheet's on one panel."""
    began = time.process_time()
    config, data = load_case(name, settings)
    names = [TRUTH if each == "croston" and name == "embedded" else each for each in FORECASTERS]
    names = sorted(names, key=lambda each: each == TRUTH)
    config = config.with_overrides({"forecast.forecaster": MAIN, "impact.forecasters": names})
    given = None if name == "embedded" else some_of(data)
    plain = begin_impact(config.with_overrides({"impact.forecasters": ["seasonal_naive"]}), silent, given)
    path = write_outside(plain, settings.work / "outside" / f"{name}.csv")
    config, out = config.with_overrides({"forecast.files": {OUTSIDE: path}}), settings.work / "runs" / name
    command = f"python docs/impact.py --only {name}"
    found = impact_run(config, out, command=command, progress=silent, overwrite=True, data=given)
    manifest, window, panel = read_manifest(out), plain.window, plain.data.panel
    return {
        **plainly(document(found.impact)),
        "findings": manifest["findings"],
        "items": panel.items,
        "periods": manifest["backtest"]["periods"],
        "folds": len(plain.windows),
        "first_date": manifest["backtest"]["first_date"],
        "last_date": manifest["backtest"]["last_date"],
        "freq": panel.freq,
        "rows": int(panel.items * len(LEVELS) * window.span * (panel.periods - min((*window.fits, window.cutoff)))),
        "seconds": manifest["forecaster_seconds"],
        "stages": manifest["cpu_seconds"],
        "study_notes": manifest["data"]["notes"],
        "total_seconds": time.process_time() - began,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data", help="folder of panels")
    parser.add_argument("--work", type=Path, default=Path("runs") / "impact", help="folder of results")
    parser.add_argument("--page", type=Path, default=HERE / "impact.md", help="the page to write")
    parser.add_argument("--only", default="", help=f"panels, with commas between them: {', '.join(PANELS)}, page")
    parser.add_argument("--quick", action="store_true", help="a few items and short training, to try the script")
    parser.add_argument("--fresh", action="store_true", help="run again what is there")
    parser.add_argument("--kept", action="store_true", help="run nothing: the page of what is in the work folder")
    given = parser.parse_args()
    chosen = [name for name in given.only.split(",") if name] or [*PANELS, "page"]
    unknown = sorted(set(chosen) - {*PANELS, "page"})
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; panels: {', '.join(PANELS)}, page")
    data = given.data.absolute()
    settings = Settings(
        given.work.absolute(), data if data.is_dir() else None, (0,), given.quick, given.fresh, given.kept
    )
    found = {}
    for name in PANELS:
        run = name in chosen and not settings.kept_only
        if run and name != "embedded" and (settings.data is None or not (settings.data / name).is_dir()):
            print(f"{name} is not in the data folder and is left out")
            continue
        if run or (settings.work / "panels" / f"{name}.json").is_file():
            each = replace(settings, fresh=settings.fresh and run)
            found[name] = each.kept("panels", name, lambda name=name: run_panel(name, settings))
    if "page" in chosen:
        given.page.write_text(page_of(found), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
