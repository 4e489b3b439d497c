"""What the sparse quantile forest costs on many rows: CPU-seconds to fit, peak memory, and whether it learnt.

    python benchmarks/forest.py [--rows 1000000] [--features 200] [--entries 40] [--trees 64] [--json FILE]

The rows are made block by block, each time they are gone through, and never held together.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from fractile.forecasters.trees.sqrf import Rows, SparseForestConfig, SparseQuantileForest
from fractile.randomness import keyed_generator

BLOCK = 50_000
LEVELS = np.array([0.1, 0.5, 0.9])


class SyntheticRows:
    """Rows with the same number of entries each, one from every stretch of columns; the first ones matter.

    The target is gamma distributed around the exponential of half the first entry, plus 1 where the second
    entry lies in an even column.
    """

    def __init__(self, rows: int, features: int, entries: int):
        self.rows, self.features, self.entries = rows, features, entries

    def __iter__(self):
        for number, first in enumerate(range(0, self.rows, BLOCK)):
            yield self.block(number, min(BLOCK, self.rows - first))

    def block(self, number: int, rows: int) -> Rows:
        rng = keyed_generator(0, "forest benchmark", number)
        width = self.features // self.entries
        columns = rng.integers(0, width, (rows, self.entries), dtype=np.int32)
        columns += np.arange(self.entries, dtype=np.int32) * width
        values = rng.standard_normal((rows, self.entries), dtype=np.float32)
        target = self.mean(columns, values) * rng.standard_gamma(4.0, rows) / 4.0
        ends = np.arange(rows + 1) * self.entries
        features = csr_matrix((values.ravel(), columns.ravel(), ends), shape=(rows, self.features))
        return Rows(features, target, np.ones(rows))

    @staticmethod
    def mean(columns, values):
        return np.exp(0.5 * values[:, 0]) + (columns[:, 1] % 2 == 0)


def main():
    """Measure, print, and keep what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="training rows")
    parser.add_argument("--features", type=int, default=200, help="columns")
    parser.add_argument("--entries", type=int, default=40, help="entries of a row")
    parser.add_argument("--trees", type=int, default=64, help="trees of the forest")
    parser.add_argument("--json", type=Path, help="where to keep the numbers")
    given = parser.parse_args()
    measured = measure(SyntheticRows(given.rows, given.features, given.entries), given.trees)
    for name, value in measured.items():
        print(f"{name:24} {value:,.3f}")
    if given.json:
        given.json.write_text(json.dumps(measured), encoding="utf-8")


def measure(rows: SyntheticRows, trees: int) -> dict[str, float]:
    """Fit on the rows, and hold the quantiles of new ones against what came."""
    begin = time.process_time()
    for _ in rows:
        pass
    generated = time.process_time() - begin
    before = time.process_time()
    forest = SparseQuantileForest(SparseForestConfig(trees=trees)).fit(rows)
    fit = time.process_time() - before - 2 * generated
    new = rows.block(10**6, 20_000)
    before = time.process_time()
    quantiles = forest.quantiles(new.features, LEVELS)
    predict = time.process_time() - before
    plain = np.quantile(new.target, LEVELS)
    return {
        "rows": float(rows.rows),
        "fit_cpu_seconds": fit,
        "making_rows_cpu_seconds": 2 * generated,
        "predict_cpu_seconds_per_100k_rows": predict * 5,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "loss_over_that_of_plain_quantiles": loss(new.target, quantiles) / loss(new.target, plain[None]),
        "coverage_10": float((new.target <= quantiles[:, 0]).mean()),
        "coverage_50": float((new.target <= quantiles[:, 1]).mean()),
        "coverage_90": float((new.target <= quantiles[:, 2]).mean()),
    }


def loss(target, quantiles):
    """Mean pinball loss."""
    excess = target[:, None] - quantiles
    return float(np.maximum(LEVELS * excess, (LEVELS - 1) * excess).mean())


if __name__ == "__main__":
    main()
