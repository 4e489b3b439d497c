"""What a core simulates in a second, by backend and number of paths, beside a memory copy of the same run."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..envs.demand.distributions import Poisson
from ..envs.demand.sampling_tables import DemandTable
from ..envs.dynamics import step
from ..envs.params import ItemParams
from ..envs.types import InventoryState
from ..policies.base_stock import ConstantOrder
from ..policies.compiled import compile_rollout

if TYPE_CHECKING:
    from .terminal import Progress

PARAMS = ItemParams(lead_time=4, holding_cost=1.0, stockout_cost=4.0)
"""Lost sales, L = 4; the order is the same in every period."""

PATHS = (1, 64, 1024, 16_384, 262_144)
QUICK_PATHS = (64, 16_384)
PERIODS = 100
DRAWN = 20
"""Different periods of demand that are given; they are used over and over, so that they stay in the cache."""

TARGET = 0.25
"""CPU-seconds that one repeat of a measurement takes, about."""

HIDDEN = 32
"""Neurons in each of the two layers of the network that gradients flow through."""

Work = Callable[[], None]


@dataclass(frozen=True)
class Rate:
    """One measurement.

    Attributes:
        what: the work, e.g. "numpy, demand given".
        paths: paths, or environments, side by side.
        rate: millions of transitions (items times periods) a CPU-second, median.
        lowest: of the repeats.
        highest: of the repeats.
        of_copy: the median as a share of copying an array of as many numbers, in the same run.
    """

    what: str
    paths: int
    rate: float
    lowest: float
    highest: float
    of_copy: float


def benchmark(paths: tuple[int, ...] = PATHS, *, repeats: int = 7, progress: Progress | None = None) -> list[Rate]:
    """Measure, on one thread, and return a row for each kind of work and number of paths.

    Args:
        paths: numbers of paths.
        repeats: of every measurement; the median counts.
        progress: told what is measured.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return list(_rates(paths, repeats, progress))
    finally:
        torch.set_num_threads(before)


def _rates(paths: tuple[int, ...], repeats: int, progress: Progress | None) -> Iterator[Rate]:
    for number in paths:
        copied = _measured(_copy(number), number, repeats)
        yield _rate("memory copy", number, copied, copied)
        for what, make in {**_SIMULATED, **_ENVIRONMENTS}.items():
            if (what in _ENVIRONMENTS and number > LARGEST_BATCH) or (what in _SINGLE and number > 1):
                continue
            if progress is not None:
                progress(f"{what}, {number:,} paths")
            yield _rate(what, number, _measured(make(number), number, repeats), copied)


def _rate(what: str, paths: int, rates: list[float], copied: list[float]) -> Rate:
    middle = statistics.median(rates)
    return Rate(what, paths, middle, min(rates), max(rates), middle / statistics.median(copied))


def _measured(work: Work, paths: int, repeats: int) -> list[float]:
    """Millions of transitions a CPU-second of work that makes PERIODS transitions a path, each of the repeats."""
    work()
    began = time.process_time()
    work()
    once = max(time.process_time() - began, 1e-6)
    number = max(1, round(TARGET / once))
    rates = []
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(number):
            work()
        rates.append(paths * PERIODS * number / (time.process_time() - began) / 1e6)
    return rates


def _copy(paths: int) -> Work:
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
        rollout = compile_rollout(_Network, PARAMS, weights=weights, dtype="float32") if compiled else None

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
    from ..envs.types import Observation

    policy, total = _Network(*weights), 0.0
    for t in range(PERIODS):
        obs = Observation(t, state.net_inventory, state.pipeline, PARAMS)
        state, outcome = step(state, policy.order(obs), demand[t], PARAMS)
        total = total + outcome.cost
    return total


LARGEST_BATCH = 16_384
"""Environments side by side beyond which none are measured."""


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

        from ..envs.registration import make_sb3_env

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


_SIMULATED: dict[str, Callable[[int], Work]] = {
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
_SINGLE = ("gym.make(...).step",)
_ENVIRONMENTS: dict[str, Callable[[int], Work]] = {
    "gym.make(...).step": _single,
    "gym.make_vec(...).step": _batched("vector"),
    "Stable-Baselines3 VecEnv step": _batched("sb3"),
}


def machine() -> dict[str, str]:
    """Return what the numbers were measured on."""
    import torch

    versions = {"Python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}
    return {"processor": _processor(), "threads": "1", **versions}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def as_document(rates: list[Rate]) -> dict[str, Any]:
    """Return machine and rows for JSON."""
    return {"machine": machine(), "rows": [asdict(rate) for rate in rates]}


def as_table(document: dict[str, Any]) -> str:
    """Return the rows as Markdown: millions of transitions a CPU-second, and the share of a copy."""
    rows = [
        f"| {row['what']} | {row['paths']:,} | {row['rate']:,.3g} | {row['lowest']:,.3g} to {row['highest']:,.3g} "
        f"| {row['of_copy']:.3g} |"
        for row in document["rows"]
    ]
    where = " · ".join(f"{name} {value}" for name, value in document["machine"].items())
    head = [
        where,
        "",
        "| work | paths | millions a CPU-second | lowest to highest | share of a copy |",
        "|---|---:|---:|---:|---:|",
    ]
    return "\n".join([*head, *rows])


def page(document: dict[str, Any], peers: dict[str, Any] | None = None) -> str:
    """Return the page of the documentation.

    Args:
        document: of `as_document`.
        peers: rows that `benchmarks/peers.py` measured in the same run, with its `ours`.
    """
    text = [
        "# Speed",
        "",
        "Transitions (items times periods) a CPU-second of the lost-sales system with L = 4 and the same order in",
        "every period, on one thread; medians, and how far repeats lay apart. Every row runs the same `step`. The",
        "memory copy of as many numbers, in the same run, tells what the machine could do at that moment.",
        "Made by `python benchmarks/simulator.py --write docs/speed.md`; `fractile bench` prints the same table.",
        "",
        as_table(document),
        "",
    ]
    if peers is not None:
        text += ["## Beside others", "", *_peers(peers), ""]
    return "\n".join(text)


def _peers(peers: dict[str, Any]) -> list[str]:
    rows = [
        f"| {row['what']} | {row['rate']:,.0f} | {row['ours']:,.0f} | {row['ours'] / row['rate']:,.0f} |"
        for row in peers["rows"]
    ]
    note = "One environment or simulation at a time, measured in the same run; steps a CPU-second, one thread."
    return [
        note,
        "",
        "| simulator | steps | Fractile, the same way of playing | ratio |",
        "|---|---:|---:|---:|",
        *rows,
    ]


def write_json(document: dict[str, Any], target: Path) -> None:
    """Keep a document."""
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
