"""The Gymnasium environments, of one episode and of many: an item, items that share a capacity, or a network."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ...arrays import Float32Array
from ...errors import FractileError
from ..core.types import HistoryView
from .batch import InventoryBatch, OneItem
from .catalogue import make_source
from .discrete import ActionGrid
from .encoders import make_encoder
from .observation import ActionMode

Flags = NDArray[np.bool_]


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
        self.render_mode = render_mode
        source = make_source(system, **options)
        encoder, view = (
            make_encoder(source, action=action, memory=memory),
            HistoryView(memory, censored),
        )
        self._batch = InventoryBatch(source, paths=1, periods=periods, encoder=encoder, start=start, view=view)
        self.feature_names = self._batch.encoder.names
        self.grid = None if discrete is None else ActionGrid(discrete, self._batch.orders)
        self._values = None if self.grid is None else self.grid.values
        self.observation_space, self.action_space = spaces(self._batch, self.grid)
        self._one = OneItem(self._batch) if render_mode is None and OneItem.plays(self._batch) else None
        self._in_numbers = False
        self._history: list[tuple[NDArray[np.float64], Any]] = []

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


class InventoryVectorEnv(gym.vector.VectorEnv[Float32Array, Float32Array, Any]):
    """Many independent episodes of `InventoryEnv`, side by side.

    All episodes have the same length and end together, by truncation, in which case the same step returns the
    first observation of the next episodes and `info["final_obs"]` the last of the old ones (SAME_STEP).

    Args:
        num_envs: number of episodes.
        max_episode_steps: another name for `periods`, as `gymnasium.make_vec` passes it.
        system, periods, action, discrete, start, memory, censored, **options: see `InventoryEnv`.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        num_envs: int = 1,
        system: str = "lost_sales",
        *,
        periods: int = 100,
        max_episode_steps: int | None = None,
        action: ActionMode = "order_up_to",
        discrete: int | None = None,
        start: str = "target",
        memory: int = 0,
        censored: bool = False,
        **options: Any,
    ) -> None:
        source = make_source(system, **options)
        length = max_episode_steps or periods
        encoder, view = (
            make_encoder(source, action=action, memory=memory),
            HistoryView(memory, censored),
        )
        self.batch = InventoryBatch(source, paths=num_envs, periods=length, encoder=encoder, start=start, view=view)
        self.feature_names = self.batch.encoder.names
        self.num_envs = num_envs
        self.grid = None if discrete is None else ActionGrid(discrete, self.batch.orders)
        self._values = None if self.grid is None else self.grid.values
        self.single_observation_space, self.single_action_space = spaces(self.batch, self.grid)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Begin all episodes; the same seed gives the same demand."""
        if isinstance(seed, (list, tuple)):
            seed = seed[0] if seed else None
        super().reset(seed=seed, options=options)
        self.batch.reset(self.np_random)
        return flat_observation(self.batch), {}

    def step(self, actions: Float32Array) -> tuple[Float32Array, NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        """Order, receive, meet demand and pay, in every episode."""
        demand = self.batch.scenario.demand[:, self.batch.period]
        moved: Any = actions
        if self.grid is not None and self._values is not None:
            moved = self._values[self.grid.chosen(actions)]
        outcome = play(self.batch, moved)
        every = np.ones(self.num_envs, dtype=bool)
        info: dict[str, Any] = {name: _column(value) for name, value in outcome._asdict().items()}
        info["demand"] = _column(demand)
        info |= {f"_{name}": every for name in list(info)}
        reward, over = -outcome.cost.sum(1), self.batch.over
        if over:
            final = np.empty(self.num_envs, dtype=object)  # an array of arrays, as Gymnasium's vector environments give
            final[:] = list(flat_observation(self.batch))
            info = {
                "final_obs": final,
                "_final_obs": every,
                "final_info": info,
            }
            info["_final_info"] = every
            self.batch.reset(self.np_random)
        return flat_observation(self.batch), reward, ~every, every & over, info


def _column(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """An array of the caller's own: (episodes,), or (episodes, columns) where there are several."""
    return values[:, 0].copy() if values.shape[1] == 1 else values.copy()


def plain(values: NDArray[np.float64]) -> Any:
    """Return a float where there is one number, else an array of the caller's own."""
    return float(values[0]) if len(values) == 1 else values.copy()


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
