"""The embedded retail panel and the true distributions of its demand."""
