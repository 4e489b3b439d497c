"""`NetworkForecaster`, the base of all neural forecasters: fit, forecasts from many origins, and state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch

from ...arrays import FloatArray
from ...errors import FractileError
from ...progress import Progress
from ...randomness import keyed_generator
from ..base import Arrays, Config, Request, State
from ..calibration.point_errors import Calibration
from ..calibration.sampling import ErrorDependence, fit_errors
from ..censoring import History
from ..data.panel import SalesPanel
from ..forecast import DEFAULT_LEVELS, QuantileForecast
from ..forecaster import BaseForecaster
from .inputs import InputPlan, build_inputs, plan_inputs, unit_of
from .losses import MOST_UNITS
from .network import Network, NetworkConfig, NetworkEnsemble, NetworkInputs, Sizes
from .training import Checkpoint, Trainer, fit_fingerprint, make_examples, to_tensors, validation_periods

Errors = ErrorDependence | Calibration

MEMBER_SEEDS = 7919
"""How far the seeds of an ensemble's members lie apart."""
PAIRS_AT_ONCE = 8192
"""Items times origins that are forecast in one pass; bounds the memory."""


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """The result of a fit.

    Attributes:
        plan: which numbers the network reads.
        sizes: of its inputs.
        network: with its weights.
        errors: how errors of held-out periods depend on each other over the horizon, and, of a point forecast,
            their distribution.
    """

    plan: InputPlan
    sizes: Sizes
    network: Network
    errors: Errors


class NetworkForecaster(BaseForecaster[FittedNetwork]):
    """A network for all items that forecasts all horizons and quantiles at once.

    Forking sequences: the loss counts origins all over the training window, and a forecast from many
    origins costs one pass. The network reads log1p demand, covariates, calendar and static attributes. Where stock ran
    out it reads expected demand, and is trained on a draw of demand above what was sold (`censoring`). It is
    trained on all but the last periods, validated on these, and then refitted with them.

    Args:
        config: all options at once.
        progress: called at every check of the training with a message and the share of the steps that is over, or
            True for a bar on the terminal; not kept.
        checkpoint: folder to keep the training in; an interrupted `fit` with the same options and data resumes
            exactly where it was. Not kept.
        **options: single options of the config, over those of `config`.
    """

    config_type: ClassVar[type[NetworkConfig]]
    errors_type: ClassVar[type[Errors]] = ErrorDependence
    option_names: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls) -> None:
        """Name the options: those of the config, and those of the constructor."""
        cls.option_names = (*cls.config_type.names(), "checkpoint", "progress")

    def __init__(
        self,
        config: NetworkConfig | None = None,
        *,
        progress: Progress | bool | None = None,
        checkpoint: str | Path | None = None,
        **options: Any,
    ) -> None:
        self.config = (config or self.config_type()).with_options(self.name, options)
        self.progress = progress
        self.checkpoint = None if checkpoint is None else Path(checkpoint)

    def build_network(self, sizes: Sizes, plan: InputPlan) -> Network:
        """Return the network, with weights from torch's global generator."""
        raise NotImplementedError

    @property
    def censoring(self) -> str:
        """How stock-outs count."""
        return self.config.censoring

    def _fit(self, history: History) -> FittedNetwork:
        """Fit the network and estimate the dependence of its errors in periods that it was not trained on."""
        panel = history.expected
        config, members = self.config, range(self.config.members)
        # Expected demand comes in fractions; the step that demand moves in is that of what was sold.
        unit = unit_of(history.record.sales[history.record.informative])
        plan = replace(plan_inputs(panel, config.horizon, adjust=config.adjust), unit=unit)
        inputs = self._build_inputs(plan, panel)
        examples = make_examples(history.drawn, inputs, config)
        seeds = [config.seed + MEMBER_SEEDS * member for member in members]
        fingerprint = fit_fingerprint(self.name, config, history.record)
        folders = [None if self.checkpoint is None else self.checkpoint / f"member-{member}" for member in members]
        checkpoints = [Checkpoint(folder, fingerprint) for folder in folders]

        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), progress_reporter(self.progress, self.name) as progress:
            networks = []
            for seed in seeds:
                torch.manual_seed(seed)
                networks.append(self.build_network(inputs.sizes, plan).to(self._device))
            trainers = [
                Trainer(network, examples, config, seed=seed, checkpoint=checkpoint)
                for network, seed, checkpoint in zip(networks, seeds, checkpoints, strict=True)
            ]
            for trainer in trainers:
                trainer.train(progress)
            network = networks[0] if len(networks) == 1 else NetworkEnsemble(networks)
            # Before the refit, after which no period is left that the network was not trained on.
            errors = self._estimate_errors(history, plan, network)
            for trainer in trainers:
                trainer.refit(progress)
        for checkpoint in checkpoints:
            checkpoint.remove()
        return FittedNetwork(plan, inputs.sizes, network, errors)

    @property
    def max_horizon(self) -> int:
        """The trained horizon."""
        return self.config.horizon

    def _to_state(self, fitted: FittedNetwork) -> State:
        """Return configuration and arrays."""
        weights = {f"net.{k}": v.cpu().numpy() for k, v in fitted.network.state_dict().items()}
        config = {"config": self.config.to_config(), "plan": fitted.plan.to_config(), "sizes": asdict(fitted.sizes)}
        return config, {**weights, **fitted.errors.arrays()}

    @classmethod
    def _from_state(cls, config: Config, arrays: Arrays) -> Self:
        """Rebuild from `_to_state()`."""
        made = cls(cls.config_type.from_config(config["config"]))
        sizes = Sizes(**config["sizes"])
        plan = InputPlan.from_config(config["plan"])
        weights = {k.removeprefix("net."): v for k, v in arrays.items() if k.startswith("net.")}
        members = made.config.members
        most = max(members, getattr(made.config, "layers", 1), len(getattr(made.config, "dilations", ())))
        if most > len(weights):  # a file may promise any number of them
            raise FractileError(f"{most:,} members or layers cannot have {len(weights)} arrays of weights")
        with torch.device("meta"):  # takes no memory, whatever sizes a file says
            shapes = {k: tuple(v.shape) for k, v in made.build_network(sizes, plan).state_dict().items()}
        first = "" if members == 1 else "networks.0."
        stored = {k.removeprefix(first): v.shape for k, v in weights.items() if k.startswith(first)}
        if shapes != stored:
            raise FractileError("the weights are not those of a network of these sizes")
        with torch.random.fork_rng(devices=[]):
            networks = [made.build_network(sizes, plan) for _ in range(members)]
        network = networks[0] if len(networks) == 1 else NetworkEnsemble(networks)
        network.load_state_dict(to_tensors(weights, torch.device("cpu")))
        network = network.to(made._device).eval()
        made._fitted = FittedNetwork(plan, sizes, network, cls.errors_type.from_arrays(arrays))
        return made

    def _predict(self, request: Request, fitted: FittedNetwork) -> QuantileForecast:
        """Forecast the quantiles, with the dependence of past errors."""
        errors = cast(ErrorDependence, fitted.errors)
        finer = replace(request, levels=errors.levels(request.levels))
        return errors.forecast(request, self._predict_quantiles(finer, fitted.plan, fitted.network))

    def _predict_quantiles(self, request: Request, plan: InputPlan, network: Network) -> FloatArray:
        """Return the network's output in units, shape (items, origins, horizon, levels)."""
        inputs = self._build_inputs(plan, request.panel)
        origins = torch.from_numpy(request.origins).to(self._device)
        size = max(1, PAIRS_AT_ONCE // (len(origins) * network.passes))
        parts = []
        with torch.no_grad():
            for first in range(0, request.panel.items, size):
                rows = inputs.rows(slice(first, first + size))
                values = network.predict_quantiles(rows, origins, request.levels)
                parts.append(values[:, :, : request.horizon])
        return np.concatenate(parts)

    def _estimate_errors(self, history: History, plan: InputPlan, network: Network) -> Errors:
        """Estimate errors from forecasts of held-out periods, or of the last third where none were held out."""
        panel = history.expected
        periods = validation_periods(panel.periods, self.config.hold_out) or max(1, panel.periods // 3)
        origins = np.arange(panel.periods - periods, panel.periods)
        most = max(1, network.max_pairs // len(origins))
        if panel.items > most:
            rng = keyed_generator(self.config.seed, "items to learn errors from")
            history = history.select(np.sort(rng.choice(panel.items, most, replace=False)))
            panel = history.expected
        longer = panel.extended(np.zeros((panel.items, self.config.horizon)))
        request = Request(longer, self.config.horizon, np.asarray(DEFAULT_LEVELS), origins)
        return self._fit_errors(history, request, self._predict_quantiles(request, plan, network))

    def _fit_errors(self, history: History, request: Request, values: FloatArray) -> Errors:
        """Fit the dependence of errors to past forecasts (items, origins, horizon, levels) of held-out periods."""
        past = QuantileForecast(request.levels, values, request.origins, request.panel.item_ids)
        return fit_errors(past, history)

    def _build_inputs(self, plan: InputPlan, panel: SalesPanel) -> NetworkInputs:
        """Return the network's inputs for a panel and `horizon` periods beyond its end."""
        check_units(self.name, panel)
        longer = panel.extended(np.zeros((panel.items, self.config.horizon)))
        inputs = build_inputs(longer, plan)
        return NetworkInputs(**to_tensors({f.name: getattr(inputs, f.name) for f in fields(inputs)}, self._device))

    @property
    def _device(self) -> torch.device:
        device = self.config.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(device)


def check_units(name: str, panel: SalesPanel) -> None:
    """Refuse sales that are larger than the largest forecast of a network.

    Args:
        name: of the forecaster.
        panel: the history.
    """
    if panel.sales.max(initial=0.0, where=panel.informative) <= MOST_UNITS:
        return
    item, period = np.argwhere(panel.informative & (panel.sales > MOST_UNITS))[0]
    raise FractileError(
        f"{name} forecasts {MOST_UNITS:,.0f} units a period at most, and item {panel.item_ids[item]!r} sold "
        f"{panel.sales[item, period]:g} on {panel.dates[period].date()}; count in larger units, e.g. thousands, or "
        "take another forecaster, e.g. patchwork"
    )


@contextmanager
def progress_reporter(progress: Progress | bool | None, name: str) -> Iterator[Progress]:
    """Yield the function that reports the training of a forecaster, and remove a bar afterwards.

    Args:
        progress: a function, True for a bar on the terminal, or nothing.
        name: of the forecaster; it begins each message.
    """
    if progress is not True:
        reported = progress or None

        def report(message: str, share: float | None = None) -> None:
            if reported is not None:
                reported(f"{name}: {message}", share)

        yield report
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True)) as bars:
        bar = bars.add_task(name, total=1.0)

        def draw(message: str, share: float | None = None) -> None:
            bars.update(bar, completed=share, description=f"{name}: {message}")

        yield draw
