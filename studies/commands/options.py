"""Options of the commands, each written once as an annotated type, and the config that follows from them.

Numbers and names are typed as text: the config's own rules check them, so that a fault reads the same whether it was
typed or stands in a file, and all faults come together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InputError

if TYPE_CHECKING:
    from ..config import StudyConfig


def _option(flag: str, help_text: str, metavar: str | None = "TEXT") -> Any:
    return typer.Option(flag, help=help_text, metavar=metavar, show_default=False)


def _argument(help_text: str, metavar: str) -> Any:
    return typer.Argument(help=help_text, metavar=metavar, show_default=False)


ConfigFile = Annotated[Path | None, _argument("TOML file; options given here override it.", "CONFIG.toml")]
EnvironmentOrConfig = Annotated[
    str | None,
    _argument("A Gymnasium id, e.g. fractile/Perishable-v0, or a TOML file; options override it.", "ENV_ID|CONFIG"),
]
RunToResume = Annotated[Path, _argument("Folder of an interrupted run.", "FOLDER")]
RunToReport = Annotated[Path, _argument("Folder of a study's run.", "FOLDER")]

History = Annotated[
    Path | None, _option("--history", "Sales by item and date, CSV or Parquet; without it the embedded panel.", "FILE")
]
NeededHistory = Annotated[Path, _option("--history", "Sales by item and date, CSV or Parquet.", "FILE")]
CheckedHistory = Annotated[Path | None, _option("--history", "Sales by item and date, CSV or Parquet.", "FILE")]
Items = Annotated[Path | None, _option("--items", "Lead time, costs and attributes by item.", "FILE")]
State = Annotated[
    Path | None,
    _option("--state", "Units on hand and arriving by item; next orders begin with it, comparisons do not.", "FILE"),
]
OnHand = Annotated[
    str | None,
    _option("--on-hand", "Units on hand of items that the state file does not name, with nothing under way.", "N"),
]
Freq = Annotated[str | None, _option("--freq", "Periods to study, e.g. W-MON; daily sales are summed up.")]
Missing = Annotated[str | None, _option("--missing", "A row missing from the history: error, zero or unknown.")]
Columns = Annotated[
    list[str] | None, _option("--column", "Our column name and the file's; may be repeated.", "OURS=THEIRS")
]
Known = Annotated[list[str] | None, _option("--known", "A covariate known ahead; may be repeated.", "COLUMN")]

LeadTime = Annotated[
    str | None, _option("--lead-time", "Periods from order to receipt, where the items file has none.", "N")
]
HoldingCost = Annotated[str | None, _option("--holding-cost", "Money per unit and period, likewise.", "N")]
StockoutCost = Annotated[str | None, _option("--stockout-cost", "Money per unit short, likewise.", "N")]
Periods = Annotated[str | None, _option("--periods", "Periods held out at the end.", "N")]
Folds = Annotated[
    str | None, _option("--folds", "Parts of the held-out periods; before each, forecasters are fitted again.", "N")
]
Validation = Annotated[str | None, _option("--validation", "Periods before them in which policies are tuned.", "N")]
Currency = Annotated[str | None, _option("--currency", "Written after amounts of money, e.g. EUR.")]

Forecaster = Annotated[
    str | None, _option("--forecaster", "Name of the forecaster; see `fractile list`.", metavar="NAME")
]
Forecasts = Annotated[
    list[str] | None,
    _option(
        "--forecasts",
        "Forecasts made elsewhere, a CSV or Parquet file (item_id, origin_date, date, level, value), under a name of "
        "yours; may be repeated.",
        "NAME=FILE",
    ),
]
Policy = Annotated[
    str, _option("--policy", "Name of the policy, see `fractile list`; or auto: the cheapest on earlier weeks.", "NAME")
]
KeptPolicy = Annotated[
    str | None, _option("--policy", "A policy of the run; the one that it orders with where not given.", "NAME")
]
Policies = Annotated[
    list[str] | None,
    _option("--policy", "A policy to compare; may be repeated. The baseline is compared, too.", "NAME"),
]
Baseline = Annotated[str | None, _option("--baseline", "The policy that savings are measured against.", "NAME")]
ValuedForecasters = Annotated[
    str | None,
    _option("--forecasters", "Names with commas between them, truth where it is known; a few if not given.", "NAMES"),
]
CrossedPolicies = Annotated[
    str | None, _option("--policies", "Policies that each of them is compared under, commas between them.", "NAMES")
]
Reference = Annotated[
    str | None,
    _option("--reference", "What savings are measured against; the first pair where not given.", "FORECASTER/POLICY"),
]
LeagueInStudy = Annotated[
    str | None,
    _option("--lineage", "Add the league table of these forecasters, names with commas between them, or all.", "NAMES"),
]
Forecasters = Annotated[
    str | None, _option("--forecasters", "Names with commas between them; all where not given.", "NAMES")
]
Horizon = Annotated[str | None, _option("--horizon", "Periods ahead.", "N")]
Origins = Annotated[str | None, _option("--origins", "How many periods are forecast from.", "N")]
Spacing = Annotated[
    str | None, _option("--spacing", "Periods from one origin to the next; a horizon where not given.", "N")
]
Levels = Annotated[str | None, _option("--levels", "Quantile levels, e.g. 0.1,0.5,0.9.", "LEVELS")]
Sweep = Annotated[
    bool,
    _option("--sweep", "Play the held-out periods again under other costs, lead times, demand and forecasts.", None),
]
Seed = Annotated[str | None, _option("--seed", "Every random draw follows from it.", "N")]

Engine = Annotated[
    str | None, _option("--engine", "Where tasks run: serial, process (workers here) or ray (a cluster).", "NAME")
]
Workers = Annotated[str | None, _option("--workers", "Tasks at once with an engine; all cores where not given.", "N")]
Address = Annotated[
    str | None, _option("--address", "Of a Ray cluster to join, e.g. auto; without it one is started here.", "ADDRESS")
]
Blocks = Annotated[
    str | None, _option("--blocks", "Parts that the items are cut into, so that not all are in memory at once.", "N")
]

Name = Annotated[str | None, _option("--name", "What the run is called.", "NAME")]
Out = Annotated[Path | None, _option("--out", "Run folder; runs/NAME where not given.", "FOLDER")]
Table = Annotated[
    Path | None, _option("--out", "CSV or Parquet to write; without it CSV goes to standard output.", "FILE")
]
Page = Annotated[
    Path | None,
    _option("--out", "Markdown, CSV or Parquet to write; without it Markdown goes to standard output.", "FILE"),
]
Run = Annotated[Path, _option("--run", "Folder of a kept run.", "FOLDER")]
ComparedRun = Annotated[Path | None, _option("--run", "Folder of a kept run to compare the history with.", "FOLDER")]
Trust = Annotated[
    list[str] | None,
    _option("--trust", "A class of yours that the run may import; may be repeated.", "MODULE:CLASS"),
]
Only = Annotated[str, _option("--only", "Names of instances, as in a shell; all where not given.", "PATTERN")]
Overwrite = Annotated[
    bool, _option("--overwrite", "Replace a run folder that stands there, once the new one is whole.", None)
]
Steps = Annotated[
    str | None, _option("--steps", "Transitions of an agent, or gradient steps of backprop, instead of the usual.", "N")
]
Track = Annotated[
    bool, _option("--track", "Log an agent's training to TensorBoard in the run folder (extra `track`).", None)
]
ResumeTraining = Annotated[bool, _option("--resume", "Continue an interrupted training on an environment.", None)]
Resume = Annotated[
    bool, _option("--resume", "Continue a run folder: forecasters that are finished there are not fitted again.", None)
]
Quick = Annotated[bool, _option("--quick", "Smaller work: a result within a minute.", None)]
Json = Annotated[bool, _option("--json", "Print one JSON document and nothing else.", None)]
Quiet = Annotated[bool, _option("--quiet", "Report no progress: print the result and errors alone.", None)]
Debug = Annotated[bool, _option("--debug", "Show the whole traceback of an unexpected error.", None)]

AUTO = "auto"
"""In place of a forecaster's or a policy's name: see `studies.automatic`."""
BOUNDS = ("hindsight",)
"""Planners that know the future: bounds, not policies."""
FLAGS = {
    "data.columns": "--column",
    "policies.names": "--policy",
    "lineage.forecasters": "--forecasters",
    "forecast.files": "--forecasts",
}
"""Flags whose name is not the last part of the config key that they override."""


def make_config(
    path: Path | None,
    overrides: Mapping[str, Any],
    *,
    quick: bool = False,
    flags: Mapping[str, str] | None = None,
) -> StudyConfig:
    """Return the config of a file, or the default one, with the typed options laid over it.

    Args:
        path: TOML file, or None.
        overrides: typed values by dotted config key; None where nothing was typed.
        quick: reduce it to a minute's work.
        flags: by config key, where a command's flag differs from `FLAGS`.

    Raises:
        InputError: with every fault; a fault of a typed value is named by its flag.
    """
    from ..config import load_config

    typed = {key: value for key, value in overrides.items() if value is not None}
    try:
        config = load_config(path, typed)
    except InputError as error:
        called = {key: f"--{key.rpartition('.')[2].replace('_', '-')}" for key in typed} | FLAGS | dict(flags or {})
        faults = []
        for fault in error.faults:
            key, colon, reason = fault.partition(": ")
            flag = next((called[name] for name in typed if key == name or key.startswith(f"{name}.")), key)
            faults.append(f"{flag}{colon}{reason}")
        # Two keys of one flag (the policy of `train` is its own baseline) have one fault.
        raise InputError(dict.fromkeys(faults)) from None
    return config.quick() if quick else config


def run_name(name: str | None, out: Path | None, config: Path | None) -> str | None:
    """Return what a run is called: the name typed, else its folder's, unless the config file has a name.

    Args:
        name: as it was typed, or None.
        out: the folder that was typed, or None.
        config: the TOML file, or None.
    """
    if name is not None or out is None:
        return name
    from ..config import read_toml

    return None if config is not None and "name" in read_toml(config) else out.resolve().name or None


def file_overrides(history: Path | None, items: Path | None, state: Path | None) -> dict[str, Any]:
    """Return the config values of the files that were typed."""
    return {"data.history": history, "data.items": items, "data.state": state}


def reading_overrides(
    freq: str | None, missing: str | None, column: list[str] | None, known: list[str] | None
) -> dict[str, Any]:
    """Return the config values of how files are read."""
    columns = parse_columns(column)
    return {"data.freq": freq, "data.missing": missing, "data.columns": columns, "data.known": known}


def cost_overrides(lead_time: str | None, holding_cost: str | None, stockout_cost: str | None) -> dict[str, Any]:
    """Return the config values of a lead time and costs that were typed."""
    typed = {"lead_time": lead_time, "holding_cost": holding_cost, "stockout_cost": stockout_cost}
    return {f"defaults.{name}": parse_number(text) for name, text in typed.items()}


def backtest_overrides(periods: str | None, folds: str | None, validation: str | None) -> dict[str, Any]:
    """Return the config values of the periods held out."""
    typed = {"periods": periods, "folds": folds, "validation": validation}
    return {f"backtest.{name}": parse_number(text) for name, text in typed.items()}


def scale_overrides(
    engine: str | None, workers: str | None, address: str | None, blocks: str | None = None
) -> dict[str, Any]:
    """Return the config values of where tasks run, and of blocks of items."""
    typed = {"workers": parse_number(workers), "blocks": parse_number(blocks)}
    return {
        "scale.engine": engine,
        "scale.address": address,
        **{f"scale.{name}": value for name, value in typed.items()},
    }


def add_baseline(names: list[str] | None, path: Path | None, typed: str | None = None) -> list[str] | None:
    """Add the baseline that was typed, that of a config file, or the default one, to policies that lack it.

    A baseline that was typed is added to the policies of the file, or of the default study, where none were typed.
    Where the baseline is the cheapest classical policy, and the policies typed are one or none of them classical, the
    classical policies of the file or of the default study are added.
    """
    from ...policies.registry import POLICIES
    from ...training.train import is_learned
    from ..config import PoliciesConfig, read_toml
    from ..sections import CHEAPEST

    section = {} if path is None else read_toml(path).get("policies")
    section = section if isinstance(section, Mapping) else {}
    baseline = typed or section.get("baseline") or PoliciesConfig().baseline
    if not names:
        usual = section.get("names") or list(PoliciesConfig().names)
        if typed in list(POLICIES) and isinstance(usual, list) and typed not in usual:
            return [*usual, typed]
        return None
    if typed == CHEAPEST:
        return names
    if baseline == CHEAPEST:
        if len(names) > 1 and not all(map(is_learned, names)):
            return names
        found = section.get("names")
        others = found if isinstance(found, list) else PoliciesConfig().names
        return [*names, *(n for n in others if n not in (*names, *BOUNDS) and not is_learned(n))]
    if baseline in names or baseline not in list(POLICIES):  # an unknown one is the file's own fault
        return names
    return [*names, baseline]


def parse_number(text: str | None) -> int | float | str | None:
    """Return the number in a text, or the text itself, which the config's rules then refuse."""
    for kind in (int, float):
        try:
            return None if text is None else kind(text)
        except ValueError:
            continue
    return text


def parse_columns(texts: list[str] | None) -> dict[str, str] | None:
    """Return `{"sales": "units"}` for `["sales=units"]`, and None where nothing was typed."""
    wrong = [text for text in texts or () if not all(text.partition("="))]
    if wrong:
        raise InputError(f"--column: must be OURS=THEIRS, e.g. sales=units, got {text!r}" for text in wrong)
    return {ours.strip(): theirs.strip() for ours, _, theirs in (text.partition("=") for text in texts or ())} or None


def parse_forecasts(texts: list[str] | None) -> dict[str, str] | None:
    """Return `{"mine": "forecasts.csv"}` for `["mine=forecasts.csv"]`, and None where nothing was typed."""
    pairs = [text.partition("=") for text in texts or ()]
    faults = [
        f"--forecasts: must be NAME=FILE, e.g. mine=forecasts.csv, got {text!r}"
        for text, pair in zip(texts or (), pairs, strict=True)
        if not all(pair)
    ]
    names = [name.strip() for name, _, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults += [f"--forecasts: the name {name!r} stands more than once; give each file its own" for name in twice]
    if faults:
        raise InputError(faults)
    return {name.strip(): file.strip() for name, _, file in pairs} or None


def parse_names(text: str | None) -> list[str] | None:
    """Return `["ets", "mqcnn"]` for `"ets, mqcnn"`, and None where nothing was typed."""
    return None if text is None else [name for name in (part.strip() for part in text.split(",")) if name]


def parse_levels(text: str | None) -> list[float] | None:
    """Return `[0.1, 0.5]` for `"0.5, 0.1"`, and None where nothing was typed."""
    if text is None:
        return None
    levels = [parse_number(part.strip()) for part in text.split(",")]
    wrong = [level for level in levels if not isinstance(level, int | float) or not 0 < level < 1]
    if wrong:
        raise InputError(f"--levels: must lie between 0 and 1, e.g. 0.1,0.5,0.9, got {level!r}" for level in wrong)
    return sorted({float(level) for level in levels if level is not None})
