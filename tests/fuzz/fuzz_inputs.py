"""Mutated inputs of commands: what is mutated, and the command that reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import tomli_w
from fuzz_bytes import mutate_bytes, mutate_text, pack
from fuzz_config import mutate_config
from fuzz_tables import mutate_table, parquet_of, table_of, text_of, workbook_of
from fuzz_watch import faults_of, faults_of_table, own_temporary_folder, run_command, snapshot

WEEKS = [str(day.date()) for day in pd.date_range("2023-01-02", periods=40, freq="W-MON")]
HISTORY = "item_id,date,sales,price\n" + "".join(
    f"{item},{date},{(week * week + size) % 5},{2 + week % 3}\n"
    for size, item in enumerate("abc")
    for week, date in enumerate(WEEKS)
)
ITEMS = (
    "item_id,lead_time,holding_cost,stockout_cost,pack_size,maximum_order,brand\na,2,1,9,1,20,x\nb,1,1,9,2,,y\n"
    "c,0,1,9,1,,x\n"
)
STATE = "item_id,on_hand,arriving_1,arriving_2,backorders\na,2,0,1,0\nb,1,0,0,0\nc,0,0,0,1\n"
AHEAD = [str(day.date()) for day in pd.date_range(WEEKS[-1], periods=5, freq="W-MON")[1:]]
FORECASTS = "item_id,origin_date,date,level,value\n" + "".join(
    f"{item},{AHEAD[0]},{date},{level},{1 + size + level}\n"
    for size, item in enumerate("abc")
    for date in AHEAD
    for level in (0.1, 0.5, 0.9)
)
CONFIG = {
    "seed": 1,
    "data": {"history": "history.csv", "items": "items.csv", "state": "state.csv"},
    "backtest": {"periods": 4, "validation": 8, "folds": 1, "simulated_histories": 2},
    "forecast": {"forecaster": "seasonal_naive", "also": [], "horizon": 3},
    "policies": {"names": ["newsvendor"], "baseline": "newsvendor"},
}
TABLES = {"history": HISTORY, "items": ITEMS, "state": STATE, "forecasts": FORECASTS}
KINDS = {"history": 0.34, "import": 0.22, "items": 0.12, "state": 0.1, "forecasts": 0.1, "config": 0.12}
"""Which input is mutated, and how often."""
FAST_KINDS = {"history": 0.2, "import": 0.3, "items": 0.1, "state": 0.06, "forecasts": 0.04, "config": 0.3}
"""The same kinds with fewer of those that take long."""
QUANTILES = ("level", "value")


@dataclass(frozen=True)
class Place:
    """A folder with sound inputs and a kept run, for one mutated input after the other.

    Attributes:
        folder: of everything.
        work: the folder of mutated files and of outputs.
        temporary: where temporary files go.
    """

    folder: Path
    work: Path
    temporary: Path

    @classmethod
    def make(cls, folder):
        """Write the sound inputs, and train the run that orders are placed with."""
        place = cls(folder, folder / "work", folder / "temporary")
        for path in (place.work, place.temporary):
            path.mkdir()
        for name, text in TABLES.items():
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")
        (folder / "config.toml").write_text(tomli_w.dumps(CONFIG), encoding="utf-8")
        (folder / "empty").mkdir()
        if hasattr(os, "mkfifo"):
            os.mkfifo(folder / "pipe.csv")
        for name, more in (("run", ()), ("outside", ("--forecasts", f"mine={folder / 'forecasts.csv'}"))):
            chosen = "mine" if more else "seasonal_naive"
            made = run_command(
                *("train", folder / "config.toml", "--policy", "newsvendor", "--forecaster", chosen, *more),
                *("--out", folder / name),
            )
            assert made.code == 0, made
        return place

    def path(self, name):
        """Return the path of a sound input."""
        return self.folder / f"{name}.csv"


def mutate_input(rng, place, kinds=KINDS):
    """Write a mutated input; return its kind, its path and the arguments of the command that reads it."""
    kind = rng.choice(list(kinds), p=list(kinds.values()))
    if kind == "config":
        places = (str(place.folder / "empty"), str(place.folder / "pipe.csv"), "/dev/zero", "/dev/null", "gone.csv")
        data = dict(CONFIG["data"]) | {name: str(place.path(name)) for name in ("history", "items", "state")}
        path = place.work / "config.toml"
        path.write_bytes(mutate_config(rng, {**CONFIG, "data": data}, (*places, str(place.path("items")), "~nobody/x")))
        return kind, path, _config_command(rng, path, place)
    table = "history" if kind == "import" else kind
    path = _write_table(rng, place.work, table, TABLES[table], anything=kind == "import")
    return kind, path, _command(rng, kind, path, place)


def _write_table(rng, folder, name, text, *, anything):
    """Write a mutated table, CSV, Parquet or a workbook; for an import any text, and packed as well."""
    rows = table_of(text)
    form = rng.random()
    changed = mutate_table(rng, rows) if rng.random() < 0.8 else rows
    if form < 0.25 and len(changed) > 0 and changed[0]:
        data, ending = parquet_of(rng, changed), "parquet"
    elif form < 0.4 and name != "forecasts":
        data, ending = workbook_of(rng, changed), "xlsx"
    else:
        data, ending = text_of(changed).encode("utf-8", "surrogatepass"), "csv"
        if rng.random() < 0.2 or changed is rows:
            data = mutate_text(rng, text)
    if rng.random() < 0.15 or (ending == "parquet" and changed is rows):
        data = mutate_bytes(rng, data)
    if anything and rng.random() < 0.1:
        data = pack(rng, data, f"{name}.{ending}")
        ending = ("csv", "gz", "zip", "txt")[rng.integers(4)]
    elif rng.random() < 0.04:
        ending = ("csv", "parquet", "xlsx", "txt", "CSV", "xls")[rng.integers(6)]
    path = folder / f"{name}.{ending}"
    path.write_bytes(data)
    return path


def _command(rng, kind, path, place):
    out = place.work / ("out.csv" if rng.random() < 0.8 else "out.parquet")
    if kind == "import":
        return ["import", path, *([] if rng.random() < 0.1 else ["--out", out]), *_import_options(rng)]
    sound = {name: place.path(name) for name in TABLES} | {kind: path}
    files = ["--history", sound["history"], "--items", sound["items"], "--state", sound["state"]]
    if kind == "forecasts":
        chosen = ["--run", place.folder / "outside", "--forecasts", f"mine={path}"]
        return ["order", *chosen, *files, "--out", out]
    chosen = rng.random()
    if chosen < 0.2:
        return ["order", "--run", place.folder / "run", *files, "--out", out]
    alone = files[:2] if kind == "history" and rng.random() < 0.5 else files[:4]
    more = [] if rng.random() < 0.8 else ["--missing", ("zero", "unknown")[rng.integers(2)]]
    if rng.random() < 0.1:
        more += ["--freq", ("D", "MS", "W-MON", "W-SUN", "h")[rng.integers(5)]]
    if chosen < 0.6 and kind != "state":
        shape = ["--forecaster", "seasonal_naive", "--horizon", "3", "--out", out]
        return ["forecast", *alone, *shape, *more]
    return ["validate", *(alone if kind == "history" else files), *more]


def _import_options(rng):
    if rng.random() < 0.6:
        return []
    return (
        *(["--layout", "wide"], ["--layout", "long"], ["--returns", "net"], ["--missing", "zero"], ["--freq", "W-MON"]),
        *(["--encoding", "cp1252"], ["--encoding", "utf-16"], ["--decimal", ","], ["--separator", ";"]),
        *(["--date-format", "dmy"], ["--duplicates", "add"], ["--column", "sales=price"], ["--time-zone", "UTC"]),
    )[rng.integers(13)]


def _config_command(rng, path, place):
    chosen = rng.random()
    if chosen < 0.4:
        return ["validate", path]
    if chosen < 0.7:
        return ["forecast", path, "--out", place.work / "out.csv"]
    if chosen < 0.95:
        fixed = ["--policy", "newsvendor", "--forecaster", "seasonal_naive"]
        return ["train", path, *fixed, "--out", place.work / "kept"]
    return ["init", "--history", path, "--out", place.work / "started"]


def check(place, rng, kinds=KINDS):
    """Run one mutated input; return what was run, its outcome and what is wrong with it."""
    kind, path, arguments = mutate_input(rng, place, kinds)
    before = snapshot(place.folder)
    with own_temporary_folder(place.temporary):
        outcome = run_command(*arguments)
    after = snapshot(place.folder)
    outs = [place.work / name for name in ("out.csv", "out.parquet", "started", "kept")]
    faults = faults_of(outcome, before, after, outs)
    if outcome.code == 0:
        faults += _faults_of_outputs(arguments[0], outs)
    return (kind, path, arguments), outcome, faults


def _faults_of_outputs(command, outs):
    columns = {"forecast": QUANTILES, "order": ("order",), "import": ("sales",)}.get(command)
    written = [path for path in outs[:2] if path.exists()]
    if columns is None:
        return []
    if not written and command != "import":
        return ["nothing was written"]
    return [fault for path in written for fault in faults_of_table(path, finite=columns)]


def clean(place):
    """Take the mutated files and the outputs away."""
    for folder in (place.work, place.temporary):
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
