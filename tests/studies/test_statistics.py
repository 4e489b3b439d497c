"""Savings and their intervals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fractile import FractileError
from fractile.studies.statistics import (
    Saving,
    describe_intervals,
    items_to_prove,
    mean_interval,
    paired_saving,
    rank_policies,
    simulated_saving,
    weeks_to_prove,
)
from fractile.studies.statistics.variance import Variance, autocorrelation, cosines, count_cosines


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
    np.testing.assert_allclose(shapes @ shapes.T, np.eye(7), atol=1e-12)
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
    assert (saving.saving, saving.low, saving.high) == (0.25, -np.inf, 1.0)
    earned = paired_saving(np.full((1, 1, 1), 4.0), np.full((1, 1, 1), -3.0))
    assert (earned.saving, earned.high) == (1.75, np.inf)


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
    assert (saving.saving, saving.low, saving.high) == (0.0, -np.inf, 1.0)  # no cost can be saved more than once


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


def history(rng, policies, *, weeks=26, items=60, sd=0.1, own=0.2):
    """Costs of policies with the same true cost, which share a week's shocks in part, and have items of their own."""
    baseline = rng.gamma(4.0, 2.5, (1, weeks, items))
    shared = sd * rng.standard_normal((1, weeks, 1))
    costs = {"baseline": baseline}
    for name in policies:
        apart = sd * rng.standard_normal((1, weeks, 1)) + own * rng.standard_normal((1, weeks, items))
        costs[name] = baseline * (1 + 0.5 * shared + 0.5 * apart)
    return costs


def test_seeds_add_their_spread_by_hand():
    # The same baseline everywhere, savings of .1, .2 and .3 everywhere: no sampling error at all. Seeds: standard
    # deviation .1, of their mean .1/√3, t with two degrees of freedom.
    baseline = np.full((1, 6, 4), 10.0)
    cost = baseline * np.array([0.9, 0.8, 0.7]).reshape(3, 1, 1)
    saving = paired_saving(baseline, cost, level=0.5)
    np.testing.assert_allclose([saving.saving, saving.seed_sd, saving.standard_error], [0.2, 0.1, 0.1 / np.sqrt(3)])
    assert (saving.seeds, saving.clusters, saving.degrees_of_freedom) == (3, "item_time", pytest.approx(2))
    np.testing.assert_allclose(saving.high - saving.saving, np.sqrt(2 / 3) * 0.1 / np.sqrt(3))  # t(2) at 75 %: √(2/3)


def test_seeds_and_sampling_add_up_after_welch_and_satterthwaite():
    rng = np.random.default_rng(21)
    costs = history(rng, ["policy"])
    one = paired_saving(costs["baseline"], costs["policy"])
    luck = np.array([0.97, 1.0, 1.03]).reshape(3, 1, 1)
    three = paired_saving(costs["baseline"], costs["policy"] * luck)
    of_seeds = three.seed_sd**2 / 3
    np.testing.assert_allclose(three.standard_error**2, one.standard_error**2 + of_seeds, rtol=1e-9)
    parts = one.standard_error**4 / one.degrees_of_freedom + of_seeds**2 / 2
    np.testing.assert_allclose(three.degrees_of_freedom, three.standard_error**4 / parts, rtol=1e-9)
    # Each source reaches with its own t: 4.302653 for two degrees of freedom.
    np.testing.assert_allclose(
        (three.high - three.saving) ** 2, (one.high - one.saving) ** 2 + 4.302653**2 * of_seeds, rtol=1e-5
    )


def test_a_learned_baseline_brings_its_seeds_too():
    baseline = np.full((2, 6, 4), 10.0) * np.array([0.9, 1.1]).reshape(2, 1, 1)
    saving = paired_saving(baseline, np.full((1, 6, 4), 5.0))
    # The baseline's mean is 10; its seeds are .9 and 1.1 of it: variance .02 / 2.
    np.testing.assert_allclose([saving.saving, saving.standard_error], [0.5, 0.1])


def test_as_many_seeds_as_the_baseline_are_named():
    rng = np.random.default_rng(22)
    baseline = rng.gamma(4.0, 1.0, (3, 12, 5))
    cost = 0.9 * baseline
    assert paired_saving(baseline, cost).seeds == 1
    assert paired_saving(baseline, cost, seeds=True).seeds == 3


def test_seeds_stand_before_independent_paths():
    rng = np.random.default_rng(23)
    baseline = rng.gamma(4.0, 1.0, (30, 6, 2))
    cost = np.stack([0.9 * baseline, 0.7 * baseline])
    saving = paired_saving(baseline[None], cost)
    assert (saving.clusters, saving.seeds) == ("path", 2)
    np.testing.assert_allclose([saving.saving, saving.seed_sd], [0.2, np.sqrt(0.02)])


@pytest.mark.parametrize("seeds", [2, 3])
def test_intervals_of_few_seeds_cover(seeds):
    """Luck of 3 % between seeds, hardly any other error: without the spread between seeds 0 would be missed at once."""
    rng = np.random.default_rng(24)
    inside = []
    for _ in range(400):
        costs = history(rng, ["policy"], weeks=12, items=10, sd=0.02, own=0.02)
        luck = 1 + 0.03 * rng.standard_normal((seeds, 1, 1))
        saving = paired_saving(costs["baseline"], costs["policy"] * luck)
        inside.append(saving.low <= 0 <= saving.high)
    assert abs(np.mean(inside) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 400)


def ar_history(rng, weeks, memory, sd=0.2, items=30):
    shock = np.empty(weeks)
    shock[0] = rng.standard_normal()
    for t in range(1, weeks):
        shock[t] = memory * shock[t - 1] + np.sqrt(1 - memory**2) * rng.standard_normal()
    baseline = np.full((1, weeks, items), 10.0)
    return baseline, baseline * (0.8 + sd * shock[:, None] + 0.2 * rng.standard_normal((1, weeks, items)))


def test_intervals_cover_where_shocks_last():
    """AR(1) shocks of .5 over 26 weeks: two-way clusters of two weeks covered 84 % of these."""
    rng = np.random.default_rng(25)
    inside = []
    for _ in range(600):
        saving = paired_saving(*ar_history(rng, 26, 0.5))
        inside.append(saving.low <= 0.2 <= saving.high)
    assert 0.92 - 4 * np.sqrt(0.92 * 0.08 / 600) < np.mean(inside) < 0.98 + 4 * np.sqrt(0.02 * 0.98 / 600)
    assert np.mean(inside) > 0.88


def test_lasting_shocks_are_said_to_make_intervals_untrustworthy():
    rng = np.random.default_rng(26)
    lasting = [paired_saving(*ar_history(rng, 26, 0.95)).trusted for _ in range(100)]
    passing = [paired_saving(*ar_history(rng, 26, 0.2)).trusted for _ in range(100)]
    assert np.mean(lasting) < 0.5  # all of them should be; a window of 26 weeks does not show more
    assert np.mean(passing) > 0.95


def test_a_shock_that_lasts_a_quarter_of_the_window_is_the_limit():
    limits = {12: 0.5, 26: 5.5 / 7.5, 52: 12 / 14}  # (1 + φ) / (1 − φ) = 3, 6.5 and 13
    for periods, phi in limits.items():
        for step, trusted in ((-1e-9, True), (1e-9, False)):
            variance = Variance(total=1.0, autocorrelation=phi + step)
            found = Saving(0.1, 0.0, 0.2, 0.1, 5.0, "item_time", variance=variance, periods=periods)
            assert found.trusted is trusted
    assert not Saving(0.1, 0.0, 0.2, 0.1, 5.0, "item_time", periods=4).trusted  # nothing is known of four periods
    assert Saving(0.1, 0.0, 0.2, 0.1, 5.0, "path", periods=4).trusted


def test_the_autocorrelation_is_corrected_for_its_bias():
    rng = np.random.default_rng(27)
    noiseless = []
    for _ in range(500):
        x = np.zeros(40)
        for t in range(1, 40):
            x[t] = 0.5 * x[t - 1] + rng.standard_normal()
        noiseless.append(autocorrelation(x - x.mean()))
    assert abs(np.mean(noiseless) - 0.5) < 4 * 0.14 / np.sqrt(500)  # asymptotic sd √((1 − φ²) / 40) = .14


def test_rare_dear_weeks_stretch_the_side_of_the_long_tail():
    baseline = np.full((1, 26, 3), 10.0)
    cost = np.full((1, 26, 3), 8.0)
    cost[0, [5, 17]] = 30.0
    saving = paired_saving(baseline, cost)
    assert saving.saving - saving.low > 1.1 * (saving.high - saving.saving)
    mirrored = paired_saving(baseline, 16.0 - cost + 14.0)
    assert mirrored.high - mirrored.saving > 1.1 * (mirrored.saving - mirrored.low)


NAMES = ("a", "b", "c", "d", "e")


def test_of_several_policies_that_save_nothing_none_is_proven():
    """One-sided at 2.5 % for all five together; one at a time some saving would be proven in one study in nine."""
    rng = np.random.default_rng(28)
    together, one_by_one, best = [], [], []
    for _ in range(200):
        ranking = rank_policies(history(rng, NAMES), baseline="baseline")
        together.append(bool(ranking.proven))
        one_by_one.append(any(ranking.savings[name].low > 0 for name in NAMES))
        best.append("a" in ranking.among_best)
    assert np.mean(together) <= 0.025 + 4 * np.sqrt(0.025 * 0.975 / 200)
    assert np.mean(one_by_one) > 1.5 * np.mean(together)
    assert np.mean(best) >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 200)


def test_a_planted_saving_is_proven_and_alone_among_the_best():
    rng = np.random.default_rng(29)
    costs = history(rng, NAMES, sd=0.02, own=0.05)
    costs["c"] = 0.9 * costs["c"]
    ranking = rank_policies(costs, baseline="baseline")
    assert ranking.proven == ("c",)
    assert ranking.among_best == ("c",)
    assert ranking.sentences == (
        "Proven savings against baseline, 5 policies compared at once: c.",
        "c is cheaper than all others.",
    )
    value, low, high = ranking.to_best["a"]
    assert low < value < high
    assert low > 0


def test_ties_cannot_be_told_apart():
    rng = np.random.default_rng(30)
    costs = history(rng, ["a"])
    costs["a"] = 0.9 * costs["a"]
    costs["b"] = costs["a"].copy()
    ranking = rank_policies(costs, baseline="baseline")
    assert {"a", "b"} <= set(ranking.among_best)
    assert "cannot be told apart" in ranking.sentences[1]
    assert rank_policies({"baseline": costs["baseline"]}, baseline="baseline").proven == ()


def test_bounds_take_no_part_in_a_ranking():
    costs = history(np.random.default_rng(31), NAMES)
    costs["bound"] = 0.2 * costs["baseline"]
    ranking = rank_policies(costs, baseline="baseline", bounds=["bound"])
    assert "bound" not in {*ranking.proven, *ranking.among_best, *ranking.together}
    assert ranking.savings["bound"].saving == pytest.approx(0.8)


def test_training_runs_of_one_learner_count_as_its_seeds():
    """Eight networks, one lucky by 6 %: proven as one of eight policies; as runs of one learner nothing is."""
    rng = np.random.default_rng(32)
    costs = history(rng, [f"net {k}" for k in range(8)], sd=0.02, own=0.05)
    luck = np.array([0.94, 1.03, 0.98, 1.04, 1.01, 0.97, 1.02, 1.01])
    for k in range(8):
        costs[f"net {k}"] = luck[k] * costs[f"net {k}"]
    families = {name: "net" for name in costs if name != "baseline"}
    assert "net 0" in rank_policies(costs, baseline="baseline").proven
    grouped = rank_policies(costs, baseline="baseline", families=families)
    assert grouped.proven == ()
    assert set(grouped.among_best) == set(costs)


def test_an_unknown_baseline_of_a_ranking_is_refused():
    with pytest.raises(FractileError, match="none of the policies"):
        rank_policies({"a": np.ones((1, 3, 4))}, baseline="b")


def test_more_weeks_prove_what_items_share_and_more_items_what_they_do_not():
    rng = np.random.default_rng(33)
    baseline, more_weeks, more_items = np.full((1, 104, 40), 10.0), [], []
    for _ in range(40):
        own = 0.01 * rng.standard_normal((1, 104, 40))
        shared = paired_saving(baseline, baseline * (0.98 + 0.16 * rng.standard_normal((1, 104, 1)) + own))
        apart = paired_saving(baseline, baseline * (0.98 + 0.08 * rng.standard_normal((1, 1, 40)) + own))
        more_weeks.append(weeks_to_prove(shared, effect=0.02) or np.inf)
        more_items.append(items_to_prove(apart, effect=0.02) or np.inf)
        assert items_to_prove(shared, effect=0.01) is None
        assert weeks_to_prove(apart, effect=0.01) is None
    # By z quantiles, (1.96 + .84)² · .16² / .02² = 502 weeks, and of .08² 126 items, in all; half of the histories
    # have a variance below 95 % of the true one (χ² with 19 degrees of freedom), and t reaches further.
    assert 0.85 * 502 - 104 <= np.median(more_weeks) <= 1.3 * 502 - 104
    assert 0.85 * 126 - 40 <= np.median(more_items) <= 1.3 * 126 - 40
    assert weeks_to_prove(shared, effect=0.5) == 0


def test_so_many_more_weeks_have_the_power_asked_for():
    """The advice from long histories, where variances are known: 80 % of histories as long as advised prove 2 %."""
    rng = np.random.default_rng(34)

    def draw(weeks):
        baseline = np.full((1, weeks, 20), 10.0)
        return baseline, baseline * (0.98 + 0.06 * rng.standard_normal((1, weeks, 1)))

    advised = [40 + weeks_to_prove(paired_saving(*draw(40)), effect=0.02) for _ in range(60)]
    weeks = int(np.median(advised))
    share = np.mean([paired_saving(*draw(weeks)).low > 0 for _ in range(400)])
    assert abs(share - 0.8) < 4 * np.sqrt(0.8 * 0.2 / 400) + 0.04  # and the median advice's own error


@pytest.mark.parametrize("options", [{"effect": 0.0}, {"effect": -0.1}])
def test_no_number_of_weeks_proves_nothing(options):
    saving = paired_saving(*np.random.default_rng(35).random((2, 1, 12, 4)) + 1.0)
    with pytest.raises(FractileError, match="effect must be a share above 0"):
        weeks_to_prove(saving, **options)


def test_weeks_are_counted_for_one_history_alone():
    saving = paired_saving(*np.random.default_rng(36).random((2, 30, 12, 4)) + 1.0)
    with pytest.raises(FractileError, match="one history"):
        weeks_to_prove(saving)


def test_what_a_comparison_says_of_its_intervals():
    rng = np.random.default_rng(37)
    found = describe_intervals(rank_policies(history(rng, NAMES), baseline="baseline"))
    assert found.trusted
    assert found.proven == ()
    assert found.weeks_to_prove is None or found.weeks_to_prove > 0
    record = json.loads(json.dumps(found.to_record()))
    assert record["sentences"][0] == "No saving is proven against baseline, 5 policies compared at once."
    baseline = np.full((1, 12, 3), 10.0)
    cost = baseline + np.linspace(-5, 5, 12)[:, None]  # a drift: no two weeks are independent
    lasting = describe_intervals(rank_policies({"baseline": baseline, "policy": cost}, baseline="baseline"))
    assert not lasting.trusted
    assert "cannot be trusted" in lasting.note


def test_what_cannot_be_trusted_is_not_called_proven():
    baseline = np.full((1, 26, 3), 10.0)
    cost = baseline - 5.0 + np.linspace(-1, 1, 26)[:, None]  # far from zero, and no two weeks are independent
    ranking = rank_policies({"baseline": baseline, "policy": cost}, baseline="baseline")
    assert ranking.proven == ("policy",)
    found = describe_intervals(ranking)
    assert found.proven == ()
    assert found.sentences[0] == "No saving is proven against baseline."
