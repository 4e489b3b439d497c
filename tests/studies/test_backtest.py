"""Nothing that a backtest decides may rest on what came later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile.envs.core.params import params_from_items
from fractile.envs.demand.model import uncensored
from fractile.studies.backtest import begin
from fractile.studies.config import load_config
from fractile.studies.data import StudyData
from fractile.studies.windows import place_windows

HELD_OUT, AFTER = 8, 3
POLICIES = ["newsvendor", "projected", "base_stock", "tuned_newsvendor", "constant_order", "backprop", "ppo"]


def config_of(forecaster):
    return load_config(
        None,
        {
            "backtest.periods": HELD_OUT,
            "backtest.validation": 16,
            "forecast.forecaster": forecaster,
            "forecast.options": {"mqcnn": {"steps": 10}},
            "policies.names": POLICIES,
            "training.simulated_paths": 1,
            "training.backprop_steps": 3,
            "training.ppo_steps": 2000,
        },
    )


def data_of(panel, items):
    return StudyData(panel, params_from_items(items, {"pack_size": 1.0}), uncensored(panel))


def orders_of(data, forecaster):
    config = config_of(forecaster)
    study = begin(config, HELD_OUT, lambda message, share=None: None, data)
    trajectories = study.backtest(forecaster, POLICIES).trajectories
    return {name: trajectory.order[0] for name, trajectory in trajectories.items()}


def with_another_future(panel, decision, reach):
    """Change everything that is not known when the decision is made: sales, stock, views, and prices further on."""
    rng = np.random.default_rng(0)
    later, beyond = np.arange(panel.periods) >= decision, np.arange(panel.periods) >= decision + reach

    def changed(values, when):
        return np.where(when, rng.integers(0, 500, values.shape).astype(float), values)

    return replace(
        panel,
        sales=changed(panel.sales, later),
        in_stock=np.where(later, rng.random(panel.in_stock.shape) < 0.7, panel.in_stock),
        observed={name: changed(values, later) for name, values in panel.observed.items()},
        known={name: changed(values, beyond) for name, values in panel.known.items()},
    )


@pytest.mark.parametrize("forecaster", ["seasonal_naive", "ets", "mqcnn"])
def test_another_future_changes_no_order(forecaster):
    retail = fr.retail_panel(items=8, periods=90, seed=3)
    before = orders_of(data_of(retail.panel, retail.items), forecaster)
    window = place_windows(data_of(retail.panel, retail.items), HELD_OUT, 16, None)
    decision = window.cutoff + AFTER
    other = with_another_future(retail.panel, decision, window.horizon)
    after = orders_of(data_of(other, retail.items), forecaster)
    for name in POLICIES:
        np.testing.assert_array_equal(after[name][: AFTER + 1], before[name][: AFTER + 1], err_msg=name)
        if name not in ("base_stock", "constant_order"):  # these order the same whatever is forecast
            assert (after[name][AFTER + 1 :] != before[name][AFTER + 1 :]).any(), name


def windows_of(periods, held_out=12, validation=26, refits=2, items=2):
    retail = fr.retail_panel(items=items, periods=periods, seed=0)
    return place_windows(data_of(retail.panel, retail.items), held_out, validation, None, refits)


def test_stretches_follow_each_other_up_to_the_validation_window():
    window = windows_of(157)
    assert (window.start, window.cutoff, window.end) == (119, 145, 157)
    assert window.stretches == ((59, 89), (89, 119))
    assert window.learning == 60
    assert window.notes == ()


def test_a_short_history_shortens_the_windows_and_says_so():
    window = windows_of(52)
    assert (window.cutoff, window.start) == (40, 27)
    assert window.stretches[-1][1] == window.start
    assert "chosen on 13 periods, not on 26" in window.notes[0]


def test_where_nothing_is_left_to_learn_from_policies_learn_from_the_validation_window():
    short, none = windows_of(36, validation=8), windows_of(157, refits=0)
    assert (short.refits, none.refits) == ((), ())
    assert short.stretches == ((short.start, short.cutoff),)
    assert "learn from the periods that they are chosen on" in short.notes[-1]
    assert none.stretches == ((119, 145),)
    assert none.notes == ()


def test_too_short_a_history_is_refused():
    retail = fr.retail_panel(items=4, periods=20, seed=0)
    with pytest.raises(fr.InputError, match="longer history"):
        place_windows(data_of(retail.panel, retail.items), 12, 26, None)


@pytest.fixture(scope="module")
def replayed():
    retail = fr.retail_panel(items=8, periods=90, seed=3)
    study = begin(config_of("seasonal_naive"), HELD_OUT, lambda *_: None, data_of(retail.panel, retail.items))
    return study, study.backtest("seasonal_naive", ["newsvendor", "tuned_newsvendor", "hindsight"], paths=0)


def test_a_replay_of_what_was_trained_gives_the_backtest_again(replayed):
    study, backtest = replayed
    again = study.simulate(backtest)
    named = study.simulate(backtest, backtest.trained.policies)
    for name, trajectory in backtest.trajectories.items():
        assert trajectory.cost.shape == (1, HELD_OUT, 8)
        np.testing.assert_array_equal(again[name].cost, trajectory.cost, err_msg=name)
        np.testing.assert_array_equal(named[name].cost, trajectory.cost, err_msg=name)


def test_parameters_and_demand_can_be_replaced_in_a_replay(replayed):
    study, backtest = replayed
    dearer = replace(study.data.params, stockout_cost=3.0 * study.data.params.stockout_cost)
    cautious = study.simulate(backtest, {"newsvendor": fr.make_policy("newsvendor")}, params=dearer)["newsvendor"]
    assert cautious.on_hand.sum() > backtest.trajectories["newsvendor"].on_hand.sum()
    demand = 2.0 * study.data.demand
    more = study.simulate(backtest, demand=demand)["newsvendor"]
    np.testing.assert_array_equal(more.demand, 2.0 * backtest.trajectories["newsvendor"].demand)
    assert more.sales.sum() > backtest.trajectories["newsvendor"].sales.sum()


def test_a_longer_lead_time_in_a_replay_reads_as_many_periods_of_the_forecast(replayed):
    study, backtest = replayed
    longer = replace(study.data.params, lead_time=study.data.params.lead_time + 1)
    late = study.simulate(backtest, {"newsvendor": fr.make_policy("newsvendor")}, params=longer)["newsvendor"]
    assert late.on_hand.sum() > backtest.trajectories["newsvendor"].on_hand.sum()
    never = replace(study.data.params, lead_time=study.window.horizon + 1)
    with pytest.raises(fr.FractileError, match=r"set forecast.horizon to \d+ or more"):
        study.simulate(backtest, {"newsvendor": fr.make_policy("newsvendor")}, params=never)
