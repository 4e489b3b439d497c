"""The section of costs: where they come from, and what service they buy."""

from __future__ import annotations

import pandas as pd

from . import figures as plots
from .read import Run
from .template import as_markup, render_template


def costs_section(run: Run) -> str:
    """Return the figures of cost by cause, and of cost against fill rate."""
    table, period = run.comparison, run.periods(1)
    split = plots.draw_cost_split(table, baseline=run.baseline, period=period)
    service = plots.draw_service(table, baseline=run.baseline, period=period, best=run.best)
    return render_template("costs", split=as_markup(split), service=as_markup(service))


def costs_figures(run: Run) -> dict[str, pd.DataFrame]:
    """Return what the figures of costs are drawn from."""
    money = [name for name in ("cost", "holding", "stockout", "ordering", "waste") if name in run.comparison]
    return {"costs": run.comparison[["policy", "kind", *money, "fill_rate", "mean_on_hand", "volatility_ratio"]]}
