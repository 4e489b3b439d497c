"""Where the windows of a backtest begin, and what each is for.

    |…… history ……|…… learning ……|…… validation ……|…… fold 1 ……|…… fold 2 ……|
                  ^ fits         ^ start          ^ cutoff     ^ end

Forecasters fitted at each of the fits forecast from every origin up to the next one. On these forecasts, and on the
demand that followed, policies are tuned and trained. The validation window, forecast by a forecaster that was fitted
at its start, is trained on by nobody: there policies are chosen. A forecaster fitted before the cutoff forecasts from
every held-out origin of the first fold; there policies are compared.

Before the next fold all windows move on by a fold. What was forecast of the periods between stands: nothing of a later
fold was known when it was made, so that each further fold costs one more fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .sections import FEWEST_HELD_OUT, HELD_OUT

if TYPE_CHECKING:
    from ..envs.core.types import ItemParams
    from .data import StudyData

SHORTEST_HISTORY = 8
"""Periods at least that a forecaster is fitted on."""
SHORT = "the history is short"
FEWEST_IN_FOLD = 6
"""Periods of a fold at least; fewer, and a refit changes little."""
USUAL_HORIZON = 8
"""Periods that are forecast where decisions need fewer, so that scores and pictures show something."""


@dataclass(frozen=True)
class Windows:
    """Where the windows of a backtest begin.

    Attributes:
        start: first period of the validation window.
        cutoff: first held-out period.
        end: the panel's number of periods.
        span: the longest protection interval: periods ahead that decisions need.
        horizon: periods ahead that are forecast.
        shown: those of them that policies are shown, see `shown_periods`.
        fits: periods before the cutoff that a forecaster is fitted at, on everything before each: it forecasts from
            every origin up to the next fit. The first one is where policies begin to learn; none where nothing can be
            learned, since forecasts made elsewhere begin at the cutoff.
        notes: what a reader should know, e.g. that the validation window had to be shortened.
    """

    start: int
    cutoff: int
    end: int
    span: int
    horizon: int
    shown: int
    fits: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def warm_up(self) -> int:
        """Periods before the cutoff that a comparison runs through first, so that the start does not count."""
        return min(2 * self.span, self.cutoff - self.start)

    @property
    def refits(self) -> tuple[int, ...]:
        """Those of the fits whose forecasts policies learn from, ahead of the validation window.

        None where the history is too short for such a window: policies then learn from the validation window.
        """
        return tuple(t for t in self.fits if t < self.start)

    @property
    def learning(self) -> int:
        """Periods that policies learn from."""
        return (self.start if self.refits else self.cutoff) - self.fits[0] if self.fits else 0

    @property
    def forecast(self) -> tuple[tuple[int, int], ...]:
        """First period of each stretch that one fit forecasts from, and the one after its last, up to the cutoff."""
        return tuple(zip(self.fits, (*self.fits[1:], self.cutoff), strict=False))

    @property
    def stretches(self) -> tuple[tuple[int, int], ...]:
        """Those of the stretches that policies learn from; the last one may end where the validation window begins."""
        last = self.start if self.refits else self.cutoff
        return tuple((first, min(end, last)) for first, end in self.forecast if first < last)


def forecast_periods(params: ItemParams, horizon: int | None) -> int:
    """Return the periods ahead that are forecast: as configured, `USUAL_HORIZON` otherwise, or the longest L + R."""
    return max(horizon or USUAL_HORIZON, int(np.max(params.protection_interval)))


def shown_periods(params: ItemParams, horizon: int) -> int:
    """Return the periods ahead that policies are shown of a forecast, the same in studies and for real orders.

    They are what `lookahead` plays through: until an order placed now has arrived, served and been followed by the
    next one, 2 L + R periods, or as far as forecasts reach.

    Args:
        params: lead times and review periods.
        horizon: periods ahead that are forecast, a protection interval at least.
    """
    return min(horizon, int(np.max(2 * np.asarray(params.lead_time) + np.asarray(params.review_period))))


def place_windows(data: StudyData, periods: int, validation: int, horizon: int | None, refits: int = 2) -> Windows:
    """Place the windows of a backtest.

    The validation window takes a third of what precedes the cutoff at most, the learning window half of what precedes
    that, so that every forecaster has as much to be fitted on.

    Args:
        data: panel and parameters.
        periods: held out at the end; 0 holds nothing out.
        validation: periods of the validation window, where the history is long enough.
        horizon: periods ahead that are forecast at least.
        refits: stretches of the learning window, where the history is long enough; 0: none, policies learn from the
            validation window.

    Raises:
        InputError: where the history is too short.
    """
    end, span = data.panel.periods, int(np.max(data.params.protection_interval))
    cutoff, horizon = end - periods, forecast_periods(data.params, horizon)
    shown = shown_periods(data.params, horizon)
    start = cutoff - min(validation, cutoff // 3)
    first = max(SHORTEST_HISTORY, start // 2)
    number = min(refits, (start - first) // (span + 1))
    if number and start - first >= 2 * (span + 1) and cutoff - start > span:
        begins = np.linspace(first, start, number + 1)[:-1].astype(int)
        notes = [f"{SHORT}: policies are chosen on {cutoff - start} periods, not on {validation}"]
        notes = notes if cutoff - start < validation else []
        if number < refits:
            notes.append(f"{SHORT}: forecasters are refitted {number} times for policies, not {refits}")
        return Windows(start, cutoff, end, span, horizon, shown, (*(int(t) for t in begins), start), tuple(notes))
    # The first forecaster keeps half of what precedes the cutoff, however long a validation is configured.
    fits = min(validation, cutoff - max(SHORTEST_HISTORY, cutoff // 2))
    if validation < span + 1 <= cutoff - max(SHORTEST_HISTORY, cutoff // 2):
        rule = f"must be longer than the longest protection interval of {span} periods, got {validation}"
        raise InputError([f"backtest.validation: {rule}; tune on more periods"])
    if fits < span + 1:
        least = periods + 2 * max(SHORTEST_HISTORY, span + 1)
        raise InputError(
            [
                f"history: has {end} periods; {periods} held out and protection intervals of {span} need about "
                f"{least}; give a longer history, hold out fewer (backtest.periods) or use finer periods (data.freq)"
            ]
        )
    notes = [f"{SHORT}: policies were tuned on {fits} periods, not on {validation}"] if fits < validation else []
    if refits:
        notes.append(f"{SHORT}: policies learn from the periods that they are chosen on")
    return Windows(cutoff - fits, cutoff, end, span, horizon, shown, (cutoff - fits,), tuple(notes))


def place_folds(
    data: StudyData, periods: int | None, folds: int, validation: int, horizon: int | None, refits: int = 2
) -> tuple[Windows, ...]:
    """Place the windows of every fold of a backtest.

    Args:
        data: panel and parameters.
        periods: held out at the end, in all folds together; 0 holds nothing out. None: `HELD_OUT`, or as many as the
            history bears.
        folds: parts of the held-out periods, each with forecasters fitted on everything before it.
        validation: as for `place_windows`.
        horizon: likewise.
        refits: likewise.

    Raises:
        InputError: where the history is too short.
    """
    rest, notes = (validation, horizon, refits), []
    if periods is None:
        # A quarter of the history at most, but a season of weeks at least.
        periods = min(HELD_OUT, max(FEWEST_HELD_OUT, data.panel.periods // 4))
        if periods < HELD_OUT:
            notes.append(f"{SHORT}: {periods} periods are held out, not {HELD_OUT}")
    first = place_windows(data, periods, *rest)
    fewest = max(FEWEST_IN_FOLD, first.span)
    number = max(1, min(folds, periods // fewest))
    if periods and number < folds:
        notes.append(
            f"{periods} held-out periods make {number} fold{'s' * (number > 1)} of {fewest} at least, not {folds}"
        )
    edges = [int(t) for t in np.linspace(first.cutoff, first.end, number + 1)]
    windows = [replace(first, end=edges[1], notes=(*first.notes, *notes))]
    for cutoff, end in pairwise(edges[1:]):
        before = windows[-1]
        # Without a learning window policies learn from all that lies between the first fit and the cutoff.
        start = before.start + cutoff - before.cutoff if before.refits else before.start
        fits = (*before.fits, before.cutoff)
        windows.append(replace(before, start=start, cutoff=cutoff, end=end, fits=fits, notes=()))
    return tuple(windows)
