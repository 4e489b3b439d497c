"""Textbook series for many items at once."""
