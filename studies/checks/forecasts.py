"""The check of the forecaster that policies see, against the simplest one that a study scores beside it."""

from __future__ import annotations

import pandas as pd

from .baseline import CheckWarning

REFERENCE = "seasonal_naive"
"""Forecaster that every other one should beat."""
WORTH_SAYING = 1.02
"""Losses that are larger than the reference's by less are about the same."""


def forecaster_warnings(scores: pd.DataFrame, forecaster: str, reference: str = REFERENCE) -> tuple[CheckWarning, ...]:
    """Return a warning where the forecaster that policies see is less accurate than the simplest one.

    Args:
        scores: a row a forecaster, level and horizon (0: all of them), with `wql`, the weighted quantile loss.
        forecaster: that policies see.
        reference: that it is compared with; where it was not scored, nothing is said.

    >>> rows = [("mqcnn", 0, 0.148), ("seasonal_naive", 0, 0.123)]
    >>> frame = pd.DataFrame(rows, columns=["forecaster", "horizon", "wql"])
    >>> [warning.code for warning in forecaster_warnings(frame, "mqcnn")]
    ['weak_forecaster']
    """
    losses = scores[scores["horizon"] == 0].groupby("forecaster")["wql"].mean()
    if forecaster == reference or not {forecaster, reference} <= set(losses.index):
        return ()
    own, simple = float(losses[forecaster]), float(losses[reference])
    if not own > WORTH_SAYING * simple:
        return ()
    text = (
        f"the forecaster {forecaster} is less accurate on the held-out periods than {reference} (weighted quantile "
        f"loss {own:.3f}, not {simple:.3f}), so that savings in demand simulated from its forecasts say little; try "
        f"--forecaster {reference}, or fit it longer (no --quick)"
    )
    return (CheckWarning("weak_forecaster", text),)
