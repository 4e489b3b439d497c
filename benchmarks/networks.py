"""What networks cost: `python benchmarks/networks.py [--forecaster mqcnn]`, in CPU-seconds of one thread.

Fits a network to 600 items and 157 weeks of the embedded generator, prints when the held-out loss was least, and
forecasts 100,800 item-origins; as a reference of the same run, a float32 matrix product of 1,024 rows and columns.
"""

from __future__ import annotations

import argparse
import re
from time import process_time

import numpy as np
import torch

import fractile as fr

ITEMS, PERIODS, HORIZON = 600, 157, 8
ORIGINS, CALLS = 84, 2
PAIRS = ITEMS * ORIGINS * CALLS
REFERENCE = 1024
MESSAGE = re.compile(r"train step (\d+) of (\d+), loss (\S+)")


def reference_seconds() -> float:
    """CPU-seconds of one matrix product, the least of five."""
    matrix = torch.rand(REFERENCE, REFERENCE)
    times = []
    for _ in range(5):
        began = process_time()
        _ = matrix @ matrix
        times.append(process_time() - began)
    return min(times)


def best_check(checks: list[tuple[float, str]]) -> tuple[float, int, int]:
    """Seconds to the check with the least held-out loss, its step, and the number of steps.

    Messages read "mqcnn: train step 520 of 800, loss 1.234"; losses of the first third are not of held-out periods.
    """
    found = [(seconds, MESSAGE.search(message)) for seconds, message in checks]
    rows = [(float(m[3]), seconds, int(m[1]), int(m[2])) for seconds, m in found if m and int(m[1]) > int(m[2]) // 3]
    _, seconds, step, steps = min(rows)
    return seconds, step, steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forecaster", default="mqcnn")
    given = parser.parse_args()
    torch.set_num_threads(1)
    panel = fr.retail_panel(ITEMS, PERIODS).panel
    checks: list[tuple[float, str]] = []
    began = process_time()
    forecaster = fr.make_forecaster(
        given.forecaster, horizon=HORIZON, progress=lambda message, _: checks.append((process_time() - began, message))
    )
    forecaster.fit(panel)
    fit_seconds = process_time() - began
    best_seconds, best_step, steps = best_check(checks)
    origins = np.arange(PERIODS - ORIGINS + 1, PERIODS + 1)
    began = process_time()
    for _ in range(CALLS):
        forecaster.predict(panel, HORIZON, origins=origins)
    seconds = process_time() - began
    product = reference_seconds()
    print(f"{given.forecaster}: {ITEMS} items x {PERIODS} weeks, horizon {HORIZON}, one thread")
    print(f"to the least held-out loss ({best_step} of {steps} steps): {best_seconds:.1f} CPU-s; fit {fit_seconds:.1f}")
    print(f"{PAIRS:,} item-origins forecast in {seconds:.1f} CPU-s")
    print(f"reference: a {REFERENCE} x {REFERENCE} float32 product takes {product * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
