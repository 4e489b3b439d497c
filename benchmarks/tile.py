"""What an item costs in a study: `python benchmarks/tile.py [--items 256] [--repeats 5]`.

CPU milliseconds an item, by part, for 52 held-out weeks after a warm-up of 6, and 100 simulated histories of them:
quantile forecasts of patchwork from every origin, demand summed over the protection interval (lead time 2), newsvendor
and tuned newsvendor on the history, histories drawn, and both policies on these. Sums and draws are also computed by
plain references, origin by origin, which are what they must agree with.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np
from scipy.special import ndtr

import fractile as fr
from fractile.envs.core.types import with_protection_totals
from fractile.envs.demand.shocks import CommonShocks
from fractile.forecasters.interpolation import segments
from fractile.forecasters.several import first_period_demand
from fractile.policies.newsvendor import Newsvendor, TunedNewsvendor
from fractile.policies.rollout import simulate_cost

PERIODS, HELD_OUT, WARM_UP, AHEAD, PATHS = 104, 52, 6, 5, 100


def plain_totals(forecasts, span):
    """Return the quantiles of sums, forecast by forecast: all draws, summed and sorted."""
    out = []
    for forecast in forecasts:
        draws = np.sort(forecast.draws(horizon=span).sum(-1), axis=0)
        position = np.clip(forecast.levels * len(draws) - 0.5, 0, len(draws) - 1)
        low = np.floor(position).astype(int)
        share = (position - low)[:, None, None]
        sums = draws[low] * (1 - share) + draws[np.minimum(low + 1, len(draws) - 1)] * share
        out.append(np.moveaxis(sums, 0, -1))
    return np.concatenate(out, axis=1)


def plain_demand(forecasts, normal):
    """Return demand at normal scores, period by period and draw by draw."""
    out = []
    for t, forecast in enumerate(forecasts):
        uniform = ndtr(normal[:, t].T)
        below, share, tail = segments(forecast.levels, uniform)
        values = np.broadcast_to(forecast.values[:, 0, 0], (*uniform.shape, len(forecast.levels)))
        low, high = (np.take_along_axis(values, k[..., None], -1)[..., 0] for k in (below, below + 1))
        out.append(np.maximum(low + (high - low) * np.where(tail, share + 1.0, share), 0.0))
    return np.stack(out, axis=1)


def best(repeats: int, part: Callable[[], Any]) -> tuple[float, Any]:
    """Return the least CPU seconds of some repeats, and what the part returns."""
    seconds, found = np.inf, None
    for _ in range(repeats):
        began = process_time()
        found = part()
        seconds = min(seconds, process_time() - began)
    return seconds, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    repeats, items = options.repeats, options.items
    panel = fr.retail_panel(items, PERIODS, 0).panel
    fitted = fr.make_forecaster("patchwork", horizon=8).fit(panel.until(PERIODS - HELD_OUT))
    params = fr.ItemParams(lead_time=2, holding_cost=0.02, stockout_cost=1.0, pack_size=1.0)
    policies = (Newsvendor(), TunedNewsvendor(scale=1.1, shift=-0.3))
    origins = np.arange(PERIODS - HELD_OUT - WARM_UP, PERIODS)
    spent, plain = {}, {}
    spent["forecasts"], whole = best(repeats, lambda: fitted.predict(panel, AHEAD, origins=origins))
    forecasts = [whole.at_origin(k) for k in range(len(origins))]
    history = fr.Scenario(panel.sales[:, origins].T[None], forecasts)
    spent["sums"], history = best(repeats, lambda: with_protection_totals(history, params))
    plain["sums"], sums = best(1, lambda: plain_totals(forecasts, 3))
    found = np.concatenate([total.values[:, :, 0] for total in history.protection_totals.totals], axis=1)
    np.testing.assert_allclose(found, sums, rtol=1e-12, atol=1e-12)
    spent["policies"], _ = best(
        repeats, lambda: [fr.simulate(policy, history, params, warm_up=WARM_UP) for policy in policies]
    )
    shocks = CommonShocks(common=0.2, common_memory=0.3, item_memory=0.25).of(panel.item_ids)
    spent["shocks"], normal = best(repeats, lambda: shocks.sample(0, PATHS, len(origins)).swapaxes(1, 2))
    spent["draws"], demand = best(repeats, lambda: first_period_demand(forecasts, normal))
    plain["draws"], expected = best(1, lambda: plain_demand(forecasts, normal))
    np.testing.assert_array_equal(demand, expected)
    drawn = fr.Scenario(np.rint(demand), forecasts, protection_totals=history.protection_totals)
    spent["histories"], _ = best(
        repeats, lambda: [simulate_cost(policy, drawn, params, warm_up=WARM_UP) for policy in policies]
    )
    print(f"{'part':12}{'ms an item':>12}{'plain':>10}{'ratio':>8}")
    for name, seconds in spent.items():
        row = f"{name:12}{1e3 * seconds / items:12.3f}"
        print(row + (f"{1e3 * plain[name] / items:10.3f}{plain[name] / seconds:8.1f}" if name in plain else ""))
    print(f"{'all':12}{1e3 * sum(spent.values()) / items:12.3f}")


if __name__ == "__main__":
    main()
