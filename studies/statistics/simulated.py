"""Two intervals from simulated histories: of the mean over many, and of what one history of that length shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ...arrays import FloatArray, IntArray
from ...errors import FractileError
from .estimates import check_level
from .saving import Saving, paired_saving


@dataclass(frozen=True, eq=False)
class SimulatedSaving:
    """A policy's saving in simulation.

    Attributes:
        mean: the saving over all histories, with its interval, which more histories make as narrow as one likes.
        errors: by how much the saving of each history is above that mean, sorted, shape (histories,).
        truths: demand models that the histories come from.
        level: of the intervals.
    """

    mean: Saving
    errors: FloatArray
    truths: int
    level: float

    @property
    def spread(self) -> float:
        """Standard deviation of the saving of one history, within truths and between them."""
        return float(np.sqrt((self.errors**2).sum() / (len(self.errors) - 1)))

    def around(self, realised: float) -> tuple[float, float]:
        """Return the interval of the true saving about the saving of one real history as long as the simulated ones.

        What the simulated histories missed their mean by, the real one may have missed the truth by: the ends are those
        of the errors' order statistics, which hold a further draw with the level asked for, however skewed they are;
        with few histories, of a t distribution.

        Args:
            realised: saving on the real history, a share of the baseline's cost.
        """
        number, tail = len(self.errors), (1 - self.level) / 2
        outside = int(np.floor((number + 1) * tail))
        if outside >= 1:
            return float(realised - self.errors[number - outside]), float(realised - self.errors[outside - 1])
        reach = float(stats.t.ppf(1 - tail, number - 1)) * self.spread * np.sqrt(1 + 1 / number)
        return float(realised - reach), float(realised + reach)


def simulated_saving(
    baseline: FloatArray, cost: FloatArray, *, truths: IntArray | None = None, level: float = 0.95
) -> SimulatedSaving:
    """Estimate a saving from many simulated histories, and how far one such history may be off.

    Args:
        baseline: money, shape (histories, periods, items), or (seeds, histories, periods, items).
        cost: of the policy on the same demand, likewise.
        truths: which demand model each history was drawn from, shape (histories,); all from one where None. With
            several, refitted to resampled data say, the mean's interval is by truths, and a history's error holds both
            the spread within a truth and that between truths.
        level: of both intervals.

    Raises:
        FractileError: where there are fewer than two histories or labels do not fit, and as `paired_saving`.
    """
    check_level(level)
    charged, paid = baseline.sum((-2, -1)), cost.sum((-2, -1))
    histories = charged.shape[-1]
    label = np.zeros(histories, dtype=np.int64) if truths is None else np.asarray(truths)
    if histories < 2 or paid.shape[-1] != histories:
        raise FractileError(
            f"two or more histories, of both policies, are needed, got {histories} and {paid.shape[-1]}"
        )
    if label.shape != (histories,):
        raise FractileError(f"truths must name one demand model a history, shape ({histories},), got {label.shape}")
    names = np.unique(label)
    if len(names) > 1:
        membership = (label[:, None] == names).astype(float)
        mean = paired_saving(
            _as_paths(charged @ membership), _as_paths(paid @ membership), clusters="path", level=level
        )
    else:
        mean = paired_saving(_as_paths(charged), _as_paths(paid), clusters="path", level=level)
    each_charged, each_paid = (sums.mean(0) if sums.ndim == 2 else sums for sums in (charged, paid))
    errors = np.sort(1 - each_paid / each_charged - mean.saving)
    return SimulatedSaving(mean, errors, len(names), level)


def _as_paths(sums: FloatArray) -> FloatArray:
    """Return one cell a path, after an axis of training seeds."""
    return np.asarray(np.atleast_2d(sums)[:, :, None, None])
