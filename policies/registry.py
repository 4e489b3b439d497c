"""Policies by name; a module is imported when its policy is looked up."""

from __future__ import annotations

from typing import Any

from ..registry import Registry

POLICIES = Registry(
    "policy",
    __package__,
    {
        "newsvendor": "newsvendor:Newsvendor",
        "tuned_newsvendor": "newsvendor:TunedNewsvendor",
        "projected": "newsvendor:Projected",
        "tuned_projected": "newsvendor:TunedProjected",
        "myopic": "lookahead:Myopic",
        "myopic2": "lookahead:MyopicTwo",
        "lookahead": "lookahead:Lookahead",
        "forecast_dp": "forecast_dp:ForecastDynamicProgramming",
        "base_stock": "base_stock:BaseStock",
        "capped_base_stock": "base_stock:CappedBaseStock",
        "constant_order": "base_stock:ConstantOrder",
        "projected_level": "newsvendor:ProjectedLevel",
        "ss": "base_stock:ReorderPointOrderUpTo",
        "rq": "base_stock:ReorderPointQuantity",
        "single_index": "dual_sourcing:SingleIndex",
        "dual_index": "dual_sourcing:DualIndex",
        "capped_dual_index": "dual_sourcing:CappedDualIndex",
        "tailored_base_surge": "dual_sourcing:TailoredBaseSurge",
        "estimated_waste": "base_stock:EstimatedWaste",
        "echelon_base_stock": "base_stock:EchelonBaseStock",
        "dynamic_programming": "exact.dynamic_programming:DynamicProgramming",
        "generalist": "generalist:Generalist",
        "hindsight": "exact.hindsight:Hindsight",
        "backprop": "neural:NeuralPolicy",
        **dict.fromkeys(("ppo", "a2c", "sac", "td3", "ddpg", "dqn"), "sb3:SB3Policy"),
    },
    ("order", "plan"),
)
"""Every policy by name; `ppo` to `dqn` are agents of Stable-Baselines3."""

TRAINED_BY = {
    "backprop": "A small network that moves the newsvendor's level, trained by gradients through the simulator.",
    "ppo": "An agent trained by proximal policy optimisation (Stable-Baselines3).",
    "a2c": "An agent trained by advantage actor-critic (Stable-Baselines3).",
    "sac": "An agent trained by soft actor-critic (Stable-Baselines3).",
    "td3": "An agent trained by twin delayed deep deterministic policy gradients (Stable-Baselines3).",
    "ddpg": "An agent trained by deep deterministic policy gradients (Stable-Baselines3).",
    "dqn": "An agent trained by deep Q-learning on a grid of actions (Stable-Baselines3).",
}
"""What sets policies of one class apart, a line each."""


def make_policy(name: str, **options: Any) -> Any:
    """Return a policy by name.

    Args:
        name: one of `POLICIES`, or the address of a class of your own, `my_module:Mine`.
        **options: its parameters.

    Raises:
        FractileError: where the name or an option is unknown, or a parameter is missing or out of its range.

    >>> make_policy("base_stock", level=20).level
    20.0
    """
    return POLICIES.make(name, options)
