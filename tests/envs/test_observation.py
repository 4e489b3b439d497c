"""Features that do not know the scale of an item, and actions that become orders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

import fractile as fr
from fractile import FractileError, Observation, Poisson, QuantileForecast
from fractile.envs.core.forecast_features import by_origin, order_up_to_level, shifted_ratio
from fractile.envs.core.period import observation
from fractile.envs.core.types import ItemParams
from fractile.envs.gym.catalogue import make_source
from fractile.envs.gym.encoders import make_encoder
from fractile.envs.gym.observation import FEATURE_LEVELS, ObservationEncoder
from fractile.envs.networks.encoder import NetworkEncoder
from fractile.policies.neural import NeuralPolicy, initial_layers

PARAMS = ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=9.0)


def observed(net=((3.0,), (-1.0,)), pipeline=((4.0, 1.0), (0.0, 2.0)), params=PARAMS, mean=5.0, horizon=3):
    due = np.array(pipeline, dtype=float)[:, :, None]
    return Observation(0, np.array(net, dtype=float), due, params, Poisson(mean).forecast(horizon))


def feature(encoder: ObservationEncoder, obs: Observation, name: str) -> np.ndarray:
    return encoder.encode(obs)[..., encoder.names.index(name)]


def test_newsvendor_level_is_the_fractile_of_the_protection_interval():
    assert order_up_to_level(Poisson(5.0).forecast(3), PARAMS).item() == stats.poisson(15).ppf(0.9) == 20


def test_newsvendor_levels_of_mixed_lead_times():
    params = ItemParams(lead_time=np.array([0, 3]), stockout_cost=np.array([4.0, 19.0]))
    level = order_up_to_level(Poisson(np.array([5.0, 8.0])).forecast(4), params)
    np.testing.assert_array_equal(level, [[stats.poisson(5).ppf(0.8), stats.poisson(32).ppf(0.95)]])


def test_every_feature_is_named_and_stands_where_its_name_says():
    encoder, obs = ObservationEncoder(2), observed()
    assert encoder.encode(obs).shape == (2, 1, encoder.size) == (2, 1, len(encoder.names))
    np.testing.assert_allclose(feature(encoder, obs, "net_inventory"), [[0.6], [-0.2]])
    np.testing.assert_allclose(feature(encoder, obs, "arriving_1"), [[4.0 / 5], [1.0 / 5]])
    np.testing.assert_allclose(feature(encoder, obs, "arriving_2"), [[0.0], [2.0 / 5]])
    np.testing.assert_allclose(feature(encoder, obs, "order_up_to_gap"), [[(20 - 7) / 5], [(20 - 2) / 5]])
    np.testing.assert_allclose(feature(encoder, obs, "order_up_to_level"), 20.0 / 5)
    np.testing.assert_allclose(feature(encoder, obs, "log_mean_demand"), np.log(5.0))
    np.testing.assert_allclose(feature(encoder, obs, "critical_ratio"), 0.9)
    np.testing.assert_allclose(feature(encoder, obs, "lead_time"), 2.0)


@pytest.mark.parametrize("level", FEATURE_LEVELS)
def test_forecast_quantiles_are_features(level):
    encoder, obs = ObservationEncoder(2), observed()
    np.testing.assert_allclose(
        feature(encoder, obs, f"next_period_quantile_{level:g}"), stats.poisson(5).ppf(level) / 5
    )
    np.testing.assert_allclose(
        feature(encoder, obs, f"protection_quantile_{level:g}"), stats.poisson(15).ppf(level) / 5
    )


def test_features_do_not_know_the_scale():
    levels = np.array([0.1, 0.5, 0.9])
    values = np.array([2.0, 5.0, 9.0])
    one, ten = (
        QuantileForecast(levels, np.broadcast_to(k * values, (1, 1, 3, 3)), np.array([0]), ("a",)) for k in (1.0, 10.0)
    )
    encoder = ObservationEncoder(2)
    small, large = replace(observed(), forecast=one), replace(observed(), forecast=ten)
    large = replace(large, net_inventory=10 * small.net_inventory, pipeline=10 * small.pipeline)
    but = [k for k, name in enumerate(encoder.names) if name != "log_mean_demand"]
    np.testing.assert_allclose(encoder.encode(small)[..., but], encoder.encode(large)[..., but])
    np.testing.assert_allclose(
        10 * encoder.decode(np.full((2, 1), 0.3), small), encoder.decode(np.full((2, 1), 0.3), large)
    )


def test_short_pipelines_are_padded():
    encoder = ObservationEncoder(4)
    assert (feature(encoder, observed(), "arriving_4") == 0.0).all()
    np.testing.assert_allclose(feature(encoder, observed(), "arriving_2"), [[0.0], [0.4]])


def test_what_is_due_beyond_the_slots_is_read_in_the_last_one():
    obs = observed(pipeline=((4.0, 1.0), (0.0, 2.0), (3.0, 0.0), (0.5, 0.5)))
    encoder = ObservationEncoder(2)
    assert encoder.encode(obs).shape == (2, 1, encoder.size)
    np.testing.assert_allclose(feature(encoder, obs, "arriving_1"), [[0.8], [0.2]])
    np.testing.assert_allclose(feature(encoder, obs, "arriving_2"), [[3.5 / 5], [2.5 / 5]])
    # All of it counts as under way.
    np.testing.assert_allclose(feature(encoder, obs, "order_up_to_gap"), [[(20 - 10.5) / 5], [(20 - 2.5) / 5]])
    nothing = ObservationEncoder(0)
    assert nothing.encode(obs).shape == (2, 1, nothing.size)
    np.testing.assert_array_equal(nothing.decode(np.zeros((2, 1)), obs), encoder.decode(np.zeros((2, 1)), obs))


@pytest.mark.parametrize("ages", [1, 2, 3, 5])
def test_ages_fit_the_encoder(ages):
    stock = np.array([[1.0, 0.0], [2.0, 3.0], [4.0, 5.0]])[:, :, None]
    obs, encoder = replace(observed(), stock=stock), ObservationEncoder(2, ages=ages)
    assert encoder.encode(obs).shape == (2, 1, encoder.size)
    read = np.stack([feature(encoder, obs, f"perishing_{k + 1}")[:, 0] for k in range(ages)])
    np.testing.assert_allclose(5 * read.sum(0), [7.0, 8.0])
    np.testing.assert_allclose(5 * read[0], stock[0, :, 0] if ages > 1 else [7.0, 8.0])
    assert (read[3:] == 0).all()


@pytest.mark.parametrize("memory", [1, 2, 4])
def test_memories_fit_the_encoder(memory):
    history = np.array([[1.0, 0.0], [2.0, 3.0]])[:, :, None]
    obs, encoder = replace(observed(), history=history), ObservationEncoder(2, memory=memory)
    assert encoder.encode(obs).shape == (2, 1, encoder.size)
    np.testing.assert_allclose(5 * feature(encoder, obs, "past_1")[:, 0], [1.0, 0.0])
    # What lies further back than is remembered is left out, not added up.
    assert memory == 1 or (5 * feature(encoder, obs, "past_2")[:, 0] == [2.0, 3.0]).all()
    assert memory < 4 or not feature(encoder, obs, "past_4").any()


def test_no_capacity_is_none_used():
    encoder = ObservationEncoder(2, shared=True)
    assert not feature(encoder, observed(), "capacity_used").any()


def test_networks_for_short_lead_times_conform_on_longer_ones():
    encoder, rng = ObservationEncoder(1), np.random.default_rng(0)
    layers = (*initial_layers(rng, (encoder.size, 8, 1))[:-1], (rng.normal(0.0, 0.2, (8, 1)), np.zeros(1)))
    fr.check_policy(NeuralPolicy(encoder, layers, np.zeros(encoder.size), np.ones(encoder.size)))


def test_networks_of_any_slots_and_memory_are_read():
    network = fr.networks.dual_sourcing(regular_lead_time=2)
    now, history = np.ones((3, 1)), np.arange(6.0).reshape(2, 3, 1)
    obs = Observation(
        0, now, np.arange(18.0).reshape(3, 3, 2)[:, :, :1], network, fr.Poisson(4.0).forecast(3), history=history
    )
    flow = 4.0
    for slots, due in ((3, [0.0, 6.0, 12.0]), (2, [0.0, 18.0]), (1, [18.0]), (4, [0.0, 6.0, 12.0, 0.0])):
        encoder = NetworkEncoder(network, slots=slots, memory=3)
        features = encoder.encode(obs)
        assert features.shape == (3, encoder.size)
        read = {name.partition(",")[0]: features[0, k] for k, name in enumerate(encoder.names)}
        np.testing.assert_allclose([read[f"arriving_{k + 1}"] * flow for k in range(slots)], due)
        np.testing.assert_allclose([read[f"past_{k + 1}"] * flow for k in range(3)], [0.0, 3.0, 0.0])


def test_features_of_networks_are_prepared_once():
    source = make_source("serial")
    encoder = make_encoder(source)
    scenario, params = source.draw(np.random.default_rng(0), 3, 5)
    prepared = encoder.prepare(scenario, params)
    assert encoder.prepare(prepared, params) is prepared
    assert len(prepared.features.parts.flow) == 1
    state = fr.InventoryState(np.full((3, 4), 3.0), np.ones((4, 3, 4)))
    plain, ready = (observation(state, 2, params, s) for s in (scenario, prepared))
    np.testing.assert_array_equal(encoder.encode(ready), encoder.encode(plain))


def test_features_prepared_for_a_scenario_are_those_of_each_observation():
    params = ItemParams(lead_time=np.array([0, 2]), stockout_cost=np.array([4.0, 19.0]))
    demand = fr.Seasonal(fr.Poisson(np.array([3.0, 8.0])), [0.5, 1.5])
    scenario = fr.draw_scenario(demand, 0, 4, 6, span=3)
    state = fr.InventoryState(np.full((4, 2), 3.0), np.ones((2, 4, 2)))
    action = np.full((4, 2), 0.3)
    encoder, other = ObservationEncoder(2, level_shift=0.3), ObservationEncoder(2, level_scale=0.8)
    prepared = encoder.prepare(scenario, params)
    assert encoder.prepare(prepared, params) is prepared
    assert len(prepared.features.parts.scale) == 2  # one for each season, not for each period
    for period in range(6):
        plain, ready = (observation(state, period, params, s) for s in (scenario, prepared))
        for one in (encoder, other):  # what was prepared for another newsvendor is not read
            np.testing.assert_array_equal(one.encode(ready), one.encode(plain))
            np.testing.assert_array_equal(one.decode(action, ready), one.decode(action, plain))
    later = prepared.window(3, 6)
    np.testing.assert_array_equal(later.features.at(0).parts.rest, prepared.features.at(3).parts.rest)


def test_action_zero_is_the_newsvendors_order():
    np.testing.assert_array_equal(ObservationEncoder(2).decode(np.zeros((2, 1)), observed()), [[13.0], [18.0]])


def test_actions_move_the_level_by_the_protection_intervals_mean():
    order = ObservationEncoder(2).decode(np.array([[0.2], [-1.0]]), observed())
    np.testing.assert_allclose(order, [[13.0 + 0.2 * 15.0], [18.0 - 15.0]])
    assert ObservationEncoder(2).decode(np.full((2, 1), -3.0), observed()).max() == 0.0


def test_actions_that_are_orders():
    encoder = ObservationEncoder(2, action="order")
    for action, order in ((-1.0, 0.0), (-0.4, 3.0), (0.0, 5.0), (0.5, 10.0), (1.0, 15.0)):
        np.testing.assert_allclose(encoder.decode(np.full((2, 1), action), observed()), order, atol=1e-12)


def test_an_unknown_action_mode_is_refused():
    with pytest.raises(FractileError, match="order_up_to"):
        ObservationEncoder(2, action="quantity")


def test_scaled_and_shifted_levels():
    encoder = ObservationEncoder(2, level_scale=0.5, level_shift=1.0)
    shifted = 1.0 / (1.0 + np.exp(-(np.log(9.0) + 1.0)))
    np.testing.assert_allclose(
        feature(encoder, observed(), "order_up_to_level"), 0.5 * stats.poisson(15).ppf(shifted) / 5
    )
    assert shifted_ratio(0.9, 0.0) == 0.9
    assert shifted_ratio(0.9, 1.0) == pytest.approx(shifted)


def test_torch_features_are_the_numpy_ones():
    encoder, obs = ObservationEncoder(2), observed()
    tensors = replace(obs, net_inventory=torch.as_tensor(obs.net_inventory), pipeline=torch.as_tensor(obs.pipeline))
    np.testing.assert_allclose(encoder.encode(tensors).numpy(), encoder.encode(obs), rtol=0, atol=1e-12)
    order = encoder.decode(torch.full((2, 1), 0.3, dtype=torch.float64), tensors)
    np.testing.assert_allclose(order.numpy(), encoder.decode(np.full((2, 1), 0.3), obs), rtol=0, atol=1e-12)


def test_features_follow_the_forecast_of_the_moment():
    encoder = ObservationEncoder(2)
    means = [float(np.exp(feature(encoder, observed(mean=mean), "log_mean_demand"))[0, 0]) for mean in (5.0, 7.0, 5.0)]
    np.testing.assert_allclose(means, [5.0, 7.0, 5.0])


def test_an_item_that_hardly_sells_has_finite_features():
    assert np.isfinite(ObservationEncoder(2).encode(observed(mean=1e-4))).all()


def test_parameters_by_origin():
    assert by_origin(3.0) == 3.0
    assert by_origin(np.array([1, 2])).shape == (2, 1)
    assert by_origin(np.ones((5, 2))).shape == (2, 5)
