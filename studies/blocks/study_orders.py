"""The next orders of a block of items, after a study in blocks has said which policy to order with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any, TypeVar, cast

import pandas as pd

from ...arrays import IntArray
from ...policies.base import Policy
from ...progress import no_progress
from ..backtest import Study
from ..data import StudyData
from ..kept_runs import orders_at_end
from ..orders import label_orders
from .block import select_items, write_frames
from .history import BlockedHistory, cut_tiles
from .plan import BlockPlan
from .tile import forecast_tile, shown_of, with_policies

ORDERS, SECONDS = "orders.parquet", "seconds.json"
"""Files of a block's part: its orders, and the CPU time that they took."""
State = TypeVar("State")


def run_orders(
    folder: Path, *, plan: str, history: Mapping[str, Any], first: int, end: int, policy: str, assumed: str
) -> None:
    """Order the items of a block for the period after the history's end, and write `ORDERS`.

    Args:
        folder: where the file is written.
        plan: the folder of the study's `BlockPlan`.
        history: what `BlockedHistory.to_record` gave; it has a state.
        first: position of the first item, a tile's first.
        end: the one after the last.
        policy: the one that orders.
        assumed: what nobody gave, in a line.
    """
    began = process_time()
    made, surveyed = BlockPlan.load(Path(plan)), BlockedHistory.from_record(history)
    frames = []
    for begin, stop in surveyed.chunks(first, end):
        data = surveyed.read(begin, stop)
        for rows in cut_tiles(begin, stop, made.tile):
            each = replace(select_items(data, rows - begin), state=_select_state(data.state, rows - begin))
            frames.append(order_tile(made, each, policy))
    labels = {"policy": policy, "forecaster": made.forecaster, "assumed": assumed}
    write_frames(folder / ORDERS, [label_orders(frame, **labels) for frame in frames])
    (folder / SECONDS).write_text(json.dumps(process_time() - began), encoding="utf-8")


def read_seconds(folder: Path) -> float:
    """Return the CPU time that the orders of a block took."""
    return float(json.loads((folder / SECONDS).read_text(encoding="utf-8")))


def order_tile(plan: BlockPlan, data: StudyData, policy: str) -> pd.DataFrame:
    """Return the orders of a tile's items by the last fold's forecaster and policy, as a study of the whole makes them.

    Args:
        plan: of the study.
        data: of the tile's items, with what is on hand and under way.
        policy: the one that orders.
    """
    plan = replace(plan, names=(policy,))
    study = Study(plan.config, data, plan.windows, no_progress)
    if policy in plan.policies and not plan.is_for_sample(policy):
        ordering = plan.policies[policy][-1][0]
    else:  # its parameters are found on the tile, or brought to it, from forecasts of earlier origins
        backtest = with_policies(plan, study, forecast_tile(plan, study, last=True))
        ordering = cast(Policy, backtest.trained.policies[policy])
    return orders_at_end(data, plan.fitted[study.windows[-1].cutoff], ordering, shown_of(plan, study))


def _select_state(state: Any, rows: IntArray) -> Any:
    """Return what is on hand and under way of some items; items are the last axis of every array."""
    return type(state)(*(values[..., rows] for values in state))
