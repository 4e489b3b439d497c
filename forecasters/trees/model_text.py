"""LightGBM's model files, checked before its parser reads them.

That parser trusts what it reads: a count that is too large or a child that does not exist makes it read foreign memory,
and a circle of children never ends. So a file is taken apart here into numbers, the numbers are checked (every length,
each split and leaf has one parent, features and categories exist, leaves are finite), and the parser is given a new
text of these numbers alone. Digits are copied as they stand, so that predictions stay the same to the last bit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ...arrays import FloatArray, IntArray
from ...errors import FractileError

MOST_TREES, MOST_LEAVES, MOST_FEATURES = 100_000, 131_072, 1_000_000
"""Of a model, of a tree (LightGBM's own limit), and of a row."""
OBJECTIVES = re.compile(r"(quantile|regression)( alpha:[0-9.]+)?")
"""Those whose predictions are sums of leaves, with nothing done to them."""
WHOLE = re.compile(r"(?:-?[0-9]{1,10}(?: -?[0-9]{1,10})*)?")
NUMBER = r"-?(?:inf|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)"
REAL = re.compile(rf"(?:{NUMBER}(?: {NUMBER})*)?")
CATEGORY, HIGHEST_DECISION = 1, 11
"""Of a split's `decision_type`: the bit of a split by category; its highest value, with a default side (2) and one of
three kinds of missing values (0, 4, 8)."""


@dataclass(frozen=True)
class ModelText:
    """A model whose numbers were checked.

    Attributes:
        text: what LightGBM's parser may read.
        leaves: of each tree, shape (trees,).
    """

    text: str
    leaves: IntArray


def check_model(text: bytes) -> ModelText:
    """Return a model file of LightGBM, rebuilt from its checked numbers.

    Raises:
        FractileError: names the tree and the rule that its file breaks.
    """
    try:
        lines = text.decode("ascii").split("\n")
    except UnicodeDecodeError:
        _refuse("the model", "must be ASCII text")
    starts = [k for k, line in enumerate(lines) if line.startswith("Tree=")]
    try:
        end = lines.index("end of trees")
    except ValueError:
        _refuse("the model", "has no end of trees: it was cut short")
    if not starts or starts[-1] > end or len(starts) > MOST_TREES:
        _refuse("the model", f"must have 1 to {MOST_TREES:,} trees")
    header = _pairs(lines[: starts[0]], "the header")
    features = _check_header(header)
    parts, leaves = [_header_text(header, features)], []
    for number, (first, last) in enumerate(zip(starts, [*starts[1:], end], strict=True)):
        name = f"tree {number}"
        if lines[first] != f"Tree={number}":
            _refuse(name, f"must begin with Tree={number}, got {lines[first][:40]!r}")
        tree = _pairs(lines[first + 1 : last], name)
        leaves.append(_check_tree(tree, name, features))
        kept = (f"{key}={tree[key]}" for key in KEPT if key in tree)
        parts.append("\n".join([f"Tree={number}", *kept, "", ""]))
    return ModelText("\n".join([*parts, "end of trees", ""]), np.array(leaves, dtype=np.int64))


KEPT = (
    *("num_leaves", "num_cat", "split_feature", "threshold", "decision_type", "left_child", "right_child"),
    *("leaf_value", "cat_boundaries", "cat_threshold", "shrinkage"),
)
"""What predictions need of a tree."""


def _pairs(lines: list[str], where: str) -> dict[str, str]:
    """Return the keys and values of some lines; a line without a value is a key with none."""
    found: dict[str, str] = {}
    for line in filter(None, lines):
        key, _, value = line.partition("=")
        if key in found:
            _refuse(where, f"has {key[:40]!r} twice")
        found[key] = value
    return found


def _check_header(header: Mapping[str, str]) -> int:
    """Return how many features a row has."""
    for key, known in {"num_class": "1", "num_tree_per_iteration": "1", "label_index": "0"}.items():
        if header.get(key) != known:
            _refuse("the header", f"must have {key}={known}, got {header.get(key, 'nothing')[:40]!r}")
    if header.get("version") not in ("v3", "v4"):
        _refuse("the header", f"must have version=v3 or v4, got {header.get('version', 'nothing')[:40]!r}")
    objective = header.get("objective", "")
    if not OBJECTIVES.fullmatch(objective):
        _refuse("the header", f"must have the objective quantile or regression, got {objective[:40]!r}")
    last = _whole(header, "max_feature_idx", "the header", 1)[0]
    if not 0 <= last < MOST_FEATURES:
        _refuse("the header", f"must have max_feature_idx in 0 … {MOST_FEATURES - 1}, got {last}")
    return int(last) + 1


def _header_text(header: Mapping[str, str], features: int) -> str:
    """Return the header that a parser needs: predictions use neither names nor ranges of features."""
    lines = ["tree", f"version={header['version']}", "num_class=1", "num_tree_per_iteration=1", "label_index=0"]
    lines += [f"max_feature_idx={features - 1}", "objective=regression"]
    lines += ["average_output"] if "average_output" in header else []
    names = " ".join(f"Column_{k}" for k in range(features))
    return "\n".join([*lines, f"feature_names={names}", f"feature_infos={' '.join(['none'] * features)}", "", ""])


def _check_tree(tree: Mapping[str, str], name: str, features: int) -> int:
    """Return how many leaves a tree has."""
    leaves = int(_whole(tree, "num_leaves", name, 1)[0])
    if not 1 <= leaves <= MOST_LEAVES:
        _refuse(name, f"must have 1 to {MOST_LEAVES:,} leaves, got {leaves}")
    if tree.get("is_linear", "0") != "0":
        _refuse(name, "must have constant leaves")
    for key, number in (("leaf_value", leaves), ("shrinkage", 1)):
        if not np.isfinite(_real(tree, key, name, number)).all():
            _refuse(name, f"must have finite {key}")
    splits = leaves - 1
    categories = int(_whole(tree, "num_cat", name, 1)[0])
    if not 0 <= categories <= splits:
        _refuse(name, f"must have 0 to {splits} splits by category, got {categories}")
    feature = _whole(tree, "split_feature", name, splits)
    threshold = _real(tree, "threshold", name, splits)
    decision = _whole(tree, "decision_type", name, splits)
    children = np.stack([_whole(tree, side, name, splits) for side in ("left_child", "right_child")])
    _inside(feature, 0, features - 1, name, "split_feature")
    _inside(decision, 0, HIGHEST_DECISION, name, "decision_type")
    by_category = decision & CATEGORY == CATEGORY
    if categories:
        _check_categories(tree, name, categories, threshold[by_category])
    elif by_category.any():
        _refuse(name, "splits by category, and has none")
    # A leaf k is written as the child −k − 1. Each split but the first, and each leaf, has one parent, and a split
    # stands after its parent: so there is no circle, and every row reaches a leaf.
    _inside(children, -leaves, splits - 1, name, "child")
    if splits and not np.array_equal(np.sort(children, axis=None), [*range(-leaves, 0), *range(1, splits)]):
        _refuse(name, "must have each split and each leaf below one parent")
    if (children <= np.arange(splits))[children >= 0].any():
        _refuse(name, "must have each split after its parent")
    return leaves


def _check_categories(tree: Mapping[str, str], name: str, categories: int, threshold: FloatArray) -> None:
    """Check the sets of categories: each split by category names one, as words of 32 bits."""
    bounds = _whole(tree, "cat_boundaries", name, categories + 1)
    words = _whole(tree, "cat_threshold", name, int(np.clip(bounds[-1], 0, 2**31)))
    if bounds[0] != 0 or (np.diff(bounds) < 1).any():
        _refuse(name, "must have cat_boundaries that begin with 0 and increase")
    _inside(words, 0, 2**32 - 1, name, "cat_threshold")
    if (threshold != np.rint(threshold)).any():
        _refuse(name, "must have whole numbers of category sets")
    _inside(threshold, 0, categories - 1, name, "threshold of a split by category")


def _inside(values: IntArray | FloatArray, low: int, high: int, name: str, key: str) -> None:
    outside = values[(values < low) | (values > high)]
    if outside.size:
        _refuse(name, f"must have {key} in {low} … {high}, got {outside.flat[0]:g}")


def _whole(table: Mapping[str, str], key: str, name: str, number: int) -> IntArray:
    return _numbers(table, key, name, number, WHOLE, np.int64)


def _real(table: Mapping[str, str], key: str, name: str, number: int) -> FloatArray:
    return _numbers(table, key, name, number, REAL, np.float64)


def _numbers(
    table: Mapping[str, str], key: str, name: str, number: int, form: re.Pattern[str], kind: type
) -> np.ndarray[Any, Any]:
    text = table.get(key, "")
    if not form.fullmatch(text):
        _refuse(name, f"must have plain numbers as {key}")
    found: np.ndarray[Any, Any] = np.array(text.split(), dtype=kind)
    if len(found) != number:
        _refuse(name, f"must have {number} numbers as {key}, got {len(found)}")
    return found


def _refuse(where: str, rule: str) -> NoReturn:
    raise FractileError(f"LightGBM's model: {where} {rule}; the file is damaged: fit and save it again")
