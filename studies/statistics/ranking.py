"""Several policies compared at once: which savings are proven all the same, and which policies may be the cheapest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from ...arrays import FloatArray
from ...errors import FractileError, did_you_mean
from ...randomness import keyed_generator
from ..report.text import join_words
from .estimates import Clusters, Estimate, Estimates, check_level, estimate_savings
from .saving import Saving, saving_of

DRAWS = 10_000
"""Draws of the largest of several correlated normal scores."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """What can be said of several policies at once.

    Attributes:
        savings: of every policy against the baseline, one at a time, bounds and the baseline among them.
        together: intervals of those savings that hold for all policies at once, without bounds and the baseline.
        proven: policies that save, though several were compared.
        dearer: policies that cost more than the baseline, likewise.
        among_best: policies that cannot be told from the cheapest, cheapest first.
        to_best: of each policy but bounds, which share of the baseline's cost it costs more than the cheapest one, with
            an interval that holds for all policies at once.
        baseline: what savings are measured against.
        level: at which all this holds.
    """

    savings: Mapping[str, Saving]
    together: Mapping[str, tuple[float, float]]
    proven: tuple[str, ...]
    dearer: tuple[str, ...]
    among_best: tuple[str, ...]
    to_best: Mapping[str, tuple[float, float, float]]
    baseline: str
    level: float

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is proven and what cannot be told apart, in words."""
        compared = len(self.together)
        against = f"against {self.baseline}" + (f", {compared} policies compared at once" if compared > 1 else "")
        if self.proven:
            found = f"Proven savings {against}: {join_words(self.proven)}."
        else:
            found = f"No saving is proven {against}."
        if len(self.among_best) > 1:
            return found, f"{join_words(self.among_best)} cannot be told apart."
        return found, f"{self.among_best[0]} is cheaper than all others." if compared else ""


def rank_policies(
    costs: Mapping[str, FloatArray],
    *,
    baseline: str,
    level: float = 0.95,
    clusters: Clusters = "auto",
    seeds: bool | None = None,
    bounds: Collection[str] = (),
    families: Mapping[str, str] | None = None,
) -> Ranking:
    """Compare several policies on the same demand, with intervals that hold for all of them at once.

    Savings against the baseline are tested together, from the largest down (Dunnett 1955; step-down: Marcus, Peritz and
    Gabriel 1976): each at half of 1 − level on its side, as an interval's end is. A policy may be the cheapest unless
    some other is proven cheaper among all that are compared with it (multiple comparisons with the best, Hsu 1996). The
    law of the largest of several scores is drawn from their joint law.

    Args:
        costs: by policy, money, shape (paths, periods, items), or (seeds, paths, periods, items).
        baseline: what savings are measured against.
        level: of all statements together.
        clusters: see `paired_saving`.
        seeds: likewise.
        bounds: policies that nobody can follow; they get a saving, and take no part otherwise.
        families: name of the learner by policy. Policies of one learner, each from a training of its own, are one
            policy with as many training seeds: what one saves is luck until the learner's mean saves.

    Raises:
        FractileError: as `paired_saving`, and where the baseline is none of the policies.
    """
    check_level(level)
    if baseline not in costs:
        raise FractileError(f"baseline {baseline!r} is none of the policies{did_you_mean(baseline, costs)}")
    names = [baseline, *(name for name in costs if name != baseline)]
    found = estimate_savings(costs[baseline], [costs[n] for n in names[1:]], clusters=clusters, seeds=seeds)
    return rank_estimates(names, found, level=level, bounds=bounds, families=families, order=tuple(costs))


def rank_estimates(
    names: Sequence[str],
    found: Estimates,
    *,
    level: float = 0.95,
    bounds: Collection[str] = (),
    families: Mapping[str, str] | None = None,
    order: Sequence[str] = (),
) -> Ranking:
    """Compare policies by their estimated savings; see `rank_policies`.

    Args:
        names: of the policies, the baseline first.
        found: their savings, likewise.
        level: of all statements together.
        bounds: see `rank_policies`.
        families: likewise.
        order: the order that savings are listed in; that of `names` where empty.
    """
    check_level(level)
    baseline = names[0]
    savings = {name: saving_of(found, k, level) for k, name in enumerate(names)}
    allowed = [k for k, name in enumerate(names) if name not in bounds or name == baseline]
    groups = _groups([names[k] for k in allowed], families or {}, baseline)
    joint = _grouped(found, [[names.index(name) for name in group] for group in groups])
    verdict = _Verdict.of(joint, level)

    def members(chosen: Collection[int]) -> tuple[str, ...]:
        inside = [name for g in sorted(chosen) for name in groups[g]]  # of equal ones the one that was given first
        return tuple(sorted(inside, key=lambda name: -savings[name].saving))

    return Ranking(
        savings={name: savings[name] for name in order or names},
        together={name: verdict.together[g] for g, group in enumerate(groups) if g for name in group},
        proven=members(verdict.proven),
        dearer=members(verdict.dearer),
        among_best=members(verdict.among_best),
        to_best={name: verdict.to_best[g] for g, group in enumerate(groups) for name in group},
        baseline=baseline,
        level=level,
    )


def _groups(names: Sequence[str], families: Mapping[str, str], baseline: str) -> list[list[str]]:
    """Return the policies of each learner, the baseline first, which stands alone."""
    groups: dict[str, list[str]] = {}
    for name in names:
        key = f"learner {families[name]}" if name in families and name != baseline else f"policy {name}"
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _grouped(found: Estimates, groups: Sequence[Sequence[int]]) -> Estimates:
    """Return the mean saving of each group, whose members' spread is that of so many training seeds."""
    weights = np.array([np.isin(np.arange(len(found.values)), group) / len(group) for group in groups])
    variance, sd, seeds = weights**2 @ found.seed_variance, [], []
    for g, group in enumerate(groups):
        spread = found.seed_sd[group[0]] if len(group) == 1 else found.values[list(group)].std(ddof=1)
        sd.append(spread)
        seeds.append(found.seeds[group[0]] if len(group) == 1 else len(group))
        if len(group) > 1:
            variance[g] = spread**2 / len(group)
    return replace(
        found,
        values=weights @ found.values,
        sampling=found.sampling.combined(weights),
        seed_variance=variance,
        seeds=tuple(seeds),
        seed_sd=np.array(sd),
    )


@dataclass(frozen=True)
class _Verdict:
    """What is found of estimates by position, the baseline at 0."""

    together: list[tuple[float, float]]
    proven: list[int]
    dearer: list[int]
    among_best: list[int]
    to_best: list[tuple[float, float, float]]

    @classmethod
    def of(cls, found: Estimates, level: float) -> _Verdict:
        number = len(found.values)
        draws = keyed_generator(0, "several policies").standard_normal((DRAWS, number))
        scores = draws @ _root(found.covariance()).T
        against = [found.difference(k) for k in range(number)]
        evidence = np.array([estimate.score(level) for estimate in against])
        rivals = list(range(1, number))
        one_side = (1 + level) / 2
        proven = _step_down(evidence, rivals, scores, one_side)
        dearer = _step_down(-evidence, rivals, -scores, one_side)
        critical = _critical(scores, rivals, 0, one_side, both=True)
        together = [(low, min(high, found.most)) for low, high in (_interval(e, critical) for e in against)]
        cheapest = int(np.argmax(found.values))
        among_best, to_best = [], []
        for k in range(number):
            others = [j for j in range(number) if j != k]
            limit, wide = _critical(scores, others, k, level), _critical(scores, others, k, one_side)
            if all(found.difference(j, k).score(level) <= limit for j in others):
                among_best.append(k)
            dearer_by = found.difference(cheapest, k)
            to_best.append((dearer_by.value, *_interval(dearer_by, wide)))
        return cls(together, proven, dearer, among_best, to_best)


def _interval(estimate: Estimate, critical: float) -> tuple[float, float]:
    """Return the interval of an estimate at a critical value of a standard normal score."""
    below, above = estimate.reach(float(2 * ndtr(critical) - 1))
    return estimate.value - below, estimate.value + above


def _root(covariance: FloatArray) -> FloatArray:
    """Return a matrix whose product with its transpose is the covariance."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _critical(scores: FloatArray, rivals: Sequence[int], base: int, level: float, *, both: bool = False) -> float:
    """Return the quantile of the largest standardised difference of `rivals` from `base`.

    Args:
        scores: draws of all estimates' errors, shape (draws, estimates).
        rivals: positions.
        base: position.
        level: of the quantile.
        both: whether differences count in both directions.
    """
    if not rivals:
        return 0.0
    differences = scores[:, list(rivals)] - scores[:, [base]]
    spread = differences.std(0)
    varied = differences[:, spread > 0] / spread[spread > 0]
    if not varied.shape[1]:
        return float(ndtri(level))
    return float(np.quantile((np.abs(varied) if both else varied).max(1), 2 * level - 1 if both else level))


def _step_down(evidence: FloatArray, rivals: list[int], scores: FloatArray, level: float) -> list[int]:
    """Return the positions whose difference from the first is above 0, tested from the strongest evidence down."""
    left, found = sorted(rivals, key=lambda k: -evidence[k]), []
    while left and evidence[left[0]] > _critical(scores, left, 0, level):
        found.append(left.pop(0))
    return found
