"""How forecasts evolve: the martingale model, fitted to past revisions, and forecasts carried along paths by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from ...arrays import FloatArray, IntArray
from ...errors import Faults, FractileError
from ...forecasters.calibration.sampling import interval_scores, positive_definite, recorded_bounds
from ...forecasters.data.panel import SalesPanel
from ...randomness import draw_by_item

HORIZON = 12
"""Leads that revisions are fitted for where the caller names none."""
ORIGINS = 60
"""Most past origins whose revisions are fitted to."""
SMALLEST_FORECAST = 0.05
"""Forecasts below this share of the item's usual one say nothing about ratios."""
ITEM_WEIGHT = 20.0
"""Revisions that the scale of all items is worth against an item's own."""
LEAST_SHRINKAGE = 0.01
FEWEST_REVISIONS = 10


class EvolutionPaths(NamedTuple):
    """Drawn news of one item.

    Attributes:
        score: normal score of each period's demand under the forecast valid in it, shape (paths, periods). [u]
        log_factor: log of what the first forecast of period t + k has been multiplied by when t begins, shape
            (paths, periods, span), k = 0 ... span − 1; 0 in the first period.
    """

    score: FloatArray
    log_factor: FloatArray


@dataclass(frozen=True, eq=False)
class ForecastEvolution:
    """The multiplicative martingale model of forecast evolution.

    Between period t − 1 and t the forecast of every later period is multiplied by a factor of mean one,
    `F_t(t + j) = F_{t−1}(t + j) · exp(ε_t(j))`, with lead j = 0, 1, …, and ε_t normal with covariance s_i² Σ and mean
    −½ s_i² Σ_jj. Demand in t is drawn from the forecast valid in t; its normal score u_t is correlated with the
    revisions ε_{t+1} that follow, so that a surprise moves later forecasts as it did in the past.

    Assumptions: log-revisions are normal, independent over time and of the forecast's level, alike for all items up
    to the scale s_i, and independent between items; revisions beyond the longest fitted lead equal the one at that
    lead; what drives revisions (promotions, launches) goes on as it did in the past.

    Sources: Graves, Meal, Dasu and Qiu (1986), Heath and Jackson (1994), IIE Transactions 26(3), the multiplicative
    form.

    Attributes:
        deviation: standard deviation of log-revisions by lead, for an item of scale one, shape (horizon,).
        correlation: of (u_t, ε_{t+1}(0), …, ε_{t+1}(horizon − 1)), shape (horizon + 1, horizon + 1), positive definite.
        scale: how volatile each item's forecasts are against that, shape (items,). [s_i]
        item_ids: one text an item; other items have scale one.
    """

    deviation: FloatArray
    correlation: FloatArray
    scale: FloatArray
    item_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        faults, horizon = Faults(), len(self.deviation)
        if not ((self.deviation >= 0) & np.isfinite(self.deviation)).all():
            faults.add("deviation must be finite numbers >= 0, one a lead; take square roots of variances")
        if self.correlation.shape != (horizon + 1, horizon + 1):
            faults.add(
                f"correlation must have the shape {(horizon + 1, horizon + 1)}, demand's score first, "
                f"got {self.correlation.shape}"
            )
        elif np.linalg.eigvalsh(self.correlation)[0] <= 0:
            faults.add("correlation must be positive definite; shrink it towards the identity")
        if self.scale.shape != (len(self.item_ids),) or not (self.scale >= 0).all():
            faults.add(f"scale must be one number >= 0 for each of {len(self.item_ids)} items, got {self.scale}")
        faults.raise_if_any()

    @classmethod
    def fit(
        cls,
        forecaster: Any,
        panel: SalesPanel,
        *,
        origins: Sequence[int] | IntArray | None = None,
        horizon: int = HORIZON,
    ) -> Self:
        """Fit the model to how a fitted forecaster revised its forecasts over a history.

        A revision compares the mean forecasts of one period that successive origins made. Revisions are divided by
        the item's scale, which is drawn to one where the item has few of them, and pooled. The correlation is shrunk
        towards the identity by as much as its sampling error calls for (Schäfer and Strimmer 2005).

        Args:
            forecaster: a fitted forecaster. Where it was fitted on the same periods, it revises as it does in-sample.
            panel: the history.
            origins: periods to forecast from, in increasing order; those that follow each other directly count. The
                last 60, or half of the history where that is less, where None.
            horizon: leads to fit.

        Raises:
            FractileError: where fewer than ten revisions can be compared.
        """
        if origins is None:
            origins = np.arange(max(1, panel.periods - min(ORIGINS, panel.periods // 2)), panel.periods + 1)
        chosen = np.asarray(origins, dtype=np.int64)
        forecast = forecaster.predict(panel, horizon + 1, origins=chosen)
        # Log-revisions (items, origins − 1, horizon): those after each origin's demand, NaN where there is none.
        mean = forecast.mean()
        usual = mean.mean((1, 2), keepdims=True)
        known = panel.listed[:, forecast.origins - 1]
        seen = np.where((mean > SMALLEST_FORECAST * usual) & known[:, :, None], mean, np.nan)
        revision = np.log(seen[:, 1:, :-1]) - np.log(seen[:, :-1, 1:])
        whole = ~np.isnan(revision).any(-1) & (np.diff(forecast.origins) == 1)
        revision = np.where(whole[..., None], revision, np.nan)
        number = (~np.isnan(revision[..., 0])).sum(1)
        if number.sum() < FEWEST_REVISIONS:
            raise FractileError(
                f"origins must hold at least {FEWEST_REVISIONS} revisions of forecasts above zero, got {number.sum()}; "
                "name more origins that follow each other directly, or use mode 'fixed'"
            )
        revision = revision - np.nanmean(revision, axis=(0, 1))
        # How volatile each item is against all, drawn to one where it has few revisions.
        pooled = np.nanmean(revision**2, axis=(0, 1))
        relative = np.where(np.isnan(revision), 0.0, revision**2) / np.where(pooled > 0, pooled, 1.0)
        scale = np.sqrt((relative.mean(-1).sum(1) + ITEM_WEIGHT) / (number + ITEM_WEIGHT))
        scaled = revision / np.where(scale > 0, scale, 1.0)[:, None, None]
        deviation = np.sqrt(np.nanmean(scaled**2, axis=(0, 1)))
        standard = scaled / np.where(deviation > 0, deviation, 1.0)
        # Normal scores of demand under the forecast of its own period, and their variance within whole units; NaN
        # where sales say nothing. Revisions follow the demand of every origin but the last.
        scores = interval_scores(*recorded_bounds(forecast.head(1), panel, stock_outs=False))
        correlation = _joint_correlation(standard, scores.mean[:, :-1, 0], scores.spread[:, :-1, 0])
        return cls(deviation, correlation, scale, panel.item_ids)

    @property
    def horizon(self) -> int:
        """Leads that revisions were fitted for."""
        return len(self.deviation)

    @property
    def covariance(self) -> FloatArray:
        """Covariance of log-revisions over leads for an item of scale one, shape (horizon, horizon). [Σ]"""
        return self.correlation[1:, 1:] * np.outer(self.deviation, self.deviation)

    def scale_of(self, item_ids: Sequence[str]) -> FloatArray:
        """Return the scale of each item, 1 where the item was not fitted, shape (items,)."""
        known = dict(zip(self.item_ids, self.scale, strict=True))
        return np.array([known.get(name, 1.0) for name in item_ids], dtype=np.float64)

    def resolved(self, leads: int) -> FloatArray:
        """Return the log-variance that revisions take away between lead k and the period itself.

        Returns:
            `Σ_{j<k} Σ_jj` for k = 0 ... leads, for an item of scale one, shape (leads + 1,).
        """
        variance = self.deviation[np.minimum(np.arange(leads), self.horizon - 1)] ** 2
        return np.concatenate([[0.0], np.cumsum(variance)])

    def sample(
        self, rng: np.random.Generator, paths: int, periods: int, span: int, *, scale: float = 1.0
    ) -> EvolutionPaths:
        """Draw the news of one item.

        Args:
            rng: where the draws come from; more paths or periods change nothing of what is drawn without them.
            paths: number of paths.
            periods: length of the paths.
            span: periods ahead that forecasts are seen.
            scale: of the item. [s_i]
        """
        root, keys = int(rng.integers(2**62)), ["score", *(f"lead {k}" for k in range(self.horizon))]
        normal = draw_by_item(root, keys, paths, periods, lambda own, _, n: own.standard_normal((periods, n))).T
        score, noise = normal[..., 0], normal[..., 1:]
        return EvolutionPaths(score, self.carry(score, noise, span, np.full(paths, scale)))

    def carry(self, score: FloatArray, noise: FloatArray, span: int, scale: FloatArray) -> FloatArray:
        """Return the log-factors that follow from scores and independent normal draws.

        Args:
            score: u, shape (paths, periods).
            noise: shape (paths, periods, horizon).
            span: periods ahead that forecasts are seen.
            scale: of each path's item, shape (paths,).

        Returns:
            shape (paths, periods, span): see `EvolutionPaths`.
        """
        paths, periods = score.shape
        root = np.linalg.cholesky(self.correlation)[1:] * self.deviation[:, None]
        news = (score[..., None] * root[:, 0] + noise @ root[:, 1:].T) * scale[:, None, None]
        news -= 0.5 * (scale[:, None] ** 2 * self.deviation**2)[:, None]
        targets = periods + span - 1
        lead = np.minimum(np.arange(targets), self.horizon - 1)
        total, out = np.zeros((paths, targets)), np.zeros((paths, periods, span))
        for t in range(1, periods):
            total[:, t:] += news[:, t - 1, lead[: targets - t]]
            out[:, t] = total[:, t : t + span]
        return out

    def demand_correlation(self, residual: FloatArray, scale: FloatArray) -> FloatArray:
        """Return how the demand of the next periods moves together, as seen from now.

        Args:
            residual: log-variance that is left in each period when it begins, shape (items, span).
            scale: of each item, shape (items,).

        Returns:
            correlation of log demand, shape (items, span, span): later periods share the revisions that come until
            then, and react to the surprises of the earlier ones.
        """
        span = residual.shape[1]
        lead = np.minimum(np.arange(span), self.horizon - 1)
        covariance, reaction = self.covariance[np.ix_(lead, lead)], (self.correlation[0, 1:] * self.deviation)[lead]
        joint = np.zeros((len(residual), span, span))
        for a in range(span):
            joint[:, a, a] = residual[:, a] + scale**2 * np.trace(covariance[:a, :a])
            for b in range(a + 1, span):
                shared = sum(covariance[a - s, b - s] for s in range(1, a + 1))
                surprise = np.sqrt(residual[:, a]) * scale * reaction[b - a - 1]
                joint[:, a, b] = joint[:, b, a] = scale**2 * shared + surprise
        root = np.sqrt(np.einsum("iaa->ia", joint))
        return np.asarray(joint / (root[:, :, None] * root[:, None, :]))


def _joint_correlation(revision: FloatArray, score: FloatArray, spread: FloatArray) -> FloatArray:
    """Correlation of demand's score and the standardised revisions that follow it, positive definite."""
    rows = revision[~np.isnan(revision[..., 0])]
    horizon = rows.shape[1]
    joint, pairs = np.eye(horizon + 1), np.full((horizon + 1, horizon + 1), float(len(rows)))
    joint[1:, 1:] = rows.T @ rows / len(rows)
    known = ~np.isnan(revision[..., 0]) & ~np.isnan(score)
    pairs[0, 1:] = pairs[1:, 0] = known.sum()
    if known.sum() >= FEWEST_REVISIONS:
        surprise = score[known] - score[known].mean()
        # Where demand is in whole units the score is known up to an interval; what intervals hide is given back.
        kept = max(1.0 - float(spread[known].mean()), 0.1)
        deviation = max(float(surprise.std()), 1e-9)
        with_news = surprise @ revision[known] / known.sum() / (deviation * np.sqrt(kept))
        joint[0, 1:] = joint[1:, 0] = np.clip(with_news, -0.99, 0.99)
    np.fill_diagonal(joint, 1.0)
    # Shrunk towards the identity by the ratio of the entries' sampling variance to their squares.
    off = ~np.eye(len(joint), dtype=bool)
    noise = ((1.0 - joint**2) ** 2 / np.maximum(pairs - 1.0, 1.0))[off].sum()
    share = np.clip(noise / max(float((joint[off] ** 2).sum()), 1e-12), LEAST_SHRINKAGE, 1.0)
    return positive_definite(np.where(off, (1.0 - share) * joint, joint))
