"""How quantiles around point forecasts are wired: the error exponent, bands, horizons, and errors out of sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from fractile import SalesPanel
from fractile.forecasters.calibration.point_errors import GRID, ErrorDistribution, fit_error_distribution
from fractile.forecasters.classical.point import PointForecaster

DECILE = np.array([0.5, 0.9])


def test_errors_grow_with_the_exponent_that_was_estimated():
    """Errors of the root of the size in a single band: the width at 100 is ten times that at 1, not a hundred."""
    rng = np.random.default_rng(0)
    point = np.exp(rng.uniform(0, np.log(100), (120, 1, 1)))
    errors = fit_error_distribution(point, point + np.sqrt(point) * rng.standard_normal(point.shape), point[:, :, 0])
    assert len(errors.middle) == 1
    assert float(errors.power) == pytest.approx(0.5, abs=0.1)
    sizes = np.array([1.0, 100.0])[:, None, None]
    width = np.diff(errors.quantiles(sizes, sizes[:, :, 0], DECILE))[:, 0, 0, 0]
    np.testing.assert_allclose(width, 1.2816 * np.array([1.0, 10.0]), rtol=0.35)


def test_between_the_middles_of_two_bands_errors_are_interpolated():
    """Scaled errors of ±0.5 at size 1 and of ±1.5 at size e²: ±1 halfway in the logarithm, at e."""
    row = np.where(GRID < 0.5, -1.0, np.where(GRID > 0.5, 1.0, 0.0))
    table = np.stack([0.5 * row, 1.5 * row])[:, None]
    errors = ErrorDistribution(table, np.array([0.0, 2.0]), np.asarray(1.0))
    point = np.exp([-1.0, 0.0, 1.0, 2.0, 3.0])[:, None, None] - 0.05  # the smallest size is added
    upper = errors.quantiles(point, point[:, :, 0], np.array([0.5, 0.9]))[:, 0, 0, 1]
    np.testing.assert_allclose((upper - point[:, 0, 0]) / (point[:, 0, 0] + 0.05), [0.5, 0.5, 1.0, 1.5, 1.5])


def test_each_horizon_has_its_own_errors():
    """Errors that double from one period to the next give quantiles that do."""
    rng = np.random.default_rng(1)
    point = np.full((40, 10, 3), 100.0)
    actual = point + np.array([1.0, 2.0, 4.0]) * rng.standard_normal(point.shape)
    values = fit_error_distribution(point, actual, point[:, :, 0]).quantiles(point, point[:, :, 0], DECILE)
    width = np.diff(values)[0, 0, :, 0]
    np.testing.assert_allclose(width / width[0], [1.0, 2.0, 4.0], rtol=0.25)


@dataclass(frozen=True)
class Memory:
    """A model that knows the periods it was fitted on by heart, and expects nothing after them."""

    sales: np.ndarray

    def forecast(self, panel: SalesPanel, origins: np.ndarray, horizon: int) -> np.ndarray:
        known = np.zeros((panel.items, panel.periods + horizon))
        known[:, : self.sales.shape[1]] = self.sales[:, : known.shape[1]]
        return known[:, origins[:, None] + np.arange(horizon)]

    def to_state(self):
        return {}, {"sales": self.sales}

    @classmethod
    def from_state(cls, config, arrays):
        return cls(arrays["sales"])


class Memoriser(PointForecaster[Memory]):
    """Fits perfectly, and forecasts nothing."""

    name = "memoriser"
    model_type = Memory

    def fit_model(self, panel: SalesPanel, before: Memory | None) -> Memory:
        assert before is None or before.sales.shape[1] < panel.periods
        return Memory(panel.sales)


def test_errors_are_those_of_a_model_that_has_not_seen_them():
    sales = np.random.default_rng(2).poisson(20.0, (30, 60)).astype(float)
    true = np.ones(sales.shape, dtype=bool)
    dates = pd.date_range("2022-01-03", periods=60, freq="W-MON")
    panel = SalesPanel(sales, true, true, dates, tuple(f"i{k}" for k in range(30)), "W-MON")
    median = Memoriser(horizon=2).fit(panel).predict(panel, 2, levels=DECILE).values[..., 0]
    np.testing.assert_allclose(median, 20.0, atol=1.5)
