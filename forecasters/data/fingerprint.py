"""What tells two panels apart for a forecaster."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from .panel import SalesPanel


def panel_fingerprint(panel: SalesPanel) -> str:
    """Return a hash of all that forecasters may learn from: everything but notes and item parameters."""
    names = (panel.item_ids, panel.freq, list(panel.known), list(panel.observed), list(panel.attributes.columns))
    digest = hashlib.sha256(repr((names, panel.dates.astype(str).tolist())).encode())
    share = () if panel.availability is None else (panel.availability,)
    for array in (panel.sales, panel.in_stock, panel.listed, *share, *panel.known.values(), *panel.observed.values()):
        digest.update(np.ascontiguousarray(array).tobytes())
    if len(panel.static):
        digest.update(pd.util.hash_pandas_object(panel.attributes.astype(str)).to_numpy().tobytes())
    return digest.hexdigest()
