"""Which stages a command goes through, announced beforehand so that they can be counted; see `progress`."""

from __future__ import annotations

from collections.abc import Iterable

from ..training.train import is_trained, needs_training
from .backtest import Study
from .config import StudyConfig
from .league.run import league_names, league_stage

VALUED = ("newsvendor", "tuned_newsvendor")
"""Policies that forecasters are valued with, where there are several forecasters."""
CHOSEN = "fitting what was chosen"
"""Kind of the stage in which the forecaster of a choice is fitted."""


def fold_stages(study: Study, forecaster: str, policies: Iterable[str]) -> list[str]:
    """Return the stages of a forecaster with policies: in every fold a fit, and a training of each that learns.

    Networks are trained before the first fold alone.
    """
    windows, given = study.along(forecaster).windows, study.config.policies.options
    learns = all(window.fits for window in windows)
    names = [name for name in policies if learns and needs_training(name, given.get(name, {}))]
    kinds = [f"fitting {forecaster}" for _ in windows]
    for fold in range(len(windows)):
        kinds += [f"training {name}" for name in names if not (fold and is_trained(name))]
    return kinds


def valued_policies(config: StudyConfig) -> tuple[str, ...]:
    """Return the policies that a study values its forecasters with: of a single one, those that are compared anyway."""
    several, names = len(config.forecast.names) > 1, config.policies.names
    return tuple(name for name in VALUED if several or name in names)


def study_stages(study: Study) -> list[str]:
    """Return the stages of `run_study` after its data were read.

    Args:
        study: with its data.
    """
    config = study.config
    main, names, valued = config.forecast.forecaster, config.policies.names, valued_policies(config)
    kinds = [*fold_stages(study, main, names), *["simulating histories"] * bool(config.drawn_policies), "checking"]
    for name in config.forecast.names:
        if name != main:
            kinds += fold_stages(study, name, valued)
        elif not set(valued) <= set(names):
            kinds += fold_stages(study, name, valued)[len(study.windows) :]
    if config.lineage.forecasters:
        kinds += map(league_stage, league_names(config))
    return [*kinds, *["sweeping"] * config.sweep.enabled, "writing"]


def impact_stages(study: Study, forecasters: Iterable[str]) -> list[str]:
    """Return the stages of `impact_run` after its data were read.

    Args:
        study: with its data.
        forecasters: that are valued.
    """
    config = study.config
    kinds = [kind for name in forecasters for kind in fold_stages(study, name, config.impact.policies)]
    return [*kinds, "valuing", *["simulating miscalibration"] * bool(config.impact.simulated_items), "writing"]


def train_stages(study: Study, policy: str, forecasters: Iterable[str], *, chosen: bool) -> list[str]:
    """Return the stages of `train_run` after its data were read.

    Args:
        study: with its data.
        policy: its name.
        forecasters: that are tried, or the one.
        chosen: whether something is chosen; which forecaster is fitted then is not known beforehand.
    """
    kinds = [f"fitting {name}" for name in forecasters]
    kinds += ["choosing", CHOSEN] if chosen else []
    if needs_training(policy, study.config.policies.options.get(policy, {})):
        kinds += ([] if chosen else kinds) + [f"training {policy}"]
    return [*kinds, "writing"]
