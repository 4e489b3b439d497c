"""Train the generalist: one network, by gradients through the simulator, over pools of random problems.

The weights that the package ships were made by the command that `policies/generalist.json` holds:

    python -m fractile.training.generalist --out FOLDER
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..arrays import Array, FloatArray, IntArray
from ..envs.core.backend import floor, straight_through, where
from ..envs.core.types import InventoryState, ItemParams, Observation
from ..forecasters.storage import save_state
from ..policies.base import Policy
from ..policies.generalist import Generalist
from ..policies.rollout import roll
from ..progress import Progress, no_progress
from ..randomness import keyed_generator
from .backprop import one_thread
from .random_problems import ProblemPool, draw_pool


@dataclass(frozen=True)
class GeneralistConfig:
    """How the generalist is trained.

    Attributes:
        steps: gradient steps.
        paths: episodes of a step, each of another problem.
        periods: of an episode whose cost counts.
        warm_up: periods before these, beside the lead time; they wash out the start.
        hidden: sizes of the hidden layers.
        learning_rate: of Adam, at its highest; it falls to a hundredth along a cosine.
        clip: largest norm of a gradient.
        problems: of each pool.
        seasonal: problems of each pool whose demand moves with a season.
        seasonal_share: share of the steps that are taken on these.
        lead_times: weight of each lead time from 0 up among the steps.
        rounding: how far from the nearest one orders in packs are rounded at random, as a share of a pack, at first and
            at last.
        average: decay a step of the running average of the weights, which is what is kept.
        seed: of problems, episodes and network.
    """

    steps: int = 2200
    paths: int = 1024
    periods: int = 24
    warm_up: int = 6
    hidden: tuple[int, ...] = (96, 96)
    learning_rate: float = 3e-3
    clip: float = 1.0
    problems: int = 1500
    seasonal: int = 200
    seasonal_share: float = 0.2
    lead_times: tuple[float, ...] = (0, 4, 4, 4, 4, 2, 2, 1, 1, 1, 1)
    rounding: tuple[float, float] = (1.0, 0.1)
    average: float = 0.995
    seed: int = 0


SILENT = Generalist(())
"""The policy without its network: projected stock up to the fractile of the periods served."""

REPEATS = 12
"""Episodes of each problem that its cost without the network is taken from."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Problems with what they cost without the network.

    Attributes:
        problems: of one lead time.
        cost: money per period, (problems,).
    """

    problems: ProblemPool
    cost: FloatArray


def train_generalist(config: GeneralistConfig | None = None, *, progress: Progress = no_progress) -> Generalist:
    """Train one network on random problems by gradient descent on their simulated cost.

    The cost of each problem counts relative to what it is without the network, so that dear problems do not own the
    loss. Which orders are rounded while training, and how: see `_InPacks`.

    Args:
        config: how to train.
        progress: called every hundred steps with the cost relative to that without the network.

    Returns:
        The running average of the network over the last steps, in numpy.
    """
    config = config or GeneralistConfig()
    pools = make_pools(config)
    rng = keyed_generator(config.seed, "generalist", "episodes")
    shares = np.array(config.lead_times) / sum(config.lead_times)
    shift, spread = _statistics(config, pools)
    sizes = (len(shift), *config.hidden, 1)
    draw = keyed_generator(config.seed, "generalist", "network").normal
    layers = [(draw(0.0, np.sqrt(2.0 / n), (m, n)), np.zeros((m, 1))) for n, m in pairwise(sizes)]
    layers[-1] = (0.0 * layers[-1][0], layers[-1][1])
    with one_thread():
        tensors = tuple((_tensor(w), _tensor(b)) for w, b in layers)
        policy = Generalist(tensors, _tensor(shift), _tensor(spread))
        parameters = [p.requires_grad_(True) for layer in tensors for p in layer]
        averages = [p.detach().clone() for p in parameters]
        optimiser = torch.optim.Adam(parameters, lr=config.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimiser, config.steps, eta_min=config.learning_rate / 100
        )
        recent: list[float] = []
        for step in range(1, config.steps + 1):
            lead_time = int(rng.choice(len(shares), p=shares))
            pool = pools[lead_time, bool(rng.random() < config.seasonal_share)]
            first, last = config.rounding
            loss = relative_cost(policy, pool, rng, config, rounding=first + (last - first) * step / config.steps)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip)
            if torch.isfinite(norm):
                optimiser.step()
            schedule.step()
            with torch.no_grad():
                for average, p in zip(averages, parameters, strict=True):
                    average.lerp_(p, 1.0 - min(config.average, step / (step + 10.0)))
            recent.append(float(loss.detach()))
            if not step % 100:
                progress(f"generalist: step {step}, cost {np.mean(recent[-100:]):.4f}", step / config.steps)
    kept = [a.numpy().astype(np.float64) for a in averages]
    return Generalist(tuple(zip(kept[::2], kept[1::2], strict=True)), shift, spread)


def make_pools(config: GeneralistConfig) -> dict[tuple[int, bool], Pool]:
    """Return the pools of problems by lead time and whether demand moves with a season."""
    pools = {}
    for lead_time, seasonal in product(range(len(config.lead_times)), (False, True)):
        if config.lead_times[lead_time]:
            rng = keyed_generator(config.seed, "generalist", "pool", lead_time, int(seasonal))
            number = config.seasonal if seasonal else config.problems
            periods = config.warm_up + lead_time + config.periods if seasonal else 1
            problems = draw_pool(rng, lead_time, number, periods=periods)
            item = np.repeat(np.arange(number), REPEATS)
            cost = episode_cost(SILENT, problems, item, rng, config, np.asarray)
            mean = np.asarray(cost, dtype=np.float64).reshape(number, REPEATS).mean(1)
            # Rare demand may not have shown up in these few episodes.
            scale = problems.parts.scale[0, 0]
            pools[lead_time, seasonal] = Pool(problems, np.maximum(mean, 0.1 * np.median(mean / scale) * scale))
    return pools


def relative_cost(
    policy: Generalist, pool: Pool, rng: np.random.Generator, config: GeneralistConfig, *, rounding: float = 1.0
) -> torch.Tensor:
    """Return the cost per period of fresh episodes relative to that without the network, a scalar tensor.

    Args:
        policy: in torch.
        pool: where problems come from.
        rng: of problems and episodes.
        config: how many episodes of which length.
        rounding: see `GeneralistConfig`.
    """
    item = rng.integers(0, pool.problems.problems, config.paths)
    cost = episode_cost(policy, pool.problems, item, rng, config, _tensor, rounding=rounding)
    return (cost / _tensor(pool.cost[item])).mean()


def episode_cost(
    policy: Policy,
    pool: ProblemPool,
    item: IntArray,
    rng: np.random.Generator,
    config: GeneralistConfig,
    convert: Callable[[Any], Array],
    *,
    rounding: float = 1.0,
) -> Array:
    """Return the mean cost a period of an episode of each of these problems, after the warm-up, money, (paths,).

    Args:
        policy: in the library of `convert`.
        pool: the problems.
        item: which of them.
        rng: of demand and the first state.
        config: length of an episode.
        convert: brings an array into numpy or torch.
        rounding: see `GeneralistConfig`.
    """
    warm_up = config.warm_up + pool.slots
    scenario, params = pool.episodes(rng, item, warm_up + config.periods)
    state = pool.initial_state(rng, scenario, item)
    features = scenario.features
    assert features is not None
    parts = type(features.parts)(*(convert(part) for part in features.parts))
    scenario = replace(scenario, demand=convert(scenario.demand), features=replace(features, parts=parts))
    start = InventoryState(*(convert(x) for x in state))
    shares = 0.5 + rounding * (rng.random((warm_up + config.periods, len(item), 1)) - 0.5)
    last = np.where(rng.random((len(item), 1)) < 0.5, rng.integers(0, len(shares), (len(item), 1)), 0)
    size = np.asarray(params.pack_size)
    switch = np.where(size > 1.0, len(shares), np.where(size < 1.0, 0, last))
    packing = _InPacks(policy, params, *map(convert, (size, switch, shares)))
    rolled = roll(packing, scenario, replace(params, pack_size=None), start)
    costs = [outcome.cost[:, 0] for _, outcome in rolled][warm_up:]
    return sum(costs[1:], costs[0]) / config.periods


@dataclass(frozen=True, eq=False)
class _InPacks:
    """A policy whose orders come in whole units and packs as training needs it.

    Costs have kinks at whole units, and an order that may be any number is drawn to the best whole one by its gradient;
    one that is rounded has no gradient that tells. Where units are single, half of the episodes therefore begin with
    orders that are rounded, so that states are whole, and go on with orders that are not. Orders in packs of more are
    rounded up or down at random, and their gradient passes straight through: it then weighs both. By and by less is
    left to chance, since the policy's own orders will be rounded to the nearest pack.

    Attributes:
        policy: what is trained.
        params: with the packs, which the physics is not to round to.
        size: packs, units, (paths, 1).
        switch: the period from which on single units are not rounded, (paths, 1).
        shares: packs are rounded up from one minus this share on, (periods, paths, 1).
    """

    policy: Policy
    params: ItemParams
    size: Array
    switch: Array
    shares: Array

    def order(self, obs: Observation) -> Array:
        wanted = self.policy.order(replace(obs, params=self.params))
        lots = self.size > 1.0
        packs = floor(wanted / self.size + where(lots, self.shares[obs.period], 0.5 + 0.0 * wanted)) * self.size
        packs = where(lots, straight_through(packs, wanted), packs)
        return where(self.switch > obs.period, packs, wanted)


class _Watched:
    """Orders as the policy without a network, and keeps what a network would read."""

    def __init__(self) -> None:
        self.seen: list[FloatArray] = []

    def order(self, obs: Observation) -> Array:
        features = SILENT.features(obs)
        self.seen.append(features.reshape(len(features), -1))
        return SILENT.order(obs)


def _statistics(config: GeneralistConfig, pools: dict[tuple[int, bool], Pool]) -> tuple[FloatArray, FloatArray]:
    """Mean and spread of the features over all pools without the network, each (features, 1)."""
    rows: list[FloatArray] = []
    rng = keyed_generator(config.seed, "generalist", "statistics")
    for pool in pools.values():
        watched = _Watched()
        item = rng.integers(0, pool.problems.problems, 400)
        episode_cost(watched, pool.problems, item, rng, config, np.asarray)
        rows.append(np.concatenate(watched.seen[config.warm_up :], axis=1))
    features = np.concatenate(rows, axis=1).astype(np.float64)
    return features.mean(1, keepdims=True), np.maximum(features.std(1, keepdims=True), 1e-2)


def _tensor(x: Any) -> torch.Tensor:
    return torch.as_tensor(np.asarray(x), dtype=torch.float32)


def save_generalist(policy: Generalist, config: GeneralistConfig, seconds: float, folder: Path) -> None:
    """Write the network, in float32, and how it was made."""
    _, arrays = policy.to_state()
    made = {
        "command": f"python -m fractile.training.generalist --steps {config.steps} --seed {config.seed} --out FOLDER",
        "settings": asdict(config),
        "cpu_seconds": round(seconds),
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__},
    }
    save_state(folder, "generalist", made, {name: x.astype(np.float32) for name, x in arrays.items()})


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the network and write it to a folder."""
    parser = argparse.ArgumentParser(description="Train the network of the policy 'generalist'.")
    parser.add_argument("--out", type=Path, required=True, help="folder for generalist.json and .safetensors")
    parser.add_argument("--seed", type=int, default=GeneralistConfig.seed)
    parser.add_argument("--steps", type=int, default=GeneralistConfig.steps)
    given = parser.parse_args(arguments)
    config, start = GeneralistConfig(steps=given.steps, seed=given.seed), time.process_time()

    def show(message: str, share: float | None = None) -> None:
        print(message if share is None else f"{message} ({100 * share:.0f} %)", flush=True)

    policy = train_generalist(config, progress=show)
    save_generalist(policy, config, time.process_time() - start, given.out)


if __name__ == "__main__":
    main()
