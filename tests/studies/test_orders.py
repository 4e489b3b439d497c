"""Next period's orders from a policy in memory, and what a new user writes to get there with an agent of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from stable_baselines3 import SAC

import fractile as fr
from fractile.studies.orders import not_sold

RETAIL = fr.retail_panel(items=5, periods=120, seed=0)
FORECASTER = fr.make_forecaster("seasonal_naive").fit(RETAIL.panel)
PARAMS = fr.ItemParams(lead_time=2, stockout_cost=9.0, pack_size=1.0)


def test_orders_are_those_of_the_policy():
    state = fr.InventoryState(np.full((1, 5), 3.0), np.ones((2, 1, 5)))
    orders = fr.next_orders(fr.make_policy("base_stock", level=40.0), FORECASTER, RETAIL.panel, PARAMS, state)
    assert list(orders["item_id"]) == list(RETAIL.panel.item_ids)
    np.testing.assert_array_equal(orders["order"], 40 - 3 - 2)
    np.testing.assert_array_equal(orders["order_up_to"], 40.0)


def test_without_a_state_nothing_is_there():
    orders = fr.next_orders(fr.make_policy("base_stock", level=40.0), FORECASTER, RETAIL.panel, PARAMS)
    np.testing.assert_array_equal(orders["order"], 40)


@pytest.mark.parametrize(("value", "text"), [(np.nan, "nan for item SKU-0003"), (-1.0, "-1 for item SKU-0003")])
def test_orders_that_are_no_quantities_are_refused(value, text):
    class Broken:
        def order(self, obs):
            return np.where(np.arange(5) == 2, value, 1.0)[None]

    with pytest.raises(fr.FractileError, match=f"Broken must order a number >= 0 for each item, got {text}"):
        fr.next_orders(Broken(), FORECASTER, RETAIL.panel, PARAMS)


@pytest.mark.parametrize("level", [1e17, 1e300])
def test_orders_beyond_what_can_be_counted_are_refused(level):
    levels = np.where(np.arange(5) == 3, level, 40.0)
    with pytest.raises(fr.FractileError, match=r"BaseStock orders 1e\+\d+ units of item SKU-0004, more than can be"):
        fr.next_orders(fr.make_policy("base_stock", level=levels), FORECASTER, RETAIL.panel, PARAMS)


@pytest.mark.parametrize(("pack", "kind"), [(None, float), (0.5, float), (1.0, int), (6, int)])
def test_orders_are_whole_where_packs_are(pack, kind):
    """The type does not depend on the week's numbers."""
    params = replace(PARAMS, pack_size=pack)
    orders = fr.next_orders(fr.make_policy("base_stock", level=42.0), FORECASTER, RETAIL.panel, params)
    assert orders["order"].dtype == kind
    np.testing.assert_array_equal(orders["order"], 42)


def test_the_date_is_that_of_the_period_after_the_history():
    orders = fr.next_orders(fr.make_policy("base_stock", level=4.0), FORECASTER, RETAIL.panel, PARAMS)
    assert (orders["date"] == RETAIL.panel.dates[-1] + pd.Timedelta(weeks=1)).all()


def test_an_item_is_not_ordered_once_the_order_would_come_too_late():
    """Lead times differ; the item is sold until the day before the date."""
    dates = RETAIL.panel.dates[-1] + pd.to_timedelta(7 * np.arange(1, 6), unit="D")
    static = RETAIL.panel.static.assign(discontinued=dates)
    panel = replace(RETAIL.panel, static=static)
    params = replace(PARAMS, lead_time=np.array([0, 0, 2, 2, 4]))
    np.testing.assert_array_equal(not_sold(panel, params), [True, False, True, False, True])
    orders = fr.next_orders(fr.make_policy("base_stock", level=4.0), FORECASTER, panel, params)
    np.testing.assert_array_equal(orders["order"], [0, 4, 0, 4, 0])


def test_an_agent_from_training_to_orders(tmp_path):
    """Twelve lines, as a new user writes them."""
    retail = fr.retail_panel(items=5, periods=120, seed=0)
    forecaster = fr.make_forecaster("seasonal_naive").fit(retail.panel)
    items = {"forecaster": forecaster, "panel": retail.panel, "params": fr.ItemParams(lead_time=2, stockout_cost=9.0)}
    env = fr.make_sb3_env("fractile/ForecastDriven-v0", **items, num_envs=16, standardise=True, reward="scale_free")
    agent = SAC("MlpPolicy", env, gamma=0.95, gradient_steps=4, policy_kwargs={"net_arch": [64, 64]}).learn(320)
    policy = fr.SB3Policy(agent, env)
    scenario = fr.draw_scenario(fr.ForecastDemand(forecaster, retail.panel), seed=1, paths=20, periods=26, span=3)
    policies = {"sac": policy, "newsvendor": fr.make_policy("newsvendor")}
    table = fr.compare(policies, scenario, items["params"], baseline="newsvendor").table
    policy.save(tmp_path / "sac")
    orders = fr.next_orders(fr.SB3Policy.load(tmp_path / "sac"), forecaster, retail.panel, items["params"])
    assert set(table.index) == {"sac", "newsvendor"}
    assert (orders["order"] >= 0).all()
    fr.check_policy(policy)
