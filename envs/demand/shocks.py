"""Shocks that items share: factors of all items, of groups and of each item, that last over time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd

from ...arrays import FloatArray, IntArray
from ...errors import Faults, FractileError
from ...forecasters.calibration.sampling import interval_scores, recorded_bounds
from ...forecasters.data.panel import SalesPanel
from ...forecasters.demand_forecast import DemandForecast
from ...forecasters.features.kinds import Labels, classify_attributes, codes_of, labels_of
from ...randomness import draw_by_item, keyed_generator
from .shock_moments import CLEAR, FEWEST_PERIODS, GroupGain, estimate_moments, group_gain, standardise

logger = logging.getLogger(__name__)

AT_ONCE = 131072
"""Scores that are drawn at once, so that they stay in the processor's cache."""
ORIGINS = 104
"""Most past origins whose one-step scores are fitted to."""


class ItemShocks(NamedTuple):
    """Loadings and memories of single items, each array of shape (items,).

    Attributes:
        item_ids: one text an item.
        common: loading on the common factor. [a_i]
        group: loading on the group's factor. [b_i]
        memory: lag-1 autocorrelation of the item's own factor. [φ_i]
        label: the group of each item; "" where it has none.
    """

    item_ids: tuple[str, ...]
    common: FloatArray
    group: FloatArray
    memory: FloatArray
    label: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CommonShocks:
    """How normal scores of one-step forecast errors move together, over items and over time.

    The score of item i in period t is
    `z_it = a_i c_t + b_i g_{k(i),t} + d_i e_it`, `d_i² = 1 − a_i² − b_i²`,
    with a common factor c, a factor g of each group k, and one of the item alone, e: independent of each other, of
    variance one, AR(1) with memories φ_c, φ_g and φ_i, in their stationary law from the first period on. So each score
    is standard normal, and two of one period have the correlation `a_i a_j`, `+ b_i b_j` in one group.

    Loadings may differ between items (`items`); all others have the scalars given here. An item whose group is not
    known has a group of its own.

    Attributes:
        common: loading on the common factor. [a]
        group: loading on the group's factor. [b]
        common_memory: lag-1 autocorrelation of the common factor. [φ_c]
        group_memory: of the groups' factors. [φ_g]
        item_memory: of what is left to the items. [φ]
        attribute: the column of `panel.attributes` that says which group an item belongs to; None = no groups.
        items: items with loadings and memories of their own.

    Raises:
        FractileError: with every field that breaks its rule.

    >>> CommonShocks(common=0.5, common_memory=0.3).of(("tea", "coffee")).correlation
    array([[1.  , 0.25],
           [0.25, 1.  ]])
    """

    common: float = 0.0
    group: float = 0.0
    common_memory: float = 0.0
    group_memory: float = 0.0
    item_memory: float = 0.0
    attribute: str | None = None
    items: ItemShocks | None = None

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("common_memory", "group_memory", "item_memory"):
            value = getattr(self, name)
            if not -1 < value < 1:
                faults.add(f"{name} must be a number in (-1, 1), got {value}; 0 means that shocks last one period")
        if not self.common**2 + self.group**2 <= 1:
            faults.add(
                f"common² + group² must be at most 1, the variance of a score, got {self.common}² + {self.group}²; "
                "give smaller loadings"
            )
        if self.group != 0 and self.attribute is None:
            faults.add(f"group = {self.group} needs the attribute that says which group an item belongs to; name it")
        if self.items is not None:
            own = self.items
            if not len(own.item_ids) == len(own.common) == len(own.group) == len(own.memory) == len(own.label):
                faults.add(f"items must hold one loading, memory and label for each of {len(own.item_ids)} item_ids")
            elif not ((own.common**2 + own.group**2 <= 1).all() and (np.abs(own.memory) < 1).all()):
                faults.add("items must have common² + group² <= 1 and memories in (-1, 1); give smaller ones")
        faults.raise_if_any()

    @classmethod
    def fit(cls, forecaster: Any, panel: SalesPanel, *, before: int | None = None, group: str | None = "auto") -> Self:
        """Fit to the past one-step scores of a fitted forecaster.

        Forecasts are made from up to 104 origins, the last two thirds of the history at most. Periods that the
        forecaster was fitted on are in-sample, where networks and trees are too good: their scores vary too little, so
        that they are scaled to variance one. Where shocks are large and few, such a forecaster may have learned them,
        and what is found of them is too small: fit it to an earlier part of the history then, forecast the rest, and
        take `from_forecast`.

        Args:
            forecaster: fitted.
            panel: the history.
            before: only periods before this one are used; the panel's end where None.
            group: the attribute whose values are groups; "auto" takes the one whose items are most alike beyond what
                all items share, if any; None = no groups.
        """
        past = panel if before is None else panel.until(before)
        first = max(1, past.periods - min(ORIGINS, 2 * past.periods // 3))
        if past.periods - first < FEWEST_PERIODS:
            logger.info(
                "no common shocks: %d past periods to forecast, %d are needed", past.periods - first, FEWEST_PERIODS
            )
            return cls()
        return cls.from_forecast(forecaster.predict(past, 1, origins=np.arange(first, past.periods)), past, group=group)

    @classmethod
    def from_forecast(cls, forecast: DemandForecast, panel: SalesPanel, *, group: str | None = "auto") -> Self:
        """Fit to past forecasts, wherever they were made.

        A demand of whole units fixes its score to an interval, and sales of an item that ran out to all above them.
        Intervals enter by their conditional mean, and what they hide of correlations is given back
        (`shock_moments`).

        Args:
            forecast: of the panel's items, from many origins that follow each other; its first period counts.
            panel: reaches beyond the origins.
            group: as in `fit`.

        Raises:
            FractileError: where the panel lacks the attribute.
        """
        mean, kept = _past_scores(forecast, panel)
        score = standardise(mean, kept)
        # Totals follow large items, pairs are mostly of small ones: items count by the root of what they sell.
        size = np.sqrt(forecast.head(1).mean().mean((1, 2)))
        weight = size / size.mean() if size.any() else np.ones(len(size))
        attribute, code, labels = _choose_group(score, kept, weight, panel, group)
        found = estimate_moments(score, kept, code, weight)
        if found.group == 0.0:
            attribute, labels = None, ()
        label = tuple(labels[k] if attribute is not None and k >= 0 else "" for k in code)
        own = ItemShocks(panel.item_ids, found.item_common, found.item_group, found.item_own_memory, label)
        logger.info(
            "common shocks: loading %.2f (memory %.2f), group %s %.2f (%.2f), items' memory %.2f",
            found.common, found.common_memory, attribute, found.group, found.group_memory, found.item_memory,
        )  # fmt: skip
        return cls(
            found.common, found.group, found.common_memory, found.group_memory, found.item_memory, attribute, own
        )

    def of(self, item_ids: Sequence[str], attributes: pd.DataFrame | None = None) -> ShockedItems:
        """Return the loadings, memories and groups of these items.

        Args:
            item_ids: one text an item.
            attributes: a row an item, `panel.attributes`; where None, groups are those of the items fitted.
        """
        number = len(item_ids)
        common, group, memory = (np.full(number, float(x)) for x in (self.common, self.group, self.item_memory))
        label = [""] * number
        if self.items is not None:
            place = {name: k for k, name in enumerate(self.items.item_ids)}
            for i, name in enumerate(item_ids):
                if name in place:
                    k = place[name]
                    common[i], group[i], memory[i] = (float(x[k]) for x in self.items[1:4])
                    label[i] = self.items.label[k]
        if attributes is not None and self.attribute in attributes.columns:
            label = ["" if text is None else str(text) for text in labels_of(attributes[self.attribute])]
        own = ItemShocks(tuple(item_ids), common, group, memory, tuple(label))
        return ShockedItems(own, self.common_memory, self.group_memory)


class ShockedItems(NamedTuple):
    """Items with the shocks that they share, ready to be drawn.

    Attributes:
        own: loadings, memories and groups.
        common_memory: of the common factor. [φ_c]
        group_memory: of the groups' factors. [φ_g]
    """

    own: ItemShocks
    common_memory: float
    group_memory: float

    @property
    def correlation(self) -> FloatArray:
        """Correlation of scores of one period, shape (items, items)."""
        own, label = self.own, np.array(self.own.label, dtype=object)
        same = (label[:, None] == label) & (label != "")
        out = np.outer(own.common, own.common) + np.where(same, np.outer(own.group, own.group), 0.0)
        np.fill_diagonal(out, 1.0)
        return np.asarray(out)

    @property
    def rest(self) -> FloatArray:
        """Loading of each item on its own factor, shape (items,). [d_i]"""
        return np.sqrt(np.maximum(1.0 - self.own.common**2 - self.own.group**2, 0.0))

    def sample(self, root: int, paths: int, periods: int, *, lasting: bool = True) -> FloatArray:
        """Draw scores of all items, each factor by its own key: items, paths or periods added change nothing else.

        Args:
            root: what all keys begin with.
            paths: number of paths.
            periods: number of periods.
            lasting: whether factors have their memories; independent over time where not.

        Returns:
            standard normal scores, shape (items, paths, periods).
        """

        def draw(key_root: int, keys: Sequence[str], memory: FloatArray) -> FloatArray:
            normal = draw_by_item(key_root, keys, paths, periods, lambda rng, _, n: rng.standard_normal((periods, n)))
            return remember(normal.swapaxes(1, 2), memory) if lasting else normal.swapaxes(1, 2)

        own, shared = self.own, list[tuple[FloatArray, FloatArray, IntArray]]()  # loading, factors, each item's factor
        if own.common.any() or own.group.any():
            # Another root, so that no item's id can be a factor's key.
            other = int(keyed_generator(root, "common shocks").integers(2**62))
            if own.common.any():
                factor = draw(other, ["common"], np.array([self.common_memory]))
                shared.append((own.common, factor, np.zeros(len(own.item_ids), dtype=np.int64)))
            if own.group.any():
                # An item whose group is not known is one of its own.
                names = zip(own.label, own.item_ids, strict=True)
                keys = [f"group {label}" if label else f"item {name}" for label, name in names]
                distinct, code = np.unique(np.array(keys, dtype=object), return_inverse=True)
                factor = draw(other, list(distinct), np.full(len(distinct), self.group_memory))
                shared.append((own.group, factor, code))
        out, rest = np.empty((len(own.item_ids), periods, paths)).swapaxes(1, 2), self.rest
        size = max(1, AT_ONCE // max(1, paths * periods))
        for first in range(0, len(out), size):
            some = slice(first, first + size)
            score = draw(root, own.item_ids[some], own.memory[some])
            if shared:
                score *= rest[some, None, None]
            for loading, factor, code in shared:
                # One factor of all is not copied item by item.
                own_factor = factor if len(factor) == 1 else factor[code[some]]
                score += loading[some, None, None] * own_factor
            out[some] = score
        return out

    def episodes(self, rng: np.random.Generator, row: IntArray, periods: int) -> FloatArray:
        """Draw scores of paths of one item each, which last as factors do: the law that `sample` has for that item.

        Args:
            rng: where the draws come from.
            row: which item a path holds, shape (paths,).
            periods: number of periods.

        Returns:
            standard normal scores, shape (paths, periods).
        """
        shape = (len(row), periods)
        score = self.rest[row, None] * remember(rng.standard_normal(shape), self.own.memory[row])
        for loading, memory in ((self.own.common, self.common_memory), (self.own.group, self.group_memory)):
            if loading.any():
                score += loading[row, None] * remember(rng.standard_normal(shape), np.full(len(row), memory))
        return score


def remember(normal: FloatArray, memory: FloatArray) -> FloatArray:
    """Turn independent standard normal draws into AR(1) series of variance one.

    `e_0 = w_0`, `e_t = φ e_{t−1} + √(1 − φ²) w_t`: stationary from the first period on.

    Args:
        normal: shape (series, ..., periods). [w]
        memory: of each series, shape (series,). [φ]
    """
    if not memory.any():
        return normal
    phi = memory.reshape(-1, *[1] * (normal.ndim - 2))
    fresh, out = np.sqrt(1.0 - phi**2), normal.copy(order="K")
    for t in range(1, normal.shape[-1]):
        now = out[..., t]
        now *= fresh
        now += phi * out[..., t - 1]
    return out


def _past_scores(forecast: DemandForecast, panel: SalesPanel) -> tuple[FloatArray, FloatArray]:
    """Conditional means of one-step scores, and what they keep of the variance, both (items, origins).

    Both are 0 where nothing is known. Where an item ran out, demand was at least what was sold.
    """
    low, high = recorded_bounds(forecast.head(1), panel)  # type: ignore[arg-type]  # reads levels, values, origins
    scores = interval_scores(low[..., 0], high[..., 0])
    known = ~np.isnan(scores.mean)
    return np.where(known, scores.mean, 0.0), np.where(known, 1.0 - scores.spread, 0.0)


def _choose_group(
    score: FloatArray, kept: FloatArray, weight: FloatArray, panel: SalesPanel, group: str | None
) -> tuple[str | None, IntArray, Labels]:
    """Return the attribute whose groups are told apart, the group of each item (−1: none) and the groups' names."""
    none = np.full(panel.items, -1, dtype=np.int64)
    attributes = panel.attributes
    found = classify_attributes(attributes) if len(attributes.columns) else {}
    if group is None:
        return None, none, ()
    if group != "auto":
        if group not in attributes.columns:
            known = ", ".join(map(str, attributes.columns)) or "none"
            raise FractileError(f"group must name an attribute of the panel's items, got {group!r}; there are: {known}")
        labels = tuple(sorted({text for text in labels_of(attributes[group]) if text is not None}))
        return group, codes_of(attributes, group, labels), labels
    best: tuple[GroupGain, str, IntArray, Labels] | None = None
    for name, one in found.items():
        if one.kind in ("category", "code"):
            code = codes_of(attributes, name, one.labels)
            gain = group_gain(score, kept, code, weight)
            if gain.covariance > CLEAR * gain.error and (best is None or gain.gain > best[0].gain):
                best = (gain, name, code, one.labels)
    return (None, none, ()) if best is None else best[1:]
