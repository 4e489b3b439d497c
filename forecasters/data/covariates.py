"""Covariates of a history as (items, periods) arrays of numbers without holes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...arrays import FloatArray, IntArray
from .columns import as_numbers, listing


@dataclass(frozen=True)
class Cells:
    """Which cell of the panel each row of the history goes to.

    Attributes:
        flat: item * periods + period of each row, shape (rows,), rows in the order of their dates.
        shape: (items, periods).
        sales: units of each row, shape (rows,).
    """

    flat: IntArray
    shape: tuple[int, int]
    sales: FloatArray

    def total(self, values: FloatArray) -> FloatArray:
        """Add the rows of each cell up."""
        size = self.shape[0] * self.shape[1]
        sums: FloatArray = np.bincount(self.flat, weights=values, minlength=size).astype(np.float64)
        return sums.reshape(self.shape)

    def mean(self, values: FloatArray, weights: FloatArray) -> FloatArray:
        """Average the rows of each cell that have a value; NaN where none has or the weights are zero."""
        there = np.isfinite(values)
        weights = np.where(there, weights, 0.0)
        share = self.total(weights)
        summed = self.total(np.where(there, values, 0.0) * weights)
        average = np.full(self.shape, np.nan)
        np.divide(summed, share, out=average, where=share > 0)
        return average

    def largest(self, values: FloatArray) -> FloatArray:
        """Return the largest value of each cell; NaN where there is none."""
        cells = np.full(self.shape[0] * self.shape[1], -np.inf)
        there = np.isfinite(values)
        np.maximum.at(cells, self.flat[there], values[there])
        return np.where(np.isfinite(cells), cells, np.nan).reshape(self.shape)

    def last(self, values: FloatArray) -> FloatArray:
        """Return the latest value of each cell; NaN where there is none."""
        cells = np.full(self.shape[0] * self.shape[1], np.nan)
        there = np.isfinite(values)
        cells[self.flat[there]] = values[there]
        return cells.reshape(self.shape)


def covariate_arrays(frame: pd.DataFrame, cells: Cells) -> tuple[dict[str, FloatArray], list[str]]:
    """Turn every column of `frame` (a row as in `cells`) into an (items, periods) array, and say how.

    Numbers are averaged over the rows of a period, `price` weighted by sales where there are any; flags (0
    and 1 only) take the largest, text the latest. Text becomes the position of its word among the sorted
    words. Holes take the period's value where it is the same for all items (a calendar), else the item's
    value before, else the one behind.
    """
    arrays, worded, filled, bare = {}, [], [], []
    for name in frame.columns:
        values, is_text = _as_codes(frame[name])
        if is_text:
            worded.append(str(name))
        dense = _aggregator(str(name), values, is_text, cells)(values)
        arrays[str(name)] = _filled(dense)
        if not np.isfinite(values).all():
            filled.append(str(name))
        if not np.isfinite(dense).any(axis=1).all():
            bare.append(str(name))
    return arrays, _notes(worded, filled, bare)


def split_known(
    arrays: Mapping[str, FloatArray], known: tuple[str, ...]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Return the covariates known ahead, in the order of `known`, and the others."""
    return {name: arrays[name] for name in known}, {k: v for k, v in arrays.items() if k not in known}


def _aggregator(name: str, values: FloatArray, is_text: bool, cells: Cells) -> Callable[[FloatArray], FloatArray]:
    if is_text or len(cells.flat) == len(np.unique(cells.flat)):
        return cells.last
    if np.isin(values[np.isfinite(values)], (0.0, 1.0)).all():
        return cells.largest
    if name == "price":
        return lambda price: _price(price, cells)
    return lambda numbers: cells.mean(numbers, np.ones_like(numbers))


def _price(values: FloatArray, cells: Cells) -> FloatArray:
    paid = cells.mean(values, cells.sales)
    return np.where(np.isfinite(paid), paid, cells.mean(values, np.ones_like(values)))


def _as_codes(column: pd.Series[Any]) -> tuple[FloatArray, bool]:
    """Return a column as numbers, and whether it was text."""
    numbers = as_numbers(column) if not isinstance(column.dtype, pd.CategoricalDtype) else None
    if numbers is not None and not (np.isnan(numbers) & column.notna().to_numpy()).any():
        return np.where(np.isfinite(numbers), numbers, np.nan), False
    codes, _ = pd.factorize(column.astype(object).map(str, na_action="ignore"), sort=True)
    return np.where(codes >= 0, codes, np.nan).astype(np.float64), True


def _filled(values: FloatArray) -> FloatArray:
    holes = ~np.isfinite(values)
    if not holes.any():
        return values
    if _is_calendar(values):
        shared = np.nanmax(np.where(holes, -np.inf, values), axis=0)
        values = np.where(holes & np.isfinite(shared), shared, values)
    values = _carry(_carry(values)[:, ::-1])[:, ::-1]
    rest = np.isfinite(values)
    return np.where(rest, values, np.median(values[rest]) if rest.any() else 0.0)


def _is_calendar(values: FloatArray) -> bool:
    """Say whether all items have one value in each period, so that a hole can be read off another item."""
    there = np.isfinite(values)
    low = np.where(there, values, np.inf).min(axis=0)
    high = np.where(there, values, -np.inf).max(axis=0)
    several = there.sum(axis=0) > 1
    return bool(several.any() and (low[several] == high[several]).all())


def _carry(values: FloatArray) -> FloatArray:
    """Put each row's latest value into the holes behind it."""
    at = np.where(np.isfinite(values), np.arange(values.shape[1]), 0)
    latest = np.maximum.accumulate(at, axis=1)
    return np.take_along_axis(values, latest, axis=1)


def _notes(worded: list[str], filled: list[str], bare: list[str]) -> list[str]:
    notes = []
    if worded:
        notes.append(f"text covariates became category codes in alphabetical order: {listing(worded)}")
    if filled:
        notes.append(f"missing values were carried forward, then backward, within the item: {listing(filled)}")
    if bare:
        notes.append(f"items without any value took the median of the others: {listing(bare)}")
    return notes
