"""The quantiles that an embedded panel's demand was drawn from, as a forecaster among the others."""

from __future__ import annotations

import numpy as np

from ...forecasters.forecast import DEFAULT_LEVELS
from ...forecasters.outside import OutsideForecaster
from ...forecasters.retail.panel import retail_panel
from ..config import StudyConfig
from ..sections import TRUTH
from ..windows import Windows


def true_forecaster(config: StudyConfig, window: Windows) -> OutsideForecaster:
    """Return the true quantiles from all origins of a study's windows, given what was on record there.

    Args:
        config: of a study on the embedded panel.
        window: of all its periods; near the panel's end, price, season and promotions of later periods are those of
            its last one, which no cost inside the panel depends on.
    """
    retail = retail_panel(config.data.embedded_items, config.data.embedded_periods, config.seed)
    first = min((*window.fits, window.cutoff))
    forecast = retail.true_forecast(
        window.horizon, DEFAULT_LEVELS, np.arange(first, window.end), known="record", beyond=True
    )
    return OutsideForecaster(TRUTH, forecast)
