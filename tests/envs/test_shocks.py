"""Shocks that items share: recovered where they are known, and drawn as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import ndtr, ndtri

import fractile as fr
from fractile import CommonShocks, FractileError, QuantileForecast, SalesPanel
from fractile.envs.demand import shock_moments
from fractile.envs.demand.shocks import ItemShocks, remember
from fractile.forecasters.calibration.sampling import interval_scores

TRUE = {"common": 0.4, "group": 0.3, "common_memory": 0.5, "group_memory": 0.3, "item_memory": 0.15}
FINE = np.arange(1, 200) / 200.0
ITEMS, PERIODS, GROUPS = 120, 100, 8


def attributes_of(items: int) -> pd.DataFrame:
    ids = [f"item-{i}" for i in range(items)]
    kind = [f"g{i % GROUPS}" for i in range(items)]
    decoy = [f"d{i // 5}" for i in range(items)]
    return pd.DataFrame({"decoy": decoy, "kind": kind, "lead_time": 2}, index=ids)


def known_scores(seed: int, items: int = ITEMS, periods: int = PERIODS, **shocks) -> np.ndarray:
    """Scores of shared shocks whose parameters are known, shape (items, periods)."""
    static = attributes_of(items)
    made = CommonShocks(**{**TRUE, "attribute": "kind", **shocks})
    return made.of(tuple(static.index), static).sample(seed, 1, periods)[:, 0]


class Past:
    """A forecaster whose forecasts are right, of demand with known scores."""

    def __init__(self, score: np.ndarray, mean: np.ndarray, *, poisson: bool = False) -> None:
        items, periods = score.shape
        self.mean, self.poisson = np.broadcast_to(mean, score.shape), poisson
        sales = stats.poisson.ppf(ndtr(score), self.mean) if poisson else self.mean * np.exp(0.5 * score)
        true, static = np.ones(score.shape, dtype=bool), attributes_of(items)
        dates = pd.date_range("2020-01-06", periods=periods, freq="W-MON")
        self.panel = SalesPanel(sales, true, true, dates, tuple(static.index), "W-MON", static=static)

    def predict(self, panel, horizon, levels=FINE, origins=None, future=None):
        origins = np.array([panel.periods] if origins is None else origins)
        # The mean of an item is the same in all periods.
        mean = self.mean[:, :1, None, None]
        one = stats.poisson.ppf(FINE, mean) if self.poisson else mean * np.exp(0.5 * ndtri(FINE))
        values = np.repeat(np.repeat(one, len(origins), axis=1), horizon, axis=2)
        return QuantileForecast(FINE, values.astype(np.float64), origins, panel.item_ids)


def averages(fitted: list[CommonShocks]) -> dict[str, tuple[float, float]]:
    """Mean and standard error of each parameter over the replications."""
    table = {name: np.array([getattr(one, name) for one in fitted]) for name in TRUE}
    return {name: (x.mean(), x.std(ddof=1) / np.sqrt(len(x))) for name, x in table.items()}


@pytest.mark.parametrize("poisson", [False, True])
def test_known_shocks_are_recovered(poisson):
    fitted = []
    for seed in range(16):
        mean = np.exp(np.random.default_rng(seed).normal(0.5, 0.8, (ITEMS, 1)))
        past = Past(known_scores(seed), mean, poisson=poisson)
        fitted.append(CommonShocks.fit(past, past.panel))
    assert {one.attribute for one in fitted} == {"kind"}
    for name, (mean, error) in averages(fitted).items():
        # Estimates are shrunk by their squared error over their square, about 0.03 of the memories of factors.
        bias = 0.05 if name in ("common_memory", "group_memory") else 0.012
        assert abs(mean - TRUE[name]) < 4 * error + bias, name


def test_stock_outs_hide_no_shocks():
    # A third of the item-periods ran out, at a stock that does not depend on demand.
    kept, cut = [], []
    for seed in range(12):
        past = Past(known_scores(seed, group=0.0), np.full((ITEMS, 1), 5.0))
        rng = np.random.default_rng(seed)
        stock = 5.0 * np.exp(0.5 * rng.standard_normal(past.panel.sales.shape) + 0.3)
        out = past.panel.sales > stock
        assert 0.2 < out.mean() < 0.45
        censored = replace(past.panel, sales=np.minimum(past.panel.sales, stock), in_stock=~out)
        kept.append(CommonShocks.fit(past, past.panel))
        cut.append(CommonShocks.fit(past, censored))
    for name in ("common", "common_memory"):
        difference = np.array([getattr(a, name) - getattr(b, name) for a, b in zip(kept, cut, strict=True)])
        assert abs(difference.mean()) < 4 * difference.std(ddof=1) / np.sqrt(len(difference)) + 0.01, name


def test_independent_items_have_no_shocks():
    found = []
    for seed in range(10):
        past = Past(known_scores(seed, common=0.0, group=0.0, item_memory=0.0), np.full((ITEMS, 1), 5.0))
        found.append(CommonShocks.fit(past, past.panel))
    # The largest covariance that sampling alone brings, 4 standard errors, as a loading.
    assert max(one.common**2 for one in found) < 4 * np.sqrt(2 / (ITEMS * (ITEMS - 1) * 65 / 2) * 2)
    assert max(abs(one.item_memory) for one in found) < 4 / np.sqrt(ITEMS * 65)
    assert sum(one.attribute is not None for one in found) <= 2


def test_items_that_follow_the_market_more_are_told_from_those_that_follow_it_less():
    own = np.where(np.arange(ITEMS) < ITEMS // 2, 0.2, 0.7)
    ids = tuple(attributes_of(ITEMS).index)
    truth = CommonShocks(items=ItemShocks(ids, own, 0 * own, 0 * own, ("",) * ITEMS))
    past = Past(truth.of(ids).sample(1, 1, 300)[:, 0], np.full((ITEMS, 1), 5.0))
    found = CommonShocks.fit(past, past.panel, group=None).items.common
    assert found[: ITEMS // 2].mean() < 0.3 < 0.55 < found[ITEMS // 2 :].mean()
    # Each is drawn to the others, and so nearer to the truth than it is on its own.
    assert np.sqrt(((found - own) ** 2).mean()) < 1 / np.sqrt(100)


def test_a_bias_that_never_ends_is_no_shock():
    past = Past(known_scores(3, common=0.0, group=0.0, item_memory=0.0) + 0.8, np.full((ITEMS, 1), 5.0))
    found = CommonShocks.fit(past, past.panel)
    assert found.common < 0.15
    assert abs(found.item_memory) < 0.06


@pytest.mark.parametrize(("items", "periods"), [(1, 12), (1, 100), (2, 40), (3, 31), (4, 2)])
def test_small_panels_have_shocks_that_are_numbers(items, periods):
    past = Past(known_scores(0, items, periods), np.full((items, 1), 0.3), poisson=True)
    found = CommonShocks.fit(past, past.panel)
    drawn = found.of(past.panel.item_ids, past.panel.attributes).sample(0, 5, 6)
    assert np.isfinite(drawn).all()
    if items == 1 or periods < 30:
        assert found.common == found.group == 0.0


def test_items_without_sales_say_nothing():
    past = Past(known_scores(0), np.full((ITEMS, 1), 5.0), poisson=True)
    dead = np.arange(ITEMS) < 20
    past.mean = np.where(dead[:, None], 1e-6, past.mean)
    panel = replace(past.panel, sales=np.where(dead[:, None], 0.0, past.panel.sales))
    found = CommonShocks.fit(past, panel, group="kind")
    living = CommonShocks.fit(past, panel, group=None).items.common[~dead]
    assert np.isfinite(found.items.common).all()
    assert living.mean() > 0.2
    np.testing.assert_allclose(found.items.common[dead], found.common, rtol=0.05)


def test_the_group_may_be_named_or_left_out():
    past = Past(known_scores(0), np.full((ITEMS, 1), 5.0))
    assert CommonShocks.fit(past, past.panel, group="kind").attribute == "kind"
    assert CommonShocks.fit(past, past.panel, group=None).attribute is None
    with pytest.raises(FractileError, match="group must name an attribute of the panel's items, got 'lead_time'"):
        CommonShocks.fit(past, past.panel, group="lead_time")


def test_only_the_past_is_fitted_to():
    past = Past(known_scores(0), np.full((ITEMS, 1), 5.0))
    later = np.arange(PERIODS) >= 80
    other = replace(past.panel, sales=np.where(later, 3.0, past.panel.sales))
    one, two = (CommonShocks.fit(past, panel, before=80) for panel in (past.panel, other))
    np.testing.assert_array_equal(one.items.common, two.items.common)
    assert one.common != CommonShocks.fit(past, past.panel).common


def test_what_intervals_hide_is_given_back():
    # Pairs of Poisson demand: products of conditional means, over what they keep, are the scores' correlation.
    rng, number, correlation = np.random.default_rng(0), 200_000, 0.3
    score = np.sqrt(correlation) * rng.standard_normal(number) + np.sqrt(1 - correlation) * rng.standard_normal(
        (2, number)
    )
    for mean in (0.3, 2.0):
        demand = stats.poisson.ppf(ndtr(score), mean)
        found = interval_scores(stats.poisson.cdf(demand - 1, mean), stats.poisson.cdf(demand, mean))
        product, kept = found.mean.prod(0), (1 - found.spread).mean(1).prod()
        estimate, error = product.mean() / kept, product.std() / np.sqrt(number) / kept
        # The second term of the expansion, ρ² times the square of what is kept of it, is left out.
        assert abs(estimate - correlation) < 4 * error + 0.02
        assert product.mean() < 0.9 * correlation


def test_scores_have_the_law_of_the_shocks():
    static, paths, periods = attributes_of(9), 4000, 4
    shocks = CommonShocks(**TRUE, attribute="kind")
    items = shocks.of(tuple(static.index), static)
    score = items.sample(3, paths, periods)
    error = 4 / np.sqrt(paths)
    np.testing.assert_allclose(score.mean(1), 0.0, atol=error)
    np.testing.assert_allclose(score.var(1), 1.0, atol=error * np.sqrt(2))
    for t in (0, periods - 1):
        np.testing.assert_allclose(np.corrcoef(score[:, :, t]), items.correlation, atol=error)
    # Item 0 and item 8 are of one group, item 1 is not.
    assert items.correlation[0, 8] == pytest.approx(0.4**2 + 0.3**2)
    assert items.correlation[0, 1] == pytest.approx(0.4**2)
    own = 0.4**2 * 0.5 + 0.3**2 * 0.3 + (1 - 0.4**2 - 0.3**2) * 0.15
    lagged = [np.corrcoef(score[i, :, 1], score[j, :, 2])[0, 1] for i, j in ((0, 0), (0, 8), (0, 1))]
    np.testing.assert_allclose(lagged, [own, 0.4**2 * 0.5 + 0.3**2 * 0.3, 0.4**2 * 0.5], atol=error)


def test_paths_of_one_item_have_the_items_own_law():
    static, paths = attributes_of(9), 6000
    items = CommonShocks(**TRUE, attribute="kind").of(tuple(static.index), static)
    alone = items.episodes(np.random.default_rng(0), np.repeat([2, 5], paths // 2), 5)
    together = items.sample(0, paths, 5)[2]
    np.testing.assert_allclose(np.cov(alone.T), np.cov(together.T), atol=4 * np.sqrt(2 * 2 / paths))


def test_items_without_a_known_group_share_none():
    items = CommonShocks(group=0.6, attribute="kind").of(("a", "b"))
    np.testing.assert_array_equal(items.correlation, np.eye(2))
    score = items.sample(0, 3000, 1)[:, :, 0]
    assert abs(np.corrcoef(score)[0, 1]) < 4 / np.sqrt(3000)


def test_groups_of_fitted_items_are_remembered_where_no_attributes_are_given():
    past = Past(known_scores(0), np.full((ITEMS, 1), 5.0))
    found = CommonShocks.fit(past, past.panel)
    with_table = found.of(past.panel.item_ids, past.panel.attributes)
    np.testing.assert_array_equal(found.of(past.panel.item_ids).correlation, with_table.correlation)
    # Scalars that are whole numbers leave items' own loadings alone.
    whole = CommonShocks(common=0, group=0, attribute="kind", items=found.items)
    np.testing.assert_array_equal(whole.of(past.panel.item_ids).own.common, found.items.common)
    # An item that was not fitted has the loadings of all.
    assert found.of(("new",)).own.common[0] == found.common


def test_series_remember_from_their_first_period_on():
    memory = np.array([0.9, -0.5, 0.0])
    series = remember(np.random.default_rng(0).standard_normal((3, 20_000, 6)), memory)
    np.testing.assert_allclose(series.var(1), 1.0, atol=4 * np.sqrt(2 / 20_000))
    for k in (1, 4):
        got = [np.corrcoef(one[:, k - 1], one[:, k])[0, 1] for one in series]
        np.testing.assert_allclose(got, memory, atol=4 / np.sqrt(20_000))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"common": 0.9, "group": 0.6, "attribute": "a"}, r"common² \+ group² must be at most 1"),
        ({"common_memory": 1.0}, r"common_memory must be a number in \(-1, 1\), got 1.0"),
        ({"item_memory": float("nan")}, r"item_memory must be a number in \(-1, 1\), got nan"),
        ({"common": float("nan")}, r"common² \+ group² must be at most 1"),
        ({"group": 0.3}, "group = 0.3 needs the attribute"),
        (
            {"items": ItemShocks(("a",), np.array([1.2]), np.zeros(1), np.zeros(1), ("",))},
            r"items must have common² \+ group² <= 1",
        ),
        (
            {"items": ItemShocks(("a", "b"), np.zeros(1), np.zeros(1), np.zeros(1), ("",))},
            "one loading, memory and label for each of 2 item_ids",
        ),
    ],
)
def test_shocks_are_checked(options, message):
    with pytest.raises(FractileError, match=message):
        CommonShocks(**options)


def test_every_fault_of_shocks_is_named_at_once():
    with pytest.raises(FractileError) as caught:
        CommonShocks(common=2.0, group_memory=3.0)
    assert "common²" in str(caught.value)
    assert "group_memory" in str(caught.value)


def test_moments_of_nothing_are_nothing():
    nothing = np.zeros((3, 30))
    score = shock_moments.standardise(nothing, nothing)
    found = shock_moments.estimate_moments(score, nothing, np.array([0, 0, -1]), np.ones(3))
    assert found.common == found.group == found.item_memory == 0.0
    np.testing.assert_array_equal(found.item_common, 0.0)


def test_categories_of_the_embedded_panel_share_shocks():
    panel = fr.retail_panel(items=60, periods=130, seed=0).panel
    found = CommonShocks.fit(fr.make_forecaster("seasonal_naive").fit(panel), panel)
    assert found.attribute == "category"
    assert 0.1 < found.group < 0.5


def test_series_are_the_same_in_any_memory_order():
    memory, normal = np.array([0.6, -0.3, 0.0]), np.random.default_rng(0).standard_normal((3, 5, 40))
    turned = np.ascontiguousarray(normal.swapaxes(1, 2)).swapaxes(1, 2)
    np.testing.assert_array_equal(remember(turned, memory), remember(normal, memory))
    expected = normal.copy()
    for t in range(1, 40):
        fresh = np.sqrt(1 - memory[:, None] ** 2)
        expected[..., t] = memory[:, None] * expected[..., t - 1] + fresh * normal[..., t]
    np.testing.assert_array_equal(remember(normal, memory), expected)
