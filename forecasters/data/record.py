"""What a module that `panel` itself imports may read of a panel."""

from __future__ import annotations

from typing import Protocol

import pandas as pd

from ...arrays import BoolArray, FloatArray


class SalesRecord(Protocol):
    """A sales history: see `panel.SalesPanel`, which is one."""

    @property
    def items(self) -> int:
        """Number of items."""

    @property
    def periods(self) -> int:
        """Number of periods."""

    @property
    def sales(self) -> FloatArray:
        """Units, shape (items, periods)."""

    @property
    def listed(self) -> BoolArray:
        """Whether the item was on sale, shape (items, periods)."""

    @property
    def informative(self) -> BoolArray:
        """Whether sales are demand, shape (items, periods)."""

    @property
    def dates(self) -> pd.DatetimeIndex:
        """The first day of each period."""

    @property
    def item_ids(self) -> tuple[str, ...]:
        """One text an item."""

    @property
    def static(self) -> pd.DataFrame:
        """What is known of the items, a row each."""
