"""Rollouts as machine code: the same `step`, many periods in one kernel.

A chunk of periods is traced once, with the policy and the parameters in it, and compiled by TorchInductor, the
compiler behind torch.compile. It runs on blocks of paths that stay in the processor's cache. What is traced is `roll`,
as `fr.simulate` runs it: no physics is written twice.
"""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ..arrays import Array
from ..envs.core.backend import LooseSlots, is_torch, positive_part
from ..envs.core.period import SystemParams, system_of
from ..envs.core.types import Scenario
from ..errors import Faults, FractileError
from ..forecasters.forecast import QuantileForecast
from .base import Policy
from .neural import NeuralPolicy
from .rollout import roll, starting_state

if TYPE_CHECKING:
    import torch

BLOCK = 16_384
"""Paths times items that run at once."""


class Totals(NamedTuple):
    """Cost and final state of a rollout.

    Attributes:
        cost: of all periods after the warm-up together, money, shape (paths, items).
        state: what the next period would begin with.
    """

    cost: Array
    state: Any


def compile_rollout(
    policy: Policy | Callable[..., Policy],
    params: SystemParams,
    *,
    forecast: QuantileForecast | None = None,
    weights: Sequence[torch.Tensor] = (),
    chunk: int = 10,
    block: int = BLOCK,
    dtype: Literal["float64", "float32"] = "float64",
) -> CompiledRollout:
    """Return a rollout that is compiled when it is first called, which takes some ten seconds.

    A rollout of the same policy, parameters and shapes in a later process takes a second: compiled code is cached.

    Args:
        policy: works on tensors and looks neither at the number of the period nor at the past, e.g. base-stock,
            capped base-stock, a constant order, a neural policy; with `weights`, a function that makes it of them.
        params: of the system, the same in every path.
        forecast: what the policy sees in every period; None = nothing is forecast.
        weights: tensors that the policy depends on, to which gradients of the cost flow back.
        chunk: periods that are compiled together; what does not fill a chunk runs uncompiled.
        block: paths times items that run at once.
        dtype: "float32" runs about twice as fast, with seven digits.

    Raises:
        FractileError: where there is no C++ compiler, or a chunk does not hold whole review periods.

    >>> import fractile as fr
    >>> params = fr.ItemParams(lead_time=4, holding_cost=1.0, stockout_cost=4.0)
    >>> rollout = fr.policies.compile_rollout(fr.make_policy("base_stock", level=26.0), params)
    >>> demand = np.random.default_rng(0).poisson(5.0, (1000, 120, 1)).astype(float)
    >>> cost, state = rollout(demand, warm_up=20)  # doctest: +SKIP
    """
    return CompiledRollout(policy, params, forecast, tuple(weights), chunk, block, dtype)


@dataclass(eq=False)
class CompiledRollout:
    """A rollout as machine code, made by `compile_rollout`, where its attributes are described.

    No value object: it keeps a program for every shape of tensors that it has been called with.
    """

    policy: Policy | Callable[..., Policy]
    params: Any
    forecast: QuantileForecast | None = None
    weights: tuple[torch.Tensor, ...] = ()
    chunk: int = 10
    block: int = BLOCK
    dtype: Literal["float64", "float32"] = "float64"
    _programs: dict[Any, Callable[..., Any]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("chunk", "block"):
            if getattr(self, name) < 1:
                faults.add(f"{name} must be an integer >= 1, got {getattr(self, name)}")
        if self.dtype not in ("float64", "float32"):
            faults.add(f"dtype must be 'float64' or 'float32', got {self.dtype!r}")
        _check_whole_reviews(faults, "chunk", self.chunk, self.params)
        if shutil.which(_compiler()) is None:
            faults.add(
                f"a compiled rollout needs the C++ compiler {_compiler()!r}, which is not there: install one "
                "(apt install g++, xcode-select --install), name yours in the variable CXX, or use fr.simulate"
            )
        faults.raise_if_any()

    def __call__(self, demand: Array, initial_state: Any = None, *, warm_up: int = 0) -> Totals:
        """Run all periods.

        Args:
            demand: units, shape (paths, periods, items), numpy or torch; fastest where the paths of one period lie
                side by side in memory, e.g. `np.moveaxis(by_period, 0, 1)`.
            initial_state: what the first period begins with; None = the policy's own target (`starting_state`).
            warm_up: periods at the start whose cost does not count.

        Returns:
            Total cost and final state, in the library of `demand`.
        """
        import torch

        faults = Faults()
        if demand.ndim != 3:
            raise FractileError(f"demand must have the shape (paths, periods, items), got {tuple(demand.shape)}")
        if not 0 <= warm_up < demand.shape[1]:
            faults.add(f"warm_up must be from 0 to {demand.shape[1] - 1}, got {warm_up}")
        _check_whole_reviews(faults, "warm_up", warm_up, self.params)
        faults.raise_if_any()
        if initial_state is None:
            scenario = Scenario(demand, self._forecasts(demand.shape[1]))
            initial_state = starting_state(self._policy(self.weights), scenario, self.params)
        if len(initial_state.pipeline) < self.params.slots:
            raise FractileError(
                f"initial_state needs a pipeline of {self.params.slots} slots for what may be under way, "
                f"got {len(initial_state.pipeline)}"
            )
        tensor = torch.as_tensor(demand if is_torch(demand) or demand.flags.writeable else demand.copy())
        state = type(initial_state)(*(self._tensor(x) for x in initial_state))
        # All blocks have one size, so that one program serves them: the last one overlaps the one before.
        paths, _, items = demand.shape
        size, parts = -(-paths // min(-(-paths * items // self.block), paths)), []
        with torch.set_grad_enabled(torch.is_grad_enabled() and any(w.requires_grad for w in self.weights)):
            for start in range(0, paths, size):
                first = min(start, paths - size)
                rows = slice(first, first + size)
                parts.append(_rows(self._run(tensor[rows], _rows(state, rows), warm_up), slice(start - first, None)))
        *leaves, cost = (torch.cat(column, dim=-2) for column in zip(*parts, strict=True)) if parts[1:] else parts[0]
        state = _together(type(state), leaves, self._moves_up(state), stacked=True)
        if np.any(self.params.salvage_value):
            # As at the end of `roll`, once: chunks end in the midst of the episode.
            cost = cost - self._tensor(np.asarray(self.params.salvage_value)) * positive_part(state.net_inventory)
        if not is_torch(demand):
            cost, state = cost.detach().numpy(), type(state)(*(x.detach().numpy() for x in state))
        return Totals(cost, state)

    def _run(self, demand: torch.Tensor, state: Any, warm_up: int) -> tuple[torch.Tensor, ...]:
        """One block of paths through all periods: the final state's tensors and the cost."""
        import torch

        training = torch.is_grad_enabled()
        weights = self.weights if training else tuple(w.detach() for w in self.weights)
        loose, kind = self._moves_up(state), type(state)
        by_period, program = demand.movedim(1, 0), None
        leaves = [leaf.detach().requires_grad_(training) for leaf in _leaves(state, loose)]
        cost = nothing = leaves[0].new_zeros(by_period[0].shape).requires_grad_(training)
        ready = by_period[0].is_contiguous() and by_period.dtype == cost.dtype
        # No chunk reaches across the end of the warm-up, where the count of the cost begins anew.
        starts = (*range(0, warm_up, self.chunk), *range(warm_up, len(by_period), self.chunk))
        for start, stop in pairwise((*starts, len(by_period))):
            cost = nothing if start == warm_up else cost
            part = by_period[start:stop]
            # One tensor a period: nothing is copied where the paths of a period lie side by side.
            part = part if ready else part.to(cost.dtype, memory_format=torch.contiguous_format).contiguous()
            given = (*weights, *leaves, cost, *part.unbind(0))
            if stop - start == self.chunk:
                program = program or self._program(self._player(kind, loose, self.chunk), given)
                *leaves, cost = program(*given)
            else:
                *leaves, cost = self._player(kind, loose, stop - start)(*given)
        return (*leaves, cost)

    def _player(self, kind: type, loose: bool, periods: int) -> Callable[..., tuple[Any, ...]]:
        """Return some periods as a function of tensors: weights, state, cost, and demand (paths, items) of each."""
        params = replace(self.params, salvage_value=0.0) if np.any(self.params.salvage_value) else self.params

        def play(*tensors: torch.Tensor) -> tuple[Any, ...]:
            weights, (*leaves, cost) = tensors[: len(self.weights)], tensors[len(self.weights) : -periods]
            scenario = Scenario(_DemandByPeriod(tensors[-periods:]), self._forecasts(periods))
            played = list(roll(self._policy(weights), scenario, params, _together(kind, leaves, loose)))
            for _, outcome in played:
                if outcome.cost.shape != cost.shape:
                    raise FractileError("parameters and policy must be the same in every path; give one value an item")
                cost = cost + outcome.cost
            return (*_leaves(played[-1][0], loose), cost)

        return play

    def _program(self, play: Callable[..., Any], given: tuple[torch.Tensor, ...]) -> Callable[..., Any]:
        key = tuple((tuple(x.shape), x.requires_grad) for x in given)
        if key not in self._programs:
            self._programs[key] = _compile(play, given)
        return self._programs[key]

    def _policy(self, weights: tuple[torch.Tensor, ...]) -> Policy:
        """The policy on tensors; all but networks bring their numbers there themselves (`like`)."""
        policy: Any = self.policy
        if self.weights:
            made: Policy = policy(*weights)
            return made
        if not isinstance(policy, NeuralPolicy):
            kept: Policy = policy
            return kept
        layers = tuple((self._tensor(weight), self._tensor(bias)) for weight, bias in policy.layers)
        return replace(policy, layers=layers, shift=self._tensor(policy.shift), spread=self._tensor(policy.spread))

    def _moves_up(self, state: Any) -> bool:
        """Whether every order enters the last slot, so that slots need not lie in one tensor.

        Slots as tensors of their own need no copy when the pipeline moves up: 270 million transitions a CPU-second
        instead of 155 on 16,384 paths with L = 4.
        """
        slots = len(state.pipeline)
        return system_of(self.params).plain and slots > 0 and self.params.arrivals_into(slots) is None

    def _forecasts(self, periods: int) -> list[QuantileForecast] | None:
        return None if self.forecast is None else [self.forecast] * periods

    def _tensor(self, x: Array) -> torch.Tensor:
        import torch

        if is_torch(x):
            return x.detach().to(getattr(torch, self.dtype)).contiguous()
        array = np.ascontiguousarray(x, dtype=self.dtype)
        return torch.as_tensor(array if array.flags.writeable else array.copy())


class _DemandByPeriod:
    """Demand of some periods, each a tensor of its own (paths, items), where a scenario has one array."""

    ndim = 3

    def __init__(self, parts: Sequence[torch.Tensor]) -> None:
        self.parts = parts
        self.shape = (len(parts[0]), len(parts), parts[0].shape[1])

    def __getitem__(self, index: tuple[slice, int]) -> torch.Tensor:
        return self.parts[index[1]]


def _compile(play: Callable[..., Any], given: tuple[torch.Tensor, ...]) -> Callable[..., Any]:
    """Trace and compile; what is compiled takes tensors of these shapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch about itself
        import torch
        import torch._inductor  # its `compile` takes a graph as it is: no guards to check before every call
        from torch.fx.experimental.proxy_tensor import make_fx

        with torch.no_grad():
            play(*given)  # what policies remember must be numbers, not the stand-ins of a trace
        try:
            with torch.no_grad():
                # With fake tensors nothing can be read out of a tensor, so no path's numbers are taken for all.
                graph = make_fx(play, tracing_mode="fake", _allow_non_fake_inputs=True)(*(x.detach() for x in given))
            examples: list[Any] = [x.detach().requires_grad_(x.requires_grad) for x in given]
            program: Any = torch._inductor.compile(graph, examples)
            return program
        except FractileError:
            raise
        except Exception as error:  # whatever a policy or the compiler may raise
            reason = str(error).strip().partition("\n")[0]
            raise FractileError(
                f"this rollout cannot be compiled ({type(error).__name__}: {reason}); "
                "use a policy that works on torch tensors alone, or fr.simulate"
            ) from error


def _compiler() -> str:
    """The command that TorchInductor will call."""
    return os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")


def _check_whole_reviews(faults: Faults, name: str, periods: int, params: Any) -> None:
    cycle = np.lcm.reduce(np.asarray(params.review_period).reshape(-1)) if not params.every_period else 1
    if periods % cycle:
        faults.add(f"{name} must be a multiple of the review period, {cycle}, got {periods}")


def _rows(arrays: Any, rows: slice) -> Any:
    """Some paths of arrays (..., paths, items)."""
    kept = (x[..., rows, :] for x in arrays)
    return tuple(kept) if type(arrays) is tuple else type(arrays)(*kept)


def _leaves(state: Any, loose: bool) -> list[Any]:
    """The tensors that a state consists of."""
    if not loose:
        return list(state)
    net_inventory, pipeline = state
    return [net_inventory, *pipeline]


def _together(kind: Any, leaves: Sequence[Any], loose: bool, stacked: bool = False) -> Any:
    """The state that its tensors make up."""
    if not loose:
        return kind(*leaves)
    pipeline = LooseSlots(tuple(leaves[1:]))
    return kind(leaves[0], pipeline.stacked() if stacked else pipeline)
