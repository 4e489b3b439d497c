"""Advice: a switch only to what is proven, a wait only where it ends, one policy to order with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fractile.studies.advice import Advice, advise


def table(*rows, proven=None):
    names = ["policy", "kind", "saving", "saving_low", "saving_high"]
    frame = pd.DataFrame([("plain", "policy", 0.0, 0.0, 0.0), *rows], columns=names)
    frame["cost"] = 100.0 * (1 - frame["saving"])
    if proven is not None:
        frame["proven"] = [name in proven for name in frame["policy"]]
    return frame.sort_values("cost")


SEEN = ("learned", "policy", 0.05, -0.01, 0.11)
SURE = ("tuned", "policy", 0.03, 0.01, 0.05)
BOUND = ("hindsight", "bound", 0.9, 0.8, 0.95)


def plain(text):
    return " ".join(text.split())


def test_a_proven_saving_is_a_reason_to_switch():
    found = advise(table(SURE, BOUND), "plain")
    assert (found.action, found.policy, found.candidate) == ("switch", "tuned", "tuned")
    assert plain(found.sentence) == (
        "Switch to the tuned policy: it saves 3.0 % [1.0, 5.0] of the cost of the plain policy, which is proven."
    )


def test_the_cheapest_is_not_ordered_with_where_only_another_is_proven():
    found = advise(table(SEEN, SURE, BOUND), "plain", periods_to_prove=3)
    assert (found.action, found.policy) == ("switch", "tuned")
    assert "although 2 policies were compared" in found.sentence
    assert found.sentence.endswith("Cheaper still, but not proven: learned.")


def test_an_interval_above_zero_proves_nothing_where_several_were_compared():
    found = advise(table(SURE, proven=()), "plain")
    assert (found.action, found.policy, found.candidate) == ("keep", "plain", "tuned")
    assert advise(table(SURE, proven=("tuned",)), "plain").policy == "tuned"


@pytest.mark.parametrize(
    ("periods", "freq", "action", "shown"),
    [
        (33.2, "W-MON", "wait", 34),
        (0.0, "W-MON", "wait", 1),
        (104.0, "W-MON", "wait", 104),
        (105.0, "W-MON", "keep", None),
        (700.0, "D", "wait", 700),
        (24.0, "MS", "wait", 24),
        (25.0, "MS", "keep", None),
        (104.0, None, "wait", 104),
        (np.inf, "W-MON", "keep", None),
        (None, "W-MON", "keep", None),
    ],
)
def test_a_saving_seen_is_worth_waiting_for_two_years_at_most(periods, freq, action, shown):
    found = advise(table(SEEN), "plain", freq=freq, periods_to_prove=periods)
    assert (found.action, found.policy, found.candidate, found.periods) == (action, "plain", "learned", shown)


def test_a_switch_is_qualified_where_the_baseline_looks_poorly_set():
    said = "But the baseline looks poorly set, see the warnings: savings against it come easy."
    found = advise(table(SURE), "plain", doubts=["grid_edge", "weak_baseline"])
    assert (found.action, found.policy) == ("switch", "tuned")
    assert found.sentence.endswith(said)
    assert said not in advise(table(SURE), "plain", doubts=["grid_edge"]).sentence
    assert said not in advise(table(SEEN), "plain", doubts=["weak_baseline"]).sentence


def test_a_switch_is_qualified_where_a_check_loses_the_saving():
    found = advise(table(SURE), "plain", doubts=["stock_outs", "start"])
    assert (found.action, found.policy) == ("switch", "tuned")
    assert found.sentence.endswith(
        " But the saving is lost where demand is on record and without the first periods: "
        "see what a careful reader would ask."
    )


def test_what_costs_more_in_simulated_demand_is_not_worth_waiting_for():
    worse = {"simulated_saving": -0.2, "simulated_low": -0.22, "simulated_high": -0.18}
    found = advise(table(SEEN).assign(**worse), "plain", freq="W-MON", periods_to_prove=3)
    assert (found.action, found.policy, found.candidate, found.periods) == ("keep", "plain", "learned", None)
    assert plain(found.sentence).endswith("is not proven, and in simulated demand it costs 20.0 % [18.0, 22.0] more.")
    found = advise(table(SURE).assign(**worse), "plain")
    assert found.action == "switch"
    assert "But in simulated demand it costs 20.0 % [18.0, 22.0] more: find out why" in plain(found.sentence)
    unsure = worse | {"simulated_high": 0.01}
    assert advise(table(SEEN).assign(**unsure), "plain", freq="W-MON", periods_to_prove=3).action == "wait"
    unknown = dict.fromkeys(worse, np.nan)
    assert advise(table(SEEN).assign(**unknown), "plain", freq="W-MON", periods_to_prove=3).action == "wait"


def test_waiting_says_how_long():
    found = advise(table(SEEN), "plain", freq="W-MON", periods_to_prove=33.2)
    assert plain(found.sentence) == (
        "Keep the plain policy for now and compare again after 34 more weeks: the learned policy saves "
        "5.0 % [−1.0, 11.0], which is not proven yet."
    )


def test_nothing_cheaper_nothing_else_or_no_trust_is_a_reason_to_keep():
    dearer = ("learned", "policy", -0.05, -0.1, 0.0)
    assert advise(table(dearer), "plain", periods_to_prove=3).sentence == "Keep the plain policy: no other was cheaper."
    assert "no other to compare" in advise(table(BOUND), "plain").sentence
    found = advise(table(SURE, proven=("tuned",)), "plain", trusted=False)
    assert (found.action, found.policy) == ("keep", "plain")
    assert "no interval can be trusted" in found.sentence


def test_what_places_the_baselines_orders_is_no_rival():
    twin = ("twin", "policy", 0.0, 0.0, 0.0)
    found = advise(table(twin, ("dear", "policy", -0.1, -0.2, 0.0)), "plain")
    assert (found.action, found.candidate) == ("keep", "dear")
    alone = advise(table(twin, BOUND), "plain")
    assert (alone.candidate, alone.sentence) == (
        "plain",
        "Keep the plain policy: every other one placed the same orders.",
    )


def test_a_record_is_read_back():
    found = advise(table(SEEN), "plain", freq="W-MON", periods_to_prove=3)
    assert Advice.from_record(found.to_record()) == found
