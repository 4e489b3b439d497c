"""The lineage as a command of its own, which can be taken up again, and as a part of a study."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...forecasters.registry import FORECASTERS
from ..config import StudyConfig
from ..folder import MANIFEST, RunFolder, check_target, manifest, read_manifest, sha256
from .files import document, facts, write_league
from .league import played, quick_options
from .table import League
from .task import Contest, contest

if TYPE_CHECKING:
    from ..commands.terminal import Progress
    from ..pipeline import Study

KIND = "lineage"
"""The kind of run, in its manifest."""
ENTRIES = "entries"
"""Folder of what became of each forecaster."""
USUAL_HORIZON = 8


def lineage_run(
    config: StudyConfig, out: Path, *, command: str, progress: Progress, overwrite: bool = False, resume: bool = False
) -> League:
    """Make a league and write its folder: entries as they come, then tables and the page.

    Args:
        config: what to do.
        out: the run folder.
        command: how it was called, for the record.
        progress: told what goes on.
        overwrite: replace a run folder that stands there.
        resume: go on in a folder that an earlier call has left: forecasters whose entry was made from the same data,
            questions and options are not fitted again.

    Raises:
        InputError: with the faults of data or configuration; nothing is written then.
    """
    progress("reading")
    asked = contest_of(config)
    check_folder(out, asked.fingerprint, overwrite=overwrite, resume=resume)
    if overwrite and not resume and out.is_dir():
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    run, record = RunFolder(out, out), _record(config, asked, command)
    run.write_text("config.toml", config.to_toml())
    run.write_json(MANIFEST, record | {"status": "running"})
    found = played(asked, names_of(config), options_of(config), keep=out / ENTRIES, progress=progress)
    write_league(out, found)
    run.write_json(MANIFEST, record | {"failed": found.failed})
    from .page import build_lineage_page

    progress("drawing")
    build_lineage_page(out)
    return found


def check_folder(out: Path, fingerprint: str, *, overwrite: bool, resume: bool) -> None:
    """Refuse a folder that a league cannot be written to, or be taken up again in."""
    if not resume or not out.is_dir() or not any(out.iterdir()):
        return check_target(out.absolute(), overwrite=overwrite)
    there = read_manifest(out)
    if there.get("kind") != KIND:
        raise InputError([f"{out}: is no run of `fractile lineage`; give --out another folder"])
    if there.get("fingerprint") != fingerprint:
        raise InputError(
            [
                f"{out}: is a league of other data, origins, horizon or seed; resume it with the same, or give --out "
                "another folder"
            ]
        )
    return None


def study_lineage(study: Study, run: RunFolder) -> League | None:
    """Make the league of a study's panel inside its run folder, where the config asks for one."""
    if not study.config.lineage.forecasters:
        return None
    asked = contest_of(study.config)
    with study.stage("forecast lineage"):
        found = played(asked, names_of(study.config), options_of(study.config), progress=study.progress)
    write_league(run.path / KIND, found)
    return found


def contest_of(config: StudyConfig) -> Contest:
    """Return what a config's league asks: of its files, or of the embedded panel, whose truth is known.

    Raises:
        InputError: with the faults of all files.
    """
    settings = config.lineage
    asked: dict[str, Any] = {"origins": settings.origins, "spacing": settings.spacing, "seed": config.seed}
    asked |= {"level": config.statistics.level, "volatility_items": settings.volatility_items}
    horizon = settings.horizon or config.forecast.horizon or USUAL_HORIZON
    if config.data.history is not None:
        from ..commands.validation import read_inputs

        return contest(read_inputs(config.data).panel, horizon, **asked)
    from ...forecasters.retail.panel import retail_panel

    retail = retail_panel(config.data.embedded_items, config.data.embedded_periods, config.seed)
    truth = partial(retail.true_forecast, known="record")
    return contest(retail.panel, horizon, truth=retail.demand, reference=truth, **asked)


def names_of(config: StudyConfig) -> tuple[str, ...]:
    """Return the forecasters of a league: those that the config names, or all."""
    return config.lineage.forecasters or tuple(FORECASTERS)


def options_of(config: StudyConfig) -> dict[str, dict[str, Any]]:
    """Return the options of each of them."""
    given: Mapping[str, Mapping[str, Any]] = config.forecast.options
    if config.lineage.quick:
        return quick_options(names_of(config), given)
    return {name: dict(options) for name, options in given.items()}


def document_of(out: Path, found: League) -> dict[str, Any]:
    """Return what the command prints as JSON."""
    kept = document(found)
    tables = {name: kept[name] for name in ("table", "differences", "held")}
    return {"folder": out, "page": out / "lineage.html", **tables, "failed": found.failed}


def _record(config: StudyConfig, asked: Contest, command: str) -> dict[str, Any]:
    files = {name: getattr(config.data, name) for name in ("history", "items")}
    given = {name: Path(path) for name, path in files.items() if path is not None}
    data = {
        "source": "embedded panel" if config.data.history is None else Path(config.data.history).name,
        "freq": asked.panel.freq,
        "hashes": {path.name: sha256(path) for path in given.values()},
        "notes": list(asked.panel.notes),
    }
    return manifest(config.name, command=command, seed=config.seed) | {
        "kind": KIND,
        "fingerprint": asked.fingerprint,
        "data": data,
        "asked": facts(asked),
        "forecasters": list(names_of(config)),
    }
