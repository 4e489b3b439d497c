"""What is known ahead, taken out of the sales before a network reads them: calendar, prices, promotions.

A log-linear model with few coefficients, shared by the items of a category, says by how much each period's demand
stands above or below an item's level. Networks read sales divided by that lift and forecast demand on top of it, so
that they need not learn from a few hundred items what all of them have in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from ...arrays import BoolArray, FloatArray
from ..base import cumulated
from ..data.panel import SalesPanel
from ..features.kinds import codes_of

COMMON_RIDGE = 4.0
"""Information that pulls each common coefficient to zero, as of as many unit observations."""
CATEGORY_RIDGE = 12.0
"""The same for what a category adds to it: a prior with a deviation near 0.3."""
MOST_CATEGORIES = 12
MOST_ITEMS = 1500
"""Items that the coefficients are learnt from."""
DISPERSION = 3.0
"""Size of the negative binomial by which periods with large demand weigh less."""
SHRUNK = 0.5
"""Share of a coefficient that the ridge leaves free, in the criterion that chooses the attribute."""
ROUNDS = 8
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of a lift that are tried on the last periods of a history."""
LEAST = 0.1
LARGEST = 1.6
"""Largest log lift: a factor of five."""


@dataclass(frozen=True)
class Adjustment:
    """A fitted log-linear lift.

    Attributes:
        attribute: static attribute whose categories have coefficients of their own; empty where there is none.
        categories: its values.
        common: coefficient of each column. [β]
        own: what each category adds, a row each.
    """

    attribute: str = ""
    categories: tuple[str, ...] = ()
    common: tuple[float, ...] = ()
    own: tuple[tuple[float, ...], ...] = ()

    def lift(self, columns: FloatArray, panel: SalesPanel) -> FloatArray:
        """Return the log lift of each item and period, shape (items, periods).

        Args:
            columns: what is known ahead, shape (items, periods, columns).
            panel: whose items they are.
        """
        if not self.common:
            return np.zeros(columns.shape[:2])
        own = np.asarray(self.own).reshape(len(self.categories), len(self.common))
        return lifted(columns, np.asarray(self.common) + membership(panel, self.attribute, self.categories) @ own)

    def scaled(self, share: float) -> Adjustment:
        """Return the adjustment with a share of each coefficient."""
        common = tuple(share * value for value in self.common)
        return replace(self, common=common, own=tuple(tuple(share * value for value in row) for row in self.own))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild from what `dataclasses.asdict` gave."""
        own = tuple(tuple(row) for row in config["own"])
        return cls(config["attribute"], tuple(config["categories"]), tuple(config["common"]), own)


def fit_adjustment(
    columns: FloatArray, panel: SalesPanel, categories: Mapping[str, tuple[str, ...]], window: int
) -> Adjustment:
    """Learn the lift from a training panel.

    Args:
        columns: what is known ahead, shape (items, periods, columns).
        panel: the history.
        categories: values of the static attributes that are text.
        window: periods that an item's level is averaged over; a full season where there is one.
    """
    candidates = [name for name, values in categories.items() if len(values) <= MOST_CATEGORIES]
    fits = [_Fit(columns, panel, name, categories.get(name, ()), window) for name in ["", *candidates]]
    best = min((fit.run() for fit in fits), key=lambda found: found[0])[1]
    first = panel.periods - max(2, min(window // 2, panel.periods // 4))
    early = _Fit(columns[:, :first], panel.until(first), best.attribute, best.categories, window).run()[1]
    return best.scaled(trust(early, columns, panel, first))


def trust(early: Adjustment, columns: FloatArray, panel: SalesPanel, first: int) -> float:
    """Return the share of a lift, learnt before period `first`, that serves the periods from there on best."""
    lift = early.lift(columns, panel)
    return min(SHARES, key=lambda share: _held_out_misfit(share * lift, panel, first))


def _held_out_misfit(lift: FloatArray, panel: SalesPanel, first: int) -> float:
    """Return the misfit of an item's mean over lift before a period to what came from there on."""
    known = panel.informative
    before = slice(max(0, 2 * first - panel.periods), first)
    sales = np.where(known, panel.sales, 0.0)
    raised = np.where(known, np.exp(lift), 0.0)
    level = (sales[:, before].sum(1) + LEAST) / (raised[:, before].sum(1) + LEAST)
    mean = level[:, None] * np.exp(lift[:, first:])
    return misfit(sales[:, first:], mean, known[:, first:])


def lifted(columns: FloatArray, slopes: FloatArray) -> FloatArray:
    """Return the log lift of columns (items, periods, columns) under the slopes of each item (items, columns)."""
    return np.asarray(np.clip(np.einsum("itc,ic->it", columns, slopes), -LARGEST, LARGEST))


def membership(panel: SalesPanel, attribute: str, categories: tuple[str, ...]) -> FloatArray:
    """Return 1 where an item belongs to a category, shape (items, categories)."""
    if not categories:
        return np.zeros((panel.items, 0))
    return (codes_of(panel.attributes, attribute, categories)[:, None] == np.arange(len(categories))).astype(np.float64)


@dataclass
class _Fit:
    """Ridge regression by Newton steps, with levels that are averaged anew in between."""

    columns: FloatArray
    panel: SalesPanel
    attribute: str
    categories: tuple[str, ...]
    window: int
    known: FloatArray = field(init=False)
    sales: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        chosen = np.unique(np.linspace(0, self.panel.items - 1, min(self.panel.items, MOST_ITEMS)).astype(int))
        self.columns, self.panel = self.columns[chosen], self.panel.select(chosen)
        self.known = self.panel.informative.astype(np.float64)
        self.sales = np.where(self.panel.informative, self.panel.sales, 0.0)

    def run(self) -> tuple[float, Adjustment]:
        """Return the penalised deviance, which finds the attribute that tells most, and the adjustment."""
        number = self.columns.shape[-1]
        groups = membership(self.panel, self.attribute, self.categories)
        slopes = np.zeros((1 + len(self.categories), number))
        for _ in range(ROUNDS):
            lift = self._lift(slopes, groups)
            slopes = slopes + self._step(self._level(lift), lift, slopes, groups)
        lift = self._lift(slopes, groups)
        mean = self._level(lift) * np.exp(lift)
        criterion = misfit(self.sales, mean, self.panel.informative) + SHRUNK * slopes.size
        own = tuple(tuple(row) for row in slopes[1:])
        return criterion, Adjustment(self.attribute, self.categories, tuple(slopes[0]), own)

    def _lift(self, slopes: FloatArray, groups: FloatArray) -> FloatArray:
        return lifted(self.columns, slopes[0] + groups @ slopes[1:])

    def _level(self, lift: FloatArray) -> FloatArray:
        """Return mean sales over lift, in a window centred on each period."""
        return centred(self.sales, self.window) / np.maximum(centred(self.known * np.exp(lift), self.window), 1e-9)

    def _step(self, level: FloatArray, lift: FloatArray, slopes: FloatArray, groups: FloatArray) -> FloatArray:
        """Return one Newton step of the penalised quasi-likelihood, shape of `slopes`."""
        mean = level * np.exp(lift)
        weight = self.known / (1.0 + mean / DISPERSION)
        slope = np.einsum("it,itc->ic", weight * (self.sales - mean), self.columns)
        bend = np.einsum("it,itc,itd->icd", weight * mean, self.columns, self.columns, optimize=True)
        design = np.concatenate([np.ones((len(groups), 1)), groups], axis=1)
        gradient = (design.T @ slope).ravel()
        size = slopes.size
        hessian = np.einsum("ik,il,icd->kcld", design, design, bend, optimize=True).reshape(size, size)
        ridge = np.repeat([COMMON_RIDGE, *[CATEGORY_RIDGE] * groups.shape[1]], slopes.shape[1])
        change = np.linalg.solve(hessian + np.diag(ridge), gradient - ridge * slopes.ravel())
        return np.asarray(np.clip(change, -1.0, 1.0)).reshape(slopes.shape)


def misfit(sales: FloatArray, mean: FloatArray, known: BoolArray) -> float:
    """Return minus the log likelihood of known sales under negative binomials, up to a constant.

    Args:
        sales: units, shape (items, periods).
        mean: of the distributions, the same shape.
        known: what counts.
    """
    mean = np.maximum(mean, 1e-9)
    fit = sales * np.log(mean) - (sales + DISPERSION) * np.log(mean + DISPERSION)
    return float(-fit[known].sum())


def centred(values: FloatArray, window: int) -> FloatArray:
    """Return sums over a window centred on each period, cut at the ends: the shape of `values`."""
    total = cumulated(values)
    at = np.arange(values.shape[1])
    half = window // 2
    return np.asarray(total[:, np.minimum(at + half + 1, values.shape[1])] - total[:, np.maximum(at - half, 0)])
