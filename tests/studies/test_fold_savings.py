"""Savings by fold and seed: each against the baseline's cost in the same fold."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from fractile.studies.fold_savings import savings_by_fold


def test_savings_are_those_of_their_fold_and_seed():
    """Two items, five periods, folds of two and three."""
    base = np.array([[[4.0, 6.0], [4.0, 6.0], [10.0, 10.0], [10.0, 10.0], [10.0, 10.0]]])
    learned = np.stack([base[0] * 0.5, base[0] * np.array([1.0, 1.0, 0.9, 0.9, 0.9])[:, None]])
    paths = {"plain": SimpleNamespace(cost=base), "learned": SimpleNamespace(cost=learned)}
    found = savings_by_fold(paths, [2, 5], "plain")
    assert found["policy"].tolist() == ["plain", "learned", "learned"] * 2
    assert list(zip(found["fold"], found["seed"], strict=True)) == [(1, 1), (1, 1), (1, 2), (2, 1), (2, 1), (2, 2)]
    np.testing.assert_allclose(found["baseline_cost"], [10.0] * 3 + [20.0] * 3)
    np.testing.assert_allclose(found["saving"], [0.0, 0.5, 0.0, 0.0, 0.5, 0.1], atol=1e-12)
    assert found["periods"].tolist() == [2, 2, 2, 3, 3, 3]


def test_seeds_of_a_baseline_are_averaged_and_what_costs_nothing_saves_nothing():
    cost = np.array([[[1.0]], [[3.0]]])
    found = savings_by_fold({"base": SimpleNamespace(cost=cost)}, [1], "base")
    assert found["saving"].tolist() == [0.5, -0.5]
    found = savings_by_fold({"base": SimpleNamespace(cost=0 * cost)}, [1], "base")
    assert found["saving"].tolist() == [0.0, 0.0]
