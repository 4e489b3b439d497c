"""How wrong forecasts were: error distributions and their dependence over the horizon."""
