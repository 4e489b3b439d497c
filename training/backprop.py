"""Gradients straight through the simulator: the whole episode is differentiated with respect to the policy.

What goes wrong in training is mended and said: a network whose loss or gradient is no number goes back to its last good
copy at half the rate; one that has stopped ordering for ever, where no gradient is left, begins anew, ordering more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..arrays import FloatArray
from ..envs.core.types import HistoryView, ItemParams
from ..envs.gym.batch import InventoryBatch
from ..envs.gym.encoders import make_encoder
from ..envs.gym.observation import Encoder, Head, ObservationEncoder
from ..envs.gym.sources import EpisodeSource
from ..forecasters.networks.training import Checkpoint
from ..policies.neural import NeuralPolicy, feature_statistics, initial_layers
from ..policies.rollout import NO_HISTORY
from ..progress import Progress, no_progress
from ..randomness import generator_state, keyed_generator, restore_generator
from .config import BackpropConfig
from .rollout_loss import Episodes, in_torch

NO_ORDERS = 0.01
"""Share of mean demand below which a policy counts as one that has stopped ordering."""

SLOW_STEPS = 15
"""Steps in which the learning rate rises to the full one: the first step of Adam is as long as any other."""

REORDER_RATE = 0.1
"""Factor on the learning rate of the head "reorder" once it reads the state, for its gradient is noisy."""

SLIP = 1.05
"""Cost, as a multiple of the lowest so far, from which on that head goes back to its best copy."""

TEMPERATURES = (0.3, 0.1)
"""Of random reorders (`Episodes.reorder_cost`), at the start and at the end of training."""

FAILURES = 8
"""Times that a network goes back to its last good copy, or begins anew, before training ends early."""


def train_backprop(
    source: EpisodeSource,
    config: BackpropConfig | None = None,
    *,
    validation: EpisodeSource | None = None,
    level_scale: float = 1.0,
    level_shift: float = 0.0,
    view: HistoryView = NO_HISTORY,
    progress: Progress = no_progress,
    checkpoint: Path | None = None,
) -> NeuralPolicy:
    """Train a neural policy by gradient descent on the simulated cost (Madeka et al. 2022; Alvo et al. 2023).

    Args:
        source: where training episodes come from.
        config: how to train.
        validation: where the episodes that choose the best network come from; `source` where None.
        level_scale: of the newsvendor that training starts from; see `TunedNewsvendor`.
        level_shift: likewise.
        view: what observations hold of the past.
        progress: called after every evaluation, with the cost as a share of the newsvendor's, and when a network goes
            back to a copy or begins anew.
        checkpoint: folder that the training is kept in at every evaluation; one that was interrupted goes on from
            there, to the last bit.

    Returns:
        The best network of all evaluations, in numpy; the newsvendor itself where none costs less.
    """
    config = config or BackpropConfig()
    encoder = make_encoder(source, memory=view.memory, together=False, level_scale=level_scale, level_shift=level_shift)
    with one_thread():
        training = _Training(source, validation or source, encoder, view, config, progress)
        if training.newsvendor_cost == 0.0:  # no demand in any episode: nothing to learn, and no scale of costs
            return training.best
        heads = candidate_heads(source.params, encoder, config)
        if heads == ("reorder",) and config.head == "auto" and training.judge.features is None:
            heads = ("order_up_to",)  # forecasts are made as they are read, which random reorders cannot do
        kept = Checkpoint(checkpoint, training.fingerprint)
        content = kept.load()
        runs = [_Descent(training, head, begun=not content) for head in heads]
        if content:
            training.restore(content["training"])
            for run, state in zip(runs, content["runs"], strict=True):
                run.restore(state)

        def keep() -> None:
            kept.save({"training": training.state(), "runs": [run.state() for run in runs]})

        best = runs[0]
        if len(runs) > 1:
            for run in runs:
                run.advance(config.trial_steps, keep)
            best = min(runs, key=lambda run: run.lowest)
        best.advance(config.steps, keep)
    return training.best


def candidate_heads(params: Any, encoder: Encoder, config: BackpropConfig) -> tuple[Head | None, ...]:
    """Return what a network's output may move, best guess first; None for encoders that have one way only.

    With backorders the order-up-to level is exact, with fixed costs and minimum orders "reorder" is; where sales are
    lost, the order itself is often simpler than the level: both are tried.
    """
    if not isinstance(encoder, ObservationEncoder):
        return (None,)
    if config.head != "auto":
        return (config.head,)
    if not isinstance(params, ItemParams):
        return ("order_up_to",)
    smallest = 0.0 if params.minimum_order is None else params.minimum_order
    if params.order_charges[0] or np.any(np.asarray(smallest) > 0):
        return ("reorder",)
    if not np.any(np.asarray(params.lost_share)) or config.steps <= 2 * config.trial_steps:
        return ("order_up_to",)
    return ("direct", "order_up_to")


LEVEL_STARTS = (-0.35, -0.25, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2)
SMALLEST_STARTS = (-0.6, -0.45, -0.35, -0.3, -0.25, -0.2, -0.15, -0.1, 0.0, 0.15)
"""Actions of the head "reorder" that training may begin at."""


class _Training:
    """What all networks of one training share: episodes, validation, and the best network so far."""

    def __init__(
        self,
        source: EpisodeSource,
        validation: EpisodeSource,
        encoder: Encoder,
        view: HistoryView,
        config: BackpropConfig,
        progress: Progress,
    ) -> None:
        self.encoder, self.config, self.progress = encoder, config, progress
        self.batch = InventoryBatch(source, paths=config.paths, periods=config.periods, encoder=encoder, view=view)
        judge = InventoryBatch(
            validation, paths=config.validation_paths, periods=config.periods, encoder=encoder, view=view
        )
        judge.reset(keyed_generator(config.seed, "backprop", "validation"))
        self.statistics = feature_statistics(encoder, judge)
        self.judge = Episodes(judge, config, config.device)
        self.mean_demand = float(judge.scenario.demand.mean())
        self.rng = keyed_generator(config.seed, "backprop", "episodes")
        self.rounding = None if config.whole_units else keyed_generator(config.seed, "backprop", "rounding")
        # The newsvendor: a network whose last layer is zero.
        newsvendor = self.network(None, 0)
        self.newsvendor_cost, _ = self.evaluate(newsvendor)
        self.lowest, self.best = self.newsvendor_cost, _to_numpy(newsvendor)
        self.best_head: Head | None = None

    @property
    def fingerprint(self) -> str:
        """A text that differs where a training's options or episodes do."""
        return f"backprop {self.config} {self.encoder.size} {self.newsvendor_cost!r} {self.mean_demand!r}"

    def state(self) -> dict[str, Any]:
        """Return where all of it stands, in tensors and plain values: see `restore`."""
        best = self.best
        return {
            "rng": generator_state(self.rng),
            "rounding": None if self.rounding is None else generator_state(self.rounding),
            "lowest": self.lowest,
            "head": self.best_head,
            "layers": [[torch.tensor(array) for array in layer] for layer in best.layers],
            "shift": torch.tensor(best.shift),
            "spread": torch.tensor(best.spread),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the result of `state`."""
        restore_generator(self.rng, state["rng"])
        if self.rounding is not None:
            restore_generator(self.rounding, state["rounding"])
        self.lowest, self.best_head = state["lowest"], state["head"]
        layers: list[Any] = [tuple(array.numpy() for array in layer) for layer in state["layers"]]
        shift, spread = state["shift"].numpy(), state["spread"].numpy()
        self.best = replace(
            _to_numpy(self.network(self.best_head, 0)), layers=tuple(layers), shift=shift, spread=spread
        )

    def improve(self, policy: NeuralPolicy, head: Head | None, cost: float) -> None:
        """Keep a network where none cost less before."""
        if cost < self.lowest:
            self.lowest, self.best, self.best_head = cost, _to_numpy(policy), head

    def network(self, head: Head | None, attempt: int) -> NeuralPolicy:
        """Return a network without any training, in torch, its features standardised.

        Args:
            head: what its output moves; None = the encoder's own.
            attempt: 0, or how many networks before it stopped ordering: it orders more, by that many units of action.
        """
        config, encoder = self.config, self.encoder
        if isinstance(encoder, ObservationEncoder) and head is not None:
            encoder = replace(encoder, action=head)
        rng = keyed_generator(config.seed, "backprop", "network", *([attempt] if attempt else []))
        *hidden, (weight, bias) = initial_layers(rng, (encoder.size, *config.hidden, encoder.outputs))
        bias[: 1 if head == "reorder" else None] += attempt
        usual = "relu" if isinstance(encoder, ObservationEncoder) else "tanh"
        activation = usual if config.activation == "auto" else config.activation
        layers = (*hidden, (weight, bias))
        return in_torch(NeuralPolicy(encoder, layers, *self.statistics, activation=activation), config.device)

    def evaluate(self, policy: NeuralPolicy) -> tuple[float, float]:
        """Return the weighted cost per period on the validation episodes, and orders as a share of mean demand."""
        with torch.no_grad():
            played = self.judge.play(policy)
            cost = self.judge.cost_of(played)
            ordered = torch.stack([outcome.order.mean() for _, outcome in played]).mean()
        return float(cost), float(ordered) / max(self.mean_demand, 1e-9)

    def draw(self) -> Episodes:
        """Return fresh episodes."""
        self.batch.reset(self.rng)
        return Episodes(self.batch, self.config, self.config.device, self.rounding)


_PLAIN = ("step", "attempt", "failures", "rate", "lowest", "last", "began", "silent", "opens")
"""Fields of a descent that hold a number."""


class _Descent:
    """One network on its way down: parameters, optimiser, and the last good copy."""

    def __init__(self, training: _Training, head: Head | None, *, begun: bool = True) -> None:
        self.training, self.head, self.opens = training, head, -1
        self.step, self.attempt, self.failures, self.rate = 0, 0, 0, training.config.learning_rate
        self.lowest, self.last = math.inf, training.newsvendor_cost
        self._begin(choose=begun)

    def state(self) -> dict[str, Any]:
        """Return where the descent stands, in tensors and plain values: see `restore`."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "open": self.policy is self.seeing,
            "parameters": [p.detach() for p in self.parameters],
            "good": self.good,
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the result of `state`."""
        self.attempt = state["attempt"]
        self._begin(choose=False)
        for name in _PLAIN:
            setattr(self, name, state[name])
        if state["open"]:
            self.policy = self.seeing
        with torch.no_grad():
            for parameter, value in zip(self.parameters, state["parameters"], strict=True):
                parameter.copy_(value)
        self.good = [p.to(self.training.config.device) for p in state["good"]]
        self.optimiser.load_state_dict(state["optimiser"])

    def _begin(self, *, choose: bool = True) -> None:
        """Begin with a new network, at the step that training has reached.

        Args:
            choose: the valley that the head "reorder" begins in; not where a descent goes on.
        """
        self.began, self.silent = self.step, 0
        self.policy = self.seeing = self.training.network(self.head, self.attempt)
        if self.head == "reorder":
            self._close_eyes()
            if choose:
                self._choose_valley()
        self.parameters = [p.requires_grad_(True) for layer in self.policy.layers for p in layer]
        self.optimiser = torch.optim.Adam(self.parameters, lr=self.rate)
        self.good = [p.detach().clone() for p in self.parameters]

    def advance(self, steps: int, keep: Callable[[], None]) -> None:
        """Take gradient steps until so many were taken in all, and evaluate as the configuration says.

        Args:
            steps: in all.
            keep: called after every evaluation.
        """
        config = self.training.config
        while self.step < steps and self.failures < FAILURES:
            self.step += 1
            done = (self.step - 1 - self.began) / max(config.steps - self.began, 1)
            for group in self.optimiser.param_groups:
                # Up to the full rate in a few steps, then down to a hundredth of it along a cosine.
                slow = min(1.0, (self.step - self.began) / SLOW_STEPS)
                group["lr"] = slow * self.rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done)))
            if self.head == "reorder" and self.step == self.opens:
                self._open_eyes()
            # Costs differ by orders of magnitude between histories: relative to the newsvendor's, one clip fits all.
            loss = self._cost() / self.training.newsvendor_cost
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, config.clip)
            if not (torch.isfinite(loss) and torch.isfinite(norm)):
                self._go_back("its loss or gradient is no number")
                continue
            self.silent = self.silent + 1 if float(norm) < 1e-9 else 0
            self.optimiser.step()
            if self.silent >= 5:
                self._begin_anew("no gradient is left")
            elif self.step % config.evaluate_every == 0 or self.step == config.steps:
                self._evaluate()
                keep()

    def _close_eyes(self) -> None:
        """Read forecasts alone at first, and with backorders throughout: a level and a smallest order of an item.

        They are most of what there is to gain, and all of it where demand waits (Scarf 1960). A network that reads
        the state from the first step on bends both in states that hardly occur, by the noise of what ordering is worth.
        """
        encoder = self.policy.encoder
        assert isinstance(encoder, ObservationEncoder)
        of_state = torch.arange(encoder.size) < encoder.size - encoder.of_forecast
        self.seeing = self.policy
        if torch.isfinite(self.policy.spread[~of_state]).any():
            with torch.no_grad():
                self.policy.layers[0][0][of_state] = 0.0  # so that nothing jumps when the state is read
        spread = torch.where(of_state.to(self.policy.spread.device), torch.inf, self.policy.spread)
        self.policy = replace(self.policy, spread=spread)
        waits = not np.any(np.asarray(self.training.batch.source.params.lost_share))
        self.opens = -1 if waits else self.began + 2 * (self.training.config.steps - self.began) // 5

    def _choose_valley(self) -> None:
        """Begin at the cheapest of a few levels and smallest orders on the validation episodes.

        The cost of an (s, S) policy has a valley for each number of periods that an order lasts, and gradients end in
        the one that they begin in.
        """
        bias = self.policy.layers[-1][1]
        given = bias.clone()
        costs = {}
        for start in product(LEVEL_STARTS, SMALLEST_STARTS):
            bias.copy_(given + torch.tensor(start, device=bias.device))
            costs[start] = self.training.evaluate(self.policy)[0]
        start = min(costs, key=costs.__getitem__)
        bias.copy_(given + torch.tensor(start, device=bias.device))
        self.lowest = costs[start]  # training that leaves the valley goes back
        self.training.improve(self.policy, self.head, self.lowest)

    def _open_eyes(self) -> None:
        """Read the state as well from here on.

        Where forecasts vary, its weights begin at zero; else the last layer's do, for nothing but its bias has moved.
        """
        self.policy, self.began = self.seeing, self.step
        self.rate *= REORDER_RATE

    def _cost(self) -> torch.Tensor:
        """Return the cost of fresh episodes as a scalar tensor whose gradient is to be descended."""
        training = self.training
        episodes = training.draw()
        if self.head != "reorder":
            return episodes.cost(self.policy)
        warm, cold = TEMPERATURES
        taken = self.step / training.config.steps
        return episodes.reorder_cost(self.policy, warm * (cold / warm) ** taken, training.rng)

    def _evaluate(self) -> None:
        training = self.training
        cost, ordered = training.evaluate(self.policy)
        if not math.isfinite(cost):
            return self._go_back("its cost is no number")
        self.last = cost
        training.improve(self.policy, self.head, cost)
        self._report("", cost)
        if ordered < NO_ORDERS and training.mean_demand > 0 and self.attempt < 3:
            return self._begin_anew("it has stopped ordering")
        if self.head == "reorder" and cost > SLIP * self.lowest:
            return self._go_back(f"its cost is {cost / self.lowest - 1.0:.0%} above its lowest")
        if self.head != "reorder" or cost <= self.lowest:
            self.good = [p.detach().clone() for p in self.parameters]
        self.lowest = min(cost, self.lowest)
        return None

    def _go_back(self, reason: str) -> None:
        """Go on from the last good copy at half the rate."""
        self.failures += 1
        self.rate /= 2.0
        with torch.no_grad():
            for parameter, good in zip(self.parameters, self.good, strict=True):
                parameter.copy_(good)
        self.optimiser = torch.optim.Adam(self.parameters, lr=self.rate)
        self._report(f" diverged: {reason}; back to the last good copy, at half the rate", self.last)

    def _begin_anew(self, reason: str) -> None:
        """Begin with another network that orders more."""
        self.failures += 1
        self.attempt += 1
        self._report(f" given up: {reason}; begun anew with a network that orders more", self.last)
        self._begin()

    def _report(self, event: str, cost: float) -> None:
        training, steps = self.training, self.training.config.steps
        head = "" if self.head is None else f" ({self.head})"
        share = cost / training.newsvendor_cost
        training.progress(f"backprop{head}: step {self.step} of {steps}{event}, cost {share:.4f}", self.step / steps)


def rollout_cost(policy: NeuralPolicy, batch: InventoryBatch, config: BackpropConfig) -> torch.Tensor:
    """Return the cost per period of the batch's episodes, differentiable in the policy, a scalar tensor.

    Weighted as the configuration says; orders are rounded to packs.
    """
    return Episodes(batch, config, config.device).cost(policy)


def _to_numpy(policy: NeuralPolicy) -> NeuralPolicy:
    """A copy in numpy, which the training of the original does not touch."""

    def arrays(*tensors: torch.Tensor) -> tuple[FloatArray, ...]:
        return tuple(t.detach().cpu().numpy().astype(np.float64) for t in tensors)

    shift, spread = arrays(policy.shift, policy.spread)
    layers: list[Any] = [arrays(weight, bias) for weight, bias in policy.layers]
    return replace(policy, layers=tuple(layers), shift=shift, spread=spread)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread, where small networks are fastest; the setting from before returns afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
