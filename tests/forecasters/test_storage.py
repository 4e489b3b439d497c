"""What is saved comes back, to the last bit, in a fresh process, and never by running anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

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
    with pytest.raises(FractileError, match=r"thing\.safetensors: not as it was saved \(its SHA-256 differs\)"):
        load_state(tmp_path, "thing")
    (tmp_path / "thing.json").write_text("{}")
    with pytest.raises(FractileError, match=r"thing\.safetensors: cannot be read"):
        load_state(tmp_path, "thing")


def forget_checksums(folder: Path) -> None:
    """Leave out the hashes, as files of earlier versions do, and as whoever changes a file can."""
    content = json.loads((folder / "thing.json").read_text())
    del content["sha256"]
    (folder / "thing.json").write_text(json.dumps(content))
    arrays = load_file(folder / "thing.safetensors")
    save_file(arrays, folder / "thing.safetensors", metadata={"order": json.dumps(list(arrays))})


@pytest.mark.parametrize("ending", ["json", "safetensors"])
def test_every_flipped_bit_is_found(ending: str, tmp_path: Path):
    """All bits of both files, one at a time: a value never changes without a word."""
    config, arrays = {"x": [1, 2.5, "é"]}, {"a": np.arange(3.0)}
    save_state(tmp_path, "thing", config, arrays)
    path = tmp_path / f"thing.{ending}"
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            got, back = load_state(tmp_path, "thing")
        except FractileError:
            continue
        assert (ending, got) == ("json", config)  # white space
        np.testing.assert_array_equal(back["a"], arrays["a"])


def test_files_of_earlier_versions_are_read(tmp_path: Path):
    save_state(tmp_path, "thing", {"x": 1}, {"a": np.ones(3)})
    forget_checksums(tmp_path)
    config, arrays = load_state(tmp_path, "thing")
    assert config == {"x": 1}
    np.testing.assert_array_equal(arrays["a"], np.ones(3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deep"),
        ('{"x": NaN}', "NaN is no number of JSON"),
        ('{"x": 1e999}', "the number 1e999 is too large"),
        ("[]", "no JSON object"),
        ("{", "is damaged"),
        ('{"sha256": 3}', "not as it was saved"),
        ("{}", "not as it was saved"),
    ],
)
def test_json_of_unknown_origin_is_refused_by_name(text: str, message: str, tmp_path: Path):
    save_state(tmp_path, "thing", {}, {"a": np.ones(3)})
    (tmp_path / "thing.json").write_text(text)
    with pytest.raises(FractileError, match=message) as fault:
        load_state(tmp_path, "thing")
    assert str(tmp_path / "thing") in str(fault.value)


def test_nothing_leads_out_of_the_folder(tmp_path: Path):
    save_state(tmp_path / "elsewhere", "thing", {}, {"a": np.ones(3)})
    save_state(tmp_path / "here", "thing", {}, {"a": np.ones(3)})
    for ending in ("json", "safetensors"):
        path = tmp_path / "here" / f"thing.{ending}"
        kept = path.read_bytes()
        path.unlink()
        path.symlink_to(tmp_path / "elsewhere" / f"thing.{ending}")
        with pytest.raises(FractileError, match=rf"thing\.{ending}: is a link out of its folder"):
            load_state(tmp_path / "here", "thing")
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(FractileError, match=rf"thing\.{ending}: is neither a file nor a folder"):
            load_state(tmp_path / "here", "thing")
        path.unlink()
        path.write_bytes(kept)
    for name in ("../elsewhere/thing", str(tmp_path / "elsewhere" / "thing"), ""):
        with pytest.raises(FractileError, match=r"leaves the folder|is missing"):
            load_state(tmp_path / "here", name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 2**20}, "the weights are not those of a network of these sizes"),
        ({"members": 10**9}, "1,000,000,000 members or layers cannot have"),
        ({"dilations": list(range(1, 1000))}, "999 members or layers cannot have"),
    ],
)
def test_a_network_takes_no_memory_for_sizes_that_its_weights_do_not_have(changes, message, tmp_path: Path):
    """A file of a few bytes could ask for more memory than there is; in a network of two members, too."""
    for members in (1, 2):
        made = make_forecaster("mqcnn", steps=2, horizon=2, members=members).fit(small_panel().until(50))
        config, arrays = made.to_state()
        load = type(made).from_state
        load(config, arrays)
        family = next(value for value in config.values() if isinstance(value, dict) and "config" in value)
        family["config"] |= changes
        with pytest.raises(FractileError, match=message):
            load(config, arrays)


def test_a_file_imports_no_code(tmp_path: Path, monkeypatch):
    """A forecaster's file may name a class of one's own; its module must be there already."""
    (tmp_path / "not_imported_yet.py").write_text("raise SystemExit('was run')")
    monkeypatch.syspath_prepend(tmp_path)
    save_state(tmp_path, "forecaster", {"forecaster": "not_imported_yet:Mine", "config": {}}, {})
    with pytest.raises(FractileError, match="names a forecaster of your own, not_imported_yet:Mine, and files import"):
        load_forecaster(tmp_path)


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
