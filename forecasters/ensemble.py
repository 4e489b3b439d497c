"""Forecasters whose quantiles are averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..arrays import IntArray
from ..errors import FractileError
from .base import Arrays, Config, Forecaster, State, check_horizon
from .data.panel import SalesPanel
from .forecast import DEFAULT_LEVELS, QuantileForecast
from .registry import FORECASTERS, make_forecaster

DEFAULT_MEMBERS = ("patchwork", "mqcnn", "lightgbm")
"""One of each kind: a structural model, a network, trees."""


class Ensemble:
    """The mean of several forecasters' quantiles, level by level (Vincent 1912).

    Forecasters of different kinds err in different ways, and much of that cancels: the mean is mostly better than
    each of them. Errors of successive periods are taken to move together as those of the first member do.

    Args:
        horizon: periods ahead, handed to every member.
        members: names of forecasters, two or more, each once.
        options: options of members, by name.
    """

    name = "ensemble"

    def __init__(
        self,
        horizon: int = 12,
        *,
        members: Sequence[str] = DEFAULT_MEMBERS,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.horizon = check_horizon(horizon)
        self.members = tuple(members)
        self.options = {name: dict(values) for name, values in (options or {}).items()}
        if len(self.members) < 2 or len(set(self.members)) < len(self.members) or self.name in self.members:
            given = ", ".join(self.members)
            raise FractileError(f"members must be two or more forecasters, each once and no ensemble, got {given}")
        others = sorted(set(self.options) - set(self.members))
        if others:
            raise FractileError(f"options are given for {', '.join(others)}, no members: {', '.join(self.members)}")
        self._forecasters = [
            make_forecaster(name, **{"horizon": self.horizon, **self.options.get(name, {})}) for name in self.members
        ]

    def fit(self, panel: SalesPanel) -> Self:
        """Fit every member."""
        for forecaster in self._forecasters:
            forecaster.fit(panel)
        return self

    def predict(
        self,
        panel: SalesPanel,
        horizon: int,
        levels: ArrayLike = DEFAULT_LEVELS,
        origins: Sequence[int] | IntArray | None = None,
        future: pd.DataFrame | None = None,
    ) -> QuantileForecast:
        """Forecast; see `Forecaster.predict`."""
        each = [forecaster.predict(panel, horizon, levels, origins, future) for forecaster in self._forecasters]
        values = np.mean([forecast.values for forecast in each], axis=0)
        return replace(each[0], values=values)

    def to_state(self) -> State:
        """Return configuration and arrays."""
        states = [forecaster.to_state() for forecaster in self._forecasters]
        arrays = {f"{k}.{key}": array for k, (_, own) in enumerate(states) for key, array in own.items()}
        config = {"horizon": self.horizon, "members": list(self.members), "options": self.options}
        return {**config, "states": [config for config, _ in states]}, arrays

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        for name in config["members"]:  # before any is made: a file imports no code
            FORECASTERS.imported(name)
        made = cls(config["horizon"], members=config["members"], options=config["options"])
        made._forecasters = []
        for number, (name, state) in enumerate(zip(made.members, config["states"], strict=True)):
            prefix = f"{number}."
            own = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
            made._forecasters.append(cast(Forecaster, FORECASTERS.imported(name).from_state(state, own)))
        return made
