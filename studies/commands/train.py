"""`fractile train`: a policy trained and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import options as opt
from .kept import training_document
from .target import command_line, run_target
from .terminal import open_terminal
from .training import history_overrides, is_environment, train_on


def train(
    environment_or_config: opt.EnvironmentOrConfig = None,
    history: opt.History = None,
    items: opt.Items = None,
    state: opt.State = None,
    out: opt.Out = None,
    overwrite: opt.Overwrite = False,
    quick: opt.Quick = False,
    name: opt.Name = None,
    forecaster: opt.Forecaster = None,
    forecasts: opt.Forecasts = None,
    policy: opt.Policy = "newsvendor",
    steps: opt.Steps = None,
    track: opt.Track = False,
    resume: opt.ResumeTraining = False,
    lead_time: opt.LeadTime = None,
    holding_cost: opt.HoldingCost = None,
    stockout_cost: opt.StockoutCost = None,
    periods: opt.Periods = None,
    validation: opt.Validation = None,
    freq: opt.Freq = None,
    missing: opt.Missing = None,
    column: opt.Columns = None,
    known: opt.Known = None,
    seed: opt.Seed = None,
    engine: opt.Engine = None,
    workers: opt.Workers = None,
    address: opt.Address = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Train a policy on a history, and keep it with its forecaster for `fractile order`; or on an environment id."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        named = None if policy == opt.AUTO else policy
        overrides = {
            **opt.file_overrides(history, items, state),
            "name": name,
            "forecast.forecaster": None if forecaster == opt.AUTO else forecaster,
            "forecast.files": opt.parse_forecasts(forecasts),
            "policies.names": named and [named],
            "policies.baseline": named,
            **opt.cost_overrides(lead_time, holding_cost, stockout_cost),
            **opt.backtest_overrides(periods, None, validation),
            **opt.reading_overrides(freq, missing, column, known),
            "seed": opt.parse_number(seed),
            **opt.scale_overrides(engine, workers, address),
        }
        long: dict[str, Any] = {"policy": policy, "steps": opt.parse_number(steps), "track": track, "resume": resume}
        if is_environment(environment_or_config):
            rest: dict[str, Any] = {"quick": quick, "out": out, "overwrite": overwrite, "command": command_line()}
            return train_on(terminal, str(environment_or_config), overrides, **long, **rest)
        overrides |= history_overrides(**long)
        config = None if environment_or_config is None else Path(environment_or_config)
        made = opt.make_config(config, overrides, quick=quick, flags={"policies.baseline": "--policy"})
        target = run_target(out, f"{made.name}-{policy}", overwrite=overwrite, inputs=[config, *made.inputs])
        from ..kept_runs import train_run

        with terminal.progress() as progress:
            command = command_line()
            rest = {"command": command, "progress": progress, "overwrite": overwrite}
            folder = train_run(made, target, policy=policy, any_forecaster=forecaster == opt.AUTO, **rest)
        terminal.emit(*training_document(folder, policy))
    return None
