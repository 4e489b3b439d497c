"""The embedded retail panel: several hundred items, three years of weeks, and the true distributions of its demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import FractileError
from ...randomness import keyed_generator
from ..base import check_horizon, check_levels, check_origins
from ..data.panel import SalesPanel
from ..forecast import DEFAULT_LEVELS, QuantileForecast
from .filter import filter_levels
from .market import (
    CATEGORIES,
    SUPPLIERS,
    VIEWS_ALWAYS,
    VIEWS_PER_UNIT,
    LevelBelief,
    Market,
    Traits,
    draw_market,
    draw_traits,
)
from .truth import Outlook, TrueDemand, as_forecast, outlook

Known = Literal["levels", "record", "informative"]
"""What a true forecast knows of the hidden levels: all of the past, what the record says, or less of it."""

LAST_WEEK = pd.Timestamp("2025-06-30")
"""The Monday of the panel's last week."""
_SAFETY = 1.9
"""Standard deviations of protection-interval demand that the planner keeps as safety."""
_FORESIGHT = 0.7
"""The share of a promotion's effect on log demand that the planner expects."""
_SMOOTHING = 0.12
_LATE_SHARE = 0.05
_LATE_BY = 2


@dataclass(frozen=True, eq=False)
class RetailPanel:
    """The embedded retail panel and the true distributions of its demand.

    Attributes:
        panel: what a planner has on record; `price`, `promotion` and `holiday` are known ahead,
            `page_views` is observed only and leads demand by one and two weeks.
        demand: of customers, whether it was in stock or not, shape (items, periods).
        distribution: what demand was drawn from.
        items: an items file: lead_time, holding_cost, stockout_cost, price, unit_cost, pack_size, attributes.
        state: a state file at the end of the panel: on_hand, arriving_1 ... arriving_4.
        traits: what is fixed about each item, not on record.
        market: what drove demand in each period, hidden levels included, not on record.
    """

    panel: SalesPanel
    demand: FloatArray
    distribution: TrueDemand
    items: pd.DataFrame
    state: pd.DataFrame
    traits: Traits
    market: Market

    def true_forecast(
        self,
        horizon: int,
        levels: ArrayLike = DEFAULT_LEVELS,
        origins: Sequence[int] | IntArray | None = None,
        *,
        known: Known = "levels",
        beyond: bool = False,
    ) -> QuantileForecast:
        """Return the true quantiles of demand at each origin: what no forecaster can beat on average.

        The generator's parameters and the known covariates of the horizon are known; what the hidden levels do
        after the origin is integrated out. With `known="levels"` they are known up to the period before it,
        which nobody can see: a bound, and not a tight one. With `known="record"` they are inferred from page
        views and sales (where these ran out, demand was larger) by a filter that knows the parameters: the best
        that a forecaster can do, but for the filter's approximation. `known="informative"` leaves stock-outs
        out, as forecasters with `censoring="mask"` do. The dependence over the horizon is a
        Gaussian copula with demand's covariances.

        Args:
            horizon: periods ahead. [H]
            levels: quantile levels, strictly increasing, in (0, 1), shape (Q,). [τ]
            origins: periods to forecast from, whose horizons end within the panel; the last such where None.
            known: what is known of the hidden levels before the origin.
            beyond: whether horizons may end after the panel, whose last period's price, season and promotions then
                stand for later ones.

        Returns:
            whole units, shape (items, origins, horizon, Q).
        """
        starts = check_origins(self.panel, origins) if beyond else self._origins(horizon, origins)
        law = self._outlook(horizon, starts, known)
        panel = self.panel
        return as_forecast(law, check_levels(levels), starts, panel.item_ids, panel.dates, panel.freq)

    def true_paths(
        self,
        paths: int,
        rng: np.random.Generator,
        horizon: int,
        origins: Sequence[int] | IntArray | None = None,
        *,
        known: Known = "levels",
    ) -> FloatArray:
        """Draw demand from its true law at each origin, dependent over the horizon as it really is.

        Each item is drawn by itself: the shocks that items of a category share are drawn anew for each.

        Returns:
            units, shape (paths, items, origins, horizon); arguments as in `true_forecast`.
        """
        return self._outlook(horizon, self._origins(horizon, origins), known).sample(paths, rng)

    def _outlook(self, horizon: int, origins: IntArray, known: Known) -> Outlook:
        if known == "levels":
            belief = LevelBelief(self.market.hidden.state(origins))
        elif known in ("record", "informative"):
            record = self.panel.until(int(origins.max()))
            belief = filter_levels(record, self.traits, self.market, stock_outs=known == "record").at(origins)
        else:
            raise FractileError(f'known must be "levels", "record" or "informative", got {known!r}')
        return outlook(self.traits, self.market, origins, horizon, belief)

    def _origins(self, horizon: int, origins: Sequence[int] | IntArray | None) -> IntArray:
        last = self.panel.periods - check_horizon(horizon)
        starts = check_origins(self.panel, [last] if origins is None and last > 0 else origins)
        if starts.max() > last:
            raise FractileError(
                f"the truth is known up to the panel's end: origins must be at most {last} with a horizon of "
                f"{horizon}, got {starts.max()}; make a panel of more periods"
            )
        return starts

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
    draws = [
        keyed_generator(seed, "retail demand", item_id).negative_binomial(size, success)
        for item_id, size, success in zip(item_ids, truth.dispersion, truth.success, strict=True)
    ]
    demand = np.array(draws, dtype=np.float64)
    record = run_store(traits, market, demand, seed)
    panel = _as_panel(traits, market, record, dates, seed)
    arriving = {f"arriving_{k}": units for k, units in enumerate(record.arriving.T, start=1)}
    ids = np.array(traits.item_ids, dtype=object)
    state = pd.DataFrame({"item_id": ids, "on_hand": record.on_hand, **arriving})
    return RetailPanel(panel, demand, truth, panel.static.reset_index(), state, traits, market)


class StoreRecord(NamedTuple):
    """The shop's record.

    Attributes:
        sales: units, shape (items, periods).
        in_stock: False where demand was cut or nothing could be bought, shape (items, periods).
        on_hand: units at the end, shape (items,).
        arriving: units due at the start of the next period, the one after it, ..., shape (items, slots).
    """

    sales: FloatArray
    in_stock: BoolArray
    on_hand: FloatArray
    arriving: FloatArray


def run_store(traits: Traits, market: Market, demand: FloatArray, seed: int) -> StoreRecord:
    """Sell under a base-stock rule whose forecast smooths censored sales and expects most of a promotion.

    Each period: order up to the level, receive what is due, sell min(available, demand). Some weeks' orders
    at a supplier come two periods late.
    """
    (items, periods), listed = demand.shape, market.listed
    lead_time = traits.lead_time
    due = np.zeros((items, periods + int(lead_time.max()) + 1))
    sales, in_stock = np.zeros_like(demand), np.ones_like(listed)
    late_by_supplier = [keyed_generator(seed, "retail late", name).random(periods) < _LATE_SHARE for name in SUPPLIERS]
    late: BoolArray = np.array(late_by_supplier)[traits.supplier]
    forecast, on_hand, on_order = traits.base.copy(), np.zeros(items), np.zeros(items)
    # The planner's factor on the forecast: in each period, and summed over protection intervals.
    uplift = np.exp(_FORESIGHT * market.price_effect)
    padded = np.concatenate([uplift, np.ones((items, int(lead_time.max()) + 1))], axis=1)
    summed = np.cumsum(np.pad(padded, ((0, 0), (1, 0))), axis=1)
    start = np.arange(periods)
    ahead = np.take_along_axis(summed, start + lead_time[:, None] + 1, axis=1) - summed[:, start]
    rows = np.arange(items)
    for t in range(periods):
        mean = forecast * ahead[:, t]
        level = np.ceil(mean + _SAFETY * np.sqrt(mean + mean * forecast / traits.dispersion))
        opens = listed[:, t] & ((t == 0) | (traits.launch == t))
        on_hand[opens] = level[opens]
        missing = np.maximum(level - on_hand - on_order, 0.0)
        order = np.ceil(missing / traits.pack_size) * traits.pack_size * listed[:, t]
        arrival = t + lead_time + np.where(late[:, t] & (t + lead_time + _LATE_BY < periods), _LATE_BY, 0)
        due[rows, arrival] += order
        on_hand += due[:, t]
        on_order += order - due[:, t]
        sales[:, t] = np.minimum(demand[:, t], on_hand)
        in_stock[:, t] = ((demand[:, t] <= on_hand) & (on_hand > 0)) | ~listed[:, t]
        on_hand -= sales[:, t]
        # Sales are smoothed where they were demand, or were larger than forecast although stock ran out.
        plain = sales[:, t] / uplift[:, t]
        useful = (in_stock[:, t] & listed[:, t]) | (plain > forecast)
        forecast = np.maximum(0.05, forecast + _SMOOTHING * useful * (plain - forecast))
    return StoreRecord(sales, in_stock, on_hand, due[:, periods : periods + int(lead_time.max())])


def _as_panel(traits: Traits, market: Market, record: StoreRecord, dates: pd.DatetimeIndex, seed: int) -> SalesPanel:
    listed = market.listed
    # The panel carries covariates backward over the time before a launch, as loading from a file does.
    item, first = np.arange(len(listed))[:, None], traits.launch[:, None]
    shown = np.maximum(np.arange(len(dates)), first)
    arrays = {"price": market.price, "promotion": market.promotion, "holiday": market.holiday}
    known = {name: values[item, shown].astype(np.float64) for name, values in arrays.items()}
    known["holiday"] = market.holiday.astype(np.float64)
    expected = VIEWS_ALWAYS + VIEWS_PER_UNIT * traits.base[:, None] * np.exp(market.interest)
    views = [
        keyed_generator(seed, "retail page views", item_id).poisson(mean)
        for item_id, mean in zip(traits.item_ids, expected, strict=True)
    ]
    return SalesPanel(
        sales=record.sales,
        in_stock=record.in_stock,
        listed=listed,
        dates=pd.DatetimeIndex(dates.to_numpy()),
        item_ids=traits.item_ids,
        freq="W-MON",
        known=known,
        observed={"page_views": np.array(views, dtype=np.float64)[item, shown]},
        static=_items_frame(traits).set_index("item_id"),
    )


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
