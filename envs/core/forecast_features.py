"""What encoders read of forecasts, computed once: whatever the state, it depends on the forecast and the parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array, IntArray
from ...forecasters.demand_forecast import DemandForecast
from .backend import like


class PeriodFeatures(NamedTuple):
    """What an encoder reads of one period's forecast.

    Attributes:
        parts: arrays, a NamedTuple of the encoder's own, e.g. `ItemFeatures`.
        made_for: what they depend on besides; an encoder with another one computes its own.
    """

    parts: Any
    made_for: Any

    def like(self, reference: Array) -> PeriodFeatures:
        """Return the same numbers in the library and dtype of `reference`."""
        return PeriodFeatures(type(self.parts)(*(like(part, reference) for part in self.parts)), self.made_for)


@dataclass(frozen=True, eq=False)
class ForecastFeatures:
    """What an encoder reads of the forecasts of all periods.

    Attributes:
        forecasts: what they were computed of, one a period; None where they are a table of all items.
        which: which of the different forecasts each period's is, (periods,).
        parts: see `PeriodFeatures`; those of the different forecasts, stacked along a new first axis.
        made_for: see `PeriodFeatures`.
    """

    forecasts: Sequence[DemandForecast] | None
    which: tuple[int, ...]
    parts: Any
    made_for: Any

    @classmethod
    def of(
        cls, forecasts: Sequence[DemandForecast], read: Callable[[DemandForecast, int], Any], made_for: Any
    ) -> ForecastFeatures:
        """Read forecasts, each once.

        Args:
            forecasts: one a period.
            read: returns the parts of a forecast, given a period that it is valid in.
            made_for: see `PeriodFeatures`.
        """
        different, which = distinct(forecasts)
        found = [read(forecast, which.index(k)) for k, forecast in enumerate(different)]
        # Some forecasts may be one for all paths and others one for each.
        stacked = (np.stack(np.broadcast_arrays(*column)) for column in zip(*found, strict=True))
        return cls(forecasts, tuple(which), type(found[0])(*stacked), made_for)

    def at(self, period: int) -> PeriodFeatures:
        """Return the features of a period's forecast."""
        k = self.which[period]
        return PeriodFeatures(type(self.parts)(*(part[k] for part in self.parts)), self.made_for)

    def per_path(self, item: IntArray, forecasts: Sequence[DemandForecast] | None) -> ForecastFeatures:
        """Pick paths of one item each from a table of all items, parts (..., 1, items).

        Args:
            item: which item each path holds, shape (paths,).
            forecasts: the paths' own.
        """
        return self._mapped(lambda part: part[..., 0, item][..., None], forecasts)

    def window(self, first: int, last: int, forecasts: Sequence[DemandForecast] | None) -> ForecastFeatures:
        """Return those of periods first ... last - 1, whose forecasts these are."""
        return replace(self, which=self.which[first:last], forecasts=forecasts)

    def like(self, reference: Array) -> ForecastFeatures:
        """Return the same numbers in the library and dtype of `reference`."""
        return self._mapped(lambda part: like(part, reference), self.forecasts)

    def _mapped(self, change: Callable[[Array], Array], forecasts: Sequence[DemandForecast] | None) -> ForecastFeatures:
        parts = type(self.parts)(*map(change, self.parts))
        return ForecastFeatures(forecasts, self.which, parts, self.made_for)


def are_made(forecasts: Sequence[DemandForecast]) -> bool:
    """Whether all forecasts are there: they are not made one by one as they are read."""
    return isinstance(forecasts, (list, tuple))


def distinct(forecasts: Sequence[DemandForecast]) -> tuple[list[DemandForecast], list[int]]:
    """Return the forecasts that are objects of their own, and which of them each period's is."""
    different: list[DemandForecast] = []
    which = []
    for forecast in forecasts:
        # Periods that share a forecast follow each other, or come back with the season.
        k = next((k for k in reversed(range(len(different))) if different[k] is forecast), len(different))
        different += [forecast] * (k == len(different))
        which.append(k)
    return different, which
