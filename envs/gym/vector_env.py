"""The batched Gymnasium environment: many episodes as arrays, reset in the step that ends them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ...arrays import Float32Array
from ..core.types import HistoryView
from .batch import InventoryBatch
from .catalogue import make_source
from .encoders import make_encoder
from .inventory_env import flat_observation, play, spaces
from .observation import ActionMode

Flags = NDArray[np.bool_]


class InventoryVectorEnv(gym.vector.VectorEnv[Float32Array, Float32Array, Any]):
    """Many independent episodes of `InventoryEnv`, side by side.

    All episodes have the same length and end together, by truncation, in which case the same step returns the
    first observation of the next episodes and `info["final_obs"]` the last of the old ones (SAME_STEP).

    Args:
        num_envs: number of episodes.
        max_episode_steps: another name for `periods`, as `gymnasium.make_vec` passes it.
        system, periods, action, start, memory, censored, **options: see `InventoryEnv`.
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
        self.single_observation_space, self.single_action_space = spaces(self.batch)
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
        outcome = play(self.batch, actions)
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
