"""What policies are tuned and trained on: episodes, the stretch kept for choosing, and notes on what was found.

    |…… scenario: tuned and trained on ……|…… kept: trained on by nobody ……|

Networks and agents draw their episodes from the scenario, or from a source that never ends. What was tuned or trained
is chosen on the stretch that is kept, against the cheapest classical policy there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from ..arrays import FloatArray
from ..envs.core.types import ItemParams, Scenario, with_protection_totals
from ..envs.gym.sources import DemandSource, EpisodeSource, PoolSource
from ..errors import FractileError
from ..parts import Parts
from ..policies.base import Policy
from ..policies.newsvendor import TunedNewsvendor
from ..policies.registry import make_policy
from ..policies.rollout import simulate
from ..progress import Progress, no_progress
from ..randomness import keyed_generator
from .config import BACKPROP_ON_HISTORY, PPO_ON_HISTORY, HistoryConfig
from .pieces import TunedPiece, keep_tuned
from .tune import TUNERS, tune_policy
from .tuning.candidates import selling

DRAWN = 200_000
"""Item-periods that are drawn from a source to tune classical policies on, and as many to choose on."""
SHORTEST_DRAWN = 100
"""Periods at least of the paths that are drawn from a source."""


@dataclass(eq=False)
class TrainingProblem:
    """What policies are tuned and trained on.

    No value object: notes are added to it, and classical policies are tuned when they are first needed and kept, since
    every trainer starts from one.

    Attributes:
        scenario: demand and forecasts that policies learn from, before anything that they are later compared on.
        params: lead times, costs and order rules of its items, or the network.
        tuning: what classical policies are tuned on; `scenario` where None.
        kept: a later stretch that nobody trains on: there learned policies are held against classical ones, tuned
            against untuned. Where None, nothing is compared but networks, on the scenario's own last part.
        source: episodes without end that networks and agents are trained on; cut from the scenario where None.
        seed: of everything random.
        backprop_steps: gradient steps of `backprop`.
        ppo_steps: transitions of `ppo`.
        progress: called as training moves on.
        parts: where policies that were tuned and networks that were trained are kept, and read from.
        history: how the scenario is divided.
        notes: by policy name, what a reader should know of its tuning or training; trainers add to it.
        at_edge: by policy name, parameters whose search ended at the edge of its grid; tuners add to it.
    """

    scenario: Scenario
    params: Any
    tuning: Scenario | None = None
    kept: Scenario | None = None
    run_in: int | None = None
    source: EpisodeSource | None = None
    seed: int = 0
    backprop_steps: int = BACKPROP_ON_HISTORY.steps
    ppo_steps: int = PPO_ON_HISTORY.steps
    progress: Progress = no_progress
    parts: Parts = field(default_factory=Parts)
    history: HistoryConfig = field(default_factory=HistoryConfig)
    notes: dict[str, list[str]] = field(default_factory=dict)
    at_edge: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _tuned: dict[str, Policy] = field(default_factory=dict, init=False, repr=False)
    _reference: tuple[str, Policy] | None = field(default=None, init=False, repr=False)
    _counts: Any = field(default=None, init=False, repr=False)

    @classmethod
    def of_source(
        cls,
        source: EpisodeSource,
        *,
        seed: int = 0,
        paths: int | None = None,
        periods: int | None = None,
        **options: Any,
    ) -> Self:
        """Draw what classical policies are tuned on and what is kept for choosing; networks train on the source itself.

        Args:
            source: where episodes come from: a theoretical model, an environment's, or one of your own.
            seed: of what is drawn, and of everything random in training.
            paths: demand paths, of either; about 200,000 item-periods where None.
            periods: length of the paths; 100 and five times the pipeline where None.
            **options: other fields.
        """
        periods = periods or SHORTEST_DRAWN + 5 * source.slots
        scenario, params = _draw(source, keyed_generator(seed, "training problem", "tuning"), paths, periods)
        kept = None
        if not isinstance(source, PoolSource):  # a scenario that was drawn before has nothing more to give
            kept, _ = _draw(source, keyed_generator(seed, "training problem", "kept"), paths, periods)
        if isinstance(params, ItemParams):  # hundreds of candidates read the same totals
            scenario = with_protection_totals(scenario, params)
            kept = None if kept is None else with_protection_totals(kept, params)
        return cls(scenario, params, kept=kept, source=source, seed=seed, **options)

    def tune(self, name: str) -> Policy:
        """Return a classical policy with parameters found on the scenario; each is tuned once, and kept.

        Where periods are kept for choosing, it is never dearer there than its untuned form, which takes its place
        otherwise; notes say so.
        """
        if name not in self._tuned:
            found = keep_tuned(self.parts, name, lambda: self._tune(name))
            for note in found.notes:
                self.note(name, note)
            if found.at_edge:
                self.at_edge[name] = found.at_edge
            self._tuned[name] = found.policy
        return self._tuned[name]

    def _tune(self, name: str) -> TunedPiece:
        tuned = tune_policy(
            name, self.tuning_scenario, self.params, seed=self.seed, later=self.kept, progress=self.progress
        )
        policy, notes = tuned.policy, list(tuned.notes)
        if self.kept is not None and policy is not tuned.untuned:
            cost, plain = (float(self.cost_on_kept(p).mean()) for p in (policy, tuned.untuned))
            if cost > plain:
                policy = tuned.untuned
                more = f"{cost / plain - 1:.1%} more" if plain > 0 else "more"
                notes.append(f"orders as its untuned form: tuning costs {more} on the periods kept for choosing")
        return TunedPiece(policy, tuple(notes), tuned.at_edge if policy is not tuned.untuned else ())

    @property
    def newsvendor(self) -> TunedNewsvendor:
        """The tuned newsvendor: the point that networks start from."""
        policy = self.tune("tuned_newsvendor")
        return policy if isinstance(policy, TunedNewsvendor) else TunedNewsvendor()

    @property
    def reference(self) -> tuple[str, Policy]:
        """The cheapest of `history.references` on the periods kept for choosing, with its name.

        Those that are not for the system are left out.
        """
        if self._reference is None:
            costs: dict[str, float] = {}
            policies: dict[str, Policy] = {}
            for name in self.history.references:
                with suppress(FractileError):
                    policies[name] = self.tune(name) if name in TUNERS else make_policy(name)
                    costs[name] = float(self.cost_on_kept(policies[name]).mean())
            cheapest = min(costs, key=lambda name: costs[name])
            self._reference = cheapest, policies[cheapest]
        return self._reference

    @property
    def tuning_scenario(self) -> Scenario:
        """What classical policies are tuned on."""
        return self.scenario if self.tuning is None else self.tuning

    @property
    def judging_start(self) -> int:
        """The first period of the scenario's part that selects networks and trains none.

        It is the scenario's end where a stretch is kept for that, or where the scenario is too short to be divided.
        """
        periods = self.scenario.periods
        if periods < 3:
            raise FractileError(f"training needs at least 3 periods before the held-out ones, got {periods}")
        if self.kept is not None or periods < self.history.shortest_split:
            return periods
        return periods - periods // self.history.window_parts

    @property
    def choosing(self) -> tuple[Scenario, int] | None:
        """The periods that networks are chosen on, with the number of those at their start that do not count."""
        if self.kept is not None:
            run_in = int(self.params.slots) if self.run_in is None else self.run_in
            return self.kept, min(run_in, self.kept.periods - 1)
        start, periods = self.judging_start, self.tuning_scenario.periods
        if start == periods:
            return None
        first = max(0, start - 2 * int(np.max(self.params.protection_interval)))
        return self.tuning_scenario.window(first, periods), start - first

    @property
    def episode_periods(self) -> int:
        """Length of a training episode: one period less than there are, since the last observation has a forecast."""
        return min(self.judging_start - 1, self.history.longest_episode)

    @property
    def warm_up(self) -> int:
        """Periods of an episode whose cost is settled before the policy's orders arrive."""
        return min(int(self.params.slots), self.episode_periods - 1)

    @property
    def training_size(self) -> int:
        """Item-periods that policies learn from; demand paths count each."""
        scenario = self.scenario
        return scenario.paths * self.judging_start * scenario.items

    def cost_on_kept(self, policy: Policy) -> FloatArray:
        """Return what a policy costs where learned policies are chosen, money, shape (paths, periods, items).

        Zero where an item's demand has ended: what is left over costs in every period then, whatever is ordered.
        Where no periods are left for choosing, it is the cost on the scenario that policies learn from.
        """
        scenario, run_in = self.choosing or (self.tuning_scenario, self.warm_up)
        if self._counts is None:
            self._counts = selling(scenario)[:, run_in:] if isinstance(self.params, ItemParams) else np.ones((1, 1, 1))
        return np.asarray(simulate(policy, scenario, self.params, warm_up=run_in).cost * self._counts)

    def note(self, name: str, text: str) -> None:
        """Add a note on a policy, once."""
        known = self.notes.setdefault(name, [])
        if text not in known:
            known.append(text)

    def split_items(self) -> tuple[PoolSource, PoolSource]:
        """Return episodes of most items, and of the items that choose the best network: recorded ones only."""
        items = keyed_generator(self.seed, "validation items").permutation(self.scenario.items)
        held_out = max(1, round(self.history.validation_items * len(items)))
        training = self.scenario.window(0, self.judging_start)
        validation = self.tuning_scenario.window(0, self.judging_start)
        if held_out >= len(items):
            return PoolSource(training, self.params), PoolSource(validation, self.params)
        train, later = np.sort(items[held_out:]), np.sort(items[:held_out])
        return (
            PoolSource(training.select(train), self.params.select(train)),
            PoolSource(validation.select(later), self.params.select(later)),
        )


def _draw(source: EpisodeSource, rng: np.random.Generator, paths: int | None, periods: int) -> tuple[Scenario, Any]:
    """Draw all items of a source side by side, with their parameters."""
    if isinstance(source, PoolSource):
        return source.scenario, source.params
    if not isinstance(source, DemandSource):
        return source.draw(rng, paths or max(1, DRAWN // (periods * source.columns)), periods)
    items = source.model.items
    chosen = np.arange(items) if source.item is None else np.array([source.item])
    paths = paths or max(1, DRAWN // (periods * len(chosen)))
    scenario = source.model.scenario(rng, paths, periods, source.span)
    if source.arrivals is not None:
        scenario = replace(scenario, arrivals=source.arrivals.sample(rng, paths, periods, items))
    return scenario.select(chosen), source.params.select(chosen)
