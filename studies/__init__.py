"""What a policy is worth: paired comparisons, backtests, run folders and reports."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
