"""Exact solutions, exact costs and bounds of small systems."""
