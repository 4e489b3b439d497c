"""What every inventory system shares: types, parameters, physics, the system protocol."""
