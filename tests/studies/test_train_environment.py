"""`fractile train ENV_ID`: a policy trained on an environment, compared, drawn and kept."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

import fractile as fr
from fractile.cli import app
from fractile.envs.gym.catalogue import make_source
from fractile.envs.gym.registration import ENVIRONMENTS
from fractile.policies.storage import load_policy
from fractile.progress import no_progress
from fractile.studies import train_environment as module
from fractile.studies.backtest import Study
from fractile.studies.kept_orders import next_orders
from fractile.studies.resume import resume_run
from fractile.studies.train_environment import BASELINES, optimal_cost, train_environment
from fractile.training import agents

LOST_SALES = "fractile/LostSales-v0"
TINY = {"num_envs": 16, "periods": 20, "warm_up": 4, "validation_paths": 32, "evaluations": 4}


@pytest.fixture(autouse=True)
def _small(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fractile.training.problem.DRAWN", 4000)


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def trained(out, policy="a2c", id_=LOST_SALES, **options):
    given = {"options": TINY, "steps": 2000, **options} if policy in ("a2c", "sac") else options
    return train_environment(id_, out, policy=policy, progress=no_progress, **given)


def test_a_run_holds_policy_curve_picture_and_comparison(tmp_path):
    run = trained(tmp_path / "run")
    assert run.optimum == pytest.approx(4.3953, abs=1e-4)
    assert set(run.comparison.table.index) == {"a2c", *BASELINES["lost_sales"]}
    record = json.loads((run.folder / "manifest.json").read_text())
    assert (record["status"], record["environment"], record["policy"]) == ("complete", LOST_SALES, "a2c")
    assert record["costs"]["a2c"] == pytest.approx(run.comparison.table.loc["a2c", "cost"])
    points = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [point["step"] for point in points] == sorted(point["step"] for point in points)
    assert len(points) >= 4
    assert "<svg" in (run.folder / "learning_curve.svg").read_text()
    assert not (run.folder / "checkpoint").exists()
    assert list(pd.read_csv(run.folder / "comparison.csv")["policy"]) == list(run.comparison.table.index)
    kept = load_policy("a2c", run.folder / "models")
    scenario = fr.draw_scenario(fr.Poisson(5.0), seed=0, paths=4, periods=10, span=3)
    assert fr.simulate(kept, scenario, fr.ItemParams(lead_time=2)).order.shape == (4, 10, 1)


def test_orders_of_such_a_run_are_refused(tmp_path):
    trained(tmp_path / "run", "newsvendor")
    with pytest.raises(fr.InputError, match="is a training on fractile/LostSales-v0, which has no items; train on a h"):
        next_orders(tmp_path / "run", tmp_path / "history.csv", None, None)


def test_an_interrupted_training_is_continued(tmp_path, monkeypatch):
    evaluate, seen = agents._Evaluation.evaluate, []

    def interrupted(self):
        evaluate(self)
        seen.append(self.curve[-1]["step"])
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(agents._Evaluation, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(fr.InputError, match="an interrupted run of it is kept; go on with it: fractile resume"):
        trained(tmp_path / "run")
    with pytest.raises(fr.InputError, match="was begun with another policy; continue with the same"):
        trained(tmp_path / "run", "newsvendor", resume=True, options=TINY | {"steps": 2000})
    run = resume_run(tmp_path / "run", progress=no_progress).result
    points = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    steps = [point["step"] for point in points]
    assert steps[:3] == seen[:3]
    assert steps == sorted(set(steps))
    assert steps[-1] >= 2000
    with pytest.raises(fr.InputError, match="is finished; give another --out"):
        trained(tmp_path / "run", resume=True)


@pytest.mark.parametrize("id_", ENVIRONMENTS)
def test_every_environment_has_its_baselines(id_, tmp_path):
    run = trained(tmp_path / "run", "newsvendor" if "newsvendor" in BASELINES[ENVIRONMENTS[id_]] else "a2c", id_)
    assert set(BASELINES[ENVIRONMENTS[id_]]) <= set(run.comparison.table.index)
    assert (run.comparison.table["cost"] > 0).all()


@pytest.mark.parametrize(
    ("system", "options", "expected"),
    [
        ("lost_sales", {}, 4.3953),
        ("backorder", {}, 7.1230),
        ("fixed_cost", {}, 11.46305),
        ("dual_sourcing", {}, 216.7698),
        ("lost_sales", {"pack_size": None}, None),
        ("lost_sales", {"lead_time": 9}, None),
        ("serial", {}, None),
        ("shared_capacity", {}, None),
    ],
)
def test_the_optimum_where_it_is_cheap(system, options, expected):
    found = optimal_cost(make_source(system, **options))
    assert found == (expected if expected is None else pytest.approx(expected, abs=2e-4))


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "QUICK_STEPS", 1000)
    result = invoke("train", LOST_SALES, "--policy", "a2c", "--quick", "--lead-time", "1", "--out", "run", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["environment"] == LOST_SALES
    assert document["optimum"] == pytest.approx(4.0407, abs=1e-4)
    assert {row["policy"] for row in document["table"]} == {"a2c", *BASELINES["lost_sales"]}
    assert (tmp_path / "run" / "learning_curve.svg").is_file()


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (
            ["fractile/LostSale-v0"],
            ["unknown environment 'fractile/LostSale-v0'; did you mean 'fractile/LostSales-v0'"],
        ),
        (
            [LOST_SALES, "--history", "h.csv", "--forecaster", "ets"],
            [f"leave it out, or leave {LOST_SALES} out to train on a history", "--forecaster: goes with a history"],
        ),
        (
            [LOST_SALES, "--steps", "many", "--seed", "-1"],
            ["--steps: must be a whole number >= 1", "--seed: must be a"],
        ),
        (["my_parts:Bursts"], ["my_parts:Bursts: there is no such config file; the address of a class goes with"]),
        ([LOST_SALES, "--resume"], ["--resume: needs the folder to go on in; give --out, too"]),
        ([LOST_SALES, "--policy", "hindsight"], ["'hindsight' is a bound that knows the future"]),
        ([LOST_SALES, "--policy", "pp0"], ["unknown policy 'pp0'; did you mean 'ppo'"]),
        ([LOST_SALES, "--policy", "newsvendor", "--track"], ["--track: 'newsvendor' is no agent"]),
        (["--track", "--resume"], ["--track: goes with an environment", "--resume: goes with an environment"]),
        (["--policy", "newsvendor", "--steps", "5"], ["has no option 'steps'"]),
        (["own.toml", "--policy", "ppo"], ["'net_arch'"]),
        (["own.toml", "--policy", "backprop"], ["'layers'"]),
        (["own.toml", "--policy", "auto"], ["'projected' has no option 'factor'"]),
    ],
)
def test_what_does_not_fit_is_refused_before_any_fit(arguments, messages, monkeypatch, tmp_path):
    own = {"ppo": "net_arch = [16]", "backprop": "layers = 2", "projected": "factor = 2"}
    text = "\n".join(f"[policies.options.{name}]\n{options}" for name, options in own.items())
    (tmp_path / "own.toml").write_text(text)
    monkeypatch.setattr(Study, "fit", lambda *_: pytest.fail("fitted"))
    result = invoke("train", *arguments)
    assert result.exit_code == 2
    for message in messages:
        assert message in result.stderr
