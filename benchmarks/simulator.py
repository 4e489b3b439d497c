"""Transitions a CPU-second of the simulator, beside a memory copy of the same run.

    python benchmarks/simulator.py

Lost sales, L = 4, a fixed order, one thread; the median of five. Ratios are to the copy of one array of paths.
"""

from __future__ import annotations

import statistics
from time import process_time

import numpy as np
import torch

import fractile as fr
from fractile.envs.types import InventoryState

PARAMS = fr.ItemParams(lead_time=4, holding_cost=1.0, stockout_cost=4.0)
PERIODS, REPEATS = 200, 5


def seconds(work):
    """Return the median CPU time of a piece of work."""
    times = []
    for _ in range(REPEATS):
        began = process_time()
        work()
        times.append(process_time() - began)
    return max(statistics.median(times), 1e-9)


def rolled(demand, order, state):
    """Step through all periods with a fixed order."""
    for t in range(PERIODS):
        state, _ = fr.step(state, order, demand[t % len(demand)], PARAMS)


def cases(paths):
    """Return what is measured at this number of paths, by name."""
    rng = np.random.default_rng(0)
    demand = rng.poisson(5.0, (20, paths, 1)).astype(float)
    order, state = np.full((paths, 1), 5.0), InventoryState.empty(paths, 1, 4)
    tensors = torch.as_tensor(demand), torch.as_tensor(order), InventoryState(*map(torch.as_tensor, state))
    target = np.empty_like(order)
    return {
        "copy": lambda: [np.copyto(target, order) for _ in range(PERIODS)],
        "numpy step": lambda: rolled(demand, order, state),
        "torch step": lambda: rolled(*tensors),
        "Poisson draws": lambda: rng.poisson(5.0, (PERIODS, paths)),
    }


def main():
    """Measure and print."""
    torch.set_num_threads(1)
    print(f"{'paths':>8}  {'what':<14}{'millions a CPU-second':>24}{'share of copy':>15}")
    for paths in (1, 64, 1024, 16384):
        rates = {name: paths * PERIODS / seconds(work) / 1e6 for name, work in cases(paths).items()}
        for name, rate in rates.items():
            print(f"{paths:>8}  {name:<14}{rate:>24.2f}{rate / rates['copy']:>15.3f}")


if __name__ == "__main__":
    main()
