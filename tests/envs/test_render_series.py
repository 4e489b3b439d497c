"""What the picture of any system shows, in numbers."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

import fractile as fr
from fractile.envs.gym.batch import InventoryBatch
from fractile.envs.gym.catalogue import make_source
from fractile.envs.gym.inventory_env import play
from fractile.envs.gym.registration import ENVIRONMENTS
from fractile.envs.gym.sources import DemandSource, JointSource
from fractile.envs.pictures import FAN_LEVELS, MOST_PANELS, episode_of

every_id = pytest.mark.parametrize("id_", sorted(ENVIRONMENTS))
PERIODS = 12


def batch_of(system: str = "lost_sales", start: str = "target", **options) -> InventoryBatch:
    batch = InventoryBatch(make_source(system, **options), paths=1, periods=40, start=start)
    batch.reset(np.random.default_rng(3))
    return batch


def played(batch: InventoryBatch, periods: int = PERIODS, seed: int = 5) -> list:
    """History of a batch under random actions."""
    rng, history = np.random.default_rng(seed), []
    for _ in range(periods):
        demand = batch.scenario.demand[0, batch.period]
        history.append((demand, play(batch, rng.uniform(-0.6, 0.6, (1, batch.orders)))))
    return history


def batch_of_id(id_: str) -> InventoryBatch:
    env = gym.make(id_).unwrapped
    env.reset(seed=3)
    return env.batch


@every_id
def test_what_is_paid_for_adds_up_to_the_cost(id_):
    batch = batch_of_id(id_)
    history = played(batch)
    episode = episode_of(batch, history)
    total = sum(cost.sum() for cost in episode.costs.values()) + episode.purchases
    np.testing.assert_allclose(episode.cost, sum(out.cost.sum() for _, out in history))
    np.testing.assert_allclose(total, episode.cost)


@every_id
def test_columns_hold_what_happened(id_):
    batch = batch_of_id(id_)
    history = played(batch)
    obs, episode = batch.observe(), episode_of(batch, history)
    assert (episode.period, episode.left_out) == (PERIODS, 0)
    assert len(episode.columns) == batch.columns
    for i, column in enumerate(episode.columns):
        np.testing.assert_array_equal(column.on_hand, [out.on_hand[0, i] for _, out in history])
        np.testing.assert_array_equal(column.shortfall, [out.shortfall[0, i] for _, out in history])
        np.testing.assert_array_equal(column.pipeline, obs.pipeline[:, 0, i])
        assert column.net_inventory == obs.net_inventory[0, i]
        if column.demand is not None:
            np.testing.assert_array_equal(column.demand, [demand[i] for demand, _ in history])


@every_id
def test_orders_of_all_columns_are_the_orders_placed(id_):
    batch = batch_of_id(id_)
    history = played(batch)
    shown = [sum(column.orders.values()) for column in episode_of(batch, history).columns]
    np.testing.assert_allclose(sum(shown), [out.order.sum() for _, out in history])


@every_id
def test_nothing_has_happened_before_the_first_period(id_):
    episode = episode_of(batch_of_id(id_), [])
    assert (episode.period, episode.cost, episode.purchases) == (0, 0.0, 0.0)
    assert all(column.on_hand.shape == (0,) for column in episode.columns)
    assert all(cost.shape == (0,) for cost in episode.costs.values())


def test_a_forecast_is_shown_where_demand_occurs():
    batch = batch_of("distribution", demand=fr.Poisson([3.0, 5.0, 7.0]))
    warehouse, *stores = episode_of(batch, played(batch)).columns
    forecast = batch.observe().known_forecast()
    assert warehouse.fan is warehouse.demand is None
    for i, store in enumerate(stores):
        np.testing.assert_array_equal(store.fan, [forecast.quantile(level)[i, 0] for level in FAN_LEVELS])


def test_a_warehouse_shows_what_it_ships_on():
    batch = batch_of("distribution")
    history = played(batch)
    warehouse, *stores = episode_of(batch, history).columns
    np.testing.assert_array_equal(warehouse.sent, sum(store.orders["order, as shipped"] for store in stores))
    assert [store.sent for store in stores] == [None, None, None]


def test_two_suppliers_are_told_apart():
    batch = batch_of("dual_sourcing")
    history = played(batch)
    (item,) = episode_of(batch, history).columns
    np.testing.assert_array_equal(item.orders["regular order"], [out.order[0, 0] for _, out in history])
    np.testing.assert_array_equal(item.orders["expedited order"], [out.order[0, 1] for _, out in history])
    assert item.orders["expedited order"].any()


def test_transshipment_is_told_apart():
    batch = batch_of("distribution", transshipment_cost=0.5)
    history = played(batch)
    kinds = [set(column.orders) for column in episode_of(batch, history).columns]
    assert kinds == [{"order, as shipped"}, *[{"order, as shipped", "transshipment"}] * 3]


def perishing(**options) -> tuple[InventoryBatch, list, list]:
    """A batch, its history, and stock by remaining life when each period began, with what arrived in it."""
    settings = {"lead_time": 2, "shelf_life": 3, "pack_size": None, **options}
    batch, rng = batch_of("perishable", **settings), np.random.default_rng(1)
    seen, history = [], []
    for _ in range(25):
        stock, demand = batch.observe().stock[:, 0], batch.scenario.demand[0, batch.period]
        history.append((demand, play(batch, rng.uniform(-0.6, 1.0, (1, 1)))))
        arrived = np.arange(len(stock))[:, None] == settings["shelf_life"] - 1
        seen.append(stock + arrived * history[-1][1].received[0])
    return batch, history, seen


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"issuing": "lifo"},
        {"unmet_demand": "backorder"},
        {"unmet_demand": 0.5, "issuing": "lifo"},
        {"shelf_life": 1},
        {"lead_time": 0},
        {"pack_size": 4.0, "minimum_order": 8.0, "maximum_order": 12.0},
        {"arrivals": fr.arrivals.RandomLeadTime([0.2, 0.4, 0.4])},
        {"pack_size": 4.0, "arrivals": fr.arrivals.ShortDeliveries(fr.arrivals.ConstantLeadTime(1), 0.7)},
    ],
    ids=["fifo", "lifo", "backorders", "both", "one period", "no lead time", "rules", "random lead time", "short"],
)
def test_stock_by_remaining_life_is_what_there_was(options):
    batch, history, seen = perishing(**options)
    (item,) = episode_of(batch, history).columns
    np.testing.assert_allclose(item.by_life, np.stack(seen, axis=-1)[:, 0])
    np.testing.assert_array_equal(item.waste, [out.waste[0, 0] for _, out in history])
    assert item.waste.any()


def test_a_shared_capacity_has_its_price_and_its_use():
    batch = batch_of("shared_capacity")
    history = played(batch)
    capacity = episode_of(batch, history).capacity
    np.testing.assert_array_equal(capacity.price, [out.capacity_price.item() for _, out in history])
    np.testing.assert_array_equal(capacity.used, [out.order.sum() for _, out in history])
    np.testing.assert_array_equal(capacity.limit, np.full(PERIODS, 33.0))
    assert (capacity.used <= capacity.limit).all()
    assert capacity.price.any()


def test_a_capacity_that_changes_is_shown_as_it_was():
    batch = batch_of("shared_capacity")
    limit = np.linspace(20.0, 40.0, batch.scenario.periods)
    batch.scenario = replace(batch.scenario, capacity=limit[None])
    np.testing.assert_array_equal(episode_of(batch, played(batch)).capacity.limit, limit[:PERIODS])


def test_a_store_room_has_no_limit_on_orders():
    capacity = fr.systems.SharedCapacity(120.0, use=np.array([1.0, 2.0, 1.0, 1.0, 1.0]), limited="storage")
    batch = batch_of("shared_capacity", capacity=capacity)
    history = played(batch)
    shared = episode_of(batch, history).capacity
    assert shared.limit is None
    np.testing.assert_allclose(shared.used, [capacity.use @ out.order[0] for _, out in history])


def many_items(items: int, **options) -> InventoryBatch:
    source = JointSource(fr.Poisson(np.full(items, 4.0)), fr.ItemParams(lead_time=1, **options))
    batch = InventoryBatch(source, paths=1, periods=20)
    batch.reset(np.random.default_rng(0))
    return batch


@pytest.mark.parametrize(
    ("options", "shown"), [({}, MOST_PANELS), ({"capacity": fr.systems.SharedCapacity(30.0)}, MOST_PANELS - 1)]
)
def test_more_items_than_fit_are_left_out_but_paid_for(options, shown):
    batch = many_items(9, **options)
    history = played(batch)
    episode = episode_of(batch, history)
    assert (len(episode.columns), episode.left_out) == (shown, 9 - shown)
    np.testing.assert_allclose(sum(map(np.sum, episode.costs.values())), sum(out.cost.sum() for _, out in history))


def test_only_the_latest_periods_are_kept_and_costs_stay_whole():
    batch, history, _ = perishing()
    whole = episode_of(batch, history)
    cut = whole.latest(7)
    np.testing.assert_array_equal(cut.columns[0].by_life, whole.columns[0].by_life[:, -7:])
    np.testing.assert_array_equal(cut.columns[0].orders["order"], whole.columns[0].orders["order"][-7:])
    assert cut.columns[0].sent is None
    assert cut.costs is whole.costs
    assert whole.latest(100).columns[0].on_hand.shape == (25,)


def test_the_time_ahead_reaches_as_far_as_anything_is_known():
    assert episode_of(batch_of("serial"), []).ahead == 14
    batch = batch_of("lost_sales", arrivals=fr.arrivals.SplitDeliveries([0, 0.2, 0.2, 0.2, 0.2, 0.2]))
    assert episode_of(batch, []).ahead == 5


def test_purchases_and_fixed_costs_are_kept_apart():
    source = DemandSource(fr.Poisson(5.0), fr.ItemParams(lead_time=1, unit_cost=3.0, fixed_order_cost=7.0))
    batch = InventoryBatch(source, paths=1, periods=20)
    batch.reset(np.random.default_rng(0))
    history = played(batch)
    episode, orders = episode_of(batch, history), np.array([out.order.item() for _, out in history])
    np.testing.assert_allclose(episode.purchases, 3.0 * orders.sum())
    np.testing.assert_allclose(episode.costs["fixed order"], 7.0 * (orders > 0))


class Plain:
    """A system of a user's own, with the least that the physics needs."""

    slots, review_period, every_period, salvage_value = 1, 1, True, 0.0

    def step(self, state, order, demand, params, arrivals=None):
        return fr.step(state, order, demand, fr.ItemParams(lead_time=1, holding_cost=2.0), arrivals)

    def ordering_cost(self, order):
        return 0.0 * order


class Direct:
    """Reads nothing and orders five units."""

    def decode(self, action, obs):
        return 5.0 + 0.0 * obs.net_inventory


def test_a_system_of_ones_own_is_shown_as_far_as_it_is_known():
    class Own:
        params, columns, slots = Plain(), 1, 1

        def draw(self, rng, paths, periods):
            return fr.Scenario(rng.poisson(5.0, (paths, periods, 1)).astype(float)), self.params

    batch = InventoryBatch(Own(), paths=1, periods=20, encoder=Direct(), start="empty")
    batch.reset(np.random.default_rng(0))
    history = played(batch)
    episode = episode_of(batch, history)
    assert episode.costs == {}
    assert episode.columns[0].fan is None
    np.testing.assert_allclose(episode.cost, sum(out.cost.item() for _, out in history))
