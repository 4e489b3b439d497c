"""What drives demand in the embedded retail panel: items, categories, calendar, prices and hidden levels.

Each draw is keyed by its purpose and by the item, category or supplier it belongs to, so that adding items
leaves the others as they are.

Hidden levels are three autoregressions that log demand follows. Each item has a slow level of its own, all items of
a category share a shock, and the public's interest in an item raises its demand one and two periods later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.special import ndtri

from ...arrays import BoolArray, FloatArray, IntArray
from ...randomness import keyed_generator
from ..data.calendar import year_angle

CATEGORIES = pd.DataFrame(
    [
        ("toys", 0.10, 340, 1.10, 0.25),
        ("garden", 0.80, 150, -0.30, 0.35),
        ("beverages", 0.30, 200, 0.35, 0.15),
        ("confectionery", 0.15, 20, 0.70, 0.80),
        ("household", 0.05, 90, 0.00, 0.00),
        ("clothing", 0.40, 330, 0.40, 0.05),
        ("stationery", 0.45, 245, 0.15, -0.10),
        ("pets", 0.05, 30, 0.10, 0.00),
    ],
    columns=["category", "amplitude", "peak_day", "christmas", "spring"],
)
"""Yearly swing, its day of the year, and holiday effects, all on the log of demand."""

SUPPLIERS = tuple(f"supplier-{k:02d}" for k in range(1, 11))
VIEWS_ALWAYS = 5.0
VIEWS_PER_UNIT = 15.0
"""Page views of an item that interests nobody, and per unit of base demand at usual interest."""
_LEAD_TIMES = np.array([1, 2, 2, 3, 1, 4, 2, 3, 1, 2])
_DEPTHS = np.array([0.10, 0.20, 0.25, 0.30, 0.40])
_PACKS = np.array([6.0, 10.0, 12.0, 24.0])


class Autoregression(NamedTuple):
    """A stationary process `x_t = memory · x_{t−1} + noise`.

    Attributes:
        memory: in (−1, 1).
        deviation: its standard deviation.
    """

    memory: float
    deviation: float

    def of(self, noise: FloatArray) -> FloatArray:
        """Turn standard normal noise, time last, into values of the process."""
        levels = np.empty_like(noise)
        levels[..., 0] = noise[..., 0]
        for t in range(1, noise.shape[-1]):
            levels[..., t] = self.memory * levels[..., t - 1] + np.sqrt(1 - self.memory**2) * noise[..., t]
        return self.deviation * levels

    def spread(self, horizon: int) -> FloatArray:
        """Return the covariance of the next values given the last one, shape (horizon, horizon)."""
        step = np.arange(1, horizon + 1)
        apart, since = np.abs(np.subtract.outer(step, step)), np.add.outer(step, step)
        return np.asarray(self.deviation**2 * (self.memory**apart - self.memory**since))


LEVEL = Autoregression(0.9, 0.25)
SHOCK = Autoregression(0.7, 0.12)
INTEREST = Autoregression(0.5, 0.3)
INTEREST_SHARES = (0.7, 0.3)
"""How much of interest acts one period later, and two."""


@dataclass(frozen=True, eq=False)
class HiddenLevels:
    """Hidden influences on the log of demand, none of them on record.

    Attributes:
        level: the item's own, shape (items, periods).
        shock: that of its category, shape (items, periods).
        interest: the public's, shape (items, 2 + periods): two periods before the first one are part of it.
        attention: how strongly log demand follows interest, shape (items,).
    """

    level: FloatArray
    shock: FloatArray
    interest: FloatArray
    attention: FloatArray

    @property
    def pull(self) -> FloatArray:
        """What past interest adds to log demand, shape (items, periods)."""
        soon, late = INTEREST_SHARES
        return self.attention[:, None] * (soon * self.interest[:, 1:-1] + late * self.interest[:, :-2])

    def state(self, origins: np.ndarray) -> FloatArray:
        """Return level, shock, and interest of one and of two periods ago: (items, origins, 4)."""
        at = np.asarray(origins)
        each = self.level[:, at - 1], self.shock[:, at - 1], self.interest[:, at + 1], self.interest[:, at]
        return np.stack(each, axis=-1)


@dataclass(frozen=True, eq=False)
class LevelBelief:
    """Normal beliefs about `HiddenLevels.state` before each origin, or before each period.

    Attributes:
        mean: shape (items, origins, 4).
        covariance: shape (items, origins, 4, 4), or None where the levels are known.
    """

    mean: FloatArray
    covariance: FloatArray | None = None

    def at(self, periods: IntArray) -> Self:
        """Return the beliefs before some of the periods."""
        covariance = None if self.covariance is None else self.covariance[:, periods]
        return replace(self, mean=self.mean[:, periods], covariance=covariance)


@dataclass(frozen=True, eq=False)
class Traits:
    """What is fixed about each item, arrays of shape (items,).

    Attributes:
        item_ids: one text an item.
        category: position in `CATEGORIES`.
        brand: a number from 1 on.
        supplier: position in `SUPPLIERS`.
        lead_time: periods, by supplier. [L]
        base: typical units per period, all effects aside.
        dispersion: size of the negative binomial; variance = mean + mean**2 / dispersion.
        price: regular price in the first period.
        unit_cost: purchase cost per unit. [c]
        critical_ratio: the share of periods that demand should be met in. [b / (b + h)]
        pack_size: units an order comes in.
        elasticity: change of log demand per log price, negative.
        display: what a promotion adds to log demand beside its price.
        promotion_rate: chance that a promotion starts in a period.
        swing: the item's own yearly amplitude on log demand.
        swing_phase: where it peaks, in radians.
        trend: change of log demand per year.
        attention: how strongly log demand follows the public's interest.
        rise_week: when the regular price goes up each year, in weeks.
        launch: the item's first period; 0 for one that was always there.
    """

    item_ids: tuple[str, ...]
    category: IntArray
    brand: IntArray
    supplier: IntArray
    lead_time: IntArray
    base: FloatArray
    dispersion: FloatArray
    price: FloatArray
    unit_cost: FloatArray
    critical_ratio: FloatArray
    pack_size: FloatArray
    elasticity: FloatArray
    display: FloatArray
    promotion_rate: FloatArray
    swing: FloatArray
    swing_phase: FloatArray
    trend: FloatArray
    attention: FloatArray
    rise_week: FloatArray
    launch: IntArray

    def select(self, items: IntArray) -> Self:
        """Return the traits of the items at these positions."""
        arrays = {field.name: getattr(self, field.name)[items] for field in fields(self) if field.name != "item_ids"}
        return replace(self, item_ids=tuple(self.item_ids[i] for i in items), **arrays)


@dataclass(frozen=True, eq=False)
class Market:
    """What holds in each period, arrays of shape (items, periods).

    Attributes:
        mean: expected demand given everything, hidden levels included; 0 before the launch.
        price: what a unit sells for.
        promotion: whether the item is promoted.
        holiday: whether the week leads up to Christmas or the spring holiday.
        fixed: log of expected demand as far as it is known ahead: all but the hidden levels.
        hidden: levels that nobody has on record.
        price_effect: what price and promotion add to log demand.
        listed: False before the launch.
    """

    mean: FloatArray
    price: FloatArray
    promotion: BoolArray
    holiday: BoolArray
    fixed: FloatArray
    hidden: HiddenLevels
    price_effect: FloatArray
    listed: BoolArray

    @property
    def interest(self) -> FloatArray:
        """The public's interest on a log scale, (items, periods); demand follows one and two periods later."""
        return self.hidden.interest[:, 2:]


def draw_traits(item_ids: Sequence[str], periods: int, seed: int) -> Traits:
    """Draw what is fixed about each item from its own generator."""
    draws = [keyed_generator(seed, "retail traits", item_id).random(22) for item_id in item_ids]
    u = np.array(draws).T
    supplier = _pick(len(SUPPLIERS), u[2])
    # Base demand and dispersion: 62 % smooth items, 22 % intermittent, 16 % lumpy.
    z, (kind, size, spread) = ndtri(u[4]), u[3:6]
    kinds = [(kind >= 0.62) & (kind < 0.84), kind >= 0.84]
    base = np.select(kinds, [_between(0.08, 0.7, size), 3.0 * np.exp(0.6 * z)], 12.0 * np.exp(0.9 * z))
    each = [_between(0.5, 2, spread), _between(0.15, 0.4, spread)]
    dispersion = np.select(kinds, each, _between(3, 12, spread))
    price = np.round(np.maximum(1.0, 8.0 * np.exp(0.7 * ndtri(u[6]))), 2)
    packed = (u[9] < 0.35) & (base > 3)
    return Traits(
        item_ids=tuple(item_ids),
        category=_pick(len(CATEGORIES), u[0]),
        brand=_pick(20, u[1]) + 1,
        supplier=supplier,
        lead_time=_LEAD_TIMES[supplier],
        base=base,
        dispersion=dispersion,
        price=price,
        unit_cost=np.round(price * _between(0.45, 0.75, u[7]), 2),
        critical_ratio=_between(0.7, 0.97, u[8]),
        pack_size=np.where(packed, _PACKS[_pick(len(_PACKS), u[10])], 1.0),
        elasticity=-_between(1.2, 3.2, u[11]),
        display=_between(0.1, 0.4, u[12]),
        promotion_rate=np.where(u[13] < 0.6, _between(0.04, 0.12, u[14]), 0.0),
        swing=_between(0.0, 0.3, u[15]),
        swing_phase=_between(0.0, 2 * np.pi, u[16]),
        trend=0.08 * ndtri(u[17]),
        attention=_between(0.5, 1.0, u[18]),
        rise_week=np.floor(_between(1, 53, u[19])),
        launch=np.where(u[20] < 0.15, np.floor(_between(0.1, 0.85, u[21]) * periods), 0).astype(np.int64),
    )


def draw_market(traits: Traits, dates: pd.DatetimeIndex, seed: int) -> Market:
    """Draw prices, promotions and hidden levels, and the expected demand that follows from them.

    log mean = log base + season + trend + holidays + elasticity * log(price / first price) + display - dip
    + hidden level + shock of the category + attention * (0.7 interest[t-1] + 0.3 interest[t-2]) + ramp-up
    """
    periods = len(dates)
    u = np.stack([keyed_generator(seed, "retail weeks", k).random((5, periods + 2)) for k in traits.item_ids])
    names = CATEGORIES["category"]
    shocks = np.array([keyed_generator(seed, "retail category", name).standard_normal(periods) for name in names])
    # Promotions last one or two weeks at a cut; the regular price rises by 4 % a year.
    start, second, depth = (u[:, k, :periods] for k in range(3))
    starts = start < traits.promotion_rate[:, None]
    goes_on = _before(starts & (second < 0.4)) & ~starts
    promotion = starts | goes_on
    cut = _DEPTHS[_pick(len(_DEPTHS), depth)]
    cut = np.where(starts, cut, np.where(goes_on, np.roll(cut, 1, axis=1), 0.0))
    rises = np.floor((np.arange(periods) + 53 - traits.rise_week[:, None]) / 53)
    price = np.round(traits.price[:, None] * 1.04**rises * (1 - cut), 2)
    hidden = HiddenLevels(
        level=LEVEL.of(ndtri(u[:, 4, :periods])),
        shock=SHOCK.of(shocks)[traits.category],
        interest=INTEREST.of(ndtri(u[:, 3])),
        attention=traits.attention,
    )
    # The season of the category and of the item, the two weeks before Christmas, and those before Easter, which moves.
    angle = year_angle(dates)
    peak = 2 * np.pi * _of_category("peak_day", traits) / 365.25
    own = traits.swing[:, None] * np.cos(angle - traits.swing_phase[:, None])
    season: FloatArray = _of_category("amplitude", traits) * np.cos(angle - peak) + own
    eve = pd.to_datetime(dates.year.astype(str) + "-12-24")
    until_christmas = (eve - dates).days.to_numpy()
    easter = pd.date_range(dates[0], dates[-1] + pd.Timedelta(days=400), freq=pd.offsets.Easter())
    until_easter = (easter[easter.searchsorted(dates)] - dates).days.to_numpy()
    christmas, spring = (until_christmas >= 0) & (until_christmas < 14), until_easter < 14
    age = np.arange(periods) - traits.launch[:, None]
    price_effect = traits.elasticity[:, None] * np.log(price / traits.price[:, None])
    price_effect += traits.display[:, None] * promotion
    log_mean = (
        np.log(traits.base)[:, None]
        + season
        + traits.trend[:, None] * np.arange(periods) / 52
        + _of_category("christmas", traits) * christmas
        + _of_category("spring", traits) * spring
        + price_effect
        - 0.12 * (_before(promotion) & ~promotion)
        + hidden.level
        + hidden.shock
        + hidden.pull
        + np.where(traits.launch[:, None] > 0, np.log1p(-0.75 * np.exp(-np.maximum(age, 0) / 5)), 0.0)
    )
    listed = age >= 0
    holiday = np.broadcast_to(christmas | spring, listed.shape)
    mean = np.where(listed, np.exp(log_mean), 0.0)
    fixed = log_mean - hidden.level - hidden.shock - hidden.pull
    return Market(mean, price, promotion, holiday, fixed, hidden, price_effect, listed)


def _pick(count: int, u: FloatArray) -> IntArray:
    return np.floor(u * count).astype(np.int64)


def _before(flags: BoolArray) -> BoolArray:
    """Return the flags of the period before, False in the first."""
    return np.pad(flags, ((0, 0), (1, 0)))[:, :-1]


def _between(low: float, high: float, u: FloatArray) -> FloatArray:
    return low + (high - low) * u


def _of_category(column: str, traits: Traits) -> FloatArray:
    values: FloatArray = CATEGORIES[column].to_numpy(dtype=np.float64)[traits.category][:, None]
    return values


def state_effects(attention: FloatArray, horizon: int) -> FloatArray:
    """Return how `HiddenLevels.state` acts on expected log demand from 1 to `horizon` periods later.

    Args:
        attention: shape (items,).
        horizon: periods ahead.

    Returns:
        shape (items, horizon, 4).
    """
    step = np.arange(1, horizon + 1)
    effects = np.zeros((len(attention), horizon, 4))
    effects[:, :, 0] = LEVEL.memory**step
    effects[:, :, 1] = SHOCK.memory**step
    # Interest of one period ago fades from then on; that of two periods ago acts once more, on the first period.
    recent = _interest_weights(horizon) @ INTEREST.memory ** np.arange(horizon)
    effects[:, :, 2] = attention[:, None] * recent
    effects[:, 0, 3] = attention * INTEREST_SHARES[1]
    return effects


def future_covariance(attention: FloatArray, horizon: int) -> FloatArray:
    """Return the covariance of log demand's hidden part over the horizon, given the state at the origin.

    Args:
        attention: shape (items,).
        horizon: periods ahead.

    Returns:
        shape (items, horizon, horizon).
    """
    spread = np.zeros((horizon, horizon))
    spread[1:, 1:] = INTEREST.spread(horizon)[:-1, :-1]
    weights = _interest_weights(horizon)
    pulled = weights @ spread @ weights.T
    own = LEVEL.spread(horizon) + SHOCK.spread(horizon)
    return np.asarray(own + (attention**2)[:, None, None] * pulled)


def _interest_weights(horizon: int) -> FloatArray:
    """Weights of interest, from one period before the origin on, in each period's log demand."""
    soon, late = INTEREST_SHARES
    return soon * np.eye(horizon) + late * np.eye(horizon, k=-1)
