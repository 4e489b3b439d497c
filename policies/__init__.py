"""From an observation to an order."""
