"""`BaseForecaster`: what every family shares, from the checked history to a forecast of living items alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Generic, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..arrays import FloatArray, IntArray
from ..errors import FractileError
from .base import Arrays, Config, Request, State, make_request, require_history
from .censoring import History, impute_demand
from .data.discontinued import discontinued
from .data.panel import SalesPanel
from .data.row_faults import listing
from .features.lift import LiftPlan, plan_lift
from .forecast import DEFAULT_LEVELS, QuantileForecast

logger = logging.getLogger(__name__)

Fitted = TypeVar("Fitted")

ROUNDS = 2
"""Of demand in place of sales that ran out, and of the lift under which it is judged."""


class BaseForecaster(Generic[Fitted]):
    """A forecaster whose `fit` and `predict` prepare the history and check the request.

    What a family implements is `_fit`, which returns everything it estimates, and `_predict`. Neither of them sees an
    item that has stopped selling (`data.discontinued`): it is left out of the fit, so that it changes nothing for the
    others, and forecast at zero. Both read demand in place of sales that ran out (`censoring`).
    """

    name: ClassVar[str]
    _fitted: Fitted | None = None
    _lift: LiftPlan | None = None
    reads_covariates: ClassVar[bool] = True
    """Whether forecasts know of prices, promotions and the calendar. Where they do not, neither does what stands in
    place of sales that ran out: a promoted week that was sold out would move the level of all weeks after it."""

    @property
    def censoring(self) -> str:
        """How stock-outs count, one of `censoring.CENSORINGS`."""
        raise NotImplementedError

    def _fit(self, history: History) -> Fitted:
        """Estimate everything from the items that still sell."""
        raise NotImplementedError

    def fit(self, panel: SalesPanel) -> Self:
        """Fit to a history; see `Forecaster.fit`. Discontinued items are left out, and the log names them."""
        require_history(panel)
        gone = discontinued(panel, np.array([panel.periods]))[:, 0]
        rest = panel.select(np.flatnonzero(~gone)) if gone.any() else panel
        if gone.any() and rest.informative.any():
            names = [item for item, out in zip(panel.item_ids, gone, strict=True) if out]
            logger.info("%s: left out as discontinued: %s", self.name, listing(names))
            panel = rest
        panel = panel if self.reads_covariates else replace(panel, known={})
        self._lift = None
        if self.reads_covariates and self.censoring == "bound" and panel.ran_out.any():
            # What must have been sold is judged under the lift, and the lift is fitted to it: two rounds of both.
            for _ in range(ROUNDS):
                self._lift = plan_lift(impute_demand(panel, self._log_lift(panel)))
        self._fitted = self._fit(History.of(panel, self.censoring, self._log_lift(panel)))
        return self

    @property
    def fitted(self) -> Fitted:
        """The estimates of the last fit.

        Raises:
            FractileError: where there was none.
        """
        if self._fitted is None:
            raise FractileError(f"{self.name} is not fitted; call fit(panel) first")
        return self._fitted

    @property
    def max_horizon(self) -> int | None:
        """The longest horizon that `predict` accepts; None where there is no limit."""
        return None

    def _predict(self, request: Request, fitted: Fitted) -> QuantileForecast:
        """Forecast a checked request from the estimates of the last fit."""
        raise NotImplementedError

    def _log_lift(self, panel: SalesPanel) -> FloatArray | None:
        """Return the log lift that demand out of stock is judged under, shape (items, periods).

        None where there is no fitted one, or the panel lacks what it was fitted to: items' own records then serve.
        """
        if self._lift is None:
            return None
        attribute = self._lift.adjustment.attribute
        there = all(column.name in panel.known for column in self._lift.known)
        return self._lift.lift(panel) if there and (not attribute or attribute in panel.attributes) else None

    def _to_state(self, fitted: Fitted) -> State:
        """Return configuration and arrays of the family."""
        raise NotImplementedError

    @classmethod
    def _from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `_to_state()`."""
        raise NotImplementedError

    def to_state(self) -> State:
        """Return configuration and arrays; see `Forecaster.to_state`."""
        config, arrays = self._to_state(self.fitted)
        lift = None if self._lift is None else self._lift.to_config()
        return {"family": config, "lift": lift}, arrays

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        made = cls._from_state(config["family"], arrays)
        made._lift = None if config["lift"] is None else LiftPlan.from_config(config["lift"])
        return made

    def predict(
        self,
        panel: SalesPanel,
        horizon: int,
        levels: ArrayLike = DEFAULT_LEVELS,
        origins: Sequence[int] | IntArray | None = None,
        future: pd.DataFrame | None = None,
    ) -> QuantileForecast:
        """Forecast; see `Forecaster.predict`. The horizon is at most `max_horizon`."""
        fitted = self.fitted
        if self.max_horizon is not None and horizon > self.max_horizon:
            raise FractileError(
                f"{self.name} was trained for {self.max_horizon} periods ahead, {horizon} are asked for; "
                f"fit again with horizon={horizon}"
            )
        request = make_request(panel, horizon, levels, origins, future)
        gone = discontinued(request.panel, request.origins)
        past = request.panel if self.reads_covariates else replace(request.panel, known={})
        if self.censoring == "bound":
            past = impute_demand(past, self._log_lift(past))
        request = replace(request, panel=past)
        forecast = self._predict(request, fitted)
        if not gone.any():
            return forecast
        return replace(forecast, values=np.where(gone[..., None, None], 0.0, forecast.values))
