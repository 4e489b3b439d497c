"""The embedded retail panel and the truth behind it."""
