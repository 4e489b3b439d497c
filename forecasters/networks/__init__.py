"""Neural forecasters; importing a module in here loads torch."""
