"""The task of a league: forecasters in the order of their history, a panel, its origins and example items.

First the names and which of them are compared; then the items that are drawn as examples; then the task.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from ...arrays import BoolArray, FloatArray, IntArray
from ...errors import InputError
from ...forecasters.base import check_horizon
from ...forecasters.data.fingerprint import panel_fingerprint
from ...forecasters.data.panel import SalesPanel
from ...forecasters.forecast import DEFAULT_LEVELS, QuantileForecast
from ...forecasters.outside import OutsideForecaster
from ...forecasters.scores.outcomes import Outcomes, outcomes_at
from ...randomness import keyed_generator
from ..config import DefaultsConfig
from ..data import item_params
from ..windows import SHORTEST_HISTORY


@dataclass(frozen=True)
class Ancestor:
    """Where a forecaster stands in the history.

    Attributes:
        era: the family of methods of its time.
        source: who published the method first, where that is known.
    """

    era: str
    source: str = ""


TEXTBOOK, FORESTS, NETS, OUTSIDE = "textbook series", "forests", "networks", "outside reference"
ERAS = (TEXTBOOK, FORESTS, NETS, OUTSIDE)
LINEAGE = {
    "seasonal_naive": Ancestor(TEXTBOOK),
    "ets": Ancestor(TEXTBOOK, "Hyndman et al. 2002"),
    "arima": Ancestor(TEXTBOOK, "Box and Jenkins 1970"),
    "croston": Ancestor(TEXTBOOK, "Croston 1972"),
    "patchwork": Ancestor(TEXTBOOK),
    "random_forest": Ancestor(FORESTS, "Breiman 2001"),
    "quantile_forest": Ancestor(FORESTS, "Meinshausen 2006"),
    "sqrf": Ancestor(FORESTS),
    "mqmlp": Ancestor(NETS),
    "rnn": Ancestor(NETS),
    "deepar": Ancestor(NETS, "Salinas et al. 2017"),
    "mqrnn": Ancestor(NETS, "Wen et al. 2017"),
    "mqcnn": Ancestor(NETS, "Wen et al. 2017"),
    "mqtransformer": Ancestor(NETS, "Eisenach et al. 2020"),
    "quantile_function": Ancestor(NETS, "Park et al. 2022"),
    "ensemble": Ancestor(OUTSIDE, "a structural model, a network and trees"),
    "lightgbm": Ancestor(OUTSIDE, "Ke et al. 2017"),
}
"""Every forecaster of the history, oldest first; outside references last."""

BASELINES = ("ets", "lightgbm")
"""Forecasters that every other is measured against."""

STEPS = (
    ("ets", "patchwork"),
    ("patchwork", "sqrf"),
    ("sqrf", "mqmlp"),
    ("mqmlp", "mqcnn"),
    ("mqcnn", "mqtransformer"),
)
"""Pairs of which the second is expected to lose less."""

CALMER = ("mqcnn", "mqtransformer")
"""A pair of which the second's forecasts are expected to be less volatile."""

TRUTH = "true quantiles"
"""Name of the row of the quantiles that demand was drawn from."""


def sort_by_history(names: Iterable[str]) -> tuple[str, ...]:
    """Return names in the order of history; unknown ones follow, in the order given."""
    known = list(LINEAGE)
    return tuple(sorted(dict.fromkeys(names), key=lambda n: known.index(n) if n in LINEAGE else len(known)))


def era_of(name: str) -> str:
    """Return the era of a forecaster; "" for one that is not in the history."""
    return LINEAGE[name].era if name in LINEAGE else ""


def comparison_pairs(names: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return which forecasters are compared: (earlier or baseline, other, why).

    Why is "baseline", or "step" where the first is the other's predecessor in history: the one before it in
    the order of history among these names, or its rival in `STEPS`.
    """
    present = [name for name in sort_by_history(names) if name != TRUTH]
    against = [(base, name, "baseline") for base in BASELINES if base in present for name in present if name != base]
    chain = [name for name in present if era_of(name) != OUTSIDE]
    steps = [*pairwise(chain), *(pair for pair in STEPS if set(pair) <= set(chain))]
    return [*against, *((*pair, "step") for pair in dict.fromkeys(steps))]


OFTEN_ZERO = 0.6
"""Share of periods without a sale from which on an item counts as intermittent."""
YOUNG = 0.25
"""Share of the history that a young item has at most."""
PROMOTED = (0.02, 0.6)
"""An item counts as promoted where this share of its periods is: more would be its usual state."""


@dataclass(frozen=True)
class ExampleItem:
    """An item that is drawn.

    Attributes:
        position: among the panel's items.
        item_id: its name.
        rule: why it was chosen.
    """

    position: int
    item_id: str
    rule: str


def choose_example_items(history: SalesPanel) -> tuple[ExampleItem, ...]:
    """Choose up to four items by rules that look at the history alone.

    Args:
        history: what was known before the first origin.

    Returns:
        the largest, a promoted, an intermittent and a young one; a rule that fits no item is left out, and no
        item stands twice.
    """
    units = np.where(history.informative, history.sales, 0.0).sum(1)
    # A promotion is a covariate known ahead that is 0 or 1 and differs between items: something done to an item.
    marks = [v for v in history.known.values() if np.isin(v, (0.0, 1.0)).all() and (v != v[:1]).any()]
    promoted = _share(marks[0] > 0, history.listed) if marks else np.zeros(history.items)
    age = history.listed.sum(1)
    rules = [
        ("the largest: most units sold", np.ones(history.items, dtype=bool)),
        (
            "promoted: most units among items with promotions in 2 to 60 % of their periods",
            (promoted >= PROMOTED[0]) & (promoted <= PROMOTED[1]),
        ),
        (
            "intermittent: most units among items without a sale in 60 % of their periods or more",
            _share(history.sales == 0, history.informative) >= OFTEN_ZERO,
        ),
        (
            "young: most units among items listed for a quarter of the history at most",
            (age > 0) & (age <= YOUNG * history.periods),
        ),
    ]
    chosen: list[ExampleItem] = []
    for rule, fits in rules:
        candidates = fits & (units > 0)
        candidates[[item.position for item in chosen]] = False
        if candidates.any():
            best = int(np.argmax(np.where(candidates, units, -1.0)))
            chosen.append(ExampleItem(best, history.item_ids[best], rule))
    return tuple(chosen)


def _share(what: BoolArray, among: BoolArray) -> FloatArray:
    return np.asarray((what & among).sum(1) / np.maximum(among.sum(1), 1))


LOSS_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Levels that the mean weighted quantile loss is taken over."""
VOLATILITY_ITEMS = 1000
"""Items at most whose forecasts are followed from origin to origin."""

TrueForecast = Callable[[int, Sequence[float], IntArray], QuantileForecast]
"""(horizon, levels, origins) → the quantiles that demand was drawn from."""


@dataclass(frozen=True, eq=False)
class LeagueTask:
    """One panel, forecast by all from the same origins over the same horizon.

    Attributes:
        panel: the whole history; what lies after the first origin is for scoring.
        horizon: periods ahead. [H]
        origins: periods that are forecast from, shape (origins,).
        truth: demand to score against, shape (items, periods), NaN where it does not count; None: sales of
            listed item-periods, which are bounds on demand where stock ran out.
        reference: the true quantiles, where the panel is synthetic.
        span: periods of the protection interval that demand is summed over, one number or one an item. [L + R]
        critical_ratio: level that sums are scored at, likewise. [b / (b + h)]
        seed: of everything random.
        level: of the intervals.
        volatility_items: items at most that are forecast from successive origins as well.
        given: forecasts made elsewhere, by name.
        examples: items that are drawn, chosen on the history before the first origin.
        fingerprint: a hash of the panel, the truth and the task.
    """

    panel: SalesPanel
    horizon: int
    origins: IntArray
    truth: FloatArray | None = None
    reference: TrueForecast | None = None
    span: int | IntArray = 2
    critical_ratio: float | FloatArray = 0.9
    seed: int = 0
    level: float = 0.95
    volatility_items: int = VOLATILITY_ITEMS
    given: Mapping[str, OutsideForecaster] = field(default_factory=dict)
    examples: tuple[ExampleItem, ...] = field(init=False)
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "examples", choose_example_items(self.history))
        # Everything that an entry depends on but the forecaster and its options.
        sums = (np.asarray(self.span).tolist(), np.asarray(self.critical_ratio).tolist())
        described = (self.horizon, self.origins.tolist(), self.seed, self.volatility_items, DEFAULT_LEVELS, sums)
        digest = hashlib.sha256(repr((described, panel_fingerprint(self.panel))).encode())
        if self.truth is not None:
            digest.update(np.ascontiguousarray(self.truth).tobytes())
        object.__setattr__(self, "fingerprint", digest.hexdigest())

    @property
    def first(self) -> int:
        """The first origin: forecasters learn from the periods before it."""
        return int(self.origins[0])

    @property
    def history(self) -> SalesPanel:
        """What forecasters learn from."""
        return self.panel.until(self.first)

    @property
    def targets(self) -> IntArray:
        """The periods that are forecast, each once, shape (targets,)."""
        return np.unique(self.origins[:, None] + np.arange(self.horizon))

    @property
    def successive(self) -> IntArray:
        """Origins that follow each other, up to the last one: enough to see a horizon of targets from H of them."""
        last = int(self.origins[-1])
        return np.arange(max(self.first, last - 2 * self.horizon), last + 1)

    @property
    def followed(self) -> IntArray:
        """Positions of the items whose forecasts are followed from origin to origin: all, or a keyed choice."""
        items = np.arange(self.panel.items)
        if len(items) <= self.volatility_items:
            return items
        chosen = keyed_generator(self.seed, "volatility items").choice(items, self.volatility_items, replace=False)
        return np.sort(chosen)

    def outcomes(self) -> Outcomes:
        """Return what forecasts are scored against, shape (items, origins, horizon)."""
        return outcomes_at(self.panel, self.origins, self.horizon, truth=self.truth)


def league_task(
    panel: SalesPanel,
    horizon: int,
    *,
    origins: int = 3,
    spacing: int | None = None,
    truth: FloatArray | None = None,
    defaults: DefaultsConfig | None = None,
    **rest: Any,
) -> LeagueTask:
    """Return a task whose last windows end with the panel.

    Args:
        panel: the whole history.
        horizon: periods ahead. [H]
        origins: how many are forecast from.
        spacing: periods from one origin to the next; a horizon where None, so that windows touch.
        truth: see `LeagueTask`; item-periods that were not listed never count.
        defaults: lead time, review period and costs of items that the panel's attributes have none for; they give
            `span` and `critical_ratio`. Those of a config where None.
        **rest: further attributes of `LeagueTask`.

    Raises:
        InputError: where the history is too short, or a number is none.
    """
    horizon, spacing = check_horizon(horizon), spacing or horizon
    starts = panel.periods - horizon - spacing * np.arange(origins)[::-1]
    if origins < 1 or starts[0] < SHORTEST_HISTORY:
        raise InputError(
            [
                f"history: has {panel.periods} periods; {origins} origins, {spacing} apart, with a horizon of "
                f"{horizon} leave {max(0, int(starts[0])) if origins > 0 else 0} to learn from, and "
                f"{SHORTEST_HISTORY} are needed; give a longer history, fewer origins (lineage.origins) or a shorter "
                "horizon (lineage.horizon)"
            ]
        )
    if truth is not None:
        truth = np.where(panel.listed, truth, np.nan)
    params = item_params(panel, panel.static, defaults or DefaultsConfig())
    bought = {"span": params.protection_interval, "critical_ratio": params.critical_ratio}
    task = LeagueTask(panel, horizon, starts, truth, **{**bought, **rest})
    if not np.nansum(task.outcomes().sales) > 0:
        raise InputError(
            [
                "history: no demand is known in the periods that are forecast (nothing was sold), so that nothing can "
                "be scored; give other origins (lineage.origins, lineage.spacing)"
            ]
        )
    return task
