"""What a careful statistician would ask: planted mistakes raise their warning, right baselines raise none."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

import fractile as fr
from fractile.forecasters.data.panel import SalesPanel
from fractile.policies.base_stock import BaseStock, ConstantOrder, ReorderPointOrderUpTo
from fractile.policies.newsvendor import Newsvendor, TunedNewsvendor
from fractile.studies.checks.baseline import CELLS, Subject, check_baseline, check_comparison, form_warnings
from fractile.studies.checks.held_out import (
    Pair,
    check_items,
    check_stock_outs,
    draw_hidden_demand,
    stock_at_end,
    unrecorded,
    value_of_end,
)
from fractile.studies.checks.replay import Replay
from fractile.studies.checks.retuning import retune, shift_stock
from fractile.studies.checks.service import forecast_coverage, service
from fractile.training.config import TuningConfig
from fractile.training.tune import tune_policy

ITEMS, PERIODS, LEAD_TIME, WARM_UP = 40, 32, 2, 6
DEMAND = fr.Poisson(np.linspace(2.0, 12.0, ITEMS))


def params_of(unmet="backorder", **more):
    return fr.ItemParams(lead_time=LEAD_TIME, stockout_cost=9.0, unmet_demand=unmet, pack_size=1.0, **more)


def scenario_of(seed=0, paths=1, periods=PERIODS):
    return fr.draw_scenario(DEMAND, seed, paths, periods, LEAD_TIME + 1)


def levels(span=LEAD_TIME + 1, spread=1.0):
    """The critical fractile of demand over `span` periods, with a share of its spread."""
    fractile = DEMAND.distribution(span).ppf(0.9)
    mean = span * np.asarray(DEMAND.mean)
    return np.ceil(mean + spread * (fractile - mean))


def warnings_of(policy, params, seed=0, scenario=None, **more):
    scenario = scenario or scenario_of(seed)
    own = fr.simulate(policy, scenario, params, warm_up=WARM_UP)
    return check_comparison({"b": policy}, scenario, params, {"b": own}, baseline="b", warm_up=WARM_UP, **more)


def codes(*args, **more):
    return [warning.code for warning in warnings_of(*args, **more)]


@pytest.mark.parametrize("unmet", ["lost", "backorder"])
@pytest.mark.parametrize("seed", range(4))
def test_a_level_that_covers_the_lead_time_alone_is_found(unmet, seed):
    found = warnings_of(BaseStock(levels(span=LEAD_TIME)), params_of(unmet), seed)
    assert "retuning" in [warning.code for warning in found]
    assert "1 period of demand more" in next(w.text for w in found if w.code == "retuning")
    assert "L + R" in next(w.text for w in found if w.code == "retuning")


@pytest.mark.parametrize("seed", range(4))
def test_half_the_spread_is_found(seed):
    assert {"retuning", "service"} & set(codes(BaseStock(levels(spread=0.5)), params_of(), seed))


@pytest.mark.parametrize("seed", range(10))
def test_the_right_fractile_raises_nothing(seed):
    assert not codes(BaseStock(levels()), params_of(), seed)
    assert not codes(Newsvendor(), params_of(), seed)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("unmet", ["lost", "backorder"])
def test_a_tuned_baseline_raises_nothing(unmet, seed):
    params = params_of(unmet)
    tuned = tune_policy("tuned_newsvendor", scenario_of(1000 + seed, periods=52), params)
    assert not codes(tuned.policy, params, seed)


def test_a_newsvendor_where_sales_are_lost_is_a_weak_baseline():
    # Longer lead times make it worse; over four periods it holds a period's demand too much.
    params = replace(params_of("lost"), lead_time=4)
    scenario = fr.draw_scenario(DEMAND, 0, 10, PERIODS, 5)
    found = warnings_of(Newsvendor(), params, scenario=scenario)
    assert [warning.code for warning in found] == ["weak_baseline"]
    assert "takes lost sales for backorders" in found[0].text


def test_forecasts_with_half_the_spread_are_found():
    scenario = scenario_of()
    mean = np.asarray(DEMAND.mean)

    def narrow(forecast):
        values = mean[:, None, None, None] + 0.5 * (forecast.values - mean[:, None, None, None])
        return fr.QuantileForecast(forecast.levels, values, forecast.origins, forecast.item_ids)

    half = fr.Scenario(scenario.demand, [narrow(scenario.forecasts[0])] * PERIODS)
    found = {"forecast_coverage", "retuning", "service"} & set(codes(Newsvendor(), params_of(), scenario=half))
    assert found


def test_a_search_that_ends_at_its_edge_is_a_warning():
    scenario = scenario_of(periods=52)
    quarter = replace(scenario, demand=np.floor(scenario.demand / 4))
    stuck = tune_policy("tuned_newsvendor", quarter, params_of("lost"), config=TuningConfig(widenings=0))
    assert stuck.at_edge
    found = warnings_of(stuck.policy, params_of("lost"), at_edge={"b": stuck.at_edge})
    assert "the scale" in next(w.text for w in found if w.code == "grid_edge")
    free = tune_policy("tuned_newsvendor", scenario, params_of("lost"))
    assert not free.at_edge


def test_an_untuned_form_that_beats_its_tuned_one_is_a_warning():
    scenario, params = scenario_of(), params_of()
    policies = {"newsvendor": Newsvendor(), "tuned_newsvendor": TunedNewsvendor(0.8, 0.0)}
    runs = {name: fr.simulate(p, scenario, params, warm_up=WARM_UP) for name, p in policies.items()}
    (warning,) = form_warnings(policies, runs)
    assert warning.code == "untuned_beats_tuned"
    near = {"newsvendor": Newsvendor(), "tuned_newsvendor": TunedNewsvendor(1.0, 0.0)}
    assert not form_warnings(near, {"newsvendor": runs["newsvendor"], "tuned_newsvendor": runs["newsvendor"]})


def test_few_cells_and_networks_are_left_alone():
    scenario = fr.draw_scenario(fr.Poisson(5.0), 0, 1, 8, 3)
    params = params_of()
    assert not codes(BaseStock(1.0), params, scenario=scenario)


@pytest.mark.parametrize(
    "policy",
    [
        Newsvendor(),
        TunedNewsvendor(1.1, 0.3),
        BaseStock(20.0),
        ReorderPointOrderUpTo(9.0, 20.0),
        fr.make_policy("capped_base_stock", level=20.0, cap=9.0),
    ],
    ids=lambda p: type(p).__name__,
)
def test_less_stock_shown_is_a_higher_level(policy):
    params, scenario = params_of(), scenario_of(paths=3)
    state = fr.InventoryState(np.full((3, ITEMS), 4.0), np.ones((LEAD_TIME, 3, ITEMS)))
    plain, more = (fr.simulate(p, scenario, params, initial_state=state) for p in (policy, shift_stock(policy, 3.0)))
    assert (more.order.sum(1) >= plain.order.sum(1)).all()
    assert more.order.sum() > plain.order.sum()
    if isinstance(policy, BaseStock):
        np.testing.assert_array_equal(
            more.order, fr.simulate(BaseStock(23.0), scenario, params, initial_state=state).order
        )


def test_a_start_is_shifted_with_the_level():
    shifted = shift_stock(BaseStock(20.0), 3.0)
    same = fr.simulate(BaseStock(23.0), scenario_of(), params_of())
    np.testing.assert_array_equal(fr.simulate(shifted, scenario_of(), params_of()).cost, same.cost)


@dataclass
class Planted:
    """Costs that depend on the shift alone, so that what is found is known."""

    costs: dict[float, np.ndarray]
    own: fr.envs.core.types.Trajectory

    def run(self, shift):
        return replace(self.own, cost=self.costs[shift])


def test_a_shift_is_judged_where_it_was_not_chosen():
    """Noise is cheapest somewhere: chosen and judged on the same cells it saves, judged elsewhere it does not."""
    own = fr.simulate(BaseStock(20.0), scenario_of(), params_of(), warm_up=WARM_UP)
    rng = np.random.default_rng(0)
    shifts = (-1.0, -0.5, 0.5, 1.0)
    noise = {s: own.cost + rng.normal(0, 8, own.cost.shape) for s in shifts}
    found = retune(Planted(noise, own).run, own, shifts=shifts)
    assert not found.exceeds(0.02)
    # A shift that saves a tenth everywhere is found, with that saving.
    planted = {**noise, 0.5: 0.9 * own.cost}
    found = retune(Planted(planted, own).run, own, shifts=shifts)
    assert found.shift == 0.5
    assert found.saving == pytest.approx(0.1)
    assert found.exceeds(0.02)


def test_savings_that_only_half_of_the_time_shows_are_none():
    own = fr.simulate(BaseStock(20.0), scenario_of(), params_of(), warm_up=WARM_UP)
    half = own.cost.shape[1] // 2
    early, late = own.cost.copy(), own.cost.copy()
    early[:, :half] *= 0.5
    early[:, half:] *= 1.2
    late[:, half:] *= 0.5
    late[:, :half] *= 1.2
    found = retune(Planted({-1.0: early, 1.0: late}, own).run, own, shifts=(-1.0, 1.0))
    assert not found.agreed
    assert found.saving == pytest.approx(-0.2)


def test_service_of_the_right_level_is_its_ratio():
    scenario = fr.draw_scenario(fr.Normal(np.full(30, 50.0), 8.0), 3, 60, 60, 3)
    params = fr.ItemParams(lead_time=LEAD_TIME, stockout_cost=9.0, unmet_demand="backorder")
    own = fr.simulate(Newsvendor(), scenario, params, warm_up=5)
    found = service(own, params)
    assert abs(found.gap.mean) < 4 * found.gap.standard_error
    prepared = fr.envs.core.types.with_protection_totals(scenario, params)
    most, least = forecast_coverage(prepared, params, 5)
    assert least.share <= most.share
    assert least.gap.mean - 4 * least.gap.standard_error < 0 < most.gap.mean + 4 * most.gap.standard_error


def test_many_paths_are_checked_on_the_first_of_them():
    paths = 2 * CELLS // (PERIODS * ITEMS)
    scenario, params = scenario_of(paths=paths), params_of()
    own = fr.simulate(Newsvendor(), scenario, params, warm_up=WARM_UP)
    subject = Subject.of("b", Newsvendor())
    whole = check_baseline(subject, Replay(Newsvendor(), scenario, params, WARM_UP), own)
    fewer = CELLS // (PERIODS * ITEMS)
    first = fr.Scenario(scenario.demand[:fewer], scenario.forecasts)
    some = fr.simulate(Newsvendor(), first, params, warm_up=WARM_UP)
    assert whole.retuning == check_baseline(subject, Replay(Newsvendor(), first, params, WARM_UP), some).retuning


def pair_of(base, cost):
    return Pair("b", "r", np.asarray(base)[None], np.asarray(cost)[None], {"level": 0.95, "clusters": "auto"})


def test_stock_at_the_end_counts_what_is_under_way():
    params = fr.ItemParams(lead_time=np.array([0, 1, 3]), stockout_cost=9.0)
    scenario = fr.Scenario(np.full((2, 6, 3), 1.0))
    own = fr.simulate(ConstantOrder(4.0), scenario, params)
    left = stock_at_end(own, params.lead_time)
    np.testing.assert_array_equal(left - own.on_hand[:, -1], [[0.0, 4.0, 12.0]] * 2)


def test_value_of_the_end_moves_the_saving_by_what_is_left():
    params, scenario = params_of(), scenario_of()
    runs = {n: fr.simulate(BaseStock(s), scenario, params) for n, s in {"b": 30.0, "r": 25.0}.items()}
    pair = Pair("b", "r", runs["b"].cost, runs["r"].cost, {"level": 0.95, "clusters": "auto"})
    found = value_of_end(pair, runs, params, 2.0)
    left = stock_at_end(runs["r"], LEAD_TIME).sum() - stock_at_end(runs["b"], LEAD_TIME).sum()
    assert left < 0
    assert found.saving == pytest.approx(1 - (runs["r"].cost.sum() - 2.0 * left) / runs["b"].cost.sum())


def test_the_worst_tenth_by_chance_is_not_worse_later():
    """Noise alone: the tenth that lost most at first loses nothing later, though it lost a lot when it was named."""
    rng = np.random.default_rng(5)
    base = rng.gamma(4.0, 10.0, (26, 200))
    cost = base + rng.normal(0.0, 10.0, base.shape)
    found = check_items(pair_of(base, cost))
    assert found.decile_items == 20
    assert found.decile.low < 0 < found.decile.high
    assert found.share == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 200))
    assert abs(found.again - found.gained) < 4 * np.sqrt(2 * 0.25 / 100)
    # Twenty items that do lose are found in the second half, too.
    planted = cost.copy()
    planted[:, :20] += 30.0
    worse = check_items(pair_of(base, planted))
    assert worse.decile.high < -0.5
    assert worse.again > worse.gained


def panel_of(seed=0, items=12, periods=60):
    rng = np.random.default_rng(seed)
    demand = rng.poisson(6.0, (items, periods)).astype(float)
    in_stock = (rng.random((items, periods)) > 0.2) | (np.arange(periods) == 0)
    sales = np.where(in_stock, demand, np.floor(demand / 2))
    dates = pd.date_range("2024-01-01", periods=periods, freq="W-MON")
    ids = tuple(f"i{k}" for k in range(items))
    return SalesPanel(sales, in_stock, np.ones_like(in_stock), dates, ids, "W-MON"), demand


def test_what_rests_on_hidden_demand():
    panel, demand = panel_of()
    first, params = 40, fr.ItemParams(lead_time=1, stockout_cost=9.0, pack_size=1.0)
    scenario = fr.Scenario(demand[:, first - 4 :].T[None])
    replays = tuple(Replay(BaseStock(s), scenario, params, 4) for s in (14.0, 18.0))
    runs = {n: r.shifted(0.0) for n, r in zip("br", replays, strict=True)}
    pair = Pair("b", "r", runs["b"].cost, runs["r"].cost, {"level": 0.95, "clusters": "auto"})
    hidden = unrecorded(panel, first)
    drawn = draw_hidden_demand(panel, first - 4)
    found = check_stock_outs(pair, {n: r.cost for n, r in runs.items()}, hidden, replays, drawn)
    assert found.share == pytest.approx((~panel.in_stock[:, first:]).mean())
    cost = runs["b"].cost
    assert found.cost_shares["b"] == pytest.approx(cost[:, hidden].sum() / cost.sum())
    base, rival = (runs[n].cost[:, ~hidden].sum() for n in "br")
    assert found.informative.saving == pytest.approx(1 - rival / base)
    assert found.draws.shape == (20,)
    assert found.draws.std() > 0
    # Draws keep what is on record, and never fall below what was sold.
    recorded = panel.sales.T[first - 4 :]
    shown = panel.in_stock.T[first - 4 :]
    assert (drawn[:, shown] == recorded[shown]).all()
    assert (drawn >= recorded).all()


def test_a_comparison_prints_what_is_wrong_with_its_baseline():
    """Today's like was "64.2 % [63.5, 65.0]", without a word."""
    scenario, params = scenario_of(paths=30), params_of()
    policies = {"covers L": BaseStock(levels(span=LEAD_TIME)), "newsvendor": Newsvendor()}
    found = fr.compare(policies, scenario, params, baseline="covers L", warm_up=WARM_UP)
    assert found.table.loc["newsvendor", "saving"] > 0.4
    assert any("the baseline covers L is not well set" in warning for warning in found.warnings)
    assert "does it cover L + R periods of demand" in " ".join(found.to_text().split())
    assert max(map(len, found.to_text().splitlines())) <= 100
    assert not fr.compare(policies, scenario, params, baseline="newsvendor", warm_up=WARM_UP).warnings
    assert not fr.compare(policies, scenario, params, baseline="covers L", warm_up=WARM_UP, checks=False).warnings


@pytest.mark.parametrize("shocks", [0.0, 0.3])
def test_forecasts_that_are_too_sure_are_found_under_shocks(shocks):
    """Shocks that all items share hide a narrow spread from coverage, not from how items deviate from each other."""
    rng = np.random.default_rng(4)
    mean = np.linspace(8.0, 30.0, ITEMS)
    common = np.exp(shocks * rng.standard_normal(PERIODS) - shocks**2 / 2)
    demand = rng.poisson(common[:, None] * mean)[None].astype(float)
    params = params_of()

    def warned(spread):
        right = fr.Poisson(mean).forecast(LEAD_TIME + 1)
        middle = right.quantile(0.5)[..., None]
        values = middle + spread * (right.values - middle)
        forecast = fr.QuantileForecast(right.levels, values, right.origins, right.item_ids)
        return codes(Newsvendor(), params, scenario=fr.Scenario(demand, [forecast] * PERIODS))

    assert "forecast_spread" in warned(0.5)
    assert "forecast_spread" not in warned(1.0)
