"""The files of a run folder, read and checked for a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...errors import FractileError, InputError
from ...files import inside, read_json
from ...forecasters.data.matching import unescape_ids
from ..advice import rivals_of
from ..folder import read_manifest
from ..integrity import read_table
from ..league.table import LeagueFiles, read_league
from .text import period_of

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "comparison": (
        *("policy", "kind", "cost", "holding", "stockout", "ordering", "fill_rate"),
        *("mean_on_hand", "volatility_ratio", "saving", "saving_low", "saving_high"),
    ),
    "forecast_value": ("forecaster", "policy", "cost", "fill_rate", "saving", "saving_low", "saving_high"),
    "scores": ("forecaster", "level", "horizon", "pinball", "wql", "coverage"),
    "trajectories": ("policy", "item_id", "period", "date", "demand", "order", "shortfall", "on_hand", "cost"),
    "fans": ("item_id", "origin_date", "date", "horizon", "level", "value"),
    "history": ("item_id", "date", "sales", "in_stock"),
    "items": ("item_id",),
}
"""Columns that each file must have; the file's name is the key with `.parquet`."""
REQUIRED = ("comparison", "trajectories")
ORDERS = ("item_id", "order", "order_up_to", "critical_quantile")
"""Columns of `orders.csv`."""
LEAGUE = "lineage"
"""Folder of the league's files."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder's content; a file that is missing is an empty frame.

    Attributes:
        manifest: command, data, seed and versions of the run.
        comparison: a row a policy.
        forecast_value: a row a forecaster and policy.
        scores: a row a forecaster, level and horizon (0: all of them).
        trajectories: a row a policy, item and held-out period.
        fans: quantiles of a few items.
        history: sales of the same items.
        items: lead times and costs.
        orders: the next period's.
        lineage: the league of forecasters, where the study made one.
        folder: the run folder itself.
    """

    manifest: Mapping[str, Any]
    comparison: pd.DataFrame
    forecast_value: pd.DataFrame
    scores: pd.DataFrame
    trajectories: pd.DataFrame
    fans: pd.DataFrame
    history: pd.DataFrame
    items: pd.DataFrame
    orders: pd.DataFrame
    lineage: LeagueFiles | None = None
    folder: Path = Path()

    def frame(self, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
        """Read a file that only one part of the report needs; an empty frame where the run has none.

        Args:
            name: of the file in the run folder, `.parquet` or `.csv`.
            columns: those that it must have.
        """
        return _frame(self.folder, name, columns)

    def document(self, name: str) -> Any:
        """Read a JSON file of the run folder; None where the run has none."""
        path = inside(self.folder, name)
        if not path.is_file():
            return None
        try:
            return read_json(path)
        except FractileError as error:
            raise FractileError(f"{path}: cannot be read ({error}); run the study again") from None

    @property
    def baseline(self) -> str:
        """The policy that savings are measured against."""
        return str(self.manifest["baseline"])

    @property
    def level(self) -> float:
        """Of the intervals."""
        return float(self.manifest["level"])

    @property
    def rivals(self) -> pd.DataFrame:
        """Policies but the baseline and bounds, cheapest first."""
        table = self.comparison
        chosen = (table["kind"] == "policy") & (table["policy"] != self.baseline)
        return table[chosen].sort_values("cost", kind="stable")

    @property
    def best(self) -> str:
        """The policy that the report is about: the one that the advice is, else the cheapest but the baseline.

        The baseline where there is no other.
        """
        advised = (self.manifest.get("advice") or {}).get("candidate")
        if advised in set(self.comparison["policy"]):
            return str(advised)
        rivals = rivals_of(self.comparison, self.baseline)
        return str(rivals["policy"].iloc[0]) if len(rivals) else self.baseline

    def periods(self, number: int = 2) -> str:
        """Return the word for the periods of this run."""
        return period_of(self.manifest.get("data", {}).get("freq"), number)


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        FractileError: where the manifest, the comparison or the trajectories are missing, a file lacks a column, or
            the run compares nothing.
    """
    manifest = read_manifest(folder)
    if manifest.get("kind", "study") != "study":
        kind = manifest["kind"]
        raise InputError([f"{folder}: is a run of `fractile {kind}`, which compares nothing; give one of `study`"])
    missing = [f"{name}.parquet" for name in REQUIRED if not (folder / f"{name}.parquet").is_file()]
    if missing:
        raise InputError([f"{folder / name}: is missing; `fractile study` writes it: run it again" for name in missing])
    frames = {name: _frame(folder, f"{name}.parquet", columns) for name, columns in COLUMNS.items()}
    league = read_league(inside(folder, LEAGUE)) if (folder / LEAGUE).is_dir() else None
    orders = unescape_ids(_frame(folder, "orders.csv", ORDERS), set(frames["items"]["item_id"]))
    run = Run(manifest, **frames, orders=orders, lineage=league, folder=folder)
    lacking = [key for key in ("baseline", "level") if key not in manifest]
    if lacking:
        raise FractileError(f"{folder / 'manifest.json'}: lacks {', '.join(lacking)}; run the study again")
    if run.baseline not in set(run.comparison["policy"]):
        raise FractileError(
            f"{folder / 'comparison.parquet'}: has no row of the baseline {run.baseline!r}; run the study again"
        )
    return run


def rows_of(frame: pd.DataFrame) -> list[Any]:
    """Return the rows of a frame, its columns as attributes."""
    return list(frame.itertuples(index=False))


def _frame(folder: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    path = folder / name
    if not path.is_file():
        inside(folder, name)
        return pd.DataFrame(columns=list(columns))
    frame = read_table(folder, name, "run the study again")
    missing = [name for name in columns if name not in frame]
    if missing:
        raise FractileError(f"{path}: has no column {', '.join(missing)}; run the study again")
    return frame
