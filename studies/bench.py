"""What a core simulates in a second, by backend and number of paths, beside a memory copy of the same run."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .bench_work import ENVIRONMENTS, IN_BATCHES, LARGEST_BATCH, PERIODS, SIMULATED, SINGLE, Work, copy_of

if TYPE_CHECKING:
    from .commands.terminal import Progress

PATHS = (1, 64, 1024, 16_384, 262_144)
QUICK_PATHS = (64, 16_384)
TARGET = 0.25
"""CPU-seconds that one repeat of a measurement takes, about."""

LONG = 3.0
"""CPU-seconds of one piece of work from which on three repeats have to do."""


@dataclass(frozen=True)
class Rate:
    """One measurement.

    Attributes:
        what: the work, e.g. "numpy, demand given".
        paths: paths, or environments, side by side.
        rate: millions of transitions (items times periods) a CPU-second, median.
        lowest: of the repeats.
        highest: of the repeats.
        of_copy: the median as a share of copying an array of as many numbers, in the same run.
    """

    what: str
    paths: int
    rate: float
    lowest: float
    highest: float
    of_copy: float


def benchmark(paths: tuple[int, ...] = PATHS, *, repeats: int = 7, progress: Progress | None = None) -> list[Rate]:
    """Measure, on one thread, and return a row for each kind of work and number of paths.

    Args:
        paths: numbers of paths.
        repeats: of every measurement; the median counts.
        progress: told what is measured.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return list(_rates(paths, repeats, progress))
    finally:
        torch.set_num_threads(before)


def _rates(paths: tuple[int, ...], repeats: int, progress: Progress | None) -> Iterator[Rate]:
    for number in paths:
        copied = _measured(copy_of(number), number, repeats)
        yield _rate("memory copy", number, copied, copied)
        for what, make in {**SIMULATED, **ENVIRONMENTS}.items():
            if (what in IN_BATCHES and number > LARGEST_BATCH) or (what in SINGLE and number > 1):
                continue
            if progress is not None:
                progress(f"{what}, {number:,} paths")
            yield _rate(what, number, _measured(make(number), number, repeats), copied)


def _rate(what: str, paths: int, rates: list[float], copied: list[float]) -> Rate:
    middle = statistics.median(rates)
    return Rate(what, paths, middle, min(rates), max(rates), middle / statistics.median(copied))


def _measured(work: Work, paths: int, repeats: int) -> list[float]:
    """Millions of transitions a CPU-second of work that makes PERIODS transitions a path, each of the repeats."""
    work()
    began = time.process_time()
    work()
    once = max(time.process_time() - began, 1e-6)
    number = max(1, round(TARGET / once))
    rates = []
    for _ in range(repeats if once < LONG else min(repeats, 3)):
        began = time.process_time()
        for _ in range(number):
            work()
        rates.append(paths * PERIODS * number / (time.process_time() - began) / 1e6)
    return rates


def machine() -> dict[str, str]:
    """Return what the numbers were measured on."""
    import torch

    versions = {"Python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}
    return {"processor": _processor(), "threads": "1", **versions}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def as_document(rates: list[Rate]) -> dict[str, Any]:
    """Return machine and rows for JSON."""
    return {"machine": machine(), "rows": [asdict(rate) for rate in rates]}


def as_table(document: dict[str, Any]) -> str:
    """Return the rows as Markdown: millions of transitions a CPU-second, and the share of a copy."""
    rows = [
        f"| {row['what']} | {row['paths']:,} | {row['rate']:,.3g} | {row['lowest']:,.3g} to {row['highest']:,.3g} "
        f"| {row['of_copy']:.3g} |"
        for row in document["rows"]
    ]
    where = " · ".join(f"{name} {value}" for name, value in document["machine"].items())
    head = [
        where,
        "",
        "| work | paths | millions a CPU-second | lowest to highest | share of a copy |",
        "|---|---:|---:|---:|---:|",
    ]
    return "\n".join([*head, *rows])


def page(document: dict[str, Any], peers: dict[str, Any] | None = None) -> str:
    """Return the page of the documentation.

    Args:
        document: of `as_document`.
        peers: rows that `benchmarks/peers.py` measured in the same run, with its `ours`.
    """
    text = [
        "# Speed",
        "",
        "Transitions (items times periods) a CPU-second of the lost-sales system with L = 4 and the same order in",
        "every period, on one thread; medians, and how far repeats lay apart. Every row runs the same `step`. The",
        "memory copy of as many numbers, in the same run, tells what the machine could do at that moment.",
        "Made by `python benchmarks/simulator.py --write docs/speed.md`; `fractile bench` prints the same table.",
        "",
        as_table(document),
        "",
    ]
    if peers is not None:
        text += ["## Beside others", "", *_peers(peers), ""]
    return "\n".join(text)


def _peers(peers: dict[str, Any]) -> list[str]:
    ratios = [row["ours"] / row["rate"] for row in peers["rows"]]
    rows = [
        f"| {row['what']} | {row['rate']:,.0f} | {row['ours']:,.0f} | {ratio:,.{1 if ratio < 10 else 0}f} |"
        for row, ratio in zip(peers["rows"], ratios, strict=True)
    ]
    return [
        "Steps a CPU-second on one thread, by turns in the same run: one at a time, and many side by side here.",
        "",
        "| simulator | its steps | Fractile's | ratio |",
        "|---|---:|---:|---:|",
        *rows,
    ]


def write_json(document: dict[str, Any], target: Path) -> None:
    """Keep a document."""
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
