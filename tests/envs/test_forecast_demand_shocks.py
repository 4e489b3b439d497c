"""Shocks in forecast-driven demand, and that nothing of the real future is read."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import fractile as fr
from fractile import DEFAULT_LEVELS, CommonShocks, ForecastDemand, FractileError, QuantileForecast, make_forecaster
from fractile.envs.demand import ForecastEvolution
from fractile.envs.demand.known_future import STRETCH, Stretches, known_at, sample_observed
from fractile.envs.demand.model import draw_scenario
from fractile.forecasters.calibration.dependence import Dependence
from fractile.forecasters.conformance import small_panel

MODES = ("fixed", "rolled", "evolved")
SHOCKS = CommonShocks(common=0.6, group=0.5, common_memory=0.5, group_memory=0.2, item_memory=0.1, attribute="group")
LEVELS = np.array(DEFAULT_LEVELS)
EVOLUTION = ForecastEvolution(
    np.array([0.2, 0.1]), np.array([[1.0, 0.4, 0.2], [0.4, 1.0, 0.5], [0.2, 0.5, 1.0]]), np.ones(1), ("item-0",)
)


def normal_forecast(panel, horizon: int = 8, correlation: float = 0.7) -> QuantileForecast:
    """Quantiles that are normal scores lifted above zero: demand minus 10 is the score itself."""
    from scipy.special import ndtri

    values = np.broadcast_to(10.0 + ndtri(FINE), (panel.items, 1, horizon, len(FINE)))
    lag = np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))
    dependence = Dependence(correlation ** lag[None], np.zeros((1, 1), dtype=np.int64))
    return QuantileForecast(FINE, values, np.array([panel.periods]), panel.item_ids, dependence=dependence)


FINE = np.arange(1, 400) / 400.0


def changed_after(panel: fr.SalesPanel, begin: int, end: int) -> fr.SalesPanel:
    """Change all that is not known when `begin` begins; what is known ahead from `end` on."""
    later, beyond = np.arange(panel.periods) >= begin, np.arange(panel.periods) >= end
    in_stock = panel.in_stock ^ later
    return replace(
        panel,
        sales=np.where(later, 3.5 * panel.sales + 0.3, panel.sales),
        in_stock=in_stock,
        availability=None if panel.availability is None else np.where(in_stock, 1.0, 0.4),
        listed=panel.listed ^ later,
        known={name: np.where(beyond, 3.0 * x + 7.0, x) for name, x in panel.known.items()},
        observed={name: np.where(later, 9.0 * x + 5.0, x) for name, x in panel.observed.items()},
    )


@pytest.fixture(scope="module")
def reader():
    """A forecaster that reads observed covariates, known ones, sales and stock."""
    panel = small_panel(items=6, periods=100)
    panel = replace(panel, availability=np.where(panel.in_stock, 1.0, 0.4))
    return make_forecaster("lightgbm", trees=20, horizon=6).fit(panel.until(70)), panel


@pytest.mark.parametrize("shocks", ["fitted", "none", SHOCKS], ids=["fitted", "none", "given"])
@pytest.mark.parametrize("mode", MODES)
def test_nothing_of_the_real_future_is_read(mode, shocks, reader):
    made, panel = reader
    begin, periods, span = 70, 5, 2
    one, other = (
        draw_scenario(ForecastDemand(made, p, mode=mode, start=begin, shocks=shocks), 0, 3, periods, span)
        for p in (panel, changed_after(panel, begin, begin + periods + span - 1))
    )
    np.testing.assert_array_equal(one.demand, other.demand)
    for t in range(periods):
        np.testing.assert_array_equal(one.forecast(t).values, other.forecast(t).values)
    # What is known ahead within the horizon counts.
    told = draw_scenario(
        ForecastDemand(made, changed_after(panel, begin, begin), mode=mode, start=begin, shocks=shocks),
        0, 3, periods, span,
    )  # fmt: skip
    assert (told.demand != one.demand).any()


@pytest.mark.parametrize("mode", MODES)
def test_episodes_read_nothing_of_the_real_future(mode, reader):
    made, panel = reader
    item = np.array([4, 0, 2])
    one, other = (
        ForecastDemand(made, p, mode=mode, start=70).episodes(np.random.default_rng(1), item, 5, 2)
        for p in (panel, changed_after(panel, 70, 76))
    )
    np.testing.assert_array_equal(one.demand, other.demand)


def pair_correlations(demand: np.ndarray, period: int = -1) -> np.ndarray:
    return np.corrcoef(demand[:, period].T)


@pytest.mark.parametrize("mode", MODES)
def test_items_move_together_as_their_scores_do(mode):
    panel, paths = small_panel(items=4), 4000
    if mode == "rolled":
        made = Flat(panel)
        model = ForecastDemand(made, panel, mode=mode, integer=False, shocks=SHOCKS)
    else:
        evolution = replace(EVOLUTION, deviation=np.array([1e-9, 1e-9]))
        model = ForecastDemand(normal_forecast(panel), panel, mode, integer=False, evolution=evolution, shocks=SHOCKS)
    demand = draw_scenario(model, 0, paths, 4).demand
    expected = SHOCKS.of(panel.item_ids, panel.attributes).correlation
    assert expected[0, 3] == pytest.approx(0.61)
    assert expected[0, 1] == pytest.approx(0.36)
    for period in (0, 3):
        np.testing.assert_allclose(pair_correlations(demand, period), expected, atol=4 / np.sqrt(paths))
    # Marginals stay what the forecast says.
    np.testing.assert_allclose(demand.mean(0), 10.0, atol=4 / np.sqrt(paths))
    np.testing.assert_allclose(demand.var(0), 1.0, atol=4 * np.sqrt(2 / paths) + 0.01)
    own = SHOCKS.common**2 * 0.5 + SHOCKS.group**2 * 0.2 + (1 - 0.61) * 0.1
    lasting = {"fixed": 0.7, "rolled": own, "evolved": 0.0}[mode]
    for i in range(4):
        assert np.corrcoef(demand[:, 1, i], demand[:, 2, i])[0, 1] == pytest.approx(lasting, abs=4 / np.sqrt(paths))
    between = {"fixed": 0.7 * 0.36, "rolled": 0.36 * 0.5, "evolved": 0.0}[mode]
    assert np.corrcoef(demand[:, 1, 0], demand[:, 2, 1])[0, 1] == pytest.approx(between, abs=4 / np.sqrt(paths))


class Flat:
    """A forecaster that always says the same."""

    def __init__(self, panel) -> None:
        self.values = normal_forecast(panel, 1).values[:1, :, :1]

    def predict(self, panel, horizon, levels=None, origins=None, future=None):
        origins = np.array([panel.periods] if origins is None else origins)
        values = np.broadcast_to(self.values, (panel.items, len(origins), horizon, len(FINE)))
        return QuantileForecast(FINE, values, origins, panel.item_ids)


def test_without_shocks_items_are_independent():
    panel = small_panel(items=3)
    for mode in ("fixed", "rolled"):
        source = Flat(panel) if mode == "rolled" else normal_forecast(panel)
        demand = draw_scenario(ForecastDemand(source, panel, mode, integer=False, shocks="none"), 0, 3000, 3).demand
        np.testing.assert_allclose(pair_correlations(demand), np.eye(3), atol=4 / np.sqrt(3000))


def test_episodes_of_rolled_demand_last_as_paths_do():
    panel, paths = small_panel(items=4), 4000
    model = ForecastDemand(Flat(panel), panel, mode="rolled", integer=False, shocks=SHOCKS)
    alone = model.episodes(np.random.default_rng(0), np.full(paths, 2), 4, 1).demand[:, :, 0]
    together = draw_scenario(model, 0, paths, 4).demand[:, :, 2]
    np.testing.assert_allclose(np.cov(alone.T), np.cov(together.T), atol=4 * np.sqrt(2 * 2 / paths))


def test_carried_forecasts_stay_martingales_that_move_together():
    panel, paths = small_panel(items=4), 4000
    shocks = CommonShocks(common=0.9, common_memory=0.9)
    model = ForecastDemand(normal_forecast(panel), panel, "evolved", evolution=EVOLUTION, shocks=shocks)
    scenario = draw_scenario(model, 0, paths, 4, 2)
    means = [scenario.forecast(t).mean() for t in range(4)]
    for t in range(1, 4):
        error = means[t].std(1) / np.sqrt(paths)
        assert (np.abs(means[t].mean(1) - 10.0) < 4 * error + 1e-2).all()
        gain = means[t][:, :, 0] - means[t - 1][:, :, 1]
        high = means[t - 1][:, :, 1] > 10.0
        for i in range(4):
            if high[i].any():
                assert abs(gain[i, high[i]].mean()) < 4 * gain[i, high[i]].std() / np.sqrt(high[i].sum())
    # What revisions follow from the score (correlation 0.4) they share: 0.4² · 0.81.
    moved = np.corrcoef(np.log(means[1][:, :, 0]))
    assert moved[0, 1] == pytest.approx(0.16 * 0.81, abs=4 / np.sqrt(paths))


def test_fitted_shocks_are_those_of_the_past():
    panel = fr.retail_panel(items=60, periods=130, seed=0).panel
    made = make_forecaster("seasonal_naive").fit(panel)
    model = ForecastDemand(made, panel, mode="rolled", start=120)
    fitted = CommonShocks.fit(made, panel.until(120))
    assert fitted.item_memory > 0.05
    same = draw_scenario(replace(model, shocks=fitted), 0, 2, 3).demand
    np.testing.assert_array_equal(draw_scenario(model, 0, 2, 3).demand, same)
    np.testing.assert_array_equal(draw_scenario(model.fitted(3, 1), 0, 2, 3).demand, same)
    assert model.fitted(3, 1).shocks.item_memory == fitted.item_memory


def test_a_forecast_that_was_handed_over_has_independent_items(caplog):
    panel = small_panel(items=3)
    with caplog.at_level(logging.INFO):
        fitted = ForecastDemand(normal_forecast(panel), panel).fitted_shocks()
    assert fitted.common == fitted.group == fitted.item_memory == 0.0
    assert "has no past to fit shocks to" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shocks": "some"}, r"shocks must be 'fitted', 'none' or CommonShocks\(...\), got 'some'"),
        ({"start": 0}, "start must be a period of the panel, 1 ... 60, got 0"),
        ({"start": 61}, "start must be a period of the panel, 1 ... 60, got 61"),
    ],
)
def test_options_are_checked(options, message):
    panel = small_panel()
    with pytest.raises(FractileError, match=message):
        ForecastDemand(make_forecaster("seasonal_naive"), panel, **options)


def test_an_item_that_was_discontinued_stays_so():
    panel = small_panel(items=4)
    gone = replace(panel, listed=panel.listed & ((np.arange(60) < 40) | (np.arange(4) != 1)[:, None]))
    known = known_at(gone, 50, 66)
    np.testing.assert_array_equal(known.listed[:, 50:].all(1), [True, False, True, True])
    assert not known.listed[1, 50:].any()
    made = make_forecaster("seasonal_naive").fit(gone)
    demand = draw_scenario(ForecastDemand(made, gone, mode="rolled", start=50), 0, 3, 6).demand
    np.testing.assert_array_equal(demand[:, :, 1], 0.0)
    assert demand[:, :, 0].any()


def test_an_item_that_comes_later_is_new_at_the_start():
    panel = small_panel(items=3)
    late = replace(panel, listed=panel.listed & ((np.arange(60) >= 55) | (np.arange(3) != 0)[:, None]))
    assert known_at(late, 50, 52).listed[0, 50:].all()


def yearly(periods: int = 130):
    """A panel whose promotion is on in week 10 of every 52, whose price rises by a tenth in the second year."""
    panel = small_panel(items=3, periods=periods)
    week, promotion = np.arange(periods), (np.arange(periods) % 52 == 10).astype(float)
    price = (5.0 * np.arange(1, 4)[:, None]) * np.where(week < 52, 1.0, 1.1) * (1 - 0.3 * promotion)
    level = np.ones((3, 1))
    return replace(
        panel,
        known={"promotion": level * promotion, "price": price, "constant": 4.0 * level * np.ones(periods)},
    )


def test_beyond_the_panel_a_year_ago_stands_in(caplog):
    panel = yearly(105)
    with caplog.at_level(logging.INFO):
        known = known_at(panel, 100, 120)
    week = np.arange(105, 120) % 52
    np.testing.assert_array_equal(known.known["promotion"][:, 105:], np.broadcast_to(week == 10, (3, 15)))
    np.testing.assert_array_equal(known.known["promotion"][:, :105], panel.known["promotion"])
    # Prices as much above or below their level as a year ago.
    ratio = known.known["price"][:, 105:] / known.known["price"][:, 104:105]
    np.testing.assert_allclose(ratio[:, 9] / ratio[:, 8], 0.7, rtol=0.02)
    assert (known.known["constant"] == 4.0).all()
    assert "as 52 periods before (give future=...): constant, price, promotion" in caplog.text


def test_a_promotion_does_not_go_on_for_ever():
    panel = yearly(63)
    assert (panel.known["promotion"][:, -1] == 1.0).all()
    beyond = known_at(panel, 60, 83).known["promotion"][:, 63:]
    assert beyond.sum() == 0.0


def test_beyond_the_panel_the_future_counts_where_it_is_given():
    panel = yearly(63)
    dates = pd.date_range(panel.dates[-1], periods=4, freq=panel.freq)[1:]
    frame = pd.DataFrame(
        {"item_id": np.repeat(panel.item_ids, 3), "date": np.tile(dates, 3), "promotion": [0, 1, 0] * 3}
    )
    model = ForecastDemand(make_forecaster("seasonal_naive").fit(panel), panel, future=frame)
    known = known_at(panel, 63, 66, model.future)
    np.testing.assert_array_equal(known.known["promotion"][:, 63:], [[0, 1, 0]] * 3)
    assert np.isfinite(known.known["price"]).all()


def test_with_little_history_the_last_values_go_on(caplog):
    panel = yearly(40)
    with caplog.at_level(logging.INFO):
        known = known_at(panel, 40, 44)
    assert "for want of a season of history" in caplog.text
    np.testing.assert_array_equal(known.known["price"][:, 40:], np.repeat(panel.known["price"][:, -1:], 4, 1))


def test_observed_covariates_come_from_the_past_of_all_items_at_once():
    panel = small_panel(items=5, periods=130)
    stamp = np.arange(130.0) + 1000.0 * np.arange(5)[:, None] - 2000.0
    past = replace(panel, observed={"stamp": stamp})
    stretches = Stretches.draw(7, past, 6, 20)
    drawn = sample_observed(past, stretches, np.tile(np.arange(5), 6), np.repeat(np.arange(6), 5))["stamp"]
    week = drawn.reshape(6, 5, 20) - 1000.0 * np.arange(5)[:, None] + 2000.0
    np.testing.assert_array_equal(week[:, 0], week[:, 3])
    # The last item was launched later; its own periods are gone through again.
    launched = np.argmax(panel.listed[-1])
    assert (sample_observed(past, stretches, np.array([4]), np.array([0]))["stamp"] - 2000.0 >= launched).all()
    np.testing.assert_array_equal(np.diff(week[:, 0, :STRETCH]), 1.0)
    assert len(np.unique(week[:, 0, 0])) > 1
    # Near the same time of an earlier year.
    assert (np.minimum((week[:, 0, 0] - 130) % 52, (130 - week[:, 0, 0]) % 52) <= 6).all()


class Recorder(Flat):
    """Keeps the last panel that it was to forecast from."""

    def predict(self, panel, horizon, levels=None, origins=None, future=None):
        self.seen = panel
        return super().predict(panel, horizon, levels, origins, future)


@pytest.mark.parametrize("episodes", [False, True])
def test_forecasters_see_covariates_drawn_from_the_past_along_each_path(episodes):
    panel = small_panel(items=3, periods=130)
    past = replace(panel, observed={"stamp": np.arange(130.0) + 1000.0 * np.arange(3)[:, None] - 2000.0})
    made = Recorder(panel)
    model = ForecastDemand(made, past, mode="rolled", start=120, shocks=SHOCKS)
    if episodes:
        item = np.array([2, 0, 0, 0, 1])
        model.episodes(np.random.default_rng(0), item, 10, 2)
    else:
        draw_scenario(model, 0, 4, 10)
        item = np.tile(np.arange(3), 4)
    week = made.seen.observed["stamp"] - 1000.0 * item[:, None] + 2000.0
    np.testing.assert_array_equal(week[:, :120], np.broadcast_to(np.arange(120), (len(item), 120)))
    drawn = week[:, 120:130]
    assert (drawn < 120).all()
    np.testing.assert_array_equal(np.diff(drawn[:, :STRETCH]), 1.0)
    assert len(np.unique(drawn[:, 0])) > 1
    if not episodes:
        np.testing.assert_array_equal(drawn[0::3], drawn[1::3])


def test_stretches_stay_whatever_is_added():
    past = small_panel(periods=130)
    few, many = Stretches.draw(7, past, 3, 5), Stretches.draw(7, past, 40, 30)
    np.testing.assert_array_equal(many.period[:3, :5], few.period)
    assert many.period.min() >= 0
    assert many.period.max() < 130


@pytest.mark.parametrize("periods", [2, 5, 30, 60, 157])
def test_stretches_lie_in_the_past(periods):
    past = small_panel(periods=max(periods, 4)).until(periods)
    drawn = Stretches.draw(1, past, 50, 60).period
    assert drawn.shape == (50, 60)
    assert drawn.min() >= 0
    assert drawn.max() < periods


def test_counts_and_prices_keep_the_items_level_of_now():
    panel = small_panel(items=2, periods=130)
    rng = np.random.default_rng(0)
    growth = np.where(np.arange(130) < 90, 1.0, 4.0)
    views = rng.poisson(50.0 * growth * np.ones((2, 1))).astype(np.float64)
    past = replace(panel, observed={"views": views, "rival price": 2.0 * growth * rng.uniform(0.9, 1.1, (2, 130))})
    paths = 400
    stretches = Stretches.draw(3, past, paths, 10)
    drawn = sample_observed(past, stretches, np.zeros(paths, dtype=np.int64), np.arange(paths))
    assert drawn["views"].mean() == pytest.approx(200.0, rel=0.1)
    assert (drawn["views"] == np.rint(drawn["views"])).all()
    assert drawn["rival price"].mean() == pytest.approx(8.0, rel=0.1)


def test_joint_episodes_fit_shocks_once():
    panel = small_panel(items=3)
    made = make_forecaster("seasonal_naive").fit(panel)
    from fractile.envs.gym.sources import JointSource

    source = JointSource(ForecastDemand(made, panel), fr.ItemParams(lead_time=1))
    prepared = source.prepare(4, None)
    assert isinstance(prepared.model.shocks, CommonShocks)
    one, other = (s.draw(np.random.default_rng(0), 3, 4)[0].demand for s in (source, prepared))
    np.testing.assert_array_equal(one, other)
