"""`fractile impact`: a backtest of every forecaster under every policy, written to a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, did_you_mean
from ...parts import Parts
from ...progress import plan_stages
from ..assumptions import begin_with, describe_defaults, list_assumptions
from ..backtest import Study, begin
from ..config import StudyConfig
from ..data import StudyData
from ..engine import Engine, Pieces, open_engine
from ..interrupted import PARTS, interruptible_run
from ..league.task import LINEAGE, sort_by_history
from ..locks import locks_target
from ..outside import forecast_notes
from ..record import write_manifest
from ..sections import TRUTH
from ..stages import impact_stages
from .grid import run_grid
from .miscalibration import miscalibration_table
from .page import KIND, build_impact_page
from .result import TABLES, Impact, document, value_forecasts
from .truth import true_forecaster
from .words import impact_text, sentences

if TYPE_CHECKING:
    from ...progress import Progress

DEFAULT_VALUED = ("seasonal_naive", "ets", "patchwork", "lightgbm")
"""Forecasters that are valued where none are named, beside the one that policies see."""


@dataclass(frozen=True, eq=False)
class ImpactResult:
    """The outcome of `fractile impact`.

    Attributes:
        impact: its tables.
        folder: the run folder.
        freq: of the periods.
        currency: of the amounts.
        assumed: costs and lead times that nobody gave, a line; "" where all were given.
    """

    impact: Impact
    folder: Path
    freq: str
    currency: str | None
    assumed: str = ""

    def to_text(self) -> str:
        """Return what nobody gave, tables, findings, and where the page is."""
        text = f"{impact_text(self.impact, self.freq, self.currency)}\n\nPage: {self.folder / 'impact.html'}"
        return begin_with(self.assumed, text)

    def to_document(self) -> dict[str, Any]:
        """Return it for machines."""
        found = sentences(self.impact, self.freq, self.currency)
        where = {"folder": self.folder, "page": self.folder / "impact.html", "assumed": self.assumed}
        return {**where, **document(self.impact), "findings": found}


@locks_target
def impact_run(
    config: StudyConfig,
    out: Path,
    *,
    command: str,
    progress: Progress,
    overwrite: bool = False,
    resume: bool = False,
    data: StudyData | None = None,
) -> ImpactResult:
    """Value forecasters and write the run folder with its page.

    Args:
        config: of the study.
        out: the run folder.
        command: the command line, for the record.
        progress: receives what is being done.
        overwrite: replace a run folder that stands there.
        resume: go on with an interrupted run of the same config and data.
        data: data in place of what the config names.

    Raises:
        InputError: with the faults of data or configuration; no folder is left then.
    """
    study = begin_impact(config, progress, data)
    plan_stages(progress, impact_stages(study, valued_names(config)))
    kept = interruptible_run(
        out,
        config,
        kind=KIND,
        command=command,
        overwrite=overwrite,
        resume=resume,
        seconds=study.seconds,
        in_memory=data is not None,
    )
    with kept as run:
        study = replace(study, parts=Parts(run.path / PARTS))
        with open_engine(study, config, begin_impact, data) as engine:
            impact, seconds = value_study(study, engine)
        freq, currency = study.data.panel.freq, config.report.currency
        with study.stage("writing", counted=True):
            for name in TABLES:
                frame = getattr(impact, name)
                if len(frame.columns):
                    run.write_frame(f"{name}.parquet", frame)
        record: dict[str, Any] = {
            "reference": {"forecaster": impact.reference[0], "policy": impact.reference[1]},
            "policy": impact.policy,
            "currency": currency,
            "config_policies": config.impact.policies,
            "findings": sentences(impact, freq, currency),
            "notes": impact.notes,
            "failed": impact.failed,
            "forecaster_seconds": {name: round(each, 2) for name, each in seconds.items()},
        }
        write_manifest(run, study, command, kind=KIND, **record)
        build_impact_page(run.path)
    assumed = describe_defaults(list_assumptions(config, study.data))
    return ImpactResult(impact, run.target, freq, currency, assumed)


def begin_impact(config: StudyConfig, progress: Progress, data: StudyData | None = None) -> Study:
    """Load the data of a config and place its windows; the true quantiles are added where they are asked for.

    Args:
        config: of the study.
        progress: receives what is being done.
        data: data in place of what the config names.
    """
    names = config.impact.policies
    config = config.with_overrides({"policies.names": names, "policies.baseline": names[0]})
    asked = valued_names(config)
    if TRUTH in asked and (config.data.history is not None or data is not None):
        raise InputError([f"--forecasters: {TRUTH!r} is known on the embedded panel alone; leave it out"])
    pairs = [f"{forecaster}/{policy}" for forecaster in asked for policy in names]
    if config.impact.reference is not None and config.impact.reference not in pairs:
        hint = did_you_mean(config.impact.reference, pairs)
        raise InputError([f"--reference: must be a pair that is compared, got {config.impact.reference!r}{hint}"])
    study = begin(config, config.backtest.periods, progress, data)
    if TRUTH not in asked:
        return study
    with study.stage(f"fitting {TRUTH}"):
        given = {**study.data.given, TRUTH: true_forecaster(config, study.window)}
    return replace(study, data=replace(study.data, given=given))


def value_study(study: Study, engine: Engine | None = None) -> tuple[Impact, Mapping[str, float]]:
    """Return what the forecasters of a study are worth, and the CPU time of each.

    Args:
        study: of `begin_impact`.
        engine: what runs its independent pieces; None: this process.
    """
    config = study.config
    names = valued_names(config)
    main = main_forecaster(names, config.forecast.forecaster)
    if engine is not None:
        engine.prepare(dict.fromkeys(names, Pieces(config.impact.policies)))
    spent = None if engine is None else engine.spent
    grid = run_grid(study, names, config.impact.policies, tolerant=True, keep=main, spent=spent)
    truth = study.data.demand if config.data.history is None and TRUTH in study.data.given else None
    with study.stage("valuing", counted=True):
        impact = value_forecasts(
            grid,
            study.data.panel,
            study.data.params,
            reference=config.impact.reference,
            truth=truth,
            level=config.statistics.level,
            seed=config.seed,
        )
    impact = replace(impact, forecast_notes=forecast_notes(study.data, study.window))
    if config.impact.simulated_items and grid.kept is not None:
        level = config.statistics.level
        impact = impact.with_miscalibration(miscalibration_table(study, grid.kept, level=level, engine=engine))
    return impact, grid.seconds


def valued_names(config: StudyConfig) -> tuple[str, ...]:
    """Return the forecasters that are valued: those named, or the usual ones; forecasts made elsewhere beside them."""
    named: Sequence[str] = config.impact.forecasters
    if not named:
        named = sort_by_history((*DEFAULT_VALUED, config.forecast.forecaster))
        named = (*named, TRUTH) if config.data.history is None else named
    return tuple(dict.fromkeys((*named, *config.forecast.files)))


def main_forecaster(names: Sequence[str], wished: str) -> str:
    """Return the forecaster whose mistakes are priced: the one policies see, or the last of those in history."""
    if wished in names:
        return wished
    ordered = sort_by_history(names)
    return ([name for name in ordered if name in LINEAGE] or [name for name in ordered if name != TRUTH] or ordered)[-1]
