"""Fractile."""
