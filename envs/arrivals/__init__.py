"""Lead times and deliveries as data."""
