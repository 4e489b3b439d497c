"""What is known of the periods ahead where a chain of regimes decides what demand is like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...arrays import FloatArray, IntArray
from ...forecasters.interpolation import (
    sobol_uniforms,
)
from .distribution_forecast import Pick
from .independent import IndependentDemand
from .lattice import Distribution, GridDistribution, LatticeDistribution, convolve, grid_cells, lattice_of, trimmed
from .mixture import Mixture

CELLS = 64
"""Cells of a grid per standard deviation of the regime with the least one."""


@dataclass(frozen=True, eq=False)
class RegimeOutlook:
    """Demand of the periods ahead is that of a regime each; what is known is a belief about the first one's.

    Quantiles are those of mixtures, exactly. Sums are convolved along the chain, backwards: from regime r,
    `S_n(r) = F_r * Σ_j P_rj S_{n−1}(j)`; exact for discrete demand, on a grid for continuous demand.

    Attributes:
        regimes: what demand is like in each, parameters of shape (items,) or (1, origins, items).
        transition: probabilities from regime to regime, shape (regimes, regimes). [P]
        beliefs: probabilities of the first period's regime, shape (regimes, beliefs, items or 1).
        belief: which of the beliefs each origin holds, integers of shape (origins, items); None = each its own.
        horizon: periods ahead.
        kept: sums that were convolved before, shared by all outlooks of a model.
    """

    regimes: Sequence[IndependentDemand]
    transition: FloatArray
    beliefs: FloatArray
    belief: IntArray | None
    horizon: int
    kept: dict[Any, Any]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Periods ahead, origins, items."""
        known: tuple[int, ...] = self.beliefs.shape if self.belief is None else self.belief.shape
        return self.horizon, known[-2], max(known[-1], *(regime.items for regime in self.regimes))

    @property
    def dependence(self) -> None:
        """No Gaussian copula: draws take the periods as independent, `draws` and sums do not."""
        return

    def periods(self) -> Mixture:
        """Return the distribution of each period's demand."""
        ahead = [self.beliefs]
        for _ in range(self.horizon - 1):
            ahead.append(self._passed(ahead[-1]))
        return self._mixture(self._components(), np.stack(ahead, axis=1), self._columns.shape[0])

    def total(self, span: IntArray) -> Mixture:
        """Return the distribution of sums, a component for each regime of the first period."""
        columns = self._columns
        spans = np.broadcast_to(span, (1, *np.broadcast_shapes(columns.shape[:2], span.shape[1:])))
        columns = np.broadcast_to(columns, (*spans.shape[1:], columns.shape[2]))
        pairs = np.concatenate([columns.reshape(spans.size, -1), spans.reshape(-1, 1)], axis=1)
        _, first, row = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
        found = [self._sums(int(k), pairs[k].tobytes(), spans) for k in first]
        index, steps = row.reshape(spans.shape), np.array([step for _, step in found])
        lattices = [LatticeDistribution.of([sums[r] for sums, _ in found], index) for r in range(len(self.regimes))]
        discrete = self.regimes[0].discrete
        components = lattices if discrete else [GridDistribution(lattice, steps) for lattice in lattices]
        return self._mixture(components, self.beliefs[:, None], spans.shape[1])

    def draws(self, number: int) -> FloatArray:
        """Return quasi-random draws of regimes and demand, shape (number, horizon, origins, items)."""
        uniform = sobol_uniforms(number, 2 * self.horizon)[:, :, None, None]
        values = [np.maximum(one.ppf(uniform[:, : self.horizon]), 0.0) for one in self._components()]
        chain = np.cumsum(self.transition, axis=1)[:, :-1]
        begin = np.cumsum(self._whole(self.beliefs[:, None])[:, 0], axis=0)[:-1]
        now = (uniform[:, self.horizon, None] >= begin).sum(1)
        if self.belief is not None:
            now = np.take_along_axis(now, np.broadcast_to(self.belief, (number, *self.belief.shape)), axis=1)
        drawn = []
        for h in range(self.horizon):
            if h:
                now = (uniform[:, self.horizon + h, :, :, None] >= chain[now]).sum(-1)
            drawn.append(np.select([now == r for r in range(len(values))], [value[:, h] for value in values]))
        return np.stack(drawn, axis=1)

    def window(self, first: int, last: int) -> RegimeOutlook:
        """Return what is known of periods first ... last - 1 ahead."""
        beliefs = self.beliefs
        for _ in range(first):
            beliefs = self._passed(beliefs)
        return replace(self, beliefs=beliefs, horizon=last - first)

    def picked(self, pick: Pick, origins: int) -> RegimeOutlook:
        """Return what is known of some origins and items."""
        items = self.shape[2]

        def change(array: Any) -> Any:
            return pick(np.broadcast_to(array, (*array.shape[:-2], origins, items)))

        # The regimes of one item that all origins share are the same wherever they are picked.
        alike = self._columns.shape[:2] == (1, 1)
        regimes = self.regimes if alike else [regime.mapped(change, 3) for regime in self.regimes]
        if self.belief is None:
            return replace(self, regimes=regimes, beliefs=change(self.beliefs))
        if self.beliefs.shape[2] == 1:
            return replace(self, regimes=regimes, belief=change(self.belief))
        whole = np.take_along_axis(self.beliefs, self.belief[None], axis=1)
        return replace(self, regimes=regimes, beliefs=change(whole), belief=None)

    @cached_property
    def _columns(self) -> FloatArray:
        """All parameters, shape (origins or 1, items, parameters)."""
        shape = np.broadcast_shapes((1, 1), *(a.shape[-2:] for m in self.regimes for _, a in m.arrays()))
        parts = [regime.columns((1, *shape))[0] for regime in self.regimes]
        return np.concatenate(parts, axis=-1)

    def _components(self) -> Sequence[Distribution]:
        """One period's distribution in each regime; discrete ones are tabulated."""
        shape = (1, *self._columns.shape[:2])
        key = (shape, self._columns.tobytes())
        if key not in self.kept:
            ones = [regime.distribution() for regime in self.regimes]
            self.kept[key] = [lattice_of(one, shape) for one in ones] if self.regimes[0].discrete else ones
        kept: Sequence[Distribution] = self.kept[key]
        return kept

    def _mixture(self, components: Sequence[Distribution], beliefs: FloatArray, origins: int) -> Mixture:
        """Mix components, which belong to so many origins, or to all where that is 1."""
        weights, belief = self._whole(beliefs), self.belief
        if belief is not None and origins > 1:
            index = np.broadcast_to(belief, (*weights.shape[:2], *belief.shape))
            weights, belief = np.take_along_axis(weights, index, axis=-2), None
        return Mixture(components, list(weights), belief, self.regimes[0].discrete)

    def _passed(self, beliefs: FloatArray) -> FloatArray:
        """Beliefs about the period behind."""
        return np.einsum("roi,rs->soi", beliefs, self.transition)

    def _whole(self, beliefs: FloatArray) -> FloatArray:
        """Beliefs with an axis for all items."""
        return np.broadcast_to(beliefs, (*beliefs.shape[:-1], self.shape[2]))

    def _sums(self, place: int, key: bytes, spans: IntArray) -> tuple[list[FloatArray], float]:
        """Probabilities of a sum from each first regime, and the step between its values."""
        if key not in self.kept:
            origin, item = divmod(place, spans.shape[2])

            def change(parameter: FloatArray) -> FloatArray:
                at = min(origin, parameter.shape[-2] - 1), min(item, parameter.shape[-1] - 1)
                return parameter[..., at[0] : at[0] + 1, at[1] : at[1] + 1]

            ones = [regime.mapped(change, 3).distribution() for regime in self.regimes]
            self.kept[key] = _chained(ones, self.transition, int(spans.flat[place]), self.regimes[0].discrete)
        found: tuple[list[FloatArray], float] = self.kept[key]
        return found


def _chained(ones: list[Any], transition: FloatArray, span: int, discrete: bool) -> tuple[list[FloatArray], float]:
    """Convolve one item's demand along the chain."""
    shape = (1, 1, 1)
    step = 1.0 if discrete else float(min(np.min(one.std()) for one in ones)) / CELLS
    rows = [lattice_of(one, shape).rows if discrete else grid_cells(one, step, shape) for one in ones]
    single = [trimmed(row[0]) for row in rows]
    sums = single
    for _ in range(span - 1):
        behind = np.zeros((len(sums), max(map(len, sums))))
        for r, total in enumerate(sums):
            behind[r, : len(total)] = total
        sums = [convolve(one, mixed) for one, mixed in zip(single, transition @ behind, strict=True)]
    return sums, step
