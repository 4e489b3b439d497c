"""What the lineage's section is made of: the files of a league, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...errors import FractileError
from ..report.words import period_of
from .names import TRUTH
from .table import DIFFERENCES, HELD


@dataclass(frozen=True, eq=False)
class LineageRun:
    """A league's files.

    Attributes:
        asked: what was asked, and of which data.
        table: a row a forecaster.
        differences: a row a pair.
        held: where the history's order holds.
        telling: the items that are drawn, with the rule that chose each.
        scores: a row a forecaster, horizon and level.
        calibration: a row a forecaster and level.
        fans: the telling items' quantiles.
        history: what they sold.
    """

    asked: Mapping[str, Any]
    table: pd.DataFrame
    differences: pd.DataFrame
    held: pd.DataFrame
    telling: list[Mapping[str, str]]
    scores: pd.DataFrame
    calibration: pd.DataFrame
    fans: pd.DataFrame
    history: pd.DataFrame

    @property
    def sound(self) -> pd.DataFrame:
        """The rows of forecasters that did not fail."""
        return self.table[self.table["error"].isna()]

    @property
    def ranked(self) -> pd.DataFrame:
        """The same without the truth, lowest loss first."""
        return self.sound[self.sound["forecaster"] != TRUTH].sort_values("wql", kind="stable")

    def periods(self, amount: int = 2) -> str:
        """Return what periods are called."""
        return period_of(str(self.asked["freq"]), amount)


def read_lineage(folder: Path) -> LineageRun:
    """Read what `write_league` wrote.

    Raises:
        FractileError: where a file is missing or damaged.
    """
    try:
        said = json.loads((folder / "league.json").read_text(encoding="utf-8"))
        frames = {
            name: pd.read_parquet(folder / f"{name}.parquet") for name in ("scores", "calibration", "fans", "history")
        }
        columns = {"table": None, "differences": list(DIFFERENCES), "held": list(HELD)}
        tables = {name: pd.DataFrame(said[name], columns=wanted) for name, wanted in columns.items()}
        return LineageRun(asked=said["asked"], telling=said["telling"], **tables, **frames)
    except (OSError, ValueError, KeyError) as fault:
        raise FractileError(f"{folder}: holds no whole league ({fault}); run `fractile lineage` again") from None
