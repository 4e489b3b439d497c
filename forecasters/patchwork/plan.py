"""What the logarithm of demand is explained by: chosen from a history, then the same columns for every forecast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ...arrays import BoolArray, FloatArray, IntArray
from ..base import Config
from ..data.calendar import phase_of, season_of
from ..data.panel import SalesPanel
from ..features.history import launches
from ..features.kinds import classify_covariates, fill_gaps
from ..features.season import year_waves

HARMONICS = 3
"""Waves a year that make up the season of weeks."""
YEARLY_SEASONS, SHORT_SEASONS = 1.15, 2.0
"""How many seasons a history must span before one is estimated: of 52 weeks, and of few periods."""
GAP = 45
"""Days without a holiday that part two occasions of the year."""
BEFORE = 22
"""Days by which an occasion may come earlier than it did in the history."""
PRICE_CAP = 1.0
"""Largest log of a price against the regular one that is taken at its word."""
CUT = -0.03
"""Log price against the regular one below which an item counts as promoted."""


@dataclass(frozen=True)
class Occasion:
    """A calendar flag, where it falls into some part of the year.

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
        prices: known covariates that are prices: their logarithm against what is regular.
        flags: known flags that differ between items, e.g. promotions.
        window: periods whose running median is the regular price.
        ages: how fast a launch settles, periods; none without a cold start.
        codes: known codes with one of their values, the most frequent one left out: a column each.
    """

    harmonics: int = 0
    phases: int = 0
    occasions: tuple[Occasion, ...] = ()
    prices: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    window: int = 13
    ages: tuple[float, ...] = ()
    codes: tuple[tuple[str, float], ...] = ()

    def to_config(self) -> Config:
        """Return what `from_config` needs, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Rebuild from `to_config()`."""
        lists = {name: tuple(config[name]) for name in ("prices", "flags", "ages")}
        codes = tuple((name, value) for name, value in config["codes"])
        occasions = tuple(Occasion(**one) for one in config["occasions"])
        return cls(**{**config, **lists, "codes": codes, "occasions": occasions})


def make_plan(panel: SalesPanel, *, seasonal: bool, elasticity: bool, cold_start: bool) -> Plan:
    """Choose what a history of this length, with these covariates, can be explained by."""
    season = season_of(panel.freq)
    spanned = panel.periods / season
    short = 1 < season <= 24
    days = short and season <= 7
    covariates = classify_covariates(panel, ahead=True)
    own = [one for one in covariates if elasticity and not one.calendar]
    codes = [one.name for one in covariates if one.kind == "code" and (seasonal if one.calendar else elasticity)]
    values_of_codes = []
    for name in codes:
        values = panel.known[name][panel.informative]
        found, count = np.unique(values[np.isfinite(values)], return_counts=True)
        # The level stands for the most frequent value.
        values_of_codes += [(name, float(value)) for value in np.delete(found, count.argmax())]
    launched = bool((~panel.listed[:, 0] & panel.listed.any(axis=1)).any())
    holidays = [one.name for one in covariates if seasonal and one.calendar and one.kind == "flag"]
    return Plan(
        harmonics=HARMONICS if seasonal and season > 24 and spanned >= YEARLY_SEASONS else 0,
        phases=season if seasonal and short and spanned >= SHORT_SEASONS else 0,
        occasions=tuple(occasions_of(panel, holidays)),
        prices=tuple(one.name for one in own if one.kind == "price"),
        flags=tuple(one.name for one in own if one.kind == "flag"),
        window=28 if days else 13,
        ages=() if not cold_start or not launched else (7.0, 28.0) if days else (4.0, 13.0),
        codes=tuple(values_of_codes),
    )


def occasions_of(panel: SalesPanel, names: list[str]) -> Iterator[Occasion]:
    """Split each holiday covariate into the parts of the year that it falls in, where these lie well apart.

    A holiday that moves stays within its part, and Christmas may have another effect than Easter.
    """
    yearly = season_of(panel.freq) > 7
    for name in names:
        day = np.unique(panel.dates.dayofyear.to_numpy()[panel.known[name][0] > 0])
        # Days of the year with a gap before them, going around the year.
        before = np.diff(np.concatenate([day[-1:] - 366, day]))
        starts = day[before > GAP] if yearly else day[:0]
        if not 2 <= len(starts) <= 6:
            yield Occasion(name)
            continue
        for first, following in zip(starts, np.roll(starts, -1), strict=True):
            yield Occasion(name, (int(first) - BEFORE - 1) % 366 + 1, int((following - first) % 366))


def make_columns(panel: SalesPanel, plan: Plan) -> FloatArray:
    """Return the columns of a plan, those of age last, shape (items, periods, columns).

    Only items that were launched within the panel are young; how old the others are is not known.
    """
    shape = panel.sales.shape
    shared = [wave for sine, cosine in year_waves(panel.dates, plan.harmonics) for wave in (cosine, sine)]
    if plan.phases:
        shared += [(phase_of(panel.dates, plan.phases) == k) - 1.0 / plan.phases for k in range(plan.phases)]
    own: list[FloatArray] = []
    for one in plan.occasions:
        inside = (panel.dates.dayofyear.to_numpy() - one.first) % 366 < one.days
        own.append(((_known(panel, one.name) > 0) & inside).astype(np.float64))
    own += [relative_price(panel, name, plan.window) for name in plan.prices]
    for name in plan.flags:
        flag = _known(panel, name) > 0
        ended = np.pad(flag, ((0, 0), (1, 0)))[:, :-1] & ~flag  # demand that the flag took from the next period
        own += [flag.astype(np.float64), ended.astype(np.float64)]
    own += [(_known(panel, name) == value).astype(np.float64) for name, value in plan.codes]
    plain = [*(np.broadcast_to(column, shape) for column in shared), *own]
    launched = launches(panel)
    age = np.arange(panel.periods) - launched[:, None]
    young = age_columns(age, plan) * (launched > 0)[:, None, None]
    return np.concatenate([np.stack(plain, axis=-1) if plain else np.zeros((*shape, 0)), young], axis=-1)


def age_columns(age: IntArray, plan: Plan) -> FloatArray:
    """Return `exp(−age / τ)` for each pace τ of a launch, shape (..., paces)."""
    paces = np.asarray(plan.ages).reshape(1, -1)
    return np.exp(-np.maximum(age, 0)[..., None] / paces)


def relative_price(panel: SalesPanel, name: str, window: int) -> FloatArray:
    """Return the log of a price against its running median, that of the `window` periods up to this one."""
    price = np.maximum(fill_gaps(_known(panel, name), 0.0), 1e-9)
    padded = np.pad(price, ((0, 0), (window - 1, 0)), mode="edge")
    regular = np.median(sliding_window_view(padded, window, axis=1), axis=-1)
    return np.asarray(np.clip(np.log(price / regular), -PRICE_CAP, PRICE_CAP))


def find_promotions(panel: SalesPanel, plan: Plan) -> BoolArray:
    """Say where an item is promoted or its price cut, shape (items, periods)."""
    cut = np.zeros(panel.sales.shape, dtype=bool)
    for name in plan.flags:
        cut |= _known(panel, name) > 0
    for name in plan.prices:
        cut |= relative_price(panel, name, plan.window) < CUT
    return cut


def log_prices(panel: SalesPanel) -> FloatArray:
    """Return the log of what an item sells for, (items, periods): 0 where no price is known ahead."""
    price = panel.known.get("price")
    if price is None:
        return np.zeros(panel.sales.shape)
    return np.log(np.where(price > 0, price, 1.0))


def _known(panel: SalesPanel, name: str) -> FloatArray:
    """Return a known covariate; where a panel lacks it, nothing ever happens."""
    return panel.known.get(name, np.zeros(panel.sales.shape))
