"""What is no fault of input files but looks wrong: each thing with a code for machines and a text with the remedy.

`fractile validate` lists it. Nothing is refused for it, and nothing is mended.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..arrays import BoolArray, FloatArray
from ..envs.core.params import ItemParams
from ..errors import FractileError
from ..forecasters.data.oddities import Oddity, find_oddities
from ..forecasters.data.panel import Inputs, SalesPanel
from ..forecasters.data.row_faults import listing
from ..forecasters.data.rules import DISCONTINUED
from ..forecasters.data.zero_runs import implausible_zero_runs
from ..forecasters.importing.ids import describe_cut_short, describe_twins, find_cut_short, find_twins
from .config import StudyConfig
from .data import StudyData, describe_wrong_day
from .report.text import period_of
from .windows import place_folds

IN_DAYS = {"W": 7, "M": 30}
"""Days of a period, by the first letter of its frequency: lead times that are all multiples may be days."""
LONG_LEAD = 2
"""Multiples of that many periods at least, where there is but one lead time."""
SHOWN_RUNS = 3
"""Items whose runs without a sale are described."""


def find_suspicious(inputs: Inputs, params: ItemParams, config: StudyConfig, assumed: str) -> list[Oddity]:
    """Return what looks wrong in files without faults.

    Args:
        inputs: the files as read.
        params: lead times, costs and order rules that follow from them and from the config's defaults.
        config: what the files would be studied with.
        assumed: costs and lead times that nobody gave, see `describe_defaults`.
    """
    return [
        *find_oddities(inputs.panel),
        *_ids(inputs.panel.item_ids),
        *_zero_runs(inputs.panel),
        *_prices_in_history(inputs.panel),
        *_history_length(inputs, params, config),
        *_costs(inputs, params, assumed),
        *_order_rules(inputs.panel, params),
        *_lead_times(inputs, params),
        *_discontinued_later(inputs),
        *_state(inputs, params),
    ]


def compare_with_run(panel: SalesPanel, record: Mapping[str, Any], item_ids: Collection[str]) -> list[Oddity]:
    """Return where a history differs from that of a kept run: frequency, items, and end.

    Args:
        panel: the history.
        record: the run's manifest.
        item_ids: of the run.
    """
    then, found = record.get("data", {}), []
    if then.get("freq") and then["freq"] != panel.freq:
        text = f"the history's periods are {panel.freq}, the run's {then['freq']}; give --freq {then['freq']}"
        found.append(Oddity("run_frequency", f"{text}, or train again"))
    known, now = set(item_ids or panel.item_ids), set(panel.item_ids)
    new, gone = sorted(now - known), sorted(known - now)
    if new:
        found.append(Oddity("run_items_new", f"{len(new):,} items were not in the run's history: {listing(new)}"))
    if gone:
        text = f"{len(gone):,} items of the run are not in the history: {listing(gone)}"
        found.append(Oddity("run_items_gone", text))
    end = then.get("last_date")
    if end and pd.Timestamp(end) > panel.dates[-1]:
        text = f"the history ends with {panel.dates[-1].date()}, before the run's, which ends with {end}"
        found.append(Oddity("run_is_newer", f"{text}; give the newer history"))
    elif end and then.get("freq") == panel.freq:
        later = int((panel.dates > pd.Timestamp(end)).sum())
        if later > panel.periods // 4:
            text = f"{later} of the history's {panel.periods} {period_of(panel.freq)} are later than the run's"
            found.append(Oddity("run_is_old", f"{text}; train again"))
    return found


def _whose(ids: Sequence[str], where: BoolArray | np.bool_) -> str:
    """Return the items in `where`, shape (items,), as a message names them."""
    names = [ids[int(at)] for at in np.flatnonzero(where)]
    return f"item{'s' if len(names) > 1 else ''} {listing(names)}"


def _ids(ids: Sequence[str]) -> list[Oddity]:
    """Return ids that look like the same item twice, or like numbers that lost digits."""
    found, twins, cut = [], find_twins(ids), find_cut_short(ids)
    if twins:
        text = f"items that look like one and the same: {describe_twins(twins)}; give them one id where they are"
        found.append(Oddity("near_twins", text))
    if cut:
        found.append(Oddity("ids_cut_short", f"ids {describe_cut_short(cut)}"))
    return found


def _zero_runs(panel: SalesPanel) -> list[Oddity]:
    runs = sorted(implausible_zero_runs(panel), key=lambda each: each.chance)
    if not runs:
        return []
    word, shown = period_of(panel.freq), []
    for each in runs[:SHOWN_RUNS]:
        begun = panel.dates[each.first[0]].date()
        shown.append(f"{panel.item_ids[each.item]!r} {each.length[0]} {word} from {begun}")
    more = f" and {len(runs) - SHOWN_RUNS:,} more" if len(runs) > SHOWN_RUNS else ""
    code = "zero_runs" if panel.ran_out.any() else "no_in_stock"
    told = "in_stock is true there" if panel.ran_out.any() else "there is no column in_stock (or it is always true)"
    text = (
        f"{len(runs):,} of {panel.items:,} items sold nothing for longer than their own rate of sale makes plausible "
        f"({', '.join(shown)}{more}): were they out of stock? {told}, so that these zeros count as demand; write "
        "in_stock = false where an item could not be bought"
    )
    return [Oddity(code, text)]


def _prices_in_history(panel: SalesPanel) -> list[Oddity]:
    prices = panel.known.get("price", panel.observed.get("price"))
    free = np.zeros((panel.items, 0), dtype=bool) if prices is None else (prices <= 0) & panel.listed
    if not free.any():
        return []
    whose = _whose(panel.item_ids, free.any(axis=1))
    return [
        Oddity("price_zero", f"price is 0 in {free.sum():,} rows ({whose}); leave the cell empty where it is unknown")
    ]


def _history_length(inputs: Inputs, params: ItemParams, config: StudyConfig) -> list[Oddity]:
    """Return that items have longer lead times than history, and that a study would refuse the history as too short."""
    panel, found = inputs.panel, []
    lead = np.broadcast_to(np.asarray(params.lead_time), (panel.items,))
    long = lead >= panel.listed.sum(axis=1)
    if long.any():
        at = int(np.flatnonzero(long)[0])
        text = f"{_whose(panel.item_ids, long)}: a lead time of {lead[at]} {period_of(panel.freq)} is longer than the "
        found.append(
            Oddity("lead_time_long", f"{text}history ({panel.listed[at].sum()}); is it in {period_of(panel.freq)}?")
        )
    settings = config.backtest
    data = StudyData(panel, params, panel.sales)
    try:
        place_folds(data, settings.periods, settings.folds, settings.validation, config.forecast.horizon)
    except FractileError as error:
        found.append(Oddity("history_short", f"too short for `fractile study`: {error}"))
    return found


def _costs(inputs: Inputs, params: ItemParams, assumed: str) -> list[Oddity]:
    """Return which costs nobody gave, and which of those given look mixed up."""
    panel, found = inputs.panel, []
    table = pd.DataFrame() if inputs.items is None else inputs.items
    if assumed:
        alone = "stockout_cost" not in table and ("price" in table) != ("unit_cost" in table)
        lacks = "unit_cost" if "price" in table else "price"
        hint = f"; with {lacks}, too, price - unit_cost would be the stockout_cost" if alone else ""
        found.append(Oddity("costs_missing", assumed + hint))
    holding, stockout = (_of(getattr(params, name), panel.items) for name in ("holding_cost", "stockout_cost"))
    low = stockout < holding
    if low.any():
        at = int(np.flatnonzero(low)[0])
        text = f"stockout_cost {stockout[at]:g} is below holding_cost {holding[at]:g}, so that running out is better "
        text += f"than having stock more often than not ({_whose(panel.item_ids, low)}); holding_cost is per unit and "
        found.append(Oddity("stockout_cost_low", f"{text}{period_of(panel.freq, 1)}"))
    price, unit = (_of(table.get(name, np.nan), panel.items) for name in ("price", "unit_cost"))
    checks = {
        "price_zero": (price <= 0, "price is 0 in the items", "give the price of a unit"),
        "unit_cost_high": (unit > price, "unit_cost is above price", "each sale would lose money: are they mixed up?"),
        "holding_cost_high": (
            (holding > unit) & (unit > 0) & ("holding_cost" in table),
            f"holding a unit for one {period_of(panel.freq, 1)} costs more than the unit",
            "holding_cost is money per unit and period, not a rate in per cent",
        ),
    }
    for code, (where, what, remedy) in checks.items():
        if where.any():
            found.append(Oddity(code, f"{what} ({_whose(panel.item_ids, where)}); {remedy}"))
    return found


def _order_rules(panel: SalesPanel, params: ItemParams) -> list[Oddity]:
    found = []
    pack, most = _of(params.pack_size, panel.items), _of(params.maximum_order, panel.items)
    broken = (pack != np.floor(pack)) & np.isfinite(pack)
    if panel.integer_demand and broken.any():
        at = int(np.flatnonzero(broken)[0])
        text = f"pack_size {pack[at]:g} is no whole number, though all sales are ({_whose(panel.item_ids, broken)})"
        found.append(Oddity("pack_fractional", f"{text}; give the units of a pack"))
    mean = np.where(panel.informative, panel.sales, 0.0).sum(axis=1) / np.maximum(panel.informative.sum(axis=1), 1)
    review = _of(params.review_period, panel.items)
    least = np.maximum(np.nan_to_num(_of(params.minimum_order, panel.items)), np.nan_to_num(pack))
    behind = most < mean * review
    if behind.any():
        at = int(np.flatnonzero(behind)[0])
        text = f"maximum_order {most[at]:g} is below mean sales of {mean[at] * review[at]:.3g} from one order to the "
        found.append(
            Oddity("maximum_order_low", f"{text}next ({_whose(panel.item_ids, behind)}); stock can never keep up")
        )
    large = (least > 2 * mean * panel.periods) & (mean > 0)
    if large.any():
        at = int(np.flatnonzero(large)[0])
        text = f"the smallest order of {least[at]:g} units is more than twice all that the history sold"
        found.append(
            Oddity("smallest_order_large", f"{text} ({_whose(panel.item_ids, large)}); in units, not in money?")
        )
    return found


def _lead_times(inputs: Inputs, params: ItemParams) -> list[Oddity]:
    """Return that lead times look like days beside longer periods."""
    days = IN_DAYS.get(inputs.panel.freq.lstrip("0123456789")[:1].upper())
    lead = np.unique(np.asarray(params.lead_time))
    lead = lead[lead > 0]
    if inputs.items is None or "lead_time" not in inputs.items or days is None or not len(lead):
        return []
    if (lead % days).any() or (len(lead) == 1 and lead[0] < LONG_LEAD * days):
        return []
    shown, periods = ", ".join(map(str, lead[:5])), period_of(inputs.panel.freq)
    text = (
        f"every lead_time is a multiple of {days} ({shown}): are they days? The history's periods are {periods}, and "
    )
    return [Oddity("lead_time_days", f"{text}lead_time counts {periods}: {lead[0]} days are {lead[0] // days}")]


def _discontinued_later(inputs: Inputs) -> list[Oddity]:
    """Return items whose date of discontinuation lies beyond the history's end."""
    if inputs.items is None or DISCONTINUED not in inputs.items:
        return []
    panel = inputs.panel
    end = panel.dates[-1] + (panel.dates[-1] - panel.dates[-2] if panel.periods > 1 else pd.Timedelta(days=1))
    later = (pd.DatetimeIndex(inputs.items[DISCONTINUED]) > end).astype(bool)
    if not later.any():
        return []
    text = f"{_whose(panel.item_ids, later)}: 'discontinued' lies beyond the history's end; ordered until then"
    return [Oddity("discontinued_later", f"{text}, and what is left after it is nobody's cost")]


def _state(inputs: Inputs, params: ItemParams) -> list[Oddity]:
    """Return where the state does not fit the history: its date, its arrivals, or nothing filled in."""
    state, panel = inputs.state, inputs.panel
    if state is None:
        return []
    found = []
    wrong_day = describe_wrong_day(state, panel)
    if wrong_day:
        found.append(Oddity("state_date", wrong_day))
    slots = sum(str(column).startswith("arriving_") for column in state.columns)
    lead = _of(params.lead_time, panel.items)
    short = lead > slots
    if short.any():
        at = int(np.flatnonzero(short)[0])
        there = f"arrivals up to arriving_{slots}" if slots else "no columns of arrivals"
        text = (
            f"the state has {there}, the lead time of {_whose(panel.item_ids, short)} is {lead[at]:g}: nothing counts "
        )
        found.append(
            Oddity("state_arrivals", f"{text}as arriving later; add arriving_{slots + 1} to arriving_{lead[at]:g}")
        )
    units = state.drop(columns=["item_id", "date"], errors="ignore").to_numpy(dtype=float)
    if not units.any():
        found.append(Oddity("state_empty", "nothing is on hand and nothing is under way, of any item; is that so?"))
    return found


def _of(values: Any, items: int) -> FloatArray:
    """Return a parameter as one number an item, shape (items,); NaN where there is none."""
    array: FloatArray = np.broadcast_to(np.asarray(np.nan if values is None else values, dtype=np.float64), (items,))
    return array
