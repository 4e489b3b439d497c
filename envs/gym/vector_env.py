"""The Gymnasium environment of many episodes side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ...arrays import Float32Array
from ...errors import FractileError, did_you_mean
from .discrete import ActionGrid
from .inventory_env import EPISODE_OVER, flat_observation, make_batch, play, spaces, spec_of_length
from .observation import ActionMode

Flags = NDArray[np.bool_]
Step = tuple[Float32Array, NDArray[np.float64], Flags, Flags, dict[str, Any]]


class InventoryVectorEnv(gym.vector.VectorEnv[Float32Array, Float32Array, Any]):
    """Many independent episodes of `InventoryEnv`, side by side, in one process and on arrays.

    `gymnasium.make_vec("fractile:fractile/LostSales-v0", num_envs=64)` makes one; results, infos included, have the
    form of `gymnasium.vector.SyncVectorEnv`'s. All episodes have the same length and end together, by truncation.
    `autoreset_mode`, also in `metadata`, says what happens then:

    * "NextStep", Gymnasium's default: the next step ignores its actions, begins new episodes and returns their first
      observations with rewards of zero. `gymnasium.wrappers.vector.NormalizeObservation` and every
      `VectorObservationWrapper` need it.
    * "SameStep": the step that ends the episodes returns the first observations of the next ones, and the last of the
      old ones in `info["final_obs"]`, their other infos in `info["final_info"]`.
    * "Disabled": `reset()` is up to the caller.

    `TimeAwareObservation`, `FrameStackObservation` and other wrappers of single environments go on each episode:
    `gymnasium.make_vec(id, num_envs=4, vectorization_mode="sync", wrappers=(TimeAwareObservation,))`. So do pictures.

    Args:
        num_envs: number of episodes.
        max_episode_steps: another name for `periods`, as `gymnasium.make_vec` passes it.
        autoreset_mode: what follows the end of the episodes: a `gymnasium.vector.AutoresetMode`, or its value.
        system, periods, action, discrete, start, memory, censored, **options: see `InventoryEnv`.

    Raises:
        FractileError: where an argument is unknown, or only of single environments.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(
        self,
        num_envs: int = 1,
        system: str = "lost_sales",
        *,
        periods: int = 100,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        action: ActionMode = "order_up_to",
        discrete: int | None = None,
        start: str = "target",
        memory: int = 0,
        censored: bool = False,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        if render_mode is not None:
            raise FractileError(
                f"render_mode={render_mode!r}: pictures are drawn of single episodes: use vectorization_mode='sync'"
            )
        self._spec: EnvSpec | None = None
        self.autoreset_mode = named_mode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        named: dict[str, Any] = {"action": action, "start": start, "memory": memory, "censored": censored}
        self.batch = make_batch(system, paths=num_envs, periods=max_episode_steps or periods, **named, **options)
        self.feature_names = self.batch.encoder.names
        self.num_envs = num_envs
        self.grid = None if discrete is None else ActionGrid(discrete, self.batch.orders)
        self._values = None if self.grid is None else self.grid.values
        self.single_observation_space, self.single_action_space = spaces(self.batch, self.grid)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def spec(self) -> EnvSpec | None:
        """What `gymnasium.make_vec` made the environment from, with the length of its episodes; None without it."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec_of_length(spec, self.batch.periods)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Begin all episodes; the same seed, or seeds, give the same demand.

        Args:
            seed: one for all episodes, which share one stream of randomness, or one for each of them, which are then
                taken together; None = go on with the stream.
            options: `{"reset_mask": mask}`, as Gymnasium passes it where episodes are reset by the caller; all
                episodes end together, so that all of the mask must be true.

        Raises:
            FractileError: where there are not as many seeds as episodes, or the mask leaves one out.
        """
        mask = (options or {}).get("reset_mask")
        chosen = np.asarray(True if mask is None else mask, dtype=bool)
        if not chosen.all() or chosen.shape not in ((), (self.num_envs,)):
            raise FractileError(
                f"reset_mask must be true for all {self.num_envs} episodes, which run side by side and end together; "
                "use vectorization_mode='sync' to reset some of them"
            )
        super().reset(seed=self._one_seed(seed), options=options)
        self.batch.reset(self.np_random)
        return flat_observation(self.batch), self._first_infos()

    def step(self, actions: Float32Array) -> Step:
        """Order, receive, meet demand and pay, in every episode."""
        batch, none = self.batch, np.zeros(self.num_envs, dtype=bool)
        if batch.over:
            if self.autoreset_mode is AutoresetMode.DISABLED:
                raise FractileError(EPISODE_OVER)
            batch.reset(self.np_random)
            return flat_observation(batch), np.zeros(self.num_envs), none, none.copy(), self._first_infos()
        demand = batch.scenario.demand[:, batch.period]
        moved: Any = actions
        if self.grid is not None and self._values is not None:
            moved = self._values[self.grid.chosen(actions)]
        outcome = play(batch, moved)
        infos: dict[str, Any] = {name: _column(value) for name, value in outcome._asdict().items()}
        infos |= {"demand": _column(demand), "period": np.full(self.num_envs, batch.period)}
        infos |= {f"_{name}": ~none for name in list(infos)}
        reward, truncated = -outcome.cost.sum(1), np.full(self.num_envs, batch.over)
        if truncated.all() and self.autoreset_mode is AutoresetMode.SAME_STEP:
            final = np.empty(self.num_envs, dtype=object)  # an array of arrays, as Gymnasium's vector environments give
            final[:] = list(flat_observation(batch))
            batch.reset(self.np_random)
            ends = {"final_obs": final, "final_info": infos}
            infos = {**ends, **{f"_{name}": ~none for name in ends}, **self._first_infos()}
        return flat_observation(batch), reward, none, truncated, infos

    def _first_infos(self) -> dict[str, Any]:
        return {"period": np.zeros(self.num_envs, dtype=int), "_period": np.ones(self.num_envs, dtype=bool)}

    def _one_seed(self, seed: int | Sequence[int | None] | None) -> int | None:
        """Return the seed of the stream that all episodes share."""
        if not isinstance(seed, Sequence):
            return seed
        if len(seed) != self.num_envs:
            raise FractileError(f"seed must be one number or one for each of {self.num_envs} episodes, got {len(seed)}")
        numbers = [number for number in seed if number is not None]
        if len(numbers) < 2:
            return numbers[0] if numbers else None
        return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def named_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Return the autoreset mode of a value or name, e.g. "NextStep" or "NEXT_STEP".

    Raises:
        FractileError: lists the known ones.
    """
    known = {name: one for one in AutoresetMode for name in (one.value, one.name)}
    found = mode if isinstance(mode, AutoresetMode) else known.get(mode)
    if found is None:
        values = [one.value for one in AutoresetMode]
        raise FractileError(f"unknown autoreset_mode {mode!r}{did_you_mean(str(mode), values)}")
    return found


def _column(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """An array of the caller's own: (episodes,), or (episodes, columns) where there are several."""
    return values[:, 0].copy() if values.shape[1] == 1 else values.copy()
