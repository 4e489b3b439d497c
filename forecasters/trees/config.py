"""Options of the tree forecasters."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import FractileError
from ..base import Options, check_levels


@dataclass(frozen=True)
class TreeConfig(Options):
    """What all trees have.

    Attributes:
        horizon: periods ahead that are trained; a forecast reaches no further. [H]
        trees: grown for each quantile level (boosting) or in all (forests).
        leaves: of a tree, at most.
        fewest: rows in a leaf, at least.
        features: share of the features that a tree (boosting) or a split (forests) may choose from.
        bag: share of the rows that a tree is grown on.
        power: rows weigh `level ** power`: 1 is the loss in units, 0 relative to the item's level.
        most_rows: of the training table; beyond it they are drawn at random.
        seed: of rows, bags and features.
        threads: of LightGBM; more are quicker, and the trees the same.
    """

    horizon: int = 12
    trees: int = 100
    leaves: int = 15
    fewest: int = 100
    features: float = 0.4
    bag: float = 0.6
    power: float = 0.4
    most_rows: int = 100_000
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("horizon", "trees", "fewest", "most_rows", "threads"):
            self.require(name, getattr(self, name) >= 1 and int(getattr(self, name)) == getattr(self, name), ">= 1")
        self.require("leaves", self.leaves >= 2, ">= 2")
        for name in ("features", "bag"):
            self.require(name, 0 < getattr(self, name) <= 1, "in (0, 1]")
        self.require("power", 0 <= self.power <= 1, "in [0, 1]")

    def require(self, name: str, holds: bool, rule: str) -> None:
        """Refuse an option that breaks its rule."""
        if not holds:
            raise FractileError(f"{name} must be {rule}, got {getattr(self, name)}; change it")


@dataclass(frozen=True)
class BoostingConfig(TreeConfig):
    """Boosted trees, one sequence for each level; the other options are those of all trees.

    Attributes:
        levels: quantile levels that are trained; others are interpolated.
        learning_rate: share of each tree's step that is taken.
    """

    trees: int = 200
    levels: tuple[float, ...] = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99)
    learning_rate: float = 0.06

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels(self.levels)
        self.require("learning_rate", 0 < self.learning_rate <= 1, "in (0, 1]")


@dataclass(frozen=True)
class ForestConfig(TreeConfig):
    """A forest; the options are those of all trees."""

    trees: int = 64
    leaves: int = 1000
    fewest: int = 10
    power: float = 0.5


@dataclass(frozen=True)
class QuantileForestConfig(ForestConfig):
    """A quantile forest; the other options are those of every forest.

    Attributes:
        kept: training targets that a leaf keeps, at most.
    """

    kept: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("kept", self.kept >= 1, ">= 1")


@dataclass(frozen=True)
class SparseForestConfig(QuantileForestConfig):
    """A sparse quantile forest; the other options are those of every quantile forest.

    Attributes:
        groups: of trees, each group grown on rows of its own.
        group_rows: of such a group, at most; what is held in memory.
        lines: static attribute whose values have features of their own; the one with the fewest values where
            it is empty.
    """

    most_rows: int = 1_000_000
    groups: int = 4
    group_rows: int = 50_000
    lines: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("groups", "group_rows"):
            self.require(name, getattr(self, name) >= 1, ">= 1")
