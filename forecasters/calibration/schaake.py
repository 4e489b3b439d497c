"""The Schaake shuffle: draws of each period put in the order of what happened before.

Each period's demand is drawn by itself, from its own quantiles. One past trajectory of errors, a template, is
picked for each path, and the draws of every period are dealt out in the order of the templates' values: the
path whose template was highest in that period gets the highest draw. Marginals stay as they are, and the
dependence over the horizon is that of the past, whatever its form (Clark et al. 2004; a Gaussian copula has
but one form). Templates are errors rather than past demand, so that trend, season and promotions of the past
are not taken for dependence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray

TEMPLATES = 512
"""Past trajectories that are kept of each band."""
FEWEST_TEMPLATES = 50
"""Trajectories that a band needs of its own; with fewer it takes those of all items."""


def fit_templates(errors: FloatArray, band: IntArray, bands: int) -> FloatArray:
    """Pick templates among the past trajectories of errors that are known throughout.

    Args:
        errors: anything that orders the errors of one period, shape (items, origins, horizon), NaN where unknown.
        band: which band each belongs to, shape (items, origins).
        bands: how many there are.

    Returns:
        shape (bands, `TEMPLATES`, horizon); zeros, which is independence, where nothing is known.
    """
    whole = ~np.isnan(errors).any(axis=-1)
    each = []
    for b in range(bands):
        own = errors[whole & (band == b)]
        each.append(_spread_out(own if len(own) >= FEWEST_TEMPLATES else errors[whole]))
    return np.stack(each)


def template_uniforms(templates: FloatArray) -> FloatArray:
    """Return the templates' ranks as levels in (0, 1), shape (templates, horizon), the same at every call.

    Templates that are equal in a period stand in random order there.
    """
    ranks = _ranks(templates, np.random.default_rng(0).random(templates.shape))
    return (ranks + 0.5) / len(templates)


def shuffled_uniforms(templates: FloatArray, band: IntArray, paths: int, rng: np.random.Generator) -> FloatArray:
    """Draw levels that are uniform in each period and stand in the order of templates picked at random.

    Args:
        templates: shape (bands, templates, horizon).
        band: which band each item and origin belongs to, shape (items, origins).
        paths: how many.
        rng: where the draws come from.

    Returns:
        in (0, 1), shape (paths, items, origins, horizon).
    """
    picked = templates[band, rng.integers(templates.shape[1], size=(paths, *band.shape))]
    ranks = _ranks(picked, rng.random(picked.shape))
    ordered = np.sort(rng.random(picked.shape), axis=0)
    return np.asarray(np.take_along_axis(ordered, ranks, axis=0))


def _ranks(values: FloatArray, ties: FloatArray) -> NDArray[np.intp]:
    """Ranks along the first axis, from 0; equal values are ranked by `ties`."""
    order = np.lexsort((ties, values), axis=0)
    ranks = np.empty_like(order)
    positions = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    np.put_along_axis(ranks, order, np.broadcast_to(positions, order.shape), axis=0)
    return ranks


def _spread_out(trajectories: FloatArray) -> FloatArray:
    """`TEMPLATES` of the trajectories at even distances; some of them again where there are fewer."""
    if not len(trajectories):
        return np.zeros((TEMPLATES, trajectories.shape[-1]))
    if len(trajectories) >= TEMPLATES:
        return trajectories[np.linspace(0, len(trajectories) - 1, TEMPLATES).astype(np.int64)]
    return trajectories[np.arange(TEMPLATES) % len(trajectories)]
