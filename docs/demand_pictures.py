"""The picture of one panel: totals, pair correlations, run lengths of stock-outs, transforms of lead-time sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from lineage_page import save
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fractile.studies.report.drawing import BLUE, INK, MUTED, ORANGE, STYLE, format_thousands, strip_axes
from fractile.studies.report.text import period_of

Arrays = dict[str, np.ndarray]
SEEN = 52
"""Periods of the past that are shown."""


def draw_panel(arrays: Arrays, path: Path) -> None:
    """Draw the picture of one panel into a PNG file.

    Args:
        arrays: what `keep_picture` of docs/demand.py kept.
        path: the file.
    """
    with style.context(["default", {**STYLE, "font.size": 10, "legend.fontsize": 9, "axes.titlesize": 11}]):
        figure = Figure(figsize=(9.6, 6.4), layout="constrained")
        (totals, pairs), (runs, transform) = figure.subplots(2, 2)
        paint_totals(totals, arrays)
        paint_pairs(pairs, arrays)
        paint_runs(runs, arrays)
        paint_transform(transform, arrays)
        save(figure, path)


def paint_totals(axes: Axes, arrays: Arrays) -> None:
    """Totals of all items: what was sold, and the fan of simulated demand after the cutoff."""
    cutoff, totals = int(arrays["cutoff"]), arrays["totals"]
    first = max(0, cutoff - SEEN)
    ahead = np.arange(cutoff, cutoff + totals.shape[1])
    for low, high, alpha in ((0.05, 0.95, 0.18), (0.25, 0.75, 0.32)):
        band = np.quantile(totals, [low, high], axis=0)
        axes.fill_between(ahead, *band, color=BLUE, alpha=alpha, lw=0, label=f"simulated, {high - low:.0%}")
    axes.plot(ahead, totals[0], color=BLUE, lw=1.0, label="one simulated path")
    end = cutoff + totals.shape[1]
    axes.plot(np.arange(first, end), arrays["past"][first:end], color=INK, lw=1.4, label="sold")
    if len(arrays["demand"]):
        axes.plot(ahead, arrays["demand"][ahead], color=ORANGE, lw=1.4, label="demanded")
    axes.axvline(cutoff - 0.5, color=MUTED, lw=0.9, ls=(0, (4, 3)))
    axes.set_ylim(bottom=0)
    axes.set_title("Total of all items")
    axes.set_xlabel(period_of(str(arrays["freq"]), 1))
    axes.set_ylabel("units")
    format_thousands(axes.yaxis)
    axes.legend(loc="lower left", ncols=2)
    strip_axes(axes, grid="y")


def paint_pairs(axes: Axes, arrays: Arrays) -> None:
    """Correlations of every two items' demand over the simulated time."""
    edges = np.linspace(-1, 1, 41)
    for name, colour, text in (("pairs_real", INK, "real"), ("pairs_simulated", BLUE, "simulated")):
        found = arrays[name].ravel()
        found = found[~np.isnan(found)]
        heights, _ = np.histogram(found, edges, density=True)
        axes.stairs(heights, edges, color=colour, lw=1.5, label=f"{text}: mean {found.mean():.3f}".replace("-", "−"))
    axes.axvline(0, color=MUTED, lw=0.9, ls=(0, (4, 3)))
    axes.set_xlim(-0.8, 0.9)
    axes.set_ylim(0, 1.3 * axes.get_ylim()[1])
    axes.set_title("Correlation of two items’ demand")
    axes.set_xlabel("correlation over the simulated time")
    axes.set_ylabel("density of pairs")
    axes.legend(loc="upper right")
    strip_axes(axes, grid="y")


def paint_runs(axes: Axes, arrays: Arrays) -> None:
    """How long stock-outs last: on record, and under a policy that is out of stock as often."""
    longest = len(arrays["runs_real"])
    place = np.arange(1, longest + 1)
    for shift, name, colour, text in (
        (-0.2, "runs_real", INK, "on record"),
        (0.2, "runs_simulated", BLUE, f"simulated, newsvendor at {float(arrays['ratio']):.2g}"),
    ):
        counts = arrays[name]
        if counts.sum():
            axes.bar(place + shift, counts / counts.sum(), 0.4, color=colour, label=text)
    axes.set_xticks(place, [*map(str, place[:-1]), f"{longest}+"])
    axes.set_title("How long stock-outs last")
    axes.set_xlabel(f"{period_of(str(arrays['freq']), 2)} in a row")
    axes.set_ylabel("share of stock-outs")
    axes.legend(loc="upper right")
    strip_axes(axes, grid="y")


def paint_transform(axes: Axes, arrays: Arrays) -> None:
    """Histogram of the probability integral transform of sums over three periods."""
    edges = np.linspace(0, 1, 11)
    density = 10 * np.diff(arrays["shares"], prepend=0.0)[1:]
    density[0] += 10 * arrays["shares"][0]  # what lies at nothing
    axes.stairs(density, edges, color=BLUE, fill=True, alpha=0.35)
    axes.stairs(density, edges, color=BLUE, lw=1.2, label="sums, stock-outs as bounds")
    axes.axhline(1, color=INK, lw=1.0, ls=(0, (4, 3)), label="a forecast that comes true")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, max(2.0, 1.25 * density.max()))
    axes.set_title("Sums of three periods in their forecast")
    axes.set_xlabel("probability integral transform")
    axes.set_ylabel("density")
    axes.legend(loc="upper center")
    strip_axes(axes, grid="y")
