"""Forecasters by name; a module is imported when its forecaster is looked up."""

from __future__ import annotations

from typing import Any, cast

from ..registry import Registry
from .base import Forecaster

FORECASTERS = Registry(
    "forecaster",
    __package__,
    {
        "seasonal_naive": "classical.naive:SeasonalNaive",
        "ets": "classical.ets:ETS",
        "arima": "classical.arima:ARIMA",
        "croston": "classical.croston:Croston",
        "patchwork": "patchwork.forecaster:Patchwork",
        "random_forest": "trees.forest:RandomForest",
        "quantile_forest": "trees.forest:QuantileForestForecaster",
        "sqrf": "trees.sqrf:SQRF",
        "lightgbm": "trees.boosting:LightGBM",
        "mqmlp": "networks.mqmlp:MQMLP",
        "rnn": "networks.rnn:RNN",
        "deepar": "networks.deepar:DeepAR",
        "mqrnn": "networks.mqrnn:MQRNN",
        "mqcnn": "networks.mqcnn:MQCNN",
        "mqtransformer": "networks.mqtransformer:MQTransformer",
        "quantile_function": "networks.quantile_function:QuantileFunction",
        "ensemble": "ensemble:Ensemble",
    },
    ("fit",),
    ("predict",),
)
"""Every forecaster by name. Looking one up imports its module; listing the names imports nothing."""


def make_forecaster(name: str, **options: Any) -> Forecaster:
    """Build an unfitted forecaster.

    Args:
        name: one of `FORECASTERS`, or the address of a class of your own, `my_module:Mine`.
        **options: of that forecaster.

    Raises:
        FractileError: where the name or an option is unknown; the message lists the known ones.

    >>> make_forecaster("seasonal_naive").name
    'seasonal_naive'
    """
    return cast(Forecaster, FORECASTERS.make(name, options))
