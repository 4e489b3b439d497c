"""What is saved comes back, to the last bit, in a fresh process, and never by running anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fractile import (
    FORECASTERS,
    FractileError,
    make_forecaster,
)
from fractile.forecasters.conformance import small_panel
from fractile.forecasters.storage import load_forecaster, load_state, save_forecaster, save_state

NETWORKS = ("mqmlp", "rnn", "deepar", "mqrnn", "mqcnn", "mqtransformer", "quantile_function")
TREES = ("random_forest", "quantile_forest", "sqrf", "lightgbm")
QUICK = {
    **{name: {"steps": 5, "horizon": 6} for name in NETWORKS},
    **{name: {"trees": 8, "horizon": 6} for name in TREES},
    "arima": {"searched": 6},
    "ensemble": {"horizon": 6, "members": ("ets", "mqcnn"), "options": {"mqcnn": {"steps": 5}}},
}

SCRIPT = """
import sys, pathlib, numpy as np
from fractile.forecasters.conformance import small_panel
from fractile.forecasters.storage import load_forecaster
for folder in pathlib.Path(sys.argv[1]).iterdir():
    forecast = load_forecaster(folder).predict(small_panel(), 6, origins=[40, 60])
    np.savez(folder / "out.npz", values=forecast.values, total=forecast.total(4).values)
"""


def test_state_comes_back_with_types_and_shapes(tmp_path: Path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([True, False]), "c": np.asarray(3)}
    save_state(tmp_path / "deep", "thing", {"x": [1, None, "é"]}, arrays)
    config, back = load_state(tmp_path / "deep", "thing")
    assert config == {"x": [1, None, "é"]}
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["thing.json", "thing.safetensors"]


def test_state_without_arrays_comes_back(tmp_path: Path):
    save_state(tmp_path, "bare", {"x": 1}, {})
    assert load_state(tmp_path, "bare") == ({"x": 1}, {})


def test_arrays_that_are_not_contiguous_come_back(tmp_path: Path):
    array = np.arange(12.0).reshape(3, 4).T[::2]
    save_state(tmp_path, "thing", {}, {"a": array})
    np.testing.assert_array_equal(load_state(tmp_path, "thing")[1]["a"], array)


def test_texts_are_no_arrays(tmp_path: Path):
    with pytest.raises(FractileError, match="must be numeric"):
        save_state(tmp_path, "thing", {}, {"a": np.array(["x"])})


def test_a_missing_file_is_named(tmp_path: Path):
    save_state(tmp_path, "thing", {}, {})
    (tmp_path / "thing.safetensors").unlink()
    with pytest.raises(FractileError, match=r"thing\.safetensors is missing"):
        load_state(tmp_path, "thing")


def test_a_damaged_file_is_named(tmp_path: Path):
    save_state(tmp_path, "thing", {}, {"a": np.ones(3)})
    (tmp_path / "thing.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(FractileError, match="cannot be read"):
        load_state(tmp_path, "thing")


def test_saved_forecasters_repeat_themselves_in_a_fresh_process(tmp_path: Path):
    expected = {}
    for name in FORECASTERS:
        forecaster = make_forecaster(name, **QUICK.get(name, {})).fit(small_panel().until(50))
        save_forecaster(forecaster, tmp_path / name)
        expected[name] = forecaster.predict(small_panel(), 6, origins=[40, 60])
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True, timeout=120)
    for name, forecast in expected.items():
        got = np.load(tmp_path / name / "out.npz")
        np.testing.assert_array_equal(got["values"], forecast.values, err_msg=name)
        np.testing.assert_array_equal(got["total"], forecast.total(4).values, err_msg=name)


def test_loading_needs_a_saved_forecaster(tmp_path: Path):
    with pytest.raises(FractileError, match="is missing"):
        load_forecaster(tmp_path)
