"""Quantile forecasts as long frames."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..forecast import QuantileForecast


def long_frame(forecast: QuantileForecast) -> pd.DataFrame:
    """Return a row for each item, origin, horizon and level: see `QuantileForecast.to_frame`."""
    _, origins, horizon, _ = forecast.values.shape
    index = pd.MultiIndex.from_product(
        [forecast.item_ids, range(origins), range(1, horizon + 1), forecast.levels],
        names=["item_id", "origin", "horizon", "level"],
    )
    frame = pd.DataFrame({"value": forecast.values.reshape(-1)}, index=index).reset_index()
    position = frame["origin"].to_numpy()
    frame["origin"] = forecast.origins[position]
    if forecast.dates is not None and forecast.freq is not None:
        calendar = [pd.date_range(day, periods=horizon, freq=forecast.freq) for day in forecast.dates]
        table = np.stack([days.to_numpy() for days in calendar])
        frame.insert(1, "origin_date", forecast.dates.to_numpy()[position])
        frame.insert(3, "date", table[position, frame["horizon"].to_numpy() - 1])
    return frame
