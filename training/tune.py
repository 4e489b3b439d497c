"""Parameters of classical policies, found by simulation on a scenario: `tune_policy`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arrays import FloatArray
from ..envs.core.types import ItemParams, Scenario, with_protection_totals
from ..errors import FractileError, did_you_mean
from ..policies.base import Policy
from ..policies.lookahead import Lookahead
from ..policies.newsvendor import Newsvendor, Projected, TunedNewsvendor, TunedProjected
from ..policies.rollout import simulate
from ..progress import Progress, no_progress
from .config import TuningConfig
from .tuning import fixed, networks
from .tuning.candidates import Make, Trial, selling, some_of
from .tuning.fractiles import Fractiles, one_by_one
from .tuning.search import ALL, UNTUNED, Axis, search
from .tuning.stationary import forecast_dp


@dataclass(frozen=True, eq=False)
class Tuned:
    """A policy whose parameters were found, and what it replaces.

    Attributes:
        policy: the tuned policy, or the untuned one where that costs less on the periods kept for choosing.
        untuned: the same policy with parameters from formulas.
        notes: what is to be said of the search, a sentence each.
        cost: per period and item on the periods kept for choosing, money; None where none were kept.
        untuned_cost: likewise, of the untuned policy.
        at_edge: parameters whose search ended at the edge of its grid: better values may lie beyond.
    """

    policy: Policy
    untuned: Policy
    notes: tuple[str, ...] = ()
    cost: float | None = None
    untuned_cost: float | None = None
    at_edge: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Problem:
    """What a tuner gets: see `tune_policy`."""

    scenario: Scenario
    params: Any
    config: TuningConfig
    demand: Any
    seed: int
    later: Scenario | None = None

    @property
    def trial(self) -> Trial:
        """What candidates are judged on."""
        return Trial(self.scenario, self.params, warm_up_of(self.scenario, self.params), self.config.folds)

    def history(self, trial: Trial) -> fixed.History:
        """What the stretch says about demand."""
        return fixed.History(self.scenario, self.params, trial.counts)

    def steps(self, form: fixed.Form) -> FloatArray:
        """The smallest steps: single units where demand comes in them, else a fiftieth of a standard deviation."""
        demand = np.asarray(self.scenario.demand)
        if form.fine or not np.array_equal(demand, np.rint(demand)):
            return np.full(form.unit.shape, 0.02)
        return np.maximum(0.25 / form.unit, 0.004)

    @property
    def recorded(self) -> bool:
        """Whether the stretch is a history: fewer paths than parts."""
        return self.scenario.paths < 2 * self.config.folds


def tune_policy(
    name: str,
    scenario: Scenario,
    params: Any,
    *,
    kept: Scenario | None = None,
    config: TuningConfig | None = None,
    demand: Any = None,
    seed: int = 0,
    later: Scenario | None = None,
    progress: Progress = no_progress,
) -> Tuned:
    """Find the parameters of a classical policy that cost least on a scenario.

    All candidates are simulated side by side on the same demand. Policies with fixed parameters have a setting for
    each item, of which `tuning.search` says how much it follows the pool's; policies that read forecasts have one for
    all. On a history, what is chosen must also cost less than the untuned form on parts that it was not chosen on.
    Items whose demand has ended within the stretch do not count from then on.

    Args:
        name: one of `TUNERS`.
        scenario: demand to tune on, and forecasts for policies that read them; a history, or simulated paths.
        params: lead times and costs of its items, or the network.
        kept: a later stretch, on which the tuned and the untuned form are compared; None = no comparison.
        config: grids and how items are pooled.
        demand: the demand model of a policy that needs one (`projected_level`); the scenario's own frequencies where
            None.
        seed: of the items that a policy is tuned on where there are too many.
        later: a later stretch that shows which items' demand has ended, so that no fixed parameter orders them; `kept`
            where None.
        progress: called as the search moves on.

    Returns:
        The policy, the untuned one and what is to be said of the search.

    Raises:
        FractileError: where the policy has no tuner, or the system is not one that it is for.

    >>> import fractile as fr
    >>> scenario = fr.draw_scenario(fr.Poisson(5.0), seed=0, paths=200, periods=60, span=3)
    >>> params = ItemParams(lead_time=2, stockout_cost=4.0, pack_size=1)
    >>> tune_policy("base_stock", scenario, params).policy.level.tolist()
    [16.0]
    """
    if name not in TUNERS:
        raise FractileError(f"policy {name!r} has no tuner{did_you_mean(name, TUNERS)}")
    progress(f"tuning {name}")
    problem = _Problem(scenario, params, config or TuningConfig(), demand, seed, kept if later is None else later)
    tuned = TUNERS[name](problem)
    return tuned if kept is None else _compared(tuned, kept, params)


def warm_up_of(scenario: Scenario, params: Any) -> int:
    """Return the periods whose cost no order of the policy decides; on many paths, a start of any kind has worn off."""
    least = int(params.slots) if scenario.paths == 1 else 2 * int(params.slots) + 1
    return min(least, max(scenario.periods // 2, min(int(params.slots), scenario.periods - 1)))


def _compared(tuned: Tuned, kept: Scenario, params: Any) -> Tuned:
    """Compare both forms on the periods kept for choosing, and return the cheaper one."""
    kept = with_protection_totals(kept, params) if isinstance(params, ItemParams) else kept
    warm_up = min(int(params.slots), kept.periods - 1)
    cost, plain = (
        simulate(policy, kept, params, warm_up=warm_up).mean_cost for policy in (tuned.policy, tuned.untuned)
    )
    if cost <= plain:
        return replace(tuned, cost=cost, untuned_cost=plain)
    note = (
        f"the untuned form costs less on the periods kept for choosing, {plain:.4g} against {cost:.4g} a period and "
        "item: it is kept"
    )
    return Tuned(tuned.untuned, tuned.untuned, (*tuned.notes, note), plain, plain)


def _tune_fixed(form_of: Callable[[fixed.History], fixed.Form], problem: _Problem) -> Tuned:
    """Tune a policy with fixed parameters, item by item; items that share a capacity have one setting."""
    trial = problem.trial
    ended = trial.ended
    if problem.later is not None and isinstance(problem.params, ItemParams):
        ended = ended | ~selling(problem.later)[:, -1].any(0)
    trial = trial.without(ended)
    form = form_of(problem.history(trial))
    if getattr(problem.params, "capacity", None) is not None:
        one = replace(form, unit=form.unit.min(0, keepdims=True), typical=np.ones(1))
        return _tune_together(one, lambda u: np.repeat(u, trial.columns, axis=-2), problem)
    untuned = form.make(np.broadcast_to(form.origin, form.unit.shape))

    def costs(u: FloatArray) -> FloatArray:
        return trial.costs(form.make, u, untuned)

    found = search(costs, form.axes, form.typical, problem.steps(form), problem.config, recorded=problem.recorded)
    number, one = ended.sum(), ended.sum() == 1
    which = f"{number} item{'' if one else 's'} whose demand has ended {'is' if one else 'are'} not ordered any more"
    notes = (which,) if number else ()
    return Tuned(form.make(found.theta), untuned, (*notes, *found.notes), at_edge=found.at_edge)


def _tune_together(form: fixed.Form, spread: Callable[[FloatArray], FloatArray], problem: _Problem) -> Tuned:
    """Tune coordinates (1, k) of a whole system by its total cost.

    Args:
        form: makes the policy of coordinates (columns, ...).
        spread: from coordinates (..., 1, k) to those of all columns.
        problem: what to tune on.
    """
    trial = problem.trial
    untuned = form.make(spread(form.origin[None]))

    def costs(u: FloatArray) -> FloatArray:
        return trial.costs(form.make, spread(u), untuned).sum(2, keepdims=True)

    found = search(costs, form.axes, form.typical, problem.steps(form), problem.config, recorded=problem.recorded)
    return Tuned(form.make(spread(found.theta)), untuned, found.notes, at_edge=found.at_edge)


def _tune_echelons(problem: _Problem) -> Tuned:
    form, spread = networks.echelon_base_stock(problem.history(problem.trial))
    return _tune_together(form, spread, problem)


@dataclass(frozen=True, eq=False)
class _Shared:
    """A policy with a scale and a shift that all items share.

    Attributes:
        tuned: from scale and shift to the policy.
        plain: the untuned form.
        make: what makes candidates of coordinates, scale − 1 and shift.
        axes: the first grid.
        most: path-item-periods that it is tuned on at most.
        step: where refinement stops.
    """

    tuned: Callable[[float, float], Policy]
    plain: Policy
    make: Callable[[Scenario, ItemParams], Make]
    axes: tuple[Axis, ...]
    most: int
    step: float = 0.012


def _tune_shared(policy: _Shared, problem: _Problem) -> Tuned:
    """Tune a scale and a shift that all items share."""
    params = fixed.item_params(problem.params, "this policy")
    if problem.scenario.forecasts is None:
        raise FractileError("this policy reads forecasts: give Scenario(forecasts=...), or draw it from a demand model")
    scenario, params = some_of(problem.scenario, params, policy.most, problem.seed)
    notes: tuple[str, ...] = ()
    if scenario.items < problem.scenario.items:
        notes = (f"tuned on {scenario.items} of {problem.scenario.items} items, which share the setting",)
    if getattr(policy.plain, "reads_protection_total", False):
        scenario = with_protection_totals(scenario, params)
    some = replace(problem, scenario=scenario, params=params)
    trial = some.trial
    make, history = policy.make(scenario, params), some.history(trial)
    typical = history.typical(params.protection_interval, params.holding_cost, params.stockout_cost)
    step = np.full((trial.columns, 2), policy.step)

    def costs(u: FloatArray) -> FloatArray:
        return trial.costs(make, u, policy.plain)

    found = search(
        costs, policy.axes, typical, step, problem.config, recorded=some.recorded, weights=(ALL,), money=True
    )
    scale, shift = found.theta[0]
    best = policy.plain if found.pooled == UNTUNED else policy.tuned(float(1.0 + scale), float(shift))
    return Tuned(best, policy.plain, (*notes, *found.notes), at_edge=found.at_edge)


def _fractile_axes(scales: tuple[float, ...], shifts: tuple[float, ...]) -> tuple[Axis, ...]:
    return (
        Axis("the scale", scales, lowest=-1.0, unit="beyond one"),
        Axis("the shift", shifts, unit="of the log-odds"),
    )


def _tune_newsvendor(problem: _Problem) -> Tuned:
    axes = _fractile_axes(problem.config.scale_steps, problem.config.shifts)

    def make(scenario: Scenario, params: ItemParams) -> Make:
        return Fractiles(scenario, params).make

    return _tune_shared(_Shared(TunedNewsvendor, Newsvendor(), make, axes, problem.config.newsvendor_periods), problem)


def _tune_projected(problem: _Problem) -> Tuned:
    axes = _fractile_axes(problem.config.scale_steps, problem.config.shifts)

    def make(scenario: Scenario, params: ItemParams) -> Make:
        return Fractiles(scenario, params, projected=True).make

    return _tune_shared(_Shared(TunedProjected, Projected(), make, axes, problem.config.projected_periods), problem)


def _tune_lookahead(problem: _Problem) -> Tuned:
    axes = _fractile_axes((-0.15, 0.0, 0.15), (-1.0, -0.5, 0.0, 0.5, 1.0))

    def make(scenario: Scenario, params: ItemParams) -> Make:
        return one_by_one(Lookahead, scenario, params)

    policy = _Shared(Lookahead, Lookahead(), make, axes, problem.config.lookahead_periods, step=1.0)
    return _tune_shared(policy, problem)


def _tune_forecast_dp(problem: _Problem) -> Tuned:
    """Solve the items that are nearly stationary; untuned it is `lookahead`."""
    params = fixed.item_params(problem.params, "forecast_dp")
    if problem.scenario.forecasts is None:
        raise FractileError("forecast_dp reads forecasts: give Scenario(forecasts=...), or draw it from a demand model")
    policy, plain = forecast_dp(problem.scenario, params), Lookahead()
    number = 0 if policy is None else len(policy.solutions)
    note = (
        f"{number} of {problem.scenario.items} items are nearly stationary with a short lead time and are solved "
        "exactly; the others are ordered by lookahead"
    )
    return Tuned(plain if policy is None else policy, plain, (note,))


TUNERS: Mapping[str, Callable[[_Problem], Tuned]] = {
    "tuned_newsvendor": _tune_newsvendor,
    "tuned_projected": _tune_projected,
    "lookahead": _tune_lookahead,
    "forecast_dp": _tune_forecast_dp,
    "base_stock": lambda problem: _tune_fixed(fixed.base_stock, problem),
    "estimated_waste": lambda problem: _tune_fixed(fixed.estimated_waste, problem),
    "capped_base_stock": lambda problem: _tune_fixed(fixed.capped_base_stock, problem),
    "constant_order": lambda problem: _tune_fixed(fixed.constant_order, problem),
    "ss": lambda problem: _tune_fixed(fixed.ss, problem),
    "rq": lambda problem: _tune_fixed(fixed.rq, problem),
    "projected_level": lambda problem: _tune_fixed(
        lambda history: fixed.projected_level(history, problem.demand), problem
    ),
    "single_index": lambda problem: _tune_fixed(networks.single_index, problem),
    "dual_index": lambda problem: _tune_fixed(networks.dual_index, problem),
    "capped_dual_index": lambda problem: _tune_fixed(networks.capped_dual_index, problem),
    "tailored_base_surge": lambda problem: _tune_fixed(networks.tailored_base_surge, problem),
    "echelon_base_stock": _tune_echelons,
}
"""How each policy is tuned, by its name."""


__all__ = [
    "TUNERS",
    "Tuned",
    "tune_policy",
    "warm_up_of",
]
