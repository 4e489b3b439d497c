"""Random problems, and the network that is trained on them."""

from __future__ import annotations

import numpy as np
import pytest

from fractile.envs.demand.distributions import Poisson
from fractile.policies.generalist import summarise
from fractile.randomness import keyed_generator
from fractile.training.generalist import SILENT, GeneralistConfig, episode_cost, make_pools, train_generalist
from fractile.training.random_problems import FAMILIES, cells_of, draw_models, draw_pool
from fractile.training.train import is_learned, needs_training

TINY = GeneralistConfig(
    steps=40, paths=192, periods=12, hidden=(16,), problems=120, seasonal=6, lead_times=(0, 0, 1), learning_rate=2e-2
)


@pytest.mark.parametrize("family", FAMILIES)
def test_cells_stand_for_the_law_of_demand(family):
    rng = keyed_generator(0, "cells", family)
    truth, forecast = draw_models(rng, family, np.linspace(0.3, 30.0, 40), np.ones(40), np.ones(40))
    law = truth.distribution()
    cells = cells_of(rng, truth)
    # Each cell is one draw from its own slice of the law: far closer than independent draws.
    error = 4 * np.asarray(law.std()) / np.sqrt(cells.shape[1])
    assert (np.abs(cells.mean(1) - law.mean()) <= error).all()
    np.testing.assert_allclose(forecast.distribution().mean(), law.mean(), rtol=1e-9)
    np.testing.assert_allclose(forecast.distribution().std(), law.std(), rtol=1e-9)


def test_wrong_forecasts_are_biased_and_too_wide():
    truth, forecast = draw_models(
        keyed_generator(1, "w"), "gamma", np.full(30, 7.0), np.full(30, 1.2), np.full(30, 1.5)
    )
    np.testing.assert_allclose(forecast.distribution().mean(), 1.2 * truth.distribution().mean())
    np.testing.assert_allclose(forecast.distribution().std(), 1.2 * 1.5 * truth.distribution().std())


def test_a_pool_holds_different_problems_and_draws_the_same_episodes_again():
    pool = draw_pool(keyed_generator(2, "pool"), 3, 200)
    assert set(pool.family) == set(FAMILIES)
    scenario, params = pool.draw(keyed_generator(3, "episodes"), 50, 20)
    again, _ = pool.draw(keyed_generator(3, "episodes"), 50, 20)
    np.testing.assert_array_equal(scenario.demand, again.demand)
    assert scenario.demand.shape == (50, 20, 1)
    assert params.stockout_cost.shape == (50, 1)
    assert len(np.unique(params.stockout_cost)) > 30
    assert 2.0 <= params.stockout_cost.min() <= params.stockout_cost.max() <= 100.0
    assert all(np.isfinite(part).all() for part in scenario.features.at(0).parts)


def test_features_of_a_pool_are_those_of_its_forecasts():
    rng = keyed_generator(4, "pool")
    pool = draw_pool(rng, 2, 300)
    here = np.flatnonzero((pool.family == "poisson") & ~pool.wrong)
    mean = pool.parts.mean[0, 0, 0, here]
    demand, params = Poisson(mean), pool.params.select(here)
    forecast = demand.forecast(3)
    found = summarise(forecast, forecast.total(3), params)
    np.testing.assert_array_equal(found.level[0], pool.parts.level[0, 0, here])


def test_seasons_move_demand_and_its_forecast_together():
    pool = draw_pool(keyed_generator(5, "pool"), 1, 60, periods=30)
    item = np.repeat(np.arange(60), 300)
    scenario, _ = pool.episodes(keyed_generator(5, "episodes"), item, 30)
    right = ~pool.wrong & (pool.correlation == 0) & np.isin(pool.family, ("normal", "gamma"))
    assert right.any()
    seen = scenario.demand[..., 0].reshape(60, 300, 30)
    forecast = pool.parts.mean[:, 0, 0].T
    error = 4 * seen.std(1) / np.sqrt(300)
    # The forecast's own quantiles stop at 0.05 and 0.99: its mean is good to a few percent.
    assert (np.abs(seen.mean(1) - forecast) <= error + 0.05 * forecast)[right].all()
    assert forecast[right].std(1).max() > 0


def test_errors_are_correlated_where_they_should_be():
    pool = draw_pool(keyed_generator(6, "pool"), 1, 400)
    item = np.flatnonzero((pool.correlation > 0.4) & (pool.family == "normal") | (pool.correlation > 0.6))[:5]
    assert len(item)
    scenario, _ = pool.episodes(keyed_generator(6, "episodes"), np.repeat(item, 200), 40)
    demand = scenario.demand[..., 0]
    left, right = demand[:, :-1], demand[:, 1:]
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(left, right, strict=True) if a.std() * b.std() > 0]) > 0.1


def test_training_lowers_the_cost_of_fresh_problems_and_is_the_same_again():
    policy = train_generalist(TINY)
    fresh = make_pools(TINY)[2, False]
    item = np.arange(120).repeat(8)
    costs = []
    for one in (SILENT, policy):
        cost = episode_cost(one, fresh.problems, item, keyed_generator(8, "fresh"), TINY, np.asarray)
        costs.append((cost / fresh.cost[item]).mean())
    assert costs[1] < costs[0] - 0.01
    again = train_generalist(TINY)
    for (weight, bias), (other, another) in zip(policy.layers, again.layers, strict=True):
        np.testing.assert_array_equal(weight, other)
        np.testing.assert_array_equal(bias, another)


def test_studies_take_it_for_a_learned_policy_that_needs_no_training():
    assert is_learned("generalist")
    assert not needs_training("generalist", {})
