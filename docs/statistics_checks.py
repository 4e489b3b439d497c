"""How often the checks of a baseline find planted mistakes, and how often they warn of a baseline that is right.

python -P docs/statistics_checks.py [REPETITIONS]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import fractile as fr
from fractile.policies.base import Policy
from fractile.policies.base_stock import BaseStock
from fractile.policies.newsvendor import Newsvendor
from fractile.randomness import keyed_generator
from fractile.studies.checks.baseline import check_comparison
from fractile.training.config import TuningConfig
from fractile.training.tune import tune_policy

ITEMS, HELD_OUT, TUNED_ON, WARM_UP, LEAD_TIME = 100, 26, 52, 6, 2
STRENGTHS = {"none": (0.0, 0.0), "sd .24, AR .22": (0.24, 0.22), "sd .30, AR .50": (0.30, 0.50)}
"""Standard deviation and lag-1 correlation of a log factor that all items share."""
STUDIES = {"right": 25, "planted": 10}
"""Studies of each case and strength of shocks."""
SAMPLED = 2000
"""Paths that order-up-to levels are read from."""


@dataclass(frozen=True, eq=False)
class Market:
    """A hundred items, half of them slow, and demand with shocks that all share.

    Attributes:
        shocks: standard deviation and memory of the log factor.
        seed: of the items.
    """

    shocks: tuple[float, float]
    seed: int

    @property
    def demand(self) -> fr.NegativeBinomial:
        """Demand without shocks."""
        mean = keyed_generator(self.seed, "means").lognormal(1.5, 0.8, ITEMS)
        return fr.NegativeBinomial(mean, 2.0 * mean)  # variance 1.5 times the mean

    def params(self, unmet: str) -> fr.ItemParams:
        """Critical ratios of 0.8 to 0.95."""
        ratio = keyed_generator(self.seed, "ratios").uniform(0.8, 0.95, ITEMS)
        return fr.ItemParams(lead_time=LEAD_TIME, stockout_cost=ratio / (1 - ratio), unmet_demand=unmet, pack_size=1.0)

    def draw(self, key: str, paths: int, periods: int) -> np.ndarray:
        """Draw demand, units, shape (paths, periods, items)."""
        rng = keyed_generator(self.seed, key)
        sd, memory = self.shocks
        log = np.zeros((paths, periods))
        if sd:
            log[:, 0] = sd * rng.standard_normal(paths)
            for t in range(1, periods):
                log[:, t] = memory * log[:, t - 1] + sd * np.sqrt(1 - memory**2) * rng.standard_normal(paths)
        mean = np.exp(log - sd**2 / 2)[:, :, None] * np.asarray(self.demand.mean)
        # Variance 1.5 times the mean of each period.
        return rng.negative_binomial(2.0 * mean, 2.0 / 3.0).astype(np.float64)

    def scenario(self, key: str, periods: int) -> fr.Scenario:
        """One path with forecasts that know all but the shocks."""
        return fr.Scenario(self.draw(key, 1, periods), forecasts=[self.demand.forecast(LEAD_TIME + 1)] * periods)

    def levels(self, params: fr.ItemParams, spread: float = 1.0, span: int = LEAD_TIME + 1) -> np.ndarray:
        """Critical fractiles of demand over `span` periods, units, with a share of the spread around the mean."""
        totals = self.draw("levels", SAMPLED, span).sum(1)
        ratio = np.asarray(params.critical_ratio)
        fractile = np.array([np.quantile(totals[:, i], ratio[i]) for i in range(ITEMS)])
        mean = totals.mean(0)
        return np.ceil(np.maximum(mean + spread * (fractile - mean), 0.0))


def halve_spread(scenario: fr.Scenario) -> fr.Scenario:
    """Return the scenario with forecasts that spread half as far around their medians as they should."""
    right = scenario.forecasts[0]
    middle = right.quantile(0.5)[..., None]
    values = middle + (right.values - middle) / 2
    sure = fr.QuantileForecast(right.levels, values, right.origins, right.item_ids)
    return fr.Scenario(scenario.demand, [sure] * scenario.periods)


def _as_they_are(scenario: fr.Scenario) -> fr.Scenario:
    return scenario


@dataclass(frozen=True)
class Case:
    """A baseline, right or wrong.

    Attributes:
        name: what it is.
        unmet: "lost" or "backorder".
        make: from a market and its parameters to the policy, and parameters whose search ended at an edge.
        expected: codes, one of which must be raised; none: none may.
        believe: what is done to the forecasts that policies see.
    """

    name: str
    unmet: str
    make: Callable[[Market, fr.ItemParams], tuple[Policy, tuple[str, ...]]]
    expected: tuple[str, ...] = ()
    believe: Callable[[fr.Scenario], fr.Scenario] = _as_they_are


def _level(spread: float = 1.0, span: int = LEAD_TIME + 1) -> Callable[..., tuple[Policy, tuple[str, ...]]]:
    return lambda market, params: (BaseStock(market.levels(params, spread, span)), ())


def _tuned(market: Market, params: fr.ItemParams, config: TuningConfig | None = None, of: float = 1.0) -> tuple:
    scenario = market.scenario("tuned on", TUNED_ON)
    scenario = replace(scenario, demand=np.floor(of * scenario.demand))
    found = tune_policy("tuned_newsvendor", scenario, params, config=config)
    return found.policy, found.at_edge


def _newsvendor(market: Market, params: fr.ItemParams) -> tuple:  # noqa: ARG001
    return Newsvendor(), ()


def _at_edge(market: Market, params: fr.ItemParams) -> tuple:
    """Tune on a third of the demand that is forecast, on a grid that ends far above."""
    return _tuned(market, params, TuningConfig(widenings=0), of=1 / 3)


LEVEL = ("retuning", "service")
BELIEF = ("forecast_spread", "forecast_coverage", "retuning", "service")
RIGHT = (
    Case("critical fractile of L + 1 periods", "backorder", _level()),
    Case("newsvendor", "backorder", _newsvendor),
    Case("tuned newsvendor", "backorder", _tuned),
    Case("tuned newsvendor", "lost", _tuned),
)
PLANTED = (
    Case("critical fractile of L periods", "backorder", _level(span=LEAD_TIME), LEVEL),
    Case("critical fractile of L periods", "lost", _level(span=LEAD_TIME), LEVEL),
    Case("level with half the spread", "backorder", _level(spread=0.5), LEVEL),
    Case("forecasts with half the spread", "backorder", _newsvendor, BELIEF, halve_spread),
    Case("forecasts with half the spread", "lost", _newsvendor, BELIEF, halve_spread),
    Case("search that ends at its edge", "lost", _at_edge, ("grid_edge",)),
)


def _study(case: Case, market: Market) -> list[str]:
    """Return the codes of the warnings in one study."""
    params = market.params(case.unmet)
    policy, at_edge = case.make(market, params)
    scenario = case.believe(market.scenario("held out", WARM_UP + HELD_OUT))
    own = fr.simulate(policy, scenario, params, warm_up=WARM_UP)
    found = check_comparison(
        {"baseline": policy},
        scenario,
        params,
        {"baseline": own},
        baseline="baseline",
        warm_up=WARM_UP,
        at_edge={"baseline": at_edge},
    )
    return [warning.code for warning in found]


def pieces(*, quick: bool = False) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yield what is to be counted: the name of each case and strength of shocks, and a function that counts.

    Args:
        quick: one study of each, without shocks.
    """
    for kind, cases in (("right", RIGHT), ("planted", PLANTED)):
        for case in cases:
            for shocks in list(STRENGTHS)[: 1 if quick else None]:
                seeds = range(1 if quick else STUDIES[kind])
                yield f"{kind} {case.name} {case.unmet} {shocks}", partial(_count, kind, case, shocks, seeds)


def _count(kind: str, case: Case, shocks: str, seeds: range) -> dict[str, Any]:
    codes = [_study(case, Market(STRENGTHS[shocks], seed)) for seed in seeds]
    names = sorted({name for c in codes for name in c})
    return {
        "kind": kind,
        "case": case.name,
        "unmet": case.unmet,
        "shocks": shocks,
        "studies": len(codes),
        "warned": sum(bool(c) for c in codes),
        "found": sum(bool(set(c) & set(case.expected)) for c in codes),
        "codes": ", ".join(f"{name} {sum(name in c for c in codes)}" for name in names),
    }


def page(frame: pd.DataFrame) -> str:
    """Return the section of the page on statistics, Markdown.

    Args:
        frame: a row a piece.
    """
    right, planted = (frame[frame["kind"] == kind] for kind in ("right", "planted"))
    lines = [
        "## Warnings of a baseline",
        "",
        "A saving against a poor baseline is not worth its figure, so `fr.compare` and studies check the baseline",
        "(`studies/checks`). *retuning*: another safety stock, from 2 periods of mean demand less to 2 more, would",
        "save more than 2 % on items and periods that it was not chosen on, or on demand drawn from the scenario's own",
        "forecasts, which the periods themselves must bear out. *service*: fewer item-periods end without a shortfall",
        "than the critical ratio asks for. *forecast_coverage*: the forecast whose fractile is bought is exceeded too",
        "often; all three beyond chance, at 99 %. *forecast_spread*: within a period items deviate from that forecast",
        "1.25 times as far as it says, in both halves of the items. *grid_edge*: a search ended at its grid's edge.",
        "",
        f"Studies of {ITEMS} items and {HELD_OUT} held-out periods, lead time {LEAD_TIME}, critical ratios of 0.80 to",
        "0.95, one path; shocks are a log-normal AR(1) factor that all items share. A right baseline must raise",
        f"nothing: in {right['studies'].sum()} studies {right['warned'].sum()} raised a warning.",
        "",
        "| right baseline | unmet demand | shocks | studies | with a warning | which |",
        "|---|---|---|---:|---:|---|",
        *(f"| {r.case} | {r.unmet} | {r.shocks} | {r.studies} | {r.warned} | {r.codes or '–'} |" for r in rows(right)),
        "",
        "| planted mistake | unmet demand | shocks | studies | found | raised |",
        "|---|---|---|---:|---:|---|",
        *(f"| {r.case} | {r.unmet} | {r.shocks} | {r.studies} | {r.found} | {r.codes or '–'} |" for r in rows(planted)),
        "",
        "Where shocks are strong and last, 26 periods of one history cannot tell half the spread of a level from luck.",
        "Half the spread in the level itself has no row where sales are lost: a newsvendor's level is too high there,",
        "and the two mistakes cancel. In five studies without shocks no other safety stock saved more than 2 %.",
    ]
    return "\n".join([*lines, ""])


def rows(frame: pd.DataFrame) -> list[Any]:
    """Return the rows of a frame, its columns as attributes."""
    return list(frame.itertuples(index=False))
