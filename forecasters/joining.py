"""Forecasts put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from .forecast import QuantileForecast


def concatenate_origins(forecasts: Sequence[QuantileForecast]) -> QuantileForecast:
    """Lay forecasts of the same items, levels and horizon side by side along the origins axis.

    All of them come from one fitted forecaster: the dependence of the first one holds for all.
    """
    first = forecasts[0]
    dates = None
    if all(f.dates is not None for f in forecasts):
        dates = pd.DatetimeIndex(np.concatenate([f.dates.to_numpy() for f in forecasts if f.dates is not None]))
    dependence = first.dependence
    if dependence is not None:
        bands = [np.broadcast_to(f.dependence.band, f.values.shape[:2]) for f in forecasts if f.dependence is not None]
        dependence = replace(dependence, band=np.concatenate(bands, axis=1))
    return replace(
        first,
        values=np.concatenate([f.values for f in forecasts], axis=1),
        origins=np.concatenate([f.origins for f in forecasts]),
        dates=dates,
        dependence=dependence,
        _cumulative={},
    )
