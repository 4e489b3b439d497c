"""Forests and boosted trees on hand-made features, one model for all items."""
