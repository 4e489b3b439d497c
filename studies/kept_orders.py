"""The next orders of a kept run, week after week: from a later history, with items that came and went meanwhile."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import damaged, inside
from ..forecasters.base import Forecaster
from ..forecasters.data.matching import Rows
from ..forecasters.data.panel import Inputs, SalesPanel, load_inputs
from ..forecasters.data.row_faults import listing
from ..forecasters.storage import load_forecaster
from ..policies.storage import load_policy
from ..policies.transfer import for_items
from .assumptions import assumed_in_run
from .config import StudyConfig, load_config
from .data import StudyData, describe_wrong_day, item_params, read_stock
from .folder import read_manifest
from .integrity import ORDERING as ORDERED_FROM, check_files
from .kept_runs import kept_policies, orders_at_end, pooled_parameters
from .orders import label_orders, not_sold
from .outside import read_outside
from .own import own_policies, own_policy
from .run_items import item_ids_of, tuned_item_ids_of
from .sections import BOUNDS, OWN_LEVELS, OWN_ORDERS
from .windows import forecast_periods, shown_periods

ORDERING = ("study", "train")
"""Kinds of runs that keep a policy for items."""
DATA = ("source", "item_ids", "freq", "last_date")
"""What a manifest must say of a run's data."""
EMBEDDED = "embedded panel"
"""The source that a manifest names where a run had no files."""
UNCOUNTED = "add a row to the state, or give --on-hand N for the items without one, e.g. 0"
"""What to do about items that the state does not name."""
QUARTER = 91
"""Days after which a run is said to need training again."""


@dataclass(frozen=True, eq=False)
class KeptOrders:
    """The orders of a kept run, and what a reader should know of them.

    Attributes:
        table: a row an item in the history's order: `item_id`, `date` of the period that the order is placed in,
            `order` (units), `order_up_to` (units), `critical_quantile` (the highest level whose quantile of the
            forecast demand over the protection interval `order_up_to` covers), `policy`, `forecaster` and `assumed`
            (what nobody gave, or "").
        new: items that the run's history did not have.
        discontinued: items that are no longer sold, or will not be when an order arrives; they are listed with an
            order of 0.
        gone: items of the run that the history does not have; they are not listed.
        no_history: other items of the items or state file that the history does not have; nor are these.
        not_counted: items that the state does not name: so many units on hand as was said are taken for theirs, none
            where they are discontinued.
        periods_behind: periods of the history after the end of the run's own.
        notes: all that is to be said of them, a sentence each.
    """

    table: pd.DataFrame
    new: tuple[str, ...]
    discontinued: tuple[str, ...]
    gone: tuple[str, ...]
    no_history: tuple[str, ...]
    not_counted: tuple[str, ...]
    periods_behind: int
    notes: tuple[str, ...]

    @property
    def assumed(self) -> str:
        """What nobody gave, in a line; "" where all was given."""
        return str(self.table["assumed"].iloc[0])

    def to_record(self) -> dict[str, Any]:
        """Return what is known beside the table, for machines."""
        names = ("new", "discontinued", "gone", "no_history", "not_counted", "periods_behind", "notes")
        return {"assumed": self.assumed, **{name: getattr(self, name) for name in names}}


def next_orders(
    run: Path,
    history: Path,
    state: Path | None = None,
    items: Path | None = None,
    *,
    policy: str | None = None,
    on_hand: float | None = None,
    forecasts: Mapping[str, Path] | None = None,
    trusted: Collection[str] = (),
) -> KeptOrders:
    """Return the order of every item for the period after the history's end, by a kept run.

    The history may reach beyond the run's own, and have other items: a new one is forecast by the run's forecaster like
    any other (cold start), and ordered by its policy, with the pool's parameters where it keeps them item by item.

    Args:
        run: folder written by `fractile train` or `fractile study`.
        history: sales up to the end of the last period.
        state: units on hand and arriving at the start of the next period.
        items: lead times and costs; those of the run where None.
        policy: one of those that the run keeps; the one that it orders with where None.
        on_hand: units on hand of items that the state does not name, with nothing under way.
        forecasts: by name, the file with later forecasts of a forecaster that was made elsewhere.
        trusted: classes of one's own, `my_module:Mine`, that the run may import; see `own_code`.

    Raises:
        InputError: where files are faulty, the history ends before the run's or has other periods or none of its items.
    """
    record = read_ordering_run(run)
    check_given(run, record, history, state, items, on_hand)
    files = {"data.history": history} | ({} if items is None else {"data.items": items})
    config = load_config(inside(run, "config.toml"), files, trusted=(*trusted, *filter(None, [policy])))
    name = policy_that_orders(run, record, config, policy)
    inputs = _read(config, state, on_hand)
    read = _reading_notes(inputs, config, items)
    panel, ours = inputs.panel, item_ids_of(run, record)
    behind = periods_behind(run, record, panel.freq, panel.dates, history)
    found, known = set(panel.item_ids), set(ours)
    new = tuple(item for item in panel.item_ids if item not in known)
    gone = tuple(item for item in ours if item not in found)
    check_common(run, history, len(new), panel.item_ids, ours)
    data = _study_data(inputs, config)
    ended = tuple(item for item, over in zip(panel.item_ids, not_sold(panel, data.params), strict=True) if over)
    _check_counts(inputs, ended, on_hand)
    with damaged(run / "models", "train again"), np.errstate(all="ignore"):  # what comes out is checked
        table = _order(run, record, config, data, name, new, forecasts)
    assumed = assumed_in_run(record, inputs.items if items is not None else None)
    aged = age_notes(record, panel.dates, behind)
    lost = set(gone)
    left_out = tuple(item for item in inputs.left_out if item not in lost)
    groups = item_notes(*((names, len(names)) for names in (new, ended, gone, left_out)))
    return KeptOrders(
        label_orders(table, policy=name, forecaster=record["forecaster"], assumed=assumed),
        new,
        ended,
        gone,
        left_out,
        inputs.not_counted,
        behind,
        (*read, *groups, *_stock_notes(inputs, ended, on_hand), *aged),
    )


def orders_from_files(run: Path, record: Mapping[str, Any], trusted: Collection[str] = ()) -> bool:
    """Return whether a kept run orders by forecasts that were made elsewhere; `trusted` as for `next_orders`."""
    return record.get("forecaster") in load_config(inside(run, "config.toml"), trusted=trusted).forecast.files


def check_given(
    run: Path, record: Mapping[str, Any], history: Path, state: Path | None, items: Path | None, on_hand: float | None
) -> None:
    """Raise an `InputError` where files are missing that orders depend on; arguments as for `next_orders`."""
    if state is None and on_hand is None:
        raise InputError(
            [
                "--state: is missing, and orders depend on what is on hand and arriving; give a file (fractile init "
                f"--history {history} writes one to fill in), or --on-hand N, e.g. 0, for all items"
            ]
        )
    if items is None and record["data"]["source"] == EMBEDDED:
        raise InputError([f"--items: is missing; the run {run} is of the embedded panel, whose items no file holds"])


def check_common(run: Path, history: Path, new: int, item_ids: Sequence[str], ours: Sequence[str]) -> None:
    """Raise an `InputError` where a history has none of the items of a run.

    Args:
        run: the run's folder.
        history: the file.
        new: number of the history's items that the run does not have.
        item_ids: of the history, the first few at least, where all are new.
        ours: of the run.
    """
    if new and new >= len(item_ids):
        raise InputError(
            [
                f"{history}: none of its {new:,} items ({listing(item_ids, new)}) is among the {len(ours):,} "
                f"of the run {run} ({listing(ours)}); give the run of this history, or train again"
            ]
        )


def _order(
    run: Path,
    record: Mapping[str, Any],
    config: StudyConfig,
    data: StudyData,
    name: str,
    new: tuple[str, ...],
    files: Mapping[str, Path] | None,
) -> pd.DataFrame:
    """Return the orders of a kept policy on forecasts of the kept forecaster; see `orders_at_end`."""
    forecaster = _forecaster(run, record, config, data.panel, files)
    shown = shown_periods(data.params, forecast_periods(data.params, config.forecast.horizon))
    if name == OWN_LEVELS:
        if OWN_LEVELS not in own_policies(data):
            raise InputError([f"--items: has no levels, and {OWN_LEVELS} orders by them; add them, or name a --policy"])
        ordering = own_policy(name, data)
    else:
        pooled = pooled_parameters(run / "models", name)
        other = new or "blocks" in record  # items whose parameters are the pool's
        forecast = forecaster.predict(data.panel, shown) if other and pooled else None
        loaded = load_policy(name, run / "models")
        ours = tuned_item_ids_of(run, record)
        ordering = for_items(loaded, ours, data.panel.item_ids, data.params, pooled=pooled, forecast=forecast)
    return orders_at_end(data, forecaster, ordering, shown)


def read_ordering_run(run: Path) -> dict[str, Any]:
    """Return the manifest of a run that keeps a policy for items and is as it was written, or refuse another one."""
    record = read_manifest(run)
    if "environment" in record:
        raise InputError(
            [f"{run}: is a training on {record['environment']}, which has no items; train on a history, --history FILE"]
        )
    if record.get("kind") not in ORDERING or "policy" not in record:
        kind = record.get("kind", "other")
        raise InputError(
            [f"{run}: is a run of kind {kind!r}, which keeps no policy; give one of `fractile train` or `study`"]
        )
    lacking = [key for key in ("policy", "forecaster", "data") if record.get(key) is None]
    lacking += [f"data.{key}" for key in DATA if (record.get("data") or {}).get(key) is None]
    if lacking:
        raise InputError([f"{run}: its manifest.json lacks {', '.join(lacking)}; train again"])
    check_files(run, record, ORDERED_FROM)
    return record


def policy_that_orders(run: Path, record: Mapping[str, Any], config: StudyConfig, named: str | None) -> str:
    """Return the policy that orders: the one named, which the run must keep, or its own."""
    kept = kept_policies(run / "models", (record["policy"], *config.policies.names))
    name = record["policy"] if named is None else named
    if name in kept:
        return name
    if named is None and name == OWN_ORDERS:
        raise InputError(
            [
                f"{run}: advises to go on with your own orders, which are on record for the past alone; name another "
                f"policy of the run (--policy {' or '.join(kept)}), or train one: fractile train --policy auto"
            ]
        )
    why = "is a bound that knows the future" if name in BOUNDS else "is not kept by the run"
    raise InputError([f"--policy: {name!r} {why}; the run has {', '.join(kept) or 'none'}"])


def _read(config: StudyConfig, state: Path | None, on_hand: float | None) -> Inputs:
    """Read the files, with stock for the items that have none on record; rows of items without a history are left."""
    data = config.data
    assert data.history is not None  # `next_orders` set it
    reading = {"freq": data.freq, "missing": data.missing, "columns": data.columns, "known": data.known}
    # Which items are discontinued, and need no count, is not known before the files are read.
    rows = Rows(leave_out=True, on_hand=0.0 if on_hand is None else on_hand)
    try:
        return load_inputs(data.history, data.items, state, **reading, rows=rows)  # type: ignore[arg-type]
    except InputError:
        if on_hand is None:  # items without a count are told along with the other faults
            rows = Rows(leave_out=True, uncounted=UNCOUNTED)
            load_inputs(data.history, data.items, state, **reading, rows=rows)  # type: ignore[arg-type]
        raise


def _check_counts(inputs: Inputs, ended: tuple[str, ...], on_hand: float | None) -> None:
    """Raise an `InputError` where an item that is ordered has no count, or one of another day."""
    assert inputs.state is not None  # a file, or --on-hand
    faults = []
    sold_no_more = set(ended)
    missing = [] if on_hand is not None else [item for item in inputs.not_counted if item not in sold_no_more]
    faults += missing_counts(missing, len(missing))
    counted = inputs.state[~inputs.state["item_id"].isin(ended)]
    wrong_day = describe_wrong_day(counted, inputs.panel)
    if wrong_day:
        faults.append(f"--state: {wrong_day}")
    if faults:
        raise InputError(faults)


def missing_counts(names: Sequence[str], count: int) -> list[str]:
    """Return the fault of items that are ordered and have no count: the first few, and the number of all."""
    if not count:
        return []
    word = "item is" if count == 1 else "items are"
    return [f"--state: {count:,} {word} in the history but not in the state: {listing(names, count)}; {UNCOUNTED}"]


def _study_data(inputs: Inputs, config: StudyConfig) -> StudyData:
    params = item_params(inputs.panel, inputs.items, config.defaults)
    assert inputs.state is not None  # a file, or --on-hand
    stock = read_stock(inputs.state, params)
    return StudyData(inputs.panel, params, inputs.panel.sales, stock, inputs.items, records=inputs.records)


def periods_behind(run: Path, record: Mapping[str, Any], freq: str, dates: pd.DatetimeIndex, history: Path) -> int:
    """Return how many periods a history reaches beyond the run's own, or refuse one that goes with another run.

    Args:
        run: the run's folder.
        record: its manifest.
        freq: pandas frequency of the history's periods.
        dates: their first days.
        history: the file.
    """
    known, last = record["data"], pd.Timestamp(record["data"]["last_date"])
    if freq != known["freq"]:
        theirs = known["freq"]
        remedy = "give a history of the run's periods, or train again on this one"
        if _days(theirs) > _days(freq):
            remedy = (
                f"add it up: fractile import {shlex.quote(str(history))} --out NEW.csv --freq {theirs}   or train "
                f"again with --freq {theirs}: such a run adds later histories up by itself"
            )
        raise InputError([f"--history: has periods of frequency {freq}, and the run {run} of {theirs}; {remedy}"])
    days = dates.normalize()
    if days[-1] < last:
        raise InputError(
            [
                f"--history: ends on {days[-1].date()}, before the history of the run {run}, which ends on "
                f"{last.date()}; give the newest history, or train again on this one"
            ]
        )
    return int((days > last).sum())


def _days(freq: str) -> float:
    """Return the mean length of a frequency's periods, days."""
    dates = pd.date_range("2024-01-01", periods=13, freq=freq)
    return (dates[-1] - dates[0]) / pd.Timedelta(days=12)


def _forecaster(
    run: Path, record: Mapping[str, Any], config: StudyConfig, panel: SalesPanel, files: Mapping[str, Path] | None
) -> Forecaster:
    """Return the run's forecaster; where it was made elsewhere and later forecasts are given, these."""
    name = record["forecaster"]
    others = [given for given in files or {} if given != name or given not in config.forecast.files]
    if others:
        own = f"give {name}=FILE" if name in config.forecast.files else f"{name} needs no file: leave it out"
        raise InputError(f"--forecasts: {other!r} is not the run's forecaster; {own}" for other in others)
    if files:
        return read_outside(files, panel)[name].fit(panel)
    return load_forecaster(run / "models")


def _reading_notes(inputs: Inputs, config: StudyConfig, items: Path | None) -> list[str]:
    """Return how items and state were read, and which items file where none was given."""
    notes = [] if items is not None or config.data.items is None else [f"items: {config.data.items}, as in the run"]
    return [*notes, *inputs.notes]


def _stock_notes(inputs: Inputs, ended: tuple[str, ...], on_hand: float | None) -> list[str]:
    """Return which items have no count, and what is taken for theirs."""
    sold_no_more = set(ended)
    names = [item for item in inputs.not_counted if item not in sold_no_more]
    return stock_notes(names, len(names), on_hand, every=len(inputs.not_counted) == inputs.panel.items)


def stock_notes(names: Sequence[str], count: int, on_hand: float | None, *, every: bool) -> list[str]:
    """Return what is taken for the stock of items without a count.

    Args:
        names: of the first few that are ordered.
        count: of all of them.
        on_hand: units that are taken for theirs.
        every: whether no item at all has a count.
    """
    if not count or on_hand is None:
        return []
    which = f"all {count:,}" if every else f"{count:,}"
    word = "item is" if count == 1 else "items are"
    return [
        f"{which} {word} taken to have {on_hand:g} on hand and nothing under way: {listing(names, count)} (--on-hand)"
    ]


def item_notes(
    new: tuple[Sequence[str], int],
    ended: tuple[Sequence[str], int],
    gone: tuple[Sequence[str], int],
    left_out: tuple[Sequence[str], int],
) -> list[str]:
    """Return a sentence on each group of items that is not ordered as the run's items are.

    Each group is given by the first few of its items and the number of all.
    """
    said = [
        (new, "is new since the run was made, and ordered", "are new since the run was made, and ordered"),
        (ended, "is taken for discontinued, and not ordered", "are taken for discontinued, and not ordered"),
        (gone, "of the run has no history any more, and is left out", "of the run have no history any more: left out"),
        (left_out, "has no history yet, and is left out", "have no history yet, and are left out"),
    ]
    remedies = ("", "", "", "; a row of sales 0 in the last period has one ordered")
    return [
        f"{count:,} {'item' if count == 1 else 'items'} {one if count == 1 else more}: {listing(names, count)}{remedy}"
        for ((names, count), one, more), remedy in zip(said, remedies, strict=True)
        if count
    ]


def age_notes(record: Mapping[str, Any], dates: pd.DatetimeIndex, behind: int) -> list[str]:
    """Return how old the run is beside the history, and when to train again."""
    if not behind:
        return []
    days = (dates[-1] - dates[0]).days / max(1, len(dates) - 1)
    usual = max(1, round(QUARTER / max(days, 1e-9)))
    periods = f"{behind} period{'s' * (behind > 1)}"
    when = f"after {usual} or so" if behind < usual else "now (fractile train)"
    return [
        f"the run knows the history up to {record['data']['last_date']}, {periods} before its end: its parameters are "
        f"of then, its forecasts of now; train again {when}"
    ]
