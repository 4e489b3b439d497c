"""Finished pieces of a study on disk: fits, forecasts, arrays. What an interrupted run goes on with; see `parts`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..arrays import FloatArray
from ..errors import FractileError
from ..forecasters.base import Forecaster
from ..forecasters.calibration.dependence import Dependence
from ..forecasters.data.panel import SalesPanel
from ..forecasters.forecast import QuantileForecast
from ..forecasters.storage import load_forecaster, load_state, save_forecaster, save_state
from ..parts import Parts

PIECE = "piece"
"""Name of the files of a forecast or of arrays."""
LARGEST = 64_000_000
"""Numbers of a forecast that is kept; a larger one is made again from its fit."""


def fit_key(name: str, until: int) -> tuple[str | int, ...]:
    """Return the key of a forecaster fitted on the periods before `until`."""
    return "fit", name, until


def keep_fit(parts: Parts, name: str, until: int, fit: Callable[[], Forecaster]) -> Forecaster:
    """Return a forecaster fitted on the periods before `until`, read where it is kept.

    Args:
        parts: where finished pieces are kept.
        name: of the forecaster.
        until: the first period that it does not know.
        fit: the work.
    """
    return parts.get(fit_key(name, until), fit, save=save_forecaster, load=load_forecaster)


def keep_forecast(
    parts: Parts, key: tuple[str | int, ...], panel: SalesPanel, predict: Callable[[], QuantileForecast]
) -> QuantileForecast:
    """Return a forecast of a panel, read where it is kept.

    Args:
        parts: where finished pieces are kept.
        key: whose forecast it is, and from which origins.
        panel: whose items and dates it has.
        predict: the work.
    """
    return parts.get(
        ("forecast", *key), predict, save=_save_forecast, load=lambda folder: _load_forecast(folder, panel)
    )


def keep_arrays(
    parts: Parts, key: tuple[str | int, ...], make: Callable[[], dict[str, FloatArray]]
) -> dict[str, FloatArray]:
    """Return arrays by name, read where they are kept.

    Args:
        parts: where finished pieces are kept.
        key: what they are.
        make: the work.
    """

    def save(found: dict[str, FloatArray], folder: Path) -> None:
        save_state(folder, PIECE, {}, dict(found))

    return parts.get(key, make, save=save, load=lambda folder: load_state(folder, PIECE)[1])


def _save_forecast(forecast: QuantileForecast, folder: Path) -> None:
    if forecast.values.size > LARGEST:
        raise FractileError("too large to be kept")
    arrays = {"levels": forecast.levels, "values": forecast.values, "origins": forecast.origins}
    config = {"dates": forecast.dates is not None, "freq": forecast.freq, "method": None}
    dependence = forecast.dependence
    if dependence is not None:
        config["method"] = dependence.method
        arrays |= {"correlation": dependence.correlation, "band": dependence.band}
        arrays |= {} if dependence.templates is None else {"templates": dependence.templates}
    save_state(folder, PIECE, config, arrays)


def _load_forecast(folder: Path, panel: SalesPanel) -> QuantileForecast:
    config, arrays = load_state(folder, PIECE)
    dependence = None
    if config["method"] is not None:
        dependence = Dependence(arrays["correlation"], arrays["band"], arrays.get("templates"), method=config["method"])
    origins = arrays["origins"]
    return QuantileForecast(
        arrays["levels"],
        arrays["values"],
        origins,
        panel.item_ids,
        panel.dates[origins] if config["dates"] else None,
        config["freq"],
        dependence,
    )
