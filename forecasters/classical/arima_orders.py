"""Which ARIMA orders suit a panel: those that AutoARIMA finds most often in a sample of its items."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from typing import Any

import numpy as np

from ...arrays import FloatArray
from ...randomness import keyed_generator
from ..data.panel import SalesPanel
from .arima_recursion import Order
from .smoothing import filled

logger = logging.getLogger(__name__)

LARGEST: dict[str, Any] = {"max_p": 3, "max_q": 3, "max_P": 1, "max_Q": 1, "max_d": 1, "max_D": 1}
USUAL = (Order(q=1, d=1), Order(p=1), Order(p=1, q=1))
"""Orders where none can be searched: simple exponential smoothing, and what returns to a mean."""


def searched_orders(panel: SalesPanel, season: int, searched: int, most: int, fewest: int) -> tuple[Order, ...]:
    """Return up to `most` orders, those found most often first.

    Args:
        panel: the history.
        season: periods in a season; 1 for none.
        searched: items in the sample.
        most: orders to return.
        fewest: periods that an item must have to be in the sample.
    """
    series = [filled(panel.sales[i], panel.informative[i]) for i in _sample(panel, searched, fewest)]
    found = Counter(order for one in series if (order := _search(one, season)) is not None)
    common = [order for order, _ in sorted(found.items(), key=_rank)]
    logger.info("arima: orders in a sample of %d items: %s", len(series), dict(found))
    return tuple(dict.fromkeys([*common, *USUAL]))[:most]


def _sample(panel: SalesPanel, searched: int, fewest: int) -> list[int]:
    """Items with a record that is long enough and not empty, each drawn by its own key."""
    known = panel.informative
    able = (known.sum(axis=1) >= fewest) & (np.where(known, panel.sales, 0.0) > 0).any(axis=1)
    draws = {i: keyed_generator(0, "arima orders", panel.item_ids[i]).random() for i in np.flatnonzero(able).tolist()}
    return sorted(draws, key=lambda i: draws[i])[:searched]


def _search(series: FloatArray, season: int) -> Order | None:
    from statsforecast.models import AutoARIMA

    try:
        with warnings.catch_warnings():
            # The search tries orders that do not suit the series; those whose fit did not converge lose.
            warnings.filterwarnings("ignore", "possible convergence problem", UserWarning)
            model = AutoARIMA(season_length=season, allowdrift=False, **LARGEST).fit(series).model_
    except Exception as fault:  # the library raises bare exceptions where no order fits
        logger.debug("arima: %s", fault)
        return None
    p, q, seasonal_p, seasonal_q, _, d, seasonal_d = model["arma"]
    return Order(p, d, q, seasonal_p, seasonal_d, seasonal_q, season)


def _rank(entry: tuple[Order, int]) -> tuple[int, Order]:
    order, number = entry
    return -number, order
