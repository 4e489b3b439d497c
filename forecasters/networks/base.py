"""What all neural forecasters share: fitting, forecasting from many origins, and their state."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch

from ...arrays import FloatArray
from ...errors import FractileError
from ...randomness import keyed_generator
from ..base import Arrays, BaseForecaster, Config, Request, State, require_history
from ..calibration.point_errors import Calibration
from ..calibration.sampling import ErrorDependence, fit_error_dependence
from ..data.panel import SalesPanel
from ..forecast import (
    DEFAULT_LEVELS,
    QuantileForecast,
)
from .checkpoint import Checkpoint, fingerprint
from .config import CENSORINGS, NetworkConfig
from .fitting import SEED_STEP, Fit, examples_of, held_out
from .inputs import InputPlan, build_inputs, plan_inputs
from .layers import NetworkInputs, Sizes
from .network import Averaged, Network
from .progress import ProgressOption, shown
from .training import tensors

Errors = ErrorDependence | Calibration

PAIRS_AT_ONCE = 8192
"""Items times origins that are forecast in one pass; bounds the memory."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fit leaves behind.

    Attributes:
        plan: which numbers the network reads.
        sizes: of its inputs.
        network: with its weights.
        errors: how errors of periods that were held out move together, and, of a point forecast, how large
            they are.
    """

    plan: InputPlan
    sizes: Sizes
    network: Network
    errors: Errors


class NetworkForecaster(BaseForecaster[Fitted]):
    """A network for all items that forecasts all horizons and quantiles at once.

    Forking sequences: the loss counts origins all over the training window, and a forecast from many
    origins costs one pass. The network reads log1p sales, stock flags, covariates, calendar and static
    attributes; item-periods that were out of stock or not listed count neither as input nor as target. It is
    trained on all but the last periods, stopped by these, and trained on with them for a while.

    Args:
        config: all options at once.
        progress: told now and then while it trains, or True for a bar on the terminal; not kept.
        checkpoint: folder to keep the training in; an interrupted `fit` with the same options and data goes on
            exactly where it was. Not kept.
        **options: single options of the config, over those of `config`.
    """

    config_type: ClassVar[type[NetworkConfig]]
    errors_type: ClassVar[type[Errors]] = ErrorDependence
    censorings: ClassVar[tuple[str, ...]] = CENSORINGS
    option_names: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls) -> None:
        """Name the options: those of the config, and those of the constructor."""
        cls.option_names = (*cls.config_type.names(), "checkpoint", "progress")

    def __init__(
        self,
        config: NetworkConfig | None = None,
        *,
        progress: ProgressOption = None,
        checkpoint: str | Path | None = None,
        **options: Any,
    ) -> None:
        self.config = (config or self.config_type()).changed(self.name, options)
        if self.config.censoring not in self.censorings:
            raise FractileError(f"{self.name} knows no censoring {self.config.censoring!r}; use 'mask'")
        self.progress = progress
        self.checkpoint = None if checkpoint is None else Path(checkpoint)

    def build(self, sizes: Sizes, plan: InputPlan) -> Network:
        """Return the network, with weights from torch's global generator."""
        raise NotImplementedError

    def fit(self, panel: SalesPanel) -> Self:
        """Train the network, and learn how its errors move together where it had not seen the demand."""
        require_history(panel)
        print_of = fingerprint(self.name, self.config, panel)
        plan = plan_inputs(panel, self.config.horizon, adjust=self.config.adjust)
        inputs = self.tensors(plan, panel)
        examples = examples_of(panel, inputs, self.config)
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), shown(self.progress, self.name) as progress:
            networks = [self._seeded(inputs.sizes, plan, member) for member in range(self.config.members)]
            fits = [
                Fit(self.config, member, network, examples, Checkpoint(self._folder(member), print_of), progress)
                for member, network in enumerate(networks)
            ]
            for fit in fits:
                fit.train()
            network = networks[0] if len(networks) == 1 else Averaged(networks)
            self._fitted = Fitted(plan, inputs.sizes, network, self.learn_errors(panel, plan, network))
            for fit in fits:
                fit.go_on()
        for fit in fits:
            fit.checkpoint.done()
        return self

    @property
    def max_horizon(self) -> int:
        """The trained horizon."""
        return self.config.horizon

    def to_state(self) -> State:
        """Return configuration and arrays."""
        known = self.fitted
        weights = {f"net.{k}": v.cpu().numpy() for k, v in known.network.state_dict().items()}
        config = {"config": self.config.to_config(), "plan": known.plan.to_config(), "sizes": asdict(known.sizes)}
        return config, {**weights, **known.errors.arrays()}

    @classmethod
    def from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `to_state()`."""
        made = cls(cls.config_type.restored(config["config"]))
        sizes = Sizes(**config["sizes"])
        plan = InputPlan.from_config(config["plan"])
        with torch.random.fork_rng(devices=[]):
            networks = [made.build(sizes, plan) for _ in range(made.config.members)]
        network = networks[0] if len(networks) == 1 else Averaged(networks)
        weights = {k.removeprefix("net."): v for k, v in arrays.items() if k.startswith("net.")}
        network.load_state_dict(tensors(weights, torch.device("cpu")))
        made._fitted = Fitted(plan, sizes, network.to(made._device).eval(), cls.errors_type.from_arrays(arrays))
        return made

    def learn_errors(self, panel: SalesPanel, plan: InputPlan, network: Network) -> Errors:
        """Learn from forecasts of held-out periods, or of the last third where none were held out."""
        held = held_out(panel.periods, self.config.hold_out) or max(1, panel.periods // 3)
        origins = np.arange(panel.periods - held, panel.periods)
        most = max(1, network.most_pairs // len(origins))
        if panel.items > most:
            rng = keyed_generator(self.config.seed, "items to learn errors from")
            panel = panel.select(np.sort(rng.choice(panel.items, most, replace=False)))
        longer = panel.extended(np.zeros((panel.items, self.config.horizon)))
        request = Request(longer, self.config.horizon, np.asarray(DEFAULT_LEVELS), origins)
        return self.errors_of(panel, request, self.quantiles(request, plan, network))

    def errors_of(self, panel: SalesPanel, request: Request, values: FloatArray) -> Errors:
        """Learn from past forecasts (items, origins, horizon, levels) that did not know what came."""
        return fit_error_dependence(QuantileForecast(request.levels, values, request.origins, panel.item_ids), panel)

    def _predict(self, request: Request, learnt: Fitted) -> QuantileForecast:
        """Forecast what was asked for."""
        values = self.quantiles(request, learnt.plan, learnt.network)
        errors = cast(ErrorDependence, learnt.errors)
        return request.forecast(values, errors.at(request.panel, request.origins, request.horizon))

    def quantiles(self, request: Request, plan: InputPlan, network: Network) -> FloatArray:
        """Return what the network forecasts in units, shape (items, origins, horizon, levels)."""
        inputs = self.tensors(plan, request.panel)
        origins = torch.from_numpy(request.origins).to(self._device)
        size = max(1, PAIRS_AT_ONCE // (len(origins) * network.passes))
        parts = []
        with torch.no_grad():
            for first in range(0, request.panel.items, size):
                values = network.quantiles(inputs.rows(slice(first, first + size)), origins, request.levels)
                parts.append(values[:, :, : request.horizon])
        return np.concatenate(parts)

    def _seeded(self, sizes: Sizes, plan: InputPlan, member: int) -> Network:
        torch.manual_seed(self.config.seed + SEED_STEP * member)
        return self.build(sizes, plan).to(self._device)

    def _folder(self, member: int) -> Path | None:
        return None if self.checkpoint is None else self.checkpoint / f"member-{member}"

    @property
    def _device(self) -> torch.device:
        wanted = self.config.device
        if wanted == "auto":
            wanted = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(wanted)

    def tensors(self, plan: InputPlan, panel: SalesPanel) -> NetworkInputs:
        """Return what the network reads of a panel and of `horizon` periods beyond its end."""
        longer = panel.extended(np.zeros((panel.items, self.config.horizon)))
        inputs = build_inputs(longer, plan)
        return NetworkInputs(**tensors({f.name: getattr(inputs, f.name) for f in fields(inputs)}, self._device))
