"""Histories of more items than memory holds: read, forecast, studied and ordered in blocks of items."""
