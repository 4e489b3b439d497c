"""What the logarithm of demand is explained by: chosen from a history, then the same for every forecast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from ...arrays import FloatArray, IntArray
from ..base import Config, season_of
from ..data.panel import SalesPanel

HARMONICS = 3
"""Waves a year that make up the season of weeks."""
YEARLY_SEASONS, SHORT_SEASONS = 1.15, 2.0
"""How many seasons a history must span before one is estimated: of 52 weeks, and of few periods."""
GAP = 45
"""Days without a holiday that part two occasions of the year."""
BEFORE = 22
"""Days by which an occasion may come earlier than it did in the history."""


@dataclass(frozen=True)
class Occasion:
    """A known 0/1 covariate of the calendar, where it falls into some part of the year.

    Attributes:
        name: of the covariate.
        first: day of the year (1 to 366) at which the part begins.
        days: its length; 366 for the whole year.
    """

    name: str
    first: int = 1
    days: int = 366


@dataclass(frozen=True)
class Plan:
    """The columns that explain log demand.

    Attributes:
        harmonics: waves a year; 0 without a yearly season.
        phases: periods of a short season (7 days, 12 months, …), a column each; 0 without one.
        occasions: holidays, each with an effect of its own.
        prices: known covariates that work as a price: their logarithm against what is regular.
        flags: known 0/1 covariates that differ between items, e.g. promotions.
        window: periods whose running median is the regular price.
        ages: how fast a launch settles, periods; none without a cold start.
    """

    harmonics: int = 0
    phases: int = 0
    occasions: tuple[Occasion, ...] = ()
    prices: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    window: int = 13
    ages: tuple[float, ...] = ()

    def to_config(self) -> Config:
        """Return what `from_config` needs, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Rebuild from `to_config()`."""
        lists = {name: tuple(config[name]) for name in ("prices", "flags", "ages")}
        return cls(**{**config, **lists, "occasions": tuple(Occasion(**one) for one in config["occasions"])})


def planned(panel: SalesPanel, *, seasonal: bool, elasticity: bool, cold_start: bool) -> Plan:
    """Choose what a history of this length, with these covariates, can be explained by."""
    season = season_of(panel.freq)
    spanned = panel.periods / season
    short = 1 < season <= 24
    varying = _varying(panel)
    positive = {name for name in varying if panel.known[name][panel.informative].min() > 0}
    calendar = [name for name in varying if _is_flag(panel.known[name]) and _is_shared(panel.known[name])]
    days = short and season <= 7
    launched = bool((~panel.listed[:, 0] & panel.listed.any(axis=1)).any())
    return Plan(
        harmonics=HARMONICS if seasonal and season > 24 and spanned >= YEARLY_SEASONS else 0,
        phases=season if seasonal and short and spanned >= SHORT_SEASONS else 0,
        occasions=tuple(occasions_of(panel, calendar)) if seasonal else (),
        prices=tuple(n for n in varying if elasticity and n in positive and not _is_flag(panel.known[n])),
        flags=tuple(n for n in varying if elasticity and _is_flag(panel.known[n]) and n not in calendar),
        window=28 if days else 13,
        ages=() if not cold_start or not launched else (7.0, 28.0) if days else (4.0, 13.0),
    )


def occasions_of(panel: SalesPanel, names: list[str]) -> Iterator[Occasion]:
    """Split each holiday covariate into the parts of the year that it falls in, where these lie well apart.

    A holiday that moves stays within its part, and Christmas may have another effect than Easter.
    """
    yearly = season_of(panel.freq) > 7
    for name in names:
        day = np.unique(panel.dates.dayofyear.to_numpy()[panel.known[name][0] > 0])
        starts = _starts(day) if yearly else np.zeros(0, dtype=np.int64)
        if not 2 <= len(starts) <= 6:
            yield Occasion(name)
            continue
        for first, following in zip(starts, np.roll(starts, -1), strict=True):
            yield Occasion(name, (int(first) - BEFORE - 1) % 366 + 1, int((following - first) % 366))


def phase_of(dates: pd.DatetimeIndex, phases: int) -> IntArray:
    """Return the phase of a short season that each period is in, 0 ... phases − 1."""
    calendar: dict[int, Any] = {4: dates.quarter - 1, 5: dates.dayofweek, 7: dates.dayofweek, 12: dates.month - 1}
    return np.asarray(calendar.get(phases, dates.hour), dtype=np.int64) % phases


def _varying(panel: SalesPanel) -> list[str]:
    """Known covariates that are not the same in all that can be learnt from."""
    seen = {name: values[panel.informative] for name, values in panel.known.items()}
    return [name for name, values in seen.items() if len(values) and values.min() < values.max()]


def _is_flag(values: FloatArray) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _is_shared(values: FloatArray) -> bool:
    return bool((values == values[:1]).all())


def _starts(day: IntArray) -> IntArray:
    """Days of the year with a gap before them, going around the year."""
    if not len(day):
        return np.zeros(0, dtype=np.int64)
    before = np.diff(np.concatenate([[day[-1] - 366], day]))
    return np.asarray(day[before > GAP], dtype=np.int64)
