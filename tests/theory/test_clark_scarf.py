"""Serial systems: exact echelon base-stock levels against the literature, closed forms and a simulation in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import fractile as fr
from fractile import FractileError
from fractile.policies.exact import clark_scarf

FOUR_STAGES = {
    1: (6.899, 8.367, 9.608, 10.701),
    2: (7.599, 9.261, 10.671, 11.913),
    3: (8.206, 10.037, 11.592, 12.965),
    4: (8.753, 10.734, 12.420, 13.910),
}
"""Lead time of the store → cost for b = 4, 9, 19, 39: the serial system of Alvo, Russo and Kanoria (2023).

Demand is normal(5, 2), clipped at zero; upstream of the store, lead times are 3, 4, 2; holding costs 1, 0.5, 0.2, 0.1.
Computed exactly, on a coarser grid than ours; their published optima were simulated and lie up to 0.2 % lower.
"""


def four_stages(lead_time: int, stockout_cost: float, **options):
    demand = fr.Normal(5.0, 2.0)
    return clark_scarf(demand, [lead_time, 3, 4, 2], [1.0, 0.5, 0.2, 0.1], stockout_cost, **options)


@pytest.mark.parametrize("lead_time", FOUR_STAGES)
def test_cost_of_four_stages(lead_time):
    got = [four_stages(lead_time, b).cost for b in (4.0, 9.0, 19.0, 39.0)]
    np.testing.assert_allclose(got, FOUR_STAGES[lead_time], atol=1e-3)


def test_levels_of_four_stages():
    np.testing.assert_allclose(four_stages(4, 39.0).levels, [35.0, 52.75, 77.4, 88.3], atol=0.04)


def test_a_finer_grid_changes_little():
    coarse, fine = four_stages(2, 9.0), four_stages(2, 9.0, step=1 / 256)
    assert coarse.cost == pytest.approx(fine.cost, abs=1e-4)
    np.testing.assert_allclose(coarse.levels, fine.levels, atol=0.02)


def test_a_textbook_example():
    # Snyder and Shen (2019), "Fundamentals of Supply Chain Theory", 2nd edition, example 6.1: printed cost 47.65.
    levels, cost = clark_scarf(
        fr.Normal(5.0, 1.0), [1, 1, 2], [7.0, 4.0, 2.0], 37.12, continuous_review=True, charge_pipeline=True
    )
    np.testing.assert_allclose(levels, [6.49, 12.02, 22.71], atol=0.01)
    assert cost == pytest.approx(47.66, abs=5e-3)


@pytest.mark.parametrize("continuous_review", [False, True])
def test_one_stage_is_the_newsvendor(continuous_review):
    got = clark_scarf(fr.Poisson(5.0), [3], [1.0], 9.0, continuous_review=continuous_review)
    total, units = stats.poisson(15.0 if continuous_review else 20.0), np.arange(120)
    level = total.ppf(0.9)
    expected = (np.maximum(level - units, 0) + 9.0 * np.maximum(units - level, 0)) @ total.pmf(units)
    assert got.levels.tolist() == [level]
    assert got.cost == pytest.approx(expected, abs=1e-9)


def test_one_stage_with_normal_demand_has_a_closed_form():
    levels, cost = clark_scarf(fr.Normal(50.0, 8.0), [3], [0.18], 0.70)
    z = stats.norm.ppf(0.70 / 0.88)
    assert levels.item() == pytest.approx(200.0 + 16.0 * z, abs=8.0 / 128)
    assert cost == pytest.approx(0.88 * 16.0 * stats.norm.pdf(z), abs=1e-4)


@pytest.mark.parametrize("lead_times", [(1, 2), (0, 3), (3, 0)], ids=str)
def test_stock_that_costs_the_same_everywhere_is_passed_on_at_once(lead_times):
    # Two stages with equal holding costs are one with the sum of their lead times.
    two = clark_scarf(fr.Poisson(5.0), lead_times, [1.0, 1.0], 9.0)
    one = clark_scarf(fr.Poisson(5.0), [3], [1.0], 9.0)
    assert two.cost == pytest.approx(one.cost, abs=1e-8)
    assert two.levels[1] == one.levels[0]


def test_what_is_under_way_costs_mean_demand_times_lead_time():
    plain, charged = (
        clark_scarf(fr.Poisson(5.0), [2, 1, 3], [1.0, 0.5, 0.2], 9.0, charge_pipeline=charged)
        for charged in (False, True)
    )
    np.testing.assert_array_equal(plain.levels, charged.levels)
    assert charged.cost - plain.cost == pytest.approx(5.0 * (2 * 0.5 + 1 * 0.2))


def simulated_cost(levels, lead_times, holding_costs, stockout_cost, demand) -> np.ndarray:
    """Average cost of each path under echelon base-stock levels, in plain numpy; demand (periods, paths)."""
    stages, paths = len(levels), demand.shape[1]
    stock = [np.full(paths, float(levels[0]))] + [np.zeros(paths) for _ in range(stages - 1)]
    under_way = [[np.zeros(paths) for _ in range(periods)] for periods in lead_times]
    total = np.zeros(paths)
    warm_up = 100
    for t, drawn in enumerate(demand):
        wanted = []
        for j in range(stages):
            echelon = sum(stock[: j + 1]) + sum(sum(slots) for slots in under_way[: j + 1] if slots)
            wanted.append(np.maximum(levels[j] - echelon, 0.0))
        for j in reversed(range(stages)):
            if under_way[j]:
                stock[j] = stock[j] + under_way[j].pop(0)
            shipped = wanted[j] if j == stages - 1 else np.minimum(wanted[j], stock[j + 1])
            if j < stages - 1:
                stock[j + 1] = stock[j + 1] - shipped
            if lead_times[j]:
                under_way[j].append(shipped)
            else:
                stock[j] = stock[j] + shipped
        stock[0] = stock[0] - drawn
        if t >= warm_up:
            total += holding_costs[0] * np.maximum(stock[0], 0) + stockout_cost * np.maximum(-stock[0], 0)
            total += sum(h * s for h, s in zip(holding_costs[1:], stock[1:], strict=True))
    return total / (len(demand) - warm_up)


SERIAL = [
    ([2, 1, 3], [1.0, 0.4, 0.15], 9.0),
    ([1, 0, 2], [2.0, 1.5, 0.5], 20.0),
    ([0, 2], [1.0, 0.3], 4.0),
]


@pytest.mark.parametrize(("lead_times", "holding_costs", "stockout_cost"), SERIAL, ids=str)
def test_the_cost_is_what_a_simulation_of_the_shipments_pays(lead_times, holding_costs, stockout_cost):
    found = clark_scarf(fr.Poisson(5.0), lead_times, holding_costs, stockout_cost)
    demand = np.random.default_rng(17).poisson(5.0, (500, 1500)).astype(float)
    cost = simulated_cost(found.levels, lead_times, holding_costs, stockout_cost, demand)
    assert abs(cost.mean() - found.cost) < 4 * cost.std(ddof=1) / np.sqrt(len(cost))


def test_other_levels_cost_more():
    lead_times, holding_costs, stockout_cost = SERIAL[0]
    found = clark_scarf(fr.Poisson(5.0), lead_times, holding_costs, stockout_cost)
    demand = np.random.default_rng(18).poisson(5.0, (500, 1500)).astype(float)
    best = simulated_cost(found.levels, lead_times, holding_costs, stockout_cost, demand)
    for stage, change in ((0, -2), (0, 3), (1, -3), (1, 4), (2, -4), (2, 5)):
        levels = found.levels + change * (np.arange(3) == stage)
        worse = simulated_cost(levels, lead_times, holding_costs, stockout_cost, demand) - best
        assert worse.mean() > 2 * worse.std(ddof=1) / np.sqrt(len(worse))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"demand": fr.Poisson(np.array([1.0, 2.0]))}, "needs demand of one item"),
        ({"lead_times": [1]}, "one a stage, downstream to upstream, got 1 and 2"),
        ({"lead_times": [1, -1]}, r"lead_times must be integers >= 0, got \[1, -1\]"),
        ({"holding_costs": [0.5, 1.0]}, "not increase from stage 1 upstream.*list stage 1, next to the demand, first"),
        ({"holding_costs": [1.0, 0.0]}, "holding_costs must be above 0"),
        ({"stockout_cost": 0.0}, "stockout_cost must be a number above 0, got 0"),
        ({"step": -1.0}, "step must be a number above 0"),
    ],
    ids=str,
)
def test_arguments_out_of_range_are_refused(change, message):
    options = {"demand": fr.Poisson(5.0), "lead_times": [1, 2], "holding_costs": [1.0, 0.5], "stockout_cost": 9.0}
    with pytest.raises(FractileError, match=message):
        clark_scarf(**{**options, **change})
