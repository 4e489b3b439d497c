"""Measure what each add-on of the patchwork buys: `python docs/patchwork.py` renews the table of docs/patchwork.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

import fractile as fr
from fractile import retail_panel
from fractile.forecasters.scores import weighted_quantile_loss
from fractile.forecasters.scores.tables import demand_at

PAGE = Path(__file__).with_suffix(".md")
FITTED, ORIGINS, HORIZON = 109, (109, 113, 117, 121, 125), 8
LEVELS = np.arange(1, 10) / 10
SEEDS = 4
SEASONAL = ("garden", "clothing", "stationery", "beverages")
"""Categories of the embedded panel whose demand swings by 30 % and more over the year."""
YOUNG = 8
OFF: dict[str, Any] = {"seasonal": False, "elasticity": False, "cold_start": False, "distribution": False}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "all add-ons": ("patchwork", {}),
    "without the seasonal component": ("patchwork", {"seasonal": False}),
    "without the price-elasticity component": ("patchwork", {"elasticity": False}),
    "without the cold-start component": ("patchwork", {"cold_start": False}),
    "without the Distribution Engine": ("patchwork", {"distribution": False}),
    "without any": ("patchwork", OFF),
    'all, on `base="ets"`': ("patchwork", {"base": "ets"}),
    "`ets` by itself": ("ets", {}),
}


def masks(panel: fr.SalesPanel) -> dict[str, np.ndarray]:
    """Return which targets each column is about, arrays of shape (items, origins, horizon)."""
    origins = np.array(ORIGINS)
    targets = origins[:, None] + np.arange(HORIZON)
    every = np.ones((panel.items, *targets.shape), dtype=bool)
    seasonal = panel.static["category"].isin(SEASONAL).to_numpy()
    launched = panel.listed.argmax(axis=1)[:, None]
    young = (launched > 0) & (origins - launched < YOUNG)
    return {
        "all items": every,
        "seasonal items": every & seasonal[:, None, None],
        "promoted weeks": panel.known["promotion"][:, targets] > 0,
        "young items": every & young[..., None],
    }


def forecasts(name: str, options: dict[str, Any], panels: list[fr.SalesPanel]) -> np.ndarray:
    """Return quantiles of all panels, one below another, shape (items, origins, horizon, levels)."""
    parts = []
    for panel in panels:
        forecaster = fr.make_forecaster(name, horizon=HORIZON, **options).fit(panel.until(FITTED))
        parts.append(forecaster.predict(panel, HORIZON, LEVELS, origins=ORIGINS).values)
    return np.concatenate(parts)


def table(rows: dict[str, tuple[str, dict[str, Any]]] = ROWS, seeds: int = SEEDS) -> str:
    """Return the table in Markdown."""
    retail = [retail_panel(seed=seed) for seed in range(seeds)]
    panels = [each.panel for each in retail]
    # True demand, in stock or not: what was sold in stock is less than what was wanted.
    true = [np.where(each.panel.listed, each.demand, np.nan) for each in retail]
    actual = np.concatenate([demand_at(p, np.array(ORIGINS), HORIZON, d) for p, d in zip(panels, true, strict=True)])
    columns = {name: np.concatenate([masks(panel)[name] for panel in panels]) for name in masks(panels[0])}
    lines = ["| patchwork | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for title, (name, options) in rows.items():
        values = forecasts(name, options, panels)
        losses = [weighted_quantile_loss(np.where(mask, actual, np.nan), values, LEVELS) for mask in columns.values()]
        lines.append(f"| {title} | " + " | ".join(f"{loss:.3f}" for loss in losses) + " |")
    counts = [int((mask & ~np.isnan(actual)).sum()) for mask in columns.values()]
    lines.append("| *item-weeks* | " + " | ".join(f"*{count:,}*" for count in counts) + " |")
    return "\n".join(lines)


def renewed(text: str, rows: str) -> str:
    """Return the page with another table."""
    return re.sub(r"\| patchwork \|.*?\n\n", rows.replace("\\", r"\\") + "\n\n", text, flags=re.DOTALL)


if __name__ == "__main__":
    measured = table()
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), measured), encoding="utf-8")
    print(measured)
