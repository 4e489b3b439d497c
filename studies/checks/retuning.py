"""How much less a policy would cost with more or less safety stock: a test of whether it is specified well.

One parameter is enough to find most mistakes: a level that covers L periods instead of L + 1, half the spread, a
critical ratio of another item. The policy is shown k periods of mean demand less stock than there is, which lifts its
order-up-to level by as much, whatever the policy is. Where a shift k ≠ 0 saves a good deal on cells that it was not
chosen on, the policy was not specified well, and savings against it are not worth their figure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...arrays import Array
from ...envs.core.backend import like
from ...envs.core.types import ItemParams, Observation, Scenario, Trajectory
from ...policies.base import OrderUpToPolicy, Policy, PreparingPolicy
from ..statistics import Clusters, paired_saving

SHIFTS = (-2.0, -1.0, -0.5, -0.2, -0.1, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Periods of mean demand that safety stocks are moved by."""
SURE = 0.99
"""Level of the intervals that checks decide by: a warning in vain costs trust."""


@dataclass(frozen=True, eq=False)
class ShiftedStock:
    """Order as a policy would with less stock than there is: its safety stock grows by as much.

    Attributes:
        policy: what orders.
        units: stock that it is not shown, scalar or (items,); below 0 it is shown more.
    """

    policy: Policy
    units: Any

    @property
    def reads_protection_total(self) -> bool:
        """Whether demand over the protection interval is computed beforehand: as for the policy itself."""
        return bool(getattr(self.policy, "reads_protection_total", False))

    def prepare(self, scenario: Scenario, params: ItemParams) -> Scenario:
        """Return the scenario with what the policy reads of its forecasts."""
        return self.policy.prepare(scenario, params) if isinstance(self.policy, PreparingPolicy) else scenario

    def order(self, obs: Observation) -> Array:
        """Return units to order, shape (paths, items)."""
        return self.policy.order(replace(obs, net_inventory=obs.net_inventory - like(self.units, obs.net_inventory)))


@dataclass(frozen=True, eq=False)
class ShiftedTarget(ShiftedStock):
    """`ShiftedStock` of a policy with a target, which a simulation without a state starts from."""

    policy: OrderUpToPolicy

    def target(self, obs: Observation) -> Array:
        """Return the order-up-to level, units: the policy's own and the shift. [S]"""
        return np.maximum(self.policy.target(obs) + self.units, 0.0)


def shift_stock(policy: Policy, units: Any) -> ShiftedStock:
    """Return a policy that is shown less stock than there is: see `ShiftedStock`."""
    return ShiftedTarget(policy, units) if isinstance(policy, OrderUpToPolicy) else ShiftedStock(policy, units)


@dataclass(frozen=True)
class Retuning:
    """What another safety stock would have saved.

    Attributes:
        shift: the cheapest one, periods of mean demand; 0 where the policy's own is.
        saving: on cells that shifts were not chosen on, share of the policy's cost.
        low: lower end of its interval.
        high: upper end.
        agreed: whether all parts chose a shift in the same direction.
    """

    shift: float
    saving: float
    low: float
    high: float
    agreed: bool

    @property
    def amount(self) -> str:
        """The shift in words, e.g. "0.5 periods of demand less"."""
        size = abs(self.shift)
        return f"{size:g} period{'' if size == 1 else 's'} of demand {'more' if self.shift > 0 else 'less'}"

    def exceeds(self, share: float) -> bool:
        """Whether more than this share is saved, beyond chance, by shifts in one direction."""
        return self.agreed and self.saving > share and self.low > 0


def retune(
    run: Callable[[float], Trajectory],
    own: Trajectory,
    *,
    clusters: Clusters = "auto",
    shifts: tuple[float, ...] = SHIFTS,
) -> Retuning:
    """Estimate what another safety stock would have saved, on cells that it was not chosen on.

    Cells are cut into halves of the items and halves of the paths (of the periods, where there is one path). For each
    of the four blocks the shift is the one that costs least on the block that shares neither with it.

    Args:
        run: from a shift, periods of mean demand, to the simulation with it.
        own: the policy's own.
        clusters: see `paired_saving`.
        shifts: to try.
    """
    tried = (0.0, *shifts)
    costs = np.stack([own.cost, *(run(shift).cost for shift in shifts)])
    paths, periods, items = own.cost.shape
    by_path = paths > 1
    time, item = np.arange(paths if by_path else periods), np.arange(items)
    # Single items, or single periods, have no other half: it is chosen on the whole axis then.
    first = [time < (len(time) + 1) // 2, time >= (len(time) + 1) // 2] if len(time) > 1 else [time >= 0]
    second = [item % 2 == 0, item % 2 == 1] if items > 1 else [item >= 0]
    axis = 1 if by_path else 2
    crossed, chosen = np.empty_like(own.cost), []
    for i, one in enumerate(first):
        for j, some in enumerate(second):
            judge = costs.compress(first[-1 - i], axis=axis).compress(second[-1 - j], axis=3).sum((1, 2, 3))
            best = int(np.argmin(judge))
            chosen.append(tried[best])
            cell = (one[:, None, None] if by_path else one[None, :, None]) & some
            crossed = np.where(cell, costs[best], crossed)
    saving = paired_saving(own.cost, crossed, level=SURE, clusters=clusters)
    whole = tried[int(np.argmin(costs.sum((1, 2, 3))))]
    agreed = whole != 0 and all(np.sign(shift) == np.sign(whole) for shift in chosen)
    return Retuning(whole, saving.saving, saving.low, saving.high, agreed)
