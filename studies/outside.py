"""Forecasts made elsewhere in a study: their files, whether they reach, and the windows that their origins allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..envs.core.types import ItemParams
from ..errors import Faults, FractileError
from ..forecasters.data.panel import SalesPanel
from ..forecasters.forecast import QuantileForecast
from ..forecasters.outside import OutsideForecaster, tail_levels
from .data import StudyData
from .windows import Windows

RESERVED = 4
"""At most one in so many origins before the cutoff is kept for the dependence over the horizon alone."""


def with_outside(data: StudyData, window: Windows, files: Mapping[str, Path]) -> tuple[StudyData, Windows]:
    """Add forecasts made elsewhere to the data of a study, and what a reader should know of them to its windows.

    Args:
        data: panel and parameters.
        window: of all held-out periods.
        files: by name.

    Raises:
        InputError: with every fault of all files: see `check_outside`, too.
    """
    outside = read_outside(files, data.panel)
    notes = check_outside(outside, data.panel, data.params, window)
    return replace(data, given={**data.given, **outside}), replace(window, notes=(*window.notes, *notes))


def read_outside(files: Mapping[str, Path], panel: SalesPanel) -> dict[str, OutsideForecaster]:
    """Read the files of `forecast.files`.

    Args:
        files: by name.
        panel: the history that was forecast.

    Raises:
        InputError: with every fault of all files.
    """
    faults, found = Faults(), {}
    for name, path in files.items():
        made = OutsideForecaster.read(name, path, panel, faults)
        if made is not None:
            found[name] = made
    faults.raise_if_any()
    return found


def check_outside(
    given: Mapping[str, OutsideForecaster], panel: SalesPanel, params: ItemParams, window: Windows
) -> tuple[str, ...]:
    """Return what a reader should know of forecasts made elsewhere.

    Args:
        given: by name.
        panel: the history.
        params: lead times and costs of its items.
        window: of all held-out periods.

    Raises:
        InputError: where forecasts do not reach over the longest protection interval, or miss held-out origins.
    """
    faults, notes = Faults(), []
    for name, forecaster in given.items():
        if forecaster.max_horizon < window.span:
            faults.add(
                f"forecasts {name}: reach {forecaster.max_horizon} periods ahead, and the longest protection interval "
                f"(lead time + review period) is {window.span}; make them again with a horizon of {window.span} or more"
            )
        try:
            forecaster.require(panel.dates[window.cutoff : window.end])
        except FractileError as fault:
            faults.add(f"forecasts {fault}")
            continue
        notes += tail_notes(name, forecaster.forecast, params)
        own = own_windows(forecaster, panel, window)
        if not own.fits and window.fits:
            notes.append(
                f"{name}: no forecasts before the held-out periods: policies with parameters to find are left out"
            )
        elif own.learning < window.learning:
            notes.append(
                f"{name}: policies learn from the {own.learning} periods that have forecasts, not {window.learning}"
            )
        if forecaster.forecast.dependence is None and not (forecaster.origins(panel) < window.cutoff).any():
            notes.append(independence_note(name))
    faults.raise_if_any()
    return tuple(notes)


def tail_notes(name: str, forecast: QuantileForecast, params: ItemParams) -> list[str]:
    """Return a note where critical ratios lie beyond the levels of a forecast; none where all lie between them."""
    beyond, levels = tail_levels(forecast, params.critical_ratio), forecast.levels
    if not len(beyond):
        return []
    ratios = f"the critical ratio {beyond[0]:.3g} lies"
    if len(beyond) > 1:
        ratios = f"critical ratios from {beyond[0]:g} to {beyond[-1]:g} lie"
    return [
        f"{name}: {ratios} beyond its levels, {levels[0]:g} to {levels[-1]:g}: quantiles there follow from its last "
        "two levels"
    ]


def independence_note(name: str, remedy: str = "add earlier origins") -> str:
    """Return the note on forecasts that do not say how errors of successive periods move together.

    Args:
        name: of the forecasts.
        remedy: how earlier origins, which show it, come in.
    """
    return (
        f"{name}: no forecasts before the held-out periods: errors of successive periods are taken to be independent, "
        f"which makes sums over the lead time too sure; {remedy}, or the columns correlation_1 …"
    )


def forecast_notes(data: StudyData, window: Windows) -> tuple[str, ...]:
    """Return those of a study's notes that are on its forecasts made elsewhere: see `with_outside`."""
    names = tuple(f"{name}: " for name in data.given)
    return tuple(note for note in window.notes if note.startswith(names))


def own_windows(forecaster: OutsideForecaster, panel: SalesPanel, window: Windows) -> Windows:
    """Return the windows in which policies can learn from these forecasts, as far back as no origin is missing.

    Where the dependence over the horizon is not given, the first origins are left to estimate it from. Without enough
    origins before the cutoff nothing is learned, and a comparison begins at the cutoff.
    """
    there = np.zeros(panel.periods + 1, dtype=bool)
    there[forecaster.origins(panel)] = True
    missing = np.flatnonzero(~there[: window.cutoff])
    first = int(missing[-1]) + 1 if len(missing) else 0
    if forecaster.forecast.dependence is None:
        first += min(2 * window.span, max(0, window.cutoff - first) // RESERVED)
    horizon = min(window.horizon, forecaster.max_horizon)
    window = replace(window, horizon=horizon, shown=min(window.shown, horizon))
    if window.fits and first <= window.fits[0]:
        return window
    if window.cutoff - first <= window.span:
        return replace(window, start=window.cutoff, fits=())
    if window.start - first <= window.span:  # too few to learn from before the validation window
        return replace(window, start=first, fits=(first,))
    return replace(window, fits=(first, *(fit for fit in window.fits if fit > first)))
