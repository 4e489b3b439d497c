"""The picture of an episode: one large panel for one item, small ones for items and locations that meet."""

from __future__ import annotations

from functools import cache

import gymnasium as gym
import numpy as np
import pytest

import fractile as fr
from fractile import Poisson
from fractile.envs.pictures import FAN_LEVELS, Capacity, Column, Episode, align, draw, pixels


def episode(periods: int, **options) -> np.ndarray:
    """The picture of an item's episode."""
    rng = np.random.default_rng(0)
    on_hand = rng.poisson(4.0, periods).astype(float)
    shown = {
        "demand": rng.poisson(5.0, periods).astype(float),
        "order": rng.poisson(5.0, periods).astype(float),
        "on_hand": on_hand,
        "shortfall": np.where(on_hand == 0, 2.0, 0.0),
        "holding": on_hand,
        "stockout": np.where(on_hand == 0, 8.0, 0.0),
        "pipeline": np.array([4.0, 6.0]),
        "forecast": Poisson(5.0).forecast(3),
        "net_inventory": 0.0,
        **options,
    }
    fan = np.stack([shown["forecast"].quantile(level)[0, 0] for level in FAN_LEVELS])
    stock = (shown["demand"], None, shown["on_hand"], shown["shortfall"])
    item = Column("item 1", shown["net_inventory"], *stock, {"order": shown["order"]}, shown["pipeline"], fan)
    costs = {"holding": shown["holding"], "stock-out": shown["stockout"]}
    size = {name: shown[name] for name in ("width", "height") if name in shown}
    return pixels(draw(Episode(periods, (item,), 0, costs, sum(map(np.sum, costs.values())), 0.0), **size))


def colours(picture: np.ndarray) -> int:
    """Number of different colours."""
    return len(np.unique(picture.astype(np.int64) @ np.array([65536, 256, 1])))


@cache
def usual() -> np.ndarray:
    return episode(8)


@pytest.mark.parametrize("periods", [0, 1, 130])
def test_picture_is_full_at_any_time(periods):
    picture = episode(periods)
    assert picture.shape == (600, 960, 3)
    assert picture.dtype == np.uint8
    assert colours(picture) > 50
    assert (picture == 255).all(-1).mean() > 0.2


@pytest.mark.parametrize(("width", "height"), [(961, 601), (480, 320)])
def test_picture_has_the_size_that_was_asked_for(width, height):
    assert episode(5, width=width, height=height).shape == (height, width, 3)


def test_picture_is_the_same_twice():
    np.testing.assert_array_equal(episode(8), usual())


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
    assert (episode(8, **change) != usual()).any()


@pytest.mark.parametrize("pipeline", [np.zeros(0), np.zeros(5)])
def test_picture_of_any_pipeline(pipeline):
    assert episode(4, pipeline=pipeline).shape == (600, 960, 3)


def test_lost_demand_is_not_taken_for_a_backorder():
    shortfall = {"on_hand": np.zeros(3), "shortfall": np.full(3, 5.0)}
    given = episode(3, **shortfall, net_inventory=-5.0)
    assert (episode(3, **shortfall, net_inventory=0.0) != given).any()


def column(**changes) -> Column:
    five = np.arange(5.0)
    usual = Column("store 1", 3.0, five, None, five, 4.0 - five, {"order": five}, np.array([2.0, 1.0]))
    return usual._replace(**changes)


def of(*columns: Column, **changes) -> Episode:
    return Episode(5, columns, 0, {"holding": np.arange(5.0)}, 10.0, 0.0)._replace(**changes)


def words(figure) -> list[str]:
    """Everything that is written in a figure but the numbers of its axes."""
    headings = [axes.get_title(loc="left") for axes in figure.axes]
    labels = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    titles = [legend.get_title().get_text() for legend in figure.legends]
    return [*titles, *filter(None, headings), *labels]


def test_one_item_has_one_large_panel_and_costs_beside_its_orders():
    figure = draw(of(column(net_inventory=-3.0)))
    assert words(figure)[0] == "Period 5:  net inventory −3 · on order 3 · cost so far 10.00"
    assert len(figure.axes) == 3
    assert [axes.get_ylabel() for axes in figure.axes] == ["units", "order, units", "cost, money"]
    assert "holding cost so far" in words(figure)


def test_several_locations_have_a_panel_each():
    warehouse = column(name="warehouse 1", demand=None, sent=np.ones(5), fan=None)
    figure = draw(of(warehouse, column(), column(name="store 2", net_inventory=1234.5)))
    assert len(figure.axes) == 6
    assert words(figure)[0] == "Period 5:  cost so far 10.00"
    assert "warehouse 1:  net inventory 3 · on order 3" in words(figure)
    assert "store 2:  net inventory 1,234 · on order 3" in words(figure)
    assert {"shipped on", "demand"} <= set(words(figure))


@pytest.mark.parametrize(("columns", "in_view"), [(1, 52), (2, 40)])
def test_the_latest_periods_are_in_view(columns, in_view):
    many = np.arange(70.0)
    long = column(demand=many, on_hand=many, shortfall=many, orders={"order": many})
    figure = draw(of(*[long] * columns, period=70, costs={"holding": many}))
    left, right = figure.axes[0].get_xlim()
    assert left == pytest.approx(70 - 0.5 - in_view, abs=0.2)
    assert right == pytest.approx(70 - 0.5 + 2, abs=0.2)


def test_each_entry_of_a_legend_is_there_once():
    (legend,) = draw(of(column(), column(), column())).legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert sorted(labels) == sorted({"on hand", "shortfall", "demand", "due to arrive", "order"})


def test_what_is_left_out_and_what_was_purchased_is_said():
    title = words(draw(of(column(), column(), left_out=7, cost=12345.6, purchases=99.0)))[0]
    assert title == "Period 5:  cost so far 12,346 (purchases 99.00) · 7 more not shown"


def test_stock_that_ages_is_drawn_in_layers_and_what_perished_below_zero():
    lives = np.arange(15.0).reshape(3, 5)
    figure = draw(of(column(by_life=lives, waste=np.array([0.0, 0.0, 0.0, 0.0, 9.0]), shortfall=np.zeros(5))))
    low, high = figure.axes[0].get_ylim()
    assert low <= -9.0
    assert high >= lives[:, -1].sum()
    assert {"on hand, last period", "on hand, just arrived", "perished"} <= set(words(figure))
    assert "on hand" not in words(figure)


def test_orders_of_several_kinds_stand_on_top_of_each_other():
    orders = {"regular order": np.full(5, 7.0), "expedited order": np.full(5, 8.0)}
    figure = draw(of(column(orders=orders)))
    tops = [patch.get_data().values.max() for patch in figure.axes[1].patches]
    assert tops == [7.0, 15.0]
    assert figure.axes[1].get_ylim()[1] > 15.0


def test_a_shared_capacity_has_a_panel_of_its_own():
    capacity = Capacity(price=np.full(5, 0.25), used=np.full(5, 30.0), limit=np.full(5, 33.0))
    figure = draw(of(column(), capacity=capacity))
    assert len(figure.axes) == 4
    assert "capacity:  price 0.25 · used 30 of 33" in words(figure)
    assert "capacity:  price 0.25 · used 30" in words(draw(of(column(), capacity=capacity._replace(limit=None))))


def test_legends_and_panels_do_not_cover_each_other():
    kinds = {"regular order": np.ones(5), "expedited order": np.ones(5), "transshipment": np.ones(5)}
    many = [column(name=f"location {i}", sent=np.ones(5), orders=kinds, fan=np.ones((7, 3))) for i in range(6)]
    for figure in (draw(of(*many)), draw(of(column(by_life=np.ones((3, 5)), waste=np.ones(5), fan=np.ones((7, 3)))))):
        pixels(figure)
        panels = [axes.get_window_extent() for axes in figure.axes]
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert box.x1 <= 960
            assert not any(box.overlaps(panel) for panel in panels)


def test_figures_of_one_episode_get_the_same_axes():
    figures = [draw(of(column())), draw(of(column(on_hand=np.full(5, 50.0)), period=9))]
    align(figures)
    first, second = ([(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes] for figure in figures)
    assert first == second
    (left, right), (_, top) = first[0]
    assert left < 0
    assert right > 10
    assert top > 50


@pytest.mark.parametrize("name", ["Perishable", "SharedCapacity"])
def test_pictures_of_environments_are_full(name):
    env = gym.make(f"fractile/{name}-v0", render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    for _ in range(6):
        env.step(np.zeros(env.action_space.shape, np.float32))
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((600, 960, 3), np.uint8)
    assert colours(picture) > 50


def test_a_longer_view_of_deliveries_is_drawn():
    env = gym.make(
        "fractile/LostSales-v0", render_mode="rgb_array", arrivals=fr.arrivals.SplitDeliveries([0, 0.5, 0.5])
    )
    env.reset(seed=0)
    assert env.render().shape == (600, 960, 3)
