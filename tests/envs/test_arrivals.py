"""Arrivals as data: what is drawn adds up, has the right frequencies, and moves no units that it should not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import fractile as fr
from fractile import (
    FractileError,
    InputError,
    InventoryState,
    Scenario,
)
from fractile.envs.arrivals import (
    ArrivalModel,
    ConstantLeadTime,
    FittedArrivals,
    LostDeliveries,
    RandomLeadTime,
    ShortDeliveries,
    SplitDeliveries,
    expected_lead_time,
    with_arrivals,
)
from fractile.policies.rollout import roll

UNIFORM = np.full(3, 1 / 3)
TWO_ITEMS = np.array([[0.1, 0.2, 0.7], [0.0, 0.6, 0.4]])
SPLIT = np.array([0.0, 0.5, 0.3, 0.2])


def receipts(lines: int = 900, seed: int = 0) -> pd.DataFrame:
    """A log whose lines arrive whole after 1 or 3 periods, half and half, in two parts, or never."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(lines):
        item, placed, units = ("tea", "jam")[n % 2], n // 6, float(rng.integers(1, 40))
        kind = rng.choice(4, p=[0.5, 0.2, 0.2, 0.1] if item == "tea" else [0.1, 0.2, 0.2, 0.5])
        parts = {0: [(1, 1.0)], 1: [(3, 0.8)], 2: [(1, 0.5), (2, 0.5)], 3: [(np.nan, 0.0)]}[kind]
        rows += [(f"o{n // 6}", f"{item}-{n % 6}", placed, placed + k, units, share * units) for k, share in parts]
    columns = ["order_id", "item_id", "order_period", "receipt_period", "ordered", "received"]
    return pd.DataFrame(rows, columns=columns)


def fitted() -> FittedArrivals:
    return FittedArrivals.fit(receipts(), end=200)


MODELS = {
    "constant": ConstantLeadTime(2),
    "constant, by item": ConstantLeadTime(np.array([0, 3])),
    "random": RandomLeadTime(UNIFORM),
    "random, by item": RandomLeadTime(TWO_ITEMS),
    "without crossing": RandomLeadTime(UNIFORM, crossing=False),
    "split": SplitDeliveries(SPLIT),
    "split at random": SplitDeliveries(SPLIT, concentration=4.0),
    "short": ShortDeliveries(RandomLeadTime(UNIFORM), 0.8, concentration=10.0),
    "short by item": ShortDeliveries(RandomLeadTime(UNIFORM), np.array([0.5, 1.0]), concentration=3.0),
    "always short": ShortDeliveries(SplitDeliveries(SPLIT), 0.8),
    "lost": LostDeliveries(SplitDeliveries(SPLIT, concentration=4.0), np.array([0.0, 0.3])),
    "fitted": fitted().for_items(["tea-0", "jam-1"]),
}
WHOLE = ("constant", "constant, by item", "random", "random, by item", "without crossing", "split", "split at random")


def drawn(model: ArrivalModel, paths: int = 300, periods: int = 40, items: int = 2) -> np.ndarray:
    shape = (model.slots + 1, paths, periods, items)
    return np.broadcast_to(model.sample(np.random.default_rng(0), paths, periods, items), shape)


def lead_times(shares: np.ndarray) -> np.ndarray:
    return shares.argmax(0)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_shares_are_shares(model):
    shares = drawn(model)
    assert isinstance(model, ArrivalModel)
    assert shares.min() >= 0
    assert shares.sum(0).max() <= 1 + 1e-12
    assert model.mean_shares.shape[0] == model.slots + 1


@pytest.mark.parametrize("name", WHOLE)
def test_whole_deliveries_add_up_to_one(name):
    np.testing.assert_allclose(drawn(MODELS[name]).sum(0), 1.0)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_means_are_those_of_the_model(model):
    shares = drawn(model, paths=1500)
    # Periods that share what is drawn for a calendar period depend on each other: the error comes from path means.
    by_path = shares.mean(2)
    error = by_path.std(1) / np.sqrt(1500)
    expected = np.broadcast_to(model.mean_shares, by_path.mean(1).shape)
    assert (np.abs(by_path.mean(1) - expected) <= 4 * error + 1e-12).all()
    np.testing.assert_allclose(np.broadcast_to(expected_lead_time(model), 2), expected_lead_time(shares), atol=0.05)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_first_paths_are_the_same_however_many_follow(model):
    few, many = drawn(model, paths=7), drawn(model, paths=300)
    np.testing.assert_array_equal(few, many[:, :7])
    np.testing.assert_array_equal(few, drawn(model, paths=7))


@pytest.mark.parametrize("model", [m for m in MODELS.values() if m.mean_shares.shape[1] == 1])
def test_an_item_does_not_move_when_others_are_dropped(model):
    np.testing.assert_array_equal(drawn(model, items=1)[..., 0], drawn(model, items=3)[..., 0])


@pytest.mark.parametrize("model", [MODELS["random"], MODELS["split at random"], MODELS["fitted"]])
def test_paths_periods_and_items_differ(model):
    shares = drawn(model, paths=40)
    assert (shares[:, 0] != shares[:, 1]).any()
    assert (shares[:, :, 0] != shares[:, :, 1]).any()
    assert (shares[..., 0] != shares[..., 1]).any()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_episodes_hold_the_item_that_was_asked_for(model):
    item = np.repeat([1, 0], 400)
    shares = model.episodes(np.random.default_rng(1), item, 30)
    assert shares.shape == (model.slots + 1, 800, 30, 1)
    mean = np.broadcast_to(model.mean_shares, (model.slots + 1, 2))
    for i in (0, 1):
        got = shares[..., 0][:, item == i].mean(2)
        assert (np.abs(got.mean(1) - mean[:, i]) <= 4 * got.std(1) / np.sqrt(400) + 1e-12).all()


@pytest.mark.parametrize("probabilities", [UNIFORM, [0.05, 0.15, 0.3, 0.5], [0.0, 0.25, 0.75]])
@pytest.mark.parametrize("crossing", [True, False])
def test_frequencies_of_lead_times(probabilities, crossing):
    model = RandomLeadTime(probabilities, crossing=crossing)
    # One period a path: independent draws.
    lead_time = lead_times(drawn(model, paths=20_000, periods=4, items=1))[:, 2, 0]
    observed = np.bincount(lead_time, minlength=len(probabilities))
    expected = 20_000 * np.asarray(probabilities)
    possible = expected > 0
    assert observed[~possible].sum() == 0
    chi_square = ((observed - expected)[possible] ** 2 / expected[possible]).sum()
    degrees = possible.sum() - 1
    assert chi_square < degrees + 4 * np.sqrt(2 * degrees)


def test_lead_times_that_cross_are_independent():
    lead_time = lead_times(drawn(RandomLeadTime(UNIFORM), paths=20_000, periods=2, items=1))[:, :, 0]
    counts = np.histogram2d(lead_time[:, 0], lead_time[:, 1], bins=(3, 3))[0]
    assert stats.chi2_contingency(counts).pvalue > 1e-4


def test_orders_cross_or_do_not():
    crossed = lead_times(drawn(RandomLeadTime(UNIFORM)))
    kept = lead_times(drawn(RandomLeadTime(UNIFORM, crossing=False)))
    # An order that is placed a period later arrives no earlier: the lead time falls by one at most.
    assert (np.diff(crossed, axis=1) < -1).any()
    assert np.diff(kept, axis=1).min() == -1
    assert kept.max() == 2
    assert kept.min() == 0


def test_without_crossing_all_that_is_old_enough_arrives_together():
    # Kaplan's mechanism: whatever arrives in a period, nothing that was placed before it is still under way.
    lead_time = lead_times(drawn(RandomLeadTime([0.1, 0.2, 0.3, 0.4], crossing=False), paths=200, items=1))[:, :, 0]
    arrival = lead_time + np.arange(lead_time.shape[1])
    assert (np.maximum.accumulate(arrival, axis=1) == arrival).all()


def test_falling_hazards_need_crossing():
    with pytest.raises(FractileError, match=r"hazards P\(L = k \| L >= k\) that do not fall with k.*set crossing=True"):
        RandomLeadTime([0.5, 0.2, 0.3], crossing=False)


def test_dirichlet_shares_vary_as_they_should():
    concentration, shares = 4.0, drawn(SplitDeliveries(SPLIT, concentration=4.0), paths=2000, periods=10)
    expected = SPLIT * (1 - SPLIT) / (concentration + 1)
    np.testing.assert_allclose(shares.var((1, 2, 3)), expected, rtol=0.05)
    assert shares[0].max() == 0.0


def test_tiny_concentrations_send_each_order_whole():
    shares = drawn(SplitDeliveries(SPLIT, concentration=1e-4))
    np.testing.assert_allclose(shares.sum(0), 1.0)
    assert (shares.max(0) > 0.999).mean() > 0.99


def test_short_deliveries_are_beta():
    model = ShortDeliveries(ConstantLeadTime(1), 0.8, concentration=10.0)
    delivered = drawn(model, paths=500, periods=10, items=1)[1].ravel()
    assert stats.kstest(delivered, stats.beta(8.0, 2.0).cdf).pvalue > 1e-4


def test_constant_deliveries_share_one_path():
    assert ConstantLeadTime(2).sample(np.random.default_rng(0), 50, 4, 3).shape == (3, 1, 4, 3)
    assert SplitDeliveries(SPLIT).sample(np.random.default_rng(0), 50, 4, 3).shape == (4, 1, 4, 3)


def test_expected_lead_times():
    np.testing.assert_allclose(expected_lead_time(RandomLeadTime(TWO_ITEMS)), [1.6, 1.4])
    # Of what is delivered: what is lost has no lead time.
    np.testing.assert_allclose(expected_lead_time(LostDeliveries(RandomLeadTime(TWO_ITEMS), 0.9)), [1.6, 1.4])
    scenario = with_arrivals(Scenario(np.zeros((2, 3, 1))), ConstantLeadTime(3), 0)
    np.testing.assert_allclose(expected_lead_time(scenario), [3.0])
    with pytest.raises(FractileError, match="the scenario has no arrivals"):
        expected_lead_time(Scenario(np.zeros((2, 3, 1))))


def test_arrivals_go_by_their_seed_and_not_by_demand():
    model = MODELS["random"]
    one, other = (with_arrivals(Scenario(np.full((9, 5, 2), d)), model, 7) for d in (0.0, 3.0))
    np.testing.assert_array_equal(one.arrivals, other.arrivals)
    assert (with_arrivals(one, model, 8).arrivals != one.arrivals).any()
    np.testing.assert_array_equal(one.demand, 0.0)


PARAMS = fr.ItemParams(lead_time=2, holding_cost=1.0, stockout_cost=4.0)


@pytest.mark.parametrize(
    "model",
    [
        ConstantLeadTime(2),
        RandomLeadTime([0.0, 0.0, 1.0]),
        RandomLeadTime([0.0, 0.0, 1.0], crossing=False),
        SplitDeliveries([0.0, 0.0, 1.0], concentration=2.0),
        ShortDeliveries(ConstantLeadTime(2), 1.0, concentration=2.0),
        LostDeliveries(ConstantLeadTime(2), 0.0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_random_lead_times_that_never_vary_are_the_constant_one(model):
    # Zipkin's (2008) instance: Poisson(5), L = 2, h = 1, b = 4, lost sales.
    scenario = fr.draw_scenario(fr.Poisson(5.0), 0, 40, 30, 3)
    for name, options in (("newsvendor", {}), ("projected", {}), ("base_stock", {"level": 18.0})):
        policy = fr.make_policy(name, **options)
        plain = fr.simulate(policy, scenario, PARAMS)
        random = fr.simulate(policy, with_arrivals(scenario, model, 0), PARAMS)
        np.testing.assert_array_equal(random.cost, plain.cost)
        np.testing.assert_array_equal(random.received, plain.received)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_units_are_neither_made_nor_lost_on_the_way(model):
    scenario = with_arrivals(fr.draw_scenario(fr.Poisson(np.array([5.0, 9.0])), 0, 20, 12, 3), model, 3)
    params = fr.ItemParams(lead_time=2)
    state = InventoryState.empty(20, 2, model.slots)
    ordered = received = sold = on_the_way = 0.0
    for period, (after, outcome) in enumerate(roll(fr.make_policy("newsvendor"), scenario, params, state)):
        on_the_way = after.pipeline.sum(0)
        ordered = ordered + outcome.order * np.broadcast_to(scenario.arrivals[:, :, period].sum(0), outcome.order.shape)
        received, sold = received + outcome.received, sold + outcome.sales
        np.testing.assert_allclose(ordered, received + on_the_way, atol=1e-9)
        np.testing.assert_allclose(received, sold + outcome.on_hand, atol=1e-9)


def test_a_lost_order_is_ordered_again():
    # Base stock 3, demand 1 a period, L = 1, the order of period 1 is lost. It never enters the pipeline, so that the
    # position of period 2 shows it.
    arrivals = np.zeros((2, 1, 5, 1))
    arrivals[1] = 1.0
    arrivals[1, :, 1] = 0.0
    scenario = Scenario(np.ones((1, 5, 1)), arrivals=arrivals)
    start = InventoryState(np.full((1, 1), 2.0), np.ones((1, 1, 1)))
    params = fr.ItemParams(lead_time=1, unmet_demand="backorder")
    got = fr.simulate(fr.make_policy("base_stock", level=3), scenario, params, initial_state=start)
    np.testing.assert_array_equal(got.order.ravel(), [0.0, 1.0, 2.0, 1.0, 1.0])
    np.testing.assert_array_equal(got.received.ravel(), [1.0, 0.0, 0.0, 2.0, 1.0])
    np.testing.assert_array_equal(got.on_hand.ravel(), [2.0, 1.0, 0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConstantLeadTime(1.5), "lead_time must be integers >= 0"),
        (lambda: RandomLeadTime([0.5, 0.4]), r"probabilities must add up to 1, got \[0.9\]; for what never arrives"),
        (lambda: RandomLeadTime([1.5, -0.5]), "probabilities must be finite numbers >= 0"),
        (lambda: RandomLeadTime(np.ones((1, 1, 1))), r"probabilities must have the shape \(slots \+ 1,\)"),
        (lambda: SplitDeliveries([0.5, np.nan]), "shares must be finite numbers >= 0"),
        (lambda: SplitDeliveries([0.5, 0.5], 0.0), "concentration must be a finite number above 0, got 0.0"),
        (lambda: ShortDeliveries(ConstantLeadTime(1), 0.0), r"delivered must lie in \(0, 1\]"),
        (lambda: LostDeliveries(ConstantLeadTime(1), 1.2), r"probability must lie in \[0, 1\]"),
        (
            lambda: drawn(RandomLeadTime(TWO_ITEMS), items=3),
            "RandomLeadTime has parameters of 2 items, 3 are asked for",
        ),
    ],
)
def test_arrival_models_check_their_parameters(make, message):
    with pytest.raises(FractileError, match=message):
        make()


def vectors(log: pd.DataFrame, item: str) -> dict[tuple[float, ...], float]:
    """Share of each arrival vector among an item's lines, straight from the log."""
    mine = log[log["item_id"] == item]
    counts: dict[tuple[float, ...], float] = {}
    for _, line in mine.groupby("order_id"):
        row = [0.0] * 4
        for _, receipt in line.dropna().iterrows():
            row[int(receipt["receipt_period"] - receipt["order_period"])] += receipt["received"] / receipt["ordered"]
        key = tuple(np.round(row, 9))
        counts[key] = counts.get(key, 0.0) + 1.0
    total = sum(counts.values())
    return {key: count / total for key, count in counts.items()}


@pytest.mark.parametrize("item", ["tea-0", "jam-3"])
def test_fitted_arrivals_come_as_they_came(item):
    model = fitted().for_items([item])
    shares = drawn(model, paths=4000, periods=3, items=1)
    got = {tuple(np.round(row, 9)): 0 for row in np.unique(shares.reshape(4, -1).T.round(9), axis=0)}
    expected = vectors(receipts(), item)
    assert set(got) == set(expected)
    number = 4000 * 3
    flat = shares.reshape(4, -1).T.round(9)
    chi_square = sum(
        ((flat == key).all(1).sum() - number * share) ** 2 / (number * share) for key, share in expected.items()
    )
    degrees = len(expected) - 1
    assert chi_square < degrees + 4 * np.sqrt(2 * degrees)
    np.testing.assert_allclose(model.mean_shares[:, 0], sum(np.array(k) * v for k, v in expected.items()))


def test_fitted_frequencies_are_those_behind_the_log():
    # 150 lines an item: whole after 1, short after 3, in two parts, never.
    model = fitted()
    assert model.item_ids == ("jam-1", "jam-3", "jam-5", "tea-0", "tea-2", "tea-4")
    # Tea: half of the lines whole after 1 period and a fifth half each; a fifth 80 % after 3.
    expected = np.array([0.0, 0.6, 0.1, 0.16])
    error = 4 * np.sqrt(0.25 / 450)
    np.testing.assert_allclose(model.mean_shares[:, 3:].mean(1), expected, atol=error)
    np.testing.assert_allclose(model.mean_shares.sum(0)[:3].mean(), 0.1 + 0.2 + 0.16, atol=error)


def test_items_with_few_lines_draw_from_all():
    model = FittedArrivals.fit(receipts(), end=200, item_ids=["tea-0", "new"], fewest=100)
    np.testing.assert_allclose(model.mean_shares[:, 1], model.shares.mean(0))
    pooled = FittedArrivals.fit(receipts(), end=200, item_ids=["tea-0", "new"], fewest=151)
    np.testing.assert_allclose(pooled.mean_shares[:, 0], pooled.shares.mean(0))
    assert abs(model.mean_shares[1, 0] - model.mean_shares[1, 1]) > 0.1


def test_lines_that_are_still_open_are_left_out():
    log = receipts()
    # The longest delay is 3: what was placed in the last three periods on record may still come.
    assert len(FittedArrivals.fit(log, end=149).shares) == 6 * 147
    assert len(FittedArrivals.fit(log, end=200).shares) == 900
    with pytest.raises(FractileError, match="receipts must reach 3 periods, the longest delay, beyond an order"):
        FittedArrivals.fit(log, end=2)


def test_dates_are_turned_into_periods():
    log = receipts()
    monday = pd.Timestamp("2024-01-01")
    dated = pd.DataFrame(
        {
            **{name: log[name] for name in ("order_id", "item_id", "ordered", "received")},
            # Orders on Wednesdays, receipts on Fridays of the weeks that begin on a Monday.
            "order_date": monday + pd.to_timedelta(7 * log["order_period"] + 2, unit="D"),
            "receipt_date": monday + pd.to_timedelta(7 * log["receipt_period"] + 4, unit="D"),
        }
    )
    by_date = FittedArrivals.fit(dated, freq="W-MON", end=monday + pd.Timedelta(days=7 * 200 + 6))
    np.testing.assert_array_equal(by_date.shares, fitted().shares)
    np.testing.assert_array_equal(by_date.owners, fitted().owners)
    np.testing.assert_array_equal(FittedArrivals.fit(dated, freq="W-MON").shares, FittedArrivals.fit(log).shares)
    with pytest.raises(InputError, match="freq must be given where receipts have dates"):
        FittedArrivals.fit(dated)


def test_over_deliveries_are_a_fault_or_capped():
    log = receipts()
    first = log.index[log["received"] > 0][0]
    log.loc[first, "received"] *= 2
    with pytest.raises(
        InputError, match="a line cannot receive more than was ordered; over='cap' scales it down: 1 rows"
    ):
        FittedArrivals.fit(log)
    assert FittedArrivals.fit(log, over="cap").shares.sum(1).max() == pytest.approx(1.0)


def test_every_fault_of_a_log_is_named_at_once():
    log = receipts(60)
    log.loc[0, "ordered"] = -1.0
    log.loc[1, "received"] = np.nan
    log.loc[2, "receipt_period"] = -3.0
    log.loc[3, "order_period"] = np.nan
    log.loc[4, "receipt_period"] = 2.5
    with pytest.raises(InputError) as caught:
        FittedArrivals.fit(log)
    text = str(caught.value)
    for rule in (
        "the order's period must be a whole number, or a date: 1 rows, the first is row 3",
        "the receipt's period must be a whole number, a date, or missing: 1 rows, the first is row 4",
        "ordered must be a finite number above 0: 1 rows, the first is row 0",
        "nothing can arrive before it is ordered",
    ):
        assert rule in text
    assert len(caught.value.faults) >= 4


def test_missing_columns_are_all_named():
    with pytest.raises(InputError, match=r"needs a column 'ordered'.*\n.*needs a column 'received'"):
        FittedArrivals.fit(receipts().drop(columns=["ordered", "received"]))
    with pytest.raises(InputError, match="at least one row"):
        FittedArrivals.fit(receipts().iloc[:0])


def test_two_quantities_of_one_line_are_a_fault():
    log = receipts()
    twice = log[log.duplicated(["order_id", "item_id"])].index[0]
    log.loc[twice, "ordered"] += 1.0
    with pytest.raises(InputError, match="ordered must be the same in all rows of a line: 1 rows"):
        FittedArrivals.fit(log)
