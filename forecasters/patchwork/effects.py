"""Season, price and launch effects, estimated together around a smooth level of each item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ...arrays import FloatArray, IntArray
from ..base import Arrays, Config, State
from ..data.panel import SalesPanel
from .pooling import GROUP_SPREAD, Effects, Evidence, Spread, pooled

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
class Record:
    """Sales with what explains them.

    Attributes:
        sales: in the model's units, 0 where they say nothing, shape (items, periods).
        known: 1.0 where sales were demand, the same shape.
        columns: shape (items, periods, columns).
        width: standard deviation of the kernel that smooths levels, periods.
    """

    sales: FloatArray
    known: FloatArray
    columns: FloatArray
    width: float

    @cached_property
    def kernel(self) -> FloatArray:
        """Weights of one period for the level of another."""
        time = np.arange(self.sales.shape[1])
        return np.exp(-0.5 * ((time[:, None] - time) / self.width) ** 2)


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
    """

    effects: Effects
    spread: Spread
    dispersion: FloatArray
    attribute: str
    labels: tuple[str, ...]
    item_ids: tuple[str, ...]

    @property
    def usual_dispersion(self) -> float:
        """Dispersion of the item in the middle."""
        return float(np.median(self.dispersion))

    def of(self, panel: SalesPanel) -> FloatArray:
        """Return the effects of a panel's items, (items, columns): new items have those of their category."""
        group = codes_of(panel.attributes, self.attribute, self.labels, panel.items)
        new = np.where((group >= 0)[:, None], self.effects.group[group], self.effects.whole)
        position = {item: row for row, item in enumerate(self.item_ids)}
        rows = np.array([position.get(item, -1) for item in panel.item_ids], dtype=np.int64)
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
    now = start or _nothing(panel, columns)
    for turn in range(ROUNDS):
        log_level = smooth_level(record, now.effects.item)
        now = replace(now, dispersion=dispersions(record, log_level, now.effects.item))
        if turn == 1 and start is None:
            now = _grouped(now, panel, evidence_of(record, log_level, now))
        group = codes_of(panel.attributes, now.attribute, now.labels, panel.items)
        for _ in range(STEPS if columns else 0):
            evidence = evidence_of(record, log_level, now).blurred(noise)
            effects, spread = pooled(evidence, group, now.spread)
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
    """Return what a quadratic approximation at the present effects says of them, errors being clipped."""
    mean = np.exp(log_level) * factors(record.columns, now.effects.item)
    inflation = 1.0 + now.dispersion[:, None] * mean
    bound = CLIP * np.sqrt(mean * inflation)
    error = np.clip(record.sales - mean, -bound, bound)
    columns = record.columns.transpose(0, 2, 1)
    score = columns @ (record.known * error / inflation)[..., None]
    precision = columns @ (record.columns * (record.known * mean / inflation)[..., None])
    vector = precision @ now.effects.item[..., None] + score
    return Evidence(vector[..., 0], precision)


def codes_of(static: pd.DataFrame, attribute: str, labels: tuple[str, ...], items: int) -> IntArray:
    """Return each item's category, −1 where it has none that is known; 0 for all without an attribute."""
    if not attribute:
        return np.zeros(items, dtype=np.int64)
    if attribute not in static:
        return np.full(items, -1, dtype=np.int64)
    found = pd.Index(labels).get_indexer(pd.Index(static[attribute].astype(str)))
    return np.asarray(found, dtype=np.int64)


def categorical(static: pd.DataFrame, most: int) -> dict[str, tuple[str, ...]]:
    """Return the values of each static attribute that has 2 ... `most` of them and is not a measure."""
    values = {str(name): static[name].astype(str) for name in static if static[name].dtype.kind != "f"}
    labels = {name: tuple(sorted(column.unique())) for name, column in values.items()}
    return {name: found for name, found in labels.items() if 2 <= len(found) <= most}


def _nothing(panel: SalesPanel, columns: int) -> FittedEffects:
    effects = Effects(np.zeros(columns), np.zeros((1, columns)), np.zeros((panel.items, columns)))
    return FittedEffects(effects, Spread.prior(columns), np.full(panel.items, 0.3), "", ("all",), panel.item_ids)


def _grouped(now: FittedEffects, panel: SalesPanel, evidence: Evidence) -> FittedEffects:
    """Choose the attribute whose categories differ most in their effects, by the evidence for them."""
    score = evidence.vector - (evidence.precision @ now.effects.item[..., None])[..., 0]
    best: tuple[float, str, tuple[str, ...]] = (0.0, now.attribute, now.labels)
    for name, labels in categorical(panel.attributes, panel.items // 4).items():
        group = codes_of(panel.attributes, name, labels, panel.items)
        gain = _gain(score, evidence.precision, group, len(labels))
        best = max(best, (gain, name, labels), key=_first)
    _, attribute, labels = best
    group_effects = np.tile(now.effects.whole, (len(labels), 1))
    return replace(now, effects=replace(now.effects, group=group_effects), attribute=attribute, labels=labels)


def _first(choice: tuple[Any, ...]) -> float:
    return float(choice[0])


def _gain(score: FloatArray, precision: FloatArray, group: IntArray, groups: int) -> float:
    """Twice the log odds, given the evidence, that categories have effects of their own of the usual spread."""
    columns = score.shape[1]
    vector, matrix = np.zeros((groups, columns)), np.zeros((groups, columns, columns))
    np.add.at(vector, group, score)
    np.add.at(matrix, group, precision)
    widened = np.eye(columns) + GROUP_SPREAD**2 * matrix
    step = GROUP_SPREAD**2 * np.linalg.solve(widened, vector[..., None])[..., 0]
    return float((vector * step).sum() - np.linalg.slogdet(widened)[1].sum())
