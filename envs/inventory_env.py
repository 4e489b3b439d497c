"""The Gymnasium environment of one item."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .batch import InventoryBatch
from .observation import ActionMode, ObservationEncoder
from .systems import make_source
from .types import PeriodOutcome

Float32Array = NDArray[np.float32]


class InventoryEnv(gym.Env[Float32Array, Float32Array]):
    """Buying one item, period after period.

    **Observation.** `Box(float32, (features,))`, scale-free: net inventory, pipeline, the gap to the newsvendor's
    level, quantiles of demand over the protection interval and of the next period, all divided by the item's
    forecast demand per period; then the level, log demand, critical ratio and lead time. `feature_names` lists them.

    **Action.** `Box(−1, 1, (1,))`: moves the newsvendor's order-up-to level by up to one protection interval's mean
    demand either way (`action="order_up_to"`), or sets the order itself (`action="order"`, 0 = mean demand).

    **Reward.** Minus the period's cost, in money. **End.** Truncation after `periods`; inventory never terminates.

    **Order of events** in a period: observe, order, receive what is due, demand, costs.

    Args:
        system: "lost_sales", "backorder" or "forecast_driven".
        periods: length of an episode.
        action: what an action moves.
        start: "target": a random point around the newsvendor's target; "empty": nothing on hand.
        render_mode: None or "rgb_array".
        **options: demand, forecast, forecaster, panel, mode, item, params, or single fields of `ItemParams`.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}

    def __init__(
        self,
        system: str = "lost_sales",
        *,
        periods: int = 100,
        action: ActionMode = "order_up_to",
        start: str = "target",
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.render_mode = render_mode
        source = make_source(system, **options)
        encoder = ObservationEncoder(source.params.slots, action=action)
        self.batch = InventoryBatch(source, paths=1, periods=periods, encoder=encoder, start=start)
        self.feature_names = self.batch.encoder.names
        self.observation_space, self.action_space = spaces(self.batch)
        self._history: list[tuple[float, PeriodOutcome]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Begin an episode; the same seed gives the same demand."""
        super().reset(seed=seed, options=options)
        self._history.clear()
        self.batch.reset(self.np_random)
        return flat_observation(self.batch)[0], {"period": 0}

    def step(self, action: Float32Array) -> tuple[Float32Array, float, bool, bool, dict[str, Any]]:
        """Order, receive, meet demand and pay."""
        demand = float(self.batch.scenario.demand[0, self.batch.period, 0])
        outcome = play(self.batch, np.asarray(action, dtype=np.float64).reshape(1, 1))
        if self.render_mode is not None:
            self._history.append((demand, outcome))
        info = {name: float(value[0, 0]) for name, value in outcome._asdict().items()}
        info.update(demand=demand, period=self.batch.period)
        return flat_observation(self.batch)[0], -info["cost"], False, self.batch.over, info

    def render(self) -> Any:
        """Return a picture of the episode so far, or None where no render mode was chosen."""
        if self.render_mode is None:
            return None
        from .render import render_episode

        obs, params = self.batch.observe(), self.batch.params
        series: dict[str, Any] = {
            name: np.array([getattr(outcome, name)[0, 0] for _, outcome in self._history])
            for name in ("order", "on_hand", "shortfall")
        }
        return render_episode(
            demand=np.array([demand for demand, _ in self._history]),
            **series,
            holding=series["on_hand"] * np.asarray(params.holding_cost).item(),
            stockout=series["shortfall"] * np.asarray(params.stockout_cost).item(),
            pipeline=obs.pipeline[:, 0, 0],
            net_inventory=float(obs.net_inventory[0, 0]),
            forecast=obs.known_forecast(),
            period=obs.period,
        )


def spaces(batch: InventoryBatch) -> tuple[Any, Any]:
    """Return the observation and action space of one episode."""
    unbounded = gym.spaces.Box(-np.inf, np.inf, (batch.encoder.size,), np.float32)
    return unbounded, gym.spaces.Box(-1.0, 1.0, (1,), np.float32)


def flat_observation(batch: InventoryBatch) -> Float32Array:
    """Return the features of every episode, shape (paths, features)."""
    return batch.encoder.encode(batch.observe())[:, 0].astype(np.float32)


def play(batch: InventoryBatch, action: NDArray[np.float64]) -> PeriodOutcome:
    """Turn actions (paths, 1) into orders and let a period happen."""
    return batch.step(batch.encoder.decode(np.clip(action, -1.0, 1.0), batch.observe()))
