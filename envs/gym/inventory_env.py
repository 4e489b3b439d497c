"""The Gymnasium environment of one episode: an item, items that share a capacity, or a network."""

from __future__ import annotations

import copy
import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from ...arrays import Float32Array
from ...errors import FractileError
from ..core.types import HistoryView
from .batch import InventoryBatch, OneItem
from .catalogue import make_source
from .discrete import ActionGrid
from .encoders import make_encoder
from .observation import ActionMode


class InventoryEnv(gym.Env[Float32Array, Float32Array]):
    """Buying one item, several that share a capacity, or for every location of a network, period after period.

    **Observation.** `Box(float32, (features,))`, scale-free: for each item net inventory, pipeline, stock by
    remaining life, the gap to the newsvendor's level, quantiles of demand over the protection interval and of the
    next period, all divided by the item's forecast demand per period; then the level, log demand, critical ratio and
    lead time. Networks: see `NetworkEncoder`. `feature_names` lists them.

    **Action.** `Box(−1, 1, (orders,))`: for each item, or link of a network, moves the newsvendor's order-up-to level
    by up to one protection interval's mean demand either way (`action="order_up_to"`), or sets the order itself
    (`action="order"`, 0 = mean demand). With `discrete=n`, `Discrete(n)`: n equally spaced ones of these, in every
    combination where there are several orders.

    **Reward.** Minus the period's cost, in money. **End.** Truncation after `periods`; inventory never terminates.

    **Order of events** in a period: observe, order, receive what is due, demand, costs; see the system's `step`.

    **In Gymnasium.** `gymnasium.make("fractile/LostSales-v0")` after `import fractile`, or in one, with the module to
    import before a colon: `gymnasium.make("fractile:fractile/LostSales-v0")`. The second form works in processes that
    were spawned, too, where nothing has been imported yet:

        def make():
            return gymnasium.make("fractile:fractile/LostSales-v0")

        gymnasium.vector.AsyncVectorEnv([make] * 4, context="spawn")
        stable_baselines3.common.vec_env.SubprocVecEnv([make] * 4, start_method="spawn")

    `env.spec.max_episode_steps` is `periods`, which wrappers such as `TimeAwareObservation` read. The environment ends
    its episodes itself, so `gymnasium.make` adds no `TimeLimit`: choose the length by `periods`;
    `gymnasium.make(..., max_episode_steps=n)` can only make episodes shorter. Observations have no bounds, so
    `RescaleObservation` and `DiscretizeObservation` do not apply; `NormalizeObservation` does.

    Args:
        system: a key of `SYSTEMS`, e.g. "lost_sales".
        periods: length of an episode.
        action: what an action moves.
        discrete: number of equally spaced actions of each order; None = any in [−1, 1].
        start: "target": a random point around the newsvendor's target; "empty": nothing on hand.
        memory: periods of the past that the observation holds.
        censored: what is seen of the past is sales, not demand.
        render_mode: None or "rgb_array".
        **options: see `make_source`: demand, forecast, forecaster, panel, mode, item, arrivals, params, or single
            fields of `ItemParams` or arguments of the network's constructor.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}

    def __init__(
        self,
        system: str = "lost_sales",
        *,
        periods: int = 100,
        action: ActionMode = "order_up_to",
        discrete: int | None = None,
        start: str = "target",
        memory: int = 0,
        censored: bool = False,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        if "autoreset_mode" in options:
            raise FractileError(
                "one episode does not reset itself: with vectorization_mode 'sync' or 'async', give "
                f"vector_kwargs={{'autoreset_mode': {options['autoreset_mode']!r}}}"
            )
        self._spec: EnvSpec | None = None
        self.render_mode = render_mode
        named: dict[str, Any] = {"action": action, "start": start, "memory": memory, "censored": censored}
        self._batch = make_batch(system, paths=1, periods=periods, **named, **options)
        self.feature_names = self._batch.encoder.names
        self.grid = None if discrete is None else ActionGrid(discrete, self._batch.orders)
        self._values = None if self.grid is None else self.grid.values
        self.observation_space, self.action_space = spaces(self._batch, self.grid)
        self._one = OneItem(self._batch) if render_mode is None and OneItem.plays(self._batch) else None
        self._in_numbers = False
        self._history: list[tuple[NDArray[np.float64], Any]] = []

    @property
    def spec(self) -> EnvSpec | None:
        """What `gymnasium.make` made the environment from, with the length of its episodes; None without it."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec_of_length(spec, self._batch.periods)

    @property
    def batch(self) -> InventoryBatch:
        """The episode as arrays; who looks at it, or changes it, has the rest of the episode played on arrays."""
        if self._in_numbers and self._one is not None:
            self._one.settle()
            self._in_numbers = False
        return self._batch

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Begin an episode; the same seed gives the same demand."""
        super().reset(seed=seed, options=options)
        self._history.clear()
        self._batch.reset(self.np_random)
        self._in_numbers = self._one is not None and self._one.begin()
        return flat_observation(self._batch)[0], {"period": 0}

    def step(self, action: Float32Array) -> tuple[Float32Array, float, bool, bool, dict[str, Any]]:
        """Order, receive, meet demand and pay."""
        batch = self._batch
        moved: Any = action
        if self.grid is not None and self._values is not None:
            moved = self._values[self.grid.chosen(action)]
        if batch.over:
            raise FractileError(EPISODE_OVER)
        if self._in_numbers and self._one is not None:
            number = float(np.ravel(moved)[0]) if np.size(moved) == 1 else math.nan
            if not math.isfinite(number):
                check_action(batch, moved)
            one, demand_now = self._one.step(min(max(number, -1.0), 1.0))
            known = {**one._asdict(), "demand": demand_now, "period": batch.period}
            return self._one.features(), -one.cost, False, batch.over, known
        demand = batch.scenario.demand[0, batch.period]
        outcome = play(batch, moved)
        if self.render_mode is not None:
            self._history.append((demand, outcome))
        info = {name: plain(value[0]) for name, value in zip(outcome._fields, outcome, strict=True)}
        info["demand"], info["period"] = plain(demand), batch.period
        reward = -float(outcome.cost.sum())
        return flat_observation(batch)[0], reward, False, batch.over, info

    def render(self) -> Any:
        """Return a picture of the episode so far, or None where no render mode was chosen."""
        if self.render_mode is None:
            return None
        from ..pictures import picture

        return picture(self.batch, self._history)


EPISODE_OVER = "the episode is over: call reset() before the next step"


def spec_of_length(spec: EnvSpec | None, periods: int) -> EnvSpec | None:
    """Return the spec with the length of an episode.

    It is not registered as `max_episode_steps`: `gymnasium.make` would then end episodes at the registered length,
    whatever `periods` is given.
    """
    if spec is None:
        return None
    changed = copy.copy(spec)
    changed.max_episode_steps = periods
    return changed


def plain(values: NDArray[np.float64]) -> Any:
    """Return a float where there is one number, else an array of the caller's own."""
    return float(values[0]) if len(values) == 1 else values.copy()


def make_batch(
    system: str,
    *,
    paths: int,
    periods: int,
    action: ActionMode,
    start: str,
    memory: int,
    censored: bool,
    **options: Any,
) -> InventoryBatch:
    """Build the episodes of an environment, with our own encoder; the arguments are those of `InventoryEnv`.

    Args:
        system: as there.
        paths: episodes side by side.
        periods: of an episode.
        action: as there, and so all that follow.
        start: see `action`.
        memory: likewise.
        censored: likewise.
        **options: see `make_source`.
    """
    source = make_source(system, **options)
    encoder = make_encoder(source, action=action, memory=memory)
    view = HistoryView(memory, censored)
    return InventoryBatch(source, paths=paths, periods=periods, encoder=encoder, start=start, view=view)


def spaces(batch: InventoryBatch, grid: ActionGrid | None = None) -> tuple[Any, Any]:
    """Return the observation and action space of one episode."""
    unbounded = gym.spaces.Box(-np.inf, np.inf, (batch.encoder.size,), np.float32)
    if grid is not None:
        return unbounded, gym.spaces.Discrete(grid.size)
    return unbounded, gym.spaces.Box(-1.0, 1.0, (batch.orders,), np.float32)


def flat_observation(batch: InventoryBatch) -> Float32Array:
    """Return the features of every episode, shape (paths, features)."""
    features = batch.encoder.encode(batch.observe())
    return features.astype(np.float32).reshape(batch.paths, -1)


def play(batch: InventoryBatch, action: Any) -> Any:
    """Turn actions (paths, orders) into orders and let a period happen."""
    moved = np.asarray(action, dtype=np.float64)
    # The sum of squares is the cheapest number that shows NaN and infinity.
    if moved.size != batch.paths * batch.orders or not np.vdot(moved, moved) < np.inf:
        check_action(batch, action)
    moved = moved.reshape(batch.paths, batch.orders)
    # Two plain calls: np.clip takes three times as long on a few numbers.
    held = np.minimum(np.maximum(moved, -1.0), 1.0)
    return batch.step(batch.encoder.decode(held, batch.observe()))


def check_action(batch: InventoryBatch, action: Any) -> None:
    """Refuse actions that are no finite numbers, or of another shape.

    Raises:
        FractileError: names the episode, the order and the period.
    """
    given, wanted = np.asarray(action, dtype=np.float64), (batch.paths, batch.orders)
    if given.size != batch.paths * batch.orders:
        shape = wanted if batch.paths > 1 else wanted[1:]
        raise FractileError(
            f"action in period {batch.period} must have the shape {shape}, a number for each order, got {given.shape}"
        )
    bad = np.argwhere(~np.isfinite(given.reshape(wanted)))
    if len(bad):
        episode, order = bad[0]
        raise FractileError(
            f"action must be a finite number, got {given.reshape(wanted)[episode, order]} for order {order} of episode "
            f"{episode} in period {batch.period}; an agent that puts out NaN has diverged: lower its learning rate, "
            "or scale its rewards"
        )
