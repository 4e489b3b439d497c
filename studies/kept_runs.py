"""Runs that are kept: a policy is trained on the whole history, and its next orders follow from later files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import InputError
from ..forecasters.base import Forecaster
from ..forecasters.forecast import DEFAULT_LEVELS
from ..forecasters.storage import load_forecaster, save_forecaster
from ..policies.base import Planner, Policy
from ..policies.storage import load_policy, save_policy
from ..training.train import is_trained, needs_training
from . import orders
from .automatic.candidates import AUTO, average, is_fixed
from .automatic.choice import Choice, choose
from .automatic.scoring import final_policy
from .backtest import Learning, Study, Trained, begin, new_forecaster
from .config import StudyConfig, load_config
from .data import StudyData, load_data
from .folder import RunFolder, new_run, read_manifest
from .record import learning_record, write_manifest
from .sections import OWN_ORDERS
from .windows import forecast_periods, shown_periods

if TYPE_CHECKING:
    from ..progress import Progress

BOUNDS = ("hindsight",)
"""Planners that know the future: bounds, not policies."""


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
        policy: name of the policy, or "auto": the one of `choice.policies`, with its safety setting, that costs least
            on windows at the history's end.
        command: the command line, for the record.
        progress: receives what is being done.
        overwrite: replace a run folder that stands there.
        any_forecaster: choose the forecaster likewise, among `choice.forecasters` and their averages. Where `policy`
            is trained on the history (`backprop`, an agent), the forecaster is chosen with the policies of `choice`.
    """
    if policy in BOUNDS:
        raise InputError([f"--policy: {policy!r} is a bound that knows the future; choose a policy"])
    study = begin(config, 0, progress)
    with new_run(out, overwrite=overwrite) as run:
        chosen: dict[str, Any] = {}
        name = config.forecast.forecaster
        if policy == AUTO or any_forecaster:
            choice = _choose(study, policy, any_forecaster=any_forecaster)
            run.write_frame("choice.parquet", choice.table)
            name = choice.best.forecaster or name
            chosen = {"forecaster": name, "choice": choice.to_record()}
            fitted, learning, ready = _prepare(study, policy, choice)
            policy = next(iter(ready.policies))
        else:
            fitted = study.fit(name, study.window.end)
            learning, ready = _train(study, policy, name)
        save_models(run, fitted, ready.policies)
        record = learning_record(learning, ready)
        write_manifest(run, study, command, kind="train", policy=policy, **record, **chosen)
    return run.target


def _choose(study: Study, policy: str, *, any_forecaster: bool) -> Choice:
    """Choose among the policies of the config, or the forecaster for the one that is named."""
    settings = study.config.choice
    trained = is_trained(policy)  # too dear to train before every window
    policies = settings.policies if policy == AUTO or trained else (policy,)
    if trained:  # it reads the forecaster that it is trained on, and one alone
        policies = tuple(name for name in policies if not is_fixed(name, study.config.policies.options.get(name, {})))
    forecasters = settings.forecasters if any_forecaster else (study.config.forecast.forecaster,)
    return choose(study, forecasters, policies, members=1 if trained else None)


def _prepare(study: Study, policy: str, choice: Choice) -> tuple[Forecaster, Learning | None, Trained]:
    """Fit the forecaster of a choice on the whole history, with the policy that goes with it."""
    config, best = study.config, choice.best
    members = best.members or (config.forecast.forecaster,)
    if len(members) == 1:
        fitted = study.fit(members[0], study.window.end)
    else:
        with study.stage(f"fitting {best.forecaster}"):
            made = average(members, study.window.horizon, config.forecast.options, config.seed)
            fitted = made.fit(study.data.panel)
    if is_trained(policy):
        return fitted, *_train(study, policy, members[0])
    name = best.policy if best.other is None else "blended"
    return fitted, None, Trained({name: (final_policy(best, study),)}, {name: [choice.sentence]}, {})


def _train(study: Study, policy: str, forecaster: str) -> tuple[Learning | None, Trained]:
    """Tune or train a policy that is named along the history."""
    config, learning = study.config, None
    if needs_training(policy, config.policies.options.get(policy, {})):
        learning = study.learn(forecaster, config.training.simulated_paths)
    return learning, study.train([policy], learning)


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
    if record["policy"] == OWN_ORDERS:
        raise InputError(
            [
                f"{run}: advises to go on with your own orders, which are on record for the past alone; for a policy "
                "that orders, train one: fractile train --policy auto"
            ]
        )
    config = load_config(run / "config.toml", files)
    data = load_data(config)
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
    shown = shown_periods(data.params, forecast_periods(data.params, config.forecast.horizon))
    return orders_at_end(ordered, load_forecaster(run / "models"), policy, shown)


def orders_at_end(data: StudyData, forecaster: Forecaster, policy: Policy, shown: int | None = None) -> pd.DataFrame:
    """Return the orders of a policy at the history's end: see `orders.next_orders`.

    Args:
        data: with the state at the history's end.
        forecaster: fitted.
        policy: likewise.
        shown: periods ahead that the policy is shown of the forecast, see `shown_periods`; as in a study that does
            not say how far it forecasts where None.
    """
    if shown is None:
        shown = shown_periods(data.params, forecast_periods(data.params, None))
    longest = getattr(forecaster, "max_horizon", None)
    shown = shown if longest is None else min(shown, longest)
    return orders.next_orders(policy, forecaster, data.panel, data.params, data.state, horizon=shown)


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
    found = forecaster.fit(data.panel).predict(data.panel, horizon, sorted(wanted | set(DEFAULT_LEVELS)))
    frame = found.to_frame(dependence=True)  # so that orders from the file are the forecaster's
    return frame[frame["level"].isin(wanted)].reset_index(drop=True)


def save_models(run: RunFolder, fitted: Forecaster, policies: Mapping[str, Policy | Planner]) -> None:
    """Keep a forecaster and policies in a run folder; bounds are left out."""
    save_forecaster(fitted, run.path / "models")
    for name, policy in policies.items():
        if name not in (*BOUNDS, OWN_ORDERS):
            save_policy(name, policy, run.path / "models")
