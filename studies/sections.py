"""The sections of a study's config: every key with its rule and default, and faults in the words of the rules."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo

from ..errors import InputError, did_you_mean
from ..forecasters.data.rules import impossible_orders
from ..registry import Registry, is_address
from ..training.config import BACKPROP_ON_HISTORY, STUDY_PPO_STEPS


def absolute(path: Path) -> Path:
    """Return the absolute path, with a leading `~` resolved."""
    return Path(os.path.abspath(path.expanduser()))


OUTSIDE = "outside"
"""Key of a validation's context: names of forecasts made elsewhere (`forecast.files`)."""
TRUTH = "truth"
"""Name of the quantiles that a synthetic panel's demand was drawn from."""


def _check_forecaster(name: str, info: ValidationInfo) -> str:
    from ..forecasters.registry import FORECASTERS

    outside = tuple((info.context or {}).get(OUTSIDE, ()))
    return name if name in outside else _check_known(name, FORECASTERS, outside)


def _check_valued(name: str, info: ValidationInfo) -> str:
    return name if name == TRUTH else _check_forecaster(name, info)


def _check_outside_name(name: str) -> str:
    from ..forecasters.registry import FORECASTERS

    if name in (*FORECASTERS, TRUTH, "auto", "all") or not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(
            f"must be a name of letters, digits, '_', '-' and '.' that no forecaster has, got {name!r}; change it"
        )
    return name


def _check_policy(name: str) -> str:
    if name in OWN:
        return name
    from ..policies.registry import POLICIES

    return _check_known(name, POLICIES)


def _check_baseline(name: str) -> str:
    return name if name == CHEAPEST else _check_policy(name)


def _check_known(name: str, registry: Registry, others: tuple[str, ...] = ()) -> str:
    if is_address(name):
        registry.known(name)
    elif name not in list(registry):  # a registry's own `in` may import the module
        known = dict.fromkeys((*registry, *others))
        raise ValueError(f"unknown {registry.kind} {name!r}{did_you_mean(name, known)}; or my_module:MyClass")
    return name


def check_distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names as they are, or refuse one that stands twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"each name may stand once, got {', '.join(map(repr, twice))} more than once")
    return names


Count = Annotated[int, Field(strict=True, ge=1, description="a whole number >= 1")]
Periods = Annotated[
    int, Field(strict=True, ge=1, le=100_000, description="a whole number of periods >= 1 (100,000 at most)")
]
NotNegative = Annotated[float, Field(strict=True, ge=0, description="a number >= 0")]
Positive = Annotated[float, Field(strict=True, gt=0, description="a number > 0")]
OptionalPositive = Annotated[Positive | None, Field(description="a number of units > 0")]
OptionalText = Annotated[str | None, Field(min_length=1, description="a text")]
File = Annotated[Annotated[Path, AfterValidator(absolute)] | None, Field(description="the path of a file")]
Texts = Annotated[tuple[str, ...], AfterValidator(check_distinct)]
OptionalTexts = Annotated[Texts | None, Field(description="a list of column names")]
ForecasterName = Annotated[str, AfterValidator(_check_forecaster), Field(description="a forecaster's name")]
ValuedName = Annotated[
    str, AfterValidator(_check_valued), Field(description=f"a forecaster's name, or {TRUTH!r} on the embedded panel")
]
OutsideName = Annotated[str, AfterValidator(_check_outside_name)]
GivenFile = Annotated[Path, AfterValidator(absolute), Field(description="the path of a file")]
PolicyName = Annotated[str, AfterValidator(_check_policy), Field(description="a policy's name")]
OWN = OWN_LEVELS, OWN_ORDERS = "own_levels", "own_orders"
"""What the user does today, by the columns of the files: see `studies.own`; compared wherever the columns are there."""
BOUNDS = ("hindsight",)
"""Planners that know the future: bounds, not policies."""
CHEAPEST = "cheapest"
"""The baseline that is chosen on the validation window."""
BaselineName = Annotated[str, AfterValidator(_check_baseline), Field(description="a policy's name, or 'cheapest'")]
Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
Options = Mapping[str, Scalar | list[Scalar]]
"""Keyword arguments of one forecaster or policy."""
OPTIONS_RULE = "options, each a number, a text, a truth value or a list of them"


class Section(BaseModel):
    """Base of all sections: frozen, no unknown keys, no NaN; faults quote a field's description."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=False)


_ALTERNATIVE = re.compile(r"bool|int|float|str|constrained-.*|\w*\[.*\]")


def list_faults(model: type[BaseModel], error: ValidationError) -> list[str]:
    """Return one message a field: a union reports each of its alternatives, and the field's rule covers them."""
    faults: dict[str, str] = {}
    for detail in error.errors():
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, InputError):
            faults.update({fault: fault for fault in cause.faults})
            continue
        path, field, siblings = _locate(model, [str(part) for part in detail["loc"]])
        if detail["type"] == "extra_forbidden":
            reason = f"unknown key{did_you_mean(str(detail['loc'][-1]), siblings)}"
        elif cause is not None:
            reason = str(cause)
        else:
            rule = field.description if field else None
            reason = f"must be {rule or 'of another type'}, got {detail['input']!r}"
        faults.setdefault(path, f"{path}: {reason}")
    return list(faults.values())


def _locate(section: type[BaseModel], loc: list[str]) -> tuple[str, FieldInfo | None, Iterable[str]]:
    """Return the dotted path of an error, its field, and the keys that may stand beside it."""
    for depth, part in enumerate(loc):
        field = section.model_fields.get(part)
        if field is None:
            return ".".join(loc[: depth + 1]), None, section.model_fields
        inner = field.annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            # Below a field, pydantic adds the names of a union's alternatives to the field's own keys: leave them out.
            keys = [part for part in loc[depth + 1 :] if not _ALTERNATIVE.fullmatch(part)]
            return ".".join([*loc[: depth + 1], *keys]), field, section.model_fields
        section = inner
    return ".".join(loc), field, section.model_fields


class DataConfig(Section):
    """`[data]`: which files, and how to read them; without a history the embedded panel is used.

    Attributes:
        history: sales by item and date, CSV or Parquet.
        items: attributes and costs by item.
        state: what is on hand and arriving by item.
        freq: pandas frequency to study, e.g. "W-MON"; None keeps the history's own.
        missing: what a row missing from the history means.
        known: covariates known ahead; None leaves the choice to the loader.
        columns: our column names, each with the file's.
        embedded_items: items of the embedded panel.
        embedded_periods: weeks of the embedded panel.
    """

    history: File = None
    items: File = None
    state: File = None
    freq: OptionalText = None
    missing: Annotated[Literal["error", "zero", "unknown"], Field(description="one of 'error', 'zero', 'unknown'")] = (
        "error"
    )
    known: OptionalTexts = None
    columns: Annotated[
        Mapping[str, str], Field(description="a table of our column names, each with the file's name as text")
    ] = Field(default_factory=dict)
    embedded_items: Count = 300
    embedded_periods: Periods = 157

    @model_validator(mode="after")
    def _files_need_a_history(self) -> DataConfig:
        alone = [key for key in ("items", "state") if getattr(self, key) and not self.history]
        if alone:
            raise InputError(f"data.{key}: needs a history; give data.history (--history), too" for key in alone)
        return self


class DefaultsConfig(Section):
    """`[defaults]`: what holds for an item where the items file has no value.

    Attributes:
        lead_time: periods from order to receipt. [L]
        review_period: periods from one order to the next. [R]
        holding_cost: money per unit and period. [h]
        stockout_cost: money per unit short and period. [b]
        fixed_order_cost: money per order. [K]
        unmet_demand: "lost", "backorder", or the share of unmet demand that is lost.
        pack_size: orders are multiples of it, in units.
        minimum_order: smallest order, in units.
        maximum_order: largest order, in units.
    """

    lead_time: Annotated[
        int, Field(strict=True, ge=0, description="a whole number of periods >= 0 (round a mean lead time)")
    ] = 1
    review_period: Periods = 1
    holding_cost: NotNegative = 1.0
    stockout_cost: NotNegative = 9.0
    fixed_order_cost: NotNegative = 0.0
    unmet_demand: Annotated[
        Literal["lost", "backorder"] | Annotated[float, Field(strict=True, ge=0, le=1)],
        Field(description="'lost', 'backorder' or the share that is lost, between 0 and 1"),
    ] = "lost"
    pack_size: OptionalPositive = None
    minimum_order: OptionalPositive = None
    maximum_order: OptionalPositive = None

    @model_validator(mode="after")
    def _costs_weigh_something(self) -> DefaultsConfig:
        if self.holding_cost + self.stockout_cost == 0:
            raise InputError(["defaults.stockout_cost: must be > 0 where holding_cost is 0, got 0"])
        return self

    @model_validator(mode="after")
    def _orders_are_possible(self) -> DefaultsConfig:
        for _, message in impossible_orders(None, self.minimum_order, self.maximum_order, self.pack_size):
            raise InputError([f"defaults.maximum_order: {message}"])
        return self


HELD_OUT = 26
"""Periods that are held out where none are configured and the history is long."""
FEWEST_HELD_OUT = 12
"""Periods that are held out where none are configured and the history is short."""


FEWEST_SIMULATED = 2
"""Simulated histories below which none are drawn: they have no spread."""


class BacktestConfig(Section):
    """`[backtest]`: periods held out at the end, and those before it in which policies are tuned.

    Attributes:
        periods: held out, in all folds together; None: 26, or as many as the history bears.
        folds: equal parts of the held-out periods; before each one forecasters are fitted again and policies tuned
            again.
        validation: periods before the held-out ones on which policies are chosen.
        simulated_histories: histories of the held-out periods that are drawn from the forecasts, for the saving in
            simulated demand beside the real one; fewer on very large panels, none below two.
    """

    periods: Annotated[Periods | None, Field(description="a whole number of periods >= 1 (100,000 at most)")] = None
    folds: Count = 2
    validation: Periods = 26
    simulated_histories: Annotated[int, Field(strict=True, ge=0, description="a whole number >= 0")] = 60


class ForecastConfig(Section):
    """`[forecast]`: the forecaster that policies see, others to score beside it, and their options.

    Attributes:
        forecaster: name of the forecaster that policies see.
        also: forecasters that are scored as well; none by default where `forecaster` and `policies.names` are given.
        horizon: periods ahead; None: as far as the longest protection interval reaches.
        options: keyword arguments by forecaster name.
        files: forecasts made elsewhere, a CSV or Parquet file each, by a name that then stands beside the forecasters'.
    """

    forecaster: ForecasterName = "mqcnn"
    also: Annotated[
        tuple[ForecasterName, ...], AfterValidator(check_distinct), Field(description="a list of forecaster names")
    ] = ("seasonal_naive", "ets")
    horizon: Annotated[Periods | None, Field(description="a whole number of periods >= 1 (100,000 at most)")] = None
    options: Annotated[
        Mapping[ForecasterName, Options], Field(description=f"a table by forecaster name of {OPTIONS_RULE}")
    ] = Field(default_factory=dict)
    files: Annotated[
        Mapping[OutsideName, GivenFile],
        Field(description="a table of names, each with a file of forecasts"),
    ] = Field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Every forecaster of the study, once, the one that policies see first, forecasts made elsewhere last."""
        return tuple(dict.fromkeys((self.forecaster, *self.also, *self.files)))


def _expand_all(names: object) -> object:
    from ..forecasters.registry import FORECASTERS

    return tuple(FORECASTERS) if names in ("all", ("all",), ["all"]) else names


class LineageConfig(Section):
    """`[lineage]`: the league table over the forecasters of the history.

    Attributes:
        forecasters: names of those compared, or "all"; none: a study makes no league, `fractile lineage` one of all.
        horizon: periods ahead; None: that of `[forecast]`, or 8, or as far as the longest protection interval reaches.
        origins: how many are forecast from.
        spacing: periods from one origin to the next; None: a horizon.
        volatility_items: items at most whose forecasts are followed from origin to origin.
        quick: train shorter, where a forecaster's options do not set the steps.
    """

    forecasters: Annotated[
        tuple[ForecasterName, ...],
        BeforeValidator(_expand_all),
        AfterValidator(check_distinct),
        Field(description="'all' or a list of forecaster names"),
    ] = ()
    horizon: Annotated[Periods | None, Field(description="a whole number of periods >= 1 (100,000 at most)")] = None
    origins: Count = 3
    spacing: Annotated[Periods | None, Field(description="a whole number of periods >= 1 (100,000 at most)")] = None
    volatility_items: Count = 1000
    quick: Annotated[bool, Field(strict=True, description="true or false")] = False


class ImpactConfig(Section):
    """`[impact]`: what forecasts are worth, each forecaster under each policy.

    Attributes:
        forecasters: names of those compared, `truth` included where demand is synthetic; none: a few usual ones, those
            of `[forecast]`, and the truth where it is known.
        policies: under which they are.
        reference: the pair that savings are measured against, "forecaster/policy"; the first of each where None.
        simulated_items: items at most of the study of miscalibrated forecasts; 0 leaves it out.
        simulated_paths: demand paths of it.
    """

    forecasters: Annotated[
        tuple[ValuedName, ...], AfterValidator(check_distinct), Field(description="a list of forecaster names")
    ] = ()
    policies: Annotated[
        tuple[PolicyName, ...],
        AfterValidator(check_distinct),
        Field(min_length=1, description="a list of at least one policy name"),
    ] = ("newsvendor", "projected", "tuned_newsvendor", "generalist")
    reference: Annotated[str | None, Field(min_length=1, description="a text, forecaster/policy")] = None
    simulated_items: Annotated[int, Field(strict=True, ge=0, description="a whole number >= 0")] = 40
    simulated_paths: Annotated[int, Field(strict=True, ge=2, description="a whole number >= 2")] = 40


class PoliciesConfig(Section):
    """`[policies]`: which are compared, against which, and their options by policy name.

    Attributes:
        names: of the policies.
        baseline: the one that savings are measured against; "cheapest": the classical policy that costs least on the
            validation window, before anything is held out.
        options: keyword arguments by policy name.
    """

    names: Annotated[
        tuple[PolicyName, ...],
        AfterValidator(check_distinct),
        Field(min_length=1, description="a list of at least one policy name"),
    ] = (
        "newsvendor",
        "projected",
        "base_stock",
        "tuned_newsvendor",
        "tuned_projected",
        "constant_order",
        "generalist",
        "backprop",
        "ppo",
        "hindsight",
    )
    baseline: BaselineName = CHEAPEST
    options: Annotated[Mapping[PolicyName, Options], Field(description=f"a table by policy name of {OPTIONS_RULE}")] = (
        Field(default_factory=dict)
    )

    @model_validator(mode="after")
    def _baseline_is_compared(self) -> PoliciesConfig:
        if self.baseline not in (CHEAPEST, *OWN, *self.names):
            raise InputError(
                [
                    f"policies.baseline: must be one of policies.names ({', '.join(self.names)}) "
                    f"or 'cheapest', got {self.baseline!r}; add it to the names or choose another baseline"
                ]
            )
        return self


class TrainingConfig(Section):
    """`[training]`: what policies learn from, and how long networks are trained.

    Attributes:
        refits: forecasters fitted for the window that policies learn from; each forecasts the periods up to the next;
            0: policies learn from the validation window.
        history_draws: paths of the history, each with its own draw of the demand that stock-outs hid.
        simulated_paths: paths of demand simulated from the forecasters, beside them.
        backprop_steps: gradient steps of `backprop`.
        ppo_steps: environment steps of `ppo`.
        seeds: with which each network is trained in a study; a comparison's interval covers what they differ by.
    """

    refits: Annotated[int, Field(strict=True, ge=0, description="a whole number >= 0")] = 2
    history_draws: Count = 2
    simulated_paths: Count = 1
    backprop_steps: Count = BACKPROP_ON_HISTORY.steps
    ppo_steps: Count = STUDY_PPO_STEPS
    seeds: Count = 3


class StatisticsConfig(Section):
    """`[statistics]`: level of the intervals, and what they treat as independent.

    Attributes:
        level: of the intervals.
        clusters: what intervals treat as independent: demand paths, or items and periods; "auto": what the data has.
    """

    level: Annotated[float, Field(strict=True, gt=0, lt=1, description="a number between 0 and 1")] = 0.95
    clusters: Annotated[
        Literal["auto", "path", "item_time"], Field(description="one of 'auto', 'path', 'item_time'")
    ] = "auto"


class ReportConfig(Section):
    """`[report]`: how a study is shown.

    Attributes:
        currency: written after amounts of money, e.g. "EUR"; None: amounts have no unit.
    """

    currency: Annotated[
        str | None, Field(min_length=1, max_length=12, pattern=r"^\S(.*\S)?$", description="a short text such as EUR")
    ] = None
