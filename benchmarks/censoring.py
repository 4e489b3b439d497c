"""What stock-outs cost a forecaster: `python benchmarks/censoring.py [--forecaster mqcnn] [--seeds 3]`.

The embedded panel's true demand is known. A network is trained on it (nothing lost), on sales with stock-outs masked,
on sales with stock-outs as lower bounds of demand, and naively on sales as if they were demand; all are scored on true
demand of the last three horizons. Twice: with the shop's own stock-outs, which come where demand was high, and with
random outages that cut a week's demand to a part.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from time import process_time

import numpy as np
import torch

import fractile as fr
from fractile import SalesPanel
from fractile.randomness import keyed_generator

HORIZON = 8
LEVELS = np.arange(1, 10) / 10
OUTAGES = 0.25
"""Share of the item-weeks that begin an outage's week."""


def add_outages(retail: fr.RetailPanel) -> SalesPanel:
    """Return the panel with full stock but for random outages, which leave a uniform share of a week's demand."""
    rng = keyed_generator(0, "outages")
    struck = rng.random(retail.demand.shape) < OUTAGES
    left = np.floor(retail.demand * rng.random(retail.demand.shape))
    sales = np.where(struck, left, retail.demand)
    return replace(retail.panel, sales=sales, in_stock=~struck)


def panels(retail: fr.RetailPanel, kind: str) -> dict[str, tuple[SalesPanel, str]]:
    """Return training panels by label, each with its option `censoring`."""
    cut = retail.panel if kind == "own stock-outs" else add_outages(retail)
    true = np.ones_like(cut.in_stock)
    return {
        "true demand": (replace(cut, sales=retail.demand, in_stock=true), "mask"),
        "masked": (cut, "mask"),
        "bounds": (cut, "bound"),
        "naive": (replace(cut, in_stock=true), "mask"),
    }


def held_out_loss(name: str, panel: SalesPanel, censoring: str, demand: np.ndarray, seed: int) -> float:
    origins = panel.periods - HORIZON * np.array([3, 2, 1])
    forecaster = fr.make_forecaster(name, horizon=HORIZON, censoring=censoring, seed=seed)
    forecast = forecaster.fit(panel.until(int(origins[0]))).predict(panel, HORIZON, LEVELS, origins)
    targets = origins[:, None] + np.arange(HORIZON)
    actual = np.where(panel.listed[:, targets], demand[:, targets], np.nan)
    return fr.scores.weighted_quantile_loss(actual, forecast.values, LEVELS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forecaster", default="mqcnn")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    retail = fr.retail_panel()
    for kind in ("own stock-outs", "random outages"):
        losses = {}
        for label, (panel, censoring) in panels(retail, kind).items():
            began = process_time()
            each = [
                held_out_loss(given.forecaster, panel, censoring, retail.demand, seed) for seed in range(given.seeds)
            ]
            losses[label] = float(np.mean(each))
            listed = ", ".join(f"{loss:.4f}" for loss in each)
            print(f"{kind}: {label:12s} {losses[label]:.4f} ({listed}; {process_time() - began:.0f} CPU-s)", flush=True)
        lost = losses["naive"] - losses["true demand"]
        for label in ("masked", "bounds"):
            share = (losses[label] - losses["true demand"]) / lost
            print(f"{kind}: {label} lose {share:.0%} of what naive training loses", flush=True)


if __name__ == "__main__":
    main()
