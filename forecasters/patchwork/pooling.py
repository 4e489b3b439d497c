"""Effects of each item drawn to those of its category, and these to everyone's, by how much data there is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray, IntArray

ITEM_SPREAD, GROUP_SPREAD, WHOLE_SPREAD = 0.1, 0.2, 1.0
"""Standard deviations of effects before anything is learnt: in a category, between categories, of all."""
LEAST_SPREAD = 0.01


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the records of the items say of their effects: a Gaussian each, as vector and precision.

    Attributes:
        vector: precision times the estimate, shape (items, columns).
        precision: shape (items, columns, columns).
    """

    vector: FloatArray
    precision: FloatArray

    def blurred(self, variance: FloatArray) -> Evidence:
        """Return what is left when each estimate has errors of this variance (columns,) besides its own."""
        lift = np.eye(len(variance)) + self.precision * variance
        return Evidence(_solved(lift, self.vector[..., None])[..., 0], _solved(lift, self.precision))


@dataclass(frozen=True, eq=False)
class Spread:
    """Variances of effects among the items of a category, and among categories, each (columns,)."""

    item: FloatArray
    group: FloatArray

    @classmethod
    def prior(cls, columns: int) -> Spread:
        """Return the variances that are assumed before anything is learnt."""
        return cls(np.full(columns, ITEM_SPREAD**2), np.full(columns, GROUP_SPREAD**2))


@dataclass(frozen=True, eq=False)
class Effects:
    """Effects of columns on log demand.

    Attributes:
        whole: of everyone, shape (columns,).
        group: of each category, shape (categories, columns).
        item: of each item, shape (items, columns).
    """

    whole: FloatArray
    group: FloatArray
    item: FloatArray


def pooled(evidence: Evidence, group: IntArray, spread: Spread) -> tuple[Effects, Spread]:
    """Return the posterior means of a Gaussian hierarchy, and variances one step of EM further on.

    `item ~ N(group, spread.item)`, `group ~ N(whole, spread.group)`, `whole ~ N(0, 1)`: each level passes up
    what it knows of the one above, then takes the answer down.

    Args:
        evidence: of the items.
        group: category of each item, shape (items,).
        spread: the variances to go by.
    """
    at_item = 1.0 / spread.item
    item_cov = _inverse(evidence.precision + np.diag(at_item))
    said = _summed(_passed(evidence, item_cov, at_item), group)
    at_group = 1.0 / spread.group
    group_cov = _inverse(said.precision + np.diag(at_group))
    told = _passed(said, group_cov, at_group)
    at_whole = np.eye(len(at_item)) / WHOLE_SPREAD**2
    whole = _solved(told.precision.sum(0) + at_whole, told.vector.sum(0))
    of_group = _means(group_cov, said.vector + at_group * whole)
    of_item = _means(item_cov, evidence.vector + at_item * of_group[group])
    learnt = Spread(_variance(of_item - of_group[group], item_cov), _variance(of_group - whole, group_cov))
    return Effects(whole, of_group, of_item), learnt


def _passed(evidence: Evidence, covariance: FloatArray, precision: FloatArray) -> Evidence:
    """What each member says of the mean it is drawn around, its own value integrated out."""
    share = precision[:, None] * covariance
    return Evidence(_means(share, evidence.vector), np.diag(precision) - share * precision)


def _summed(evidence: Evidence, group: IntArray) -> Evidence:
    groups, columns = int(group.max()) + 1, evidence.vector.shape[1]
    vector, precision = np.zeros((groups, columns)), np.zeros((groups, columns, columns))
    np.add.at(vector, group, evidence.vector)
    np.add.at(precision, group, evidence.precision)
    return Evidence(vector, precision)


def _means(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray((matrix @ vector[..., None])[..., 0])


def _variance(deviation: FloatArray, covariance: FloatArray) -> FloatArray:
    spread = (deviation**2).mean(0) + np.diagonal(covariance, axis1=1, axis2=2).mean(0)
    return np.maximum(spread, LEAST_SPREAD**2)


def _solved(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(matrix, vector), dtype=np.float64)


def _inverse(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)
