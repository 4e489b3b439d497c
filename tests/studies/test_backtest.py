"""Nothing that a backtest decides may rest on what came later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fractile as fr
from fractile.envs.core.params import params_from_items
from fractile.envs.demand.model import uncensored
from fractile.errors import InputError
from fractile.studies.backtest import begin
from fractile.studies.config import load_config
from fractile.studies.data import StudyData
from fractile.studies.windows import place_folds, place_windows

HELD_OUT, FOLD = 12, 6
CLASSICAL = ["newsvendor", "base_stock", "tuned_newsvendor"]
POLICIES = [*CLASSICAL, "projected", "constant_order", "backprop", "ppo"]


def config_of(forecaster, **more):
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
            "training.seeds": 1,
            **more,
        },
    )


def silent(message, share=None):
    pass


def data_of(panel, items):
    return StudyData(panel, params_from_items(items, {"pack_size": 1.0}), uncensored(panel))


def orders_of(data, forecaster, policies):
    config = config_of(forecaster)
    study = begin(config, HELD_OUT, silent, data)
    trajectories = study.backtest(forecaster, policies).trajectories
    return {name: trajectory.order[0] for name, trajectory in trajectories.items()}


def with_another_future(panel, decision, reach):
    """Change everything that is not known when the decision is made: sales, stock, views, and prices further on."""
    rng = np.random.default_rng(0)
    later, beyond = np.arange(panel.periods) >= decision, np.arange(panel.periods) >= decision + reach

    def changed(values, when):
        largest = 2 if np.isin(values, (0.0, 1.0)).all() else 500  # a flag stays a flag
        return np.where(when, rng.integers(0, largest, values.shape).astype(float), values)

    return replace(
        panel,
        sales=changed(panel.sales, later),
        in_stock=np.where(later, rng.random(panel.in_stock.shape) < 0.7, panel.in_stock),
        observed={name: changed(values, later) for name, values in panel.observed.items()},
        known={name: changed(values, beyond) for name, values in panel.known.items()},
    )


@pytest.mark.parametrize(
    ("forecaster", "decision", "policies"),
    [
        # Decisions of the first fold, its last one, the second fold's first, and a later one.
        *(("seasonal_naive", decision, CLASSICAL) for decision in (3, 5, 6)),
        ("seasonal_naive", 8, POLICIES),
        ("ets", 8, CLASSICAL),
        ("mqcnn", 8, CLASSICAL),
    ],
)
def test_another_future_changes_no_order(forecaster, decision, policies):
    retail = fr.retail_panel(items=8, periods=90, seed=3)
    data = data_of(retail.panel, retail.items)
    before, window = orders_of(data, forecaster, policies), begin(config_of(forecaster), HELD_OUT, silent, data).window
    other = with_another_future(retail.panel, window.cutoff + decision, window.horizon)
    after = orders_of(data_of(other, retail.items), forecaster, policies)
    for name in policies:
        np.testing.assert_array_equal(after[name][: decision + 1], before[name][: decision + 1], err_msg=name)
        if name not in ("base_stock", "constant_order"):  # these order the same whatever is forecast
            assert (after[name][decision + 1 :] != before[name][decision + 1 :]).any(), name


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


def test_a_validation_window_below_the_protection_interval_is_what_is_named():
    with pytest.raises(InputError, match=r"^backtest.validation: must be longer than the longest protection interval"):
        windows_of(60, validation=2)
    with pytest.raises(InputError, match=r"^history: has 20 periods; 12 held out and protection intervals of"):
        windows_of(20)


def test_where_nothing_is_left_to_learn_from_policies_learn_from_the_validation_window():
    short, none = windows_of(36, validation=8), windows_of(157, refits=0)
    assert (short.refits, none.refits) == ((), ())
    assert short.stretches == ((short.start, short.cutoff),)
    assert "learn from the periods that they are chosen on" in short.notes[-1]
    assert none.stretches == ((119, 145),)
    assert none.notes == ()


def folds_of(periods, held_out=None, folds=2, refits=2):
    retail = fr.retail_panel(items=2, periods=periods, seed=0)
    return place_folds(data_of(retail.panel, retail.items), held_out, folds, 26, None, refits)


def test_windows_move_on_by_a_fold_and_earlier_fits_stand():
    first, second = folds_of(157)
    assert (first.start, first.cutoff, first.end) == (105, 131, 144)
    assert (second.start, second.cutoff, second.end) == (118, 144, 157)
    assert first.fits == (52, 78, 105)
    assert second.fits == (52, 78, 105, 131)
    assert first.stretches == ((52, 78), (78, 105))
    # What the fit at 105 forecast after the second validation window's start is there to choose, not to learn from.
    assert second.stretches == ((52, 78), (78, 105), (105, 118))
    assert second.forecast == ((52, 78), (78, 105), (105, 131), (131, 144))
    assert (first.notes, second.notes) == ((), ())


def test_without_a_learning_window_later_folds_learn_from_all_that_was_forecast():
    first, second = folds_of(157, refits=0)
    assert first.stretches == ((105, 131),)
    assert second.stretches == ((105, 131), (131, 144))
    assert (first.refits, second.refits) == ((), ())


@pytest.mark.parametrize(("periods", "held_out"), [(157, 26), (104, 26), (80, 20), (52, 13), (40, 12)])
def test_a_quarter_of_the_history_is_held_out_at_most(periods, held_out):
    windows = folds_of(periods)
    assert windows[-1].end - windows[0].cutoff == held_out
    assert len(windows) == 2
    said = [note for note in windows[0].notes if "held out, not 26" in note]
    assert len(said) == (held_out < 26)


def test_folds_are_not_shorter_than_a_decision_needs():
    one = folds_of(90, held_out=8)
    assert [(w.cutoff, w.end) for w in one] == [(82, 90)]
    assert "8 held-out periods make 1 fold of 6 at least, not 2" in one[0].notes[-1]
    assert [(w.cutoff, w.end) for w in folds_of(90, held_out=0)] == [(90, 90)]
    assert [w.end - w.cutoff for w in folds_of(157, held_out=26, folds=3)] == [8, 9, 9]


def test_too_short_a_history_is_refused():
    retail = fr.retail_panel(items=4, periods=20, seed=0)
    with pytest.raises(fr.InputError, match="longer history"):
        place_windows(data_of(retail.panel, retail.items), 12, 26, None)


@pytest.fixture(scope="module")
def replayed():
    retail = fr.retail_panel(items=8, periods=90, seed=3)
    study = begin(config_of("seasonal_naive"), HELD_OUT, silent, data_of(retail.panel, retail.items))
    return study, study.backtest(
        "seasonal_naive", ["newsvendor", "tuned_newsvendor", "base_stock", "hindsight"], paths=0
    )


def test_a_replay_of_what_was_trained_gives_the_backtest_again(replayed):
    study, backtest = replayed
    again = study.simulate(backtest)
    names = backtest.trained.policies
    named = study.simulate(backtest, {n: [fold.trained.policies[n] for fold in backtest.folds] for n in names})
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


def test_the_first_fold_of_two_is_the_only_fold_of_a_shorter_history(replayed):
    study, backtest = replayed
    end = backtest.folds[0].end
    shorter = StudyData(study.data.panel.until(end), study.data.params, study.data.demand[:, :end])
    alone = begin(config_of("seasonal_naive"), FOLD, silent, shorter)
    found = alone.backtest("seasonal_naive", ["newsvendor", "tuned_newsvendor", "base_stock"], paths=0)
    assert len(found.folds) == 1
    for name, trajectory in found.trajectories.items():
        np.testing.assert_array_equal(backtest.trajectories[name].cost[:, :FOLD], trajectory.cost, err_msg=name)


def test_each_fold_is_fitted_once_on_all_before_it(monkeypatch):
    retail = fr.retail_panel(items=4, periods=157, seed=3)
    study = begin(
        config_of("seasonal_naive", **{"backtest.validation": 26}), 26, silent, data_of(retail.panel, retail.items)
    )
    fitted, fit = [], study.fit
    monkeypatch.setattr(study, "fit", lambda name, until, *more: fitted.append(until) or fit(name, until, *more))
    backtest = study.forecast("seasonal_naive", 1)
    assert sorted(fitted) == [52, 78, 105, 131, 144]
    np.testing.assert_array_equal(backtest.after.origins, np.arange(131, 157))
    for fold, until in zip(backtest.folds, (131, 144), strict=True):
        own = fit("seasonal_naive", until).predict(study.data.panel, study.window.horizon, origins=[until + 3])
        np.testing.assert_array_equal(fold.forecasts.after.at_origin(3).values, own.values)
    assert backtest.folds[1].forecasts.learning.history.periods == 118 - 52
    assert backtest.learning.kept.periods - backtest.learning.run_in == 26


def test_stock_is_carried_from_fold_to_fold(replayed):
    study, backtest = replayed
    tuned = [fold.trained.policies["tuned_newsvendor"] for fold in backtest.folds]
    assert tuned[0].scale != tuned[1].scale or tuned[0].shift != tuned[1].shift
    assert (
        backtest.folds[0].trained.policies["base_stock"].level != backtest.trained.policies["base_stock"].level
    ).any()
    lead_time = np.broadcast_to(study.data.params.lead_time, study.data.panel.items)
    for name in ("newsvendor", "tuned_newsvendor", "base_stock"):
        run = backtest.trajectories[name]
        np.testing.assert_allclose(
            run.on_hand[:, 1:], run.on_hand[:, :-1] + run.received[:, 1:] - run.sales[:, 1:], atol=1e-9, err_msg=name
        )
        for item, lead in enumerate(lead_time):
            later = run.received[0, lead:, item]
            np.testing.assert_array_equal(later, run.order[0, : HELD_OUT - lead, item], err_msg=name)


def test_a_policy_of_each_fold_orders_in_its_fold(replayed):
    study, backtest = replayed
    ten, twenty = (fr.make_policy("constant_order", quantity=q) for q in (10.0, 20.0))
    runs = study.simulate(backtest, {"two": [ten, twenty], "ten": ten, "twenty": twenty})
    assert (runs["ten"].order != runs["twenty"].order).any()
    np.testing.assert_array_equal(runs["two"].order[:, :FOLD], runs["ten"].order[:, :FOLD])
    np.testing.assert_array_equal(runs["two"].order[:, FOLD:], runs["twenty"].order[:, FOLD:])


def test_networks_are_trained_with_each_seed_before_the_first_fold_and_held_against_each_folds_policies():
    retail = fr.retail_panel(items=8, periods=90, seed=3)
    config = config_of("seasonal_naive", **{"training.seeds": 2})
    study = begin(config, HELD_OUT, silent, data_of(retail.panel, retail.items))
    backtest = study.backtest("seasonal_naive", ["newsvendor", "backprop"], paths=0)
    first, second = backtest.folds
    assert backtest.trajectories["newsvendor"].cost.shape == (1, HELD_OUT, 8)
    assert backtest.trajectories["backprop"].cost.shape == (2, HELD_OUT, 8)
    networks = first.trained.networks["backprop"]
    assert len(networks) == 2
    assert all(one is other for one, other in zip(networks, second.trained.networks["backprop"], strict=True))
    assert [note for note in first.trained.notes["backprop"] if "training seed" in note]
    # The first seed is that of a single training, and the other one's weights differ.
    alone = begin(config_of("seasonal_naive"), HELD_OUT, silent, data_of(retail.panel, retail.items))
    one = alone.train(["backprop"], first.forecasts.learning).networks["backprop"][0]
    weights = [network.layers[0][0] for network in (one, *networks)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[1] != weights[2]).any()
