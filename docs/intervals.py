"""Measure whether intervals of savings cover, and what they find: `python docs/intervals.py [--quick]`.

Writes docs/statistics.md (this script is not called statistics.py, which would hide Python's module of that name).
Every piece is kept in the work folder as soon as it is done; a second call runs what is missing, and writes the page of
all that is there. `--only` chooses parts, `--fresh` runs them again, `--quick` tries the script on a few histories.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from intervals_page import write_page
from intervals_worlds import Policy, World, play, two_way_interval
from statistics_checks import pieces

import fractile as fr
from fractile.randomness import keyed_generator

HERE = Path(__file__).parent
WEEKS = (12, 26, 52)
WORLDS = {
    "no shocks in common": World(0.0, 0.0),
    "embedded panel": World(0.12, 0.26),
    "vn2": World(0.24, 0.22),
    "strong": World(0.3, 0.5),
    "12 skewed items": World(0.12, 0.26, items=12, skew=1.3),
}
UP_TO = Policy("up_to", 1.0)
PAIRS = {
    "level, L = 1": (1, Policy("up_to", 0.6)),
    "level, L = 2": (2, Policy("up_to", 0.93)),
    "shape, L = 1": (1, Policy("capped", 1.6)),
    "shape, L = 2": (2, Policy("capped", 1.6)),
}
DRIFTING = (1, Policy("constant", 0.9))
"""A policy whose stock drifts: what a shock does to it lasts for months."""
SIMILAR = {
    "0.92": Policy("up_to", 0.92),
    "0.95": Policy("up_to", 0.95),
    "1.05": Policy("up_to", 1.05),
    "1.08": Policy("up_to", 1.08),
    "capped 2.0": Policy("capped", 2.0),
    "capped 2.5": Policy("capped", 2.5),
}
"""Policies that differ little from the baseline, by the factor of their safety stock, or by a cap on orders."""
PLANTED_SAVING = 0.03
LUCK = 0.02
"""Standard deviation of what a training seed is worth."""
SEEDS = 8
STUDY = World(0.24, 0.22, items=300)
STUDY_WEEKS = 26


@dataclass(frozen=True)
class Size:
    """How much is done: histories of a setting, of its true saving, and studies."""

    histories: int = 400
    truth: int = 1600
    studies: int = 400


QUICK = Size(20, 60, 8)


@dataclass(frozen=True)
class Job:
    """What was asked on the command line."""

    work: Path
    quick: bool
    fresh: bool

    @property
    def size(self) -> Size:
        return QUICK if self.quick else Size()

    def kept(self, part: str, name: str, make: Callable[[], Mapping[str, Any]]) -> None:
        """Make one piece of a part and keep it, unless it is there."""
        path = self.work / part / f"{name.replace(' ', '-').replace(',', '').replace('=', '')}.json"
        if path.is_file() and not self.fresh:
            return
        start = time.process_time()
        piece = {"name": name, **make()}
        piece["seconds"] = time.process_time() - start
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(piece, indent=1), encoding="utf-8")
        print(f"{part} {name}: {piece['seconds']:.0f} CPU-seconds", flush=True)


def batches(
    key: str, world: World, policies: Mapping[str, Policy], *, histories: int, weeks: int, lead_time: int, at_once: int
) -> Any:
    """Yield what policies cost, batch by batch of histories."""
    for batch in range(-(-histories // at_once)):
        rng = keyed_generator(0, "docs/intervals", key, batch)
        number = min(at_once, histories - batch * at_once)
        yield play(rng, world, policies, histories=number, weeks=weeks, lead_time=lead_time)


def true_savings(
    key: str, world: World, policies: Mapping[str, Policy], *, histories: int, weeks: int, lead_time: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the true saving of each policy against "baseline", and how many weeks shocks to it last (`integrated`)."""
    totals = dict.fromkeys(policies, 0.0)
    kept: dict[str, list[np.ndarray]] = {name: [] for name in policies}
    for costs in batches(
        f"truth {key}", world, policies, histories=histories, weeks=weeks, lead_time=lead_time, at_once=200
    ):
        for name, cost in costs.items():
            totals[name] += float(cost.sum())
            kept[name].append(cost.sum(2))
    weekly = {name: np.concatenate(parts) for name, parts in kept.items()}
    savings, lasting = {}, {}
    for name in policies:
        savings[name] = 1 - totals[name] / totals["baseline"]
        series = (1 - savings[name]) * weekly["baseline"] - weekly[name]
        series = series - series.mean()
        lasting[name] = integrated(series)
    return savings, lasting


def integrated(series: np.ndarray) -> float:
    """Return 1 + 2 Σ autocorrelations, over half the weeks: how many weeks in a row are as good as one; 1 at least.

    Args:
        series: of mean zero, shape (histories, weeks).
    """
    square, weeks = float((series**2).mean()), series.shape[1]
    if not square:
        return 1.0
    lags = range(1, weeks // 2)
    return max(1.0, 1 + 2 * sum(float((series[:, k:] * series[:, :-k]).mean()) for k in lags) / square)


def coverage_piece(job: Job, world: World, lead_time: int, policy: Policy, key: str) -> dict[str, Any]:
    """Measure the intervals of one pair of policies in one world, over windows of several lengths."""
    policies, most = {"baseline": UP_TO, "policy": policy}, max(WEEKS)
    true, lasting = true_savings(key, world, policies, histories=job.size.truth, weeks=most, lead_time=lead_time)
    truth, rows = true["policy"], []
    (costs,) = batches(
        key, world, policies, histories=job.size.histories, weeks=most, lead_time=lead_time, at_once=10**6
    )
    for weeks in WEEKS:
        found, before = [], []
        for baseline, cost in zip(costs["baseline"][:, :weeks], costs["policy"][:, :weeks], strict=True):
            found.append(fr.statistics.paired_saving(baseline[None], cost[None]))
            before.append(two_way_interval(baseline, cost))
        inside = np.array([saving.low <= truth <= saving.high for saving in found])
        trusted = np.array([saving.trusted for saving in found])
        rows.append(
            {
                "weeks": weeks,
                "inside": inside.mean(),
                "before": np.mean([low <= truth <= high for low, high in before]),
                "width": float(np.mean([saving.high - saving.low for saving in found])),
                "ideal": float(2 * 1.96 * np.std([saving.saving for saving in found], ddof=1)),
                "untrusted": float(1 - trusted.mean()),
                "inside_trusted": float(inside[trusted].mean()) if trusted.any() else None,
            }
        )
    return {"truth": truth, "lasting": lasting["policy"], "histories": job.size.histories, "rows": rows}


def run_coverage(job: Job) -> None:
    for kind, world in WORLDS.items():
        for pair, (lead_time, policy) in PAIRS.items():
            key = f"{kind}, {pair}"
            job.kept("coverage", key, partial(coverage_piece, job, world, lead_time, policy, key))
    for kind in ("vn2",):
        key = f"{kind}, constant order"
        job.kept("drift", key, partial(coverage_piece, job, WORLDS[kind], *DRIFTING, key))


def studies(job: Job, key: str, policies: Mapping[str, Policy]) -> Any:
    """Yield studies of 300 items and 26 weeks, each policy's cost scaled so that its true saving is nil."""
    options = {"weeks": STUDY_WEEKS, "lead_time": 2}
    true, _ = true_savings(key, STUDY, policies, histories=max(40, job.size.truth // 4), **options)
    for costs in batches(key, STUDY, policies, histories=job.size.studies, at_once=40, **options):
        scaled = {name: cost / (1 - true[name]) for name, cost in costs.items()}
        for k in range(len(scaled["baseline"])):
            yield {name: cost[k : k + 1] for name, cost in scaled.items()}


def power_piece(job: Job) -> dict[str, Any]:
    """Count studies of similar policies that prove what was planted, and what was not."""
    nothing, spread = [], []
    found: dict[str, list[bool]] = {name: [] for name in SIMILAR}
    best, apart, trusted = [], [], []
    for costs in studies(job, "power", {"baseline": UP_TO, **SIMILAR}):
        ranking = fr.statistics.rank_policies(costs, baseline="baseline")
        nothing.append(bool(ranking.proven))
        spread.append([ranking.savings[name].saving for name in SIMILAR])
        for name in SIMILAR:
            planted = costs | {name: (1 - PLANTED_SAVING) * costs[name]}
            ranking = fr.statistics.rank_policies(planted, baseline="baseline")
            found[name].append(name in ranking.proven)
            trusted.append(name in fr.statistics.describe_intervals(ranking).proven)
            best.append(name in ranking.among_best)
            apart.append(ranking.among_best == (name,))
    return {
        "found": np.mean(list(found.values())),
        "each": {name: np.mean(shares) for name, shares in found.items()},
        "trusted": np.mean(trusted),
        "nothing": np.mean(nothing),
        "best": np.mean(best),
        "apart": np.mean(apart),
        "studies": len(nothing),
        "spread": dict(zip(SIMILAR, np.std(spread, axis=0, ddof=1).tolist(), strict=True)),
    }


def seeds_piece(job: Job) -> dict[str, Any]:
    """Count studies that prove the luck of a learner's seeds: entered as policies, as a learner, and unrecognised."""
    rng = keyed_generator(0, "docs/intervals", "luck")
    factors = dict(zip((f"net {k}" for k in range(1, SEEDS + 1)), 1 + 0.1 * rng.standard_normal(SEEDS), strict=True))
    policies = {"baseline": UP_TO, **{name: Policy("up_to", factor) for name, factor in factors.items()}}
    one_learner = dict.fromkeys(factors, "net")
    as_policies, unrecognised, as_seeds, inside = [], [], [], []
    for costs in studies(job, "seeds", policies):
        luck = LUCK * rng.standard_normal(SEEDS)
        runs = {name: (1 - luck[k]) * costs[name] for k, name in enumerate(factors)}
        entered = {"baseline": costs["baseline"], **runs}
        rank = partial(fr.statistics.rank_policies, entered, baseline="baseline")
        as_policies.append(bool(rank(families=one_learner).proven))
        unrecognised.append(bool(rank().proven))
        three = np.concatenate([runs[f"net {k}"] for k in (1, 2, 3)])
        saving = fr.statistics.paired_saving(costs["baseline"], three)
        as_seeds.append(saving.low > 0)
        inside.append(saving.low <= 0 <= saving.high)
    return {
        "as_policies": np.mean(as_policies),
        "unrecognised": np.mean(unrecognised),
        "as_seeds": np.mean(as_seeds),
        "inside": np.mean(inside),
        "studies": len(inside),
    }


def run_studies(job: Job) -> None:
    job.kept("studies", "planted", partial(power_piece, job))
    job.kept("studies", "seeds", partial(seeds_piece, job))


def run_checks(job: Job) -> None:
    for name, count in pieces(quick=job.quick):
        job.kept("checks", name, count)


PARTS = {"coverage": run_coverage, "studies": run_studies, "checks": run_checks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/intervals"), help="folder of kept pieces")
    parser.add_argument("--page", type=Path, default=HERE / "statistics.md", help="the page")
    parser.add_argument("--only", default=",".join([*PARTS, "page"]), help="parts, with commas")
    parser.add_argument("--quick", action="store_true", help="few histories")
    parser.add_argument("--fresh", action="store_true", help="run again what is kept")
    asked = parser.parse_args()
    job = Job(asked.work, asked.quick, asked.fresh)
    chosen = asked.only.split(",")
    unknown = set(chosen) - {*PARTS, "page"}
    if unknown:
        parser.error(f"--only: unknown parts {', '.join(sorted(unknown))}; known are {', '.join([*PARTS, 'page'])}")
    for part, run in PARTS.items():
        if part in chosen:
            run(job)
    if "page" in chosen:
        write_page(asked.work, asked.page)


if __name__ == "__main__":
    main()
