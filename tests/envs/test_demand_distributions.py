"""Independent demand: probabilities, quantiles, sums and draws of every distribution, for one item and for many."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

import fractile as fr
from fractile.envs.demand import distributions as demand_module
from fractile.envs.demand.distributions import PARTS
from fractile.envs.demand.lattice import LatticeDistribution, convolve, power

SIZES = np.array([0.1, 0.5, 0.2, 0.0, 0.2])
DISCRETE = {
    "poisson": fr.Poisson(np.array([5.0, 0.4])),
    "negative binomial": fr.NegativeBinomial(np.array([6.0, 2.0]), np.array([0.7, 4.0])),
    "geometric": fr.Geometric(np.array([5.0, 1.0])),
    "compound": fr.demand.CompoundPoisson(np.array([2.0, 9.0]), SIZES),
    "compound by item": fr.demand.CompoundPoisson(2.0, np.array([SIZES, SIZES[::-1]])),
    "uniform": fr.demand.Discrete.uniform(4),
    "discrete": fr.demand.Discrete(np.array([[3.0, 0.0, 1.0], [1.0, 1.0, 2.0]])),
    "rounded gamma": fr.demand.Rounded(fr.Gamma(np.array([4.0, 1.0]), cv=0.5)),
    "rounded normal": fr.demand.Rounded(fr.Normal(np.array([4.0, 1.0]), 1.0)),
}
CONTINUOUS = {
    "normal": fr.Normal(np.array([50.0, 9.0]), np.array([8.0, 2.0])),
    "clipped normal": fr.Normal(np.array([3.0, 1.0]), np.array([3.0, 2.0])),
    "gamma": fr.Gamma(np.array([4.0, 10.0]), cv=np.array([0.5, 2.0])),
}
EVERY = {**DISCRETE, **CONTINUOUS}
UNITS = np.arange(1200)
LEVELS = np.array([1e-6, 0.05, 0.2, 0.5, 0.8, 0.9, 0.99, 1 - 1e-9])


def each(models):
    return pytest.mark.parametrize("model", models.values(), ids=models)


def column(values: np.ndarray) -> np.ndarray:
    return values[:, None]


@each(DISCRETE)
@pytest.mark.parametrize("span", [1, 3])
def test_probabilities_add_up(model, span):
    pmf = np.broadcast_to(model.pmf(column(UNITS), span), (len(UNITS), model.items))
    np.testing.assert_allclose(pmf.sum(0), 1.0, atol=1e-9)
    np.testing.assert_allclose(np.cumsum(pmf, 0), model.cdf(column(UNITS), span), atol=1e-9)
    distribution = model.distribution(span)
    np.testing.assert_allclose(UNITS @ pmf, distribution.mean(), rtol=1e-7)
    np.testing.assert_allclose(UNITS**2 @ pmf - (UNITS @ pmf) ** 2, distribution.var(), rtol=1e-6)
    np.testing.assert_allclose(distribution.std() ** 2, distribution.var())


@each(DISCRETE)
@pytest.mark.parametrize("span", [1, 4])
def test_quantiles_are_the_smallest_that_will_do(model, span):
    quantile = model.quantile(column(LEVELS), span)
    assert quantile.shape == (len(LEVELS), model.items)
    assert (model.cdf(quantile, span) >= column(LEVELS) - 1e-14).all()
    assert (model.cdf(quantile - 1, span) < column(LEVELS)).all()


@each(CONTINUOUS)
@pytest.mark.parametrize("span", [1, 4])
def test_continuous_quantiles_invert_the_distribution(model, span):
    quantile = model.quantile(column(LEVELS), span)
    positive = quantile > 0
    got = np.where(positive, model.cdf(quantile, span), column(LEVELS))
    np.testing.assert_allclose(got, np.broadcast_to(column(LEVELS), got.shape), atol=1e-9)
    # Where the quantile is zero, the probability of nothing is at least the level.
    assert (model.cdf(np.zeros(1), span) >= np.where(positive, 0.0, column(LEVELS))).all()


@each(DISCRETE)
def test_sums_are_convolutions(model):
    one = np.broadcast_to(model.pmf(column(UNITS)), (len(UNITS), model.items))
    three = np.broadcast_to(model.pmf(column(UNITS), span=3), (len(UNITS), model.items))
    for item in range(model.items):
        expected = np.convolve(np.convolve(one[:, item], one[:, item]), one[:, item])[: len(UNITS)]
        np.testing.assert_allclose(three[:, item], expected, rtol=1e-6, atol=1e-14)


@each(DISCRETE)
def test_spans_may_differ_over_items(model):
    span = np.array([2, 5])
    level = model.quantile(0.9, span)
    np.testing.assert_array_equal(level[0], np.broadcast_to(model.quantile(0.9, 2), model.items)[0])
    np.testing.assert_array_equal(level[1], np.broadcast_to(model.quantile(0.9, 5), model.items)[-1])


@each(EVERY)
def test_many_items_are_single_items_side_by_side(model):
    for item in range(model.items):
        one = model.select(np.array([item]))
        assert one.items == 1
        for span in (1, 3):
            whole = np.broadcast_to(model.cdf(column(UNITS[:50]), span), (50, model.items))
            np.testing.assert_allclose(one.cdf(UNITS[:50], span), whole[:, item], atol=1e-12)
    twice = model.select(np.array([0, 0, model.items - 1]))
    assert twice.items == 3
    np.testing.assert_allclose(twice.quantile(0.5)[0], twice.quantile(0.5)[1])


@each(EVERY)
@pytest.mark.parametrize("how", ["sample", "draw"])
def test_draws_have_the_right_distribution(model, how):
    rng = np.random.default_rng(11)
    shape = (200, 100, model.items)
    drawn = model.sample(rng, *shape[:2]) if how == "sample" else model.draw(rng, shape)
    assert drawn.shape == shape
    assert drawn.dtype == np.float64
    assert drawn.min() >= 0
    edges = np.unique(model.quantile(column(np.linspace(0.04, 0.96, 24))), axis=0)
    share = np.broadcast_to(model.cdf(edges), edges.shape)
    below = (drawn.reshape(-1, 1, model.items) <= edges).mean(0)
    error = np.sqrt(np.maximum(share * (1 - share), 1e-12) / 20_000)
    assert (np.abs(below - share) < 4 * error + 1e-12).all()
    mean, deviation = model.distribution().mean(), model.distribution().std()
    assert (np.abs(drawn.mean((0, 1)) - mean) < 4 * deviation / np.sqrt(20_000)).all()


@each(EVERY)
def test_draws_pass_a_chi_square_test(model):
    one = model.select(np.array([0]))
    drawn = one.sample(np.random.default_rng(2), 200, 200).ravel()
    edges = np.unique(one.quantile(np.linspace(0.02, 0.98, 49)))
    share = np.diff(np.concatenate([[0.0], one.cdf(edges), [1.0]]))
    seen = np.bincount(np.searchsorted(edges, drawn), minlength=len(share))
    keep = share * drawn.size > 5
    chi_square = ((seen - share * drawn.size)[keep] ** 2 / (share * drawn.size)[keep]).sum()
    freedom = keep.sum() - 1
    assert chi_square < freedom + 4 * np.sqrt(2 * freedom)


@each({name: model for name, model in EVERY.items() if name not in ("uniform", "discrete")})
def test_scaled_models_have_another_mean(model):
    twice = model.scaled(np.array([2.0, 0.5]))
    ratio = twice.distribution().mean() / model.distribution().mean()
    # Little demand is not rounded as often up as down.
    tolerance = 0.3 if "Rounded" in repr(model) else 1e-9
    np.testing.assert_allclose(ratio, np.broadcast_to([2.0, 0.5], ratio.shape), rtol=tolerance)


def test_fixed_values_have_no_mean_to_move():
    with pytest.raises(fr.FractileError, match="the mean of Discrete demand cannot move"):
        fr.demand.Discrete.uniform(4).scaled(2.0)


def test_uniform_demand_of_dual_sourcing():
    demand = fr.demand.Discrete.uniform(4)
    np.testing.assert_allclose(demand.pmf(np.arange(-1, 6)), [0, 0.2, 0.2, 0.2, 0.2, 0.2, 0])
    np.testing.assert_allclose(demand.pmf(np.arange(9), span=2), np.array([1, 2, 3, 4, 5, 4, 3, 2, 1]) / 25)
    np.testing.assert_array_equal(demand.quantile([0.2, 0.4, 0.6, 0.8, 0.99]), [0, 1, 2, 3, 4])
    np.testing.assert_allclose(fr.demand.Discrete.uniform(5, smallest=3).pmf([2, 3, 5, 6]), [0, 1 / 3, 1 / 3, 0])


def test_empirical_demand_is_what_was_seen():
    demand = fr.demand.Discrete.empirical([[2, 0], [2, 1], [5, 0], [0, 0]])
    np.testing.assert_allclose(
        demand.pmf(column(np.arange(6))).T, [[0.25, 0, 0.5, 0, 0, 0.25], [0.75, 0.25, 0, 0, 0, 0]]
    )
    with pytest.raises(fr.FractileError, match="whole numbers >= 0; round them"):
        fr.demand.Discrete.empirical([1.5])


def test_rounded_gamma_of_the_perishables_literature():
    base, demand = fr.Gamma(4.0, cv=0.5), fr.demand.Rounded(fr.Gamma(4.0, cv=0.5))
    exact = stats.gamma(4.0, scale=1.0)
    expected = exact.cdf(UNITS[:40] + 0.5) - exact.cdf(UNITS[:40] - 0.5)
    np.testing.assert_allclose(demand.pmf(UNITS[:40]), expected, atol=1e-14)
    np.testing.assert_allclose(base.cdf(UNITS[:40]), exact.cdf(UNITS[:40]), atol=1e-14)
    np.testing.assert_allclose(demand.distribution().mean(), 4.0, atol=1e-3)


def test_compound_poisson_is_a_sum_of_a_poisson_number_of_sizes():
    rate, number = 3.5, np.arange(120)
    weights, total, sizes = stats.poisson(rate).pmf(number), np.zeros(600), np.ones(1)
    for weight in weights:
        total[: len(sizes)] += weight * sizes
        sizes = np.convolve(sizes, SIZES)
    np.testing.assert_allclose(fr.demand.CompoundPoisson(rate, SIZES).pmf(np.arange(600)), total, rtol=1e-9, atol=1e-18)


def test_compound_poisson_of_single_units_is_poisson():
    for rate in (0.02, 5.0, 3 * PARTS):
        units = np.unique(stats.poisson(rate).ppf(np.linspace(1e-9, 1 - 1e-9, 60)))
        got = fr.demand.CompoundPoisson(rate, [0.0, 1.0]).pmf(units)
        np.testing.assert_allclose(got, stats.poisson(rate).pmf(units), rtol=1e-8)


def test_a_clipped_normal_is_clipped_exactly():
    mean, deviation = 3.0, 2.5
    one, exact = fr.Normal(mean, deviation).distribution(), stats.norm(mean, deviation)
    assert one.cdf(0.0) == pytest.approx(exact.cdf(0.0), rel=1e-14)
    assert one.cdf(-0.1) == 0.0
    assert one.ppf(0.5 * exact.cdf(0.0)) == 0.0
    assert one.ppf(0.9) == pytest.approx(exact.ppf(0.9), rel=1e-14)
    first, second = (integrate.quad(lambda x, k=k: x**k * exact.pdf(x), 0, 40)[0] for k in (1, 2))
    assert one.mean() == pytest.approx(first, rel=1e-9)
    assert one.var() == pytest.approx(second - first**2, rel=1e-9)
    assert one.sf(20.0) == pytest.approx(exact.sf(20.0), rel=1e-12)
    assert integrate.quad(one.pdf, 1e-9, 40)[0] + one.pdf(0.0) == pytest.approx(1.0, abs=1e-7)


def test_sums_of_often_clipped_normals_are_not_normal():
    model, paths = fr.Normal(2.0, 3.0), 200_000
    drawn = model.sample(np.random.default_rng(4), paths, 4).sum((1, 2))
    total = model.distribution(4)
    assert total.mean() == pytest.approx(4 * model.distribution().mean(), rel=1e-4)
    assert total.var() == pytest.approx(4 * model.distribution().var(), rel=1e-4)
    for level in (0.02, 0.1, 0.5, 0.9, 0.99):
        share = (drawn <= model.quantile(level, 4)).mean()
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / paths)
    nothing = model.cdf(0.0) ** 4
    assert model.cdf(0.0, 4) == pytest.approx(nothing, abs=2e-4)


def test_both_ways_to_sum_normals_agree_where_clipping_is_rare(monkeypatch):
    model = fr.Normal(9.0, 2.5)
    closed = [model.quantile(LEVELS[1:-1], span) for span in (2, 7)]
    monkeypatch.setattr(demand_module, "RARE", 0.0)
    convolved = [model.quantile(LEVELS[1:-1], span) for span in (2, 7)]
    np.testing.assert_allclose(convolved, closed, rtol=1e-3)


def test_gamma_takes_either_measure_of_spread():
    one, other = fr.Gamma(4.0, cv=0.5), fr.Gamma(4.0, standard_deviation=2.0)
    assert one.quantile(0.3, 2) == other.quantile(0.3, 2)
    assert other.distribution(9).std() == pytest.approx(6.0)
    assert other.distribution(9).mean() == pytest.approx(36.0)
    assert other.select(np.array([0, 0])).items == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fr.Gamma(4.0), "needs cv or standard_deviation, one of them"),
        (lambda: fr.Gamma(4.0, 0.5, 2.0), "needs cv or standard_deviation, one of them"),
        (lambda: fr.Gamma(-1.0, 0.5), "mean of demand must be a finite number above 0, got -1.0"),
        (lambda: fr.Gamma(1.0, standard_deviation=0.0), "cv of demand must be a finite number above 0"),
        (lambda: fr.NegativeBinomial(0.0, -2.0), "mean of demand .* got 0.0\nsize of demand .* got -2.0"),
        (lambda: fr.Poisson("many"), "mean of demand must be a number, or one an item, got 'many'"),
        (lambda: fr.demand.CompoundPoisson(0.0, SIZES), "rate of demand must be a finite number above 0"),
        (lambda: fr.demand.CompoundPoisson(1.0, [0.5, -0.5]), "sizes of demand must be numbers >= 0"),
        (lambda: fr.demand.CompoundPoisson(np.ones(3), np.ones((2, 4))), "rate has 3, sizes 2"),
        (lambda: fr.demand.Discrete([0.0, 0.0]), "probabilities of demand must be numbers >= 0 that do not all vanish"),
        (lambda: fr.demand.Rounded(fr.Poisson(3.0)), "base of Rounded must be continuous demand"),
        (lambda: fr.Gamma(4.0, 0.5).pmf(3), "Gamma demand is continuous and has no pmf; use cdf"),
        (lambda: fr.NegativeBinomial(np.ones(3), np.ones(2)), "mean and size of demand must be of the same items"),
    ],
)
def test_faults_are_named(make, message):
    with pytest.raises(fr.FractileError, match=message):
        make()


def test_convolution_by_fourier_transform_is_convolution():
    rng = np.random.default_rng(0)
    one, other = (vector / vector.sum() for vector in (rng.random(900), rng.random(700)))
    np.testing.assert_allclose(convolve(one, other), np.convolve(one, other), atol=1e-16)
    thrice = np.convolve(np.convolve(one, one), one)
    np.testing.assert_allclose(power(one, 3), thrice[: len(power(one, 3))], atol=1e-15)
    np.testing.assert_array_equal(power(one, 0), [1.0])


def test_a_lattice_finds_quantiles_of_any_row():
    rows = np.array([[0.25, 0.25, 0.5, 0.0], [0.0, 0.0, 0.0, 1.0]])
    lattice = LatticeDistribution(rows, np.array([0, 1, 0]))
    np.testing.assert_array_equal(lattice.ppf(column(np.array([0.2, 0.3, 0.9]))), [[0, 3, 0], [1, 3, 1], [2, 3, 2]])
    np.testing.assert_allclose(lattice.sf(np.array([0.0, 2.0, -1.0])), [0.75, 1.0, 1.0])
    np.testing.assert_allclose(lattice.pmf(np.array([0.5, 9.0, 1.0])), [0.0, 0.0, 0.25])
