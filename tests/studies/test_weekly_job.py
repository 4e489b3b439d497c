"""The weekly job: import, order, play what came, count the stock, and again; no step by hand.

A shop exports its sales every Monday as its till writes them: semicolons, day.month.year, German headings, whether an
item ran out. `fractile import` makes the history, `fractile order` the orders. These are played with `fr.step` against
the demand that came, and the stock that is left is the next state file. What the shop sold depends on what it ordered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import fractile as fr
from fractile.cli import app
from fractile.forecasters.storage import load_forecaster
from fractile.policies.storage import load_policy

LEAD_TIME, HOLDING, STOCKOUT = 2, 0.02, 1.0
COSTS = ["--lead-time", LEAD_TIME, "--holding-cost", HOLDING, "--stockout-cost", STOCKOUT]
PAST, WEEKS = 60, 12
"""Weeks before the first order, and weeks that are ordered."""


def fractile(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done


@dataclass
class Shop:
    """A shop with a till, a stock room, and demand that is not known before it comes.

    Attributes:
        folder: where its files are.
        demand: units, shape (items, weeks); NaN where an item is not on sale.
        sales: what was sold, likewise.
        in_stock: whether an item was there whenever it was asked for.
        stock: of each item that was ever ordered, what is on hand and what arrives in 1, 2, … weeks, units.
        cost: of each item and week that was played, money.
        ordered: likewise, units.
        opening: likewise, what `stock` was before.
    """

    folder: Path
    demand: np.ndarray
    sales: np.ndarray = field(init=False)
    in_stock: np.ndarray = field(init=False)
    stock: dict[str, list[float]] = field(default_factory=dict)
    cost: dict[tuple[str, int], float] = field(default_factory=dict)
    ordered: dict[tuple[str, int], float] = field(default_factory=dict)
    opening: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def __post_init__(self):
        self.sales, self.in_stock = self.demand.copy(), np.isfinite(self.demand)
        self.ids = [f"A-{i:03d}" for i in range(len(self.demand))]
        self.params = fr.ItemParams(lead_time=LEAD_TIME, holding_cost=HOLDING, stockout_cost=STOCKOUT, pack_size=1.0)
        self.mondays = pd.date_range("2022-01-03", periods=self.demand.shape[1], freq="W-MON")

    def on_sale(self, week):
        return [i for i in range(len(self.ids)) if np.isfinite(self.demand[i, week])]

    def export(self, week):
        """Write what the till has of the weeks before this one, of the items that are on sale."""
        lines = ["Artikel;Datum;Menge;in_stock"]
        for i in self.on_sale(week):
            for t in np.flatnonzero(np.isfinite(self.demand[i, :week])):
                date = self.mondays[t].strftime("%d.%m.%Y")
                lines.append(f"{self.ids[i]};{date};{self.sales[i, t]:.0f};{int(self.in_stock[i, t])}")
        (self.folder / "till.csv").write_text("\n".join(lines) + "\n", encoding="cp1252")

    def count(self):
        """Write the state file: what the stock room has, and what is under way."""
        columns = ["on_hand", *(f"arriving_{k + 1}" for k in range(LEAD_TIME))]
        frame = pd.DataFrame.from_dict(self.stock, orient="index", columns=columns)
        frame.rename_axis("item_id").reset_index().to_csv(self.folder / "state.csv", index=False)

    def play(self, week, orders):
        """Place the orders, receive what is due, and sell what is asked for."""
        for i in self.on_sale(week):
            name = self.ids[i]
            held = self.opening[name, week] = self.stock[name]
            state = fr.InventoryState(np.array([[held[0]]]), np.array(held[1:]).reshape(-1, 1, 1))
            order, demand = np.array([[float(orders.get(name, 0.0))]]), self.demand[i, week].reshape(1, 1)
            state, outcome = fr.step(state, order, demand, self.params)
            self.stock[name] = [state.net_inventory.item(), *state.pipeline[:, 0, 0]]
            self.sales[i, week] = outcome.sales.item()
            self.in_stock[i, week] = outcome.shortfall.item() == 0
            self.cost[name, week], self.ordered[name, week] = outcome.cost.item(), order.item()

    def week(self, week, run, *options):
        """Import, order and play a week; return the orders."""
        self.export(week)
        fractile("import", self.folder / "till.csv", "--out", self.folder / "history.csv")
        self.count()
        files = ["--history", self.folder / "history.csv", "--state", self.folder / "state.csv"]
        fractile("order", "--run", run, *files, *options, "--out", self.folder / "orders.csv")
        table = pd.read_csv(self.folder / "orders.csv", dtype={"item_id": str})
        assert set(table["date"]) == {str(self.mondays[week].date())}
        self.play(week, dict(zip(table["item_id"], table["order"], strict=True)))
        return table


def opened(folder, demand, forecaster, policy):
    """Return a shop on its first Monday with two weeks of stock, and the run that was trained on its past."""
    shop = Shop(folder, demand)
    for i in shop.on_sale(PAST - 1):
        usual = float(np.rint(demand[i, :PAST].mean()))
        shop.stock[shop.ids[i]] = [2 * usual, *[usual] * LEAD_TIME]
    shop.export(PAST)
    fractile("import", folder / "till.csv", "--out", folder / "history.csv")
    named = ["--forecaster", forecaster, "--policy", policy]
    fractile("train", "--history", folder / "history.csv", *COSTS, *named, "--out", folder / "kept")
    return shop, folder / "kept"


def simulated(shop, run, items, first, last):
    """Return the cost of a simulation of the run's forecaster and policy, shape (weeks, items).

    It reads the shop's final history, of which no forecast uses what came later, and starts from the stock of the first
    week.
    """
    begin = int(np.flatnonzero(np.isfinite(shop.demand[items[0]]))[0])
    cells = {"sales": shop.sales, "in_stock": shop.in_stock}
    frame = pd.DataFrame({name: cell[items, begin:last].reshape(-1) for name, cell in cells.items()}).assign(
        item_id=np.repeat([shop.ids[i] for i in items], last - begin),
        date=np.tile(shop.mondays[begin:last], len(items)),
    )
    panel = fr.SalesPanel.from_frame(frame, freq="W-MON")
    found = load_forecaster(run / "models").predict(panel, 8, origins=np.arange(first, last) - begin)
    forecasts = [found.head(2 * LEAD_TIME + 1).at_origin(k) for k in range(last - first)]
    scenario = fr.Scenario(shop.demand[items, first:last].T[None], forecasts)
    held = np.array([shop.opening[shop.ids[i], first] for i in items])
    state = fr.InventoryState(held[None, :, 0], held.T[1:, None])
    return fr.simulate(load_policy("newsvendor", run / "models"), scenario, shop.params, initial_state=state).cost[0]


@pytest.fixture
def demand():
    """Units, shape (6, weeks), with a season of its own each."""
    rng = np.random.default_rng(7)
    mean = rng.uniform(4, 20, (6, 1)) * (1 + 0.3 * np.sin(np.arange(PAST + WEEKS) / 6 + rng.uniform(0, 6, (6, 1))))
    return rng.poisson(mean).astype(float)


def test_twelve_weeks_cost_what_a_simulation_costs(tmp_path, demand):
    """Where nobody comes or goes, week after week of import and order costs to the cent what `fr.simulate` says."""
    shop, run = opened(tmp_path, demand, "seasonal_naive", "newsvendor")
    for week in range(PAST, PAST + WEEKS):
        shop.week(week, run)
    played = np.array([[shop.cost[name, week] for name in shop.ids] for week in range(PAST, PAST + WEEKS)])
    expected = simulated(shop, run, list(range(6)), PAST, PAST + WEEKS)
    np.testing.assert_allclose(played, expected, rtol=1e-12)
    assert sum(shop.ordered.values()) > 0
    assert not shop.in_stock[:, PAST:].all()  # what was sold did depend on what was ordered


def test_items_come_and_go(tmp_path, demand):
    """An item comes in the third week, one leaves the export in the sixth, one is discontinued in the eighth.

    While an item is on sale and has a history, it costs to the cent what `fr.simulate` says of it.
    """
    new, gone, ended = 3, 4, 5
    came, left, over = PAST + 2, PAST + 5, PAST + 7
    demand[new, :came], demand[gone, left:] = np.nan, np.nan
    shop, run = opened(tmp_path, demand, "seasonal_naive", "newsvendor")
    items = pd.DataFrame({"item_id": shop.ids, "discontinued": ["", "", "", "", "", shop.mondays[over].date()]})
    items.to_csv(tmp_path / "items.csv", index=False)
    said = {}
    for week in range(PAST, PAST + WEEKS):
        if week == came:
            shop.stock[shop.ids[new]] = [30.0, 0.0, 0.0]  # the first delivery of a new item
        if week == over:
            demand[ended, over:] = 0.0  # nobody can buy it any more
        table = shop.week(week, run, "--items", tmp_path / "items.csv").set_index("item_id")
        said[week] = table
    end, last_order = PAST + WEEKS, over - LEAD_TIME  # a later one would arrive when the item is not sold any more
    for i, first, last in ((0, PAST, end), (new, came + 1, end), (gone, PAST, left), (ended, PAST, over)):
        played = [shop.cost[shop.ids[i], week] for week in range(first, last)]
        np.testing.assert_allclose(played, simulated(shop, run, [i], first, last)[:, 0], rtol=1e-12)
    assert shop.ids[new] not in said[came].index
    assert said[end - 1].loc[shop.ids[new], "order_up_to"] > 0
    assert shop.ids[gone] not in said[left].index
    assert [said[week].loc[shop.ids[ended], "order"] for week in range(last_order, end)] == [0] * (end - last_order)
    assert sum(said[week].loc[shop.ids[ended], "order"] for week in range(PAST, last_order)) > 0
