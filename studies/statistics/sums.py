"""Costs of one history as sums that add up over groups of items: what savings of any number of items come from.

All that the variance of a saving needs (`variance.OneHistory`) is linear in costs or a product of two sums that are: an
item's influence in its total cost, a period's in the cost of all items, and what is an item's and a period's own in
products of the items' cosine waves. So a group of items leaves three small tables and two numbers an item, and groups
are added, in memory that does not grow with items times periods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...arrays import BoolArray, FloatArray
from ...errors import FractileError
from .estimates import Estimates
from .variance import OneHistory, cosines, count_cosines, jackknife_moves


@dataclass(frozen=True, eq=False)
class CostSums:
    """Sums of the costs of several policies on one history; costs are means over training seeds.

    Of all policies but the baseline what they cost more than it is summed, so that policies that order alike differ
    by nothing, and by no rounding error.

    Attributes:
        names: of the policies, the baseline first.
        items: of the baseline its cost, of the others what they cost more, money, shape (policies, items).
        periods: likewise, of all items, shape (policies, periods).
        products: of two policies' cosine waves, summed over items, shape (cosines, policies, policies).
        alive: whether an item costs anything under any policy, shape (items,).
        seeds: cost of each training seed by policy, money, shape (seeds,).
        positive: whether no policy's cost is negative anywhere.
    """

    names: tuple[str, ...]
    items: FloatArray
    periods: FloatArray
    products: FloatArray
    alive: BoolArray
    seeds: Mapping[str, FloatArray]
    positive: bool

    @classmethod
    def of(cls, costs: Mapping[str, FloatArray], baseline: str) -> CostSums:
        """Sum up costs.

        Args:
            costs: by policy, money, shape (training seeds, periods, items).
            baseline: what savings are measured against.

        Raises:
            FractileError: where a cost is not a number.
        """
        names = (baseline, *(name for name in costs if name != baseline))
        if not all(np.isfinite(cost).all() for cost in costs.values()):
            raise FractileError("costs must be finite numbers; leave out the item-periods without one")
        means = [costs[name].mean(0) for name in names]
        parts = np.stack([means[0], *(mean - means[0] for mean in means[1:])])
        periods = parts.shape[1]
        waves = cosines(count_cosines(periods), periods) @ parts
        return cls(
            names,
            items=parts.sum(1),
            periods=parts.sum(2),
            products=np.einsum("jbi,kbi->bjk", waves, waves, optimize=True),
            alive=(parts != 0).any((0, 1)),
            seeds={name: costs[name].sum((1, 2)) for name in names},
            positive=all(bool((cost >= 0).all()) for cost in costs.values()),
        )

    @classmethod
    def join(cls, parts: Sequence[CostSums]) -> CostSums:
        """Add up the sums of groups of items of one history; items follow each other in the order of the groups.

        Args:
            parts: one or more, of the same policies.
        """
        first = parts[0]
        return cls(
            first.names,
            items=np.concatenate([part.items for part in parts], axis=1),
            periods=np.sum([part.periods for part in parts], axis=0),
            products=np.sum([part.products for part in parts], axis=0),
            alive=np.concatenate([part.alive for part in parts]),
            seeds={name: np.sum([part.seeds[name] for part in parts], axis=0) for name in first.names},
            positive=all(part.positive for part in parts),
        )

    def estimates(self) -> Estimates:
        """Return the savings against the baseline, as `estimate_savings` does from costs cell by cell.

        Raises:
            FractileError: where the baseline costs nothing.
        """
        total = float(self.items[0].sum())
        if total <= 0:
            raise FractileError(
                f"the baseline costs {total:g} in all: a saving is a share of a positive cost; choose another baseline"
            )
        extra = self.items.sum(1) / total
        extra[0] = 0.0
        # An estimate's influence is (ratio · baseline − cost) / total = (extra share · baseline − extra cost) / total.
        weights = -np.eye(len(self.names)) / total
        weights[:, 0] = extra / total
        number = [len(self.seeds[name]) for name in self.names]
        spread = np.array([_spread(self.seeds[name] / total) for name in self.names])
        shapes = cosines(self.products.shape[0], self.periods.shape[1])
        items = self.items[:, self.alive]
        moves = jackknife_moves(weights @ items, items[0] / total)
        sampling = OneHistory(
            moves=moves if moves.shape[1] > 1 else moves[:, :0],
            series=weights @ self.periods,
            waves=weights @ self.periods @ shapes.T,
            own=np.einsum("cj,bjk,dk->bcd", weights, self.products, weights),
        )
        return Estimates(
            values=-extra,
            sampling=sampling,
            seed_variance=np.nan_to_num(np.square(spread)) / number,
            seeds=tuple(number),
            seed_sd=spread,
            clusters="item_time",
            periods=self.periods.shape[1],
            items=self.items.shape[1],
            most=1.0 if self.positive else np.inf,
        )


def _spread(shares: FloatArray) -> float:
    return float(shares.std(ddof=1)) if len(shares) > 1 else float("nan")
