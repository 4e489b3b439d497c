"""Fractile turns demand forecasts into buying decisions, and proves what those decisions save.

The public names stand in `__init__.pyi`, each once. They are loaded when they are first used, so that `import fractile`
brings in neither torch nor Stable-Baselines3. Importing the package registers its Gymnasium environments.
"""

from importlib.metadata import PackageNotFoundError, version

import lazy_loader

from .envs.gym.registration import register_environments

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

try:
    __version__ = version("fractile")
except PackageNotFoundError:  # a source folder on the path, not installed
    __version__ = "0+unknown"

register_environments()
