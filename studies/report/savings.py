"""The figures of savings: every policy with its intervals, and the best ones fold by fold."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .drawing import (
    INK,
    MUTED,
    PURPLE,
    RED,
    SKY,
    TEAL,
    colours_of,
    draw,
    draw_interval,
    frame_intervals,
    label_beside,
    scale_of,
    strip_axes,
)
from .text import interval, label, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HELD_OUT = ["saving_low", "saving", "saving_high"]
SIMULATED = ["simulated_low", "simulated_saving", "simulated_high"]
ALIKE = ("cost", "fill_rate", "mean_on_hand")
"""Policies that agree in all of these placed the same orders, as far as anybody can see."""
CHARACTERS = 24
"""Of a label's line."""
ROW, LINE = 30, 15
"""Height of a row, and of each line of a label beyond the first, pixels."""
WIDTH = 430
"""Natural width of a figure, pixels: two stand side by side, and on a phone one can still be read."""
LINES = (INK, PURPLE, TEAL, RED, SKY)
"""Colours of policies that have none of their own."""
FAR_BEHIND = 0.2
"""Policies that save less than the best by so much are not followed."""
FOLLOWED = 5
"""Policies that are followed fold by fold."""


def merge_alike(table: pd.DataFrame) -> pd.DataFrame:
    """Return a comparison with one row for all policies that cost and serve the same: the first of them.

    Args:
        table: columns policy, kind and `ALIKE`.

    Returns:
        The rows that remain, in their order, with a column `policies`: all names that a row stands for.

    >>> rows = [("a", "policy", 9.0, 0.9, 4.0), ("b", "policy", 9.0, 0.9, 4.0), ("c", "policy", 9.0, 0.8, 4.0)]
    >>> merge_alike(pd.DataFrame(rows, columns=["policy", "kind", *ALIKE]))["policies"].tolist()
    [('a', 'b'), ('c',)]
    """
    groups: list[list[int]] = []
    values, kinds = table[list(ALIKE)].to_numpy(dtype=float), table["kind"].tolist()
    for row in range(len(table)):
        for group in groups:
            same = np.allclose(values[row], values[group[0]], rtol=1e-9, atol=1e-12)
            if same and kinds[row] == kinds[group[0]] == "policy":
                group.append(row)
                break
        else:
            groups.append([row])
    merged = table.iloc[[group[0] for group in groups]].copy()
    names = table["policy"].astype(str).to_numpy()
    merged["policies"] = [tuple(names[group]) for group in groups]
    return merged


def join_labels(policies: tuple[str, ...], width: int = CHARACTERS) -> str:
    """Return the joint label of policies, on several lines where it is long."""
    return textwrap.fill(", ".join(label(name) for name in policies), width)


def shorten_labels(policies: tuple[str, ...], width: int = CHARACTERS) -> str:
    """Return the joint label of policies on one line: the first, and how many more there are.

    >>> shorten_labels(("tuned_newsvendor", "ppo", "backprop")), shorten_labels(("a:" + 30 * "x",), 10)
    ('tuned newsvendor and 2 more', 'xxxxxxxxx…')
    """
    first = label(policies[0])
    first = first if len(first) <= width else f"{first[: width - 1]}…"
    return f"{first} and {len(policies) - 1} more" if len(policies) > 1 else first


def paint_savings(
    axes: Axes, table: pd.DataFrame, *, baseline: str, best: str | None = None, width: int = CHARACTERS
) -> None:
    """Draw each policy's saving with its interval, and below it the one in simulated demand where there is one.

    Policies alike have one row. Bounds are left out: they are no policies.

    Args:
        axes: to draw on.
        table: of a comparison, with a column `policy`.
        baseline: the policy at zero.
        best: drawn in blue; the cheapest where None.
        width: characters of a label's line.
    """
    rows = savings_rows(table, baseline)
    labels = [join_labels(names, width) for names in rows["policies"]]
    colours = dict(zip(table["policy"].astype(str), colours_of(table, baseline, best), strict=True))
    held_out = 100 * rows[HELD_OUT].to_numpy(dtype=float)
    simulated = 100 * rows.reindex(columns=SIMULATED).to_numpy(dtype=float)
    both = np.isfinite(simulated[:, 1])
    scale = scale_of(np.concatenate([held_out, simulated[both]]))
    places = row_places(labels)
    for place, point, other, known, names in zip(places, held_out, simulated, both, rows["policies"], strict=True):
        colour = next((colours[name] for name in names if colours[name] != INK), INK)
        two = known and baseline not in names
        shift = 0.22 if two else 0.0
        draw_interval(axes, point, place + shift, scale, colour)
        beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center_baseline"}
        axes.text(1.03, place + shift, _told(point, baseline in names), **beside)
        if two:
            draw_interval(axes, other, place - shift, scale, colour, marker="D")
            axes.text(1.03, place - shift, _told(other, False), color=MUTED, **beside)
    frame_intervals(axes, labels, scale, places)
    axes.set_xlabel(f"saving, % of the {label(baseline)}’s cost")


def plot_savings(table: pd.DataFrame, *, baseline: str, level: float, ax: Axes | None = None) -> Axes:
    """Draw `paint_savings` on axes of matplotlib's: see `Comparison.plot`.

    Args:
        table: of a comparison, with a column `policy`.
        baseline: the policy at zero.
        level: of the intervals.
        ax: to draw on; None: a new figure.
    """
    if ax is None:
        from matplotlib import pyplot

        height = 1.0 + 0.45 * max(1, len(savings_rows(table, baseline)))
        ax = pyplot.subplots(figsize=(9.0, height), layout="constrained")[1]
    paint_savings(ax, table, baseline=baseline)
    ax.set_title(f"{percent(level, 0)} intervals", loc="right", fontsize="small", color=MUTED)
    return ax


def savings_rows(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return the rows of a figure of savings, dearest first; the baseline's own only where others are like it."""
    merged = merge_alike(table[table["kind"] == "policy"]).sort_values("saving", kind="stable")
    alone = merged["policies"].map(lambda names: names == (baseline,))
    return merged[~alone]


def row_places(labels: list[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return where rows are drawn so that each has room for the lines of its label."""
    heights = np.array([1 + LINE / ROW * text.count("\n") for text in labels])
    return np.asarray(np.cumsum(heights) - heights / 2 - 0.5)


def draw_savings(
    table: pd.DataFrame,
    *,
    baseline: str,
    level: float,
    best: str | None = None,
    width: float = 700,
    key: str = "forest",
) -> str:
    """Draw `paint_savings` as an SVG element.

    Args:
        table: of a comparison, with a column `policy`.
        baseline: the policy at zero.
        level: of the intervals.
        best: drawn in blue.
        width: natural width, pixels.
        key: names the figure.
    """
    characters = CHARACTERS if width > 500 else 16
    rows = savings_rows(table, baseline)
    lines = sum(join_labels(names, characters).count("\n") for names in rows["policies"])
    row = ROW if SIMULATED[1] not in table else 1.35 * ROW
    caption = f"Saving of each policy against {label(baseline)}, with its {level:.0%} interval"

    def paint(figure: Figure) -> None:
        paint_savings(figure.subplots(), table, baseline=baseline, best=best, width=characters)

    return draw(key, caption, width, 62 + row * len(rows) + LINE * lines, paint)


def followed(folds: pd.DataFrame, table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return the savings by fold of the cheapest policies, those alike in one row: `policies` beside `policy`.

    Args:
        folds: columns policy, fold, seed, saving.
        table: of the comparison.
        baseline: it has no saving of its own.
    """
    rows = savings_rows(table, baseline).iloc[::-1]
    others = np.array([baseline not in names for names in rows["policies"]], dtype=bool)  # none: a mask all the same
    rows = rows[others].head(FOLLOWED)
    rows = rows[rows["saving"] >= rows["saving"].max() - FAR_BEHIND]
    names = dict(zip(rows["policy"].astype(str), rows["policies"], strict=True))
    kept = folds[folds["policy"].isin(names)]
    return kept.assign(policies=kept["policy"].map(names), place=kept["policy"].map(list(names).index))


def draw_folds(folds: pd.DataFrame, table: pd.DataFrame, *, baseline: str, best: str | None = None) -> str:
    """Draw savings fold by fold, a line a policy; small dots are training seeds.

    Args:
        folds: see `followed`.
        table: of the comparison.
        baseline: the policy at zero.
        best: drawn in blue.
    """
    colours = dict(zip(table["policy"].astype(str), colours_of(table, baseline, best), strict=True))
    scale = scale_of(100 * folds["saving"].to_numpy(dtype=float))
    shown = folds.assign(saving=(100 * folds["saving"]).clip(*scale))
    mean = shown.groupby(["place", "fold"])["saving"].mean().unstack()
    names = shown.drop_duplicates("place").set_index("place")["policies"].to_dict()
    first, last = int(mean.columns[0]), int(mean.columns[-1])

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axhline(0, color=INK, lw=1.0)
        for i, place in enumerate(mean.index):
            colour = next((colours[name] for name in names[place] if colours[name] != INK), LINES[i])
            seeds = shown[shown["place"] == place]
            if seeds["seed"].nunique() > 1:
                axes.plot(seeds["fold"] + 0.02 * (i + 1), seeds["saving"], "o", color=colour, ms=3, alpha=0.6, mew=0)
            axes.plot(mean.columns, mean.loc[place], "o-", color=colour, lw=1.6, ms=6)
        ends = mean[last].sort_values(kind="stable")
        points = np.stack([np.full(len(ends), float(last)), ends.to_numpy()], axis=1)
        low, high = np.array([first - 0.15, scale[0]]), np.array([last + 0.15, scale[1]])
        label_beside(axes, points, [shorten_labels(names[place]) for place in ends.index], low, high)
        axes.set_xticks(range(first, last + 1))
        axes.set_xlabel("fold")
        axes.set_ylabel("saving, % of the baseline’s cost")
        strip_axes(axes, grid="y")

    return draw("folds", "Saving of the cheapest policies, fold by fold", WIDTH, 300, paint)


def _told(point: Any, as_baseline: bool) -> str:
    low, middle, high = np.asarray(point) / 100
    return "as the baseline" if as_baseline else f"{percent(middle)} {interval(low, high)}"
