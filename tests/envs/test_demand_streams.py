"""What is drawn stays when something is added: items, paths or periods, in every demand model and all arrivals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import fractile as fr
from fractile import randomness
from fractile.envs.arrivals.fitted import FittedArrivals
from fractile.envs.arrivals.models import (
    ConstantLeadTime,
    LostDeliveries,
    RandomLeadTime,
    ShortDeliveries,
    SplitDeliveries,
    with_arrivals,
)
from fractile.envs.core.types import Scenario
from fractile.envs.demand.belief import Believed, Distortion
from fractile.envs.demand.model import draw_scenario
from fractile.forecasters.conformance import small_panel
from fractile.policies.base_stock import BaseStock
from fractile.policies.rollout import stream

MEAN = np.array([3.0, 8.0, 0.4, 40.0, 3.0, 8.0, 900.0])
MATRIX = 0.6 ** np.abs(np.subtract.outer(np.arange(7), np.arange(7)))
SIZES = np.array([0.0, 0.6, 0.1, 0.0, 0.3])
PRICES = np.array([10.0, 8.0, 10.0, 9.0, 7.0, 10.0, 10.0, 8.0] * 10)
TRANSITION = [[0.85, 0.15], [0.3, 0.7]]


def seasonal(base):
    return fr.Seasonal(base, [0.5, 1.0, 2.0, 0.8], trend=0.01)


MODELS = {
    # Each with its number of items; an item's parameters are the same whatever others there are.
    "poisson": lambda n: fr.Poisson(MEAN[:n]),
    "alike": lambda n: fr.Poisson(np.full(n, 5.0)),
    "too wide for a table": lambda n: fr.Poisson(1e6 * MEAN[:n]),
    "negative binomial": lambda n: fr.NegativeBinomial(MEAN[:n], 0.7),
    "geometric": lambda n: fr.Geometric(MEAN[:n]),
    "normal": lambda n: fr.Normal(MEAN[:n], 2.0),
    "gamma": lambda n: fr.Gamma(MEAN[:n], cv=1.5),
    "discrete": lambda n: fr.demand.Discrete(np.arange(1.0, 8.0)[:n, None] ** np.arange(5.0)),
    "rounded": lambda n: fr.demand.Rounded(fr.Gamma(MEAN[:n], cv=0.5)),
    "compound poisson": lambda n: fr.demand.CompoundPoisson(MEAN[:n] / 4.0, SIZES),
    "seasonal": lambda n: seasonal(fr.Poisson(MEAN[:n])),
    "seasonal negative binomial": lambda n: seasonal(fr.NegativeBinomial(MEAN[:n], 2.0)),
    "seasonal compound": lambda n: seasonal(fr.demand.CompoundPoisson(MEAN[:n] / 4.0, SIZES)),
    "seasonal rounded": lambda n: seasonal(fr.demand.Rounded(fr.Gamma(MEAN[:n], cv=0.5))),
    "seasonal gamma": lambda n: seasonal(fr.Gamma(MEAN[:n], cv=0.5)),
    "new items": lambda n: fr.demand.NewItemRamp(fr.Poisson(MEAN[:n]), 4.0, launch=np.arange(-3, 4)[:n]),
    "promotions": lambda n: fr.demand.Promotions(fr.NegativeBinomial(MEAN[:n], 3.0), PRICES, 2.5),
    "one correlation": lambda n: fr.demand.Correlated(fr.Normal(MEAN[:n], 2.0), 0.5),
    "negative correlation": lambda n: fr.demand.Correlated(fr.Normal(MEAN[:n], 2.0), -1.0 / 6.0),
    "correlations": lambda n: fr.demand.Correlated(seasonal(fr.Poisson(MEAN[:n])), MATRIX[:n, :n]),
    "autoregressive": lambda n: fr.AR1(MEAN[:n], 0.7, 2.0),
    "regimes": lambda n: fr.MarkovModulated((fr.Poisson(MEAN[:n]), fr.Geometric(3 * MEAN[:n])), TRANSITION),
    "shared regimes": lambda n: fr.MarkovModulated(
        (fr.Normal(MEAN[:n], 1.0), fr.Normal(MEAN[:n], 4.0)), TRANSITION, shared=True
    ),
    "another belief": lambda n: Believed(fr.Poisson(MEAN[:n]), fr.Poisson(2 * MEAN[:n])),
    "noisy belief": lambda n: Believed(fr.Poisson(MEAN[:n]), Distortion(noise=0.3)),
    "replay": lambda n: fr.Replay(small_panel(items=7, seed=1).select(np.arange(n))),
}
SHOCKS = fr.CommonShocks(
    common=0.5, group=0.4, common_memory=0.6, group_memory=-0.3, item_memory=0.2, attribute="group"
)


def panel_of(items: np.ndarray) -> fr.SalesPanel:
    return small_panel(items=7, seed=1).select(items)


def from_forecast(items: np.ndarray, mode: str, **options) -> fr.ForecastDemand:
    # Fitted on all items: what is learned from others is not what this is about.
    forecaster = fr.make_forecaster("seasonal_naive").fit(panel_of(np.arange(7)))
    if mode == "evolved":
        options["evolution"] = fr.demand.ForecastEvolution.fit(forecaster, panel_of(np.arange(7)), horizon=6)
    return fr.ForecastDemand(forecaster, panel_of(items), mode=mode, shocks=SHOCKS, **options)


FROM_FORECASTS = {
    "fixed": lambda items: from_forecast(items, "fixed"),
    "rolled": lambda items: from_forecast(items, "rolled"),
    "evolved": lambda items: from_forecast(items, "evolved"),
    "noisy belief": lambda items: from_forecast(items, "fixed", belief=Distortion(noise=0.3)),
    "replay": lambda items: fr.Replay(panel_of(items)),
}
EVERY = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
WITH_IDS = pytest.mark.parametrize("make", FROM_FORECASTS.values(), ids=FROM_FORECASTS)


def shown(scenario: Scenario, period: int) -> np.ndarray:
    """Quantiles that policies see, shape (items, paths, horizon, levels)."""
    values = np.asarray(scenario.forecast(period).values)
    return np.broadcast_to(values, (len(values), scenario.paths, *values.shape[2:]))


def assert_kept(few: Scenario, many: Scenario) -> None:
    """Items, paths and periods of `few` are the first ones of `many`."""
    paths, periods, items = few.demand.shape
    np.testing.assert_array_equal(many.demand[:paths, :periods, :items], few.demand)
    if few.forecasts is not None:
        for period in range(0, periods, 3):
            # Forecasts are computed from what was drawn, all items and paths at once: not to the last digit.
            expected = shown(few, period)
            np.testing.assert_allclose(shown(many, period)[:items, :paths], expected, rtol=1e-9)


@EVERY
@pytest.mark.parametrize("paths", [3, 300])
def test_items_appended_change_no_other_items_draws(make, paths):
    assert_kept(draw_scenario(make(3), 5, paths, 6), draw_scenario(make(7), 5, paths, 6))


@EVERY
@pytest.mark.parametrize(("few", "many"), [(1, 2), (3, 70), (200, 700)])
def test_paths_appended_change_no_other_paths_draws(make, few, many):
    assert_kept(draw_scenario(make(3), 5, few, 6), draw_scenario(make(3), 5, many, 6))


@EVERY
@pytest.mark.parametrize("paths", [3, 300])
def test_periods_appended_change_no_earlier_periods_draws(make, paths):
    few, many = (draw_scenario(make(3), 5, paths, periods) for periods in (7, 31))
    if isinstance(make(3), fr.Replay):
        # Windows that reach beyond the end of the history have to move; the others stay.
        stays = (few.demand == many.demand[:, :7]).all((1, 2))
        assert paths < 100 or 0.3 < stays.mean() < 1.0
    else:
        assert_kept(few, many)


@EVERY
def test_other_methods_draw_the_same(make):
    model, seed = make(4), 5
    rng = randomness.keyed_generator(seed, "demand")
    np.testing.assert_array_equal(model.sample(rng, 20, 9), draw_scenario(model, seed, 20, 9).demand)
    # One number is taken from the generator, however much is drawn.
    other = randomness.keyed_generator(seed, "demand")
    model.sample(other, 3, 4)
    assert rng.random() == other.random()


@WITH_IDS
def test_items_with_ids_are_the_same_wherever_they_stand(make):
    many = draw_scenario(make(np.array([5, 0, 3, 1, 6, 2])), 5, 9, 6, 2)
    few = draw_scenario(make(np.array([0, 1, 2])), 5, 9, 6, 2)
    np.testing.assert_array_equal(many.demand[:, :, [1, 3, 5]], few.demand)


@WITH_IDS
def test_paths_of_forecasts_are_the_same_however_many_follow(make):
    items = np.arange(3)
    assert_kept(draw_scenario(make(items), 5, 3, 6, 2), draw_scenario(make(items), 5, 20, 6, 2))


@pytest.mark.parametrize("make", [FROM_FORECASTS[name] for name in FROM_FORECASTS if name != "replay"])
def test_periods_of_forecasts_are_the_same_however_many_follow(make):
    few, many = (draw_scenario(make(np.arange(3)), 5, 9, periods, 2) for periods in (5, 8))
    np.testing.assert_array_equal(many.demand[:, :5], few.demand)


def test_news_is_the_same_however_much_follows():
    forecaster = fr.make_forecaster("seasonal_naive").fit(panel_of(np.arange(7)))
    evolution = fr.demand.ForecastEvolution.fit(forecaster, panel_of(np.arange(7)), horizon=4)
    few, many = (evolution.sample(np.random.default_rng(0), *size, 3) for size in ((5, 6), (70, 13)))
    np.testing.assert_array_equal(many.score[:5, :6], few.score)
    np.testing.assert_array_equal(many.log_factor[:5, :6], few.log_factor)


def test_windows_move_only_where_they_must():
    model = MODELS["replay"](3)
    history = fr.Replay(model.panel).sample(np.random.default_rng(0), 1, model.panel.periods)[0]
    starts = {}
    for periods in (7, 31, 58):
        demand = draw_scenario(model, 5, 40, periods).demand
        windows = np.stack([history[k : k + 7] for k in range(model.panel.periods - 6)])
        found = (windows == demand[:, None, :7]).all((2, 3))
        assert (found.sum(1) == 1).all()
        starts[periods] = found.argmax(1)
    for few, many in ((7, 31), (31, 58)):
        fits = starts[few] <= model.panel.periods - many
        np.testing.assert_array_equal(starts[many][fits], starts[few][fits])
        assert (starts[many] <= model.panel.periods - many).all()
    # Every window that fits is as likely as the others.
    demand = draw_scenario(model, 6, 3000, 58).demand
    share = np.array([(demand == history[k : k + 58]).all((1, 2)).mean() for k in range(3)])
    np.testing.assert_allclose(share, 1 / 3, atol=4 * np.sqrt(2 / 9 / 3000))


@pytest.mark.parametrize("forecasts", [False, True])
def test_streamed_items_are_the_same_however_many_follow(forecasts):
    def costs(items, paths, periods, warm_up):
        params = fr.ItemParams(lead_time=1)
        totals = stream(
            BaseStock(20.0), fr.Poisson(MEAN[:items]), params, seed=3, paths=paths, periods=periods, warm_up=warm_up,
            forecasts=forecasts,
        )  # fmt: skip
        return totals.demand

    np.testing.assert_array_equal(costs(7, 9, 12, 2)[:3], costs(3, 9, 12, 2))
    # What eleven periods sum up to is the sum of the first ten, and the eleventh alone.
    np.testing.assert_array_equal(costs(3, 9, 11, 2), costs(3, 9, 10, 2) + costs(3, 9, 11, 10))
    # Whole units tell apart what the first paths bring: those of four are those of two, and of two more.
    assert (costs(3, 4, 10, 2) >= costs(3, 2, 10, 2)).all()


LOG = pd.DataFrame(
    {
        "order_id": np.arange(150),
        "item_id": np.repeat(["c", "a", "b"], 50),
        "order_period": np.tile(np.arange(50), 3),
        "receipt_period": np.tile(np.arange(50), 3) + np.tile([0, 1, 2, 1, 3], 30) % np.repeat([2, 3, 4], 50),
        "ordered": 4.0,
        "received": 4.0,
    }
)
LAW = np.array([[0.2, 0.3, 0.5], [0.0, 0.5, 0.5], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2]])
ARRIVALS = {
    "constant": lambda n: ConstantLeadTime(np.array([2, 1, 0, 1, 2])[:n]),
    "random": lambda n: RandomLeadTime(LAW[:n]),
    "without crossing": lambda n: RandomLeadTime([0.2, 0.3, 0.5], crossing=False),
    "split": lambda n: SplitDeliveries(LAW[:n], concentration=3.0),
    "short": lambda n: ShortDeliveries(RandomLeadTime(LAW[:n]), np.linspace(0.3, 0.9, 5)[:n], concentration=2.0),
    "lost": lambda n: LostDeliveries(SplitDeliveries(LAW[:n], concentration=3.0), 0.3),
    "fitted": lambda n: FittedArrivals.fit(LOG, item_ids=["a", "b", "c", "new", "other"][:n]),
}
EVERY_ARRIVAL = pytest.mark.parametrize("make", ARRIVALS.values(), ids=ARRIVALS)


def arrivals_of(model, paths: int, periods: int, items: int) -> np.ndarray:
    drawn = with_arrivals(Scenario(np.zeros((paths, periods, items))), model, 3).arrivals
    return np.broadcast_to(drawn, (len(drawn), paths, periods, items))


@EVERY_ARRIVAL
@pytest.mark.parametrize(
    ("few", "many"),
    [((9, 6, 3), (9, 6, 5)), ((3, 6, 3), (70, 6, 3)), ((3, 6, 3), (3, 13, 3)), ((70, 6, 3), (70, 13, 3))],
    ids=["items", "paths", "periods", "periods of many paths"],
)
def test_arrivals_are_the_same_whatever_is_added(make, few, many):
    before, after = arrivals_of(make(few[2]), *few), arrivals_of(make(many[2]), *many)
    np.testing.assert_array_equal(after[:, : few[0], : few[1], : few[2]], before)


def test_fitted_arrivals_of_an_item_are_the_same_wherever_it_stands():
    model = ARRIVALS["fitted"](3)
    one, other = model.for_items(["b", "c"]), model.for_items(["new", "c", "a", "b"])
    np.testing.assert_array_equal(arrivals_of(other, 9, 6, 4)[..., [3, 1]], arrivals_of(one, 9, 6, 2))
    short, longer = (replace(ShortDeliveries(m, 0.5, concentration=2.0)) for m in (one, other))
    np.testing.assert_array_equal(arrivals_of(longer, 9, 6, 4)[..., [3, 1]], arrivals_of(short, 9, 6, 2))


@EVERY
def test_no_stream_is_drawn_from_twice(monkeypatch, make):
    keys, at = [], randomness.KeyedStream.at

    def noted(self, *key):
        keys.append(key)
        return at(self, *key)

    monkeypatch.setattr(randomness.KeyedStream, "at", noted)
    draw_scenario(make(7), 5, 600, 31)
    assert keys
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "model", [fr.Normal(np.full(4, 50.0), 5.0), fr.Poisson(np.full(4, 50.0))], ids=["normal", "poisson"]
)
def test_items_and_blocks_of_paths_are_independent(model):
    demand = draw_scenario(model, 0, 400, 30).demand
    correlation = np.corrcoef(demand.reshape(-1, 4).T) - np.eye(4)
    assert abs(correlation).max() < 4.5 / np.sqrt(400 * 30)
    # Blocks of paths are as well: the first four and the next four, the next eight, ...
    flat = demand[:, :, 0]
    for first, last in ((4, 8), (8, 12), (16, 20), (256, 260)):
        assert abs(np.corrcoef(flat[:4].ravel(), flat[first:last].ravel())[0, 1]) < 4 / np.sqrt(120)


def test_a_million_ids_have_a_million_keys():
    keys = {randomness.digest(1, "demand", str(i)) for i in range(1_000_000)}
    assert len(keys) == 1_000_000
    assert randomness.digest(1, "ab", "c") != randomness.digest(1, "a", "bc")
    assert all(len(key) == 16 for key in list(keys)[:3])


def test_a_keyed_stream_begins_anew_with_every_key():
    keyed = randomness.KeyedStream()
    first = keyed.at(1, "tea").integers(2**31, size=5, dtype=np.int32)
    # A 32-bit number is left over in the generator, which the next key must not see.
    keyed.at(1, "coffee").integers(2**31, size=3, dtype=np.int32)
    np.testing.assert_array_equal(keyed.at(1, "tea").integers(2**31, size=5, dtype=np.int32), first)
    assert (keyed.at(2, "tea").integers(2**31, size=5, dtype=np.int32) != first).all()


@pytest.mark.parametrize("paths", [0, 1, 4, 5, 255, 256, 257, 1000])
def test_blocks_cover_all_paths_and_are_the_first_ones_of_more(paths):
    blocks, more = list(randomness.path_blocks(paths)), list(randomness.path_blocks(5000))
    assert blocks == more[: len(blocks)]
    assert [last for _, last in blocks[:-1]] == [first for first, _ in blocks[1:]]
    assert not blocks or blocks[-1][0] < paths <= blocks[-1][1]
    assert all(last - first <= randomness.PATH_BLOCK for first, last in more)
