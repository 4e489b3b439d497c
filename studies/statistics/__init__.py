"""Intervals of savings that cover, rankings, and how much more data would prove a saving: `fr.statistics`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
