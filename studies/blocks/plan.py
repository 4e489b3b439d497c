"""What every block of a study is made from: forecasters and policies of the sample, windows, shocks; as a folder.

Whatever is of all items, or was fitted and chosen on the sample, is decided once and written down; a block reads it,
and adds nothing of its own but its items.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...envs.demand.shocks import CommonShocks, ItemShocks
from ...errors import FractileError, InputError
from ...forecasters.base import Forecaster
from ...forecasters.storage import load_forecaster, load_state, save_forecaster, save_state
from ...policies.base import Planner, Policy
from ...policies.storage import load_policy, save_policy
from ...policies.transfer import has_item_parameters, is_for_items, pool_parameters
from ...randomness import keyed_generator
from ...training.train import needs_training
from ..backtest import Backtest, Study
from ..config import StudyConfig, load_config
from ..histories import past_shocks
from ..sections import OWN
from ..windows import Windows
from .history import TILE

BY_ITEM = (
    *("base_stock", "capped_base_stock", "constant_order", "estimated_waste", "forecast_dp", "projected_level"),
    *("rq", "ss"),
)
"""Policies that are tuned item by item: they are tuned on each tile, where nobody gave their parameters."""
CONFIG, RECORD, SHOCKS, FITS, POLICIES = "config.toml", "plan.json", "shocks", "fits", "policies"


@dataclass(frozen=True, eq=False)
class BlockPlan:
    """What every block of a study is made from.

    Attributes:
        config: of the study, with what the user does today among the policies.
        windows: of each fold; the longest lead times of all items decided on them.
        forecaster: name of the one that policies see.
        fitted: it, by the first period that each fit does not know.
        names: of the policies, in the order of the table.
        baseline: the policy that savings are measured against.
        policies: those found on the sample, one a fold and training seed, by name; those that are found tile by tile,
            are the user's own, or bounds, are not among them.
        pooled: what items outside the sample take of policies with parameters item by item, likewise.
        sample: ids of its items, in the order of such parameters; none where there are no such policies.
        shocks: that items share in simulated histories.
        histories: how many are simulated; 0: none.
        whole: whether demand of all items is counted in whole units.
        tile: items that are computed together.
    """

    config: StudyConfig
    windows: tuple[Windows, ...]
    forecaster: str
    fitted: Mapping[int, Forecaster]
    names: tuple[str, ...]
    baseline: str
    policies: Mapping[str, list[list[Policy]]]
    pooled: Mapping[str, list[list[dict[str, float]]]]
    sample: tuple[str, ...]
    shocks: CommonShocks
    histories: int
    whole: bool
    tile: int = TILE

    @classmethod
    def of_sample(cls, study: Study, backtest: Backtest, baseline: str, *, whole: bool, tile: int = TILE) -> BlockPlan:
        """Write down what was fitted, tuned and chosen on a sample.

        Args:
            study: of the sample.
            backtest: of the forecaster that policies see, with its policies.
            baseline: the policy that savings are measured against.
            whole: whether demand of all items is counted in whole units.
            tile: items that are computed together.
        """
        config, folds = study.config, backtest.folds
        fits = study.refits(backtest.forecaster)  # all of them are there, or kept
        untils = sorted({*(until for window in study.windows for until in window.fits), *(f.first for f in folds)})
        fitted = {until: fits.fitted(until) for until in untils}
        policies: dict[str, list[list[Policy]]] = {}
        pooled: dict[str, list[list[dict[str, float]]]] = {}
        for name, first in folds[0].trained.seeds.items():
            if name in OWN or isinstance(first[0], Planner) or tuned_by_tile(name, config):
                continue
            policies[name] = [list(fold.trained.seeds[name]) for fold in folds]  # type: ignore[arg-type]  # no planners
            pooled[name] = [
                [
                    pool_parameters(policy, fold.forecasts.after.at_origin(0), study.data.params)
                    if has_item_parameters(policy)
                    else {}
                    for policy in fold.trained.seeds[name]
                ]
                for fold in folds
            ]
        by_item = any(
            is_for_items(p, study.data.panel.items) for by_fold in policies.values() for seeds in by_fold for p in seeds
        )
        histories = config.backtest.simulated_histories if config.drawn_policies else 0
        return cls(
            config=config,
            windows=study.windows,
            forecaster=backtest.forecaster,
            fitted=fitted,
            names=tuple(folds[0].trained.seeds),
            baseline=baseline,
            policies=policies,
            pooled=pooled,
            sample=study.data.panel.item_ids if by_item else (),
            shocks=past_shocks(study, backtest) if histories else CommonShocks(),
            histories=histories,
            whole=whole,
            tile=tile,
        )

    @property
    def history_seed(self) -> int:
        """Seed of the simulated histories: that of the first ones of a study that is computed whole."""
        return int(keyed_generator(self.config.seed, "simulated histories").integers(2**62))

    def is_for_sample(self, name: str) -> bool:
        """Whether a policy holds for the items of the sample, and is brought to others."""
        return bool(self.sample) and any(
            is_for_items(p, len(self.sample)) for seeds in self.policies[name] for p in seeds
        )

    @property
    def by_tile(self) -> tuple[str, ...]:
        """The policies that are tuned on each tile."""
        return tuple(name for name in self.names if tuned_by_tile(name, self.config))

    def save(self, folder: Path) -> None:
        """Write the plan into a folder.

        Raises:
            InputError: where a forecaster or a policy, of one's own, say, cannot be kept on disk.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(self.config.to_toml(), encoding="utf-8")
        where = {until: f"{FITS}/{until}" for until in self.fitted}
        places: dict[str, list[list[str]]] = {}
        try:
            for until, forecaster in self.fitted.items():
                save_forecaster(forecaster, folder / where[until])
            for name, by_fold in self.policies.items():
                kept: dict[int, str] = {}  # by identity: seeds and folds that follow one policy keep it once
                for policy in (policy for seeds in by_fold for policy in seeds):
                    if id(policy) not in kept:
                        kept[id(policy)] = f"{POLICIES}/{len(places)}-{len(kept)}"
                        save_policy(name, policy, folder / kept[id(policy)])
                places[name] = [[kept[id(policy)] for policy in seeds] for seeds in by_fold]
        except FractileError as error:
            raise InputError([f"a study in blocks keeps forecasters and policies on disk: {error}"]) from None
        shocks = {f.name: getattr(self.shocks, f.name) for f in fields(CommonShocks) if f.name != "items"}
        own = self.shocks.items
        names = {} if own is None else {"item_ids": own.item_ids, "label": own.label}
        arrays = {} if own is None else {"common": own.common, "group": own.group, "memory": own.memory}
        save_state(folder, SHOCKS, {"shocks": shocks, "items": names}, arrays)
        # Limits may be infinite, which JSON cannot say.
        pooled = {
            name: [[{key: repr(value) for key, value in found.items()} for found in seeds] for seeds in by_fold]
            for name, by_fold in self.pooled.items()
        }
        record = {
            "windows": [asdict(window) for window in self.windows],
            "forecaster": self.forecaster,
            "fitted": where,
            "names": self.names,
            "baseline": self.baseline,
            "policies": places,
            "pooled": pooled,
            "sample": self.sample,
            "histories": self.histories,
            "whole": self.whole,
            "tile": self.tile,
        }
        (folder / RECORD).write_text(json.dumps(record), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> BlockPlan:
        """Read a plan from its folder."""
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        found: dict[str, Policy] = {}
        for name, by_fold in record["policies"].items():
            found |= {place: load_policy(name, folder / place) for seeds in by_fold for place in seeds}
        policies = {
            name: [[found[place] for place in seeds] for seeds in by_fold]
            for name, by_fold in record["policies"].items()
        }
        pooled = {
            name: [[{key: float(text) for key, text in one.items()} for one in seeds] for seeds in by_fold]
            for name, by_fold in record["pooled"].items()
        }
        state, arrays = load_state(folder, SHOCKS)
        items = None
        if arrays:
            ids, label = (tuple(state["items"][key]) for key in ("item_ids", "label"))
            items = ItemShocks(ids, arrays["common"], arrays["group"], arrays["memory"], label)
        return cls(
            config=load_config(folder / CONFIG),
            windows=tuple(_window(window) for window in record["windows"]),
            forecaster=record["forecaster"],
            fitted={int(until): load_forecaster(folder / place) for until, place in record["fitted"].items()},
            names=tuple(record["names"]),
            baseline=record["baseline"],
            policies=policies,
            pooled=pooled,
            sample=tuple(record["sample"]),
            shocks=CommonShocks(**state["shocks"], items=items),
            histories=record["histories"],
            whole=record["whole"],
            tile=record["tile"],
        )


def tuned_by_tile(name: str, config: StudyConfig) -> bool:
    """Whether a policy is tuned on each tile: item by item, and nobody gave its parameters."""
    return name in BY_ITEM and needs_training(name, config.policies.options.get(name, {}))


def _window(record: Mapping[str, Any]) -> Windows:
    lists = {name: tuple(record[name]) for name in ("fits", "notes")}
    return Windows(**{**record, **lists})
