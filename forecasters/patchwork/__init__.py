"""Patchwork: a base series model, and add-ons for season, price, launch and errors that are fitted beside it."""
