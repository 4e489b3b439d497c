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
                vector_entry_point="fractile.envs.gym.vector_env:InventoryVectorEnv",
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
    discrete: int | None = None,
    encoder: Any = None,
    standardise: bool = False,
    start: str = "target",
    memory: int = 0,
    censored: bool = False,
    reward: Any = "cost",
    scale_free_reward: bool = False,
    reward_scale: float = 1.0,
    infos: Any = "none",
    seed: int | None = None,
    **options: Any,
) -> InventorySB3Env:
    """Return a native batched Stable-Baselines3 VecEnv of a Gymnasium id.

    Args:
        id: e.g. "fractile/LostSales-v0".
        num_envs: number of episodes side by side.
        periods: length of an episode; the id's own where None.
        action: what an action moves; see `ObservationEncoder`.
        discrete: number of equally spaced actions of each order, for agents such as `DQN`; None = any in [−1, 1].
        encoder: of your own (see `Encoder`), or a function that makes one of the episodes' source; `action` and
            `memory` are then its own affair. None = the system's.
        standardise: bring features and rewards to about unit size, by what is measured once in episodes that the
            newsvendor orders in: features less their means, over their spreads (`fr.SB3Policy` carries them); a reward
            is then the share of the newsvendor's mean cost that a period saves. Agents learn much faster.
        start: see `InventoryBatch`.
        memory: see `InventoryEnv`.
        censored: likewise.
        reward: "cost", "scale_free" or a function: see `InventorySB3Env`.
        scale_free_reward: another name for `reward="scale_free"`.
        reward_scale: see `InventorySB3Env`.
        infos: likewise.
        seed: of the demand; None = a fresh one.
        **options: see `make_source`.

    Raises:
        FractileError: where the id is unknown.
    """
    from ..core.types import HistoryView
    from .catalogue import make_source
    from .encoders import make_encoder
    from .sb3_env import InventorySB3Env
    from .standardise import measure_features

    if id not in ENVIRONMENTS:
        raise FractileError(f"unknown environment {id!r}{did_you_mean(id, ENVIRONMENTS)}")
    source, view = make_source(ENVIRONMENTS[id], **options), HistoryView(memory, censored)
    length = periods or default_periods(ENVIRONMENTS[id])
    if encoder is None:
        encoder = make_encoder(source, action=action, memory=memory)
    elif not hasattr(encoder, "encode"):
        encoder = encoder(source)
    named: Any = "scale_free" if scale_free_reward else reward
    shift = 0.0
    if standardise:
        found = measure_features(
            encoder, source, periods=length, start=start, view=view, seed=seed or 0, scale_free=named == "scale_free"
        )
        encoder = found.standardise(encoder)
        if not callable(named):
            shift, reward_scale = reward_scale, reward_scale / max(found.cost, 1e-9)
    env = InventorySB3Env(
        source,
        num_envs,
        periods=length,
        encoder=encoder,
        start=start,
        view=view,
        discrete=discrete,
        reward=named,
        reward_scale=reward_scale,
        reward_shift=shift,
        infos=infos,
    )
    env.seed(seed)
    return env
