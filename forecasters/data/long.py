"""Forecasts made elsewhere, as a long frame or file: a row for each item, origin, date and level.

`item_id, origin_date, date, level, value`: `origin_date` is the date of the first forecast period, so that sales of
earlier periods were known; `value` is the quantile of that level, units. Columns `correlation_1 … correlation_H`, where
they are there, say how the errors of the steps move together (a Gaussian copula); other columns are ignored.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import Faults
from ..calibration.dependence import Dependence
from ..interpolation import CROSSING
from .panel import SalesPanel
from .read import MOST_NAMED, Source, Table, read_raw
from .row_faults import listing
from .rules import NumberRule

COLUMNS = ("item_id", "origin_date", "date", "level", "value")
CORRELATION = "correlation_"
"""Column of the correlation with the error of step 1, 2, …: the name and the step."""
_LEVEL = NumberRule(0, "write a share between 0 and 1, e.g. 0.9 for 90 %", above=True)
_VALUE = NumberRule(0, "write units; clip what lies below zero")


class LongForecast(NamedTuple):
    """The fields of a `QuantileForecast`, as they stand in a long frame."""

    levels: FloatArray
    values: FloatArray
    origins: IntArray
    item_ids: tuple[str, ...]
    dates: pd.DatetimeIndex
    freq: str
    dependence: Dependence | None


class Grid(NamedTuple):
    """Where each row of a frame stands among items, origins, steps and levels; each an integer a row."""

    item: IntArray
    origin: IntArray
    step: IntArray
    level: IntArray


def collect_long(source: Source, panel: SalesPanel, faults: Faults, name: str = "forecasts") -> LongForecast | None:
    """Read the forecasts of a panel's items, or add to `faults` all that is wrong with them and return None.

    An item without forecasts from origins at which it was not yet listed is forecast at zero there.

    Args:
        source: a .csv or .parquet file, or a frame; see the module.
        panel: the history that was forecast.
        faults: collects what is wrong.
        name: what messages call a frame; a file goes by its path.
    """
    known = len(faults.messages)
    raw = read_raw(source, faults, name=name, text=COLUMNS[:3])
    table = None if raw is None else Table(raw, faults)
    if table is None or not _has_columns(table):
        return None
    ids, value = table.ids(), table.numbers("value", _VALUE)
    started, target = table.dates("origin_date"), table.dates()
    level = table.numbers("level", _LEVEL)
    table.fault(level >= 1, "level must be below 1", _LEVEL.remedy, level)
    levels = np.unique(level[np.isfinite(level)])
    if len(levels) == 1:
        faults.add(f"{table.name}: level must take two values at least, got {levels[0]:g} alone; give the quantiles")
    item = pd.Index(panel.item_ids).get_indexer(pd.Index(ids))
    strange = (item < 0) & (ids != "")
    table.fault(strange, "item_id must be an item of the history", "correct it or remove its rows", ids)
    absent = [panel.item_ids[i] for i in np.setdiff1d(np.arange(panel.items), item)]
    if absent:
        faults.add(f"{table.name}: items of the history are not forecast: {listing(absent)}; add their forecasts")
    days = _calendar(panel, target)
    origin, period = days.get_indexer(started), days.get_indexer(target)
    _check_dates(table, panel, started, target, origin, period)
    if len(faults.messages) > known:
        return None
    origins = np.unique(origin)
    grid = Grid(item, np.searchsorted(origins, origin), period - origin, np.searchsorted(levels, level))
    shape = (panel.items, len(origins), int(grid.step.max()) + 1, len(levels))
    if not _check_cells(table, panel, grid, shape, origins, days, levels):
        return None
    values = np.zeros(shape)
    values[grid] = value
    _check_order(table, grid, values)
    dependence = _read_dependence(table, grid, shape[:3])
    if len(faults.messages) > known:
        return None
    return LongForecast(levels, values, origins, panel.item_ids, days[origins], panel.freq, dependence)


def _has_columns(table: Table) -> bool:
    """Return whether the columns of `COLUMNS` are there; add a fault that says how to come by those that are not."""
    missing = [name for name in COLUMNS if name not in table.frame]
    if not missing:
        return True
    there = {str(column) for column in table.frame.columns}
    has = "has no column" + ("s " if len(missing) > 1 else " ") + ", ".join(map(repr, missing))
    if {"unique_id", "ds"} <= there:
        remedy = (
            "in what Nixtla's libraries return, unique_id is the item_id, ds the date, and the period after the cutoff "
            "the origin_date; in Python, fr.QuantileForecast.from_nixtla(frame, panel).to_frame() has these columns, "
            "to be written into a file"
        )
    elif missing == ["level"]:
        remedy = (
            "a row is a quantile with its level, e.g. 0.9; of point forecasts alone, take the quantiles of their past "
            "errors (the tutorial 'What is my forecast worth?' has a script)"
        )
    else:
        known = ", ".join(sorted(there)[:MOST_NAMED])
        remedy = f"a row has {', '.join(COLUMNS)}; rename the columns in the file, which has: {known}"
    table.faults.add(f"{table.name}: {has}; {remedy}")
    return False


def correlation_columns(dependence: Dependence | None, shape: tuple[int, int, int]) -> dict[str, FloatArray]:
    """Return the correlation of each step's error with that of every step, by column.

    Args:
        dependence: of a forecast; independent where None.
        shape: items, origins and steps of its horizon.

    Returns:
        A column a step, each of shape (items, origins, horizon).
    """
    horizon = shape[2]
    dependence = (dependence or Dependence.independent(horizon)).over(0, horizon)
    each = dependence.correlation[np.broadcast_to(dependence.band, shape[:2])]
    return {f"{CORRELATION}{k + 1}": each[..., k] for k in range(horizon)}


def _calendar(panel: SalesPanel, target: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the first dates of the panel's periods, of the one after them, and of those up to the last target."""
    later = pd.date_range(panel.dates[-1], periods=2, freq=panel.freq)
    last = max(later[-1], target.max()) if target.notna().any() else later[-1]
    return pd.DatetimeIndex(panel.dates.append(pd.date_range(panel.dates[-1], last, freq=panel.freq)[1:]))


def _check_dates(
    table: Table,
    panel: SalesPanel,
    started: pd.DatetimeIndex,
    target: pd.DatetimeIndex,
    origin: IntArray,
    period: IntArray,
) -> None:
    """Add faults of dates that begin no period, and of origins and dates that do not go together."""
    first, last = panel.dates[0].date(), panel.dates[-1].date()
    for name, days, at in (("origin_date", started, origin), ("date", target, period)):
        rule = f"{name} must begin a period of the history (frequency {panel.freq}, from {first} on)"
        stray = (at < 0) & np.asarray(days.notna())
        table.fault(stray, rule, "write the first day of the period, as the history has it", _days(days))
    rule = f"origin_date must lie after the history's first period, {first}"
    table.fault(origin == 0, rule, "leave these forecasts out: nothing was known", _days(started))
    rule = f"origin_date must be the period after the history's last one, {last}, or an earlier one"
    table.fault(origin > panel.periods, rule, "leave later ones out, or give a longer history", _days(started))
    rule = "date must not lie before origin_date, which is the first period that is forecast"
    table.fault((period >= 0) & (period < origin), rule, "correct one of them", _days(target))


def _days(dates: pd.DatetimeIndex) -> NDArray[np.object_]:
    return np.array(dates.strftime("%Y-%m-%d"), dtype=object)


def _check_cells(
    table: Table,
    panel: SalesPanel,
    grid: Grid,
    shape: tuple[int, int, int, int],
    origins: IntArray,
    days: pd.DatetimeIndex,
    levels: FloatArray,
) -> bool:
    """Add faults of cells that stand twice or not at all; return whether there is none."""
    rows = np.bincount(np.ravel_multi_index(grid, shape), minlength=int(np.prod(shape))).reshape(shape)
    again: BoolArray = pd.Series(np.ravel_multi_index(grid, shape)).duplicated().to_numpy()
    rule = "item_id, origin_date, date and level must stand together once"
    table.fault(again, rule, "keep one row of them", None)
    begun = np.logical_or.accumulate(panel.listed, axis=1)[:, origins - 1]
    needed = begun | rows.any(axis=(2, 3))
    missing = (rows == 0) & needed[:, :, None, None]
    if missing.any():
        item, origin, step, level = np.argwhere(missing)[0]
        number = f"{int(missing.sum()):,} of {int(needed.sum()) * shape[2] * shape[3]:,} cells are missing"
        start = origins[origin]
        ahead = pd.date_range(days[start], periods=step + 1, freq=panel.freq)[-1].date()
        first = (
            f"item {panel.item_ids[item]!r}, origin_date {days[start].date()}, date {ahead}, level {levels[level]:g}"
        )
        rule = "every item needs every level at every step of the same horizon from every origin"
        table.faults.add(f"{table.name}: {number}, the first at {first}; {rule}: add the rows")
    return not (again.any() or missing.any())


def _check_order(table: Table, grid: Grid, values: FloatArray) -> None:
    """Add a fault of values that lie below that of a lower level."""
    falls = np.zeros(values.shape, dtype=bool)
    fall = values[..., :-1] - values[..., 1:]
    falls[..., 1:] = fall > CROSSING * np.maximum(values[..., :-1], 1.0)
    if falls.any():
        rule = "value must not fall as the level rises (quantiles cross)"
        table.fault(falls[grid], rule, "sort the values of an item, origin and date by level", values[grid])


def _read_dependence(table: Table, grid: Grid, shape: tuple[int, int, int]) -> Dependence | None:
    """Return the copula of the correlation columns; None where there are none."""
    names = [f"{CORRELATION}{k + 1}" for k in range(shape[2])]
    if not any(name in table.frame for name in names):
        return None
    if not table.require(names):
        return None
    each = np.broadcast_to(np.eye(shape[2]), (*shape, shape[2])).copy()
    each[grid[:3]] = table.frame[names].to_numpy(dtype=np.float64, na_value=np.nan)
    matrices, band = np.unique(each.reshape(-1, *each.shape[2:]), axis=0, return_inverse=True)
    sound = np.isfinite(matrices).all() and np.allclose(matrices, np.swapaxes(matrices, 1, 2))
    if not (
        sound and np.allclose(np.diagonal(matrices, axis1=1, axis2=2), 1) and np.linalg.eigvalsh(matrices).min() > 0
    ):
        rule = f"{names[0]} … {names[-1]} must hold a correlation matrix, symmetric and positive definite, a row a step"
        table.faults.add(f"{table.name}: {rule}; leave these columns out to have the dependence estimated")
        return None
    return Dependence(matrices, band.reshape(shape[:2]).astype(np.int64))
