"""The config of a study: one frozen object, read from TOML, checked as a whole and written back."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import Field, ValidationError, model_validator

from ..errors import InputError
from ..registry import is_address
from .own_code import check_own_code
from .scale_section import ScaleConfig
from .sections import (
    BOUNDS,
    CHEAPEST,
    FEWEST_HELD_OUT,
    FEWEST_SIMULATED,
    OUTSIDE,
    OWN_ORDERS,
    TRUTH,
    BacktestConfig,
    DataConfig,
    DefaultsConfig,
    ForecastConfig,
    ImpactConfig,
    LineageConfig,
    PoliciesConfig,
    ReportConfig,
    Section,
    StatisticsConfig,
    TrainingConfig,
    absolute,
    list_faults,
)
from .trial_sections import ChoiceConfig, SweepConfig

__all__ = [
    "BacktestConfig",
    "ChoiceConfig",
    "DataConfig",
    "DefaultsConfig",
    "ForecastConfig",
    "ImpactConfig",
    "LineageConfig",
    "PoliciesConfig",
    "ReportConfig",
    "ScaleConfig",
    "StatisticsConfig",
    "StudyConfig",
    "SweepConfig",
    "TrainingConfig",
    "load_config",
]

FILES = ("history", "items", "state")
"""The keys of `[data]` that are paths."""
CHEAP = ("seasonal_naive", "patchwork", "ets", "croston")
"""Forecasters that `auto` tries in a quick run."""
LARGEST_TOML = 10_000_000
"""Bytes of a config file."""
QUICK_STEPS = 150
"""Gradient steps of `mqcnn` in a quick study."""


class StudyConfig(Section):
    """A whole study; see the sections for what each key means.

    Attributes:
        name: what the run folder is called; the history's folder, or "embedded", where none is given.
        seed: every random draw follows from it.
    """

    name: Annotated[
        str,
        Field(
            pattern=r"^[^/\\\x00-\x1f\x7f]*[^/\\\x00-\x1f\x7f.][^/\\\x00-\x1f\x7f]*$",
            description="a text that can name a folder",
        ),
    ] = "embedded"
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32, description="a whole number from 0 to 4294967295")] = 0
    data: Annotated[DataConfig, Field(description="a table")] = DataConfig()
    defaults: Annotated[DefaultsConfig, Field(description="a table")] = DefaultsConfig()
    backtest: Annotated[BacktestConfig, Field(description="a table")] = BacktestConfig()
    forecast: Annotated[ForecastConfig, Field(description="a table")] = ForecastConfig()
    lineage: Annotated[LineageConfig, Field(description="a table")] = LineageConfig()
    impact: Annotated[ImpactConfig, Field(description="a table")] = ImpactConfig()
    policies: Annotated[PoliciesConfig, Field(description="a table")] = PoliciesConfig()
    sweep: Annotated[SweepConfig, Field(description="a table")] = SweepConfig()
    choice: Annotated[ChoiceConfig, Field(description="a table")] = ChoiceConfig()
    training: Annotated[TrainingConfig, Field(description="a table")] = TrainingConfig()
    statistics: Annotated[StatisticsConfig, Field(description="a table")] = StatisticsConfig()
    report: Annotated[ReportConfig, Field(description="a table")] = ReportConfig()
    scale: Annotated[ScaleConfig, Field(description="a table")] = ScaleConfig()

    @model_validator(mode="before")
    @classmethod
    def _name_after_history(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or "name" in raw:
            return raw
        data = raw.get("data", {})
        history = data.get("history") if isinstance(data, dict) else getattr(data, "history", None)
        if not isinstance(history, str | Path):
            return raw
        name = re.sub(r"[^\w.-]+", "_", absolute(Path(history)).parent.name).strip("._")
        return {**raw, "name": name or "study"}

    @model_validator(mode="after")
    def _history_is_long_enough(self) -> StudyConfig:
        held_out = (self.backtest.periods or FEWEST_HELD_OUT) + self.backtest.validation
        if self.data.history is None and self.data.embedded_periods <= held_out:
            rule = f"must be more than backtest.periods + backtest.validation = {held_out}"
            raise InputError([f"data.embedded_periods: {rule}, got {self.data.embedded_periods}"])
        return self

    @property
    def drawn_policies(self) -> tuple[str, ...]:
        """Policies that are compared in simulated histories: no bounds, no orders on record; none where fewer than two.

        None, too, where the baseline itself is no such policy, or where no histories are to be drawn.
        """
        names = tuple(name for name in self.policies.names if name not in (*BOUNDS, OWN_ORDERS))
        drawn = len(names) > 1 and self.backtest.simulated_histories >= FEWEST_SIMULATED
        return names if drawn and self.policies.baseline in (*names, CHEAPEST) else ()

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files that it names."""
        named = (self.data.history, self.data.items, self.data.state, *self.forecast.files.values())
        return tuple(Path(path) for path in named if path is not None)

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> StudyConfig:
        """Build and check the config of a nested mapping.

        Raises:
            InputError: with every fault, each with its dotted path.
        """
        try:
            return cls.model_validate(dict(raw), context={OUTSIDE: _outside_names(raw)})
        except ValidationError as error:
            raise InputError(list_faults(cls, error)) from None

    def with_overrides(self, overrides: Mapping[str, Any]) -> StudyConfig:
        """Return a checked copy in which dotted keys, e.g. "training.ppo_steps", have other values."""
        return self.from_mapping(_override(self.model_dump(exclude_unset=True), overrides))

    def quick(self) -> StudyConfig:
        """Return a copy that takes about a minute: fewer items, forecasters and training steps."""
        choice, training, options = self.choice, self.training, self.forecast.options.get("mqcnn", {})
        steps = options.get("steps", QUICK_STEPS)
        valued = ("seasonal_naive", "patchwork", *((TRUTH,) if self.data.history is None else ()))
        return self.with_overrides(
            {
                "data.embedded_items": min(self.data.embedded_items, 60),
                "forecast.also": [name for name in self.forecast.also if name == "seasonal_naive"],
                "forecast.options.mqcnn.steps": min(steps, QUICK_STEPS) if isinstance(steps, int) else steps,
                "lineage.quick": True,
                "impact.forecasters": self.impact.forecasters or valued,
                "impact.simulated_items": min(self.impact.simulated_items, 12),
                "impact.simulated_paths": min(self.impact.simulated_paths, 12),
                "choice.forecasters": [n for n in choice.forecasters if n in CHEAP] or choice.forecasters[:1],
                "choice.policies": [n for n in choice.policies if n != "lookahead"] or choice.policies,
                "choice.windows": min(choice.windows, 2),
                "choice.steps": min(choice.steps, 2),
                "training.refits": min(training.refits, 1),
                "training.seeds": 1,
                "backtest.simulated_histories": min(self.backtest.simulated_histories, 20),
                "backtest.folds": 1,
                "training.simulated_paths": min(training.simulated_paths, 1),
                "training.backprop_steps": min(training.backprop_steps, 60),
                "training.ppo_steps": min(training.ppo_steps, 20_000),
            }
        )

    def to_toml(self, *, unset: bool = True) -> str:
        """Return TOML that `load_config` reads back as this config; paths in it are absolute.

        Args:
            unset: whether keys that were not given are written, too, with their defaults.
        """
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True, exclude_unset=not unset))


def load_config(
    path: Path | str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    trusted: Collection[str] | None = None,
) -> StudyConfig:
    """Return the config of a TOML file (none: the defaults), with options laid over it.

    Where both `forecast.forecaster` and `policies.names` are given, no forecaster is scored beside it by default.

    Args:
        path: a TOML file; relative paths in it are relative to its folder.
        overrides: values by dotted key, e.g. `{"data.history": "sales.csv"}`; relative paths are relative to
            the working folder.
        trusted: classes of one's own that may be imported, for a file of unknown origin; None: all that it names.

    Raises:
        InputError: with every fault, each with its dotted path.
    """
    overrides = overrides or {}
    raw = {} if path is None else read_toml(Path(path))
    if path is not None and trusted is not None:
        check_own_code(Path(path), raw, trusted)
    try:
        return StudyConfig.from_mapping(_no_more_than_named(_override(raw, overrides)))
    except InputError as error:
        own = [fault.startswith(tuple(overrides)) or path is None for fault in error.faults]
        raise InputError(
            fault if given else f"{path}: {fault}" for fault, given in zip(error.faults, own, strict=True)
        ) from None


def read_toml(path: Path) -> dict[str, Any]:
    """Read a config file; its relative paths become relative to its folder."""
    try:
        _refuse_strange_file(path)
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        own = (
            "; the address of a class goes with --policy or --forecaster; demand models and systems of your own are "
            "used in Python"
        )
        raise InputError([f"{path}: there is no such config file{own if is_address(path.name) else ''}"]) from None
    except IsADirectoryError:
        raise InputError([f"{path}: is a folder; give a TOML file"]) from None
    except OSError as error:
        raise InputError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise InputError([f"{path}: is not UTF-8 text; save it as UTF-8"]) from None
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python reads
        raise InputError([f"{path}: is not valid TOML: {error}"]) from None
    except RecursionError:
        raise InputError([f"{path}: is nested too deeply; write tables in tables three deep at most"]) from None
    data, forecast = raw.get("data"), raw.get("forecast")
    if isinstance(data, dict):
        beside = {k: path.parent / Path(data[k]).expanduser() for k in FILES if isinstance(data.get(k), str)}
        raw["data"] = {**data, **beside}
    if isinstance(forecast, dict) and isinstance(forecast.get("files"), dict):
        given = forecast["files"].items()
        beside = {k: path.parent / Path(v).expanduser() if isinstance(v, str) else v for k, v in given}
        raw["forecast"] = {**forecast, "files": beside}
    return raw


def _refuse_strange_file(path: Path) -> None:
    """Raise where reading would wait, or never end: a pipe, a device, a file far larger than any config."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError([f"{path}: is a device or a pipe; give a TOML file"])
    if path.is_file() and path.stat().st_size > LARGEST_TOML:
        raise InputError([f"{path}: holds more than {LARGEST_TOML:,} bytes, as no config does; give a TOML file"])


def _outside_names(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of forecasts made elsewhere that a config gives, whatever else is wrong with it."""
    forecast = raw.get("forecast")
    files = forecast.get("files") if isinstance(forecast, Mapping) else getattr(forecast, "files", None)
    return tuple(map(str, files)) if isinstance(files, Mapping) else ()


def _no_more_than_named(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a config that scores no forecasters by default where it names its forecaster and its policies."""
    forecast, policies = raw.get("forecast"), raw.get("policies")
    if not (isinstance(forecast, Mapping) and isinstance(policies, Mapping)):
        return raw
    named = "forecaster" in forecast and "names" in policies and "also" not in forecast
    return {**raw, "forecast": {**forecast, "also": ()}} if named else raw


def _override(raw: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(raw)
    for key, value in overrides.items():
        head, _, rest = key.partition(".")
        below = result.get(head, {})
        if not rest:
            result[head] = value
        elif isinstance(below, Mapping):  # anything else is a fault that checking reports
            result[head] = _override(below, {rest: value})
    return result
