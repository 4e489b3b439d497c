"""One network for every problem: trained once on random problems, shipped with the package, nothing to train or tune.

The order raises *projected* stock to a level, `q = (U + s·f(x) − E[stock when the order arrives])⁺`: stock is carried
through the lead time in its first two moments, U is the newsvendor's fractile of the periods that the order serves,
and f a network that reads quantiles of these periods and of the protection interval, stock, pipeline, lead time and
costs, all divided by the scale s of demand. With backorders, and without a lead time, the newsvendor is optimal
already, and the network is silent. Its weights lie beside this module, as `training.generalist` made them; orders need
numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.special import logit

from ..arrays import Array, FloatArray
from ..envs.core.backend import (
    clip,
    concatenate,
    indicator,
    like,
    minimum,
    normal_cdf,
    normal_density,
    positive_part,
    square_root,
)
from ..envs.core.forecast_features import ForecastFeatures, by_origin, fractile_of, protection_total, shifted_ratio
from ..envs.core.types import ItemParams, Observation, Scenario
from ..envs.gym.observation import SMALLEST_SCALE, WIDEST_FEATURE, features_of, fit_slots, needs_features
from ..errors import FractileError
from ..forecasters.demand_forecast import DemandForecast
from ..forecasters.storage import load_state

WEIGHTS = Path(__file__).parent
"""Where `generalist.json` and `generalist.safetensors` lie."""

LEVELS = tuple((k + 0.5) / 48 for k in range(48))
"""Levels of the quantiles that stand for a distribution where its spread is taken."""

SHIFTS = (-4.0, -3.0, -2.2, -1.6, -1.1, -0.7, -0.4, -0.2, 0.0, 0.2, 0.4, 0.7, 1.1, 1.6, 2.2, 3.0)
"""Added to the log-odds of the critical ratio: fractiles around the newsvendor's own."""

STEPS = 5
"""Whole units, or quarters of demand's scale where that is more, at which distribution functions are read."""

LONGEST = 10
"""Longest lead time that the network was trained for; longer ones are read as this one."""

RECENT = 3
"""Orders placed last that are read by their age, beside the slots that are read by their arrival."""

DIGITS = 9
"""Decimals that are kept of what is read of a forecast."""

MADE_FOR = "generalist"
"""Marks features of a forecast as this policy's."""


class ForecastSummary(NamedTuple):
    """What the policy reads of a forecast, each of shape (…, 1 or paths, items), units but for `rest`.

    Attributes:
        mean: of each period until an order placed now arrives, shape (periods, paths, items).
        spread: standard deviations, likewise.
        served: the critical fractile of the R periods that an order placed now serves.
        level: the newsvendor's level, the critical fractile of demand over L + R periods.
        scale: root mean square of a period's demand.
        reorder: how far below its target the position falls before an order is worth its fixed cost. [S₀ − s]
        extra: units that are then ordered beyond that target. [S − S₀]
        rest: features that do not depend on stock, shape (features, paths, items).
    """

    mean: Array
    spread: Array
    served: Array
    level: Array
    scale: Array
    reorder: Array
    extra: Array
    rest: Array


class Projection(NamedTuple):
    """Stock when an order placed now arrives, without that order, units, (paths, items).

    Attributes:
        mean: expected stock before that period's demand.
        spread: its standard deviation.
        lost: demand that is expected to be lost until then.
    """

    mean: Array
    spread: Array
    lost: Array


@dataclass(frozen=True, eq=False)
class Generalist:
    """Order by one network, trained once on random problems and shipped with the package.

    It was trained on single items with lead times from 1 to 10, critical ratios from 2/3 to 0.99, demand from
    intermittent to smooth, with and without seasons, lost sales and lost shares, forecasts mostly right, and reviews in
    every period; a tenth of the items came in packs. Fixed order costs change its order by a formula. Perishable stock
    and shared capacity it never saw; networks are refused.

    Attributes:
        layers: weight (outputs, inputs) and bias (outputs, 1) of each layer, numpy or torch; the shipped ones where
            None; none, (), is the policy without its network.
        shift: subtracted from features, shape (features, 1).
        spread: features are then divided by it, shape (features, 1).
    """

    reads_protection_total: ClassVar[bool] = True

    layers: tuple[tuple[Array, Array], ...] | None = None
    shift: Array = 0.0
    spread: Array = 1.0

    def __post_init__(self) -> None:
        if self.layers is None:
            shipped = _shipped()
            for name in ("layers", "shift", "spread"):
                object.__setattr__(self, name, getattr(shipped, name))

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        params, found, now = obs.params, self._summary(obs), obs.net_inventory
        seen = _see(obs, found)
        correction = self._correct(found.rest, seen.units)
        wanted = seen.gap + like(_corrected(params), now) * found.scale * correction
        if params.order_charges[0]:
            return indicator(wanted >= found.reorder, wanted) * positive_part(wanted + found.extra)
        # Unit by unit, more than the newsvendor never pays; nor, where all is lost, more than the periods served need.
        lost, lumps = (like(x, now) for x in (np.asarray(params.lost_share, dtype=np.float64), _lumps(params)))
        most = minimum(seen.room, found.served + (1.0 - lost) * seen.room) + lumps * positive_part(wanted)
        return minimum(positive_part(wanted), most)

    def features(self, obs: Observation) -> Array:
        """Return what the network reads before it is standardised, shape (features, paths, items)."""
        found = self._summary(obs)
        units = _see(obs, found).units
        return concatenate([found.rest + 0.0 * units[:1], units])

    def target(self, obs: Observation) -> Array:
        """Return the newsvendor's level, units, shape (1 or paths, items). [S]"""
        return fractile_of(obs.protection_total(), obs.params.critical_ratio)

    def prepare(self, scenario: Scenario, params: Any) -> Scenario:
        """Return the scenario with all that is read of its forecasts, computed once for all steps."""
        if not isinstance(params, ItemParams) or not needs_features(scenario, MADE_FOR):
            return scenario
        totals = scenario.protection_totals
        known = totals.totals if totals is not None and totals.fits(params) else None

        def read(forecast: DemandForecast, period: int) -> ForecastSummary:
            total = protection_total(forecast, params) if known is None else known[period]
            return summarise(forecast, total, params)

        return replace(scenario, features=ForecastFeatures.of(scenario.forecasts or (), read, MADE_FOR))

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
        """Return what a file has to hold: nothing but arrays."""
        arrays = {"shift": np.asarray(self.shift), "spread": np.asarray(self.spread)}
        for i, (weight, bias) in enumerate(self.layers or ()):
            arrays |= {f"weight_{i}": np.asarray(weight), f"bias_{i}": np.asarray(bias)}
        return {}, arrays

    @classmethod
    def from_state(cls, config: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]]) -> Generalist:
        """Return the policy that `to_state` described."""
        del config
        depth = sum(name.startswith("weight_") for name in arrays)
        layers = tuple((arrays[f"weight_{i}"], arrays[f"bias_{i}"]) for i in range(depth))
        return cls(layers, arrays["shift"], arrays["spread"])

    def _summary(self, obs: Observation) -> ForecastSummary:
        def read() -> ForecastSummary:
            return summarise(obs.known_forecast(), obs.protection_total(), obs.params)

        if not isinstance(obs.params, ItemParams):
            raise FractileError(
                f"generalist orders for items, not for a {type(obs.params).__name__}: take a policy of its own"
            )
        found = features_of(obs, MADE_FOR, read)
        assert isinstance(found, ForecastSummary)
        return found

    def _correct(self, rest: Array, units: Array) -> Array:
        """Return the network's output, shape (paths, items).

        Args:
            rest: features of the forecast, which all paths may share, shape (features, 1 or paths, items).
            units: features of stock, shape (features, paths, items).
        """
        if not self.layers:
            return 0.0 * units[0]
        (weight, bias), *deeper = self.layers
        split, parts = len(rest), []
        for features, rows in ((rest, slice(None, split)), (units, slice(split, None))):
            flat = features.reshape(len(features), -1)
            x = clip((flat - self.shift[rows]) / self.spread[rows], -WIDEST_FEATURE, WIDEST_FEATURE)
            parts.append((weight[:, rows] @ x).reshape(len(weight), *features.shape[1:]))
        x = (parts[0] + parts[1]).reshape(len(weight), -1) + bias
        for weight, bias in deeper:
            x = weight @ positive_part(x) + bias
        return x.reshape(tuple(units.shape[1:]))


@lru_cache(maxsize=1)
def _shipped() -> Generalist:
    """The weights that come with the package, read once."""
    return Generalist.from_state(*load_state(WEIGHTS, "generalist"))


def summarise(forecast: DemandForecast, total: DemandForecast, params: ItemParams) -> ForecastSummary:
    """Return what the policy reads of a forecast, in numpy.

    Args:
        forecast: values (items, 1 or paths, horizon, Q), reaching L + R periods ahead.
        total: of its demand over each item's protection interval.
        params: lead times, costs and order rules.
    """
    lead_time, review, ratio = (np.asarray(x) for x in (params.lead_time, params.review_period, params.critical_ratio))
    span = by_origin(params.protection_interval).T
    before = forecast.head(max(int(lead_time.max()), 1))
    spread = _quantiles(before).std(0)
    total_mean, total_quantiles = total.mean()[:, :, 0].T, _quantiles(total)[:, 0]
    # A period's demand, averaged over the protection interval.
    centre, deviation = total_mean / span, total_quantiles.std(0) / np.sqrt(span)
    scale = np.maximum(np.sqrt(centre**2 + deviation**2), SMALLEST_SCALE)
    served_mean, served_quantiles, fractiles = _read_served(forecast, params)
    around = [(fractile_of(total, shifted_ratio(ratio, by)) - total_mean) / np.sqrt(span) for by in SHIFTS]
    served, level = fractiles[SHIFTS.index(0.0)], fractile_of(total, ratio)
    reorder, extra = _lots(params, centre, total_mean, deviation * np.sqrt(span), level)
    pack = 0.0 if params.pack_size is None else params.pack_size
    step = np.maximum(pack, 0.25 * scale)
    features = [
        *(x / scale for x in (*fractiles, *around, centre, deviation, served_mean, served_quantiles.std(0))),
        *((found <= k * step).mean(0) for found in (served_quantiles, total_quantiles) for k in range(STEPS)),
        np.clip(pack / scale, 0.0, 4.0),
        logit(ratio),
        params.lost_share,
        lead_time / LONGEST,
        1.0 / (1.0 + lead_time),
        *(np.minimum(lead_time, LONGEST) == k for k in range(LONGEST + 1)),
        np.minimum(review - 1.0, 4.0),
    ]
    rest = np.stack(np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in features)))
    mean = before.mean().transpose(2, 1, 0)
    # The last bits of a quantile depend on how its forecast lies in memory; orders must not.
    numbers = (mean, spread, served, level, scale, reorder, extra, rest)
    return ForecastSummary(*(np.round(x, DIGITS) for x in numbers))


def _quantiles(forecast: DemandForecast) -> FloatArray:
    """Equally likely values that stand for each period's demand, units, (LEVELS, periods, 1 or paths, items)."""
    return np.stack([forecast.quantile(level) for level in LEVELS]).transpose(0, 3, 2, 1)


def _read_served(forecast: DemandForecast, params: ItemParams) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
    """Read demand over the R periods that an order placed now serves, units, each (…, 1 or paths, items).

    Returns:
        Its mean; equally likely values, the levels first; fractiles around the critical one.
    """
    lead_time, review = np.broadcast_arrays(params.lead_time, params.review_period)
    rows: Any = None
    for first, periods in sorted(set(zip(lead_time.ravel().tolist(), review.ravel().tolist(), strict=True))):
        after = forecast.after(first)
        served = after.head(1) if periods == 1 else after.total(periods)
        around = [fractile_of(served, shifted_ratio(params.critical_ratio, by)) for by in SHIFTS]
        whole = [served.mean()[:, :, 0].T, *_quantiles(served)[:, 0], *around]
        found = np.stack([np.broadcast_to(x, around[0].shape) for x in whole])
        here = (lead_time == first) & (review == periods)
        rows = found if rows is None else np.where(here, found, rows)
    return rows[0], rows[1 : 1 + len(LEVELS)], list(rows[1 + len(LEVELS) :])


def _lots(params: ItemParams, centre: FloatArray, mean: FloatArray, spread: FloatArray, level: FloatArray) -> Any:
    """Return by how much fixed order costs lower the reorder point and raise the order-up-to level, units.

    The power approximation of Ehrhardt and Mosier (1984), with the protection interval for the lead time. Lots that do
    not last a period raise nothing.
    """
    if not params.order_charges[0]:
        return np.zeros_like(level), np.zeros_like(level)
    holding, short = params.holding_cost, params.stockout_cost
    demand, deviation = np.maximum(centre, 1e-9), np.maximum(spread, 1e-9)
    setup = np.asarray(params.fixed_order_cost / holding, dtype=np.float64)
    lot = 1.30 * demand**0.494 * setup**0.506 * (1.0 + (deviation / demand) ** 2) ** 0.116
    z = np.sqrt(np.maximum(lot, 1e-9) / (deviation * short / holding))
    point = 0.973 * mean + deviation * (0.183 / z + 1.063 - 2.192 * z)
    reorder = np.where(lot > 0, np.maximum(level - point, 0.0), 0.0)
    extra = lot - reorder
    return reorder, np.where(lot > demand, extra, np.minimum(extra, 0.0))


def project(obs: Observation, found: ForecastSummary) -> Projection:
    """Carry stock through the lead time in its first two moments, as if it were normal in every period.

    Args:
        obs: stock and pipeline, numpy or torch.
        found: demand of the periods until an order placed now arrives.
    """
    params, now = obs.params, obs.net_inventory
    lead_time, share = np.asarray(params.lead_time), like(np.asarray(params.lost_share, dtype=np.float64), now)
    longest = int(lead_time.max())
    pipeline = fit_slots(obs.pipeline, max(longest, len(obs.pipeline)), now)
    one = lead_time.min() == longest
    mean, variance, lost = now, 0.0 * now, 0.0 * now
    for k in range(longest):
        gap = mean + pipeline[k] - found.mean[k]
        spread = square_root(variance + found.spread[k] ** 2 + (1e-3 * found.scale) ** 2)
        score = gap / spread
        above, density = normal_cdf(score), spread * normal_density(score)
        kept = gap * above + density
        short = kept - gap
        # The variance of max(X, 0) with X normal.
        clipped = positive_part((gap * gap + spread * spread) * above + gap * density - kept * kept)
        after = gap + share * short, spread * spread + share * (clipped - spread * spread), lost + share * short
        if one:
            mean, variance, lost = after
        else:
            waits = like(np.asarray(lead_time > k, dtype=np.float64), now)
            mean, variance, lost = (b + waits * (a - b) for a, b in zip(after, (mean, variance, lost), strict=True))
    return Projection(mean, square_root(variance + (1e-6 * found.scale) ** 2), lost)


class _Seen(NamedTuple):
    """What the order follows from besides the forecast.

    Attributes:
        gap: what projected stock lacks to its level, units, shape (paths, items).
        room: what the inventory position lacks to the newsvendor's level, units, likewise.
        units: what the network reads of stock, in units of demand's scale, shape (features, paths, items).
    """

    gap: Array
    room: Array
    units: Array


def _see(obs: Observation, found: ForecastSummary) -> _Seen:
    """Project stock, and read it by arrival and by age."""
    params, now = obs.params, obs.net_inventory
    stock = project(obs, found)
    lost, lead_time = like(np.asarray(params.lost_share, dtype=np.float64), now), np.asarray(params.lead_time)
    # With backorders the projection is linear, and this is the newsvendor's own gap.
    level = found.level - _until_arrival(found.mean, params)
    gap = level + lost * (found.served - level) - stock.mean - _due_later(obs)
    room = positive_part(found.level - obs.inventory_position)
    slots = fit_slots(obs.pipeline, max(LONGEST, len(obs.pipeline)), now)
    if np.ndim(lead_time) == 0:
        newest = [slots[lead_time - 1 - j] if lead_time > j else 0.0 * now for j in range(RECENT)]
    else:
        due = np.arange(len(slots)).reshape(-1, 1, 1)
        picks = [like((due == lead_time - 1 - j).astype(np.float64), now) for j in range(RECENT)]
        newest = [(pick * slots).sum(0) for pick in picks]
    units = [gap, room, now, stock.mean, stock.spread, stock.lost, *newest]
    return _Seen(gap, room, concatenate([*(x[None] for x in units), slots[:LONGEST]]) / found.scale)


def _until_arrival(mean: Array, params: ItemParams) -> Array:
    """Expected demand of the L periods until an order placed now arrives, units, (1 or paths, items)."""
    lead_time = np.asarray(params.lead_time)
    if not lead_time.ndim:
        return mean[: int(lead_time)].sum(0)
    before = (np.arange(len(mean)).reshape(-1, 1, 1) < lead_time).astype(np.float64)
    return (like(before, mean) * mean).sum(0)


def _due_later(obs: Observation) -> Array:
    """Units under way that arrive after an order placed now would, shape (paths, items)."""
    lead_time = np.asarray(obs.params.lead_time)
    if len(obs.pipeline) <= lead_time.min():
        return 0.0 * obs.net_inventory
    late = np.arange(len(obs.pipeline)).reshape(-1, 1, 1) >= lead_time
    return (like(late.astype(np.float64), obs.net_inventory) * obs.pipeline).sum(0)


def _corrected(params: ItemParams) -> FloatArray:
    """1 where the network has a say: demand is lost, and orders take time; else 0, and the newsvendor is optimal."""
    return np.asarray((np.asarray(params.lost_share) > 0) & (np.asarray(params.lead_time) > 0), dtype=np.float64)


def _lumps(params: ItemParams) -> FloatArray:
    """1 where orders come in more than single units, so that theory does not bound them; else 0."""
    pack = 0.0 if params.pack_size is None else params.pack_size
    least = 0.0 if params.minimum_order is None else params.minimum_order
    return np.asarray(np.maximum(pack, least) > 1.0, dtype=np.float64)
