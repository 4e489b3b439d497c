"""The embedded retail panel: several hundred items, three years of weeks, and the truth behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ..errors import FractileError
from ..randomness import keyed_generator
from .forecast import FloatArray
from .panel import SalesPanel
from .synthetic_market import CATEGORIES, SUPPLIERS, Market, Traits, draw_market, draw_traits
from .synthetic_store import StoreRecord, run_store

LAST_WEEK = pd.Timestamp("2025-06-30")
"""The Monday of the panel's last week."""


@dataclass(frozen=True, eq=False)
class TrueDemand:
    """The distribution that demand was drawn from: a negative binomial for each item and period.

    It is conditional on *everything* but the period's own noise: on what is known ahead (calendar, price,
    promotion, launch), and on the hidden levels of that very period as well (the item's slow level, the shock
    common to its category, the public's interest). No forecaster sees those levels, least of all several
    periods ahead, so its quantiles are an oracle's: a bound that no forecast reaches, not a target. Given
    these levels, demand is independent over items and periods.

    Attributes:
        mean: units, shape (items, periods); 0 before an item's launch, where demand is 0 for certain.
        dispersion: size of the negative binomial, shape (items, periods); variance = mean + mean**2 /
            dispersion.
    """

    mean: FloatArray
    dispersion: FloatArray

    @property
    def success(self) -> FloatArray:
        """The negative binomial's success probability, dispersion / (dispersion + mean)."""
        return self.dispersion / (self.dispersion + self.mean)

    def quantile(self, levels: Sequence[float] | FloatArray) -> FloatArray:
        """Return the smallest demand whose probability is at least each level: (items, periods, levels)."""
        from scipy.stats import nbinom

        values = nbinom.ppf(np.asarray(levels), self.dispersion[..., None], self.success[..., None])
        return np.where(self.mean[..., None] > 0, values, 0.0)

    def cdf(self, demand: FloatArray) -> FloatArray:
        """Return the probability of demand up to these units, shape (items, periods)."""
        from scipy.stats import nbinom

        inside = nbinom.cdf(demand, self.dispersion, self.success)
        return np.where(self.mean > 0, inside, (demand >= 0).astype(np.float64))

    def sample(self, rng: np.random.Generator, paths: int) -> FloatArray:
        """Draw demand in units, shape (paths, periods, items)."""
        shape = (paths, *self.mean.T.shape)
        return rng.negative_binomial(self.dispersion.T, self.success.T, size=shape).astype(np.float64)


@dataclass(frozen=True, eq=False)
class RetailPanel:
    """The embedded retail panel with the truth kept aside.

    Attributes:
        panel: what a planner has on record; `price`, `promotion` and `holiday` are known ahead,
            `page_views` is observed only and leads demand by one and two weeks.
        demand: what customers wanted, whether it was there or not, shape (items, periods).
        distribution: what demand was drawn from.
        items: an items file: lead_time, holding_cost, stockout_cost, price, unit_cost, pack_size, attributes.
        state: a state file at the end of the panel: on_hand, arriving_1 ... arriving_4.
    """

    panel: SalesPanel
    demand: FloatArray
    distribution: TrueDemand
    items: pd.DataFrame
    state: pd.DataFrame

    def write(self, folder: str | Path, history: Literal["csv", "parquet"] = "csv") -> tuple[Path, Path, Path]:
        """Write history, items.csv and state.csv as the commands read them, and return the three paths.

        Args:
            folder: where to; it is made where it is not there.
            history: the history's format.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = folder / f"history.{history}", folder / "items.csv", folder / "state.csv"
        whole = {name: np.int64 for name in ("sales", "promotion", "holiday", "page_views")}
        frame = self.panel.to_frame().astype(whole)
        if history == "parquet":
            frame.to_parquet(paths[0], index=False)
        else:
            frame.to_csv(paths[0], index=False)
        self.items.astype({"pack_size": np.int64}).to_csv(paths[1], index=False)
        self.state.set_index("item_id").astype(np.int64).to_csv(paths[2])
        return paths


def retail_panel(items: int = 300, periods: int = 157, seed: int = 0) -> RetailPanel:
    """Make the embedded retail panel.

    Weekly demand is negative binomial around a mean that has category and item seasons, trend, two holidays
    (one of which moves), promotions with price cuts and elasticity, a leading indicator, a slow hidden
    level, shocks common to a category, launches with a ramp-up, and intermittent and lumpy items. A plain
    base-stock rule with some late deliveries restocks the shop, so that stock-outs censor sales.

    Args:
        items: number of items, at least 1; an item is the same however many there are.
        periods: number of weeks, at least 2, that end on `LAST_WEEK`.
        seed: an integer >= 0.

    >>> retail_panel(items=3, periods=10).panel.sales.shape
    (3, 10)
    """
    if items < 1 or periods < 2:
        raise FractileError(f"items must be >= 1 and periods >= 2, got {items} and {periods}; ask for more")
    item_ids = [f"SKU-{k:04d}" for k in range(1, items + 1)]
    dates = pd.date_range(end=LAST_WEEK, periods=periods, freq="W-MON")
    traits = draw_traits(item_ids, periods, seed)
    market = draw_market(traits, dates, seed)
    truth = TrueDemand(market.mean, np.broadcast_to(traits.dispersion[:, None], market.mean.shape))
    demand = _draw_demand(truth, item_ids, seed)
    record = run_store(traits, market, demand, seed)
    panel = _as_panel(traits, market, record, dates, seed)
    return RetailPanel(panel, demand, truth, panel.static.reset_index(), _state_frame(traits, record))


def _draw_demand(truth: TrueDemand, item_ids: Sequence[str], seed: int) -> FloatArray:
    return np.array(
        [
            keyed_generator(seed, "retail demand", item_id).negative_binomial(size, success)
            for item_id, size, success in zip(item_ids, truth.dispersion, truth.success, strict=True)
        ],
        dtype=np.float64,
    )


def _as_panel(traits: Traits, market: Market, record: StoreRecord, dates: pd.DatetimeIndex, seed: int) -> SalesPanel:
    listed = market.listed
    # The panel carries covariates backward over the time before a launch, as loading from a file does.
    item, first = np.arange(len(listed))[:, None], traits.launch[:, None]
    shown = np.maximum(np.arange(len(dates)), first)
    arrays = {"price": market.price, "promotion": market.promotion, "holiday": market.holiday}
    known = {name: values[item, shown].astype(np.float64) for name, values in arrays.items()}
    known["holiday"] = market.holiday.astype(np.float64)
    return SalesPanel(
        sales=record.sales,
        in_stock=record.in_stock,
        listed=listed,
        dates=pd.DatetimeIndex(dates.to_numpy()),
        item_ids=traits.item_ids,
        freq="W-MON",
        known=known,
        observed={"page_views": _page_views(traits, market, seed)[item, shown]},
        static=_items_frame(traits).set_index("item_id"),
    )


def _page_views(traits: Traits, market: Market, seed: int) -> FloatArray:
    expected = 5.0 + 15.0 * traits.base[:, None] * np.exp(market.interest)
    draws = [
        keyed_generator(seed, "retail page views", item_id).poisson(views)
        for item_id, views in zip(traits.item_ids, expected, strict=True)
    ]
    return np.array(draws, dtype=np.float64)


def _items_frame(traits: Traits) -> pd.DataFrame:
    margin = np.round(traits.price - traits.unit_cost, 2)
    odds = (1 - traits.critical_ratio) / traits.critical_ratio
    return pd.DataFrame(
        {
            "item_id": np.array(traits.item_ids, dtype=object),
            "lead_time": traits.lead_time,
            "holding_cost": np.round(margin * odds, 4),
            "stockout_cost": margin,
            "price": traits.price,
            "unit_cost": traits.unit_cost,
            "pack_size": traits.pack_size,
            "category": CATEGORIES["category"].to_numpy(dtype=object)[traits.category],
            "brand": np.array([f"brand-{number:02d}" for number in traits.brand], dtype=object),
            "supplier": np.array(SUPPLIERS, dtype=object)[traits.supplier],
        }
    )


def _state_frame(traits: Traits, record: StoreRecord) -> pd.DataFrame:
    arriving = {f"arriving_{k}": units for k, units in enumerate(record.arriving.T, start=1)}
    ids = np.array(traits.item_ids, dtype=object)
    return pd.DataFrame({"item_id": ids, "on_hand": record.on_hand, **arriving})
