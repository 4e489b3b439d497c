"""Systems of single items beyond the plain one: perishable stock, shared capacity."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
