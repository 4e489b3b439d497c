"""Effects of season, price and launch: estimated around a smooth level, an item's drawn to those of its category.

Each item's record is evidence on its effects; categories draw to everyone, items to their category, each by how
much data there is. What the effects multiply demand by, in the past and ahead of an origin, are its `Factors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ...arrays import FloatArray, IntArray
from ..base import Arrays, Config, State
from ..data.panel import SalesPanel
from ..features.history import launches
from ..features.kinds import Labels, classify_attributes, codes_of
from .plan import Plan, age_columns, make_columns

ITEM_SPREAD, GROUP_SPREAD, WHOLE_SPREAD = 0.1, 0.2, 1.0
"""Standard deviations of effects before any data: in a category, between categories, of all."""
LEAST_SPREAD = 0.01
ROUNDS, STEPS = 4, 2
"""Rounds of level and effects in turn, and steps of the effects in each."""
FACTOR_CAP = 2.5
"""Largest log of what all effects of an item-period come to."""
CLIP = 4.0
"""Standard deviations from its mean at which a sale stops pulling harder."""
DISPERSION = (0.01, 12.0)
DISPERSION_WEIGHT = 10.0
"""Periods that the usual dispersion is worth against an item's own."""
SMALLEST_LEVEL = 1e-3


@dataclass(frozen=True, eq=False)
class Evidence:
    """Evidence of the records on the effects of their items: a Gaussian each, as vector and precision.

    Attributes:
        vector: precision times the estimate, shape (items, columns).
        precision: shape (items, columns, columns).
    """

    vector: FloatArray
    precision: FloatArray

    def blurred(self, variance: FloatArray) -> Evidence:
        """Return what is left when each estimate has errors of this variance (columns,) besides its own."""
        lift = np.eye(len(variance)) + self.precision * variance
        return Evidence(_solve(lift, self.vector[..., None])[..., 0], _solve(lift, self.precision))


@dataclass(frozen=True, eq=False)
class Spread:
    """Variances of effects among the items of a category, and among categories, each (columns,)."""

    item: FloatArray
    group: FloatArray

    @classmethod
    def prior(cls, columns: int) -> Spread:
        """Return the variances that are assumed before any data."""
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


def pool(evidence: Evidence, group: IntArray, spread: Spread) -> tuple[Effects, Spread]:
    """Return the posterior means of a Gaussian hierarchy, and variances one step of EM further on.

    `item ~ N(group, spread.item)`, `group ~ N(whole, spread.group)`, `whole ~ N(0, 1)`: evidence on the level
    above is passed up, posterior means are passed down.

    Args:
        evidence: of the items.
        group: category of each item, shape (items,).
        spread: the variances to go by.
    """
    at_item = 1.0 / spread.item
    item_cov = _inverse(evidence.precision + np.diag(at_item))
    of_groups = _sum_by_group(_pass_up(evidence, item_cov, at_item), group)
    at_group = 1.0 / spread.group
    group_cov = _inverse(of_groups.precision + np.diag(at_group))
    of_whole = _pass_up(of_groups, group_cov, at_group)
    at_whole = np.eye(len(at_item)) / WHOLE_SPREAD**2
    whole = _solve(of_whole.precision.sum(0) + at_whole, of_whole.vector.sum(0))
    of_group = _means(group_cov, of_groups.vector + at_group * whole)
    of_item = _means(item_cov, evidence.vector + at_item * of_group[group])
    variances = Spread(_variance(of_item - of_group[group], item_cov), _variance(of_group - whole, group_cov))
    return Effects(whole, of_group, of_item), variances


def _pass_up(evidence: Evidence, covariance: FloatArray, precision: FloatArray) -> Evidence:
    """Return the evidence of each member on the mean that it is drawn around, its own value integrated out."""
    share = precision[:, None] * covariance
    return Evidence(_means(share, evidence.vector), np.diag(precision) - share * precision)


def _sum_by_group(evidence: Evidence, group: IntArray) -> Evidence:
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


def _solve(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(matrix, vector), dtype=np.float64)


def _inverse(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Record:
    """Sales with what explains them.

    Attributes:
        sales: in the model's units, 0 where they were not demand, shape (items, periods).
        known: 1.0 where sales were demand, the same shape.
        columns: shape (items, periods, columns).
        kernel: weights of one period for the level of another, shape (periods, periods).
    """

    sales: FloatArray
    known: FloatArray
    columns: FloatArray
    kernel: FloatArray


def smoothing_kernel(periods: int, width: float) -> FloatArray:
    """Return the weights of a normal window of this standard deviation, shape (periods, periods)."""
    time = np.arange(periods)
    return np.exp(-0.5 * ((time[:, None] - time) / width) ** 2)


@dataclass(frozen=True, eq=False)
class FittedEffects:
    """Effects by item, with the categories that they were drawn to.

    Attributes:
        effects: of the fitted items.
        spread: how much they differ.
        dispersion: of each item: variance = mean + dispersion · mean², shape (items,).
        attribute: the static attribute whose values are the categories; "" where there is one for all.
        labels: the categories.
        item_ids: the fitted items.
        rows: position of each fitted item (derived: a forecast of few items must not pay for all of them).
    """

    effects: Effects
    spread: Spread
    dispersion: FloatArray
    attribute: str
    labels: tuple[str, ...]
    item_ids: tuple[str, ...]
    rows: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", {item: row for row, item in enumerate(self.item_ids)})

    @property
    def usual_dispersion(self) -> float:
        """Dispersion of the item in the middle."""
        return float(np.median(self.dispersion))

    def of(self, panel: SalesPanel) -> FloatArray:
        """Return the effects of a panel's items, (items, columns): new items have those of their category."""
        group = _groups_of(panel, self.attribute, self.labels)
        new = np.where((group >= 0)[:, None], self.effects.group[group], self.effects.whole)
        rows = np.array([self.rows.get(item, -1) for item in panel.item_ids], dtype=np.int64)
        return np.where((rows >= 0)[:, None], self.effects.item[rows], new)

    def to_state(self) -> State:
        """Return configuration and arrays."""
        config = {"attribute": self.attribute, "labels": list(self.labels), "item_ids": list(self.item_ids)}
        arrays = {name: getattr(self.effects, name) for name in ("whole", "group", "item")}
        arrays |= {"item_spread": self.spread.item, "group_spread": self.spread.group, "dispersion": self.dispersion}
        return config, {f"effects_{name}": array for name, array in arrays.items()}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> FittedEffects:
        """Rebuild from `to_state()`."""
        effects = Effects(*(arrays[f"effects_{name}"] for name in ("whole", "group", "item")))
        spread = Spread(arrays["effects_item_spread"], arrays["effects_group_spread"])
        names = {name: tuple(config[name]) for name in ("labels", "item_ids")}
        return cls(effects, spread, arrays["effects_dispersion"], config["attribute"], **names)


def fit_effects(record: Record, panel: SalesPanel, noise: FloatArray, start: FittedEffects | None) -> FittedEffects:
    """Estimate all effects.

    Args:
        record: sales and columns.
        panel: the same items, for their attributes.
        noise: what a drifting level adds to the variance of each effect's estimate, shape (columns,).
        start: effects to start from; where None, the categories are chosen, too.
    """
    columns = record.columns.shape[-1]
    now = start
    if now is None:
        nothing = Effects(np.zeros(columns), np.zeros((1, columns)), np.zeros((panel.items, columns)))
        dispersion = np.full(panel.items, 0.3)
        now = FittedEffects(nothing, Spread.prior(columns), dispersion, "", ("all",), panel.item_ids)
    for turn in range(ROUNDS):
        log_level = smooth_level(record, now.effects.item)
        now = replace(now, dispersion=dispersions(record, log_level, now.effects.item))
        if turn == 1 and start is None:
            now = _choose_attribute(now, panel, evidence_of(record, log_level, now))
        # Items without a value of the attribute make up one more group.
        group = _groups_of(panel, now.attribute, now.labels)
        group = np.where(group < 0, len(now.labels), group)
        for _ in range(STEPS if columns else 0):
            evidence = evidence_of(record, log_level, now).blurred(noise)
            effects, spread = pool(evidence, group, now.spread)
            now = replace(now, effects=effects, spread=spread)
    return now


def factors(columns: FloatArray, effects: FloatArray) -> FloatArray:
    """Return what the effects multiply demand by, capped, shape (items, periods)."""
    log = np.matmul(columns, effects[..., None])[..., 0]
    return np.exp(np.clip(log, -FACTOR_CAP, FACTOR_CAP))


def smooth_level(record: Record, effects: FloatArray) -> FloatArray:
    """Return the log of each item's level, demand over factors in a wide window around each period."""
    factor = record.known * factors(record.columns, effects)
    sales = record.known * record.sales
    whole = sales.sum(1, keepdims=True) / np.maximum(factor.sum(1, keepdims=True), 1e-9)
    level = (sales @ record.kernel + 0.5 * whole) / (factor @ record.kernel + 0.5)
    return np.log(np.maximum(level, SMALLEST_LEVEL))


def dispersions(record: Record, log_level: FloatArray, effects: FloatArray) -> FloatArray:
    """Return how much more demand varies than a Poisson: variance = mean + dispersion · mean², (items,)."""
    mean = np.exp(log_level) * factors(record.columns, effects)
    square = np.minimum((record.sales - mean) ** 2, 36 * (mean + mean**2))
    excess = (record.known * (square - mean)).sum(1)
    weight = (record.known * mean**2).sum(1)
    periods = record.known.sum(1)
    typical = weight / np.maximum(periods, 1)
    seen = periods >= min(20, periods.max())
    usual = np.median(excess[seen] / np.maximum(weight[seen], 1e-9))
    usual = np.clip(usual, 0.02, 5.0)
    own = (excess + DISPERSION_WEIGHT * usual * typical) / np.maximum(weight + DISPERSION_WEIGHT * typical, 1e-9)
    return np.clip(own, *DISPERSION)


def evidence_of(record: Record, log_level: FloatArray, now: FittedEffects) -> Evidence:
    """Return the quadratic approximation of the likelihood at the present effects, errors being clipped."""
    mean = np.exp(log_level) * factors(record.columns, now.effects.item)
    inflation = 1.0 + now.dispersion[:, None] * mean
    bound = CLIP * np.sqrt(mean * inflation)
    error = np.clip(record.sales - mean, -bound, bound)
    columns = record.columns.transpose(0, 2, 1)
    score = columns @ (record.known * error / inflation)[..., None]
    precision = columns @ (record.columns * (record.known * mean / inflation)[..., None])
    vector = precision @ now.effects.item[..., None] + score
    return Evidence(vector[..., 0], precision)


def _groups_of(panel: SalesPanel, attribute: str, labels: Labels) -> IntArray:
    """Return each item's category, −1 where it has none that is known; 0 for all without an attribute."""
    if not attribute:
        return np.zeros(panel.items, dtype=np.int64)
    if attribute not in panel.attributes:
        return np.full(panel.items, -1, dtype=np.int64)
    return codes_of(panel.attributes, attribute, labels)


def _choose_attribute(now: FittedEffects, panel: SalesPanel, evidence: Evidence) -> FittedEffects:
    """Choose the attribute whose categories differ most in their effects, by the evidence for them."""
    score = evidence.vector - (evidence.precision @ now.effects.item[..., None])[..., 0]
    most, attribute, labels = 0.0, now.attribute, now.labels
    for name, (kind, values) in classify_attributes(panel.attributes).items():
        if kind != "number" and len(values) <= panel.items // 4:
            group = codes_of(panel.attributes, name, values)
            # Twice the log odds, given the evidence, that categories have effects of their own of the usual spread.
            summed = _sum_by_group(Evidence(score, evidence.precision), np.where(group < 0, len(values), group))
            widened = np.eye(score.shape[1]) + GROUP_SPREAD**2 * summed.precision
            step = GROUP_SPREAD**2 * _solve(widened, summed.vector[..., None])[..., 0]
            gain = float((summed.vector * step).sum() - np.linalg.slogdet(widened)[1].sum())
            if gain > most:
                most, attribute, labels = gain, name, values
    return replace(now, attribute=attribute, labels=labels)


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


def make_factors(panel: SalesPanel, plan: Plan, effects: FittedEffects) -> Factors:
    """Return the factors of a panel's items."""
    every = make_columns(panel, plan)
    own = effects.of(panel)
    plain = every.shape[-1] - len(plan.ages)
    settling = age_columns(np.arange(panel.periods), plan) @ own[:, plain:].T
    return Factors(
        past=factors(every, own),
        ageless=factors(every[..., :plain], own[:, :plain]),
        young=np.exp(np.clip(settling.T, -FACTOR_CAP, FACTOR_CAP)),
        launched=launches(panel),
    )
