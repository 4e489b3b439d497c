"""Make the league tables of four panels: `python docs/lineage.py --data FOLDER --work FOLDER` writes docs/lineage.md.

Every pair of a panel and a forecaster runs in a process of its own and is kept in the work folder as soon as it is
done; a second call runs what is missing or failed, and writes the page of all that is there. `--panel` and
`--forecasters` choose some, `--fresh` runs them again, `--page-only` runs nothing. The text that explains the numbers
is written by hand, in docs/lineage_notes.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lineage_page import draw_calibration, draw_cost, page_of

import fractile as fr
from fractile.randomness import keyed_generator
from fractile.studies.league import LeagueTask, league_task
from fractile.studies.league.entry import entry_key, make_entry, save_entry
from fractile.studies.league.run import load_kept_entry, quick_options
from fractile.studies.league.table import make_league, write_league
from fractile.studies.league.task import TRUTH, sort_by_history

HERE = Path(__file__).parent
SAMPLE = 5000
"""Series of freshretailnet50k."""
QUICK_ITEMS = 60
WEATHER = ["precpt", "avg_temperature", "avg_humidity", "avg_wind_level"]
GROUPS = ["city_id", "store_id", "management_group_id", "first_category_id", "second_category_id", "third_category_id"]
ABSURD = {"23843", "23166"}
"""Items of online_retail_uci with one line each that was cancelled the same day."""


@dataclass(frozen=True)
class Panel:
    """One of the panels.

    Attributes:
        title: what it is.
        horizon: periods ahead.
        load: from the data folder to the panel; none: the embedded one.
    """

    title: str
    horizon: int
    load: Callable[[Path], fr.SalesPanel] | None


def vn2(data: Path) -> fr.SalesPanel:
    return fr.load_panel(data / "vn2" / "history.parquet", data / "vn2" / "items.csv")


def online_retail_uci(data: Path) -> fr.SalesPanel:
    sales = pd.read_parquet(data / "online_retail_uci" / "daily_item_sales.parquet")
    sales = sales[~(sales["StockCode"].isin(ABSURD) & (sales["units"] > 10_000))]
    # The price is a median of what was sold, so that a change of it tells of a sale: it is not known ahead.
    kept = sales[["StockCode", "date", "units", "lines", "price_median"]]
    columns = {"item_id": "StockCode", "sales": "units", "price": "price_median"}
    return fr.SalesPanel.from_frame(kept, known=(), freq="W-MON", missing="zero", columns=columns)


def freshretailnet50k(data: Path) -> fr.SalesPanel:
    folder = data / "freshretailnet50k"
    series = pd.read_parquet(folder / "series.parquet").sort_values("series_id", ignore_index=True)
    chosen = keyed_generator(0, "freshretailnet50k").choice(len(series), SAMPLE, replace=False)
    series = series.iloc[np.sort(chosen)]
    daily = pd.read_parquet(folder / "daily.parquet", filters=[("series_id", "in", set(series["series_id"]))])
    weather = pd.read_parquet(folder / "store_day_weather.parquet")[["store_id", "dt", *WEATHER]]
    frame = daily.merge(series[["series_id", "store_id"]], on="series_id").merge(
        weather, on=["store_id", "dt"], how="left"
    )
    # Shops are open from 6 to 22.
    hours = frame["stockout_hours_6_22"]
    frame = frame.assign(item_id=frame["series_id"].astype(str), in_stock=hours == 0, availability=1 - hours / 16)
    known = ("discount", "activity_flag", "holiday_flag")
    kept = frame.rename(columns={"dt": "date", "sale_amount": "sales"})
    kept = kept[["item_id", "date", "sales", "in_stock", "availability", *known, *WEATHER]]
    items = series[GROUPS].astype(str).assign(item_id=series["series_id"].astype(str))
    return fr.SalesPanel.from_frame(kept, items, known=known, freq="D")


PANELS = {
    "embedded": Panel("the embedded panel, whose true quantiles are known", 8, None),
    "vn2": Panel("VN2 inventory planning challenge: store-product pairs, weekly", 8, vn2),
    "online_retail_uci": Panel("Online Retail (UCI): a gift wholesaler, weekly", 4, online_retail_uci),
    "freshretailnet50k": Panel(
        f"FreshRetailNet-50K: fresh food, daily, {SAMPLE:,} series drawn by key", 7, freshretailnet50k
    ),
}


@dataclass(frozen=True)
class Job:
    """What was asked on the command line."""

    data: Path
    work: Path
    quick: bool

    def options(self, name: str) -> dict[str, Any]:
        return quick_options([name], {})[name] if self.quick and name != TRUTH else {}

    def folder(self, panel: str) -> Path:
        return self.work / panel / "entries"


@cache
def asked(job: Job, name: str) -> LeagueTask:
    """Return the contest of a panel."""
    panel = PANELS[name]
    if panel.load is None:
        retail = fr.retail_panel(QUICK_ITEMS) if job.quick else fr.retail_panel()
        truth = partial(retail.true_forecast, known="record")
        return league_task(retail.panel, panel.horizon, truth=retail.demand, reference=truth)
    found = panel.load(job.data)
    return league_task(found.select(np.arange(QUICK_ITEMS)) if job.quick else found, panel.horizon)


def names_of(job: Job, panel: str, chosen: list[str]) -> tuple[str, ...]:
    names = sort_by_history(chosen or fr.FORECASTERS)
    return (*names, TRUTH) if asked(job, panel).reference is not None else names


def finished(job: Job, panel: str, name: str) -> Any:
    """Return the entry that was kept for this panel, these questions and options; None where there is none."""
    entry = load_kept_entry(job.folder(panel), name)
    return entry if entry is not None and entry.key == entry_key(asked(job, panel), name, job.options(name)) else None


def run_one(job: Job, panel: str, name: str) -> None:
    entry = make_entry(asked(job, panel), name, job.options(name))
    save_entry(job.folder(panel), entry)
    print(f"{panel} {name}: {entry.error or 'done'}", flush=True)


def run_missing(job: Job, panels: list[str], chosen: list[str], arguments: argparse.Namespace) -> None:
    """Run each pair that is not there yet, in a process of its own."""
    for panel in panels:
        for name in names_of(job, panel, chosen):
            entry = finished(job, panel, name)
            if arguments.fresh or entry is None or entry.error is not None:
                flags = ["--quick"] if job.quick else []
                places = ["--data", str(job.data), "--work", str(job.work)]
                command = [sys.executable, __file__, *places, *flags, "--one", panel, name]
                done = subprocess.run(command, check=False)
                if done.returncode:
                    print(f"{panel} {name}: ended with exit code {done.returncode}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of vn2, online_retail_uci, freshretailnet50k")
    parser.add_argument("--work", type=Path, required=True, help="folder of results")
    parser.add_argument("--panel", default=",".join(PANELS), help="panels, with commas between them")
    parser.add_argument("--forecasters", default="", help="names, with commas between them; all where not given")
    parser.add_argument("--quick", action="store_true", help="a few items and short training, to try the script")
    parser.add_argument("--fresh", action="store_true", help="run again what is there")
    parser.add_argument("--page-only", action="store_true", help="run nothing")
    parser.add_argument("--page", type=Path, default=HERE / "lineage.md", help="the page to write")
    parser.add_argument("--one", nargs=2, metavar=("PANEL", "NAME"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    job = Job(given.data.absolute(), given.work.absolute(), given.quick)
    if given.one:
        return run_one(job, *given.one)
    panels, chosen = given.panel.split(","), [name for name in given.forecasters.split(",") if name]
    unknown = sorted(set(panels) - set(PANELS)) + sorted(set(chosen) - set(fr.FORECASTERS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; panels: {', '.join(PANELS)}; see `fractile list`")
    if not given.page_only:
        run_missing(job, panels, chosen, given)
    return write_page(job, given.page)


def write_page(job: Job, page: Path) -> None:
    """Write the page of all panels and forecasters that there are results of."""
    leagues = {}
    for panel in PANELS:
        if job.folder(panel).is_dir():
            entries = [finished(job, panel, name) for name in names_of(job, panel, [])]
            found = [entry for entry in entries if entry is not None]
            absent = [name for name, entry in zip(names_of(job, panel, []), entries, strict=True) if entry is None]
            if absent:
                print(f"{panel}: not in the page, for want of results: {', '.join(absent)}", file=sys.stderr)
            if found:
                leagues[panel] = make_league(asked(job, panel), found)
                write_league(job.work / panel, leagues[panel])
    page.parent.mkdir(parents=True, exist_ok=True)
    pictures = page.parent / "pictures"
    pictures.mkdir(exist_ok=True)
    for panel, league in leagues.items():
        draw_calibration(league, pictures / f"lineage-{panel}-calibration.png")
        draw_cost(league, pictures / f"lineage-{panel}-cost.png")
    titles = {panel: PANELS[panel].title for panel in leagues}
    notes = (HERE / "lineage_notes.md").read_text(encoding="utf-8")
    page.write_text(page_of(leagues, titles, notes), encoding="utf-8", newline="\n")
    print(f"{page}: {', '.join(f'{panel} {len(league.table)}' for panel, league in leagues.items())}")


if __name__ == "__main__":
    main()
