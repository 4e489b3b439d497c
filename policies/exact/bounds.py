"""Costs that no policy can go below, where the optimum is out of reach."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import norm

from ...arrays import FloatArray
from ...errors import Faults


def transshipment_bound(
    standard_deviation: Any,
    *,
    correlation: float = 0.0,
    warehouse_lead_time: int = 3,
    store_lead_time: int = 2,
    holding_cost: float = 1.0,
    stockout_cost: float = 9.0,
) -> float:
    """Return a lower bound on the cost per store and period of a warehouse that holds no stock and its n stores.

    `(b + h) φ(z) √(L_w Var(Σ_i D_i) + (L_s + 1) (Σ_i σ_i)²) / n` with `z = Φ⁻¹(b / (b + h))`

    for normal demand, independent over periods, backorders, and the same costs in all stores. Allow the warehouse to
    take stock back from stores when it allocates (Federgruen and Zipkin 1984, "Approximations of dynamic, multilocation
    production and inventory problems", Management Science 30(1), relax allocation in this way). Then it can give every
    store the same fractile of its L_s + 1 periods of demand, and the stores together cost what one store with the
    standard deviation `√(L_s + 1) Σ σ_i` would. The position that is allocated was ordered L_w periods before, during
    which demand with the variance `L_w Var(Σ D_i)` was met. Alvo, Russo and Kanoria (2023), "Neural inventory control
    in networks via hindsight differentiable policy optimization", compare with this number; the derivation is our own.

    Args:
        standard_deviation: of each store's demand per period, units, shape (stores,). [σ_i]
        correlation: of any two stores' demand in a period.
        warehouse_lead_time: periods from an order to the warehouse's receipt. [L_w]
        store_lead_time: periods from the warehouse to a store. [L_s]
        holding_cost: money per unit on hand in a store at a period's end. [h]
        stockout_cost: money per unit short. [b]

    >>> round(transshipment_bound([1.0, 2.0], correlation=0.5, store_lead_time=2, stockout_cost=4.0), 4)
    4.8491
    """
    sigma: FloatArray = np.atleast_1d(np.asarray(standard_deviation, dtype=np.float64))
    _check(sigma, correlation, (warehouse_lead_time, store_lead_time), (holding_cost, stockout_cost))
    total = (1.0 - correlation) * (sigma**2).sum() + correlation * sigma.sum() ** 2
    spread = np.sqrt(warehouse_lead_time * total + (store_lead_time + 1) * sigma.sum() ** 2)
    z = ndtri(stockout_cost / (stockout_cost + holding_cost))
    return float((stockout_cost + holding_cost) * norm.pdf(z) * spread / len(sigma))


def _check(sigma: FloatArray, correlation: float, lead_times: tuple[int, int], costs: tuple[float, float]) -> None:
    faults, n = Faults(), len(sigma)
    if sigma.ndim != 1 or not ((sigma >= 0) & np.isfinite(sigma)).all():
        faults.add(f"standard_deviation must hold numbers >= 0, one a store, got {sigma}")
    # Below this, no joint distribution of that many stores exists.
    lowest = -1.0 / (n - 1) if n > 1 else -1.0
    if not lowest <= correlation <= 1:
        faults.add(f"correlation must lie in [{lowest:.3g}, 1] for {n} stores, got {correlation}")
    if min(lead_times) < 0:
        faults.add(f"lead times must be integers >= 0, got {lead_times}")
    if not min(costs) > 0:
        faults.add(f"holding_cost and stockout_cost must be above 0, got {costs}")
    faults.raise_if_any()
