"""Quantiles around point forecasts and levels of items, bit for bit those of plain references over whole arrays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from fractile.forecasters.base import at_levels
from fractile.forecasters.calibration.point_errors import FLOOR, GRID, ErrorDistribution
from fractile.forecasters.calibration.spread import LEVELS, ItemSpread
from fractile.forecasters.forecast import DEFAULT_LEVELS
from fractile.forecasters.interpolation import AT_ONCE, interpolation_weights, level_weights, mean_weights
from fractile.forecasters.patchwork.effects import DISPERSION
from fractile.forecasters.patchwork.forecaster import DistributionEngine
from fractile.forecasters.patchwork.levels import (
    CLIP,
    DISPERSION_WEIGHT,
    NEWTON_STEPS,
    ODD,
    SETTLED,
    Start,
    filter_levels,
)
from fractile.forecasters.patchwork.series import Expected

USUAL = np.asarray(DEFAULT_LEVELS)


def make_errors(bands, horizon=6, seed=0):
    rng = np.random.default_rng(seed)
    table = np.sort(rng.normal(0.0, 1.0, (bands, horizon, len(GRID))), axis=-1)
    return ErrorDistribution(table, np.sort(rng.normal(1.0, 1.0, bands)), np.asarray(0.6))


def reference_quantiles(errors, point, speed, levels):
    """Return quantiles around points as arrays of all items, origins, steps and levels at once."""
    usual = speed if speed.ndim == point.ndim else speed[..., None]
    size = 0.5 * np.maximum(point, 0.0) + 0.5 * usual + FLOOR
    lift = max(0.0, -float(errors.table.min())) * 2.0 + 1.0
    table = at_levels(GRID, errors.table + lift, levels) - lift
    steps = np.minimum(np.arange(point.shape[-1]), errors.table.shape[1] - 1)
    log_size = np.log(size)
    if len(errors.middle) == 1:
        below, share = np.zeros(size.shape, dtype=np.int64), np.zeros((*size.shape, 1))
    else:
        below = np.clip(np.searchsorted(errors.middle, log_size) - 1, 0, len(errors.middle) - 2)
        width = errors.middle[below + 1] - errors.middle[below]
        share = np.clip((log_size - errors.middle[below]) / width, 0.0, 1.0)[..., None]
    found = table[below, steps] * (1 - share) + table[np.minimum(below + 1, len(table) - 1), steps] * share
    values = np.maximum(point, 0.0)[..., None] + found * (size**errors.power)[..., None]
    return np.maximum.accumulate(np.maximum(values, 0.0), axis=-1)


@pytest.mark.parametrize("bands", [1, 2, 5])
@pytest.mark.parametrize("levels", [GRID, USUAL])
def test_quantiles_of_cells_are_those_of_whole_arrays(bands, levels):
    rng, errors = np.random.default_rng(1), make_errors(bands)
    for shape, of_target in (((7, 5, 8), False), ((7, 5, 3), True), ((AT_ONCE // 60, 1, 8), False)):
        point = rng.normal(4.0, 6.0, shape)
        speed = rng.gamma(1.0, 5.0, shape if of_target else shape[:2])
        found = errors.quantiles(point, speed, levels)
        np.testing.assert_array_equal(found, reference_quantiles(errors, point, speed, levels))


def test_each_cell_has_the_errors_of_its_class():
    rng, shape = np.random.default_rng(1), (9, 5, 8)
    engine = DistributionEngine(np.array([0.5, 1.0]), tuple(make_errors(3, seed=k) for k in range(4)))
    expected = Expected(
        rng.gamma(1.0, 5.0, shape), rng.gamma(1.0, 5.0, shape), rng.gamma(1.0, 1.0, shape[:2]), rng.random(shape) < 0.2
    )
    member = np.searchsorted(engine.edges, expected.dispersion, side="right")[..., None]
    member = np.where(expected.promoted, 3, member)
    assert set(member.ravel().tolist()) == {0, 1, 2, 3}
    found = engine.quantiles(expected, USUAL)
    for number, errors in enumerate(engine.classes):
        every = reference_quantiles(errors, expected.point, expected.typical, USUAL)
        np.testing.assert_array_equal(found[member == number], every[member == number])


def reference_widen(own, spread, trained, values, levels):
    """Return quantiles read at the levels that moves and spreads say, for all items at once."""

    def read(spread, trained, values, levels):
        score = np.append(ndtri(levels), 0.0)
        score = np.minimum(score + np.interp(score, ndtri(LEVELS), own.moves), ndtri(trained[-1]))
        weights = interpolation_weights(trained, ndtr(np.minimum(spread, 1.0)[:, None] * score))
        found = np.einsum("iohk,iqk->iohq", values, weights, optimize=True)
        median = found[..., -1:]
        return np.maximum(median + np.maximum(spread, 1.0)[:, None, None, None] * (found[..., :-1] - median), 0.0)

    usual = np.isin(trained, USUAL)
    few, average = trained[usual], mean_weights(tuple(trained[usual]))
    wide = read(spread, trained, values, levels)
    before, after = (read(each, few, values[..., usual], few) @ average for each in (np.ones_like(spread), spread))
    wide = wide * np.divide(before, after, out=np.ones_like(after), where=after > 0)[..., None]
    return np.maximum.accumulate(wide, axis=-1)


@pytest.mark.parametrize("shape", [(9, 5, 8), (60, 20, 8)])
def test_forecasts_are_widened_as_whole_arrays(shape):
    rng = np.random.default_rng(2)
    names = tuple(f"i{k}" for k in range(shape[0]))
    spread = np.where(np.arange(shape[0]) % 3 == 0, 1.0, rng.uniform(0.4, 1.5, shape[0]))
    own = ItemSpread(names, spread, rng.normal(0.0, 0.1, len(LEVELS)))
    trained = np.union1d(USUAL, [0.25, 0.75])
    values = np.sort(rng.gamma(0.5, 8.0, (*shape, len(trained))), axis=-1)
    found = own.widen(names, trained, values, USUAL)
    expected = reference_widen(own, spread, trained, values, USUAL)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert (np.diff(found, axis=-1) >= 0).all()


def reference_levels(sales, known, factor, start, drift):
    """Return each item's log level before each period, by Newton's method as it is written down."""
    log_level, variance = start.log_level, start.variance
    weight = np.full(len(sales), DISPERSION_WEIGHT)
    excess, seen, kept = start.dispersion * weight, np.zeros(len(sales), dtype=bool), []
    for t in range(sales.shape[1] + 1):
        dispersion = np.clip(excess / weight, *DISPERSION)
        kept.append((log_level, variance, dispersion))
        if t == sales.shape[1]:
            break
        y, f, informative = sales[:, t], factor[:, t], known[:, t] > 0
        mean = np.exp(log_level) * f
        blur = np.expm1(np.minimum(variance, 3.0))
        expected = mean * (1 + dispersion * mean) + mean**2 * blur
        settled = variance < SETTLED
        square = np.minimum((y - mean) ** 2, ODD**2 * expected) - mean
        evidence = (mean / (1 + dispersion * mean)) ** 2
        share = evidence / (0.1 + evidence) * (informative & settled)
        likely = np.where(settled, np.minimum(y, mean + CLIP * np.sqrt(expected)), y)
        moved = log_level
        for _ in range(NEWTON_STEPS):
            now = np.exp(moved) * f
            slope = (likely - now) / (1 + dispersion * now) - (moved - log_level) / variance
            bend = now * (1 + dispersion * likely) / (1 + dispersion * now) ** 2 + 1 / variance
            moved = moved + np.clip(slope / bend, -1.0, 1.0)
        mode = np.exp(moved) * f
        information = np.where(informative, mode / (1 + dispersion * mode), 0.0)
        seen = seen | informative
        excess = excess + share * (square / np.maximum(mean**2, 1e-4) - blur)
        weight = weight + share
        log_level = np.where(informative, moved, log_level)
        variance = variance / (1 + variance * information) + np.where(seen, drift, 0.0)
    return [np.stack(each, axis=1) for each in zip(*kept, strict=True)]


def test_levels_are_followed_as_it_is_written_down():
    rng, shape = np.random.default_rng(3), (40, 60)
    sales = rng.negative_binomial(2, 0.3, shape).astype(np.float64) * rng.gamma(1.0, 2.0, (shape[0], 1)).round()
    known = (rng.random(shape) < 0.8).astype(np.float64)
    factor = np.exp(rng.normal(0.0, 0.3, shape))
    start = Start(rng.normal(1.0, 1.0, shape[0]), rng.uniform(0.05, 2.0, shape[0]), 0.3)
    found = filter_levels(sales * known, known, factor, start, 0.005)
    for name, values in zip(found._fields, reference_levels(sales * known, known, factor, start, 0.005), strict=True):
        np.testing.assert_array_equal(getattr(found, name), values, err_msg=name)


def test_weights_of_a_level_are_the_same_at_every_call():
    for level in (0.01, 0.05, 0.42, 0.99, 0.999):
        np.testing.assert_array_equal(level_weights(DEFAULT_LEVELS, level), interpolation_weights(USUAL, level))
    with pytest.raises(ValueError, match="read-only"):
        level_weights(DEFAULT_LEVELS, 0.42)[0] = 1.0
