"""Croston's method and its descendants against statsforecast, and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from statsforecast.models import TSB, CrostonClassic, CrostonSBA

from fractile import FractileError, SalesPanel
from fractile.forecasters.classical.croston import Croston, Rates, croston_levels

LIBRARY = {"classic": CrostonClassic(), "sba": CrostonSBA(), "tsb": TSB(alpha_d=0.1, alpha_p=0.2)}


def panel_of(sales: np.ndarray) -> SalesPanel:
    true = np.ones(sales.shape, dtype=bool)
    dates = pd.date_range("2022-01-03", periods=sales.shape[1], freq="W-MON")
    return SalesPanel(sales, true, true, dates, tuple(f"i{k}" for k in range(len(sales))), "W-MON")


def intermittent(items: int = 20, periods: int = 80) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.poisson(4.0, (items, periods)) * (rng.random((items, periods)) < 0.3) * 1.0


def rates(variant: str, sales: np.ndarray, alpha: float = 0.1, beta: float = 0.1) -> np.ndarray:
    return croston_levels(panel_of(sales), Rates(variant, alpha, beta))


@pytest.mark.parametrize("variant", LIBRARY)
def test_every_origin_repeats_statsforecast(variant):
    sales = intermittent()
    got = rates(variant, sales, beta=0.2 if variant == "tsb" else 0.1)
    for origin in (30, 80):
        expected = [LIBRARY[variant].forecast(y=row[:origin], h=1)["mean"][0] for row in sales]
        np.testing.assert_allclose(got[:, origin], expected, rtol=1e-9)


def test_by_hand():
    # Sizes 4 then 2, intervals 2 then 3; α = ½: size 3, interval 2.5.
    sales = np.array([[0.0, 4, 0, 0, 2, 0]])
    np.testing.assert_allclose(rates("classic", sales, 0.5, 0.5)[0], [0, 0, 2, 2, 2, 1.2, 1.2])
    np.testing.assert_allclose(rates("sba", sales, 0.5, 0.5)[0, -1], 0.75 * 1.2)
    # The chance goes 0, ½, ¼, ⅛, 9/16, 9/32.
    np.testing.assert_allclose(rates("tsb", sales, 0.5, 0.5)[0, -1], 3 * 9 / 32)


@pytest.mark.parametrize("variant", LIBRARY)
def test_periods_out_of_stock_might_as_well_not_be(variant):
    sales = intermittent(periods=60)
    gaps = np.sort(np.random.default_rng(1).choice(60, 15, replace=False))
    in_stock = np.ones(sales.shape, dtype=bool)
    in_stock[:, gaps] = False
    panel = replace(panel_of(sales), in_stock=in_stock)
    with_gaps = croston_levels(panel, Rates(variant, 0.1, 0.2))[:, -1]
    np.testing.assert_allclose(with_gaps, rates(variant, np.delete(sales, gaps, axis=1), beta=0.2)[:, -1])


def test_sba_is_nearly_unbiased_where_croston_is_not():
    """Demands of mean size 4 with chance 0.3; Syntetos and Boylan's claim, α = 0.2."""
    rng = np.random.default_rng(2)
    sales = rng.poisson(4.0, (4000, 120)) * (rng.random((4000, 120)) < 0.3) * 1.0
    classic, sba = (rates(variant, sales, 0.2, 0.2)[:, -1] for variant in ("classic", "sba"))
    assert classic.mean() > 1.2 + 4 * classic.std() / np.sqrt(4000)
    assert abs(sba.mean() - 1.2) < abs(classic.mean() - 1.2) / 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "sbaa"}, "unknown variant 'sbaa'; did you mean 'sba'"),
        ({"size_rate": 0.0}, "size_rate must be in"),
        ({"chance_rate": 1.5}, "chance_rate must be in"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(FractileError, match=message):
        Croston(**options)
