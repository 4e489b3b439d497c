"""Demand: distributions, processes, history and forecasters, and the forecasts that go with them."""
