"""Policies with parameters item by item, brought to other items: another order, items that are gone, new ones.

A new item has no parameter of its own. It takes the pool's, in terms that mean the same for every item (`Scales`): a
level is so many standard deviations of demand over the protection interval beside the newsvendor's level, a quantity
so many usual lots. The pool's parameter is the median over the items whose demand goes on. Policies that read forecasts
or features have no parameters item by item, and order new items like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..arrays import FloatArray, IntArray
from ..envs.core.forecast_features import fractile_of, protection_total
from ..envs.core.params import ItemParams
from ..errors import FractileError
from ..forecasters.data.row_faults import listing
from ..forecasters.demand_forecast import DemandForecast
from .base_stock import (
    BaseStock,
    CappedBaseStock,
    ConstantOrder,
    EstimatedWaste,
    ReorderPointOrderUpTo as Ss,
    ReorderPointQuantity as Rq,
)
from .blended import Blended
from .forecast_dp import ForecastDynamicProgramming
from .newsvendor import Newsvendor

Kind = Literal["level", "lot", "above", "rate", "ratio"]
"""What a parameter is: a level of the inventory position, a lot, a lot above the reorder point, units from review to
review, no units."""
KINDS: Mapping[type, Mapping[str, Kind]] = {
    BaseStock: {"level": "level"},
    EstimatedWaste: {"level": "level"},
    CappedBaseStock: {"level": "level", "cap": "lot"},
    ConstantOrder: {"quantity": "rate"},
    Ss: {"reorder_point": "level", "order_up_to": "above", "cap": "lot"},
    Rq: {"reorder_point": "level", "quantity": "lot"},
    Newsvendor: {"critical_ratio": "ratio", "scale": "ratio"},
}
"""Parameters that may differ from item to item; a reorder point stands before what is counted from it."""
PARTS = ("baseline", "policy")
"""The policies within a `Blended`."""


@dataclass(frozen=True, eq=False)
class Scales:
    """What parameters of items are measured with, by their forecasts; units, shape (items,).

    Attributes:
        level: the newsvendor's level.
        deviation: standard deviation of demand over the protection interval, as a normal one's quartiles have it; at
            least half that of a Poisson.
        rate: mean demand from review to review.
        lot: the economic order quantity, or the rate where that is more.
        mean: demand over the protection interval.
    """

    level: FloatArray
    deviation: FloatArray
    rate: FloatArray
    lot: FloatArray
    mean: FloatArray

    @classmethod
    def of(cls, forecast: DemandForecast, params: ItemParams) -> Scales:
        """Read the scales of a forecast with one origin, for the parameters of its items."""
        total = protection_total(forecast, params)
        mean = total.mean()[:, 0, 0]
        quartiles = fractile_of(total, 0.75)[0] - fractile_of(total, 0.25)[0]
        each = mean / np.asarray(params.protection_interval)
        economic = np.sqrt(2.0 * np.asarray(params.fixed_order_cost) * each / np.asarray(params.holding_cost))
        rate = each * np.asarray(params.review_period)
        least = 0.0 if params.minimum_order is None else params.minimum_order
        return cls(
            level=np.asarray(fractile_of(total, params.critical_ratio)[0]),
            deviation=np.maximum(np.maximum(quartiles / 1.349, 0.5 * np.sqrt(mean)), 1e-6),
            rate=np.maximum(rate, 1e-6),
            lot=np.maximum(np.maximum(np.maximum(economic, rate), least), 1e-6),
            mean=mean,
        )

    def relative(self, kind: Kind, units: FloatArray, below: FloatArray) -> FloatArray:
        """Return parameters in units as ones that mean the same for every item.

        Args:
            kind: what they are.
            units: the parameters.
            below: what "above" counts from.
        """
        origin, unit = self._axis(kind, below)
        return (units - origin) / unit

    def units(self, kind: Kind, relative: float, below: FloatArray) -> FloatArray:
        """Return units for a parameter that means the same for every item: the reverse of `relative`."""
        origin, unit = self._axis(kind, below)
        return origin + relative * unit

    def _axis(self, kind: Kind, below: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return where a kind of parameter counts from, and what it counts in."""
        nothing = np.zeros(self.mean.shape)
        axes = {
            "level": (self.level, self.deviation),
            "lot": (nothing, self.lot),
            "above": (below, self.lot),
            "rate": (nothing, self.rate),
            "ratio": (nothing, nothing + 1.0),
        }
        return axes[kind]


def has_item_parameters(policy: Any) -> bool:
    """Whether a policy has parameters item by item of which new items can take the pool's."""
    if isinstance(policy, Blended):
        return any(has_item_parameters(getattr(policy, part)) for part in PARTS)
    return any(np.ndim(getattr(policy, name)) for name in KINDS.get(type(policy), ()))


def is_for_items(policy: Any, items: int) -> bool:
    """Whether a policy holds for the items that it was tuned for: others need `for_items`.

    Args:
        policy: tuned.
        items: number of the items that it was tuned for.
    """
    if isinstance(policy, Blended):
        return any(is_for_items(getattr(policy, part), items) for part in PARTS)
    known = isinstance(policy, ForecastDynamicProgramming) or has_item_parameters(policy)
    return known or (type(policy) not in KINDS and bool(_by_item(policy, items)))


def pool_parameters(policy: Any, forecast: DemandForecast, params: ItemParams) -> dict[str, float]:
    """Return the pool's value of each parameter that a policy has item by item, in terms that mean the same for all.

    Args:
        policy: tuned for the forecast's items.
        forecast: of its items, one origin, a protection interval ahead at least.
        params: lead times and costs of its items.

    Returns:
        By name; of a blended policy by part and name, e.g. `baseline.level`. Empty where no parameter differs.
    """
    if isinstance(policy, Blended):
        parts = {part: pool_parameters(getattr(policy, part), forecast, params) for part in PARTS}
        return {f"{part}.{name}": value for part, found in parts.items() for name, value in found.items()}
    names = [name for name in KINDS.get(type(policy), ()) if np.ndim(getattr(policy, name))]
    if not names:
        return {}
    scales = Scales.of(forecast, params)
    goes_on = scales.mean > 0
    if not goes_on.any():
        return dict.fromkeys(names, 0.0)
    pooled = {}
    for name in names:
        kind = KINDS[type(policy)][name]
        values = np.asarray(scales.relative(kind, np.asarray(getattr(policy, name)), _below(policy, kind)))
        pooled[name] = float(np.median(np.broadcast_to(values, scales.mean.shape)[goes_on]))
    return pooled


def for_items(
    policy: Any,
    before: Sequence[str] | pd.Index[str],
    now: Sequence[str],
    params: ItemParams,
    *,
    pooled: Mapping[str, float] | None = None,
    forecast: DemandForecast | None = None,
) -> Any:
    """Return a policy for other items than those that it was tuned for.

    Args:
        policy: tuned for the items of `before`.
        before: their ids, in the order of its parameters; a pandas Index where it is used many times.
        now: ids of the items to order, in any order; new ones among them.
        params: lead times and costs of these.
        pooled: as `pool_parameters` returns it; new items of a policy with parameters item by item need it.
        forecast: of the items of `now`, one origin; likewise.

    Raises:
        FractileError: where new items need a parameter that the policy has item by item, and nothing was pooled.
    """
    if len(before) == len(now) and tuple(before) == tuple(now):
        return policy
    place = pd.Index(before).get_indexer(pd.Index(now)).astype(np.int64)
    if isinstance(policy, Blended):
        parts = {}
        for part in PARTS:
            mine = {name[len(part) + 1 :]: v for name, v in (pooled or {}).items() if name.startswith(f"{part}.")}
            parts[part] = for_items(getattr(policy, part), before, now, params, pooled=mine, forecast=forecast)
        return replace(policy, **parts)
    if isinstance(policy, ForecastDynamicProgramming):  # new items are ordered as all that are not solved
        known = place >= 0
        probabilities = np.where(known[:, None], policy.probabilities[place], 0.0)
        return replace(
            policy, probabilities=probabilities, solved=np.where(known, policy.solved[place], 0.0), params=params
        )
    kinds = KINDS.get(type(policy))
    names = _by_item(policy, len(before)) if kinds is None else [n for n in kinds if np.ndim(getattr(policy, n))]
    if not names:
        return policy
    changed = {name: np.asarray(getattr(policy, name))[place] for name in names}
    if (place < 0).any():
        if kinds is None or forecast is None or not pooled:
            new = listing([name for name, at in zip(now, place, strict=True) if at < 0])
            raise FractileError(
                f"{type(policy).__name__} keeps {', '.join(names)} item by item, and has none for new items: {new}; "
                "train again on a history that has them"
            )
        changed = _with_pooled(policy, changed, place, pooled, Scales.of(forecast, params))
    return replace(policy, **changed)


def _with_pooled(
    policy: Any, changed: Mapping[str, FloatArray], place: IntArray, pooled: Mapping[str, float], scales: Scales
) -> dict[str, FloatArray]:
    """Return parameters item by item with the pool's where an item is new (`place` below 0)."""
    found: dict[str, FloatArray] = {}
    for name, own in changed.items():
        kind, known = KINDS[type(policy)][name], np.asarray(getattr(policy, name))
        below = found.get("reorder_point", _below(policy, kind)) if kind == "above" else np.zeros(len(place))
        units = scales.units(kind, pooled[name], below)
        whole = kind != "ratio" and bool((known[np.isfinite(known)] % 1 == 0).all())
        units = np.rint(units) if whole else units
        if kind in ("level", "rate"):  # reorder points may lie below zero where the pool's do
            units = np.maximum(units, min(0.0, float(known.min())))
        elif kind in ("lot", "above"):
            units = np.maximum(units, below + (1.0 if whole else 1e-6))
        found[name] = np.where(place < 0, units, own)
    return found


def _below(policy: Any, kind: Kind) -> FloatArray:
    """Return what a parameter counts from: the reorder point of what stands above it."""
    return np.asarray(policy.reorder_point if kind == "above" else 0.0)


def _by_item(policy: Any, items: int) -> list[str]:
    """Return the parameters of a policy of one's own that have a value an item."""
    if not is_dataclass(policy) or hasattr(policy, "to_state"):
        return []
    return [f.name for f in fields(policy) if f.init and np.shape(getattr(policy, f.name)) == (items,)]
