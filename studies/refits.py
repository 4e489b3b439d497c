"""A forecaster by name, and its fits along the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..forecasters.base import Forecaster
from ..forecasters.data.panel import SalesPanel
from ..forecasters.forecast import QuantileForecast
from ..forecasters.registry import FORECASTERS, make_forecaster
from ..parts import Parts
from ..progress import Progress, begin_stage, no_progress, portion
from ..registry import option_names
from ..training.train import needs_training
from .config import StudyConfig
from .pieces import fit_key, keep_forecast
from .sections import BOUNDS, CHEAPEST


def new_forecaster(
    name: str,
    options: Mapping[str, Any],
    horizon: int,
    seed: int,
    given: Mapping[str, Forecaster] | None = None,
    **more: Any,
) -> Forecaster:
    """Build a forecaster with this horizon and seed, where it has such options, or copy one of `StudyData.given`.

    Args:
        name: of the forecaster.
        options: that it must have.
        horizon: periods ahead.
        seed: of everything random.
        given: forecasters that are there, by name.
        **more: further options that not every forecaster has, e.g. `progress`.
    """
    if given and name in given:
        return copy(given[name])
    return make_forecaster(name, **{**accepted(name, horizon=horizon, seed=seed, **more), **options})


def accepted(name: str, **options: Any) -> dict[str, Any]:
    """Return those of some options that a forecaster has."""
    known = option_names(FORECASTERS.known(name))
    return {key: value for key, value in options.items() if key in known}


def looks_back(config: StudyConfig, names: Iterable[str]) -> bool:
    """Whether a study needs forecasts of earlier origins than those of a warm-up.

    It does where a policy has parameters to find, where the baseline is chosen among several, and for the shocks of
    simulated histories.

    Args:
        config: of the study.
        names: of policies that are to come on the forecasts.
    """
    policies = config.policies
    chosen = policies.baseline == CHEAPEST and len(set(policies.names) - set(BOUNDS)) > 1
    found = any(needs_training(name, policies.options.get(name, {})) for name in names)
    return found or chosen or bool(config.drawn_policies)


@dataclass(eq=False)
class Refits:
    """A forecaster that is fitted again along the history.

    No value object: each fit and its forecasts are made when they are first needed, and kept, since folds share them.

    Attributes:
        name: of the forecaster.
        fit: return the forecaster of a name, fitted on the periods before one.
        panel: the whole history; a forecast reads what was known at its origin.
        horizon: periods ahead that are forecast.
        stage: report a stage's name, and add up its CPU time.
        progress: receives what is being done.
        parts: where forecasts are kept, and read from.
    """

    name: str
    fit: Callable[[str, int, Progress], Forecaster]
    panel: SalesPanel
    horizon: int
    stage: Callable[[str], AbstractContextManager[None]]
    progress: Progress = no_progress
    parts: Parts = field(default_factory=Parts)
    _coming: list[int] = field(default_factory=list, init=False, repr=False)
    _fitted: dict[int, Forecaster] = field(default_factory=dict, init=False, repr=False)
    _forecasts: dict[tuple[int, ...], QuantileForecast] = field(default_factory=dict, init=False, repr=False)

    def begin(self, untils: Iterable[int], where: str = "") -> None:
        """Report the stage of some fits and their forecasts.

        Args:
            untils: the first period that each fit does not know.
            where: in which fold, for people.
        """
        self._coming = [until for until in dict.fromkeys(untils) if until not in self._fitted]
        kept = bool(self._coming) and all(self.parts.holds(fit_key(self.name, until)) for until in self._coming)
        begin_stage(self.progress, f"fitting {self.name}{where}", f"fitting {self.name}", kept=kept)

    def fitted(self, until: int) -> Forecaster:
        """Return the forecaster fitted on the periods before `until`."""
        if until not in self._fitted:
            place, number = (self._coming.index(until), len(self._coming)) if until in self._coming else (0, 1)
            progress = portion(self.progress, place / number, (place + 1) / number)
            self._fitted[until] = self.fit(self.name, until, progress)
            progress(f"{self.name} is fitted", 1.0)
        return self._fitted[until]

    def whole(self, until: int) -> Forecaster:
        """Return the forecaster fitted on the periods before `until`, a stage of its own."""
        self.begin([until], " on all periods")
        return self.fitted(until)

    def forecast(self, first: int, end: int, until: int | None = None) -> QuantileForecast:
        """Return forecasts from each of the origins first … end − 1.

        Args:
            first: the first origin.
            end: the one after the last.
            until: the first period that the forecaster does not know; `first` where None.
        """
        key = (first, end) if until in (None, first) else (first, end, until)
        if key not in self._forecasts:
            fitted = self.fitted(first if until is None else until)
            with self.stage(f"forecasting with {self.name}"):
                self._forecasts[key] = keep_forecast(
                    self.parts,
                    (self.name, *key),
                    self.panel,
                    lambda: fitted.predict(self.panel, self.horizon, origins=np.arange(first, end)),
                )
        return self._forecasts[key]
