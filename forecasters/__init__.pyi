"""From sales history to quantile forecasts."""

from . import scores as scores
