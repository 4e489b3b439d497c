"""How a forecaster is asked: the one `predict` that all families share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

import pandas as pd
from numpy.typing import ArrayLike

from ..errors import FractileError
from .base import Request, checked_request
from .forecast import DEFAULT_LEVELS, IntArray, QuantileForecast
from .panel import SalesPanel

Learnt = TypeVar("Learnt")


class Answering(Generic[Learnt]):
    """Checks what it is asked for, and leaves the answer to the family.

    `fit` puts everything that was learnt into `_fitted`; `answer` forecasts with it.
    """

    name: ClassVar[str]
    _fitted: Learnt | None = None

    @property
    def learnt(self) -> Learnt:
        """What the last fit has learnt.

        Raises:
            FractileError: where there was none.
        """
        if self._fitted is None:
            raise FractileError(f"{self.name} is not fitted; call fit(panel) first")
        return self._fitted

    @property
    def reach(self) -> int | None:
        """The longest horizon that can be asked for; None where there is no end."""
        return None

    def answer(self, request: Request, learnt: Learnt) -> QuantileForecast:
        """Forecast what was asked for with what was learnt."""
        raise NotImplementedError

    def predict(
        self,
        panel: SalesPanel,
        horizon: int,
        levels: ArrayLike = DEFAULT_LEVELS,
        origins: Sequence[int] | IntArray | None = None,
        future: pd.DataFrame | None = None,
    ) -> QuantileForecast:
        """Forecast; see `Forecaster.predict`. What was trained for some periods ahead reaches no further."""
        learnt = self.learnt
        if self.reach is not None and horizon > self.reach:
            raise FractileError(
                f"{self.name} was trained for {self.reach} periods ahead, {horizon} are asked for; "
                f"fit again with horizon={horizon}"
            )
        return self.answer(checked_request(panel, horizon, levels, origins, future), learnt)
