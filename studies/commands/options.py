"""Options of the commands: each one's flag, meaning, and the config key that it overrides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...errors import InputError

if TYPE_CHECKING:
    from ..config import StudyConfig


def number(text: str) -> int | float | str:
    """Return the number that a text says, or the text itself, which checking will then refuse."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def pairs(texts: list[str]) -> dict[str, str]:
    """Return `{"sales": "units"}` for `["sales=units"]`."""
    wrong = [text for text in texts if not all(text.partition("="))]
    if wrong:
        raise InputError(f"--column: must be OURS=THEIRS, e.g. sales=units, got {text!r}" for text in wrong)
    return {ours.strip(): theirs.strip() for ours, _, theirs in (text.partition("=") for text in texts)}


def names(text: str) -> list[str]:
    """Return `["ets", "mqcnn"]` for `"ets, mqcnn"`."""
    return [name for name in (part.strip() for part in text.split(",")) if name]


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Option:
    """One option of a command.

    Attributes:
        flag: as typed, e.g. "--lead-time"; the parameter's name follows from it.
        help: one line.
        key: dotted config key that it overrides; "" where it is no config key.
        kind: the type that typer parses.
        default: the value where it is not given; `...` where it must be.
        metavar: how the value is shown.
        parse: from the parsed value to the config's.
        also: a second key, which takes the typed value as it is.
        positional: whether it stands without its flag.
    """

    flag: str
    help: str
    key: str = ""
    kind: Any = str | None
    default: Any = None
    metavar: str | None = "TEXT"
    parse: Callable[[Any], Any] = _same
    also: str = ""
    positional: bool = False

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.flag.strip("-").replace("-", "_").lower()

    @property
    def parameter(self) -> Parameter:
        """The parameter that typer reads."""
        shown: dict[str, Any] = {"help": self.help, "metavar": self.metavar, "show_default": False}
        info = (
            typer.Argument(self.default, **shown) if self.positional else typer.Option(self.default, self.flag, **shown)
        )
        return Parameter(self.name, Parameter.KEYWORD_ONLY, default=info, annotation=self.kind)


def _file(flag: str, help_text: str, key: str = "", *, needed: bool = False) -> Option:
    kind: Any = Path if needed else Path | None
    return Option(flag, help_text, key, kind, ... if needed else None, "FILE")


def _number(flag: str, help_text: str, key: str) -> Option:
    return Option(flag, help_text, key, metavar="N", parse=number)


def _flag(flag: str, help_text: str) -> Option:
    return Option(flag, help_text, kind=bool, default=False, metavar=None)


CONFIG = Option(
    "CONFIG",
    "TOML file; options given here override it.",
    "",
    Path | None,
    None,
    "CONFIG.toml",
    positional=True,
)
HISTORY = _file("--history", "Sales by item and date, CSV or Parquet; without it the embedded panel.", "data.history")
ITEMS = _file("--items", "Lead time, costs and attributes by item.", "data.items")
NEEDED_HISTORY = _file("--history", "Sales by item and date, CSV or Parquet.", "data.history", needed=True)
STATE = _file("--state", "Units on hand and arriving by item.", "data.state")
READING = (
    Option("--freq", "Periods to study, e.g. W-MON; daily sales are summed up.", "data.freq"),
    Option("--missing", "A row missing from the history: error, zero or unknown.", "data.missing"),
    Option(
        "--column",
        "Our column name and the file's; may be repeated.",
        "data.columns",
        list[str] | None,
        metavar="OURS=THEIRS",
        parse=pairs,
    ),
    Option(
        "--known",
        "A covariate known ahead; may be repeated.",
        "data.known",
        list[str] | None,
        metavar="COLUMN",
    ),
)
COSTS = (
    _number("--lead-time", "Periods from order to receipt, where the items file has none.", "defaults.lead_time"),
    _number("--holding-cost", "Money per unit and period, likewise.", "defaults.holding_cost"),
    _number("--stockout-cost", "Money per unit short, likewise.", "defaults.stockout_cost"),
)
WINDOWS = (
    _number("--periods", "Periods held out at the end.", "backtest.periods"),
    _number("--validation", "Periods before them in which policies are tuned.", "backtest.validation"),
)
FORECASTER = Option(
    "--forecaster", "Name of the forecaster; see `fractile list`.", "forecast.forecaster", metavar="NAME"
)
POLICY = Option(
    "--policy",
    "Name of the policy; see `fractile list`.",
    "policies.names",
    default="newsvendor",
    metavar="NAME",
    parse=lambda name: [name],
    also="policies.baseline",
)
POLICIES = Option(
    "--policy", "A policy to compare; may be repeated.", "policies.names", list[str] | None, metavar="NAME"
)
BASELINE = Option("--baseline", "The policy that savings are measured against.", "policies.baseline", metavar="NAME")
HORIZON = _number("--horizon", "Periods ahead.", "forecast.horizon")
CONTESTANTS = Option(
    "--forecasters",
    "Names with commas between them; all where not given.",
    "lineage.forecasters",
    metavar="NAMES",
    parse=names,
)
LINEAGE = Option(
    "--lineage",
    "Add the league table of these forecasters, names with commas between them, or all.",
    "lineage.forecasters",
    metavar="NAMES",
    parse=names,
)
QUESTIONS = (
    _number("--horizon", "Periods ahead.", "lineage.horizon"),
    _number("--origins", "How many periods are forecast from.", "lineage.origins"),
    _number("--spacing", "Periods from one origin to the next; a horizon where not given.", "lineage.spacing"),
)
LEVELS = Option("--levels", "Quantile levels, e.g. 0.1,0.5,0.9.", metavar="LEVELS")
SEED = _number("--seed", "Every random draw follows from it.", "seed")
NAME = Option("--name", "What the run is called.", "name", metavar="NAME")
OUT = Option("--out", "Run folder; runs/NAME where not given.", kind=Path | None, metavar="FOLDER")
RESUME = _flag("--resume", "Go on in a run folder: forecasters that are finished there are not fitted again.")
OVERWRITE = _flag("--overwrite", "Replace a run folder that stands there.")
TABLE = _file("--out", "CSV or Parquet to write; without it CSV goes to standard output.")
PAGE = _file("--out", "Markdown, CSV or Parquet to write; without it Markdown goes to standard output.")
ONLY = Option("--only", "Names of instances, as in a shell; all where not given.", default="*", metavar="PATTERN")
QUICK = _flag("--quick", "Smaller work: an answer within a minute.")
RUN = Option("--run", "Folder of a kept run.", kind=Path, default=..., metavar="FOLDER")
REPORTED_RUN = Option("RUN", "Folder of a study's run.", kind=Path, default=..., metavar="FOLDER", positional=True)
COMMON = (
    _flag("--json", "Print one JSON document and nothing else."),
    _flag("--debug", "Show the whole traceback of an unexpected error."),
)


def signature(options: tuple[Option, ...]) -> Signature:
    """Return the signature that typer reads, the options of every command included."""
    return Signature([option.parameter for option in (*options, *COMMON)], return_annotation=None)


@dataclass(frozen=True)
class Given:
    """What was typed.

    Attributes:
        options: those the command takes.
        values: by parameter name.
    """

    options: tuple[Option, ...]
    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def as_json(self) -> bool:
        """Whether standard output is for machines."""
        return bool(self.values["json"])

    def config(self) -> StudyConfig:
        """Return the config file's config, or the default one, with what was typed laid over it.

        Raises:
            InputError: with every fault; a fault of a typed value is named by its flag.
        """
        from ..config import load_config

        typed = [option for option in self.options if option.key and self[option.name] not in (None, [])]
        overrides = {option.key: option.parse(self[option.name]) for option in typed}
        overrides |= {option.also: self[option.name] for option in typed if option.also}
        flags = {key: option.flag for option in typed for key in (option.key, option.also) if key}
        try:
            config = load_config(self.values.get("config"), overrides)
        except InputError as error:
            raise InputError(dict.fromkeys(_named_by_flag(fault, flags) for fault in error.faults)) from None
        return config.quick() if self.values.get("quick") else config


def _named_by_flag(fault: str, flags: Mapping[str, str]) -> str:
    path, colon, reason = fault.partition(": ")
    flag = next((flags[key] for key in flags if path == key or path.startswith(f"{key}.")), path)
    return f"{flag}{colon}{reason}"
