"""From sales history to quantile forecasts."""
