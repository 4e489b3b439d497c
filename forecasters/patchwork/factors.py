"""What season, price and launch multiply demand by, in the past and ahead of an origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray, IntArray
from ..data.panel import SalesPanel
from .columns import age_columns, columns_of, launches
from .effects import FACTOR_CAP, FittedEffects, factors
from .plan import Plan


@dataclass(frozen=True, eq=False)
class Factors:
    """Factors on demand.

    Attributes:
        past: with the age that each item has by the panel, shape (items, periods).
        ageless: as if no item were young, the same shape.
        young: of an item that is launched at the origin, by periods ahead, shape (items, periods ahead).
        launched: first period in which each item was listed, shape (items,).
    """

    past: FloatArray
    ageless: FloatArray
    young: FloatArray
    launched: IntArray

    def ahead(self, origins: IntArray, horizon: int) -> FloatArray:
        """Return factors of the horizon, shape (items, origins, horizon).

        An item that is not listed before an origin is taken to be launched at it.
        """
        targets = origins[:, None] + np.arange(horizon)
        new = self.launched[:, None, None] >= origins[:, None]
        return np.where(new, self.ageless[:, targets] * self.young[:, None, :horizon], self.past[:, targets])


def factors_of(panel: SalesPanel, plan: Plan, effects: FittedEffects) -> Factors:
    """Return the factors of a panel's items."""
    every = all_columns(panel, plan)
    own = effects.of(panel)
    plain = every.shape[-1] - len(plan.ages)
    settling = age_columns(np.arange(panel.periods), plan) @ own[:, plain:].T
    return Factors(
        past=factors(every, own),
        ageless=factors(every[..., :plain], own[:, :plain]),
        young=np.exp(np.clip(settling.T, -FACTOR_CAP, FACTOR_CAP)),
        launched=launches(panel),
    )


def all_columns(panel: SalesPanel, plan: Plan) -> FloatArray:
    """Return the columns of a plan, those of age last, shape (items, periods, columns).

    Only items that were launched within the panel are young; how old the others are is not known.
    """
    launched = launches(panel)
    age = np.arange(panel.periods) - launched[:, None]
    young = age_columns(age, plan) * (launched > 0)[:, None, None]
    return np.concatenate([columns_of(panel, plan), young], axis=-1)
