"""The forecast lineage: every forecaster of the history on the same task, in one league table.

    |…… history: what all forecasters learn from ……|… window 1 …|… window 2 …|… window 3 …|
                                                   ^ origin 1   ^ origin 2   ^ origin 3   ^ the panel's end

Each forecaster is fitted once, on the periods before the first origin, and forecasts a horizon from every origin,
knowing what was on record there. Losses are compared on the same item-periods; intervals and paired differences
hold under shocks common to all items (see `statistics.variance`).
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arrays import FloatArray
from ...errors import FractileError, InputError, did_you_mean
from ...executor import Executor, Task, run_tasks
from ...forecasters.data.panel import SalesPanel
from ...forecasters.ensemble import DEFAULT_MEMBERS, Ensemble
from ...forecasters.registry import FORECASTERS
from ...forecasters.retail.panel import retail_panel
from ...parts import CHECKPOINTS, Parts, sha256
from ...progress import Progress, begin_stage, no_progress, plan_stages
from ...registry import is_address, option_names
from ..assumptions import assumption_record, assumptions_of, begin_with
from ..config import StudyConfig
from ..data import item_params, read_inputs
from ..engine import open_scaled
from ..folder import MANIFEST, RunFolder, find_resumable, manifest, read_manifest, resumable_run
from ..interrupted import LEAGUE, kept_entries, resume_hint
from ..locks import locks_target
from ..outside import read_outside
from ..places import check_not_input
from ..replacing import REQUEST_CONFIG, RUNNING
from .entry import Entry, entry_file, entry_key, load_entry, make_entry, save_entry
from .table import League, describe_task, league_document, make_league, write_league
from .task import TRUTH, LeagueTask, league_task, sort_by_history

if TYPE_CHECKING:
    from ..backtest import Study

QUICK = {"steps": 150, "trees": 40}
"""Options that quick work lowers, where a forecaster has them and they are not given."""


def league(
    panel: SalesPanel,
    names: Iterable[str],
    horizon: int,
    *,
    origins: int = 3,
    spacing: int | None = None,
    truth: FloatArray | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Progress = no_progress,
    **rest: Any,
) -> League:
    """Fit and score forecasters on the last periods of a panel.

    Args:
        panel: the whole history.
        names: of forecasters; see `FORECASTERS`.
        horizon: periods ahead. [H]
        origins: how many are forecast from; the last one is a horizon before the panel's end.
        spacing: periods from one origin to the next; a horizon where None, so that windows touch.
        truth: demand to score against, shape (items, periods); None: sales of listed item-periods, which are bounds
            on demand where stock ran out.
        options: keyword arguments by forecaster name.
        progress: called with each forecaster.
        **rest: further arguments of `league_task`, e.g. `defaults` (lead time and costs), and attributes of
            `LeagueTask`, e.g. `seed`, `span`, `critical_ratio`.

    Raises:
        FractileError: where a name is unknown or the history is too short. A forecaster that fails is no reason
            to stop: `League.failed` and its row hold its error.
    """
    task = league_task(panel, horizon, origins=origins, spacing=spacing, truth=truth, **rest)
    return run_league(task, names, options or {}, progress=progress)


def run_league(
    task: LeagueTask,
    names: Iterable[str],
    options: Mapping[str, Mapping[str, Any]],
    *,
    keep: Path | None = None,
    progress: Progress = no_progress,
    executor: Executor | None = None,
    config: StudyConfig | None = None,
) -> League:
    """Fit and score forecasters on one task, one after the other, or as tasks of an executor.

    Args:
        task: the task.
        names: of forecasters; the truth, where there is one, is added.
        options: keyword arguments by forecaster name.
        keep: folder that every entry is written to as soon as it is there, and read from where it already lies
            there under the same key.
        progress: called with each forecaster.
        executor: makes the entries, which are kept then; None: this process makes them.
        config: that the task was made from, for workers to make it, too.
    """
    chosen = sort_by_history(names)
    known = (*FORECASTERS, *task.given)
    unknown = [name for name in chosen if name not in known and not is_address(name)]
    if unknown:
        raise InputError(f"unknown forecaster {name!r}{did_you_mean(name, known)}" for name in unknown)
    if task.reference is not None:
        chosen = (*chosen, TRUTH)

    def kept(name: str) -> Entry | None:
        entry = None if keep is None else load_kept_entry(keep, name)
        fits = entry is not None and entry.key == entry_key(task, name, options.get(name, {})) and entry.error is None
        return entry if fits else None

    if executor is not None and keep is not None and config is not None:
        _make_entries(executor, config, keep, [name for name in chosen if kept(name) is None], progress)
    entries = []
    for name in chosen:
        begin_stage(progress, league_stage(name))
        given, entry = options.get(name, {}), kept(name)
        if entry is None:
            checkpoint = None if keep is None else keep / CHECKPOINTS / entry_file(name)
            entry = make_entry(task, name, given, progress=progress, checkpoint=checkpoint)
            if keep is not None:
                save_entry(keep, entry)
        entries.append(entry)
    return make_league(task, entries)


def _make_entries(
    executor: Executor, config: StudyConfig, keep: Path, names: Sequence[str], progress: Progress
) -> None:
    """Make entries as tasks; one that fails is left to the run itself."""
    done = keep / CHECKPOINTS / "tasks"
    shutil.rmtree(done, ignore_errors=True)  # an entry that is missing is made, whatever was done before
    settings = {"config": config.to_toml(unset=False), "keep": keep.absolute()}
    tasks = [Task(("league", name), f"{__name__}:entry_task", {**settings, "name": name}) for name in names]
    if tasks:
        begin_stage(progress, "fitting and scoring forecasters")
        run_tasks(executor, tasks, Parts(done), progress=progress)


def entry_task(folder: Path, config: str, keep: Path, name: str) -> None:  # noqa: ARG001  # it has a place of its own
    """Make and keep one entry in a worker."""
    task, options = worker_task(config)
    checkpoint = keep / CHECKPOINTS / entry_file(name)
    save_entry(keep, make_entry(task, name, options.get(name, {}), checkpoint=checkpoint))


@lru_cache(maxsize=1)
def worker_task(config: str) -> tuple[LeagueTask, dict[str, dict[str, Any]]]:
    """Return the task of a config and the options of its forecasters; a worker makes them once for all entries."""
    made = StudyConfig.from_mapping(tomllib.loads(config))
    return task_from_config(made), league_options(made)


def league_stage(name: str) -> str:
    """Return the kind of the stage in which a forecaster is fitted and scored for a league."""
    return f"league: {name}"


def load_kept_entry(keep: Path, name: str) -> Entry | None:
    """Return the entry that a folder holds; None where it holds none, or none that is whole."""
    if not (keep / f"{entry_file(name)}.json").is_file():
        return None
    try:
        return load_entry(keep, name)
    except (FractileError, KeyError, TypeError, ValueError):
        return None  # written by another version, or cut off: the entry is made again


def quick_options(names: Iterable[str], options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return options under which training is short; those that are given stay."""
    return {name: _quick(name, options.get(name, {})) for name in names}


def _quick(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        known = option_names(FORECASTERS.known(name)) if name in list(FORECASTERS) or is_address(name) else ()
    except ImportError:
        known = ()  # a library is missing; the fit will report it
    short: dict[str, Any] = {k: v for k, v in QUICK.items() if k in known}
    if name == Ensemble.name:
        short["options"] = {member: _quick(member, {}) for member in given.get("members", DEFAULT_MEMBERS)}
    return short | dict(given)


KIND = "lineage"
"""The kind of run, in its manifest."""
ENTRIES = "entries"
"""Folder of the entries of all forecasters."""
USUAL_HORIZON = 8


@locks_target
def lineage_run(
    config: StudyConfig, out: Path, *, command: str, progress: Progress, overwrite: bool = False, resume: bool = False
) -> League:
    """Run a league and write its folder.

    Entries are kept under the folder's temporary name as soon as they are there. The folder appears, and replaces an
    older one, only once tables and page are written, too; an interrupted run stays under its temporary name.

    Args:
        config: of the league.
        out: the run folder.
        command: the command line, for the record.
        progress: receives what is being done.
        overwrite: replace a run folder that stands there, and discard an interrupted run of it.
        resume: continue an interrupted run, or a league that stands there: forecasters whose entry was made from the
            same data, task and options are not fitted again.

    Raises:
        InputError: with the faults of data or configuration; nothing is written then.
    """
    check_not_input(out, config.inputs)
    progress("reading")
    task = task_from_config(config)
    scored = (*sort_by_history(league_names(config)), *[TRUTH] * (task.reference is not None))
    plan_stages(progress, [*map(league_stage, scored), "drawing"])
    earlier = find_resumable(out) if resume else None
    if earlier is not None:
        there = read_manifest(earlier, unfinished=True)
        if there.get("kind") != KIND:
            raise InputError([f"{out}: is no run of `fractile lineage`; give --out another folder"])
        if there.get("fingerprint") != task.fingerprint:
            raise InputError(
                [
                    f"{out}: is a league of other data, origins, horizon or seed; resume it with the same, or give "
                    "--out another folder"
                ]
            )
    with (
        resumable_run(out, overwrite=overwrite, resume=resume) as run,
        resume_hint(run, lambda: kept_entries(run.path / ENTRIES)),
    ):
        record = _record(config, task, command)
        record["config_hash"] = sha256(run.write_text("config.toml", config.to_toml()))
        run.write_text(REQUEST_CONFIG, config.to_toml(unset=False))  # which still tells what nobody gave
        run.write_json(MANIFEST, record | {"status": RUNNING})
        names, options = league_names(config), league_options(config)
        with open_scaled(config.scale) as executor:
            keep = run.path / ENTRIES
            found = run_league(task, names, options, keep=keep, progress=progress, executor=executor, config=config)
            worker_task.cache_clear()
        shutil.rmtree(run.path / ENTRIES / CHECKPOINTS, ignore_errors=True)
        write_league(run.path, found)
        begin_stage(progress, "drawing")
        from .page import build_lineage_page  # matplotlib is loaded once there is something to draw

        build_lineage_page(run.path)
        run.write_json(MANIFEST, record | {"failed": found.failed})
    return found


def study_lineage(study: Study, run: RunFolder, executor: Executor | None = None) -> League | None:
    """Make the league of a study's panel inside its run folder, where the config asks for one.

    Args:
        study: the study in progress.
        run: its folder.
        executor: makes the entries; None: this process.
    """
    if not study.config.lineage.forecasters:
        return None
    task = task_from_config(study.config)
    with study.stage("forecast lineage"):
        keep = None if study.parts.folder is None else study.parts.folder / LEAGUE
        names, options = league_names(study.config), league_options(study.config)
        found = run_league(
            task, names, options, keep=keep, progress=study.progress, executor=executor, config=study.config
        )
        worker_task.cache_clear()
    write_league(run.path / KIND, found)
    return found


def task_from_config(config: StudyConfig) -> LeagueTask:
    """Return the league task of a config: on its files, or on the embedded panel, whose truth is known.

    Raises:
        InputError: with the faults of all files.
    """
    settings = config.lineage
    if config.data.history is not None:
        panel, known = read_inputs(config.data).panel, dict[str, Any]()
    else:
        retail = retail_panel(config.data.embedded_items, config.data.embedded_periods, config.seed)
        panel = retail.panel
        known = {"truth": retail.demand, "reference": partial(retail.true_forecast, known="record")}
    longest = int(np.max(item_params(panel, panel.static, config.defaults).protection_interval))
    given = read_outside(config.forecast.files, panel)
    reach = min([USUAL_HORIZON, *(forecaster.max_horizon for forecaster in given.values())])
    return league_task(
        panel,
        settings.horizon or config.forecast.horizon or max(reach, longest),
        origins=settings.origins,
        spacing=settings.spacing,
        defaults=config.defaults,
        seed=config.seed,
        level=config.statistics.level,
        volatility_items=settings.volatility_items,
        given=given,
        **known,
    )


def league_names(config: StudyConfig) -> tuple[str, ...]:
    """Return the forecasters of a league: those that the config names, or all, and forecasts made elsewhere."""
    return tuple(dict.fromkeys((*(config.lineage.forecasters or FORECASTERS), *config.forecast.files)))


def league_options(config: StudyConfig) -> dict[str, dict[str, Any]]:
    """Return the options of each of them."""
    given: Mapping[str, Mapping[str, Any]] = config.forecast.options
    if config.lineage.quick:
        return quick_options(league_names(config), given)
    return {name: dict(options) for name, options in given.items()}


def command_document(out: Path, found: League) -> dict[str, Any]:
    """Return what the command prints as JSON."""
    kept, page = league_document(found), out / "lineage.html"
    tables = {name: kept[name] for name in ("table", "differences", "held")}
    assumed = read_manifest(out).get("assumed", "")
    return {"folder": out, "page": page, "assumed": assumed, **tables, "failed": found.failed}


def command_text(out: Path, found: League) -> str:
    """Return what the command prints for people: what nobody gave, the tables, and where the page is."""
    text = f"{found.to_text()}\n\nPage: {out / 'lineage.html'}"
    return begin_with(read_manifest(out).get("assumed", ""), text)


def _record(config: StudyConfig, task: LeagueTask, command: str) -> dict[str, Any]:
    files = {name: getattr(config.data, name) for name in ("history", "items")}
    given = {name: Path(path) for name, path in files.items() if path is not None} | dict(config.forecast.files)
    data = {
        "source": "embedded panel" if config.data.history is None else Path(config.data.history).name,
        "freq": task.panel.freq,
        "hashes": {path.name: sha256(path) for path in given.values()},
        "notes": list(task.panel.notes),
    }
    params = item_params(task.panel, task.panel.static, config.defaults)
    return manifest(config.name, command=command, seed=config.seed) | {
        "kind": KIND,
        **assumption_record(assumptions_of(config, params, task.panel.static)),
        "fingerprint": task.fingerprint,
        "data": data,
        "asked": describe_task(task),
        "forecasters": list(league_names(config)),
    }
