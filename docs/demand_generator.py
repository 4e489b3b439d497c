"""A second generator of demand, unlike the embedded panel: a forecaster fitted to that panel's habits fails here.

Weekly demand of a chain of shops. What differs from the embedded panel: levels wander and do not return (random walks,
martingales in units); the season is that of the quarter, with a rush at its end; all items share a slow wave, and each
department a gamma shock without memory; demand is Poisson, Poisson with gamma frailty, or zero in many weeks
(zero-inflated); items are launched in cohorts and sell best at first, and some are discontinued; the regular price
moves in steps, and nothing is promoted; the shelf is filled to its capacity whenever a truck comes, which is a matter
of chance.

    log rate = level[t] + rush(department, week of the quarter) + wave[t] + elasticity · log(price / first price)
               + novelty(age);     D = 0 with probability `empty`, else Poisson(rate · G[department] · g[item])

where G and g are gamma with mean 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import betainc, gammaln

import fractile as fr
from fractile.randomness import keyed_generator

DEPARTMENTS = ("fresh", "durable", "office")
RUSH = np.array([0.15, 0.5, 0.9])
"""Rise of log demand from the first week of a quarter to its last, by department."""
QUARTER = 13
WAVE_MEMORY, WAVE_DEVIATION = 0.8, 0.12
SHOCK_SHAPE = 60.0
"""Shape of the departments' gamma shocks: a standard deviation of 0.13."""
FIRST_DEVIATION = 0.4
"""Standard deviation of an item's first level around its usual one, on the log."""
NOVELTY, NOVELTY_FADES = 0.7, 6.0
PARTICLES = 400


@dataclass(frozen=True, eq=False)
class Chain:
    """A panel of the second generator, what it was made from, and its true laws.

    Attributes:
        panel: what is on record: sales, stock flags, price (known ahead) and the department.
        demand: of customers, units, shape (items, periods).
        department: position in `DEPARTMENTS`, shape (items,).
        usual: log of an item's usual demand, shape (items,).
        step: standard deviation of the level's weekly steps, shape (items,).
        frailty: shape of the item's own gamma shocks, shape (items,).
        empty: probability of a week without customers, shape (items,).
        alive: whether anybody wants the item, shape (items, periods).
        fixed: log of expected demand but for level, wave and shocks, shape (items, periods).
        wave: what all items share, shape (periods,).
        shock: the departments' shocks, mean 1, shape (departments, periods).
    """

    panel: fr.SalesPanel
    demand: np.ndarray
    department: np.ndarray
    usual: np.ndarray
    step: np.ndarray
    frailty: np.ndarray
    empty: np.ndarray
    alive: np.ndarray
    fixed: np.ndarray
    wave: np.ndarray
    shock: np.ndarray

    def beliefs(self, origins: list[int]) -> dict[int, np.ndarray]:
        """Return draws of every item's level in the week before each origin, given the record, (items, particles).

        A bootstrap particle filter. The shocks that items share are taken as known: the sales of a hundred items tell
        them. Where the last unit was sold, the record says that demand was larger.
        """
        record, rng = self.panel, keyed_generator(0, "beliefs")
        level = self.usual[:, None] + FIRST_DEVIATION * rng.standard_normal((record.items, PARTICLES))
        sold_out = ~record.in_stock & (record.sales > 0)
        found, rows = {}, np.arange(record.items)
        for t in range(max(origins)):
            if t > 0:
                level = _wander(level, self.step[:, None], rng.standard_normal(level.shape))
            rate = np.exp(level + (self.fixed[:, t] + self.wave[t])[:, None]) * self.shock[self.department, t, None]
            log_weight = np.zeros_like(level)
            told = (record.in_stock[:, t] | sold_out[:, t]) & self.alive[:, t]
            log_weight[told] = self._log_likelihood(rate[told], record.sales[told, t], sold_out[told, t], rows[told])
            weight = np.exp(log_weight - log_weight.max(1, keepdims=True))
            ladder = np.cumsum(weight, axis=1)
            points = (np.arange(PARTICLES) + rng.random((record.items, 1))) / PARTICLES * ladder[:, -1:]
            chosen = np.stack([np.searchsorted(steps, at) for steps, at in zip(ladder, points, strict=True)])
            level = np.take_along_axis(level, np.minimum(chosen, PARTICLES - 1), axis=1)
            if t + 1 in origins:
                found[t + 1] = level
        return found

    def _log_likelihood(
        self, rate: np.ndarray, sales: np.ndarray, sold_out: np.ndarray, items: np.ndarray
    ) -> np.ndarray:
        """Return log P(D = sales), or log P(D > sales) where the last unit was sold, of each particle's rate."""
        size, empty, sales = self.frailty[items, None], self.empty[items, None], sales[:, None]
        share = rate / (size + rate)
        count = gammaln(sales + size) - gammaln(size) - gammaln(sales + 1) + size * np.log1p(-share)
        equal = (1 - empty) * np.exp(count + sales * np.log(share)) + empty * (sales == 0)
        more = (1 - empty) * betainc(sales + 1.0, size, share)
        return np.log(np.maximum(np.where(sold_out[:, None], more, equal), 1e-300))

    def paths(
        self, origin: int, horizon: int, number: int, rng: np.random.Generator, level: np.ndarray | None = None
    ) -> np.ndarray:
        """Draw demand from its true law at an origin, jointly over items, given the record before it.

        Args:
            origin: the first period.
            horizon: periods.
            number: of paths.
            rng: where draws come from.
            level: of `beliefs` at this origin, where they are there already.

        Returns:
            units, shape (paths, periods, items).
        """
        level = self.beliefs([origin])[origin] if level is None else level
        items = np.arange(self.panel.items)
        now = level[items, rng.integers(PARTICLES, size=(number, len(items)))]
        wave = np.full(number, self.wave[origin - 1])
        drawn = np.empty((number, horizon, len(items)))
        for t in range(origin, origin + horizon):
            now = _wander(now, self.step, rng.standard_normal(now.shape))
            wave = WAVE_MEMORY * wave + WAVE_DEVIATION * np.sqrt(1 - WAVE_MEMORY**2) * rng.standard_normal(number)
            shock = rng.gamma(SHOCK_SHAPE, 1 / SHOCK_SHAPE, (number, len(DEPARTMENTS)))
            rate = np.exp(now + self.fixed[:, t] + wave[:, None]) * shock[:, self.department]
            drawn[:, t - origin] = _demand(rng, rate, self.frailty, self.empty) * self.alive[:, t]
        return drawn

    def quantiles(self, origins: list[int], horizon: int, levels: np.ndarray, number: int = 1500) -> np.ndarray:
        """Return quantiles of the true law given the record: units, shape (items, origins, horizon, levels)."""
        beliefs, values = self.beliefs(origins), []
        for origin in origins:
            drawn = self.paths(origin, horizon, number, keyed_generator(0, "quantiles", origin), beliefs[origin])
            values.append(np.quantile(drawn, levels, axis=0, method="inverted_cdf").transpose(2, 1, 0))
        return np.stack(values, axis=1)


def chain(items: int = 100, periods: int = 157, seed: int = 0) -> Chain:
    """Make a panel of the second generator.

    Args:
        items: number of items.
        periods: weeks.
        seed: an integer >= 0.
    """
    dates = pd.date_range("2021-01-04", periods=periods, freq="W-MON")
    u = np.array([keyed_generator(seed, "chain traits", k).random(12) for k in range(items)]).T
    department = np.floor(u[0] * len(DEPARTMENTS)).astype(np.int64)
    kind = np.digitize(u[1], [0.3, 0.75])  # Poisson, with frailty, zero-inflated
    usual = np.log(np.choose(kind, [2 + 28 * u[2] ** 2, 1 + 59 * u[2] ** 2, 2 + 10 * u[2]]))
    frailty = np.choose(kind, [400.0, 1.5 + 6 * u[3], 4.0])
    empty = np.where(kind == 2, 0.35 + 0.4 * u[4], 0.0)
    step, elasticity = 0.02 + 0.05 * u[5], -0.5 - 1.5 * u[6]
    launch = np.where(u[7] < 0.25, QUARTER * np.floor(1 + 8 * u[8]), 0).astype(np.int64)
    launch = np.minimum(launch, periods - 1)
    end = np.where((u[9] < 0.06) & (launch == 0), np.floor(periods * (0.45 + 0.2 * u[10])), periods)
    week = np.arange(periods)
    age = week - launch[:, None]
    alive = (age >= 0) & (week < end[:, None])
    drift, moves, noise = (_each(seed, items, periods, k) for k in range(3))
    change = np.where(moves.random < 1 / 26, 0.88 + 0.27 * noise.random, 1.0)
    price = np.round(5.0 * np.exp(u[11])[:, None] * np.cumprod(change, axis=1), 2)
    quarter = (dates.dayofyear.to_numpy() - 1) // 7 % QUARTER
    fixed = RUSH[department][:, None] * ((quarter / (QUARTER - 1)) ** 3 - 0.3)
    fixed = fixed + elasticity[:, None] * np.log(price / price[:, :1])
    fixed = fixed + np.where(launch[:, None] > 0, NOVELTY * np.exp(-np.maximum(age, 0) / NOVELTY_FADES), 0.0)
    level = np.empty((items, periods))
    level[:, 0] = usual + FIRST_DEVIATION * drift.normal[:, 0]
    for t in range(1, periods):
        level[:, t] = _wander(level[:, t - 1], step, drift.normal[:, t])
    common = keyed_generator(seed, "chain common")
    wave = WAVE_DEVIATION * common.standard_normal(periods)
    for t in range(1, periods):
        wave[t] = WAVE_MEMORY * wave[t - 1] + np.sqrt(1 - WAVE_MEMORY**2) * wave[t]
    shock = common.gamma(SHOCK_SHAPE, 1 / SHOCK_SHAPE, (len(DEPARTMENTS), periods))
    rate = np.exp(level + fixed + wave) * shock[department]
    draws = [
        _demand(keyed_generator(seed, "chain demand", k), rate[k], frailty[k], empty[k]) * alive[k]
        for k in range(items)
    ]
    demand = np.array(draws, dtype=np.float64)
    sales, in_stock = _shop(demand, np.exp(usual), launch, seed)
    listed = age >= 0
    panel = fr.SalesPanel(
        sales=sales * listed,
        in_stock=in_stock | ~listed,
        listed=listed,
        dates=dates,
        item_ids=tuple(f"item-{k:03d}" for k in range(items)),
        freq="W-MON",
        known={"price": price},
        static=pd.DataFrame(
            {"department": np.array(DEPARTMENTS, dtype=object)[department]},
            index=pd.Index([f"item-{k:03d}" for k in range(items)], name="item_id"),
        ),
    )
    return Chain(panel, demand, department, usual, step, frailty, empty, alive, fixed, wave, shock)


@dataclass(frozen=True)
class _Draws:
    """An item's draws for one purpose, each of shape (items, periods)."""

    random: np.ndarray
    normal: np.ndarray


def _each(seed: int, items: int, periods: int, purpose: int) -> _Draws:
    generators = [keyed_generator(seed, "chain weeks", k, purpose) for k in range(items)]
    both = [(rng.random(periods), rng.standard_normal(periods)) for rng in generators]
    return _Draws(*(np.array(one) for one in zip(*both, strict=True)))


def _wander(level: np.ndarray, step: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the levels of the next week; the mean of `exp(level)` stays what it was."""
    return level + step * noise - step**2 / 2


def _demand(rng: np.random.Generator, rate: np.ndarray, frailty: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """Draw demand around rates of shape (..., items): nobody comes, or Poisson with the item's own gamma shock."""
    somebody = rng.random(rate.shape) >= empty
    return (somebody * rng.negative_binomial(frailty, frailty / (frailty + rate))).astype(np.float64)


def _shop(demand: np.ndarray, usual: np.ndarray, launch: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sell from shelves that a truck fills, when it comes; shelf space follows last quarter's sales."""
    items, periods = demand.shape
    u = np.array([keyed_generator(seed, "chain shop", k).random(2 + periods) for k in range(items)])
    comes, weeks_held = u[:, 2:] < (0.6 + 0.35 * u[:, :1]), 1.8 + 2.2 * u[:, 1]
    capacity = np.maximum(2.0, np.ceil(weeks_held * usual))
    on_hand, sales, in_stock = capacity.copy(), np.zeros_like(demand), np.ones(demand.shape, dtype=bool)
    for t in range(periods):
        if t % QUARTER == 0 and t > 0:
            seasoned = t - launch >= QUARTER
            recent = sales[:, t - QUARTER : t].mean(axis=1)
            capacity = np.where(seasoned, np.maximum(2.0, np.ceil(1.2 * weeks_held * recent)), capacity)
        on_hand = np.where(comes[:, t], np.maximum(on_hand, capacity), on_hand)
        sales[:, t] = np.minimum(demand[:, t], on_hand)
        in_stock[:, t] = (demand[:, t] <= on_hand) & (on_hand > 0)
        on_hand = on_hand - sales[:, t]
    return sales, in_stock
