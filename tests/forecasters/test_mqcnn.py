"""MQ-CNN: no peeking, the guarantees of its parts, and that training pays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from fractile import FractileError, SalesPanel
from fractile.forecasters.classical.ets import ETS
from fractile.forecasters.conformance import disturb, small_panel
from fractile.forecasters.features.history import SalesSums
from fractile.forecasters.networks.inputs import InputPlan, build_inputs, plan_inputs, running_level
from fractile.forecasters.networks.losses import quantile_loss
from fractile.forecasters.networks.mqcnn import MQCNN, CausalEncoder, MQCNNConfig
from fractile.forecasters.networks.network import MonotoneQuantiles
from fractile.forecasters.scores import mean_weighted_quantile_loss, pinball_loss

QUICK = MQCNNConfig(horizon=4, steps=20, width=16)


def promoted_panel(items: int = 60, periods: int = 110) -> SalesPanel:
    """Promotions, announced ahead, triple the demand."""
    rng = np.random.default_rng(0)
    promotion = (rng.random((items, periods)) < 0.2).astype(float)
    level = np.exp(rng.normal(2.0, 0.8, (items, 1)))
    sales = rng.poisson(level * (1 + 2 * promotion)).astype(float)
    true = np.ones(sales.shape, dtype=bool)
    dates = pd.date_range("2022-01-03", periods=periods, freq="W-MON")
    names = tuple(f"i{k}" for k in range(items))
    return SalesPanel(sales, true, true, dates, names, "W-MON", known={"promotion": promotion})


def test_the_encoder_is_causal_and_reaches_back():
    torch.manual_seed(0)
    encoder = CausalEncoder(3, 8, (1, 2, 4), 0.0).eval()
    past = torch.randn(1, 20, 3, requires_grad=True)
    encoder(past)[0, 12].sum().backward()
    reached = past.grad[0].abs().sum(-1)
    assert torch.all(reached[13:] == 0)
    assert torch.all(reached[12 - 7 : 13] > 0)
    assert torch.all(reached[: 12 - 7] == 0)


def test_the_head_never_crosses():
    torch.manual_seed(0)
    head = MonotoneQuantiles(8, 13)
    with torch.no_grad():
        head.linear.weight.mul_(100.0)
        values = head(torch.randn(500, 8) * 10)
    assert torch.all(torch.diff(values, dim=-1) >= 0)


def test_the_loss_is_the_weighted_pinball_loss_of_known_demand():
    rng = np.random.default_rng(1)
    log, levels = np.sort(rng.normal(1, 1, (3, 2, 4, 5)), -1), np.linspace(0.1, 0.9, 5)
    demand, weight = rng.poisson(3.0, (3, 2, 4)).astype(float), np.array([0.5, 1.0, 2.0])
    demand[0, 1, 2] = np.nan
    loss = pinball_loss(demand[..., None], np.expm1(log), levels).mean(-1) * weight[:, None, None]
    tensor = torch.from_numpy
    got = quantile_loss(tensor(log), tensor(demand), weight=tensor(weight), levels=tensor(levels))
    np.testing.assert_allclose(float(got), np.nanmean(loss), rtol=1e-9)


def test_unknown_demand_has_no_gradient():
    log = torch.zeros((1, 1, 2, 3), requires_grad=True)
    demand = torch.tensor([[[float("nan"), 4.0]]])
    quantile_loss(log, demand, weight=torch.ones(1), levels=torch.tensor([0.1, 0.5, 0.9])).backward()
    assert torch.all(torch.isfinite(log.grad))
    assert torch.all(log.grad[0, 0, 0] == 0)
    assert torch.all(log.grad[0, 0, 1] != 0)


@pytest.mark.parametrize("origin", [5, 30, 50])
def test_inputs_hold_nothing_of_the_future(origin: int):
    panel, horizon = small_panel(), 6
    plan = plan_inputs(panel, horizon)
    expected, got = build_inputs(panel, plan), build_inputs(disturb(panel, origin, horizon), plan)
    np.testing.assert_array_equal(got.past[:, :origin], expected.past[:, :origin])
    np.testing.assert_array_equal(got.ahead[:, : origin + horizon], expected.ahead[:, : origin + horizon])
    np.testing.assert_array_equal(got.level[:, : origin + 1], expected.level[:, : origin + 1])
    np.testing.assert_array_equal(got.static, expected.static)


def test_the_running_level_starts_as_a_mean_and_skips_unknown_weeks():
    panel = small_panel(items=1, periods=5)
    known = np.array([[True, False, True, True, True]])
    sales = np.array([[4.0, 0.0, 8.0, 3.0, 5.0]])
    panel = replace(panel, sales=sales, in_stock=known, listed=np.ones((1, 5), dtype=bool))
    np.testing.assert_allclose(np.expm1(running_level(SalesSums.of(panel), np.log1p(2.0))), [[2, 4, 4, 6, 5, 5]])


def test_the_plan_survives_json():
    plan = plan_inputs(small_panel(), 6)
    assert InputPlan.from_config(plan.to_config()) == plan
    assert {c.name: c.kind for c in plan.lift.known} == {"price": "price", "promotion": "flag"}
    assert plan.shift == 52
    assert plan.categories == {"group": ("g0", "g1", "g2")}


def test_it_learns_what_promotions_do():
    panel = promoted_panel()
    origins = list(range(98, 107))
    network = MQCNN(horizon=4, steps=100, seed=1).fit(panel.until(98))
    ets = ETS(horizon=4).fit(panel.until(98))
    own, other = (mean_weighted_quantile_loss(f.predict(panel, 4, origins=origins), panel) for f in (network, ets))
    assert own < 0.8 * other


def test_the_seed_decides_everything_and_leaves_no_trace():
    panel = small_panel()
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    first = MQCNN(QUICK).fit(panel).predict(panel, 4)
    np.testing.assert_array_equal(torch.rand(3), expected)
    second = MQCNN(QUICK).fit(panel).predict(panel, 4)
    other = MQCNN(QUICK, seed=1).fit(panel).predict(panel, 4)
    np.testing.assert_array_equal(first.values, second.values)
    assert not np.array_equal(first.values, other.values)


def test_progress_is_reported():
    messages, shares = [], []

    def report(message, share):
        messages.append(message)
        shares.append(share)

    MQCNN(QUICK, progress=report).fit(small_panel())
    assert shares[:3] == [1 / 20, 2 / 20, 3 / 20]
    assert [message.partition(",")[0] for message in messages[:3]] == [
        f"mqcnn: train step {k} of 20" for k in (1, 2, 3)
    ]


def test_a_longer_horizon_than_trained_is_refused():
    network = MQCNN(QUICK).fit(small_panel())
    with pytest.raises(FractileError, match="trained for 4 periods ahead, 5 are asked for; fit again"):
        network.predict(small_panel(), 5)


def test_a_missing_covariate_is_named():
    network = MQCNN(QUICK).fit(small_panel())
    with pytest.raises(FractileError, match="known covariate 'price'"):
        network.predict(replace(small_panel(), known={}), 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"levels": (0.5,)}, "levels must be"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
    ],
)
def test_bad_options_are_refused(options: dict, message: str):
    with pytest.raises(FractileError, match=message):
        MQCNN(**options)


def test_its_dependence_belongs_to_the_items_speed():
    panel = promoted_panel()
    forecast = MQCNN(QUICK).fit(panel).predict(panel, 4)
    band = forecast.dependence.band[:, 0]
    speed = panel.sales.mean(1)
    assert band[speed.argmin()] < band[speed.argmax()]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_forecasts_what_a_cpu_does():
    panel = small_panel()
    network = MQCNN(QUICK, device="cuda").fit(panel)
    config, arrays = network.to_state()
    config["config"]["device"] = "cpu"
    copy = MQCNN.from_state(config, arrays)
    np.testing.assert_allclose(network.predict(panel, 4).values, copy.predict(panel, 4).values, rtol=1e-3, atol=1e-3)
