"""What a core simulates in a second, by kind of work and number of paths, beside a memory copy of the same run.

First the pieces of work, each of which makes `PERIODS` transitions on every path; then how they are measured; then the
table and the page.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..arrays import FloatArray
from ..envs.core.dynamics import step
from ..envs.core.params import ItemParams
from ..envs.core.types import InventoryState, Observation
from ..envs.demand.distributions import Poisson
from ..envs.demand.sampling_tables import DemandTable
from ..policies.base_stock import ConstantOrder
from ..policies.compiled import compile_rollout

PARAMS = ItemParams(lead_time=4, holding_cost=1.0, stockout_cost=4.0)
"""Lost sales, L = 4; the order is the same in every period."""

PERIODS = 100
DRAWN = 20
"""Different periods of the demand that is given; few, so that they stay in the processor's cache."""

HIDDEN = 32
"""Neurons in each of the two layers of the network that gradients flow through."""

PATHS = (1, 64, 1024, 16_384, 262_144)
QUICK_PATHS = (64, 16_384)
TARGET = 0.25
"""CPU-seconds that one repeat of a measurement takes, about."""

LONG = 3.0
"""CPU-seconds of one piece of work from which on three repeats have to do."""

LARGEST_BATCH = 16_384
"""Paths beyond which neither environments nor gradients are measured: those of 262,144 paths take eight gigabytes."""

Progress = Callable[[str], None]
Run = Callable[[], None]
Make = Callable[[int], Run]


@dataclass(frozen=True)
class Work:
    """A kind of work.

    Attributes:
        what: its name, e.g. "numpy, demand given".
        make: prepare it for a number of paths, and return a function that runs it, again and again.
        most: the most paths that it is measured on.
    """

    what: str
    make: Make
    most: int = PATHS[-1]


def _copy(paths: int) -> Run:
    """Copy an array of as many numbers, once a period."""
    source, target = np.ones((paths, 1)), np.empty((paths, 1))

    def run() -> None:
        for _ in range(PERIODS):
            np.copyto(target, source)

    return run


def _draw_demand(paths: int) -> FloatArray:
    return np.random.default_rng(0).poisson(5.0, (DRAWN, paths, 1)).astype(np.float64)


def _stepping(library: str) -> Make:
    """Step on arrays of numpy or torch, with demand given."""

    def make(paths: int) -> Run:
        demand: Any = _draw_demand(paths)
        order: Any = np.full((paths, 1), 5.0)
        start = InventoryState.empty(paths, 1, 4)
        if library == "torch":
            import torch

            start = InventoryState(*map(torch.as_tensor, start))
            demand, order = torch.as_tensor(demand), torch.as_tensor(order)

        def run() -> None:
            state = start
            for t in range(PERIODS):
                state, _ = step(state, order, demand[t % DRAWN], PARAMS)

        return run

    return make


def _compiled(dtype: Literal["float32", "float64"]) -> Make:
    def make(paths: int) -> Run:
        import torch

        rollout = compile_rollout(ConstantOrder(5.0), PARAMS, dtype=dtype)
        by_period = torch.as_tensor(_draw_demand(paths)).to(getattr(torch, dtype)).repeat(PERIODS // DRAWN, 1, 1)
        state = InventoryState.empty(paths, 1, 4)

        def run() -> None:
            rollout(by_period.movedim(0, 1), state)

        return run

    return make


def _with_draws(draw: Callable[[np.random.Generator, tuple[int, ...]], Any]) -> Make:
    """Step on numpy arrays, with demand drawn in every period."""

    def make(paths: int) -> Run:
        rng = np.random.Generator(np.random.SFC64(0))
        order, start = np.full((paths, 1), 5.0), InventoryState.empty(paths, 1, 4)

        def run() -> None:
            state = start
            for _ in range(PERIODS):
                state, _ = step(state, order, draw(rng, (paths, 1)), PARAMS)

        return run

    return make


def _compiled_with_draws(paths: int) -> Run:
    """Run the compiled rollout, with demand drawn from a table."""
    import torch

    rollout = compile_rollout(ConstantOrder(5.0), PARAMS, dtype="float32")
    rng, table = np.random.Generator(np.random.SFC64(0)), DemandTable.of(Poisson(5.0))
    room, state = np.empty((PERIODS, paths, 1), dtype=np.float32), InventoryState.empty(paths, 1, 4)

    def run() -> None:
        table.draw(rng, room.shape, out=room)
        rollout(torch.as_tensor(room).movedim(0, 1), state)

    return run


def _backward(compiled: bool) -> Make:
    """Compute cost and its gradient through a network of two hidden layers, float32."""

    def make(paths: int) -> Run:
        import torch

        generator = torch.Generator().manual_seed(0)
        sizes = (5, HIDDEN, HIDDEN, 1)
        weights = [
            (torch.randn(shape, generator=generator) * 0.3).requires_grad_(True)
            for pair in pairwise(sizes)
            for shape in (pair, (pair[1],))
        ]
        demand = torch.as_tensor(_draw_demand(paths)).float().repeat(PERIODS // DRAWN, 1, 1)
        state = InventoryState(torch.full((paths, 1), 5.0), torch.full((4, paths, 1), 5.0))
        # Longer chunks take minutes to compile with their gradients, and are no faster.
        rollout = compile_rollout(_Network, PARAMS, weights=weights, chunk=5, dtype="float32") if compiled else None

        def run() -> None:
            for weight in weights:
                weight.grad = None
            cost = _eager_cost(weights, demand, state) if rollout is None else rollout(demand.movedim(0, 1), state).cost
            cost.mean().backward()

        return run

    return make


class _Network:
    """Stock and pipeline → two hidden layers → an order."""

    def __init__(self, *weights: Any) -> None:
        self.weights = weights

    def order(self, obs: Observation) -> Any:
        """Return units to order, shape (paths, items)."""
        import torch

        first, a, second, b, last, c = self.weights
        x = torch.cat([obs.net_inventory, *obs.pipeline], 1) * 0.1
        hidden = torch.relu(torch.addmm(b, torch.relu(torch.addmm(a, x, first)), second))
        return torch.addmm(c, hidden, last) + 5.0


def _eager_cost(weights: list[Any], demand: Any, state: InventoryState) -> Any:
    policy, total = _Network(*weights), 0.0
    for t in range(PERIODS):
        obs = Observation(t, state.net_inventory, state.pipeline, PARAMS)
        state, outcome = step(state, policy.order(obs), demand[t], PARAMS)
        total = total + outcome.cost
    return total


def _single(id_: str, **options: Any) -> Make:
    """Step an environment of `gym.make`, resets included."""

    def make(_: int) -> Run:
        import gymnasium as gym

        env = gym.make(id_, **options)
        env.reset(seed=0)
        action = np.zeros(1, dtype=np.float32)

        def run() -> None:
            for _ in range(PERIODS):
                if env.step(action)[3]:
                    env.reset()

        return run

    return make


def _vector(paths: int) -> Run:
    """Step an environment of `gym.make_vec`, resets included."""
    import gymnasium as gym

    options: dict[str, Any] = {"periods": PERIODS, "autoreset_mode": "SameStep"}
    env = gym.make_vec("fractile/LostSales-v0", num_envs=paths, **options)
    env.reset(seed=0)
    return _env_steps(env, paths)


def _sb3(id_: str, **options: Any) -> Make:
    """Step a Stable-Baselines3 environment, resets included."""

    def make(paths: int) -> Run:
        from ..envs.gym.registration import make_sb3_env

        env = make_sb3_env(id_, num_envs=paths, seed=0, **options)
        env.reset()
        return _env_steps(env, paths)

    return make


def _env_steps(env: Any, paths: int) -> Run:
    actions = np.zeros((paths, 1), dtype=np.float32)

    def run() -> None:
        for _ in range(PERIODS):
            env.step(actions)

    return run


COPY = Work("memory copy", _copy)
WORKS = (
    Work("numpy, demand given", _stepping("numpy")),
    Work("torch, demand given", _stepping("torch")),
    Work("compiled, demand given", _compiled("float64")),
    Work("compiled float32, demand given", _compiled("float32")),
    Work("numpy, Poisson by numpy", _with_draws(lambda rng, shape: rng.poisson(5.0, shape).astype(np.float64))),
    Work("numpy, Poisson by table", _with_draws(DemandTable.of(Poisson(5.0)).draw)),
    Work("compiled float32, Poisson by table", _compiled_with_draws),
    Work("torch, forward + backward", _backward(compiled=False), LARGEST_BATCH),
    Work("compiled, forward + backward", _backward(compiled=True), LARGEST_BATCH),
    Work("gym.make(...).step", _single("fractile/LostSales-v0", periods=PERIODS), 1),
    Work("gym.make_vec(...).step", _vector, LARGEST_BATCH),
    Work("Stable-Baselines3 VecEnv step", _sb3("fractile/LostSales-v0", periods=PERIODS), LARGEST_BATCH),
    Work("ForecastDriven gym.make(...).step", _single("fractile/ForecastDriven-v0"), 1),
    Work("ForecastDriven Stable-Baselines3 VecEnv step", _sb3("fractile/ForecastDriven-v0"), LARGEST_BATCH),
)
"""All kinds of work but the copy, in the order of the table."""


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
        progress: called with the work and the number of paths before each measurement.
    """
    import torch

    rates, before = [], torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for number in paths:
            copied = _measure(COPY.make(number), number, repeats)
            rates.append(_rate(COPY.what, number, copied, copied))
            for work in WORKS:
                if number > work.most:
                    continue
                if progress is not None:
                    progress(f"{work.what}, {number:,} paths")
                rates.append(_rate(work.what, number, _measure(work.make(number), number, repeats), copied))
    finally:
        torch.set_num_threads(before)
    return rates


def _rate(what: str, paths: int, rates: list[float], copied: list[float]) -> Rate:
    middle = statistics.median(rates)
    return Rate(what, paths, middle, min(rates), max(rates), middle / statistics.median(copied))


def _measure(run: Run, paths: int, repeats: int) -> list[float]:
    """Measure millions of transitions a CPU-second, once a repeat, of work that makes PERIODS transitions a path."""
    run()
    began = time.process_time()
    run()
    once = max(time.process_time() - began, 1e-6)
    number = max(1, round(TARGET / once))
    rates = []
    for _ in range(repeats if once < LONG else min(repeats, 3)):
        began = time.process_time()
        for _ in range(number):
            run()
        rates.append(paths * PERIODS * number / (time.process_time() - began) / 1e6)
    return rates


def machine() -> dict[str, str]:
    """Return what the numbers were measured on."""
    import torch

    versions = {"Python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}
    info = Path("/proc/cpuinfo")  # Linux only; elsewhere the platform's own word has to do
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return {"processor": processor, "threads": "1", **versions}


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
        "memory copy of as many numbers, in the same run, shows what the machine could do at that moment. Rows of",
        "environments include their resets; ForecastDriven draws from a forecaster's quantiles, 26 periods an episode.",
        "Made by `python benchmarks/simulator.py --write docs/speed.md`; `fractile bench` prints the same table.",
        "",
        as_table(document),
        "",
    ]
    if peers is not None:
        text += [
            "## Beside others",
            "",
            "Steps a CPU-second on one thread, by turns in the same run: one at a time, and many side by side here.",
            "",
            "| simulator | its steps | Fractile's | ratio |",
            "|---|---:|---:|---:|",
        ]
        for row in peers["rows"]:
            ratio = row["ours"] / row["rate"]
            shown = f"{ratio:,.{1 if ratio < 10 else 0}f}"
            text.append(f"| {row['what']} | {row['rate']:,.0f} | {row['ours']:,.0f} | {shown} |")
        text.append("")
    return "\n".join(text)


def write_json(document: dict[str, Any], target: Path) -> None:
    """Keep a document."""
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
