"""What is saved comes back, to the last bit, in a fresh process, and never by running anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fractile import FORECASTERS, FractileError, make_forecaster, retail_panel
from fractile.forecasters.conformance import small_panel
from fractile.forecasters.storage import load_forecaster, load_state, save_forecaster, save_state

NETWORKS = ("mqmlp", "rnn", "deepar", "mqrnn", "mqcnn", "mqtransformer", "quantile_function")
TREES = ("random_forest", "quantile_forest", "sqrf", "lightgbm")
QUICK = {
    **{name: {"steps": 5, "horizon": 6} for name in NETWORKS},
    **{name: {"trees": 8, "horizon": 6} for name in TREES},
    "arima": {"searched": 6},
    "ensemble": {"horizon": 6, "members": ("patchwork", "mqcnn"), "options": {"mqcnn": {"steps": 5}}},
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
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["thing.json", "thing.safetensors"]


def test_arrays_come_back_in_the_order_in_which_they_were_given(tmp_path: Path):
    """The file sorts them by type and name; a feature index that is built from them must not be shuffled."""
    names = ["month", "a", "z", "b", "y"]
    save_state(tmp_path, "thing", {}, {k: np.ones(n, np.float32 if n % 2 else bool) for n, k in enumerate(names)})
    assert list(load_state(tmp_path, "thing")[1]) == names


def test_state_without_arrays_comes_back(tmp_path: Path):
    save_state(tmp_path, "bare", {"x": 1}, {})
    assert load_state(tmp_path, "bare") == ({"x": 1}, {})


def test_arrays_that_are_not_contiguous_come_back(tmp_path: Path):
    array = np.arange(12.0).reshape(3, 4).T[::2]
    save_state(tmp_path, "thing", {}, {"a": array})
    np.testing.assert_array_equal(load_state(tmp_path, "thing")[1]["a"], array)


@pytest.mark.parametrize(
    "array",
    [
        np.asarray(3.5),
        np.asarray(True),
        np.zeros((0, 3)),
        np.zeros((4, 0), dtype=np.int8),
        np.arange(3, dtype=">f8"),
        np.asarray(7, dtype=">i4"),
        np.array([[True], [False]]),
        np.arange(6.0)[::-2],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.broadcast_to(np.arange(3.0), (2, 3)),
        np.array([np.nan, np.inf, -0.0]),
        np.array([2**63 - 1, -(2**63)]),
        np.ones(2, dtype=np.float16),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_any_numeric_array_comes_back_with_shape_and_bits(array: np.ndarray, tmp_path: Path):
    save_state(tmp_path, "thing", {}, {"a": array})
    back = load_state(tmp_path, "thing")[1]["a"]
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("=")
    assert back.tobytes() == array.astype(back.dtype).tobytes()
    assert back.flags.writeable


@pytest.mark.parametrize("array", [np.array(["x"]), np.array([1j]), np.array([object()]), np.array([1.0], "g")])
def test_other_arrays_are_refused(array: np.ndarray, tmp_path: Path):
    with pytest.raises(FractileError, match="array 'a' must be numeric to be saved"):
        save_state(tmp_path, "thing", {}, {"a": array})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [float("nan"), np.arange(3), np.float32(1)])
def test_configurations_that_json_cannot_hold_are_refused(value: object, tmp_path: Path):
    with pytest.raises(FractileError, match="thing: the configuration cannot be written as JSON"):
        save_state(tmp_path, "thing", {"x": value}, {})
    assert not list(tmp_path.iterdir())


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


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_a_forecaster_comes_back_from_a_file(name: str, tmp_path: Path):
    """On a panel with launches, prices and promotions, so that every component is fitted and has a state."""
    panel = retail_panel(items=40, periods=110).panel
    forecaster = make_forecaster(name, **QUICK.get(name, {})).fit(panel.until(100))
    save_forecaster(forecaster, tmp_path)
    copy = load_forecaster(tmp_path)
    expected, got = (each.predict(panel, 6, origins=[60, 100]) for each in (forecaster, copy))
    np.testing.assert_array_equal(got.values, expected.values)
    np.testing.assert_array_equal(got.total(6).values, expected.total(6).values)
    for key, array in forecaster.to_state()[1].items():
        back = copy.to_state()[1][key]
        assert (np.shape(back), np.asarray(back).dtype) == (np.shape(array), np.asarray(array).dtype), key
        np.testing.assert_array_equal(back, array)


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
