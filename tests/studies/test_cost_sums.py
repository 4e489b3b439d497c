"""Sums over groups of items give the savings, intervals and rankings that costs cell by cell give."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fractile.arrays import FloatArray
from fractile.errors import FractileError
from fractile.studies.statistics.ranking import rank_estimates, rank_policies
from fractile.studies.statistics.sums import CostSums

BASELINE = "plain"


def draw_costs(items: int = 40, periods: int = 26) -> dict[str, FloatArray]:
    """Return costs of a baseline, a cheaper policy, one that orders alike, and a learned one with three seeds."""
    rng = np.random.default_rng(5)
    common = np.exp(0.3 * rng.standard_normal((1, periods, 1)))
    scale = np.exp(rng.standard_normal((1, 1, items)))
    plain = scale * common * rng.gamma(2.0, 1.0, (1, periods, items))
    plain[..., 3] = 0.0  # an item that costs nothing is no cluster
    cheaper = plain * (0.9 + 0.1 * rng.standard_normal((1, periods, items)).clip(-1, 1))
    learned = plain * (0.95 + 0.2 * rng.random((3, 1, 1)) + 0.1 * rng.random((3, periods, items)))
    return {"cheaper": cheaper, BASELINE: plain, "alike": plain.copy(), "learned": learned}


def sums_in_groups(costs: dict[str, FloatArray], edges: list[int]) -> CostSums:
    """Return the sums of groups of items, added up."""
    bounds = [0, *edges, costs[BASELINE].shape[2]]
    pairs = pairwise(bounds)
    return CostSums.join([CostSums.of({n: c[:, :, a:b] for n, c in costs.items()}, BASELINE) for a, b in pairs])


@pytest.mark.parametrize("edges", [[], [1], [4, 5, 30]])
def test_sums_rank_as_costs_do(edges: list[int]) -> None:
    costs = draw_costs()
    names = (BASELINE, "cheaper", "alike", "learned")
    found = sums_in_groups(costs, edges)
    assert found.names == names
    of_sums = rank_estimates(names, found.estimates(), order=tuple(costs))
    of_cells = rank_policies(costs, baseline=BASELINE, seeds=True)
    assert list(of_sums.savings) == list(of_cells.savings)
    for name, saving in of_cells.savings.items():
        other = of_sums.savings[name]
        for field in ("saving", "low", "high", "standard_error", "degrees_of_freedom", "seed_sd"):
            np.testing.assert_allclose(getattr(other, field), getattr(saving, field), rtol=1e-9, atol=1e-12)
        assert (other.seeds, other.periods, other.items) == (saving.seeds, saving.periods, saving.items)
        np.testing.assert_allclose(other.variance.autocorrelation, saving.variance.autocorrelation, rtol=1e-9)
    assert (of_sums.proven, of_sums.among_best) == (of_cells.proven, of_cells.among_best)
    # The law of the largest score is drawn along eigenvectors, whose signs rounding may flip: other draws.
    np.testing.assert_allclose(of_sums.together["cheaper"], of_cells.together["cheaper"], rtol=5e-3)


def test_a_policy_that_orders_alike_differs_by_nothing() -> None:
    found = sums_in_groups(draw_costs(), [7]).estimates().difference(2)
    assert (found.value, found.variance.total) == (0.0, 0.0)


def test_a_baseline_without_costs_is_refused() -> None:
    costs = {name: np.zeros((1, 12, 5)) for name in (BASELINE, "other")}
    with pytest.raises(FractileError, match="the baseline costs 0 in all"):
        CostSums.of(costs, BASELINE).estimates()


def test_costs_that_are_no_numbers_are_refused() -> None:
    costs = {BASELINE: np.ones((1, 12, 5)), "other": np.full((1, 12, 5), np.nan)}
    with pytest.raises(FractileError, match="finite numbers"):
        CostSums.of(costs, BASELINE)
