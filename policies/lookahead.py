"""Policies that try orders on the forecast's own demand paths: myopic ones, and one that looks beyond the arrival.

An order placed now serves demand from period L on. All policies here carry stock through the L periods until then on
every path, with what is lost on the way lost, and choose the order that costs least on average over the paths. Cost
before the order arrives is the same for every order and is left out. Stock that perishes and capacity that items share
are taken for stock that keeps and for no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..arrays import FloatArray, IntArray
from ..envs.core.dynamics import feasible_order
from ..envs.core.forecast_features import fractile_of, shifted_ratio
from ..envs.core.params import ItemParams
from ..envs.core.types import Observation
from ..errors import FractileError
from ..forecasters.interpolation import sobol_uniforms
from .base import check_fractile

DRAWS = 128
"""Demand paths of each decision, quasi-random; a power of two."""

STEEP = 0.92
"""Critical ratio beyond which twice as many are drawn: a dozen of them lie beyond the fractile at least."""

CANDIDATES = 9
"""Orders that are compared at once: from none to the largest, then between the neighbours of the best."""

BLOCK = 262_144
"""Numbers in an array of paths × candidates × decisions that are worked on together."""

FIRST_DEMANDS = 16
"""Values of this period's demand, each equally likely, after which `myopic2` orders again."""

LONGEST_CYCLE = 16
"""Periods of an order cycle, with a fixed cost, beyond which nothing is looked at."""


class Decisions(NamedTuple):
    """Decisions side by side, one for each path and item, with the same lead time and review period.

    Attributes:
        lead_time: periods. [L]
        review: periods. [R]
        stock: net inventory, units, (decisions,).
        arriving: what arrives in k periods, units, (periods, decisions).
        demand: draws, units, (draws, periods, decisions).
        params: of the decisions, numbers or (decisions,).
        level: the newsvendor's, units, (decisions,). [S]
    """

    lead_time: int
    review: int
    stock: FloatArray
    arriving: FloatArray
    demand: FloatArray
    params: ItemParams
    level: FloatArray

    @property
    def position(self) -> FloatArray:
        """Inventory position, units, (decisions,)."""
        return self.stock + self.arriving.sum(0)


@dataclass(frozen=True, eq=False)
class Myopic:
    """Order what makes the periods that the order serves cost least; what comes after does not count.

    On the draws of demand, stock is carried to the arrival; the order is the critical fractile of demand over the R
    periods served, less that stock, over all draws together: Zipkin (2008), "Old and new methods for lost-sales
    inventory systems", Operations Research 56(5), there with a known distribution. It buys too much where sales are
    lost: stock that is left serves later periods as well.
    """

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items)."""
        return _decide(obs, _myopic, horizon=lambda lead_time, review: lead_time + review, width=1)


@dataclass(frozen=True, eq=False)
class MyopicTwo:
    """Order what makes the periods served by this order and by the next one cost least.

    The next order is placed with this period's demand known, and is myopic itself: Zipkin's Myopic-2 (see `Myopic`).
    """

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items)."""
        width = FIRST_DEMANDS * CANDIDATES // 2
        return _decide(obs, _myopic_two, horizon=lambda lead_time, review: lead_time + 2 * review, width=width)


@dataclass(frozen=True, eq=False)
class Lookahead:
    """Try orders on the forecast's sample paths, with a base policy after, and place the one that costs least.

    Every candidate is played through on the same draws of demand, from now to L + R periods after its arrival; from
    the next review on, the base policy orders up to the newsvendor's level, where sales are lost at most

        cap = E[demand over R periods] + (its critical fractile − E) / (L / R + 1)

    at once: the dearer overshoot is against the delay, the smoother orders are best (Xin 2021 has the capped policy,
    not this cap). One step of policy improvement, as in rollout algorithms (Bertsekas 2019). Packs, minimum and
    maximum orders are kept to; with a fixed cost the base policy waits for an economic lot to be worth ordering, and
    paths go on for an order cycle.

    Attributes:
        scale: factor on all demand that is planned with.
        shift: added to the critical ratio's log-odds; the stock-out cost is planned with times its exponential.
    """

    reads_protection_total: ClassVar[bool] = True

    scale: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        check_fractile(None, self.scale)

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items)."""
        params = obs.params
        if self.shift:
            params = replace(params, stockout_cost=np.exp(self.shift) * params.stockout_cost)
        level = self.scale * fractile_of(obs.protection_total(), shifted_ratio(obs.params.critical_ratio, self.shift))
        cycle = _cycle(obs, params)

        def horizon(lead_time: int, review: int) -> int:
            return 2 * lead_time + review + cycle

        return _decide(obs, _look, horizon, CANDIDATES, params=params, level=level, scale=self.scale)

    def target(self, obs: Observation) -> FloatArray:
        """Return the newsvendor's level, units, shape (1 or paths, items). [S]"""
        ratio = shifted_ratio(obs.params.critical_ratio, self.shift)
        return np.asarray(self.scale * fractile_of(obs.protection_total(), ratio))


def _decide(
    obs: Observation,
    rule: Callable[[Decisions], FloatArray],
    horizon: Callable[[int, int], int],
    width: int,
    *,
    params: Any = None,
    level: FloatArray | None = None,
    scale: float = 1.0,
) -> FloatArray:
    """Apply a rule to all paths and items, block by block."""
    shape = obs.net_inventory.shape
    order = np.zeros(shape[0] * shape[1])
    for at, decisions in _blocks(obs, horizon, width, obs.params if params is None else params, level, scale):
        order[at] = rule(decisions)
    return order.reshape(shape)


def _blocks(
    obs: Observation,
    horizon: Callable[[int, int], int],
    width: int,
    params: ItemParams,
    level: FloatArray | None,
    scale: float,
) -> Iterator[tuple[IntArray, Decisions]]:
    """Yield decisions with the same lead time and review period, and their places among (paths × items)."""
    shape, forecast = obs.net_inventory.shape, obs.known_forecast()
    lead_times, reviews = (np.broadcast_to(x, shape).reshape(-1) for x in (params.lead_time, params.review_period))
    stock, arriving = obs.net_inventory.reshape(-1), obs.pipeline.reshape(len(obs.pipeline), obs.net_inventory.size)
    levels = np.zeros(stock.shape) if level is None else np.broadcast_to(level, shape).reshape(-1)
    steep = np.broadcast_to(params.critical_ratio, shape).reshape(-1) > STEEP
    kinds = np.stack([lead_times, reviews, steep])
    for lead_time, review, often in np.unique(kinds, axis=1).T.tolist():
        periods = horizon(lead_time, review)
        known = min(periods, forecast.horizon)
        same = np.flatnonzero((kinds == [[lead_time], [review], [often]]).all(0))
        number = DRAWS * (1 + often)
        step = max(1, BLOCK // (number * width))
        for first in range(0, len(same), step):
            at = same[first : first + step]
            path, item = np.divmod(at, shape[1])
            demand = _draws(forecast, path, item, known, number)
            due = np.zeros((max(periods, len(arriving)), len(at)))
            due[: len(arriving)] = arriving[:, at]
            yield (
                at,
                Decisions(
                    lead_time,
                    review,
                    stock[at].astype(np.float64),
                    due,
                    scale * _continued(demand, periods),
                    _of_decisions(params, shape, at, item),
                    levels[at],
                ),
            )


def _draws(forecast: Any, path: IntArray, item: IntArray, periods: int, number: int) -> FloatArray:
    """Return draws of demand of some decisions, (draws, periods, decisions); shared where paths share a forecast."""
    if len(forecast.origins) > 1:
        drawn = forecast.take(item, path).draws(number, periods)[:, 0]
        return np.ascontiguousarray(drawn.transpose(0, 2, 1))
    some, which = np.unique(item, return_inverse=True)
    drawn = forecast.select(some).draws(number, periods)[:, :, 0]
    return np.ascontiguousarray(drawn.transpose(0, 2, 1)[:, :, which])


def _continued(demand: FloatArray, periods: int) -> FloatArray:
    """Return draws of so many periods: where the forecast ends, its last period comes again, independently."""
    known = demand.shape[1]
    if known >= periods:
        return demand
    rank = np.argsort(np.argsort(sobol_uniforms(len(demand), periods)[:, known:], axis=0), axis=0)
    return np.concatenate([demand, np.sort(demand[:, known - 1], axis=0)[rank]], axis=1)


def _of_decisions(params: ItemParams, shape: tuple[int, ...], at: IntArray, item: IntArray) -> ItemParams:
    """Return the parameters decision by decision."""
    if not is_dataclass(params):
        raise FractileError(
            f"myopic, myopic2 and lookahead plan for items, not for a {type(params).__name__}: take base_stock, or a "
            "policy of its own"
        )
    values: dict[str, Any] = {f.name: getattr(params, f.name) for f in fields(params) if f.init}
    by_path: dict[str, Any] = {
        k: np.broadcast_to(v, shape).reshape(-1)[at] for k, v in values.items() if np.ndim(v) == 2
    }
    numbers: dict[str, Any] = dict.fromkeys(by_path, 1)
    plain = replace(params, capacity=None, **numbers) if by_path or params.capacity else params
    chosen = plain.select(item)
    return replace(chosen, **by_path) if by_path else chosen


def _carry(decisions: Decisions, periods: int) -> FloatArray:
    """Return net inventory after some periods without a new order, (draws, decisions)."""
    stock = np.broadcast_to(decisions.stock, (len(decisions.demand), len(decisions.stock)))
    for k in range(periods):
        stock = _after(stock + decisions.arriving[k], decisions.demand[:, k], decisions.params)[0]
    return stock


def _after(available: FloatArray, demand: FloatArray, params: ItemParams) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return net inventory after demand, and units on hand and short."""
    gap = available - demand
    short = np.maximum(-gap, 0.0)
    return gap + params.lost_share * np.minimum(short, demand), np.maximum(gap, 0.0), short


def _fractile(sample: FloatArray, ratio: Any) -> FloatArray:
    """Return the least value that a share of the draws, along the first axis, does not exceed."""
    ordered = np.sort(sample, axis=0)
    rank = np.clip(np.ceil(np.asarray(ratio) * len(ordered) - 1e-9).astype(np.int64) - 1, 0, len(ordered) - 1)
    rank = np.broadcast_to(rank, ordered.shape[1:])[None]
    found: FloatArray = np.take_along_axis(ordered, rank, 0)[0]
    return found


def _served(decisions: Decisions) -> FloatArray:
    """Return demand over the periods that this order serves, (draws, decisions)."""
    total: FloatArray = decisions.demand[:, decisions.lead_time : decisions.lead_time + decisions.review].sum(1)
    return total


def _due_later(decisions: Decisions) -> FloatArray:
    """Return units under way that arrive when an order placed now would, or after it, (decisions,)."""
    later: FloatArray = decisions.arriving[decisions.lead_time :].sum(0)
    return later


def _myopic(decisions: Decisions) -> FloatArray:
    stock = _carry(decisions, decisions.lead_time)
    wanted = _fractile(_served(decisions) - stock, decisions.params.critical_ratio) - _due_later(decisions)
    return np.maximum(wanted, 0.0)


def _myopic_two(decisions: Decisions) -> FloatArray:
    lead_time, review, params = decisions.lead_time, decisions.review, decisions.params
    most = _myopic(decisions)
    draws = decisions.demand[
        : len(decisions.demand) // 2
    ]  # the first half of a Sobol sequence is balanced, every other point is not
    # With this period's demand known, the state at the next review: all draws of later periods go with each value.
    share = len(decisions.demand) // FIRST_DEMANDS
    first = np.sort(decisions.demand[:, 0], axis=0)[share // 2 :: share]
    if lead_time:
        now = _after(decisions.stock + decisions.arriving[0], first, params)[0]
        stock = np.repeat(now[:, None], len(draws), axis=1)
        for k in range(1, lead_time):
            stock = _after(stock + decisions.arriving[k], draws[None, :, k], params)[0]
    else:
        stock = np.broadcast_to(decisions.stock, (len(first), len(draws), len(most)))

    def cost(orders: FloatArray) -> FloatArray:
        left, paid = stock[:, :, None] + orders + _due_later(decisions), 0.0
        for k in range(lead_time, lead_time + review):
            demand = draws[None, :, None, k] if lead_time or k else first[:, None, None]
            left, on_hand, short = _after(left, demand, params)
            paid = paid + (params.holding_cost * on_hand + params.stockout_cost * short).mean((0, 1))
        ahead = draws[:, lead_time + review : lead_time + 2 * review].sum(1)[None, :, None] - left
        wanted = np.maximum(_fractile(np.moveaxis(ahead, 1, 0), params.critical_ratio), 0.0)
        gap = wanted[:, None] - ahead
        later = params.holding_cost * np.maximum(gap, 0.0) + params.stockout_cost * np.maximum(-gap, 0.0)
        return np.asarray(paid + later.mean((0, 1)))

    return _cheapest(cost, most, params)


def _cheapest(cost: Callable[[FloatArray], FloatArray], most: FloatArray, params: ItemParams) -> FloatArray:
    """Return the order from none to the most that costs least: a grid, then a finer one around the best.

    Args:
        cost: from orders (candidates, decisions) to money of that shape.
        most: units, (decisions,).
        params: rules that orders keep to.
    """
    share, index = np.linspace(0.0, 1.0, CANDIDATES)[:, None], np.arange(len(most))
    low, high, best = np.zeros_like(most), most, most
    for _ in range(2):
        orders = np.asarray(feasible_order(low + share * (high - low), params))
        found = np.argmin(cost(orders), axis=0)
        best = orders[found, index]
        width = (high - low) / (CANDIDATES - 1)
        low, high = np.maximum(best - width, 0.0), np.minimum(best + width, np.maximum(most, best))
    return best


def _cycle(obs: Observation, params: ItemParams) -> int:
    """Return the periods that an economic lot lasts for, over all items; 0 without fixed costs."""
    if not params.order_charges[0]:
        return 0
    mean = np.maximum(obs.known_forecast().mean()[:, :, 0].T, 1e-9)
    lot = np.sqrt(2.0 * params.fixed_order_cost * mean / np.maximum(params.holding_cost, 1e-9))
    return int(min(np.ceil(np.median(lot / mean)), LONGEST_CYCLE))


def _look(decisions: Decisions) -> FloatArray:
    lead_time, review, params = decisions.lead_time, decisions.review, decisions.params
    periods = decisions.demand.shape[1]
    served, mean = _served(decisions), decisions.demand.mean(0)
    usual = served.mean(0)
    cap = usual + (_fractile(served, params.critical_ratio) - usual) / (lead_time / review + 1)
    cap = np.where(np.asarray(params.lost_share) > 0, cap, np.inf)
    lot = np.zeros_like(usual)
    if params.order_charges[0]:
        a_period = np.maximum(usual / review, 1e-9)
        lot = np.sqrt(2.0 * params.fixed_order_cost * a_period / np.maximum(params.holding_cost, 1e-9))
        cap = np.where(lot > usual, np.inf, cap)
    # The level moves with mean demand; periods beyond the draws are like the last one.
    longer = np.concatenate([mean, np.repeat(mean[-1:], lead_time + review, axis=0)])
    ahead = np.stack([longer[k : k + lead_time + review].sum(0) for k in range(periods)])
    levels = np.maximum(decisions.level + ahead - ahead[0], 0.0)
    # What happens until the arrival is the same for every candidate.
    before, left = np.broadcast_to(decisions.stock, (len(served), len(usual))), []
    for k in range(lead_time):
        available = before + decisions.arriving[k]
        before = _after(available, decisions.demand[:, k], params)[0]
        left.append(available - before)

    def cost(orders: FloatArray) -> FloatArray:
        position = np.broadcast_to((decisions.position + orders)[None], (len(before), *orders.shape))
        placed = {0: orders[None]}
        stock, paid = before[:, None], params.fixed_order_cost * (orders > 0) + params.unit_cost * orders
        for k in range(periods):
            if k and k % review == 0 and k + lead_time < periods:
                wanted = np.maximum(levels[k] + lot - position, 0.0)
                wanted = np.where(wanted >= lot, np.minimum(wanted, cap), 0.0)
                if params.order_rules:
                    wanted = feasible_order(wanted, params)
                placed[k], position = wanted, position + wanted
                if any(params.order_charges):
                    charge = params.fixed_order_cost * (wanted > 0) + params.unit_cost * wanted
                    paid = paid + charge.mean(0)
            if k < lead_time:
                position = position - left[k][:, None]
                continue
            available = stock + decisions.arriving[k] + placed.get(k - lead_time, 0.0)
            stock, on_hand, short = _after(available, decisions.demand[:, None, k], params)
            position = position - (available - stock)
            paid = paid + (params.holding_cost * on_hand + params.stockout_cost * short).mean(0)
        # What is left was paid for, and will be sold.
        return np.asarray(paid - params.unit_cost * position.mean(0))

    most = _myopic(decisions)
    if np.any(lot):
        most = np.maximum(most, decisions.level + 2.0 * lot - decisions.position)
    return _cheapest(cost, np.maximum(most, 0.0), params)
