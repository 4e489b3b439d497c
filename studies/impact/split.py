"""A saving split into what the forecast and what the policy gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...arrays import FloatArray
from ..statistics import Clusters, paired_saving
from .grid import Grid, Pair


@dataclass(frozen=True)
class Part:
    """A part of a saving.

    Attributes:
        money: a period, over all items; to the cent.
        share: of the reference's cost.
        low: lower end of the share's interval.
        high: upper end.
    """

    money: float
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Split:
    """The saving of one pair against another, in two parts that add up to it, to the cent.

    Attributes:
        saving: the whole.
        forecast_effect: what the other forecast gave.
        policy_effect: what the other policy gave.
    """

    saving: Part
    forecast_effect: Part
    policy_effect: Part


def split_saving(
    grid: Grid, reference: Pair, pair: Pair, *, level: float = 0.95, clusters: Clusters = "item_time"
) -> Split:
    """Split what a pair saves against a reference into the effect of the forecast and that of the policy.

    The Shapley value (1953) of the two-way table of costs `C`: with the reference (f, p) and the pair (f', p'), the
    forecast's effect is `½ [C(f, p) − C(f', p)] + ½ [C(f, p') − C(f', p')]`, the mean of its effects before and after
    the policy is changed, and the policy's likewise. The two add up to the saving. Intervals are paired, over the
    cells of these differences. In cents, the policy's effect is what the forecast's leaves of the saving.

    Args:
        grid: with all four pairs.
        reference: forecaster and policy.
        pair: likewise.
        level: of the intervals.
        clusters: what they treat as independent: see `paired_saving`.
    """
    (f, p), (g, q) = reference, pair
    start, end = grid.mean_cost((f, p)), grid.mean_cost((g, q))
    new_forecast, new_policy = grid.mean_cost((g, p)), grid.mean_cost((f, q))
    forecast = 0.5 * (start - new_forecast) + 0.5 * (new_policy - end)
    policy = 0.5 * (start - new_policy) + 0.5 * (new_forecast - end)

    def part(saved: FloatArray) -> Part:
        found = paired_saving(start[None], (start - saved)[None], level=level, clusters=clusters)
        return Part(round(100 * float(saved.sum(1).mean())) / 100, found.saving, found.low, found.high)

    whole, own, other = part(start - end), part(forecast), part(policy)
    cents = round(100 * whole.money) - round(100 * own.money)
    return Split(whole, own, Part(cents / 100, other.share, other.low, other.high))


def split_table(grid: Grid, reference: Pair, *, level: float = 0.95, clusters: Clusters = "item_time") -> pd.DataFrame:
    """Return the split of every pair's saving against a reference, a row a pair.

    Pairs of which a third cell of the two-way table is missing are left out. Columns: `forecaster`, `policy`, and
    `saving`, `forecast_effect`, `policy_effect` (shares of the reference's cost), each with `_low`, `_high` and
    `_money` (a period, over all items).
    """
    rows = []
    for pair in grid.trajectories:
        crossed = {(pair[0], reference[1]), (reference[0], pair[1])}
        if pair == reference or not crossed <= set(grid.trajectories):
            continue
        split = split_saving(grid, reference, pair, level=level, clusters=clusters)
        row: dict[str, Any] = dict(zip(KEYS, pair, strict=True))
        for name in PARTS:
            one: Part = getattr(split, name)
            row |= {name: one.share, f"{name}_low": one.low, f"{name}_high": one.high, f"{name}_money": one.money}
        rows.append(row)
    columns = [f"{name}{what}" for name in PARTS for what in ("", "_low", "_high", "_money")]
    return pd.DataFrame(rows, columns=[*KEYS, *columns])


KEYS = ("forecaster", "policy")
PARTS = ("saving", "forecast_effect", "policy_effect")
"""Attributes of `Split`, and columns."""
