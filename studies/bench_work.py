"""Pieces of work that the benchmark measures: each makes `PERIODS` transitions on every path."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ..envs.core.dynamics import step
from ..envs.core.params import ItemParams
from ..envs.core.types import InventoryState
from ..envs.demand.distributions import Poisson
from ..envs.demand.sampling_tables import DemandTable
from ..policies.base_stock import ConstantOrder
from ..policies.compiled import compile_rollout

PARAMS = ItemParams(lead_time=4, holding_cost=1.0, stockout_cost=4.0)
"""Lost sales, L = 4; the order is the same in every period."""

PERIODS = 100
DRAWN = 20
"""Different periods of demand that are given; they are used over and over, so that they stay in the cache."""

HIDDEN = 32
"""Neurons in each of the two layers of the network that gradients flow through."""

Work = Callable[[], None]


def copy_of(paths: int) -> Work:
    """Copy an array of as many numbers, once a period."""
    source, target = np.ones((paths, 1)), np.empty((paths, 1))

    def work() -> None:
        for _ in range(PERIODS):
            np.copyto(target, source)

    return work


def _given(paths: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(0).poisson(5.0, (DRAWN, paths, 1)).astype(np.float64)


def _stepped(state: InventoryState, order: Any, demand: Any) -> None:
    for t in range(PERIODS):
        state, _ = step(state, order, demand[t % DRAWN], PARAMS)


def _numpy(paths: int) -> Work:
    demand, order, state = _given(paths), np.full((paths, 1), 5.0), InventoryState.empty(paths, 1, 4)
    return lambda: _stepped(state, order, demand)


def _torch(paths: int) -> Work:
    import torch

    state = InventoryState(*map(torch.as_tensor, InventoryState.empty(paths, 1, 4)))
    demand, order = torch.as_tensor(_given(paths)), torch.full((paths, 1), 5.0, dtype=torch.float64)
    return lambda: _stepped(state, order, demand)


def _compiled(dtype: Any) -> Callable[[int], Work]:
    def make(paths: int) -> Work:
        import torch

        rollout = compile_rollout(ConstantOrder(5.0), PARAMS, dtype=dtype)
        by_period = torch.as_tensor(_given(paths)).to(getattr(torch, dtype)).repeat(PERIODS // DRAWN, 1, 1)
        state = InventoryState.empty(paths, 1, 4)

        def work() -> None:
            rollout(by_period.movedim(0, 1), state)

        return work

    return make


def _with_draws(draw: Callable[[np.random.Generator, tuple[int, ...]], Any]) -> Callable[[int], Work]:
    """The numpy step, its demand drawn afresh in every period."""

    def make(paths: int) -> Work:
        rng = np.random.Generator(np.random.SFC64(0))
        order, start = np.full((paths, 1), 5.0), InventoryState.empty(paths, 1, 4)

        def work() -> None:
            state = start
            for _ in range(PERIODS):
                state, _ = step(state, order, draw(rng, (paths, 1)), PARAMS)

        return work

    return make


def _compiled_with_draws(paths: int) -> Work:
    """The compiled rollout, its demand drawn afresh from a table."""
    import torch

    rollout = compile_rollout(ConstantOrder(5.0), PARAMS, dtype="float32")
    rng, table = np.random.Generator(np.random.SFC64(0)), DemandTable.of(Poisson(5.0))
    room, state = np.empty((PERIODS, paths, 1), dtype=np.float32), InventoryState.empty(paths, 1, 4)

    def work() -> None:
        table.draw(rng, room.shape, out=room)
        rollout(torch.as_tensor(room).movedim(0, 1), state)

    return work


def _backward(compiled: bool) -> Callable[[int], Work]:
    """Cost and its gradient through a network of two hidden layers, float32."""

    def make(paths: int) -> Work:
        import torch

        generator = torch.Generator().manual_seed(0)
        sizes = (5, HIDDEN, HIDDEN, 1)
        weights = [
            (torch.randn(shape, generator=generator) * 0.3).requires_grad_(True)
            for pair in pairwise(sizes)
            for shape in (pair, (pair[1],))
        ]
        demand = torch.as_tensor(_given(paths)).float().repeat(PERIODS // DRAWN, 1, 1)
        state = InventoryState(torch.full((paths, 1), 5.0), torch.full((4, paths, 1), 5.0))
        # Longer chunks take minutes to compile with their gradients, and are no faster.
        rollout = compile_rollout(_Network, PARAMS, weights=weights, chunk=5, dtype="float32") if compiled else None

        def work() -> None:
            for weight in weights:
                weight.grad = None
            cost = _eager_cost(weights, demand, state) if rollout is None else rollout(demand.movedim(0, 1), state).cost
            cost.mean().backward()

        return work

    return make


class _Network:
    """Stock and pipeline → two hidden layers → an order."""

    def __init__(self, *weights: Any) -> None:
        self.weights = weights

    def order(self, obs: Any) -> Any:
        """Return units to order, shape (paths, items)."""
        import torch

        first, a, second, b, last, c = self.weights
        x = torch.cat([obs.net_inventory, *obs.pipeline], 1) * 0.1
        hidden = torch.relu(torch.addmm(b, torch.relu(torch.addmm(a, x, first)), second))
        return torch.addmm(c, hidden, last) + 5.0


def _eager_cost(weights: list[Any], demand: Any, state: InventoryState) -> Any:
    from ..envs.core.types import Observation

    policy, total = _Network(*weights), 0.0
    for t in range(PERIODS):
        obs = Observation(t, state.net_inventory, state.pipeline, PARAMS)
        state, outcome = step(state, policy.order(obs), demand[t], PARAMS)
        total = total + outcome.cost
    return total


def _single(_: int) -> Work:
    """`gym.make(...).step`, resets included."""
    import gymnasium as gym

    env = gym.make("fractile/LostSales-v0", periods=PERIODS)
    env.reset(seed=0)
    action = np.zeros(1, dtype=np.float32)

    def work() -> None:
        for _ in range(PERIODS):
            _, _, _, over, _ = env.step(action)
            if over:
                env.reset()

    return work


def _batched(kind: str) -> Callable[[int], Work]:
    def make(paths: int) -> Work:
        import gymnasium as gym

        from ..envs.gym.registration import make_sb3_env

        if kind == "sb3":
            env: Any = make_sb3_env("fractile/LostSales-v0", num_envs=paths, periods=PERIODS, seed=0)
            env.reset()
        else:
            options: dict[str, Any] = {
                "num_envs": paths,
                "vectorization_mode": "vector_entry_point",
                "periods": PERIODS,
            }
            env = gym.make_vec("fractile/LostSales-v0", **options)
            env.reset(seed=0)
        actions = np.zeros((paths, 1), dtype=np.float32)

        def work() -> None:
            for _ in range(PERIODS):
                env.step(actions)

        return work

    return make


SIMULATED: dict[str, Callable[[int], Work]] = {
    "numpy, demand given": _numpy,
    "torch, demand given": _torch,
    "compiled, demand given": _compiled("float64"),
    "compiled float32, demand given": _compiled("float32"),
    "numpy, Poisson by numpy": _with_draws(lambda rng, shape: rng.poisson(5.0, shape).astype(np.float64)),
    "numpy, Poisson by table": _with_draws(DemandTable.of(Poisson(5.0)).draw),
    "compiled float32, Poisson by table": _compiled_with_draws,
    "torch, forward + backward": _backward(compiled=False),
    "compiled, forward + backward": _backward(compiled=True),
}
"""Work on states, by name: made ready for a number of paths, it can be done again and again."""

SINGLE = ("gym.make(...).step",)
ENVIRONMENTS: dict[str, Callable[[int], Work]] = {
    "gym.make(...).step": _single,
    "gym.make_vec(...).step": _batched("vector"),
    "Stable-Baselines3 VecEnv step": _batched("sb3"),
}
"""Work through the environments, by name."""

LARGEST_BATCH = 16_384
"""Paths beyond which neither environments nor gradients are measured: those of 262,144 paths take eight gigabytes."""

IN_BATCHES = (*ENVIRONMENTS, *(name for name in SIMULATED if "backward" in name))
"""Work that is not done on more than `LARGEST_BATCH` paths."""
