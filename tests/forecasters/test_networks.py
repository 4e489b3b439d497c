"""Networks: the training loop, checkpoints, the lift, bounds and ensembles; and each network's own parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import nbinom

from fractile import DEFAULT_LEVELS, FractileError, SalesPanel, make_forecaster
from fractile.forecasters.base import make_request
from fractile.forecasters.conformance import small_panel
from fractile.forecasters.features import lift as adjustment
from fractile.forecasters.networks.deepar import DeepAR, log_likelihood, shared_uniforms
from fractile.forecasters.networks.inputs import build_inputs, plan_inputs, unit_of
from fractile.forecasters.networks.mqcnn import MQCNN
from fractile.forecasters.networks.mqmlp import WindowEncoder
from fractile.forecasters.networks.mqrnn import RecurrentEncoder
from fractile.forecasters.networks.mqtransformer import MQTransformer
from fractile.forecasters.networks.network import Batch, Network, NetworkConfig, NetworkInputs
from fractile.forecasters.networks.quantile_function import Curve, CurveHead, QuantileFunction, evaluate_curve
from fractile.forecasters.networks.rnn import RNN
from fractile.forecasters.networks.training import REFIT_RATE, Checkpoint, Examples, Trainer, make_examples, rate_factor

NETWORKS = ("mqmlp", "rnn", "deepar", "mqrnn", "mqcnn", "mqtransformer", "quantile_function")
QUICK = {"steps": 20, "horizon": 4, "width": 16}


class InterruptError(Exception):
    """The power is out."""


def interrupted_at(check: int):
    """Return a progress function that raises at a check."""
    seen = []

    def report(message, share=None):
        seen.append(message)
        if len(seen) == check:
            raise InterruptError

    return report


def promoted(items: int = 80, periods: int = 120, seed: int = 0) -> tuple[SalesPanel, np.ndarray]:
    """Two categories: promotions treble the demand of one and leave the other alone; and the true log lift."""
    rng = np.random.default_rng(seed)
    promotion = (rng.random((items, periods)) < 0.2).astype(float)
    category = np.arange(items) % 2
    lift = np.log(3.0) * promotion * (category == 0)[:, None]
    level = np.exp(rng.normal(2.0, 0.5, (items, 1)))
    sales = rng.poisson(level * np.exp(lift)).astype(float)
    true = np.ones(sales.shape, dtype=bool)
    names = tuple(f"i{k}" for k in range(items))
    static = pd.DataFrame({"category": np.where(category == 0, "a", "b"), "noise": "x"}, index=list(names))
    dates = pd.date_range("2022-01-03", periods=periods, freq="W-MON")
    return SalesPanel(sales, true, true, dates, names, "W-MON", known={"promotion": promotion}, static=static), lift


@pytest.mark.parametrize("check", [3, -2])
@pytest.mark.parametrize("name", ["mqcnn", "deepar", "quantile_function"])
def test_an_interrupted_fit_goes_on_exactly_where_it_was(name: str, check: int, tmp_path):
    panel = small_panel()
    reports = []
    whole = make_forecaster(name, **QUICK, progress=lambda *now: reports.append(now)).fit(panel)
    check = check % len(reports)
    with pytest.raises(InterruptError):
        make_forecaster(name, **QUICK, checkpoint=tmp_path, progress=interrupted_at(check)).fit(panel)
    again = []
    resumed = make_forecaster(name, **QUICK, checkpoint=tmp_path, progress=lambda *now: again.append(now)).fit(panel)
    expected, got = whole.to_state()[1], resumed.to_state()[1]
    assert again == reports[check:]
    for key in expected:
        np.testing.assert_array_equal(got[key], expected[key])
    assert not list(tmp_path.rglob("*.pt"))


def test_a_checkpoint_of_another_fit_is_refused(tmp_path):
    panel = small_panel()
    with pytest.raises(InterruptError):
        MQCNN(**QUICK, checkpoint=tmp_path, progress=interrupted_at(2)).fit(panel)
    with pytest.raises(FractileError, match="other options or other data"):
        MQCNN(**QUICK, seed=1, checkpoint=tmp_path).fit(panel)
    with pytest.raises(FractileError, match="other options or other data"):
        MQCNN(**QUICK, checkpoint=tmp_path).fit(replace(panel, sales=panel.sales + 1.0))


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "member-0").mkdir()
    (tmp_path / "member-0" / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(FractileError, match="cannot be read"):
        MQCNN(**QUICK, checkpoint=tmp_path).fit(small_panel())


def test_a_bar_is_drawn_on_the_terminal(capsys):
    MQCNN(**QUICK, progress=True).fit(small_panel())
    assert "mqcnn" in capsys.readouterr().err


def test_training_stops_early_and_keeps_the_best():
    shares = []
    options = {"horizon": 4, "steps": 400, "patience": 1, "refit": 0.0, "learning_rate": 0.05}
    MQCNN(**options, progress=lambda _, share: shares.append(share)).fit(small_panel())
    assert shares[-1] < 1


class Probe(Network):
    """One weight that training raises and that validation wants low; it records what it is trained on."""

    def __init__(self, batches: list[Batch], *, consecutive: bool = False) -> None:
        super().__init__(horizon=3)
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.consecutive = consecutive
        self.record = lambda batch: batches.append(batch)

    def loss(self, batch: Batch) -> torch.Tensor:
        if not self.training:
            return self.weight.sum()
        self.record(batch)
        return -self.weight.sum()


def probe_trainer(network: Network, **options) -> Trainer:
    """Return a trainer on 5 items and 40 periods whose demand is the period's number; the last 10 are held out."""
    items, periods = 5, 40
    past, week = torch.ones(items, periods + 3, 1), torch.zeros(periods + 3, dtype=torch.int64)
    inputs = NetworkInputs(past, past, week, past[:, 0], past[..., 0], past[..., 0])
    demand = torch.arange(periods + 3.0).repeat(items, 1)
    demand[:, periods:] = torch.nan
    examples = Examples(inputs, demand, torch.ones(items), torch.arange(1, periods))
    config = NetworkConfig(**{"horizon": 3, "steps": 30, "hold_out": 0.25, "weight_decay": 0.0, **options})
    return Trainer(network, examples, config, seed=0, checkpoint=Checkpoint(None, ""))


def silent(message: str, share: float | None = None) -> None:
    """Report nothing."""


def demanded(batches: list[Batch]) -> set[int]:
    """Return the periods whose demand entered the loss."""
    return {int(period) for batch in batches for period in batch.demand[~torch.isnan(batch.demand)]}


def test_the_network_is_trained_without_the_held_out_periods_and_refitted_with_them():
    batches: list[Batch] = []
    trainer = probe_trainer(Probe(batches))
    trainer.train(silent)
    assert demanded(batches) == set(range(1, 30))
    batches.clear()
    trainer.refit(silent)
    assert demanded(batches) == set(range(1, 40))


def test_training_leaves_the_averaged_weights_with_the_least_validation_loss():
    trainer = probe_trainer(network := Probe([]), patience=4)
    trainer.train(silent)
    best = float(network.weight.detach())
    assert trainer.best_step == 11  # the first that is validated: steps are, beyond a third of the 30
    trainer = probe_trainer(network := Probe([]), patience=0, hold_out=0.0)
    trainer.train(silent)
    assert trainer.best_step == 30
    assert best < float(network.weight.detach())


def test_weights_move_by_the_learning_rate_which_is_lower_in_the_refit():
    """AdamW moves a weight with a constant gradient by the rate of each step."""
    trainer = probe_trainer(network := Probe([]), averaging=0.0, patience=0, learning_rate=0.01)
    trainer.train(silent)
    first = float(network.weight.detach())
    np.testing.assert_allclose(first, 0.01 * sum(rate_factor(k, 30) for k in range(trainer.best_step)), rtol=1e-4)
    trainer.refit(silent)
    steps = round(0.3 * trainer.best_step)
    moved = 0.01 * REFIT_RATE * sum(rate_factor(k, steps) for k in range(steps))
    np.testing.assert_allclose(float(network.weight.detach()) - first, moved, rtol=1e-4)


def test_averaged_weights_lag():
    weights = []
    for averaging in (0.0, 0.97):
        probe_trainer(network := Probe([]), averaging=averaging, hold_out=0.0).train(silent)
        weights.append(float(network.weight.detach()))
    assert weights[1] < 0.99 * weights[0]


def test_origins_follow_each_other_where_a_network_needs_that():
    for consecutive in (False, True):
        batches: list[Batch] = []
        probe_trainer(Probe(batches, consecutive=consecutive), batch_origins=6).train(silent)
        steps = [set(torch.diff(batch.origins).tolist()) for batch in batches]
        assert all(step == {1} for step in steps) == consecutive
        assert len({int(batch.origins[0]) for batch in batches}) > 3


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_items_weigh_by_a_power_of_their_scale(power: float):
    """Means of 9.9 and 0.9 units, and 0.1 that keeps a scale above zero: scales of 10 and 1."""
    panel = small_panel(items=2, periods=10)
    true = np.ones((2, 10), dtype=bool)
    panel = replace(panel, sales=np.repeat([[9.9], [0.9]], 10, axis=1), in_stock=true, listed=true)
    made = MQCNN(**QUICK, scale_power=power)
    weight = make_examples(panel, made._build_inputs(plan_inputs(panel, 4), panel), made.config).weight.numpy()
    np.testing.assert_allclose(weight[0] / weight[1], 10.0**-power, rtol=1e-6)
    np.testing.assert_allclose(np.mean(weight * [10.0, 1.0]), 1.0, rtol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_forecasts_well_what_promotions_do(name: str):
    panel, _ = promoted()
    options = {"horizon": 4, "steps": 60, "width": 16}
    forecast = make_forecaster(name, **options).fit(panel.until(100)).predict(panel, 4, origins=[100, 104, 108])
    median = forecast.quantile(0.5)
    targets = np.array([100, 104, 108])[:, None] + np.arange(4)
    first, promotion = np.arange(panel.items) % 2 == 0, panel.known["promotion"][:, targets] > 0
    base = panel.sales[:, :100].mean(1)[:, None, None] / np.where(first, 1.4, 1.0)[:, None, None]
    ratio = median / base
    assert np.median(ratio[first][promotion[first]]) > 2.3
    assert 0.8 < np.median(ratio[~first][promotion[~first]]) < 1.25


def test_the_lift_finds_the_attribute_and_what_it_does():
    panel, lift = promoted()
    plan = plan_inputs(panel, 4)
    assert plan.lift.adjustment.attribute == "category"
    got = build_inputs(panel, plan).lift
    difference = (got - got.mean(1, keepdims=True)) - (lift - lift.mean(1, keepdims=True))
    assert np.sqrt(np.mean(difference**2)) < 0.08


def test_no_lift_without_columns_and_none_when_switched_off():
    panel, _ = promoted()
    assert plan_inputs(panel, 4, adjust=False).lift.adjustment == adjustment.Adjustment()
    np.testing.assert_array_equal(build_inputs(panel, plan_inputs(panel, 4, adjust=False)).lift, 0.0)


def test_centred_sums_by_hand():
    np.testing.assert_array_equal(adjustment.centred_sums(np.array([[1.0, 2.0, 4.0, 8.0]]), 3), [[3, 7, 14, 12]])


@pytest.mark.parametrize(("sales", "unit"), [([0, 3, 7], 1.0), ([0.5, 2], 0.5), ([0.1, 0.7], 0.1), ([0.123], 0.01)])
def test_the_unit_that_sales_move_in(sales: list[float], unit: float):
    assert unit_of(np.array(sales, dtype=float)) == unit


@pytest.mark.parametrize(("encoder", "size"), [(RecurrentEncoder, 2), (WindowEncoder, 5)])
def test_encoders_are_causal(encoder: type[torch.nn.Module], size: int):
    torch.manual_seed(0)
    made = encoder(3, 8, size, 0.0).eval()
    past = torch.randn(2, 20, 3, requires_grad=True)
    made(past)[0, 12].sum().backward()
    reached = past.grad[0].abs().sum(-1)
    assert torch.all(reached[13:] == 0)
    assert torch.all(reached[8:13] > 0)


def test_bounds_recover_what_masking_loses():
    """Demand is cut at a stock that is high and low by turns: masking sees only what was below the stock."""
    rng = np.random.default_rng(0)
    demand = rng.poisson(10.0, (120, 80)).astype(float)
    stock = np.where(rng.random(demand.shape) < 0.5, 9.0, 40.0)
    sales = np.minimum(demand, stock)
    true = np.ones(demand.shape, dtype=bool)
    dates = pd.date_range("2022-01-03", periods=80, freq="W-MON")
    panel = SalesPanel(sales, demand <= stock, true, dates, tuple(map(str, range(120))), "W-MON")
    options = {"horizon": 4, "steps": 150, "width": 16, "dropout": 0.0}
    medians = [
        MQCNN(**options, censoring=censoring).fit(panel).predict(panel, 4).quantile(0.5).mean()
        for censoring in ("mask", "bound")
    ]
    assert medians[0] < 9.3
    assert 9.4 < medians[1] < 10.6


def test_an_ensemble_forecasts_the_mean_of_its_members():
    panel, options = small_panel(), {**QUICK, "refit": 0.0}

    def values(**more):
        """What the networks say before it is widened by what errors of their own were."""
        made = MQCNN(**options, **more).fit(panel)
        request = make_request(panel, 4, DEFAULT_LEVELS, None, None)
        return made._predict_quantiles(request, made.fitted.plan, made.fitted.network)

    np.testing.assert_allclose(values(members=2), (values() + values(seed=7919)) / 2, rtol=1e-6)


def test_a_quantile_function_is_monotone_everywhere_and_runs_through_its_knots():
    torch.manual_seed(0)
    head = CurveHead(8, 4, 3)
    for layer in (head.shares, head.tails, head.knots.linear):
        torch.nn.init.normal_(layer.weight, std=1.0)
    knots = torch.tensor([0.1, 0.4, 0.7, 0.9])
    curve = head(torch.randn(50, 8))
    levels = torch.linspace(0.001, 0.999, 1999)
    values = evaluate_curve(curve, knots, levels)
    assert torch.all(torch.diff(values) > -1e-5)
    np.testing.assert_allclose(evaluate_curve(curve, knots, knots).detach(), curve.knots.detach(), rtol=1e-4, atol=1e-4)


def test_a_quantile_function_by_hand():
    curve = Curve(
        knots=torch.tensor([[1.0, 3.0]]),
        place=torch.tensor([[[0.0, 0.25, 1.0]]]),
        rise=torch.tensor([[[0.0, 0.5, 1.0]]]),
        tails=torch.tensor([[0.5, 2.0]]),
    )
    levels = torch.tensor([0.1, 0.3, 0.5, 0.9])
    knots = torch.tensor([0.2, 0.6])
    # A quarter of the way lies at 0.3; 0.5 is two thirds of the rest; tails in log(0.1/0.2) and log(0.1/0.4).
    expected = [1.0 + 0.5 * np.log(0.5), 2.0, 2.0 + 2 / 3, 3.0 - 2.0 * np.log(0.25)]
    np.testing.assert_allclose(evaluate_curve(curve, knots, levels)[0], expected, rtol=1e-5)


def test_any_level_comes_from_the_quantile_function_itself():
    panel = small_panel()
    made = QuantileFunction(**QUICK).fit(panel)
    fine = made.predict(panel, 4, levels=[0.3, 0.31, 0.32])
    coarse = made.predict(panel, 4, levels=[0.3, 0.32])
    np.testing.assert_allclose(fine.values[..., [0, 2]], coarse.values, rtol=1e-6)
    assert not np.allclose(fine.values[..., 1], fine.values[..., [0, 2]].mean(-1), rtol=1e-6)


def test_deepar_counts_as_a_negative_binomial():
    count, mean, size = torch.arange(9.0), torch.tensor(3.0), torch.tensor(1.5)
    expected = nbinom.logpmf(np.arange(9), 1.5, 1.5 / 4.5)
    np.testing.assert_allclose(log_likelihood(count, mean, size), expected, rtol=1e-5)


def test_shared_uniforms_are_stratified():
    uniforms = shared_uniforms(50, 3)
    np.testing.assert_allclose(np.sort(uniforms, axis=0), (np.arange(50)[:, None] + 0.5) / 50 * np.ones(3))
    assert not np.array_equal(uniforms[:, 0], uniforms[:, 1])


def test_deepar_draws_whole_steps_of_its_unit():
    panel = small_panel()
    tenths = replace(panel, sales=panel.sales / 10)
    made = DeepAR(**QUICK, paths=11).fit(tenths)
    inputs = made._build_inputs(made.fitted.plan, tenths)
    with torch.no_grad():
        paths = made.fitted.network.double().draw_paths(inputs.double(), torch.tensor([50]))
    assert paths.any()
    np.testing.assert_allclose(paths * 10, np.round(paths * 10), atol=1e-6)


def test_the_transformers_forecast_is_a_mean_of_what_it_forecast_before():
    """With all weight on the newest forecast nothing is taken from earlier ones; with less, revisions shrink."""
    panel = small_panel(items=20, periods=70)
    made = MQTransformer(**QUICK).fit(panel)
    network = made._fitted.network

    def revisions(weight: float) -> float:
        with torch.no_grad():
            network.lag.zero_()
            network.lag[0] = weight
        origins = list(range(50, 60))
        values = made.predict(panel, 4, levels=[0.4, 0.5], origins=origins).values[..., 1]
        return (
            float(np.abs(np.diff(values[:, :, 0]) - 0).mean())
            if weight is None
            else float(np.mean([np.abs(values[:, k + 1, 2] - values[:, k, 3]).mean() for k in range(9)]))
        )

    assert revisions(0.0) < 0.9 * revisions(30.0)


def test_a_point_forecast_gets_the_distribution_of_its_errors():
    panel, _ = promoted()
    forecast = RNN(horizon=4, steps=60, width=16).fit(panel.until(100)).predict(panel, 4, origins=range(100, 116))
    targets = np.arange(100, 116)[:, None] + np.arange(4)
    for level in (0.1, 0.9):
        share = np.mean(panel.sales[:, targets] <= forecast.quantile(level))
        assert abs(share - level) < 0.07


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mqcnn", {"members": 0}, "members must be at least 1"),
        ("mqcnn", {"censoring": "guess"}, "censoring must be one of bound, mask"),
        ("deepar", {"patths": 3}, "did you mean 'paths'"),
        ("mqmlp", {"dilations": (1,)}, "no option 'dilations'"),
    ],
)
def test_bad_options_are_refused(name: str, options: dict, message: str):
    with pytest.raises(FractileError, match=message):
        make_forecaster(name, **options)


@pytest.mark.parametrize(("periods", "yearly"), [(60, False), (110, True)])
def test_a_history_too_short_for_a_season_has_no_calendar_inputs(periods: int, yearly: bool):
    panel = small_panel(periods=periods)
    plan = plan_inputs(panel, 4)
    later = build_inputs(small_panel(periods=periods + 20), plan)
    assert plan.lift.yearly == yearly
    assert (later.week.max() > 0) == yearly
    weeks = build_inputs(panel, plan).ahead
    assert weeks.shape[-1] == len(plan.lift.known) + 3 + (6 if yearly else 0)
