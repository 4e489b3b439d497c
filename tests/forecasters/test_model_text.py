"""LightGBM's parser and predictor never see a file that was not checked: nothing that is read crashes or hangs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from fractile import FractileError
from fractile.forecasters.trees.boosting import COMMON, Trees
from fractile.forecasters.trees.forest import LeafStore
from fractile.forecasters.trees.model_text import check_model

ROWS, FEATURES = 400, 6
FOREST = {"boosting": "rf", "objective": "regression", "bagging_fraction": 0.9, "bagging_freq": 1}


def rows(seed=0):
    """Features with gaps, two of them categories, and what they say of a target."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(ROWS, FEATURES))
    features[:, 1], features[:, 2] = rng.integers(0, 70, ROWS), rng.integers(0, 5, ROWS)
    features[rng.random(features.shape) < 0.1] = np.nan
    known = np.nan_to_num(features)
    return features, known[:, 0] + known[:, 1] % 7 + np.abs(known[:, 3]) + rng.normal(size=ROWS)


def grown(trees=5, target=None, sparse=False, **options):
    """Return rows and the text of a model on them."""
    import lightgbm

    features, usual = rows()
    features = csr_matrix(np.nan_to_num(features) * (np.abs(np.nan_to_num(features)) > 0.6)) if sparse else features
    settings = {
        **COMMON,
        "min_data_per_group": 5,
        "cat_smooth": 1.0,
        "num_threads": 1,
        "num_leaves": 9,
        "seed": 1,
        **options,
    }
    categories = [] if sparse else [1, 2]
    data = lightgbm.Dataset(features, usual if target is None else target, categorical_feature=categories)
    return features, lightgbm.train(settings, data, trees).model_to_string()


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({"objective": "quantile", "alpha": 0.9}, {}),
        ({"objective": "quantile", "alpha": 0.5, "num_leaves": 40, "min_data_in_leaf": 2}, {"trees": 40}),
        (FOREST, {}),
        ({**FOREST, "zero_as_missing": True}, {"sparse": True}),
        ({"objective": "quantile"}, {"target": np.zeros(ROWS)}),
        (FOREST, {"target": np.ones(ROWS)}),
    ],
)
def test_a_checked_model_predicts_the_same_to_the_last_bit(options, more):
    """Of categories, gaps, sparse rows and trees of a single leaf; on other rows than those it was grown on, too."""
    import lightgbm

    features, text = grown(**options, **more)
    own, whole = lightgbm.Booster(model_str=text), lightgbm.Booster(model_str=check_model(text.encode()).text)
    others = features if isinstance(features, csr_matrix) else np.concatenate([features, 3 * rows(seed=1)[0]])
    for asked in ({}, {"pred_leaf": True}):
        np.testing.assert_array_equal(whole.predict(others, **asked), own.predict(others, **asked))
    assert check_model(text.encode()).leaves.tolist() == [
        int(line.partition("=")[2]) for line in text.splitlines() if line.startswith("num_leaves=")
    ]


SMALL = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=5
objective=quantile
feature_names=a b c d e f
feature_infos=none none none none none none
tree_sizes=9 9

Tree=0
num_leaves=4
num_cat=1
split_feature=0 1 2
threshold=0.5 0 inf
decision_type=2 1 8
left_child=1 -1 -2
right_child=2 -3 -4
leaf_value=1 2 3 4
cat_boundaries=0 2
cat_threshold=401 7
is_linear=0
shrinkage=1


Tree=1
num_leaves=1
num_cat=0
leaf_value=0.5
shrinkage=1


end of trees

parameters:
[num_threads: 1]
end of parameters
"""
"""A model of two trees, one with a split by category."""


def test_the_small_model_predicts_what_is_written_in_it():
    """Left where at most 0.5; then category 0, 4, 7, 8 or 32 … 34 (bits of 401 and 7), or present, on the left."""
    trees = Trees(np.frombuffer(SMALL.encode(), dtype=np.uint8), 1)
    rows = np.zeros((6, FEATURES))
    rows[:, 0] = [0.5, 0.5, 0.5, 0.6, 0.6, np.nan]
    rows[:, 1] = [34, 1, np.nan, 0, 0, 8]
    rows[4, 2] = np.nan
    assert trees.predict(rows).tolist() == [1.5, 3.5, 3.5, 2.5, 4.5, 1.5]
    assert trees.leaf(rows)[:, 0].tolist() == [0, 2, 2, 1, 3, 0]


def changed(text, key, change, tree=0):
    """Return a text in which the first line of a key, from a tree on, has other numbers."""
    lines = text.split("\n")
    start = lines.index(f"Tree={tree}")
    at = next(k for k in range(start, len(lines)) if lines[k].startswith(f"{key}="))
    numbers = lines[at].partition("=")[2].split()
    lines[at] = f"{key}={' '.join(map(str, change(numbers)))}"
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("num_leaves", lambda n: [10**9], "must have 1 to 131,072 leaves, got 1000000000"),
        ("num_leaves", lambda n: [int(n[0]) + 1], "must have 5 numbers as leaf_value, got 4"),
        ("num_leaves", lambda n: [0], "must have 1 to 131,072 leaves, got 0"),
        ("num_leaves", lambda n: [-5], "must have 1 to 131,072 leaves, got -5"),
        ("num_leaves", lambda n: ["4x"], "must have plain numbers as num_leaves"),
        ("num_leaves", lambda n: [4, 4], "must have 1 numbers as num_leaves, got 2"),
        ("left_child", lambda n: [0, *n[1:]], "must have each split and each leaf below one parent"),
        ("left_child", lambda n: [n[0], 0, *n[2:]], "must have each split and each leaf below one parent"),
        ("left_child", lambda n: [10**6, *n[1:]], "must have child in -4 … 2, got 1e\\+06"),
        ("right_child", lambda n: [*n[:-1], -50], "must have child in -4 … 2, got -50"),
        ("right_child", lambda n: [*n[:-1], n[0]], "must have each split and each leaf below one parent"),
        ("split_feature", lambda n: [FEATURES, *n[1:]], "must have split_feature in 0 … 5, got 6"),
        ("split_feature", lambda n: [-1, *n[1:]], "must have split_feature in 0 … 5, got -1"),
        ("split_feature", lambda n: n[1:], "must have 3 numbers as split_feature, got 2"),
        ("threshold", lambda n: ["nan", *n[1:]], "must have plain numbers as threshold"),
        ("threshold", lambda n: ["0x10", *n[1:]], "must have plain numbers as threshold"),
        ("leaf_value", lambda n: ["inf", *n[1:]], "must have finite leaf_value"),
        ("leaf_value", lambda n: ["1e999", *n[1:]], "must have finite leaf_value"),
        ("leaf_value", lambda n: ["1_0", *n[1:]], "must have plain numbers as leaf_value"),
        ("decision_type", lambda n: [255, *n[1:]], "must have decision_type in 0 … 11, got 255"),
        ("cat_boundaries", lambda n: [1, 2], "must have cat_boundaries that begin with 0"),
        ("threshold", lambda n: [n[0], 1, n[2]], "must have threshold of a split by category in 0 … 0, got 1"),
        ("threshold", lambda n: [n[0], 0.5, n[2]], "must have whole numbers of category sets"),
        ("num_cat", lambda n: [10**9], "must have 0 to 3 splits by category"),
        ("is_linear", lambda n: [1], "must have constant leaves"),
        ("shrinkage", lambda n: [], "must have 1 numbers as shrinkage, got 0"),
        ("cat_boundaries", lambda n: [0, 10**9], "must have 1000000000 numbers as cat_threshold"),
        ("cat_boundaries", lambda n: [0, -3], "must have 0 numbers as cat_threshold, got 2"),
        ("cat_threshold", lambda n: [2**33, 7], "must have cat_threshold in 0 … 4294967295, got"),
    ],
)
def test_each_rule_is_kept(key, change, message):
    with pytest.raises(FractileError, match=rf"LightGBM's model: tree 0 ({message}).*fit and save it again"):
        check_model(changed(SMALL, key, change).encode())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_class=1", "num_class=1000000", "the header must have num_class=1"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=0", "the header must have num_tree_per_iteration=1"),
        ("max_feature_idx=5", "max_feature_idx=999999999", "max_feature_idx in 0 … 999999, got 999999999"),
        ("max_feature_idx=5", "max_feature_idx=-1", "max_feature_idx in 0 … 999999, got -1"),
        ("max_feature_idx=5", "max_feature_idx=1", "must have split_feature in 0 … 1, got 2"),
        ("objective=quantile", "objective=multiclass num_class:9", "must have the objective quantile or regression"),
        ("objective=quantile", "objective=regression sqrt", "must have the objective quantile or regression"),
        ("version=v4", "version=v9", "must have version=v3 or v4"),
        ("Tree=1\n", "Tree=7\n", "tree 1 must begin with Tree=1, got 'Tree=7'"),
        ("end of trees", "end", "has no end of trees"),
        ("num_leaves=4", "num_leaves=4\nnum_leaves=4", "has 'num_leaves' twice"),
        ("tree\n", "trée\n", "must be ASCII text"),
    ],
)
def test_the_frame_is_checked(old, new, message):
    assert old in SMALL
    with pytest.raises(FractileError, match=message):
        check_model(SMALL.replace(old, new, 1).encode())


def test_a_split_after_its_child_is_refused():
    """Parents and children in a circle, each with one parent: two splits below each other, apart from the first."""
    text = SMALL.replace("left_child=1 -1 -2", "left_child=-1 2 1").replace(
        "right_child=2 -3 -4", "right_child=-2 -3 -4"
    )
    with pytest.raises(FractileError, match="must have each split after its parent"):
        check_model(text.encode())


@pytest.mark.parametrize("wrong", ["offset", "shape", "type", "nan", "negative", "empty"])
def test_leaves_must_be_those_of_the_trees(wrong):
    leaves = np.array([2, 3])
    arrays = {
        "leaf_offset": np.array([0, 2, 5]),
        "leaf_target": np.ones((5, 4), dtype=np.float32),
        "leaf_weight": np.ones((5, 4), dtype=np.float32),
    }
    LeafStore.from_arrays(arrays, leaves)
    changes = {
        "offset": {"leaf_offset": np.array([0, 3, 5])},
        "shape": {"leaf_target": np.ones((4, 4), dtype=np.float32)},
        "type": {"leaf_weight": np.ones((5, 4))},
        "nan": {"leaf_target": np.full((5, 4), np.nan, dtype=np.float32)},
        "negative": {"leaf_weight": np.full((5, 4), -1, dtype=np.float32)},
        "empty": {name: np.ones((5, 0), dtype=np.float32) for name in ("leaf_target", "leaf_weight")},
    }
    with pytest.raises(FractileError, match=r"leaf_target"):
        LeafStore.from_arrays(arrays | changes[wrong], leaves)


MUTATIONS = """
import sys
import numpy as np
from fractile import FractileError
from fractile.forecasters.trees.boosting import Trees
sys.path.insert(0, sys.argv[1])
from test_model_text import grown, mutated
counts = {"refused": 0, "predicted": 0}
for options in ({"objective": "quantile", "alpha": 0.9}, {"boosting": "rf", "bagging_fraction": .9, "bagging_freq": 1}):
    features, text = grown(**options)
    for seed in range(int(sys.argv[2])):
        damaged = mutated(text, np.random.default_rng(seed))
        try:
            trees = Trees(np.frombuffer(damaged, dtype=np.uint8), 1)
        except FractileError:
            counts["refused"] += 1
            continue
        leaf, value = trees.leaf(features), trees.predict(features)
        assert np.isfinite(value).all() and leaf.shape == (len(features), len(trees.leaves))
        assert (leaf >= 0).all() and (leaf < trees.leaves).all()
        counts["predicted"] += 1
print(counts["refused"], counts["predicted"])
"""


WILD = (-1, 0, 1, 7, 2**31 - 1, -(2**31), 2**32, 10**18, "nan", "inf", "1e308", "-1e308", "", "x", "0.5")
"""What numbers are replaced by."""


def mutated(text, rng):
    """Return a text that somebody damaged, or changed so that it looks whole; the hashes are no hindrance here."""
    lines = text.split("\n")
    if rng.random() < 0.2:  # bytes
        data = bytearray(text.encode())
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] = rng.integers(256)
        return bytes(data)
    if rng.random() < 0.1:
        return "\n".join(lines[: rng.integers(len(lines))]).encode()
    for _ in range(rng.integers(1, 3)):
        at = rng.choice([k for k, line in enumerate(lines) if "=" in line])
        key, _, value = lines[at].partition("=")
        words = value.split()
        kind = rng.integers(6)
        if kind < 2:  # a line less, or twice
            lines[at : at + 1] = [lines[at]] * (2 * kind)
            continue
        if words and kind > 3:
            words[rng.integers(len(words))] = WILD[rng.integers(len(WILD))]
        words = {2: words * 2, 3: words[: len(words) // 2]}.get(int(kind), words)
        lines[at] = f"{key}={' '.join(map(str, words))}"
    return "\n".join(lines).encode()


def try_mutations(number):
    """Run mutations of two models in another process, which must come to its end, and return what became of them."""
    from pathlib import Path

    command = [sys.executable, "-P", "-c", MUTATIONS, str(Path(__file__).parent), str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return tuple(map(int, done.stdout.split()))


def test_no_damaged_model_crashes_the_process():
    refused, predicted = try_mutations(200)
    assert refused + predicted == 400
    assert refused > 100
    assert predicted > 20  # what predictions do not need, or another number that may stand there


@pytest.mark.slow
def test_no_damaged_model_crashes_the_process_at_length():
    assert sum(try_mutations(5000)) == 10_000


def test_trees_are_refused_where_they_are_read():
    text = changed(SMALL, "left_child", lambda n: [10**6, *n[1:]])
    with pytest.raises(FractileError, match="LightGBM's model"):
        Trees(np.frombuffer(text.encode(), dtype=np.uint8), 1)
