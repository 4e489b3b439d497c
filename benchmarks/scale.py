"""What a study in blocks costs: `python benchmarks/scale.py [--items 10000 100000 1000000] [--workers 1] [--out FILE]`.

Histories of 104 weeks are written as Parquet into a temporary folder, with a state. Each is studied by the command line
in a process of its own: newsvendor and tuned newsvendor on patchwork, 52 held-out weeks and 100 simulated histories of
them, then orders. Reported are CPU-seconds by stage, with those of all worker processes, the peak of what all processes
hold in memory together (proportional set size, Linux), and wall-clock time. `--workers 1 2` with `--weak` doubles the
items along with the workers: on an ideal machine the time stays the same.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PERIODS, AT_ONCE = 104, 4096
CONFIG = """
[data]
history = "{history}"
state = "{state}"
[defaults]
lead_time = 2
holding_cost = 0.02
stockout_cost = 1.0
[backtest]
periods = 52
folds = 1
simulated_histories = 100
[forecast]
forecaster = "patchwork"
[policies]
names = ["newsvendor", "tuned_newsvendor"]
baseline = "newsvendor"
[scale]
blocks = {blocks}
{engine}
"""
WRITING = ("writing", "adding up")
"""Stages in which the blocks are put together."""


def write_history(folder: Path, items: int) -> None:
    """Write weekly sales of items with a level, a season and weeks that all share, and what is on hand of each."""
    first = np.datetime64("2023-01-02")
    dates = np.arange(first, first + 7 * PERIODS, 7).astype("datetime64[ms]")
    common = np.exp(0.1 * np.random.default_rng(7).standard_normal(PERIODS))
    schema = pa.schema([("item_id", pa.string()), ("date", pa.timestamp("ms")), ("sales", pa.float32())])
    stock = pa.schema([("item_id", pa.string()), ("on_hand", pa.float64()), ("arriving_1", pa.float64())])
    history, state = folder / "history.parquet", folder / "state.parquet"
    with pq.ParquetWriter(history, schema, compression="zstd") as sales_file, pq.ParquetWriter(state, stock) as stocks:
        for begin in range(0, items, AT_ONCE):
            number = min(AT_ONCE, items - begin)
            rng = np.random.default_rng(begin)
            mean = rng.gamma(1.0, 8.0, number) + 0.2
            phase = rng.uniform(0.0, 6.0, number)
            season = 1.0 + 0.3 * np.sin(np.arange(PERIODS) / 52 * 2 * np.pi + phase[:, None])
            sales = rng.poisson(mean[:, None] * season * common * rng.gamma(4.0, 0.25, (number, PERIODS)))
            ids = pa.array([f"item{begin + k:07d}" for k in range(number)])
            rows = np.repeat(np.arange(number, dtype=np.int32), PERIODS)
            columns = [ids.take(pa.array(rows)), pa.array(np.tile(dates, number))]
            table = pa.table([*columns, pa.array(sales.reshape(-1).astype(np.float32))], schema=schema)
            sales_file.write_table(table, row_group_size=number * PERIODS)
            counted = [pa.array(np.rint(mean * share)) for share in (2.0, 1.0)]
            stocks.write_table(pa.table([ids, *counted], schema=stock))


def measure(items: int, workers: int, folder: Path) -> dict[str, Any]:
    """Study a history of so many items with so many workers (1: in one process), and return what it took."""
    work = folder / f"{items}-{workers}"
    work.mkdir()
    data = folder / str(items)
    if not data.is_dir():
        data.mkdir()
        write_history(data, items)
    engine = f'engine = "process"\nworkers = {workers}' if workers > 1 else 'engine = "serial"'
    files = {"history": data / "history.parquet", "state": data / "state.parquet"}
    text = CONFIG.format(**files, blocks=max(workers, -(-items // AT_ONCE)), engine=engine)
    (work / "study.toml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-P", "-m", "fractile", "study", str(work / "study.toml"), "--out", str(work / "run")]
    before, began, peak = _cpu_of_children(), time.monotonic(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while process.poll() is None:
        peak = max(peak, sum(map(_memory, _family(process.pid))))
        time.sleep(0.25)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with {process.returncode}")
    wall, cpu = time.monotonic() - began, _cpu_of_children() - before
    stages = json.loads((work / "run" / "manifest.json").read_text(encoding="utf-8"))["cpu_seconds"]
    blocks = {name.partition(": ")[2]: spent for name, spent in stages.items() if name.startswith("all items: ")}
    merging = sum(stages.get(name, 0.0) for name in WRITING)
    fit = sum(spent for name, spent in stages.items() if ": " not in name and name not in (*WRITING, "surveying"))
    return {
        "items": items,
        "workers": workers,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "cpu_seconds_without_fit": round(cpu - fit, 1),
        "milliseconds_an_item": round(1000 * (cpu - fit) / items, 3),
        "peak_mib": round(peak / 1024),
        "stages": {
            "fit": round(fit, 1),
            "survey": stages.get("surveying", 0.0),
            **{name: round(spent, 1) for name, spent in blocks.items()},
            "merge": round(merging, 1),
        },
    }


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Draw CPU-seconds without the fit over items, of all processes, on log scales, beside a line in proportion."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    items, seconds = np.array(sorted((found["items"], found["cpu_seconds_without_fit"]) for found in results)).T
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.loglog(items, seconds, "o-", label="measured")
    axes.loglog(items, seconds[-1] * items / items[-1], "--", color="grey", label="in proportion to the last")
    axes.set(xlabel="items", ylabel="CPU-seconds without the fit")
    axes.legend(frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument("--weak", action="store_true", help="as many times the items as there are workers")
    parser.add_argument("--folder", type=Path, help="where histories and runs are written for the time")
    parser.add_argument("--out", type=Path, default=Path("scale.json"))
    parser.add_argument("--figure", type=Path, help="an SVG of CPU-seconds over items")
    given = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for items in given.items:
            for workers in given.workers:
                found = measure(items * workers if given.weak else items, workers, Path(folder))
                results.append(found)
                print(json.dumps(found))
                given.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if given.figure is not None:
        draw(results, given.figure)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _family(pid: int) -> list[int]:
    """Return a process and all that it started, as far as they are there."""
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _family(int(child))
    except OSError:
        pass
    return found


def _memory(pid: int) -> int:
    """Return the proportional set size of a process, KiB; 0 where it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


if __name__ == "__main__":
    main()
