"""The files of a run folder, from what a study found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..envs.core.types import Trajectory
from ..forecasters.forecast import QuantileForecast
from ..forecasters.scores import score_forecast
from .config import StatisticsConfig
from .data import StudyData
from .folder import RunFolder, manifest, sha256
from .statistics import paired_saving

if TYPE_CHECKING:
    from .compare import Comparison
    from .pipeline import Study

TIMELINE = (
    "The policy observes net inventory, what is under way, and the forecast: nothing of the period's demand.",
    "It orders; the nearest feasible order (packs, minimum, maximum) is placed.",
    "What is due arrives: the order placed a lead time ago.",
    "Demand occurs; what stock cannot meet is lost or backordered.",
    "Costs are charged on the period's end: holding on stock, stock-out on what is short, and fixed order cost.",
)
SERIES = ("demand", "order", "received", "sales", "shortfall", "on_hand", "cost")
TELLING = 6
"""Items that are drawn."""
RECENT = 60
"""Periods of history that are drawn before the held-out ones."""


def forecast_value(
    forecaster: str,
    met: Mapping[str, Trajectory],
    baseline: Trajectory,
    settings: StatisticsConfig,
    block: int,
) -> pd.DataFrame:
    """Return what policies on one forecaster's quantiles cost, and save against the headline baseline."""
    rows = []
    for policy, trajectory in met.items():
        saving = paired_saving(
            baseline.cost, trajectory.cost, level=settings.level, clusters=settings.clusters, block=block
        )
        rows.append(
            {
                "forecaster": forecaster,
                "policy": policy,
                "cost": float(trajectory.cost.sum(2).mean()),
                "fill_rate": trajectory.fill_rate,
                "saving": saving.saving,
                "saving_low": saving.low,
                "saving_high": saving.high,
            }
        )
    return pd.DataFrame(rows)


def scores(forecaster: str, forecast: QuantileForecast, data: StudyData) -> pd.DataFrame:
    """Return a forecaster's scores on the held-out periods: where sales are demand, and nowhere else."""
    table = score_forecast(forecast, data.panel)
    table.insert(0, "forecaster", forecaster)
    return table


def write_comparison(run: RunFolder, study: Study, comparison: Comparison) -> None:
    """Write the table, what every item went through, and the items' parameters."""
    table = comparison.table.rename_axis("policy").reset_index()
    run.write_frame("comparison.parquet", table)
    dates = study.data.panel.dates[study.window.cutoff :]
    ids = study.data.panel.item_ids
    frames = [_long(name, t, ids, dates) for name, t in comparison.trajectories.items()]
    run.write_frame("trajectories.parquet", pd.concat(frames, ignore_index=True))
    run.write_frame("items.parquet", _items(study.data))


def write_telling_items(run: RunFolder, study: Study, comparison: Comparison, forecast: QuantileForecast) -> None:
    """Write history and forecasts of a handful of items: those that cost, win and lose most, and a usual one."""
    chosen = _telling(comparison)
    run.write_frame("fans.parquet", forecast.select(chosen).to_frame())
    panel = study.data.panel.select(chosen)
    recent = panel.window(max(0, study.window.cutoff - RECENT), panel.periods).to_frame()
    run.write_frame("history.parquet", recent[["item_id", "date", "sales", "in_stock"]])


def write_manifest(
    run: RunFolder, study: Study, command: str, *, kind: str, policy: str, clusters: str | None = None
) -> None:
    """Write the resolved config and the record of the run; `clusters`: what the intervals treated as independent."""
    run.write_text("config.toml", study.config.to_toml())
    record = manifest(name=study.config.name, command=command, seed=study.config.seed)
    record |= {
        "kind": kind,
        "policy": policy,
        "data": _data_record(study),
        "timeline": list(TIMELINE),
        "backtest": _backtest_record(study),
        "baseline": study.config.policies.baseline,
        "level": study.config.statistics.level,
        "clusters": clusters or study.config.statistics.clusters,
        "block": study.block,
        "forecaster": study.config.forecast.forecaster,
        "cpu_seconds": {stage: round(seconds, 2) for stage, seconds in study.seconds.items()},
    }
    run.write_json("manifest.json", record)
    for stage, seconds in study.seconds.items():
        run.append_metrics({"stage": stage, "cpu_seconds": round(seconds, 3)})


def _data_record(study: Study) -> dict[str, Any]:
    panel, files = study.data.panel, study.config.data
    named = {name: getattr(files, name) for name in ("history", "items", "state")}
    given = {name: Path(path) for name, path in named.items() if path is not None}
    listed = panel.listed
    return {
        "source": "embedded panel" if files.history is None else Path(files.history).name,
        "items": panel.items,
        "item_ids": list(panel.item_ids),
        "periods": panel.periods,
        "first_date": panel.dates[0].date(),
        "last_date": panel.dates[-1].date(),
        "freq": panel.freq,
        "stockout_share": float((~panel.in_stock[listed]).mean()),
        "zero_share": float((panel.sales[listed] == 0).mean()),
        "hashes": {path.name: sha256(path) for path in given.values()},
        "notes": [*panel.notes, *study.window.notes, *_held_out_notes(study)],
    }


def _held_out_notes(study: Study) -> list[str]:
    held = study.data.panel.window(study.window.cutoff, study.window.end)
    blind = int((held.listed & ~held.in_stock).sum())
    if not blind or study.config.data.history is None:
        return []
    return [
        f"in {blind} of {held.listed.sum()} held-out item-periods the item was out of stock, so that demand is "
        "not known: the last sales while in stock stand in"
    ]


def _backtest_record(study: Study) -> dict[str, Any]:
    if study.window.cutoff == study.window.end:
        return {"periods": 0, "validation_periods": study.window.cutoff - study.window.start}
    held = study.data.panel.dates[study.window.cutoff :]
    return {
        "first_date": held[0].date(),
        "last_date": held[-1].date(),
        "periods": len(held),
        "validation_periods": study.window.cutoff - study.window.start,
        "warm_up_periods": study.window.warm_up,
    }


def _long(policy: str, trajectory: Trajectory, ids: tuple[str, ...], dates: pd.DatetimeIndex) -> pd.DataFrame:
    """One realised path of a policy, a row an item and period."""
    periods, items = len(dates), len(ids)
    frame = pd.DataFrame(
        {
            "policy": policy,
            "item_id": np.repeat(np.array(ids, dtype=object), periods),
            "period": np.tile(np.arange(periods), items),
            "date": np.tile(dates.to_numpy(), items),
        }
    )
    for name in SERIES:
        frame[name] = getattr(trajectory, name)[0].T.reshape(-1)
    return frame


def _items(data: StudyData) -> pd.DataFrame:
    names = (
        "lead_time",
        "review_period",
        "holding_cost",
        "stockout_cost",
        "fixed_order_cost",
        "critical_ratio",
    )
    columns = {name: np.broadcast_to(getattr(data.params, name), (data.panel.items,)) for name in names}
    return pd.DataFrame({"item_id": data.panel.item_ids, **columns})


def _telling(comparison: Comparison) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Positions of items: costliest under the baseline, won and lost most by the best policy, and a median one."""
    table, base = comparison.table, comparison.trajectories[comparison.baseline].cost.sum((0, 1))
    others = [n for n in table.index if n != comparison.baseline and table.loc[n, "kind"] == "policy"]
    best = min(others, key=lambda n: table.loc[n, "cost"]) if others else comparison.baseline
    gain = base - comparison.trajectories[str(best)].cost.sum((0, 1))
    by_cost, by_gain = np.argsort(-base), np.argsort(-gain)
    picks = [*by_cost[:2], *by_gain[:2], by_gain[-1], by_cost[len(by_cost) // 2], *by_cost[2:]]
    return np.array(list(dict.fromkeys(picks))[:TELLING], dtype=np.int64)
