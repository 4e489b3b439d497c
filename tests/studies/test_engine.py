"""Studies, impacts and leagues on an engine: the same results, bit for bit, as without one."""

import importlib.util
import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from fractile.errors import WorkError
from fractile.progress import no_progress
from fractile.studies.config import load_config
from fractile.studies.impact.run import impact_run
from fractile.studies.kept_runs import train_run
from fractile.studies.league.run import lineage_run
from fractile.studies.study import run_study
from fractile.tasks import one_thread
from fractile.training.seeds import training_seeds

RAY = pytest.param(
    "ray", marks=pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra ray")
)
SMALL = {
    "data.embedded_items": 4,
    "data.embedded_periods": 70,
    "backtest.periods": 6,
    "backtest.validation": 8,
    "backtest.folds": 2,
    "backtest.simulated_histories": 4,
    "forecast.forecaster": "patchwork",
    "forecast.also": ["seasonal_naive"],
    "policies.names": ["newsvendor", "tuned_newsvendor", "backprop", "hindsight"],
    "policies.baseline": "newsvendor",
    "training.backprop_steps": 2,
    "training.seeds": 2,
    "training.refits": 1,
    "sweep.enabled": True,
    "sweep.factors": [0.5],
    "sweep.biases": [-0.2],
    "lineage.forecasters": ["seasonal_naive", "croston"],
    "lineage.horizon": 4,
    "lineage.origins": 1,
    "impact.forecasters": ["seasonal_naive", "patchwork", "truth"],
    "impact.policies": ["newsvendor", "tuned_newsvendor"],
    "impact.simulated_items": 3,
    "impact.simulated_paths": 3,
}


def config(engine=None, **more):
    scale = {} if engine is None else {"scale.engine": engine}
    scale |= {} if engine in (None, "serial") else {"scale.workers": 2}
    return load_config(None, {**SMALL, **scale, **more})


def run(kind, engine, folder):
    say = {"command": kind, "progress": no_progress}
    with one_thread():
        if kind == "train":
            return train_run(config(engine), folder, policy="backprop", **say)
        return {"study": run_study, "impact": impact_run, "lineage": lineage_run}[kind](config(engine), folder, **say)


def results(folder):
    """Return all tables and arrays of a run, but for times and what it was called with."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
            found[name] = frame.drop(columns=[column for column in frame if "seconds" in column])
        elif path.suffix == ".safetensors":
            found[name] = load_file(path)
    return found


def assert_same(folder, other):
    first, second = results(folder), results(other)
    assert first
    assert list(first) == list(second)
    for name, value in first.items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, second[name], check_exact=True, obj=name)
        else:
            assert list(value) == list(second[name])
            for key, array in value.items():
                np.testing.assert_array_equal(array, second[name][key], err_msg=f"{name} {key}")


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """Runs without an engine, each made once."""
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("without") / "run"
            run(kind, None, made[kind])
        return made[kind]

    return get


def test_an_impact_in_worker_processes_is_that_without_an_engine(without, tmp_path):
    run("impact", "process", tmp_path / "run")
    assert_same(without("impact"), tmp_path / "run")
    assert not (tmp_path / "run" / "parts").exists()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["serial", "process", RAY])
@pytest.mark.parametrize("kind", ["study", "impact", "lineage", "train"])
def test_results_are_the_same_on_every_engine(kind, engine, without, tmp_path):
    run(kind, engine, tmp_path / "run")
    assert_same(without(kind), tmp_path / "run")
    record = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert "tasks" in record.get("seconds", {"tasks": 0})


MODULE = """
import os
import signal
from pathlib import Path

from fractile.forecasters.registry import FORECASTERS

Base = FORECASTERS.known("seasonal_naive")


class Deadly(Base):
    def fit(self, panel):
        if Path({flag!r}).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(panel)
"""


@pytest.mark.slow
def test_a_forecaster_that_kills_its_workers_fails_the_run_which_can_be_resumed(tmp_path, monkeypatch):
    flag, name = tmp_path / "flag", f"deadly_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(flag=str(flag)))
    monkeypatch.syspath_prepend(tmp_path)
    asked = {"impact.forecasters": ["seasonal_naive", f"{name}:Deadly"], "backtest.folds": 1}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    with one_thread():
        impact_run(config(**asked), whole, command="impact", progress=no_progress)
    flag.touch()
    made = config("process", **asked)
    with pytest.raises(WorkError, match=f"task fit {name}:Deadly .* was ended by SIGKILL") as failed:
        impact_run(made, broken, command="impact", progress=no_progress)
    assert any("go on" in note for note in failed.value.__notes__)
    assert not broken.exists()
    flag.unlink()
    impact_run(made, broken, command="impact", progress=no_progress, resume=True)
    assert_same(whole, broken)


def test_training_seeds_begin_with_the_one_that_is_given():
    assert training_seeds({}, 5, 1) == (5,)
    assert training_seeds({"seed": 9}, 5, 3)[0] == 9
    assert len(set(training_seeds({}, 5, 4))) == 4
    assert training_seeds({}, 5, 4)[:3] == training_seeds({}, 5, 3)
