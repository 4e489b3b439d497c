"""Savings and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from fractile import FractileError
from fractile.studies.statistics import mean_interval, paired_saving, simulated_saving
from fractile.studies.statistics.variance import cosines, count_cosines


def test_saving_is_the_share_of_the_baselines_cost():
    baseline = np.full((4, 3, 2), 10.0)
    saving = paired_saving(baseline, 0.75 * baseline, clusters="path")
    np.testing.assert_allclose([saving.saving, saving.standard_error], [0.25, 0.0], atol=1e-15)


def test_path_clusters_by_hand():
    # Two paths: baseline 10 and 10, policy 4 and 8. Ratio .6; influences (6 − 4)/20 = .1 and (6 − 8)/20 = −.1.
    # Variance of the sum: (.01 + .01) · 2/1 = .04; standard error .2; t with one degree of freedom.
    baseline, cost = np.array([10.0, 10.0]).reshape(2, 1, 1), np.array([4.0, 8.0]).reshape(2, 1, 1)
    saving = paired_saving(baseline, cost, clusters="path", level=0.5)
    np.testing.assert_allclose([saving.saving, saving.standard_error], [0.4, 0.2])
    np.testing.assert_allclose([saving.low, saving.high], [0.2, 0.6])  # t(1) at 75 % is 1
    assert saving.degrees_of_freedom == 1


def test_one_items_history_by_hand():
    # One item, 4 periods, baseline 1; influences of the periods ± .125. Three cosines are all there are beside the
    # constant, so that their squares sum to those of the influences: variance 4 · (4 · .125²) / 3, t with 3.
    saving = paired_saving(np.ones((1, 4, 1)), np.array([0.0, 0.0, 1.0, 1.0]).reshape(1, 4, 1), level=0.5)
    np.testing.assert_allclose(saving.standard_error, np.sqrt(4 * 4 * 0.125**2 / 3))
    assert saving.degrees_of_freedom == pytest.approx(3)
    np.testing.assert_allclose(saving.high - saving.saving, 0.764892 * saving.standard_error, rtol=1e-5)  # t(3) at 75 %


def test_what_an_item_and_a_period_share_counts_once():
    # One path, 4 periods, 2 items, baseline 1 a cell, cost .5 + a (item: ± .1) + b (period: ± .2).
    # Influence of a cell −(a + b)/8. Items: sums ± .05, each moves the ratio by twice that: 2 · .01 · 1/2 = .01.
    # Periods: sums ± .05: 4 · (4 · .05²) / 3 = .013333. Cells: of each item ± .025 about its mean, 4 · (8 · .025²) / 3
    # = .006667: common to the items .006667, and with the items .016667.
    baseline = np.ones((1, 4, 2))
    cost = 0.5 + np.array([0.1, -0.1]) + np.array([0.2, -0.2, 0.2, -0.2])[:, None]
    found = paired_saving(baseline, cost[None], clusters="item_time")
    variance = found.variance
    np.testing.assert_allclose([variance.total, variance.common], [0.01 + 0.02 / 3, 0.02 / 3])
    np.testing.assert_allclose([variance.items, variance.cells], [0.01 - 0.02 / 3, 0.02 / 3])


def test_cosines_are_orthonormal_and_blind_to_the_mean():
    shapes = cosines(count_cosines(26), 26)
    np.testing.assert_allclose(shapes @ shapes.T, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(shapes.sum(1), 0, atol=1e-12)
    np.testing.assert_allclose(shapes[0, 0], np.sqrt(2 / 26) * np.cos(np.pi / 52))


def test_auto_clusters_by_path_where_there_are_many():
    rng = np.random.default_rng(0)
    assert paired_saving(*rng.random((2, 30, 12, 3)) + 1.0).clusters == "path"
    assert paired_saving(*rng.random((2, 3, 12, 3)) + 1.0).clusters == "item_time"


def test_a_free_baseline_is_refused():
    with pytest.raises(FractileError, match="share of a positive cost"):
        paired_saving(np.zeros((2, 3, 4)), np.ones((2, 3, 4)))


def test_one_path_cannot_be_clustered_by_path():
    with pytest.raises(FractileError, match="two or more paths"):
        paired_saving(np.ones((1, 3, 4)), np.ones((1, 3, 4)), clusters="path")


def test_shapes_must_agree():
    with pytest.raises(FractileError, match="one shape"):
        paired_saving(np.ones((1, 3, 4)), np.ones((1, 3, 5)))


def test_pairing_narrows_the_interval():
    rng = np.random.default_rng(1)
    baseline = rng.gamma(2.0, 5.0, (50, 20, 4))
    cost = 0.9 * baseline + rng.normal(0, 0.1, baseline.shape)
    paired = paired_saving(baseline, cost, clusters="path").standard_error
    unpaired = paired_saving(baseline, rng.permutation(cost), clusters="path").standard_error
    assert paired < unpaired / 5


def covered(intervals, truth):
    return np.mean([low <= truth <= high for low, high in intervals])


def test_path_intervals_cover_in_95_of_100_cases():
    rng = np.random.default_rng(2)
    intervals = []
    for _ in range(1000):
        baseline = rng.gamma(4.0, 2.5, (30, 6, 2)) + rng.gamma(2.0, 1.0, (30, 1, 1))
        cost = baseline * rng.normal(0.8, 0.2, (30, 1, 1))
        saving = paired_saving(baseline, cost)
        intervals.append((saving.low, saving.high))
    # Four standard errors of a binomial share at 1,000 replications: 4 · √(.95 · .05 / 1000) = .028.
    assert abs(covered(intervals, 0.2) - 0.95) < 0.028


def test_intervals_hold_under_shocks_that_all_items_share():
    rng = np.random.default_rng(3)
    clustered, by_item = [], []
    for _ in range(1000):
        shock = rng.normal(0.0, 0.2, (1, 24, 1))
        baseline = np.full((1, 24, 40), 10.0)
        cost = baseline * (0.8 + shock + rng.normal(0.0, 0.1, baseline.shape))
        saving = paired_saving(baseline, cost)
        clustered.append((saving.low, saving.high))
        naive = mean_interval(cost.swapaxes(0, 2), clusters="path")  # every item a replication of its own
        by_item.append((1 - naive.high / 10, 1 - naive.low / 10))
    assert abs(covered(clustered, 0.2) - 0.95) < 0.028
    assert covered(by_item, 0.2) < 0.5


def test_mean_interval_of_a_single_item_goes_by_time():
    values = np.arange(24.0).reshape(1, 24, 1)
    interval = mean_interval(values)
    assert interval.mean == 11.5
    assert interval.low < 11.5 < interval.high


@pytest.mark.parametrize(
    ("options", "message"),
    [({"level": 1.0}, "level must lie"), ({"clusters": "paths"}, "did you mean 'path'")],
)
def test_unusable_options_are_refused(options, message):
    with pytest.raises(FractileError, match=message):
        paired_saving(np.ones((2, 3, 4)), np.ones((2, 3, 4)), **options)


def test_a_cost_that_is_no_number_is_refused():
    cost = np.ones((2, 3, 4))
    cost[0, 1, 2] = np.nan
    with pytest.raises(FractileError, match="finite"):
        paired_saving(np.ones((2, 3, 4)), cost)


def test_one_cell_has_no_finite_interval():
    saving = paired_saving(np.full((1, 1, 1), 4.0), np.full((1, 1, 1), 3.0))
    assert (saving.saving, saving.low, saving.high) == (0.25, -np.inf, np.inf)


def test_two_way_intervals_hold_where_a_few_items_carry_the_cost():
    rng = np.random.default_rng(6)
    intervals = []
    for _ in range(1000):
        size = np.exp(1.5 * rng.standard_normal(50))
        baseline = size * rng.gamma(2.0, 0.5, (12, 50))
        cost = baseline * (0.9 + 0.1 * rng.standard_normal(50) + 0.1 * rng.standard_normal((12, 1)))
        saving = paired_saving(baseline[None], cost[None])
        intervals.append((saving.low, saving.high))
    assert abs(covered(intervals, 0.1) - 0.95) < 0.028


def test_one_way_clusters_are_left_out_one_at_a_time():
    # Without path g the ratio moves by its influence over the rest's weight: the jackknife of the ratio itself.
    rng = np.random.default_rng(8)
    baseline, cost = rng.gamma(0.3, 5.0, (2, 9, 4, 3))
    whole = cost.sum() / baseline.sum()
    without = [np.delete(cost, g, 0).sum() / np.delete(baseline, g, 0).sum() for g in range(9)]
    expected = np.sqrt(8 / 9 * np.sum((np.array(without) - whole) ** 2))
    np.testing.assert_allclose(paired_saving(baseline, cost, clusters="path").standard_error, expected)


def test_where_one_item_carries_all_the_baselines_cost_nothing_is_certain():
    baseline, cost = np.zeros((1, 12, 2)), np.ones((1, 12, 2))
    baseline[:, :, 0] = 2.0
    saving = paired_saving(baseline, cost)
    assert (saving.saving, saving.low, saving.high) == (0.0, -np.inf, np.inf)


def test_items_that_cost_nothing_change_nothing():
    rng = np.random.default_rng(9)
    baseline, cost = rng.gamma(2.0, 5.0, (2, 1, 12, 1))
    alone = paired_saving(baseline, cost)
    beside = paired_saving(*(np.concatenate([x, np.zeros_like(x)], axis=2) for x in (baseline, cost)))
    np.testing.assert_allclose(beside.standard_error, alone.standard_error)


def test_a_weighted_mean_leaves_out_what_weighs_nothing():
    rng = np.random.default_rng(5)
    values, weight = rng.normal(size=(1, 12, 7)), rng.integers(1, 4, size=(1, 12, 7)).astype(float)
    weight[:, :, 3] = 0.0
    few = np.delete(values, 3, axis=2), np.delete(weight, 3, axis=2)
    one, other = mean_interval(values, weight=weight), mean_interval(few[0], weight=few[1])
    assert one.mean == pytest.approx((values * weight).sum() / weight.sum())
    np.testing.assert_allclose([one.mean, one.low, one.high], [other.mean, other.low, other.high])
    equal, plain = mean_interval(values, weight=np.full(values.shape, 2.0)), mean_interval(values)
    np.testing.assert_allclose([equal.mean, equal.standard_error], [plain.mean, plain.standard_error], rtol=1e-12)


@pytest.mark.parametrize("weight", [np.zeros((1, 8, 2)), -np.ones((1, 8, 2)), np.ones((1, 8, 3))])
def test_weights_that_weigh_nothing_are_refused(weight):
    with pytest.raises(FractileError, match="weight must have the shape of values"):
        mean_interval(np.ones((1, 8, 2)), weight=weight)


def test_one_simulated_history_in_twenty_falls_outside_the_second_interval():
    """2,000 histories draw 400 more: binomial error of both, 4 √(.05 · .95 (1/400 + 1/2000))."""
    rng = np.random.default_rng(11)

    def draw(histories):
        shock = rng.gamma(2.0, 0.5, (histories, 12, 1))
        baseline = shock * rng.gamma(4.0, 1.0, (histories, 12, 5))
        return baseline, baseline * (0.9 + 0.1 * (shock - 1))

    found = simulated_saving(*draw(2000))
    baseline, cost = draw(400)
    truth = 1 - 0.9 - 0.1 * 0.5  # E[shock²] = 1.5: dear weeks save less
    ends = [found.around(1 - c.sum() / b.sum()) for b, c in zip(baseline, cost, strict=True)]
    share = np.mean([low <= truth <= high for low, high in ends])
    assert abs(share - 0.95) < 4 * np.sqrt(0.05 * 0.95 * (1 / 400 + 1 / 2000))
    assert found.mean.low <= truth <= found.mean.high
    assert found.mean.high - found.mean.low < 0.2 * (ends[0][1] - ends[0][0])


def test_truths_that_differ_widen_both_simulated_intervals():
    rng = np.random.default_rng(12)
    truths = np.repeat(np.arange(5), 40)
    baseline = rng.gamma(50.0, 1.0, (200, 4, 3))
    cost = baseline * (0.8 + 0.02 * (truths - 2)[:, None, None])
    one, five = simulated_saving(baseline, cost), simulated_saving(baseline, cost, truths=truths)
    assert five.mean.degrees_of_freedom == 4
    # Savings of .24, .22, .20, .18, .16: standard error √(.001 / 5) over five truths.
    np.testing.assert_allclose(five.mean.standard_error, np.sqrt(0.001 / 5), rtol=0.05)
    assert one.mean.standard_error < 0.3 * five.mean.standard_error
    np.testing.assert_allclose(five.spread, np.sqrt(0.0008), rtol=0.05)


def test_few_simulated_histories_give_a_t_interval():
    baseline = np.full((3, 1, 1), 10.0)
    found = simulated_saving(baseline, np.array([8.0, 9.0, 10.0]).reshape(3, 1, 1), level=0.8)
    np.testing.assert_allclose(found.spread, 0.1)
    # t(2) at 90 % is 1.885618; times .1 √(4/3).
    np.testing.assert_allclose(found.around(0.2), [0.2 - 0.217732, 0.2 + 0.217732], atol=1e-6)
