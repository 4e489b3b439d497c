"""The conformance check of forecasts: does an object keep the contract that `fractile.DemandForecast` words?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import FloatArray
from ..errors import FractileError
from .calibration.dependence import Dependence
from .demand_forecast import DemandForecast
from .interpolation import CROSSING, increasing_inside

EXACT = 1e-6
"""Relative error of what must be equal: floats, and the bisection that some quantiles are found by."""
DRAWN = 0.02
"""Relative error of sums that may come from different quasi-random draws."""
TRIAL_LEVELS = (0.03, 0.25, 0.5, 0.83, 0.96)
"""Levels that quantiles are compared at."""


@dataclass(frozen=True, eq=False)
class _Trial:
    """A forecast and the messages about it."""

    forecast: DemandForecast

    def require(self, holds: bool, check: str, message: str) -> None:
        if not holds:
            raise FractileError(f"forecast {type(self.forecast).__name__} fails the check {check!r}: {message}")

    def equal(
        self, got: ArrayLike, expected: ArrayLike, check: str, what: str, remedy: str, tolerance: float = EXACT
    ) -> None:
        one, other = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
        self.require(one.shape == other.shape, check, f"{what} must have the shape {other.shape}, got {one.shape}")
        gap = float(np.max(np.abs(one - other) / (1.0 + np.abs(other)), initial=0.0))
        self.require(gap <= tolerance, check, f"{what} differ by up to {gap:.3g} (relative); {remedy}")

    def refuses(self, call: Callable[[], object], check: str, what: str) -> None:
        try:
            call()
        except FractileError:
            return
        raise FractileError(
            f"forecast {type(self.forecast).__name__} fails the check {check!r}: {what} must raise a FractileError, "
            "and did not; check arguments where they come in"
        )


def check_quantile_forecast(forecast: DemandForecast) -> None:
    """Check that a forecast keeps its contract, as `fractile.DemandForecast` words it.

    Shapes; quantiles that are finite, not negative and do not cross; the quantile at a level is the value there, the
    mean lies between quantiles, draws and sums are the same at every call; the sum of one period is that period, and
    sums grow with the span; every cut (`head`, `after`, `at_origin`, `take`, `select`) agrees with the whole, also once
    it is summed; another dependence changes sums, or is refused; other values change quantiles, and faulty ones are
    refused; levels, spans and positions out of range are refused.

    Args:
        forecast: a `QuantileForecast`, or any object with its members.

    Raises:
        FractileError: names the check that failed, and how.
    """
    trial = _Trial(forecast)
    members = sorted(name for name in vars(DemandForecast) if not name.startswith("_"))
    missing = [name for name in members if not hasattr(forecast, name)]
    trial.require(not missing, "members", f"it lacks {', '.join(missing)}; see fractile.DemandForecast")
    _check_values(trial)
    before = _read_all(forecast)
    _check_quantiles(trial)
    _check_draws(trial)
    _check_totals(trial)
    _check_cuts(trial)
    _check_dependence(trial)
    _check_replace(trial)
    _check_frames(trial)
    for what, value in _read_all(forecast).items():
        trial.equal(value, before[what], "determinism", what, "keep nothing between calls, and draw by a fixed seed", 0)


def _read_all(forecast: DemandForecast) -> dict[str, FloatArray]:
    """What is read of a forecast, each of shape (items, origins, ...)."""
    return {
        "values": forecast.values,
        "quantiles": forecast.quantile(0.83),
        "means": forecast.mean(),
        "totals": forecast.total(forecast.horizon).values,
        "quantiles of totals": forecast.total(forecast.horizon).quantile(0.83),
        "means of totals": forecast.total(forecast.horizon).mean(),
        "draws": np.moveaxis(forecast.draws(32), 0, -1),
    }


def _check_values(trial: _Trial) -> None:
    forecast, values, levels = trial.forecast, trial.forecast.values, np.asarray(trial.forecast.levels)
    named = (len(forecast.item_ids), len(forecast.origins), forecast.horizon, len(levels))
    message = f"values must be (items, origins, horizon, levels) = {named}, got {values.shape}"
    trial.require(values.shape == named, "shape", message)
    trial.require(increasing_inside(levels), "levels", f"levels must increase strictly inside (0, 1), got {levels}")
    dated = forecast.dates is None or len(forecast.dates) == len(forecast.origins)
    trial.require(dated, "dates", "dates must be one an origin, or None")
    trial.require(bool(np.isfinite(values).all()), "finite", "a quantile is NaN or infinite")
    trial.require(bool((values >= 0).all()), "range", f"a quantile is {values.min():.3g} < 0")
    fall = values[..., :-1] - values[..., 1:] - CROSSING * np.maximum(values[..., :-1], 1.0)
    trial.require(bool((fall <= 0).all()), "order", "quantiles cross: a higher level lies lower; sort the last axis")


def _check_quantiles(trial: _Trial) -> None:
    forecast = trial.forecast
    for k, level in enumerate(forecast.levels):
        remedy = "quantile and values must come from the same distribution"
        trial.equal(forecast.quantile(level), forecast.values[..., k], "quantile", f"values at level {level:g}", remedy)
    each = np.stack([forecast.quantile(level) for level in np.linspace(0.01, 0.99, 50)], axis=-1)
    slack = EXACT * (1.0 + each[..., :-1])
    trial.require(bool((np.diff(each) >= -slack).all()), "monotone", "a quantile falls as its level rises")
    trial.require(bool((each >= 0).all()), "range", f"a quantile is {each.min():.3g} < 0")
    items, origins = forecast.values.shape[:2]
    mixed = np.resize(TRIAL_LEVELS, (items, origins))
    got, remedy = forecast.quantile(mixed), "a level may differ between items and origins"
    for level in TRIAL_LEVELS:
        chosen = mixed == level
        trial.equal(got[chosen], forecast.quantile(level)[chosen], "levels by item", "quantiles", remedy)
    low, high, mean = forecast.quantile(1e-9), forecast.quantile(1 - 1e-9), forecast.mean()
    slack = EXACT * (1.0 + mean)
    between = (mean >= low - slack) & (mean <= high + slack)
    trial.require(bool(between.all()), "mean", "a mean lies outside of all quantiles of its period")
    for level in (0.0, 1.0, -0.1, 1.5, np.nan):
        trial.refuses(partial(forecast.quantile, level), "levels refused", f"quantile({level})")


def _check_draws(trial: _Trial) -> None:
    forecast, shape = trial.forecast, trial.forecast.values.shape[:3]
    drawn = forecast.sample(5, np.random.default_rng(0))
    trial.equal(drawn, forecast.sample(5, np.random.default_rng(0)), "sample", "draws of one seed", "use rng alone", 0)
    trial.require(drawn.shape == (5, *shape), "sample", f"draws must have the shape {(5, *shape)}, got {drawn.shape}")
    trial.require(bool((drawn >= 0).all()), "sample", "a draw is below zero")
    for level in TRIAL_LEVELS:
        got = forecast.at_uniforms(np.full((2, *shape), level))[1]
        remedy = "the inverse transform of a level is its quantile"
        trial.equal(got, forecast.quantile(level), "at_uniforms", f"demand at level {level:g}", remedy)
    remedy = "a normal of zero is a level of one half, whatever it is correlated with"
    middle = forecast.at_normals(np.zeros((2, *shape)))[0]
    trial.equal(middle, forecast.quantile(0.5), "at_normals", "demand at normals of zero", remedy)


def _check_totals(trial: _Trial) -> None:
    forecast, horizon = trial.forecast, trial.forecast.horizon
    one, remedy = forecast.total(1), "the sum over one period is that period"
    trial.require(one.horizon == 1, "total", f"a total must have a horizon of one, got {one.horizon}")
    trial.equal(one.values, forecast.values[:, :, :1], "total of one period", "values", remedy)
    trial.equal(one.quantile(0.83), forecast.quantile(0.83)[:, :, :1], "total of one period", "quantiles", remedy)
    totals = [forecast.total(span) for span in range(1, horizon + 1)]
    # Below the median a forecast that is made less sure on purpose may fall as its sum becomes less sure.
    for level in (0.5, 0.83, 0.96):
        upper = np.stack([total.quantile(level) for total in totals])
        falls = upper[:-1] - upper[1:] > DRAWN * (1.0 + upper[:-1])
        trial.require(not falls.any(), "totals grow", f"a longer span has a smaller total at level {level:g}")
    each = np.stack([total.values[:, :, 0] for total in totals])
    items, origins = forecast.values.shape[:2]
    spans = 1 + np.arange(items * origins).reshape(items, origins) % horizon
    mixed = forecast.total(spans).values[:, :, 0]
    expected = np.take_along_axis(each, spans[None, :, :, None] - 1, axis=0)[0]
    trial.equal(mixed, expected, "spans by item", "totals", "a span may differ between items and origins", DRAWN)
    for span in (0, horizon + 1):
        trial.refuses(partial(forecast.total, span), "spans refused", f"total({span}), horizon {horizon},")


def _check_cuts(trial: _Trial) -> None:
    forecast = trial.forecast
    items, origins, horizon, _ = forecast.values.shape
    some = np.arange(items)[::-2]
    for index in (0, -1):
        _check_pick(trial, forecast.at_origin(index), np.s_[:, [index]], f"at_origin({index})")
    _check_pick(trial, forecast.at_origin(np.array([origins - 1, 0])), np.s_[:, [origins - 1, 0]], "at_origin(array)")
    picked = forecast.select(some)
    _check_pick(trial, picked, np.s_[some], "select")
    ids = tuple(forecast.item_ids[i] for i in some)
    trial.require(picked.item_ids == ids, "select", f"item_ids must be {ids}, got {picked.item_ids}")
    item, origin = np.array([items - 1, 0, 0, items - 1]), np.array([0, origins - 1, 0, origins - 1])
    taken = forecast.take(item, origin)
    _check_pick(trial, taken, (item[None], origin[None]), "take")
    again, place = taken.take(np.array([0, 0]), np.array([2, 0])), (item[[2, 0]][None], origin[[2, 0]][None])
    _check_pick(trial, again, place, "take from what was taken")
    trial.equal(taken.origins, forecast.origins[origin], "take", "origins", "pick them with the values", 0)
    trial.refuses(lambda: forecast.at_origin(origins), "origins refused", f"at_origin({origins}) of {origins} origins")
    for periods in sorted({1, horizon - 1} - {0}):
        later, near = forecast.after(horizon - periods), forecast.head(periods)
        remedy = "cut values and sums alike"
        first, last = np.s_[:, :, :periods], np.s_[:, :, horizon - periods :]
        trial.equal(near.values, forecast.values[first], "head", "values", remedy)
        trial.equal(near.mean(), forecast.mean()[first], "head", "means", remedy)
        total = forecast.total(periods).values
        trial.equal(near.total(periods).values, total, "head", "totals", remedy, DRAWN)
        trial.equal(later.values, forecast.values[last], "after", "values", remedy)
        trial.equal(later.quantile(0.83), forecast.quantile(0.83)[last], "after", "quantiles", remedy)
        trial.equal(later.origins, forecast.origins + horizon - periods, "after", "origins", "they move on", 0)
    trial.refuses(lambda: forecast.after(horizon), "cuts refused", f"after({horizon}) of a horizon of {horizon}")
    trial.refuses(lambda: forecast.head(horizon + 1), "cuts refused", f"head({horizon + 1}), horizon {horizon},")
    trial.refuses(lambda: forecast.head(0), "cuts refused", "head(0)")


def _check_pick(trial: _Trial, part: DemandForecast, place: Any, check: str) -> None:
    """Whatever is read of a part is the part of what is read of the whole: pick, then sum = sum, then pick."""
    got = _read_all(part)
    for what, whole in _read_all(trial.forecast).items():
        trial.equal(got[what], whole[place], check, what, "cut whatever is read of the whole")


def _check_dependence(trial: _Trial) -> None:
    forecast, horizon = trial.forecast, trial.forecast.horizon
    nowhere, values = np.zeros((1, 1), dtype=np.int64), forecast.values
    spread = (forecast.quantile(0.9) - forecast.quantile(0.1)).min()
    if horizon == 1 or not spread > 0:
        return
    together = Dependence(np.full((1, horizon, horizon), 0.95) + 0.05 * np.eye(horizon), nowhere)
    try:
        apart, close = (forecast.with_dependence(d) for d in (Dependence.independent(horizon), together))
    except FractileError:
        return  # refused, as a known distribution may
    trial.equal(close.values, values, "with_dependence", "quantiles of single periods", "only sums may change")
    widths = [f.total(horizon).quantile(0.9) - f.total(horizon).quantile(0.1) for f in (apart, close)]
    wider = bool((widths[1] > widths[0]).all())
    message = "sums of dependent periods must be wider than of independent ones; draw their errors together"
    trial.require(wider, "with_dependence", message)


def _check_replace(trial: _Trial) -> None:
    forecast: Any = trial.forecast
    settable = is_dataclass(forecast) and "values" in {f.name for f in fields(forecast) if f.init}
    if not settable:
        return  # its values follow from something else, and cannot be set
    values, remedy = forecast.values, "compute what is read from the values, and keep nothing beside them"
    doubled = replace(forecast, values=2.0 * values)
    trial.equal(doubled.quantile(0.83), 2.0 * forecast.quantile(0.83), "replace", "quantiles of new values", remedy)
    trial.equal(doubled.mean(), 2.0 * forecast.mean(), "replace", "means of new values", remedy)
    horizon = forecast.horizon
    totals = doubled.total(horizon).values, 2.0 * forecast.total(horizon).values
    trial.equal(*totals, "replace", "totals of new values", remedy)
    faulty = {"NaN": np.nan, "infinity": np.inf, "a negative number": -1.0, "crossing quantiles": values.max() + 1.0}
    for what, number in faulty.items():
        wrong = np.array(values)
        wrong[-1, -1, -1, 0] = number
        trial.refuses(partial(replace, forecast, values=wrong), "values refused", f"values with {what}")


def _check_frames(trial: _Trial) -> None:
    forecast = trial.forecast
    frame = forecast.to_frame()
    remedy = "a row for each item, origin, horizon and level, in that order"
    trial.equal(frame["value"].to_numpy(), forecast.values.reshape(-1), "to_frame", "values", remedy, 0)
    if forecast.dates is None or forecast.freq is None:
        trial.refuses(forecast.to_nixtla, "to_nixtla", "a forecast without dates")
    else:
        rows, expected = len(forecast.to_nixtla()), int(np.prod(forecast.values.shape[:3]))
        trial.require(rows == expected, "to_nixtla", f"expected {expected} rows, got {rows}")
