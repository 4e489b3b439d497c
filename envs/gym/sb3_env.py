"""The batched environment as a native Stable-Baselines3 VecEnv."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from ...arrays import Float32Array, FloatArray
from ...errors import FractileError
from ..core.types import HistoryView
from .batch import InventoryBatch
from .discrete import ActionGrid
from .inventory_env import flat_observation, play, spaces
from .observation import Encoder
from .sources import EpisodeSource
from .standardise import scale_free_weight

Reward: TypeAlias = Literal["cost", "scale_free"] | Callable[[Any, Any], FloatArray]
"""What agents maximise: a name, or a function of a period's outcome and the parameters, which returns (paths,)."""

Infos = Literal["none", "costs"]


class InventorySB3Env(VecEnv):
    """Many episodes in one process, without a Python object for each.

    Episodes end by truncation, all at once; the infos of the step that ends them hold `terminal_observation`,
    `TimeLimit.truncated`, and `episode` with the sum of rewards r, the length l and the seconds t since the start:
    Stable-Baselines3 logs `rollout/ep_rew_mean` from that without a wrapper.

    Args:
        source: where episodes come from.
        num_envs: number of episodes.
        periods: length of an episode.
        encoder: what observations are turned into and actions mean; `make_encoder(source)` where None.
        start: see `InventoryBatch`.
        view: what is seen of the past.
        discrete: number of equally spaced actions of each order, on a `Discrete` space; None = a `Box`.
        reward: "cost", minus the cost of the period, money; "scale_free", the same over each episode's highest holding
            cost times its mean demand, so that items of any size and price weigh alike; or a function of the outcome
            (see `PeriodOutcome`) and the parameters that returns a reward for each episode, shape (paths,).
        reward_scale: every reward is multiplied by it.
        reward_shift: added to every reward then; with it near the mean cost, discounted sums of rewards are near zero,
            which critics fit sooner (Naik et al. 2024), and as episodes end by truncation, what is best stays best.
        infos: "costs" puts what each period's cost consists of into every info: holding, stockout, ordering, waste;
            "none" leaves infos empty, which is faster.

    Raises:
        FractileError: where an argument is not one of those.
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
        discrete: int | None = None,
        reward: Reward = "cost",
        reward_scale: float = 1.0,
        reward_shift: float = 0.0,
        infos: Infos = "none",
    ) -> None:
        if not callable(reward) and reward not in ("cost", "scale_free"):
            raise FractileError(f"reward must be 'cost', 'scale_free' or a function, got {reward!r}")
        if infos not in ("none", "costs"):
            raise FractileError(f"infos must be 'none' or 'costs', got {infos!r}")
        self.batch = InventoryBatch(source, paths=num_envs, periods=periods, encoder=encoder, start=start, view=view)
        self.grid = None if discrete is None else ActionGrid(discrete, self.batch.orders)
        self._values = None if self.grid is None else self.grid.values
        self.render_mode = None
        super().__init__(num_envs, *spaces(self.batch, self.grid))
        self.feature_names = self.batch.encoder.names
        self._reward, self._costs = reward, infos == "costs"
        self._reward_scale, self._reward_shift = reward_scale, reward_shift
        self._weight: FloatArray = np.ones(num_envs)
        self._gains: list[FloatArray] = []
        self._start = time.time()
        self.rng = np.random.default_rng()
        self._actions: NDArray[np.float64] = np.zeros((num_envs, self.batch.orders))
        # Stable-Baselines3 only reads the infos of environments that are not done: one dict serves them all.
        self._nothing: dict[str, Any] = {}

    def reset(self) -> Float32Array:
        """Begin all episodes."""
        if self._seeds[0] is not None:
            self.rng = np.random.default_rng(self._seeds[0])
        self._reset_seeds()
        self._reset_options()
        self._begin()
        return flat_observation(self.batch)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        if self.grid is not None and self._values is not None:
            actions = self._values[self.grid.chosen(actions)]
        self._actions = np.array(actions, dtype=np.float64)

    def step_wait(self) -> tuple[Float32Array, Float32Array, NDArray[np.bool_], list[dict[str, Any]]]:
        """Order, receive, meet demand and pay, in every episode; begin anew where episodes end."""
        outcome = play(self.batch, self._actions)
        gained = self._gained(outcome)
        self._gains.append(gained)
        over = self.batch.over
        infos = self._cost_split(outcome) if self._costs else [self._nothing] * self.num_envs
        if over:
            ends = self._ends()
            infos = [info | end for info, end in zip(infos, ends, strict=True)] if self._costs else ends
            self._begin()
        done = np.ones(self.num_envs, dtype=bool) if over else np.zeros(self.num_envs, dtype=bool)
        return flat_observation(self.batch), gained.astype(np.float32), done, infos

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
        obs = self.batch.reset(self.rng)
        self._gains.clear()
        self._weight = self._reward_scale * (
            scale_free_weight(self.batch, obs) if self._reward == "scale_free" else np.ones(self.num_envs)
        )

    def _ends(self) -> list[dict[str, Any]]:
        """Return what Stable-Baselines3 reads in the infos of the step that ends episodes."""
        length, seconds = self.batch.periods, round(time.time() - self._start, 6)
        totals = np.sum(self._gains, axis=0).round(6).tolist()
        return [
            {
                "terminal_observation": row,
                "TimeLimit.truncated": True,
                "episode": {"r": total, "l": length, "t": seconds},
            }
            for row, total in zip(flat_observation(self.batch), totals, strict=True)
        ]

    def _gained(self, outcome: Any) -> FloatArray:
        """Return the reward of each episode."""
        if not callable(self._reward):
            gained: FloatArray = self._reward_shift - outcome.cost.sum(1) * self._weight
            return gained
        found = np.asarray(self._reward(outcome, self.batch.params), dtype=np.float64)
        if found.shape != (self.num_envs,):
            raise FractileError(
                f"reward must return one number an episode, shape ({self.num_envs},), got {found.shape}; "
                "sum over items: x.sum(1)"
            )
        return found * self._weight + self._reward_shift

    def _cost_split(self, outcome: Any) -> list[dict[str, Any]]:
        params = self.batch.params
        parts = {
            "cost": outcome.cost,
            "holding": params.holding_cost * outcome.on_hand,
            "stockout": params.stockout_cost * outcome.shortfall,
            "ordering": params.ordering_cost(outcome.order),
        }
        if hasattr(outcome, "waste"):
            parts["waste"] = params.waste_cost * outcome.waste
        columns = [np.asarray(part).sum(1).tolist() for part in parts.values()]
        return [dict(zip(parts, row, strict=True)) for row in zip(*columns, strict=True)]

    def _chosen(self, indices: Any) -> Sequence[int]:
        return list(self._get_indices(indices))

    def _refuse_part(self, indices: Any) -> None:
        if len(self._chosen(indices)) != self.num_envs:
            raise ValueError("the episodes of this environment share everything: leave out `indices`")
