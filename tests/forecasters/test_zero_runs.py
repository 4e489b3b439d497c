"""Runs without a sale: those that a rate of sale makes implausible are named, those of slow or seasonal items not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fractile import SalesPanel
from fractile.forecasters.data.zero_runs import CHANCE, implausible_zero_runs

WEEKS = np.arange(156)


def panel_of(sales, freq="W-MON", in_stock=None) -> SalesPanel:
    sales = np.asarray(sales, dtype=float)
    true = np.ones(sales.shape, dtype=bool)
    dates = pd.date_range("2021-01-04", periods=sales.shape[1], freq=freq)
    names = tuple(f"i{k}" for k in range(len(sales)))
    return SalesPanel(sales, true if in_stock is None else in_stock, true, dates, names, freq)


def poisson(mean, items=12, periods=156, seed=0):
    return np.random.default_rng(seed).poisson(mean, (items, periods))


def test_weeks_without_a_sale_of_an_item_that_sells_every_week_are_found():
    sales = poisson(20.0)
    sales[3, 40:44] = 0
    [found] = implausible_zero_runs(panel_of(sales))
    assert (found.item, found.first, found.length) == (3, (40,), (4,))
    # No other week is without a sale: the rate is 1 / (152 + 2), and one run or more as likely as its expected number.
    np.testing.assert_allclose(found.chance, 156 * (1 / 154) ** 4, rtol=1e-4)
    known = np.ones(sales.shape, dtype=bool)
    known[3, 40:44] = False
    assert implausible_zero_runs(panel_of(sales, in_stock=known)) == []  # on record as out of stock


def test_several_short_runs_count_together():
    sales = poisson(6.0, items=40)
    sales[5, [30, 31, 70, 71, 110, 111]] = 0
    [found] = implausible_zero_runs(panel_of(sales))
    assert (found.item, sorted(found.first)) == (5, [30, 70, 110])
    sales[5, [30, 31, 70, 71]] = 5
    assert implausible_zero_runs(panel_of(sales)) == []  # one of them may be chance, among 40 items


def test_a_stock_out_of_ten_days_is_found_though_sundays_are_closed():
    sales = poisson(4.0, periods=200)
    sales[:, 6::7] = 0
    sales[2, 41:51] = 0
    assert [found.item for found in implausible_zero_runs(panel_of(sales, "D"))] == [2]


SEASON = (WEEKS + 7 * np.arange(12)[:, None]) % 52
PLAUSIBLE = {
    "slow": poisson(np.linspace(0.02, 1.0, 12)[:, None]),
    "each with a season of twelve weeks": np.where(SEASON < 12, poisson(10.0), 0),
    "each with a smooth season": poisson(8 * np.maximum(0, np.sin(2 * np.pi * SEASON / 52)) ** 2),
    "one season, one year": np.where(WEEKS[:70] % 52 < 20, poisson(10.0)[:, :70], 0),
    "all closed": np.where((WEEKS > 49) & (WEEKS < 54), 0, poisson(6.0)),
    "ended": np.where(WEEKS < 100, poisson(6.0), 0),
}


@pytest.mark.parametrize("kind", PLAUSIBLE)
def test_what_is_plausible_is_not_named(kind):
    assert implausible_zero_runs(panel_of(PLAUSIBLE[kind])) == []


def test_one_panel_in_a_hundred_is_suspected_by_chance():
    rng, panels = np.random.default_rng(1), 100
    suspected = 0
    for _ in range(panels):
        sales = rng.poisson(rng.uniform(0.05, 3.0, (20, 1)), (20, 104))
        suspected += bool(implausible_zero_runs(panel_of(sales)))
    assert suspected <= CHANCE * panels + 4 * np.sqrt(CHANCE * (1 - CHANCE) * panels)
