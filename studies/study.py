"""The main jobs: a study with its run folder, training that is kept, next orders from it, and a forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from ..envs.core.types import Trajectory
from ..errors import InputError
from ..forecasters.base import Forecaster
from ..forecasters.forecast import DEFAULT_LEVELS
from ..forecasters.scores import protection_interval_loss, score_forecast
from ..forecasters.storage import load_forecaster, save_forecaster
from ..policies.base import Planner, Policy
from ..policies.storage import load_policy, save_policy
from ..training.config import HistoryConfig
from ..training.train import needs_training
from . import orders
from .automatic import AUTO, choose_pair
from .backtest import Forecasts, Learning, Study, Trained, begin, new_forecaster
from .compare import Comparison, summarise
from .config import StudyConfig, load_config
from .data import StudyData, load_data
from .folder import MANIFEST, RunFolder, manifest, new_run, read_manifest, sha256
from .headline import choose_baseline
from .league.run import study_lineage
from .report.page import build_report
from .sections import CHEAPEST
from .statistics import paired_saving

if TYPE_CHECKING:
    from ..progress import Progress

BOUNDS = ("hindsight",)
"""Planners that know the future: bounds, not policies."""
VALUED = ("newsvendor", "tuned_newsvendor")
"""Policies that forecasters are valued with."""
TIMELINE = (
    "The policy observes net inventory, what is under way, and the forecast: nothing of the period's demand.",
    "It orders; the nearest feasible order (packs, minimum, maximum) is placed.",
    "What is due arrives: the order placed a lead time ago.",
    "Demand occurs; what stock cannot meet is lost or backordered.",
    "Costs are charged on the period's end: holding on stock, stock-out on what is short, and fixed order cost.",
)
SERIES = ("demand", "order", "received", "sales", "shortfall", "on_hand", "cost")
ITEM_COLUMNS = ("lead_time", "review_period", "holding_cost", "stockout_cost", "fixed_order_cost", "critical_ratio")
DRAWN = 6
"""Items that the report draws."""
RECENT = 60
"""Periods of history that are drawn before the held-out ones."""


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The outcome of a study.

    Attributes:
        comparison: every policy on the held-out periods.
        folder: the run folder.
        failed: errors of forecasters that failed in the league, by name.
    """

    comparison: Comparison
    folder: Path
    failed: Mapping[str, str] = field(default_factory=dict)


def run_study(
    config: StudyConfig, out: Path, *, command: str, progress: Progress, overwrite: bool = False
) -> StudyResult:
    """Compare policies on held-out periods and write the run folder with its report.

    Args:
        config: of the study.
        out: the run folder.
        command: the command line, for the record.
        progress: receives what is being done.
        overwrite: replace a run folder that stands there.

    Raises:
        InputError: with the faults of data or configuration; no folder is left then.
    """
    study = begin(config, config.backtest.periods, progress)
    settings = config.statistics
    with new_run(out, overwrite=overwrite) as run:
        forecasts = study.forecast(config.forecast.forecaster, config.training.simulated_paths)
        trained = study.train(config.policies.names, forecasts.learning)
        policies, baseline = trained.policies, choose_baseline(config.policies.baseline, trained)
        comparison = summarise(
            study.simulate(policies, forecasts),
            baseline=baseline,
            level=settings.level,
            clusters=settings.clusters,
            block=study.block,
            bounds=BOUNDS,
        )
        value, scores = value_forecasters(study, forecasts, comparison.trajectories[baseline])
        league = study_lineage(study, run)
        with study.stage("writing"):
            _save_models(run, forecasts.fitted, policies)
            run.write_frame("forecast_value.parquet", value)
            run.write_frame("scores.parquet", scores)
            _write_comparison(run, study, comparison, forecasts)
            if study.data.state is not None:
                best = cast(Policy, policies[comparison.cheapest])  # never a bound
                run.write_frame("orders.csv", orders_at_end(study.data, forecasts.fitted, best))
        record = {"policy": baseline, "baseline": baseline, "clusters": comparison.clusters}
        _write_manifest(run, study, command, kind="study", **record, **learning_record(forecasts.learning, trained))
        build_report(run.path)
    return StudyResult(comparison, run.target, league.failed if league else {})


def value_forecasters(study: Study, main: Forecasts, baseline: Trajectory) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Value each forecaster by the cost of a newsvendor on it, and score it: each period, and what is bought on.

    Stock-outs in the history count as bounds on demand.

    Args:
        study: the study in progress.
        main: the forecaster that policies see, which need not be fitted again.
        baseline: of the headline; savings are measured against it.
    """
    config, rows, scores = study.config, [], []
    for name in config.forecast.names:
        forecasts = main if name == config.forecast.forecaster else study.forecast(name, 0)
        policies = study.train(VALUED, forecasts.learning).policies
        for policy, trajectory in study.simulate(policies, forecasts).items():
            saving = paired_saving(
                baseline.cost,
                trajectory.cost,
                level=config.statistics.level,
                clusters=config.statistics.clusters,
                block=study.block,
            )
            rows.append(
                {
                    "forecaster": name,
                    "policy": policy,
                    "cost": float(trajectory.cost.sum(2).mean()),
                    "fill_rate": trajectory.fill_rate,
                    "saving": saving.saving,
                    "saving_low": saving.low,
                    "saving_high": saving.high,
                }
            )
        panel, params = study.data.panel, study.data.params
        bought = protection_interval_loss(forecasts.after, panel, params.protection_interval, params.critical_ratio)
        table = score_forecast(forecasts.after, panel).assign(protection_loss=bought)
        table.insert(0, "forecaster", name)
        scores.append(table)
    return pd.DataFrame(rows), pd.concat(scores, ignore_index=True)


def train_run(
    config: StudyConfig,
    out: Path,
    *,
    policy: str,
    command: str,
    progress: Progress,
    overwrite: bool = False,
    any_forecaster: bool = False,
) -> Path:
    """Fit a forecaster on the whole history, tune or train a policy along it, and keep both.

    Args:
        config: of the study.
        out: the run folder.
        policy: name of the policy, or "auto": the one that costs least on the periods kept for choosing.
        command: the command line, for the record.
        progress: receives what is being done.
        overwrite: replace a run folder that stands there.
        any_forecaster: choose the forecaster likewise, among all that `config.forecast` names.
    """
    if policy in BOUNDS:
        raise InputError([f"--policy: {policy!r} is a bound that knows the future; choose a policy"])
    if policy == AUTO:
        config = config.with_overrides({"policies.names": HistoryConfig().references, "policies.baseline": CHEAPEST})
    study = begin(config, 0, progress)
    with new_run(out, overwrite=overwrite) as run:
        name, learning = config.forecast.forecaster, None
        chosen: dict[str, Any] = {}
        if policy == AUTO or any_forecaster:
            names = config.forecast.names if any_forecaster else (name,)
            pair = choose_pair(study, names, () if policy == AUTO else (policy,))
            name, policy, learning, ready = pair.forecaster, pair.policy, pair.learning, pair.trained
            chosen = {"forecaster": name, "chosen_among": pair.costs}
        else:
            if needs_training(policy, config.policies.options.get(policy, {})):
                learning = study.learn(name, config.training.simulated_paths)
            ready = study.train([policy], learning)
        _save_models(run, study.fit(name, study.window.end), ready.policies)
        record = learning_record(learning, ready)
        _write_manifest(run, study, command, kind="train", policy=policy, **record, **chosen)
    return run.target


def next_orders(run: Path, history: Path, state: Path | None, items: Path | None) -> pd.DataFrame:
    """Return the order of every item for the period after the history's end, by a kept run.

    Args:
        run: folder written by `fractile train` or `fractile study`.
        history: sales up to the end of the last period.
        state: units on hand and arriving at the start of the next period.
        items: lead times and costs; those of the run where None.

    Returns:
        `item_id`, `order` (units), `order_up_to` (units) and `critical_quantile`: the level of demand over the
        protection interval that the order covers.

    Raises:
        InputError: where files are faulty, or the history's items are not the run's.
    """
    record = read_manifest(run)
    if "environment" in record:
        raise InputError(
            [f"{run}: is a training on {record['environment']}, which has no items; train on a history, --history FILE"]
        )
    if state is None:
        raise InputError(["--state: is missing; orders depend on what is on hand and arriving"])
    files = {"data.history": history, "data.state": state} | ({} if items is None else {"data.items": items})
    data = load_data(load_config(run / "config.toml", files))
    policy = load_policy(record["policy"], run / "models")
    # Policies keep parameters by item in the run's order: bring the items into it.
    item_ids, found = record["data"]["item_ids"], data.panel.item_ids
    new, gone = sorted(set(found) - set(item_ids)), sorted(set(item_ids) - set(found))
    faults = [f"history: item {name!r} was not in the run's history; train again" for name in new[:5]]
    faults += [f"history: item {name!r} of the run is missing; give its history, too" for name in gone[:5]]
    if faults:
        raise InputError([*faults, f"history: {len(new)} items are new and {len(gone)} are missing in all"])
    position = {name: i for i, name in enumerate(found)}
    order = np.array([position[name] for name in item_ids])
    start = data.state and type(data.state)(*(part[..., order] for part in data.state))
    ordered = StudyData(data.panel.select(order), data.params.select(order), data.demand[order], start)
    return orders_at_end(ordered, load_forecaster(run / "models"), policy)


def orders_at_end(data: StudyData, forecaster: Forecaster, policy: Policy) -> pd.DataFrame:
    """Return the orders of a policy at the history's end: see `orders.next_orders`."""
    return orders.next_orders(policy, forecaster, data.panel, data.params, data.state)


def forecast_file(config: StudyConfig, horizon: int, levels: list[float] | None) -> pd.DataFrame:
    """Return quantile forecasts of every item beyond the history's end, a long frame.

    Args:
        config: data and forecaster.
        horizon: periods ahead.
        levels: quantile levels; `DEFAULT_LEVELS` where None.
    """
    data, name = load_data(config), config.forecast.forecaster
    forecaster = new_forecaster(name, config.forecast.options.get(name, {}), horizon, config.seed)
    wanted = set(levels or DEFAULT_LEVELS)
    # The usual levels are always forecast, so that no value depends on which others are printed.
    frame = forecaster.fit(data.panel).predict(data.panel, horizon, sorted(wanted | set(DEFAULT_LEVELS))).to_frame()
    return frame[frame["level"].isin(wanted)].reset_index(drop=True)


def _save_models(run: RunFolder, fitted: Forecaster, policies: Mapping[str, Policy | Planner]) -> None:
    save_forecaster(fitted, run.path / "models")
    for name, policy in policies.items():
        if name not in BOUNDS:
            save_policy(name, policy, run.path / "models")


def _write_comparison(run: RunFolder, study: Study, comparison: Comparison, forecasts: Forecasts) -> None:
    """Write the table, each item's series under each policy, the items' parameters, and what the report draws."""
    run.write_frame("comparison.parquet", comparison.table.rename_axis("policy").reset_index())
    panel, cutoff = study.data.panel, study.window.cutoff
    dates, items = panel.dates[cutoff:], panel.items
    frames = []
    for policy, trajectory in comparison.trajectories.items():
        keys = {
            "policy": policy,
            "item_id": np.repeat(np.array(panel.item_ids, dtype=object), len(dates)),
            "period": np.tile(np.arange(len(dates)), items),
            "date": np.tile(dates.to_numpy(), items),
        }
        series = {name: getattr(trajectory, name)[0].T.reshape(-1) for name in SERIES}
        frames.append(pd.DataFrame(keys | series))
    run.write_frame("trajectories.parquet", pd.concat(frames, ignore_index=True))
    columns = {name: np.broadcast_to(getattr(study.data.params, name), (items,)) for name in ITEM_COLUMNS}
    run.write_frame("items.parquet", pd.DataFrame({"item_id": panel.item_ids, **columns}))
    # Drawn: the costliest items under the baseline, those won and lost most by the best policy, and a median one.
    table, base = comparison.table, comparison.trajectories[comparison.baseline].cost.sum((0, 1))
    others = [n for n in table.index if n != comparison.baseline and table.loc[n, "kind"] == "policy"]
    rival = min(others, key=lambda n: table.loc[n, "cost"]) if others else comparison.baseline
    gain = base - comparison.trajectories[str(rival)].cost.sum((0, 1))
    by_cost, by_gain = np.argsort(-base), np.argsort(-gain)
    picks = [*by_cost[:2], *by_gain[:2], by_gain[-1], by_cost[len(by_cost) // 2], *by_cost[2:]]
    drawn = np.array(list(dict.fromkeys(picks))[:DRAWN], dtype=np.int64)
    run.write_frame("fans.parquet", forecasts.after.select(drawn).to_frame())
    recent = panel.select(drawn).window(max(0, cutoff - RECENT), panel.periods).to_frame()
    run.write_frame("history.parquet", recent[["item_id", "date", "sales", "in_stock"]])


def learning_record(learning: Learning | None, trained: Trained) -> dict[str, Any]:
    """Return what a manifest keeps of how policies came about: how much they learned from, costs and notes."""
    return {
        "learning": None if learning is None else learning.size,
        "kept_cost": trained.kept_cost,
        "policy_notes": trained.notes,
    }


def _write_manifest(run: RunFolder, study: Study, command: str, *, kind: str, **details: Any) -> None:
    """Write the resolved config and the record of the run, with further details."""
    config, window, panel = study.config, study.window, study.data.panel
    run.write_text("config.toml", config.to_toml())
    test: dict[str, Any] = {"periods": window.end - window.cutoff, "validation_periods": window.cutoff - window.start}
    test |= {"learning_periods": window.learning, "refits": [panel.dates[t].date() for t in window.refits]}
    if window.cutoff < window.end:
        held_out = panel.dates[window.cutoff :]
        dates = {"first_date": held_out[0].date(), "last_date": held_out[-1].date()}
        test = {**dates, **test, "warm_up_periods": window.warm_up}
    record = manifest(name=config.name, command=command, seed=config.seed)
    record |= {
        "kind": kind,
        "data": _data_record(study),
        "timeline": list(TIMELINE),
        "backtest": test,
        "baseline_rule": config.policies.baseline,
        "level": config.statistics.level,
        "clusters": config.statistics.clusters,
        "block": study.block,
        "forecaster": config.forecast.forecaster,
        "cpu_seconds": {stage: round(seconds, 2) for stage, seconds in study.seconds.items()},
        **details,
    }
    run.write_json(MANIFEST, record)
    for stage, seconds in study.seconds.items():
        run.append_metrics({"stage": stage, "cpu_seconds": round(seconds, 3)})


def _data_record(study: Study) -> dict[str, Any]:
    """Return which data a study used, with hashes of its files and notes on them."""
    panel, files, window = study.data.panel, study.config.data, study.window
    listed = panel.listed
    notes = [*panel.notes, *window.notes]
    held_out = panel.window(window.cutoff, window.end)
    blind = int(held_out.ran_out.sum())
    if blind and files.history is not None:
        notes.append(
            f"in {blind} of {held_out.listed.sum()} held-out item-periods the item was out of stock, so that demand is "
            "not known: the last sales while in stock stand in"
        )
    named = (files.history, files.items, files.state)
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
        "hashes": {path.name: sha256(path) for path in named if path is not None},
        "notes": notes,
    }
