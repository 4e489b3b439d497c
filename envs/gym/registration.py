"""The Gymnasium ids, as strings: nothing is imported before an environment is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import FractileError, did_you_mean

if TYPE_CHECKING:
    from .sb3_env import InventorySB3Env

ENVIRONMENTS = {
    "fractile/LostSales-v0": "lost_sales",
    "fractile/Backorder-v0": "backorder",
    "fractile/ForecastDriven-v0": "forecast_driven",
    "fractile/FixedCost-v0": "fixed_cost",
    "fractile/DualSourcing-v0": "dual_sourcing",
    "fractile/Perishable-v0": "perishable",
    "fractile/Serial-v0": "serial",
    "fractile/Distribution-v0": "distribution",
    "fractile/SharedCapacity-v0": "shared_capacity",
}
"""Gymnasium id → system."""

SHORT_EPISODES = {"forecast_driven": 26}
USUAL_EPISODE = 100
"""Periods of an episode."""


def default_periods(system: str) -> int:
    """Return the length of an episode where none is given."""
    return SHORT_EPISODES.get(system, USUAL_EPISODE)


def register_environments() -> None:
    """Register every id with Gymnasium, with a single and a vector entry point."""
    from gymnasium.envs.registration import register, registry

    for name, system in ENVIRONMENTS.items():
        if name not in registry:
            register(
                id=name,
                entry_point="fractile.envs.gym.inventory_env:InventoryEnv",
                vector_entry_point="fractile.envs.gym.inventory_env:InventoryVectorEnv",
                # Its wrapper looks at every step and takes longer than the step; the test suite runs the checkers.
                disable_env_checker=True,
                kwargs={"system": system, "periods": default_periods(system)},
            )


def make_sb3_env(
    id: str,  # Gymnasium's own name for it
    *,
    num_envs: int = 64,
    periods: int | None = None,
    action: Any = "order_up_to",
    start: str = "target",
    memory: int = 0,
    censored: bool = False,
    scale_free_reward: bool = False,
    reward_scale: float = 1.0,
    seed: int | None = None,
    **options: Any,
) -> InventorySB3Env:
    """Return a native batched Stable-Baselines3 VecEnv of a Gymnasium id.

    Args:
        id: e.g. "fractile/LostSales-v0".
        num_envs: number of episodes side by side.
        periods: length of an episode; the id's own where None.
        action: what an action moves; see `ObservationEncoder`.
        start: see `InventoryBatch`.
        memory: see `InventoryEnv`.
        censored: likewise.
        scale_free_reward: see `InventorySB3Env`.
        reward_scale: likewise.
        seed: of the demand; None = a fresh one.
        **options: see `make_source`.

    Raises:
        FractileError: where the id is unknown.
    """
    from ..core.types import HistoryView
    from .catalogue import make_source
    from .encoders import make_encoder
    from .sb3_env import InventorySB3Env

    if id not in ENVIRONMENTS:
        raise FractileError(f"unknown environment {id!r}{did_you_mean(id, ENVIRONMENTS)}")
    source = make_source(ENVIRONMENTS[id], **options)
    env = InventorySB3Env(
        source,
        num_envs,
        periods=periods or default_periods(ENVIRONMENTS[id]),
        encoder=make_encoder(source, action=action, memory=memory),
        start=start,
        view=HistoryView(memory, censored),
        scale_free_reward=scale_free_reward,
        reward_scale=reward_scale,
    )
    env.seed(seed)
    return env
