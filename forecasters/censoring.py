"""Stock-outs as bounds on demand: what is put in place of sales that ran out.

While an item is out of stock its sales are a lower bound of its demand, D ≥ s. Left out, these periods bias whatever
is estimated from the others: stock runs out where demand was high, so that E[D | in stock] lies below E[D]. Here each
of them gets demand from the law that the periods before it leave: a gamma distribution with the item's running mean
μ and variance v, given that D ≥ s (the expectation step of an EM algorithm for censored data, Dempster, Laird and
Rubin 1977; Tobin 1958 for the censored normal). The mean E[D | D ≥ s] stands where a forecast reads the past: there
it changes a level as little and as much as the bound tells. A draw stands where a distribution is learned, for a mean
in place of demand would make it too narrow (Rubin 1987).

Where it is known for which share a of a period the item was in stock (`SalesPanel.availability`: days of a week, hours
of a day), the bound alone would throw that away. Demand is then what was sold plus what the time out of stock would
have added at the rate that the sales and the law agree on, (s + k μ) / (a + k): the posterior mean of a gamma rate
whose prior is worth k periods. With k = ¼ this came nearest to weeks of fresh food in which days were hidden: a mean
absolute error of 12 % of demand, where s / a has 14 %, s + (1 − a) μ 17 % and the bound alone 31 %.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from scipy.special import gammaincc, gammainccinv

from ..arrays import BoolArray, FloatArray, IntArray
from ..errors import FractileError
from ..randomness import keyed_generator
from .data.calendar import phase_of, season_of
from .data.panel import SalesPanel

CENSORINGS = ("bound", "mask")
"""How stock-outs count: as lower bounds of demand, or not at all."""
RATE, DAILY_RATE = 0.2, 0.04
"""Weight of the newest period in the running mean, once there are enough of them."""
PHASE_RATE = 0.15
"""The same in the share of the day of the week."""
SPECIAL_PRIOR = 1.0
"""Special periods without any lift that an item's own are weighed against."""
CUT = 0.95
"""Share of its mean so far below which a price is cut."""
PRIOR_PERIODS = 4.0
"""Periods that the prior variance, half of the squared mean, is worth against an item's own."""
RATE_PERIODS = 0.25
"""Periods that the law is worth against the sales of a period that was partly in stock. [k]"""
PEAK = 2.5
"""How many times the largest sale before it a demand out of stock may be, unless more was sold: a gamma tail through
the errors of a lumpy item reaches further than its demand ever did."""
LEAST_TAIL = 1e-9
"""Chance of D ≥ s below which the bound lies beyond all that the law would say, and demand is the bound."""


def check_censoring(censoring: str) -> str:
    """Return the option where it is one of `CENSORINGS`."""
    if censoring not in CENSORINGS:
        raise FractileError(f"censoring must be one of {', '.join(CENSORINGS)}, got {censoring!r}")
    return censoring


@dataclass(frozen=True, eq=False)
class History:
    """A sales history in three readings, the same one three times where stock-outs are masked.

    Attributes:
        record: what was sold; stock-outs are what they are.
        expected: expected demand in place of sales that ran out, which then count as in stock.
        drawn: one draw of demand in place of them.
    """

    record: SalesPanel
    expected: SalesPanel
    drawn: SalesPanel

    @classmethod
    def of(cls, panel: SalesPanel, censoring: str, lift: FloatArray | None = None, seed: int = 0) -> Self:
        """Read a panel; `lift` as in `impute_demand`, `seed` is that of the draws."""
        if censoring == "mask":
            return cls(panel, panel, panel)
        return cls(panel, *_fill(panel, lift, None, _uniforms(panel, seed)))

    @property
    def is_bounded(self) -> bool:
        """Whether sales out of stock are bounds; else they say nothing."""
        return self.expected is not self.record or bool(self.record.in_stock[self.record.listed].all())

    def until(self, period: int) -> Self:
        """Return the first `period` periods."""
        return type(self)(self.record.until(period), self.expected.until(period), self.drawn.until(period))

    def select(self, items: IntArray) -> Self:
        """Return the items at these positions."""
        return type(self)(self.record.select(items), self.expected.select(items), self.drawn.select(items))


def impute_demand(panel: SalesPanel, lift: FloatArray | None = None) -> SalesPanel:
    """Return the panel with E[D | D ≥ s] in place of sales s where a listed item was out of stock.

    These item-periods count as in stock, except before an item's first period in stock, where nothing is known but
    the bound. Each value comes from the periods up to and with its own.

    Args:
        panel: the history.
        lift: log of what is known ahead to lift demand above an item's level (`features.lift`), shape (items,
            periods); judged by the item's own special periods and weekdays where None.
    """
    (expected,) = _fill(panel, lift, None)
    return expected


def draw_demand(panel: SalesPanel, lift: FloatArray | None = None, seed: int = 0) -> SalesPanel:
    """Return the panel with one draw of D | D ≥ s in place of sales s where a listed item was out of stock.

    Args:
        panel: the history.
        lift: as in `impute_demand`.
        seed: of the draws, an integer >= 0; each item draws by its own key.
    """
    (drawn,) = _fill(panel, lift, _uniforms(panel, seed))
    return drawn


def _uniforms(panel: SalesPanel, seed: int) -> FloatArray:
    """Where the draws of items that ever ran out lie in their conditional distributions, shape (items, periods)."""
    uniform = np.zeros(panel.sales.shape)
    for i in np.flatnonzero(panel.ran_out.any(axis=1)):
        uniform[i] = keyed_generator(seed, "demand out of stock", panel.item_ids[i]).random(panel.periods)
    return uniform


def _fill(panel: SalesPanel, lift: FloatArray | None, *uniforms: FloatArray | None) -> list[SalesPanel]:
    """Return one panel for each of `uniforms`, under one running law: means in place of stock-outs where None."""
    rows = np.flatnonzero(panel.ran_out.any(axis=1))
    if not len(rows):
        return [panel] * len(uniforms)
    # Items that never ran out stay as they are.
    some, whole = panel.select(rows), panel.integer_demand
    running = running_law(some, None if lift is None else lift[rows], whole=whole)
    where = some.ran_out & (running.mean > 0)
    law = RunningLaw(*(each[where] for each in running))
    share = None if some.availability is None else some.availability[where]
    in_stock = panel.in_stock.copy()
    in_stock[rows] = some.in_stock | where
    filled = []
    for uniform in uniforms:
        drawn = None if uniform is None else uniform[rows][where]
        own = some.sales.copy()
        own[where] = demand_above(own[where], law, share=share, uniform=drawn, whole=whole)
        sales = panel.sales.copy()
        sales[rows] = own
        filled.append(replace(panel, sales=sales, in_stock=in_stock, availability=None))
    return filled


class RunningLaw(NamedTuple):
    """Mean and variance of demand in each period as the periods before it tell, units, arrays of one shape.

    Attributes:
        mean: 0 where nothing is known yet. [μ]
        variance: units squared. [v]
        peak: the largest sale before.
    """

    mean: FloatArray
    variance: FloatArray
    peak: FloatArray


def running_law(panel: SalesPanel, lift: FloatArray | None, *, whole: bool) -> RunningLaw:
    """Return the law of each period's demand, shape (items, periods).

    The mean is an exponentially weighted one, of demand over its lift, that begins as a plain mean. Without a lift,
    where days matter it is multiplied by the weekday's share, smoothed alike, and special periods (a flag is up, a
    price is cut) lift it by what they lifted the item's sales before. The variance is the squared mean times what
    squared errors came to over squared means so far. Where stock ran out, E[D | D ≥ s] under the law itself moves the
    mean on.

    Args:
        panel: the history.
        lift: as in `impute_demand`.
        whole: whether demand is counted.
    """
    season = season_of(panel.freq)
    phases = season if season in (5, 7) and lift is None else 1
    rate = DAILY_RATE if season in (5, 7) else RATE
    items, periods = panel.sales.shape
    phase = phase_of(panel.dates, phases) if phases > 1 else np.zeros(periods, dtype=np.int64)
    censored, known = panel.ran_out, panel.informative
    level, seen, by_phase = np.zeros(items), np.zeros(items), np.ones((items, phases))
    square, squares = np.zeros(items), np.zeros(items)
    mean, variance = np.zeros((items, periods)), np.zeros((items, periods))
    sales = np.where(panel.listed, panel.sales, 0.0)
    peak = np.maximum.accumulate(np.pad(sales, ((0, 0), (1, 0))), axis=1)[:, :-1]
    special, sold, foreseen = special_periods(panel), np.zeros(items), np.zeros(items)
    for t in range(periods):
        usual = level * by_phase[:, phase[t]]
        if lift is None:
            own = (sold + SPECIAL_PRIOR * level) / np.maximum(foreseen + SPECIAL_PRIOR * level, 1e-12)
            factor = np.where(special[:, t] & (level > 0), own, 1.0)
        else:
            factor = np.exp(lift[:, t])
        usual = usual * factor
        mean[:, t] = usual
        variance[:, t] = usual**2 * square / np.maximum(squares, 1e-12)
        now = known[:, t] | (censored[:, t] & (usual > 0))
        demand = panel.sales[:, t].copy()
        out = np.flatnonzero(now & censored[:, t])
        if len(out):
            share = None if panel.availability is None else panel.availability[out, t]
            law = RunningLaw(usual[out], variance[out, t], peak[out, t])
            demand[out] = demand_above(demand[out], law, share=share, whole=whole)
        start = known[:, t] & (level == 0) & (demand > 0)
        if start.any():
            # The variance before there are errors: half of the first mean, squared.
            first = demand / factor / (seen + 1.0)
            square = np.where(start, PRIOR_PERIODS * 0.5 * first**2, square)
            squares = np.where(start, PRIOR_PERIODS * first**2, squares)
        settled = known[:, t] & (level > 0)
        square += np.where(settled, (demand - usual) ** 2, 0.0)
        squares += np.where(settled, usual**2, 0.0)
        seen += now
        counted = now & special[:, t] & (level > 0)
        sold += np.where(counted, demand, 0.0)
        foreseen += np.where(counted, usual / factor, 0.0)
        plain = demand / (by_phase[:, phase[t]] * factor)
        level += np.where(now, np.maximum(rate, 1.0 / np.maximum(seen, 1.0)) * (plain - level), 0.0)
        if phases > 1:
            ratio = np.clip(demand / np.maximum(level * factor, 1e-12), 0.1, 10.0)
            by_phase[:, phase[t]] += np.where(settled, PHASE_RATE * (ratio - by_phase[:, phase[t]]), 0.0)
    return RunningLaw(mean, variance, peak)


def special_periods(panel: SalesPanel) -> BoolArray:
    """Return where something is on that is known ahead: a flag is up, or the price is cut, shape (items, periods)."""
    special = np.zeros(panel.sales.shape, dtype=bool)
    for name, values in panel.known.items():
        if np.isin(values, (0.0, 1.0)).all():
            special |= values > 0
        elif name == "price":
            total = np.cumsum(values, axis=1)
            usual = np.concatenate([values[:, :1], total[:, :-1] / np.arange(1, panel.periods)], axis=1)
            special |= values < CUT * usual
    return special


def demand_above(
    sales: FloatArray,
    law: RunningLaw,
    *,
    share: FloatArray | None = None,
    uniform: FloatArray | None = None,
    whole: bool = False,
) -> FloatArray:
    """Return E[D | D ≥ s] under a gamma distribution, or a draw of it.

    Args:
        sales: the bound, units, shape (n,). [s]
        law: of demand, its mean above 0, shape (n,) each.
        share: of the period in which the item was in stock, in [0, 1], shape (n,); not known where None. [a]
        uniform: where draws lie in the conditional distribution, in [0, 1), shape (n,); the mean where None.
        whole: whether draws are whole units.

    Returns:
        units, shape (n,), nowhere below `sales`.
    """
    if share is not None:
        rate = (sales + RATE_PERIODS * law.mean) / (share + RATE_PERIODS)
        missed = (1.0 - share) * rate
        if uniform is not None:
            # A gamma law whose variance grows with the time out of stock, relative to the rate as the law's own.
            spread = np.maximum(law.variance / law.mean**2, 1e-6) / np.maximum(1.0 - share, 1e-6)
            missed = missed * spread * gammainccinv(1.0 / spread, 1.0 - uniform)
        missed = np.rint(missed) if whole and uniform is not None else missed
        return np.asarray(sales + missed)
    variance = np.maximum(law.variance, 1e-6 * law.mean**2)
    shape, scale = law.mean**2 / variance, variance / law.mean
    bound = sales / scale
    tail = gammaincc(shape, bound)
    if uniform is None:
        above = law.mean * gammaincc(shape + 1.0, bound) / np.maximum(tail, LEAST_TAIL)
    else:
        above = scale * gammainccinv(shape, np.maximum(tail, LEAST_TAIL) * (1.0 - uniform))
        above = np.rint(above) if whole else above
    above = np.minimum(above, PEAK * np.maximum(law.peak, sales))
    return np.where(tail > LEAST_TAIL, np.maximum(above, sales), sales)
