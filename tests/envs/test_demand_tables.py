"""Draws by table: the law is that of the model, in the bulk and far out in the tails."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import fractile as fr
from fractile.envs.demand import DemandTable, inversion, sampling_tables
from fractile.envs.demand.sampling_tables import CELLS, sample_together
from fractile.randomness import keyed_generator

SIZES = np.array([0.0, 0.6, 0.1, 0.0, 0.0, 0.0, 0.3])
MODELS = {
    "poisson 5": fr.Poisson(5.0),
    "poisson 0.03": fr.Poisson(0.03),
    "poisson 900": fr.Poisson(900.0),
    "negative binomial": fr.NegativeBinomial(6.0, 0.7),
    "geometric": fr.Geometric(5.0),
    "compound": fr.demand.CompoundPoisson(2.0, SIZES),
    "uniform": fr.demand.Discrete.uniform(4),
    "rounded": fr.demand.Rounded(fr.Gamma(4.0, cv=0.5)),
}
TABLES = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def law_of(table: DemandTable, largest: int) -> np.ndarray:
    """Probabilities of 0 ... largest as the table gives them: whole cells, and the parts of cells with jumps."""
    mass = np.bincount(table.entries[table.entries >= 0], minlength=largest + 1)[: largest + 1] / CELLS
    for lowest, jumps, upper in zip(table.lowest, table.jumps, table.upper, strict=True):
        inside = jumps[jumps > 0] if upper else jumps[jumps < 1]
        # Shares of the cell between its ends and its jumps, from the end that jumps are measured from.
        parts = -np.diff([1.0, *inside, 0.0]) if upper else np.diff([0.0, *inside, 1.0])
        for k, part in enumerate(parts):
            if lowest + k <= largest:
                mass[lowest + k] += part / CELLS
    return mass


@TABLES
def test_the_law_of_a_table_is_the_models(model):
    exact, got = model.distribution(), law_of(DemandTable.of(model), 1999)
    np.testing.assert_allclose(np.cumsum(got), np.ravel(exact.cdf(np.arange(2000))), rtol=0, atol=4e-15)
    np.testing.assert_allclose(got, np.ravel(exact.pmf(np.arange(2000))), rtol=0, atol=4e-14)


@TABLES
def test_tails_are_right_in_proportion(model):
    exact, got, units = model.distribution(), law_of(DemandTable.of(model), 1999), np.arange(2000)
    upto, beyond = np.cumsum(got), np.append(np.cumsum(got[:0:-1])[::-1], 0.0)
    for mine, theirs in ((upto, np.ravel(exact.cdf(units))), (beyond, np.ravel(exact.sf(units)))):
        # Far below what 16 bits tell apart, and far below the spacing of floats near 1.
        rare = (theirs > 1e-15) & (theirs < 1e-6)
        np.testing.assert_allclose(mine[rare], theirs[rare], rtol=1e-5)
    assert ((beyond > 1e-15) & (beyond < 1e-6)).any() == (np.ravel(exact.sf(4)) > 0)


def test_resolved_draws_are_quantiles_in_both_tails():
    exact = stats.poisson(900.0)
    table = DemandTable.of(fr.Poisson(900.0))
    uniform = np.array([0.0, 1e-9, 1e-6, 0.01, 0.3, 0.77, 0.999])
    for cell, upper in zip(table.cells, table.upper, strict=True):
        got = table.resolve(np.full(len(uniform), cell), uniform)
        if upper:
            survival = (CELLS - 1 - cell + uniform[1:]) / CELLS
            np.testing.assert_array_equal(exact.sf(got[1:]) <= survival, True)
            np.testing.assert_array_equal(exact.sf(got[1:] - 1) > survival, True)
        else:
            level = (cell + uniform[1:]) / CELLS
            np.testing.assert_array_equal(exact.cdf(got[1:]) >= level, True)
            np.testing.assert_array_equal(exact.cdf(got[1:] - 1) < level, True)
    assert table.upper.any()
    assert not table.upper.all()


def test_the_end_of_the_last_cell_holds_what_is_all_but_impossible():
    table = DemandTable.of(fr.Poisson(5.0))
    last = np.array([CELLS - 1] * 3)
    got = table.resolve(last, np.array([0.0, stats.poisson(5.0).sf(29) * CELLS * 0.999, 0.9999]))
    assert stats.poisson(5.0).sf(got[0] - 1) < 1e-24
    assert got[1] >= 30
    assert got[2] == stats.poisson(5.0).ppf(1 - 0.9999 / CELLS)


@TABLES
def test_draws_are_distributed_as_the_model(model):
    drawn = DemandTable.of(model).draw(np.random.default_rng(3), 400_000)
    exact = model.distribution()
    edges = np.unique(np.asarray(exact.ppf(np.linspace(0.001, 0.999, 40))).reshape(-1))
    share = np.diff(np.concatenate([[0.0], np.asarray(exact.cdf(edges)).reshape(-1), [1.0]]))
    seen = np.bincount(np.searchsorted(edges, drawn), minlength=len(share))
    keep = share * len(drawn) > 5
    chi_square = ((seen - share * len(drawn)) ** 2 / np.maximum(share * len(drawn), 1e-300))[keep].sum()
    freedom = max(1, int(keep.sum()) - 1)
    assert chi_square < freedom + 4 * np.sqrt(2 * freedom)
    assert abs(drawn.mean() - exact.mean()) < 4 * exact.std() / np.sqrt(len(drawn))


def test_rare_draws_come_as_often_as_they_should():
    # Cells with a jump are one in 2,500; a draw that settled them wrongly would show here.
    table = DemandTable.of(fr.Poisson(5.0))
    number = 4_000_000
    drawn = table.draw(np.random.Generator(np.random.SFC64(1)), number, np.empty(number, dtype=np.int16))
    for level in (14, 16, 18):
        expected = number * stats.poisson(5.0).sf(level)
        assert abs((drawn > level).sum() - expected) < 4 * np.sqrt(expected) + 1


def test_sums_have_tables_too():
    table = DemandTable.of(fr.Poisson(5.0), span=3)
    np.testing.assert_allclose(law_of(table, 60), stats.poisson(15.0).pmf(np.arange(61)), rtol=0, atol=4e-15)


def test_draws_go_where_they_are_told():
    table = DemandTable.of(fr.Poisson(5.0))
    new = table.draw(np.random.default_rng(5), (3, 7_000))
    out = np.zeros((3, 7_000), dtype=np.float32)
    assert table.draw(np.random.default_rng(5), (3, 7_000), out) is out
    np.testing.assert_array_equal(out, new)
    assert new.dtype == np.float64
    assert table.draw(np.random.default_rng(5), (0, 3)).shape == (0, 3)


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.SFC64, np.random.Philox, np.random.MT19937])
def test_every_bit_generator_serves(bits):
    drawn = DemandTable.of(fr.Poisson(5.0)).draw(np.random.Generator(bits(2)), 100_000)
    assert abs(drawn.mean() - 5.0) < 4 * np.sqrt(5.0 / 100_000)
    assert abs(drawn.var() - 5.0) < 4 * 5.0 * np.sqrt(2.2 / 100_000)


def test_items_of_equal_parameters_share_a_table(monkeypatch):
    model = fr.Poisson(np.array([3.0, 7.0, 3.0]))
    monkeypatch.setattr(inversion, "WORTH_IT", 100)
    sampling_tables._tables.clear()
    drawn = model.sample(np.random.default_rng(0), 100, 50)
    assert len(sampling_tables._tables) == 2
    np.testing.assert_allclose(drawn.mean((0, 1)), [3.0, 7.0, 3.0], atol=4 * np.sqrt(7.0 / 5000))
    assert abs(np.corrcoef(drawn[:, :, 0].ravel(), drawn[:, :, 2].ravel())[0, 1]) < 4 / np.sqrt(5000)


@TABLES
def test_tables_and_searches_invert_the_same_numbers(monkeypatch, model):
    drawn = []
    for worth in (0, 10**12):
        monkeypatch.setattr(inversion, "WORTH_IT", worth)
        drawn.append(model.sample(np.random.default_rng(1), 500, 400))
    np.testing.assert_array_equal(*drawn)
    exact = model.distribution()
    assert abs(drawn[0].mean() - exact.mean()) < 4 * exact.std() / np.sqrt(drawn[0].size)
    # A table's cells with a jump are among them.
    assert drawn[0].size > 100_000


def test_searches_are_right_where_sixteen_bits_do_not_settle_it(monkeypatch):
    # Three values, whose jumps share a cell near the lower end and near the upper one.
    rare = 2.0**-18
    model = fr.demand.Discrete(np.array([rare, rare, 1.0 - 4 * rare, rare, rare]))
    monkeypatch.setattr(inversion, "WORTH_IT", 10**12)
    drawn = model.sample(np.random.default_rng(2), 2000, 3000)
    seen = np.bincount(drawn.astype(int).ravel(), minlength=5)
    expected = rare * drawn.size
    np.testing.assert_allclose(seen[[0, 1, 3, 4]], expected, atol=4 * np.sqrt(expected))
    monkeypatch.setattr(inversion, "WORTH_IT", 0)
    np.testing.assert_array_equal(model.sample(np.random.default_rng(2), 2000, 3000), drawn)


@pytest.mark.parametrize("portion", [1, 10_000])
def test_what_is_held_at_once_changes_nothing(monkeypatch, portion):
    model = fr.Poisson(np.array([3.0, 7.0, 3.0, 900.0, 0.1, 3.0]))
    whole = model.sample(np.random.default_rng(1), 70, 50)
    monkeypatch.setattr(inversion, "AT_ONCE", portion)
    monkeypatch.setattr(inversion, "ROWS", 2)
    np.testing.assert_array_equal(model.sample(np.random.default_rng(1), 70, 50), whole)


@pytest.mark.parametrize("worth", [0, 10**9])
def test_paths_drawn_together_have_the_same_law(monkeypatch, worth):
    monkeypatch.setattr(sampling_tables, "WORTH_IT", worth)
    for model in MODELS.values():
        many = model.select(np.zeros(100, dtype=np.int64))
        drawn = sample_together(many, np.random.default_rng(1), 100)
        exact = model.distribution()
        assert drawn.shape == (100, 100)
        assert abs(drawn.mean() - exact.mean()) < 4 * exact.std() / 100
        assert (drawn == np.floor(drawn)).all()


def test_demand_too_wide_for_a_table_is_drawn_all_the_same():
    model = fr.Poisson(1e7)
    with pytest.raises(fr.FractileError, match=r"at most 4,096 values apart"):
        DemandTable.of(model)
    drawn = model.sample(np.random.default_rng(0), 200, 100)
    assert abs(drawn.mean() - 1e7) < 4 * np.sqrt(1e7 / 20_000)


def test_draws_do_not_depend_on_what_was_drawn_before():
    model = fr.Poisson(np.array([2.0, 4.0]))
    first = model.sample(keyed_generator(1), 256, 100)
    for mean in np.linspace(1.0, 3.0, sampling_tables.KEPT + 5):
        fr.Poisson(mean).sample(np.random.default_rng(0), 256, 100)
    assert len(sampling_tables._tables) <= sampling_tables.KEPT
    np.testing.assert_array_equal(model.sample(keyed_generator(1), 256, 100), first)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DemandTable.of(fr.Normal(5.0, 1.0)), "discrete demand of one item, got Normal with 1 items"),
        (lambda: DemandTable.of(fr.Poisson(np.ones(3))), "got Poisson with 3 items; select one"),
        (
            lambda: DemandTable.of(fr.Poisson(5.0)).draw(np.random.default_rng(0), (2, 3), np.zeros((3, 2))),
            r"contiguous array of the shape \(2, 3\), got \(3, 2\)",
        ),
        (
            lambda: DemandTable.of(fr.Poisson(5.0)).draw(np.random.default_rng(0), (2, 3), np.zeros((3, 2)).T),
            "contiguous",
        ),
        (
            lambda: DemandTable.of(fr.Poisson(200.0)).draw(np.random.default_rng(0), 3, np.zeros(3, dtype=np.int8)),
            "out must hold numbers up to .*, got int8; use int32 or a float type",
        ),
    ],
)
def test_tables_say_what_they_need(call, message):
    with pytest.raises(fr.FractileError, match=message):
        call()
