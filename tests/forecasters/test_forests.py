"""Quantile forests: the leaves' memory against a naive reference, sparse rows, and what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import norm

import fractile
from fractile import FractileError
from fractile.forecasters.conformance import small_panel
from fractile.forecasters.trees.boosting import Trees
from fractile.forecasters.trees.features import build_features, plan_features
from fractile.forecasters.trees.forest import ForestConfig, ForestRows, LeafStore, grow_forest
from fractile.forecasters.trees.sqrf import (
    Rows,
    RowSample,
    SparseForestConfig,
    SparseLayout,
    SparseQuantileForest,
    mark_zeros,
)

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99])
SMALL = SparseForestConfig(trees=8, leaves=20, fewest=10, features=1.0, groups=2)


def meinshausen(leaf, target, weight, leaf_of_new, levels):
    """The definition, row by row and target by target."""
    quantiles = np.empty((len(leaf_of_new), len(levels)))
    order = np.argsort(target, kind="stable")
    for row, leaves in enumerate(leaf_of_new):
        share = np.zeros(len(target))
        for tree, one in enumerate(leaves):
            inside = np.where(leaf[:, tree] == one, weight, 0.0)
            share += inside / inside.sum() / leaf.shape[1]
        reached = np.cumsum(share[order])
        quantiles[row] = [target[order][np.argmax(reached >= level - 1e-6)] for level in levels]
    return quantiles


def grown_forest(rows: int = 400, trees: int = 6) -> tuple[Trees, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(rows, 3))
    target = features[:, 0] + rng.gamma(2.0, 1.0, rows) - 2.0
    config = ForestConfig(trees=trees, leaves=12, fewest=8)
    grown = grow_forest(ForestRows(features, target, np.ones(rows), []), config, trees)
    return grown, features, target


@pytest.mark.parametrize("weighted", [False, True])
def test_leaf_quantiles_are_meinshausens(weighted: bool):
    trees, features, target = grown_forest()
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(target)) if weighted else np.ones(len(target))
    leaf = trees.leaf(features)
    store = LeafStore(trees.leaves, kept=400)
    for part in np.array_split(np.arange(400), 3):
        store.add(leaf[part], target[part], weight[part], np.random.default_rng(part[0]))
    new = trees.leaf(np.random.default_rng(2).normal(size=(50, 3)))
    expected = meinshausen(leaf, target, weight, new, LEVELS)
    np.testing.assert_allclose(store.quantiles(new, LEVELS), expected, rtol=1e-6)


def test_leaf_quantiles_below_zero_and_at_zero_are_in_order():
    store = LeafStore(np.array([1]), kept=6)
    targets = np.array([3.0, -2.0, 0.0, -0.5, 0.0, 7.0])
    store.add(np.zeros((6, 1), dtype=int), targets, np.ones(6), np.random.default_rng(0))
    got = store.quantiles(np.zeros((1, 1), dtype=int), (np.arange(6) + 0.5) / 6)
    np.testing.assert_allclose(got[0], [-2, -0.5, 0, 0, 3, 7])


def test_a_leaf_keeps_a_uniform_sample():
    """Each of 200 targets that come in ten blocks is kept with the same probability, 20 / 200."""
    counts, repeats = np.zeros(200), 400
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        store = LeafStore(np.array([1]), kept=20)
        for block in np.array_split(np.arange(200.0), 10):
            store.add(np.zeros((20, 1), dtype=int), block, np.ones(20), rng)
        counts[store.target[0].astype(int)] += 1
    assert counts.sum() == 20 * repeats
    expected, deviation = 0.1 * repeats, np.sqrt(repeats * 0.1 * 0.9)
    assert np.abs(counts - expected).max() < 4.5 * deviation
    by_block = counts.reshape(10, 20).sum(1)
    assert np.abs(by_block - 20 * expected).max() < 4 * np.sqrt(20) * deviation


def test_a_rebuilt_store_gives_the_same():
    trees, features, target = grown_forest()
    store = LeafStore(trees.leaves, kept=5)
    leaf = trees.leaf(features)
    store.add(leaf, target, np.ones(len(target)), np.random.default_rng(0))
    again = LeafStore.from_arrays(store.arrays(), trees.leaves)
    np.testing.assert_array_equal(again.quantiles(leaf, LEVELS), store.quantiles(leaf, LEVELS))


def test_many_rows_at_once_are_single_rows(monkeypatch: pytest.MonkeyPatch):
    import fractile.forecasters.trees.forest as module

    trees, features, target = grown_forest()
    store = LeafStore(trees.leaves, kept=5)
    leaf = trees.leaf(features)
    store.add(leaf, target, np.ones(len(target)), np.random.default_rng(0))
    whole = store.quantiles(leaf, LEVELS)
    monkeypatch.setattr(module, "SAMPLES", 1)
    np.testing.assert_array_equal(store.quantiles(leaf, LEVELS), whole)
    assert store.quantiles(leaf[:0], LEVELS).shape == (0, len(LEVELS))


def test_a_quantile_forest_finds_a_spread_that_depends_on_a_feature():
    """y ~ N(x, 1 + x), x uniform on (0, 3): the forest's quantiles are the normal's."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 3, 30_000)
    y = x + (1 + x) * rng.standard_normal(30_000)
    features = csr_matrix(np.column_stack([x, rng.normal(size=(30_000, 2))]))
    config = SparseForestConfig(trees=30, leaves=60, fewest=100, features=1.0, kept=64)
    forest = SparseQuantileForest(config).fit([Rows(features, y, np.ones(30_000))])
    new = np.array([0.5, 1.5, 2.5])
    levels = np.array([0.1, 0.5, 0.9])
    got = forest.quantiles(csr_matrix(np.column_stack([new, np.zeros((3, 2)) + 1e-3])), levels)
    expected = new[:, None] + (1 + new[:, None]) * norm.ppf(levels)
    np.testing.assert_allclose(got, expected, atol=0.35)


def zero_or_missing(rows: int = 3000, seed: int = 0) -> tuple[Rows, np.ndarray]:
    """A flag that is missing, 0 or 1; demand is 5, 0 and 1: missing is like neither of the others."""
    rng = np.random.default_rng(seed)
    state = rng.integers(0, 3, rows)
    flag = np.choose(state, [np.nan, 0.0, 1.0])
    dense = np.column_stack([flag, rng.normal(size=rows)])
    target = np.choose(state, [5.0, 0.0, 1.0]) + 0.1 * rng.standard_normal(rows)
    return Rows(stored(dense), target, np.ones(rows)), state


def stored(dense: np.ndarray) -> csr_matrix:
    there = ~np.isnan(dense)
    ends = np.concatenate([[0], np.cumsum(there.sum(1))])
    return csr_matrix((dense[there], np.nonzero(there)[1], ends), shape=dense.shape)


def test_missing_is_not_zero():
    new, state = zero_or_missing(seed=1)
    median = SparseQuantileForest(SMALL).fit([zero_or_missing()[0]]).quantiles(new.features, LEVELS)[:, 3]
    means = [median[state == k].mean() for k in range(3)]
    np.testing.assert_allclose(means, [5.0, 0.0, 1.0], atol=0.1)


def test_without_telling_them_apart_missing_would_be_zero():
    """The control: the same data with its zeros dropped cannot be told apart, so the test above decides."""
    (rows, _), (new, state) = zero_or_missing(), zero_or_missing(seed=1)
    rows.features.eliminate_zeros()
    new.features.eliminate_zeros()
    mean = SparseQuantileForest(SMALL).fit([rows]).quantiles(new.features, (np.arange(20) + 0.5) / 20).mean(1)
    np.testing.assert_allclose([mean[state == k].mean() for k in (0, 1)], 2.5, atol=0.3)


def test_telling_apart_leaves_the_callers_rows_alone():
    rows, _ = zero_or_missing()
    before = rows.features.data.copy()
    apart = mark_zeros(rows.features)
    np.testing.assert_array_equal(rows.features.data, before)
    assert (apart.data != 0).all()
    np.testing.assert_allclose(apart.data, before, atol=1e-29)


def test_a_row_sample_is_uniform_and_bounded():
    counts, repeats = np.zeros(300), 300
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        sample = RowSample(most=15)
        for block in np.array_split(np.arange(300.0), 12):
            sample.add(Rows(csr_matrix(block[:, None] + 1), block, np.ones(25)), rng.random(25))
        rows = sample.rows()
        assert len(rows.target) == 15
        np.testing.assert_array_equal(rows.features.toarray()[:, 0], rows.target + 1)
        counts[rows.target.astype(int)] += 1
    deviation = np.sqrt(repeats * 0.05 * 0.95)
    assert np.abs(counts - 0.05 * repeats).max() < 4.5 * deviation
    assert np.abs(counts.reshape(12, 25).sum(1) - 25 * 0.05 * repeats).max() < 4 * np.sqrt(25) * deviation


def test_how_the_rows_are_cut_into_blocks_does_not_bias():
    """Another cut draws other samples; the quantiles agree within their noise."""
    rows, state = zero_or_missing(6000)
    parts = [Rows(rows.features[p], rows.target[p], rows.weight[p]) for p in np.array_split(np.arange(6000), 7)]
    one, many = (SparseQuantileForest(SMALL).fit(blocks).quantiles(rows.features, LEVELS) for blocks in ([rows], parts))
    for k in range(3):
        np.testing.assert_allclose(one[state == k].mean(0), many[state == k].mean(0), atol=0.1)


def test_the_forest_is_rebuilt_exactly():
    rows, _ = zero_or_missing()
    forest = SparseQuantileForest(SMALL).fit([rows])
    arrays = forest.arrays()
    assert all(array.dtype.kind in "fiu" for array in arrays.values())
    again = SparseQuantileForest.from_arrays(SMALL, arrays)
    np.testing.assert_array_equal(again.quantiles(rows.features, LEVELS), forest.quantiles(rows.features, LEVELS))


def test_bad_blocks_are_refused():
    rows, _ = zero_or_missing(50)
    with pytest.raises(FractileError, match="more than once, got an iterator"):
        SparseQuantileForest(SMALL).fit(iter([rows]))
    with pytest.raises(FractileError, match="at least one row"):
        SparseQuantileForest(SMALL).fit([])
    with pytest.raises(FractileError, match="not fitted"):
        SparseQuantileForest(SMALL).quantiles(rows.features, LEVELS)


def test_each_product_line_has_columns_of_its_own():
    panel = small_panel()
    plan = plan_features(panel, 2)
    block = build_features(panel, plan, np.array([20]), 2)
    layout = SparseLayout.of(plan, block.names, "")
    dense = block.matrix()
    sparse = layout.encode(dense)
    numbers, crossed = len(block.names) - 1, len(layout.crossed)
    assert sparse.shape == (20, numbers + 3 + 3 * crossed)
    for item in range(panel.items):
        row, own = sparse[2 * item].toarray()[0], dense[2 * item, 1:]
        np.testing.assert_array_equal(row[:numbers], np.nan_to_num(own))
        np.testing.assert_array_equal(row[numbers : numbers + 3], np.eye(3)[item % 3])
        lines = row[numbers + 3 :].reshape(3, crossed)
        np.testing.assert_array_equal(lines[item % 3], np.nan_to_num(own[list(layout.crossed)]))
        assert not lines[np.arange(3) != item % 3].any()
    assert sparse.nnz == np.isfinite(dense[:, 1:]).sum() + 20 + np.isfinite(dense[:, 1:][:, list(layout.crossed)]).sum()


def test_an_unknown_line_is_absent_and_a_wrong_one_is_refused():
    panel = small_panel()
    plan = plan_features(panel, 2)
    block = build_features(panel, plan, np.array([20]), 2)
    layout = SparseLayout.of(plan, block.names, "group")
    dense = block.matrix()
    dense[:, 0] = np.nan
    numbers = len(block.names) - 1
    assert layout.encode(dense)[:, numbers:].nnz == 0
    with pytest.raises(FractileError, match=r"lines must be a static attribute .* got 'grop'; did you mean 'group'"):
        SparseLayout.of(plan, block.names, "grop")


def test_stored_zeros_survive_the_encoding():
    panel = small_panel()
    plan = plan_features(panel, 2)
    block = build_features(panel, plan, np.array([20]), 2)
    sparse = SparseLayout.of(plan, block.names, "").encode(block.matrix())
    column = block.names.index("promotion:target") - 1
    values = np.broadcast_to(block.columns["promotion:target"], block.shape).ravel()
    assert sparse[:, [column]].nnz == len(values)
    assert (values == 0).any()


@pytest.mark.slow
def test_ten_million_rows_train_in_bounded_memory(tmp_path: Path):
    """80 million entries, 640 MB as CSR alone, never held together."""
    script = Path(fractile.__file__).parent / "benchmarks" / "forest.py"
    out = tmp_path / "forest.json"
    command = [sys.executable, str(script), "--json", str(out)]
    command += ["--rows", "10000000", "--features", "40", "--entries", "8", "--trees", "24"]
    subprocess.run(command, check=True, timeout=1800)
    measured = json.loads(out.read_text(encoding="utf-8"))
    assert measured["peak_gib"] < 1.0
    assert measured["loss_over_that_of_plain_quantiles"] < 0.8
    assert abs(measured["coverage_50"] - 0.5) < 0.05
