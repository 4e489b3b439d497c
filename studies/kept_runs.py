"""Runs that are kept: a policy is trained on the whole history, and its next orders follow (see `kept_orders`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import FractileError, InputError
from ..files import inside, read_json, usable
from ..forecasters.base import Forecaster
from ..forecasters.data.calendar import later_dates
from ..forecasters.forecast import DEFAULT_LEVELS
from ..forecasters.storage import save_forecaster
from ..parts import Parts
from ..policies.base import Planner, Policy
from ..policies.storage import is_kept, save_policy
from ..policies.transfer import has_item_parameters, pool_parameters
from ..progress import begin_stage, plan_stages
from ..training.train import check_policy_options, is_trained, needs_training
from . import orders
from .automatic.candidates import AUTO, average, is_fixed
from .automatic.choice import Choice, choose
from .automatic.scoring import Windows, final_policy
from .backtest import Learning, Study, Trained, begin, new_forecaster
from .config import StudyConfig
from .data import StudyData, load_data
from .engine import begin_kept, open_engine
from .folder import RunFolder
from .interrupted import PARTS, interruptible_run
from .locks import locks_target
from .record import learning_record, write_manifest
from .sections import BOUNDS, OWN, OWN_ORDERS
from .stages import CHOSEN, train_stages
from .windows import forecast_periods, shown_periods

if TYPE_CHECKING:
    from ..progress import Progress

MODELS, POOLED = "models", "pooled.json"
"""The folder of forecaster and policies in a run, and its file of what new items take of these."""


@locks_target
def train_run(
    config: StudyConfig,
    out: Path,
    *,
    policy: str,
    command: str,
    progress: Progress,
    overwrite: bool = False,
    resume: bool = False,
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
        resume: go on with an interrupted run of the same config and policy.
        any_forecaster: choose the forecaster likewise, among `choice.forecasters` and their averages. Where `policy`
            is trained on the history (`backprop`, an agent), the forecaster is chosen with the policies of `choice`.
    """
    if policy in BOUNDS:
        raise InputError([f"--policy: {policy!r} is a bound that knows the future; choose a policy"])
    asked = config.choice.policies if policy == AUTO else (policy,)
    for name in asked:  # said before the forecaster is fitted, not after
        if name not in OWN:
            check_policy_options(name, config.policies.options.get(name, {}))
    study = begin(config, 0, progress)
    tries = policy == AUTO or any_forecaster
    tried = config.choice.forecasters if any_forecaster else (config.forecast.forecaster,)
    plan_stages(progress, train_stages(study, policy, tried, chosen=tries))
    given: dict[str, Any] = {"policy": policy, "any_forecaster": any_forecaster, "seconds": study.seconds}
    kept = interruptible_run(out, config, kind="train", command=command, overwrite=overwrite, resume=resume, **given)
    with kept as run, ExitStack() as stack:
        study = replace(study, parts=Parts(run.path / PARTS))
        engine = stack.enter_context(open_engine(study, config, begin_kept))
        if engine is not None:
            engine.fit(_fits(study, policy, tried, chosen=tries))
        chosen: dict[str, Any] = {}
        name = config.forecast.forecaster
        if tries:
            choice = _choose(study, policy, any_forecaster=any_forecaster)
            run.write_frame("choice.parquet", choice.table)
            name = choice.best.forecaster or name
            chosen = {"forecaster": name, "choice": choice.to_record()}
            fitted, learning, ready = _prepare(study, policy, choice)
            policy = next(iter(ready.policies))
        else:
            fitted = study.refits(name).whole(study.window.end)
            learning, ready = _train(study, policy, name)
        begin_stage(progress, "writing")
        save_models(run, fitted, ready.policies, study.data)
        record = learning_record(learning, ready)
        write_manifest(run, study, command, kind="train", policy=policy, **record, **chosen)
    return run.target


def _fits(study: Study, policy: str, forecasters: Sequence[str], *, chosen: bool) -> dict[str, list[int]]:
    """Return the first period that each fit of each forecaster does not know, as far as is known beforehand."""
    if chosen:
        return {name: list(Windows.of(study).bounds[:-1]) for name in forecasters}
    found = {name: [study.window.end] for name in forecasters}
    if needs_training(policy, study.config.policies.options.get(policy, {})):
        for name, untils in found.items():
            untils += [first for first, _ in study.along(name).windows[0].forecast]
    return found


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
    begin_stage(study.progress, f"fitting {best.forecaster or members[0]} on all periods", CHOSEN)
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
    return learning, study.train([policy], learning, parts=study.parts.under("policy", forecaster))


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
    later_dates(data.panel.dates[-1:], data.panel.freq, horizon)  # raises where there are no such dates
    forecaster = new_forecaster(name, config.forecast.options.get(name, {}), horizon, config.seed)
    wanted = set(levels or DEFAULT_LEVELS)
    # The usual levels are always forecast, so that no value depends on which others are printed.
    found = forecaster.fit(data.panel).predict(data.panel, horizon, sorted(wanted | set(DEFAULT_LEVELS)))
    frame = found.to_frame(dependence=True)  # so that orders from the file are the forecaster's
    return frame[frame["level"].isin(wanted)].reset_index(drop=True)


def save_models(run: RunFolder, fitted: Forecaster, policies: Mapping[str, Policy | Planner], data: StudyData) -> None:
    """Keep a forecaster and policies in a run folder, with what new items take of them; bounds are left out.

    Args:
        run: the folder.
        fitted: the forecaster.
        policies: by name, tuned for the items of `data`.
        data: the history that all were fitted on.
    """
    save_forecaster(fitted, run.path / MODELS)
    kept = {name: policy for name, policy in policies.items() if name not in (*BOUNDS, OWN_ORDERS)}
    for name, policy in kept.items():
        save_policy(name, policy, run.path / MODELS)
    if not any(map(has_item_parameters, kept.values())):
        return
    with suppress(FractileError):  # forecasts made elsewhere may end before the history: they have no new items either
        forecast = fitted.predict(data.panel, int(np.max(data.params.protection_interval)))
        pooled = {name: pool_parameters(policy, forecast, data.params) for name, policy in kept.items()}
        # As texts: a limit may be infinite.
        texts = {name: {key: repr(value) for key, value in found.items()} for name, found in pooled.items() if found}
        run.write_json(f"{MODELS}/{POOLED}", texts)


def kept_policies(models: Path, names: Iterable[str]) -> list[str]:
    """Return those of some policies that a folder of models keeps, each once."""
    return [name for name in dict.fromkeys(names) if is_kept(name, models)]


def pooled_parameters(models: Path, policy: str) -> dict[str, float]:
    """Return what new items take of a kept policy: see `policies.transfer`; empty where nothing is kept for them."""
    path = inside(models, POOLED)
    found = read_json(path) if path.is_file() else {}
    with usable(path, "train again"):
        return {name: float(text) for name, text in found.get(policy, {}).items()}
