"""The picture of an episode."""

from __future__ import annotations

import numpy as np
import pytest

from fractile.envs.demand import Poisson
from fractile.envs.render import render_episode


def episode(periods: int, **options) -> np.ndarray:
    rng = np.random.default_rng(0)
    on_hand = rng.poisson(4.0, periods).astype(float)
    series = {
        "demand": rng.poisson(5.0, periods).astype(float),
        "order": rng.poisson(5.0, periods).astype(float),
        "on_hand": on_hand,
        "shortfall": np.where(on_hand == 0, 2.0, 0.0),
        "holding": on_hand,
        "stockout": np.where(on_hand == 0, 8.0, 0.0),
    }
    rest = {"pipeline": np.array([4.0, 6.0]), "forecast": Poisson(5.0).forecast(3), "period": periods}
    return render_episode(**{**series, **rest, **options})


@pytest.mark.parametrize("periods", [0, 1, 12, 130])
def test_picture_is_full_at_any_time(periods):
    picture = episode(periods)
    assert picture.shape == (600, 960, 3)
    assert picture.dtype == np.uint8
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
    assert (picture == 255).all(-1).mean() > 0.2


@pytest.mark.parametrize(("width", "height"), [(961, 601), (480, 320), (1003, 777)])
def test_picture_has_the_size_that_was_asked_for(width, height):
    assert episode(5, width=width, height=height).shape == (height, width, 3)


def test_picture_is_the_same_twice():
    np.testing.assert_array_equal(episode(8), episode(8))


@pytest.mark.parametrize(
    "change",
    [
        {"demand": np.full(8, 9.0)},
        {"on_hand": np.full(8, 9.0)},
        {"shortfall": np.full(8, 9.0)},
        {"order": np.full(8, 9.0)},
        {"holding": np.full(8, 9.0)},
        {"stockout": np.full(8, 9.0)},
        {"pipeline": np.array([9.0, 9.0])},
        {"forecast": Poisson(9.0).forecast(3)},
        {"net_inventory": 77.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_given_is_in_the_picture(change):
    assert (episode(8, **change) != episode(8)).any()


@pytest.mark.parametrize("pipeline", [np.zeros(0), np.zeros(5)])
def test_picture_of_any_pipeline(pipeline):
    assert episode(4, pipeline=pipeline).shape == (600, 960, 3)


def test_lost_demand_is_not_taken_for_a_backorder():
    shortfall = {"on_hand": np.zeros(3), "shortfall": np.full(3, 5.0)}
    given = episode(3, **shortfall, net_inventory=-5.0)
    assert (episode(3, **shortfall) != given).any()
