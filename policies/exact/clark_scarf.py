"""Optimal echelon base-stock levels of serial systems, by the recursion of Clark and Scarf (1960)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...arrays import FloatArray
from ...envs.demand.independent import IndependentDemand
from ...errors import Faults

TAIL = 1e-12
"""Probability of demand on either side of what is tabulated."""

RESOLUTION = 128
"""Grid steps in a standard deviation of one period's demand, where demand is continuous."""


class EchelonSolution(NamedTuple):
    """The optimal policy of a serial system.

    Attributes:
        levels: echelon base-stock levels, units, downstream to upstream, shape (stages,). [S_1 … S_N]
        cost: average cost of the system per period, money.
    """

    levels: FloatArray
    cost: float


class _Lattice(NamedTuple):
    """A function or distribution on the points `first`, `first + 1`, …, `spacing` units apart."""

    first: int
    values: FloatArray
    spacing: float = 1.0

    @property
    def units(self) -> FloatArray:
        """The points, units."""
        return self.spacing * np.arange(self.first, self.first + len(self.values), dtype=np.float64)

    @property
    def mean(self) -> float:
        """Of a distribution, units."""
        return float(self.units @ self.values)


def clark_scarf(
    demand: IndependentDemand,
    lead_times: Sequence[int],
    holding_costs: Sequence[float],
    stockout_cost: float,
    *,
    continuous_review: bool = False,
    charge_pipeline: bool = False,
    step: float | None = None,
) -> EchelonSolution:
    """Return the optimal echelon base-stock levels of a serial system with backorders, and what they cost.

    Stages are numbered and listed downstream to upstream: stage 1 meets the demand, stage N buys from a supplier that
    always delivers. An order placed in period t arrives in t + L_j, in time to be passed on or sold then. Each stage
    orders its echelon position (stock, what is under way to it, and the same of all stages downstream, less backorders)
    up to its level, as far as the stage above has stock.

    With y_j the echelon position of stage j after ordering, D_j the demand over L_j periods, and D_1 that over L_1 + 1
    (the period of arrival is served before costs are charged), the expected cost is found from stage 1 up:

    `G_1(y) = E[h_1 (y − D_1)⁺ + b (D_1 − y)⁺] − h_2 y`
    `G_j(y) = h_j (y − E D_j) + E G_{j−1}(min(S_{j−1}, y − D_j)) − h_{j+1} y`, `S_j = argmin G_j`, `h_{N+1} = 0`

    and G_N(S_N) is the average cost: h_j on what stage j has in stock, b on backorders, nothing on what is under way.

    Args:
        demand: of one item per period, independent over periods; discrete demand is solved exactly, continuous demand
            on a grid, as it is drawn: nothing below zero.
        lead_times: periods from order to receipt of each stage, integers >= 0. [L_j]
        holding_costs: money per unit in stock at each stage at a period's end, not increasing upstream. [h_j]
        stockout_cost: money per unit backordered at stage 1 at a period's end. [b]
        continuous_review: D_1 is the demand over L_1, not over L_1 + 1: costs are charged as in systems that are
            watched all the time (Snyder and Shen 2019, section 6.2).
        charge_pipeline: units under way from stage j + 1 to stage j cost h_{j+1} as well, as in Clark and Scarf: a
            constant, L_j times mean demand, which changes no level.
        step: units between points of the grid where demand is continuous; None = 1/128 of a standard deviation.

    Raises:
        FractileError: where an argument is out of its range.

    Source: A. J. Clark and H. Scarf, "Optimal policies for a multi-echelon inventory problem", Management Science 6(4),
    1960; in the form of F. Chen and Y.-S. Zheng, "Lower bounds for multi-echelon stochastic inventory systems",
    Management Science 40(11), 1994.

    >>> from fractile.envs.demand.distributions import Poisson
    >>> levels, cost = clark_scarf(Poisson(5.0), [1, 2], [1.0, 0.5], 9.0)
    >>> [float(level) for level in levels], round(cost, 4)
    ([15.0, 27.0], 7.7389)
    """
    _check(demand, lead_times, holding_costs, stockout_cost, step)
    spacing = 1.0 if demand.discrete else step or _number(demand.distribution().std()) / RESOLUTION
    spans = [lead_times[0] + (not continuous_review), *lead_times[1:]]
    cost, levels = 0.0, []
    below = _Lattice(0, np.zeros(1))
    for stage, span in enumerate(spans):
        drawn = _demand_over(demand, span, spacing)
        holding, above = [*holding_costs, 0.0][stage : stage + 2]
        own = _passed_on(below, drawn, holding, stockout_cost) if stage else _mismatch(drawn, holding, stockout_cost)
        charged = own.values - above * own.units
        best = int(np.argmin(charged))
        levels.append(own.units[best])
        cost = float(charged[best])
        below = own._replace(values=charged[: best + 1])
    under_way = float(np.dot(holding_costs[1:], lead_times[:-1])) * _number(demand.distribution().mean())
    return EchelonSolution(np.array(levels), cost + under_way * charge_pipeline)


def _demand_over(demand: IndependentDemand, span: int, spacing: float) -> _Lattice:
    """The distribution of demand over some periods."""
    if not span:
        return _Lattice(0, np.ones(1), spacing)
    if demand.discrete:
        low, high = (int(_number(demand.quantile(level, span))) for level in (TAIL, 1 - TAIL))
        probability = np.asarray(demand.pmf(np.arange(low, high + 1), span)).reshape(-1)
        return _Lattice(low, probability / probability.sum(), spacing)
    one = _one_period(demand, spacing)
    total = one
    for _ in range(span - 1):
        total = np.convolve(total, one)
    low, high = np.searchsorted(np.cumsum(total), (TAIL, 1 - TAIL))
    return _Lattice(int(low), total[low : high + 1] / total[low : high + 1].sum(), spacing)


def _one_period(demand: IndependentDemand, spacing: float) -> FloatArray:
    """Continuous demand as it is drawn, at the nearest points: what a distribution puts below zero is at zero."""
    points = np.arange(np.ceil(_number(demand.quantile(1 - TAIL)) / spacing) + 1)
    up_to = np.asarray(demand.cdf((points + 0.5) * spacing), dtype=np.float64).reshape(-1)
    return np.diff(up_to, prepend=0.0)


def _mismatch(drawn: _Lattice, holding: float, stockout: float) -> _Lattice:
    """`E[h (y − D)⁺ + b (D − y)⁺]` on the points of D: below them it is linear."""
    left = drawn.spacing * np.append(0.0, np.cumsum(np.cumsum(drawn.values))[:-1])
    return drawn._replace(values=holding * left + stockout * (left - drawn.units + drawn.mean))


def _passed_on(below: _Lattice, drawn: _Lattice, holding: float, stockout: float) -> _Lattice:
    """`h (y − E D) + E G(min(S, y − D))` with G up to its minimum at S; below its points G falls by b + h a unit."""
    width = len(drawn.values) - 1
    falling = (stockout + holding) * drawn.spacing * np.arange(width, 0, -1)
    padded = np.concatenate([below.values[0] + falling, below.values, np.full(width, below.values[-1])])
    passed = _Lattice(below.first + drawn.first, np.convolve(padded, drawn.values, "valid"), drawn.spacing)
    return passed._replace(values=passed.values + holding * (passed.units - drawn.mean))


def _number(value: Any) -> float:
    return float(np.asarray(value).item())


def _check(
    demand: IndependentDemand,
    lead_times: Sequence[int],
    holding_costs: Sequence[float],
    stockout_cost: float,
    step: float | None,
) -> None:
    faults = Faults()
    if not isinstance(demand, IndependentDemand) or np.size(demand.distribution().mean()) != 1:
        faults.add("clark_scarf needs demand of one item, independent over periods: Poisson, Normal, …")
    if not len(lead_times) or len(lead_times) != len(holding_costs):
        faults.add(
            "lead_times and holding_costs must be one a stage, downstream to upstream, "
            f"got {len(lead_times)} and {len(holding_costs)}"
        )
    if any(periods < 0 or periods != int(periods) for periods in lead_times):
        faults.add(f"lead_times must be integers >= 0, got {list(lead_times)}")
    if not all(cost > 0 for cost in holding_costs) or any(np.diff(holding_costs) > 0):
        faults.add(
            "holding_costs must be above 0 and not increase from stage 1 upstream, "
            f"got {list(holding_costs)}; list stage 1, next to the demand, first"
        )
    if not stockout_cost > 0:
        faults.add(f"stockout_cost must be a number above 0, got {stockout_cost}")
    if step is not None and not step > 0:
        faults.add(f"step must be a number above 0 or None, got {step}")
    faults.raise_if_any()
