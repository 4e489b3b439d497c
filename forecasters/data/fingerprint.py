"""A text that differs where two panels do."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from .panel import SalesPanel


def panel_fingerprint(panel: SalesPanel) -> str:
    """Return a hash of everything that a panel holds but its notes."""
    names = (panel.item_ids, panel.freq, list(panel.known), list(panel.observed), list(panel.static.columns))
    digest = hashlib.sha256(repr((names, panel.dates.astype(str).tolist())).encode())
    for array in (panel.sales, panel.in_stock, panel.listed, *panel.known.values(), *panel.observed.values()):
        digest.update(np.ascontiguousarray(array).tobytes())
    if len(panel.static):
        digest.update(pd.util.hash_pandas_object(panel.static.astype(str)).to_numpy().tobytes())
    return digest.hexdigest()
