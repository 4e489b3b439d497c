"""MQ-CNN: one network for all items that forecasts all horizons and quantiles at once (Wen et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from ...errors import FractileError, did_you_mean
from ..base import (
    Arrays,
    Config,
    Request,
    State,
    at_levels,
    checked_request,
    require_history,
)
from ..forecast import DEFAULT_LEVELS, FloatArray, IntArray, QuantileForecast
from ..panel import SalesPanel
from ..sampling import ErrorDependence, fit_error_dependence
from .config import MQCNNConfig
from .inputs import InputPlan, build_inputs, plan_inputs
from .layers import MQCNNNetwork, NetworkInputs, Sizes
from .training import Examples, Progress, tensors, train

PAIRS_AT_ONCE = 8192
"""Items times origins that are forecast in one pass; bounds the memory."""


class MQCNN:
    """Multi-horizon quantile forecasts by a dilated causal convolutional network (Wen et al. 2017).

    Forking sequences: the loss counts origins all over the training window, and a forecast from many
    origins costs one pass. The network reads log1p sales, stock flags, covariates, calendar and static
    attributes; its quantiles are log1p demand above the item's running level and never cross.

    Args:
        config: all options at once.
        progress: told now and then while it trains; not kept.
        **options: single options of `MQCNNConfig`, over those of `config`.
    """

    name = "mqcnn"
    option_names: ClassVar[tuple[str, ...]] = tuple(f.name for f in fields(MQCNNConfig))

    def __init__(self, config: MQCNNConfig | None = None, *, progress: Progress | None = None, **options: Any) -> None:
        for option in options:
            if option not in self.option_names:
                raise FractileError(f"mqcnn has no option {option!r}{did_you_mean(option, self.option_names)}")
        self.config = replace(config or MQCNNConfig(), **options)
        self.progress = progress
        self._plan: InputPlan | None = None
        self._network: MQCNNNetwork | None = None
        self._dependence: ErrorDependence | None = None

    def fit(self, panel: SalesPanel) -> Self:
        """Train the network, and learn how its errors move together where it had not seen the demand."""
        require_history(panel)
        plan = plan_inputs(panel, self.config.horizon)
        held = self._held_periods(panel)
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.config.seed)
            generator = torch.Generator().manual_seed(self.config.seed)
            network = self._built(plan, panel)
            best = self._train(network, plan, panel, held, generator)
            self._plan, self._network = plan, network
            self._dependence = self._errors(panel, held)
            if held and self.config.refit > 0:
                self._go_on(network, plan, panel, best, generator)
        return self

    def predict(
        self,
        panel: SalesPanel,
        horizon: int,
        levels: ArrayLike = DEFAULT_LEVELS,
        origins: Sequence[int] | IntArray | None = None,
        future: pd.DataFrame | None = None,
    ) -> QuantileForecast:
        """Forecast; see `Forecaster.predict`. The horizon is at most the trained one."""
        if self._dependence is None:
            raise FractileError("mqcnn is not fitted; call fit(panel) first")
        if horizon > self.config.horizon:
            raise FractileError(
                f"mqcnn was trained for {self.config.horizon} periods ahead, {horizon} are asked for; "
                f"fit again with horizon={horizon}"
            )
        request = checked_request(panel, horizon, levels, origins, future)
        trained = self._quantiles(request)
        values = at_levels(np.asarray(self.config.levels), trained, request.levels)
        return request.forecast(values, self._dependence.at(request.panel, request.origins, horizon))

    def to_state(self) -> State:
        """Return configuration and arrays."""
        if self._plan is None or self._network is None or self._dependence is None:
            raise FractileError("mqcnn is not fitted; call fit(panel) first")
        weights = {f"net.{k}": v.cpu().numpy() for k, v in self._network.state_dict().items()}
        own = {"correlation": self._dependence.correlation, "dependence_edges": self._dependence.edges}
        config = {"config": asdict(self.config), "plan": self._plan.to_config()}
        return config, {**weights, **own}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        options = config["config"]
        tuples = {k: tuple(options[k]) for k in ("levels", "dilations")}
        made = cls(MQCNNConfig(**{**options, **tuples}))
        made._plan = InputPlan.from_config(config["plan"])
        made._dependence = ErrorDependence(arrays["correlation"], arrays["dependence_edges"])
        weights = {k.removeprefix("net."): v for k, v in arrays.items() if k.startswith("net.")}
        network = MQCNNNetwork(made._sizes(weights), made.config.width, made.config.dilations, 0.0)
        network.load_state_dict(tensors(weights, torch.device("cpu")))
        made._network = network.to(made._device).eval()
        return made

    @property
    def _device(self) -> torch.device:
        wanted = self.config.device
        if wanted == "auto":
            wanted = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(wanted)

    def _held_periods(self, panel: SalesPanel) -> int:
        """How many periods are held out; 0 where the history is too short to spare any."""
        held = round(self.config.hold_out * panel.periods)
        return held if panel.periods - held >= 12 and held >= 2 else 0

    def _built(self, plan: InputPlan, panel: SalesPanel) -> MQCNNNetwork:
        inputs = build_inputs(panel.window(0, 2), plan)
        sizes = Sizes(
            inputs.past.shape[-1],
            inputs.ahead.shape[-1],
            inputs.static.shape[-1],
            self.config.horizon,
            len(self.config.levels),
        )
        network = MQCNNNetwork(sizes, self.config.width, self.config.dilations, self.config.dropout)
        return network.to(self._device)

    def _sizes(self, weights: Arrays) -> Sizes:
        """Read the sizes off saved weights."""
        static = weights["static.weight"].shape
        past = weights["encoder.first.weight"].shape[1] - static[0] - weights["week.weight"].shape[1]
        local = weights["decoder.locally.0.weight"].shape[1] - 2 * (self.config.width // 2)
        ahead = local - weights["week.weight"].shape[1]
        return Sizes(past, ahead, static[1], self.config.horizon, len(self.config.levels))

    def _train(
        self,
        network: MQCNNNetwork,
        plan: InputPlan,
        panel: SalesPanel,
        held: int,
        generator: torch.Generator,
    ) -> int:
        """Train on all but the held-out periods; return the best number of steps."""
        last = panel.periods - held
        examples = self._examples(plan, panel, 1, last)
        held_out = self._examples(plan, panel, last, panel.periods) if held else None
        return train(network, examples, held_out, self._levels, self.config.schedule, generator, self.progress)

    def _go_on(
        self,
        network: MQCNNNetwork,
        plan: InputPlan,
        panel: SalesPanel,
        best: int,
        generator: torch.Generator,
    ) -> None:
        """Train on, with the held-out periods and at a lower rate."""
        steps = max(1, round(best * self.config.refit))
        schedule = replace(self.config.schedule, steps=steps, learning_rate=self.config.learning_rate * 0.4, patience=0)
        examples = self._examples(plan, panel, 1, panel.periods)
        train(network, examples, None, self._levels, schedule, generator, self.progress)

    def _examples(self, plan: InputPlan, panel: SalesPanel, first: int, last: int) -> Examples:
        """Origins and targets in periods first ... last − 1."""
        horizon = self.config.horizon
        demand = np.where(panel.informative, panel.sales, np.nan)
        demand[:, :first] = np.nan
        demand[:, last:] = np.nan
        demand = np.concatenate([demand, np.full((panel.items, horizon), np.nan)], axis=1)
        weeks = panel.informative.sum(axis=1)
        scale = (panel.sales * panel.informative).sum(axis=1) / np.maximum(weeks, 1) + 0.1
        weight = scale**-self.config.scale_power
        table = tensors(
            {
                "demand": demand.astype(np.float32),
                "weight": (weight / (weight * scale).mean()).astype(np.float32),
                "origins": np.arange(first, last),
            },
            self._device,
        )
        return Examples(inputs=self._tensors(plan, panel), **table)

    def _tensors(self, plan: InputPlan, panel: SalesPanel) -> NetworkInputs:
        longer = panel.extended(np.zeros((panel.items, self.config.horizon)))
        inputs = build_inputs(longer, plan)
        return NetworkInputs(**tensors({f.name: getattr(inputs, f.name) for f in fields(inputs)}, self._device))

    @property
    def _levels(self) -> torch.Tensor:
        return torch.tensor(self.config.levels, dtype=torch.float32, device=self._device)

    def _errors(self, panel: SalesPanel, held: int) -> ErrorDependence:
        """Learn the dependence of errors on held-out periods, or on the last third where none were."""
        first = panel.periods - (held or max(1, panel.periods // 3))
        origins = np.arange(first, panel.periods)
        longer = panel.extended(np.zeros((panel.items, self.config.horizon)))
        levels = np.asarray(self.config.levels)
        request = Request(longer, self.config.horizon, levels, origins)
        values = self._quantiles(request)
        forecast = QuantileForecast(levels, values, origins, panel.item_ids)
        return fit_error_dependence(forecast, panel)

    def _quantiles(self, request: Request) -> FloatArray:
        """Return quantiles at the trained levels, units, shape (items, origins, horizon, levels)."""
        if self._plan is None or self._network is None:
            raise FractileError("mqcnn is not fitted; call fit(panel) first")
        inputs = self._tensors(self._plan, request.panel)
        origins = torch.from_numpy(request.origins).to(self._device)
        size = max(1, PAIRS_AT_ONCE // len(origins))
        parts = []
        with torch.no_grad():
            for first in range(0, request.panel.items, size):
                chosen = inputs.rows(slice(first, first + size))
                parts.append(self._network(chosen, origins)[:, :, : request.horizon].cpu())
        units = np.expm1(np.minimum(torch.cat(parts).numpy().astype(np.float64), 16.0))
        return np.asarray(np.maximum(units, 0.0))
