"""The batched environment as a native Stable-Baselines3 VecEnv."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from ...arrays import Float32Array
from ..core.types import HistoryView
from .batch import InventoryBatch
from .inventory_env import flat_observation, play, spaces
from .observation import SMALLEST_SCALE, Encoder
from .sources import EpisodeSource


class InventorySB3Env(VecEnv):
    """Many episodes in one process, without a Python object for each.

    Args:
        source: where episodes come from.
        num_envs: number of episodes.
        periods: length of an episode.
        encoder: what observations are turned into and actions mean; `make_encoder(source)` where None.
        start: see `InventoryBatch`.
        view: what is seen of the past.
        scale_free_reward: divide each episode's cost by its highest holding cost times its mean demand, so that items
            of any size and price weigh alike; False gives money.
        reward_scale: every reward is multiplied by it.
    """

    def __init__(
        self,
        source: EpisodeSource,
        num_envs: int,
        *,
        periods: int = 100,
        encoder: Encoder | None = None,
        start: str = "target",
        view: HistoryView | None = None,
        scale_free_reward: bool = False,
        reward_scale: float = 1.0,
    ) -> None:
        self.batch = InventoryBatch(source, paths=num_envs, periods=periods, encoder=encoder, start=start, view=view)
        self.render_mode = None
        super().__init__(num_envs, *spaces(self.batch))
        self.feature_names = self.batch.encoder.names
        self._scale_free, self._reward_scale = scale_free_reward, reward_scale
        self._weight: NDArray[np.float64] = np.ones(num_envs)
        self._rng = np.random.default_rng()
        self._actions: NDArray[np.float64] = np.zeros((num_envs, self.batch.orders))
        # Stable-Baselines3 only reads the infos of environments that are not done: one dict serves them all.
        self._nothing: dict[str, Any] = {}

    def reset(self) -> Float32Array:
        """Begin all episodes."""
        if self._seeds[0] is not None:
            self._rng = np.random.default_rng(self._seeds[0])
        self._reset_seeds()
        self._reset_options()
        self._begin()
        return flat_observation(self.batch)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = np.array(actions, dtype=np.float64)

    def step_wait(self) -> tuple[Float32Array, Float32Array, NDArray[np.bool_], list[dict[str, Any]]]:
        """Order, receive, meet demand and pay, in every episode; begin anew where episodes end."""
        cost = play(self.batch, self._actions).cost.sum(1)
        reward = (-cost * self._weight).astype(np.float32)
        over = self.batch.over
        infos = [self._nothing] * self.num_envs
        if over:
            last = flat_observation(self.batch)
            infos = [{"terminal_observation": row, "TimeLimit.truncated": True} for row in last]
            self._begin()
        return flat_observation(self.batch), reward, np.full(self.num_envs, over), infos

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute, once for every index."""
        return [getattr(self, attr_name)] * len(self._chosen(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute; all episodes share it."""
        self._refuse_part(indices)
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Call a method; all episodes share it."""
        self._refuse_part(indices)
        return [getattr(self, method_name)(*args, **kwargs)] * self.num_envs

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:  # noqa: ARG002
        """Nothing is wrapped."""
        return [False] * len(self._chosen(indices))

    def _begin(self) -> None:
        obs = self.batch.reset(self._rng)
        self._weight = np.full(self.num_envs, self._reward_scale)
        if self._scale_free:
            mean = np.maximum(obs.known_forecast().mean()[:, :, 0].T.sum(1), SMALLEST_SCALE)
            holding = np.broadcast_to(self.batch.params.holding_cost, self.batch.state.net_inventory.shape)
            self._weight = self._weight / (mean * holding.max(1))

    def _chosen(self, indices: Any) -> Sequence[int]:
        return list(self._get_indices(indices))

    def _refuse_part(self, indices: Any) -> None:
        if len(self._chosen(indices)) != self.num_envs:
            raise ValueError("the episodes of this environment share everything: leave out `indices`")
