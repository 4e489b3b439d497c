"""statsforecast, loaded when one of its models is first fitted."""

from __future__ import annotations

import warnings
from typing import Any


def load_models() -> Any:
    """Return `statsforecast.models`.

    Its progress bars, which nothing here shows, warn in notebooks without ipywidgets; that warning is left out.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")
        from statsforecast import models
    return models
