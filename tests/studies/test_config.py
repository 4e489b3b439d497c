"""Study configs: defaults, paths, every fault at once, and TOML there and back."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fractile import InputError, make_forecaster
from fractile.studies.config import QUICK_STEPS, StudyConfig, load_config


def faults_of(raw):
    with pytest.raises(InputError) as caught:
        load_config(None, raw)
    return list(caught.value.faults)


def test_the_default_study_is_the_embedded_panel():
    config = load_config()
    assert config.name == "embedded"
    assert config.data.history is None
    assert (config.data.embedded_items, config.data.embedded_periods) == (300, 157)
    assert (config.backtest.periods, config.backtest.folds, config.backtest.validation) == (None, 2, 26)
    assert config.forecast.names == ("mqcnn", "seasonal_naive", "ets")
    assert config.policies.baseline == "cheapest"
    assert config == StudyConfig()


def test_a_config_is_frozen():
    config = load_config()
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 2


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"seed": -1}, "seed: must be a whole number from 0 to 4294967295, got -1"),
        ({"seed": True}, "seed: must be a whole number from 0 to 4294967295, got True"),
        ({"name": "../up"}, "name: must be a text that can name a folder, got '../up'"),
        ({"name": ".."}, "name: must be a text that can name a folder, got '..'"),
        ({"data": 3}, "data: must be a table, got 3"),
        (
            {"data": {"missing": "skip"}},
            "data.missing: must be one of 'error', 'zero', 'unknown', got 'skip'",
        ),
        ({"data": {"known": "price"}}, "data.known: must be a list of column names, got 'price'"),
        (
            {"defaults": {"lead_time": 1.5}},
            "defaults.lead_time: must be a whole number of periods >= 0 (round a mean lead time), got 1.5",
        ),
        (
            {"defaults": {"holding_cost": float("nan")}},
            "defaults.holding_cost: must be a number >= 0, got nan",
        ),
        (
            {"defaults": {"holding_cost": float("inf")}},
            "defaults.holding_cost: must be a number >= 0, got inf",
        ),
        ({"defaults": {"stockout_cost": "9"}}, "defaults.stockout_cost: must be a number >= 0, got '9'"),
        (
            {"defaults": {"holding_cost": 0, "stockout_cost": 0}},
            "defaults.stockout_cost: must be > 0 where holding_cost is 0, got 0",
        ),
        (
            {"defaults": {"unmet_demand": 1.5}},
            "defaults.unmet_demand: must be 'lost', 'backorder' or the share that is lost, between 0 and 1, got 1.5",
        ),
        (
            {"defaults": {"minimum_order": 5.0, "maximum_order": 2.0}},
            "defaults.maximum_order: no order is possible: minimum_order 5 exceeds maximum_order 2; correct one of "
            "them",
        ),
        (
            {"defaults": {"pack_size": 6.0, "maximum_order": 4.0}},
            "defaults.maximum_order: no order is possible: pack_size 6 has no multiple in (0, 4]; correct pack_size, "
            "minimum_order or maximum_order",
        ),
        ({"statistics": {"level": 1}}, "statistics.level: must be a number between 0 and 1, got 1"),
        ({"data": {"items": "a.csv"}}, "data.items: needs a history; give data.history (--history), too"),
        (
            {"data": {"embedded_periods": 38}},
            "data.embedded_periods: must be more than backtest.periods + backtest.validation = 38, got 38",
        ),
        ({"policies": {"names": []}}, "policies.names: must be a list of at least one policy name, got []"),
        (
            {"forecast": {"also": ["ets", "ets"]}},
            "forecast.also: each name may stand once, got 'ets' more than once",
        ),
        (
            {"policies": {"names": ["ppo", "newsvendor"], "baseline": "projected"}},
            "policies.baseline: must be one of policies.names (ppo, newsvendor) or 'cheapest', got 'projected'; "
            "add it to the names or choose another baseline",
        ),
    ],
)
def test_a_fault_names_key_rule_and_value(raw, message):
    assert faults_of(raw) == [message]


@pytest.mark.parametrize(
    ("raw", "start"),
    [
        (
            {"backtest": {"perods": 3}},
            "backtest.perods: unknown key; did you mean 'periods'? known: folds, periods, simulated_histories",
        ),
        ({"sed": 1}, "sed: unknown key; did you mean 'seed'? known: backtest, choice, data"),
        (
            {"forecast": {"forecaster": "mqcn"}},
            "forecast.forecaster: unknown forecaster 'mqcn'; did you mean 'mqcnn'",
        ),
        (
            {"forecast": {"also": ["ets", "etz"]}},
            "forecast.also.1: unknown forecaster 'etz'; did you mean 'ets'?",
        ),
        (
            {"forecast": {"options": {"etz": {}}}},
            "forecast.options.etz: unknown forecaster 'etz'; did you mean",
        ),
        (
            {"policies": {"names": ["pp0", "tuned_newsvendor"]}},
            "policies.names.0: unknown policy 'pp0'; did you mean",
        ),
        (
            {"policies": {"options": {"ppo": {"a": {"b": 1}}}}},
            "policies.options.ppo.a: must be a table by policy",
        ),
        (
            {"forecast": {"options": {"ets": {"a": float("inf")}}}},
            "forecast.options.ets.a: must be a table by",
        ),
        ({"data": {"columns": {"sales": 1}}}, "data.columns.sales: must be a table of our column names"),
    ],
)
def test_an_unknown_name_gets_a_suggestion(raw, start):
    (fault,) = faults_of(raw)
    assert fault.startswith(start)


def test_all_faults_come_together():
    faults = faults_of(
        {
            "sed": 1,
            "data": {"missing": "x"},
            "defaults": {"lead_time": -1, "pack_size": 0},
            "policies": {"names": []},
        }
    )
    paths = {fault.partition(":")[0] for fault in faults}
    assert paths == {"sed", "data.missing", "defaults.lead_time", "defaults.pack_size", "policies.names"}


def test_paths_in_a_file_are_relative_to_it(tmp_path, monkeypatch):
    folder = tmp_path / "shop one"
    folder.mkdir()
    file = folder / "study.toml"
    file.write_text('[data]\nhistory = "h.csv"\nitems = "../i.csv"\n')
    monkeypatch.chdir(tmp_path)
    config = load_config(file.relative_to(tmp_path), {"data.state": "s.csv"})
    assert config.data.history == folder / "h.csv"
    assert config.data.items == tmp_path / "i.csv"
    assert config.data.state == tmp_path / "s.csv"
    assert config.name == "shop_one"


def test_options_override_the_file(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text('name = "a"\nseed = 1\n[defaults]\nlead_time = 3\nholding_cost = 2\n')
    config = load_config(file, {"seed": 5, "defaults.lead_time": 0, "forecast.options.ets.season": 4})
    assert (config.name, config.seed) == ("a", 5)
    assert (config.defaults.lead_time, config.defaults.holding_cost) == (0, 2.0)
    assert config.forecast.options == {"ets": {"season": 4}}


def test_faults_of_a_file_name_it_and_those_of_options_do_not(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text("sed = 1\n")
    with pytest.raises(InputError) as caught:
        load_config(file, {"defaults.lead_time": "two"})
    first, second = sorted(caught.value.faults, key=len, reverse=True)
    assert first.startswith(f"{file}: sed: unknown key")
    assert second.startswith("defaults.lead_time: must be")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed = 1\nname = = 2\n", r"study\.toml: is not valid TOML: .*\(at line 2, column 8\)"),
        (b'name = "\xff"\n', r"study\.toml: is not UTF-8 text"),
    ],
)
def test_a_broken_file_says_where(tmp_path, content, message):
    file = tmp_path / "study.toml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_config(file)


def test_a_missing_file_and_a_folder_are_faults(tmp_path):
    with pytest.raises(InputError, match="there is no such config file"):
        load_config(tmp_path / "study.toml")
    with pytest.raises(InputError, match="is a folder"):
        load_config(tmp_path)


def test_quick_is_smaller_and_never_larger():
    quick = load_config().quick()
    assert (quick.data.embedded_items, quick.forecast.also) == (60, ("seasonal_naive",))
    assert quick.forecast.options["mqcnn"]["steps"] == QUICK_STEPS
    assert (quick.training.simulated_paths, quick.training.backprop_steps) == (1, 60)
    assert (quick.training.ppo_steps, quick.training.refits, quick.training.seeds) == (20_000, 1, 1)
    assert (quick.backtest.folds, quick.backtest.simulated_histories) == (1, 20)
    assert (quick.choice.forecasters, quick.choice.windows) == (("patchwork",), 2)
    small = load_config(
        None,
        {
            "data.embedded_items": 10,
            "forecast.also": [],
            "forecast.options.mqcnn.steps": 1,
            "backtest": {"folds": 1, "simulated_histories": 5},
            "training": {"refits": 1, "simulated_paths": 1, "backprop_steps": 2, "ppo_steps": 3, "seeds": 1},
            "impact": {"simulated_items": 12, "simulated_paths": 12, "forecasters": ["ets"]},
            "choice": {"forecasters": ["ets"], "policies": ["newsvendor"], "windows": 2, "steps": 2},
        },
    )
    assert small.quick() == small.with_overrides({"lineage.quick": True})


SCALARS = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
FILES = st.none() | st.text("abc/ é\"'", min_size=1).map(Path)


@st.composite
def configs(draw):
    names = st.sampled_from(["mqcnn", "seasonal_naive", "ets"])
    history = draw(FILES)
    optional_units = st.none() | st.floats(0.5, 5)
    raw = {
        "seed": draw(st.integers(0, 2**32 - 1)),
        "data": {
            "history": history,
            "items": draw(FILES) if history else None,
            "freq": draw(st.none() | TEXTS),
            "missing": draw(st.sampled_from(["error", "zero", "unknown"])),
            "known": draw(st.none() | st.lists(TEXTS, unique=True, max_size=3)),
            "columns": draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
        },
        "defaults": {
            "lead_time": draw(st.integers(0, 9)),
            "holding_cost": draw(st.floats(1e-300, 1e300)),
            "unmet_demand": draw(st.sampled_from(["lost", "backorder"]) | st.floats(0, 1)),
            "pack_size": draw(optional_units),
            "minimum_order": draw(optional_units),
        },
        "forecast": {
            "forecaster": draw(names),
            "horizon": draw(st.none() | st.integers(1, 99)),
            "options": draw(st.dictionaries(names, st.dictionaries(TEXTS, SCALARS | st.lists(SCALARS, max_size=3)))),
        },
        "statistics": {"level": draw(st.floats(0.01, 0.99))},
    }
    return StudyConfig.from_mapping(raw)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(config=configs())
def test_toml_reads_back_as_the_same_config(config, tmp_path_factory):
    file = tmp_path_factory.mktemp("config") / "config.toml"
    file.write_text(config.to_toml(), encoding="utf-8", newline="\n")
    assert load_config(file) == config


def test_toml_reads_back_with_its_types():
    options = {"a b": 1, "c": -0.0, "d": [True, 'x\n\x7f"\\'], "e": [], "g.h": 1e-7, "i": 2.0, "j": "2"}
    config = load_config(None, {"forecast.options": {"ets": options, "mqcnn": {}}})
    read = tomllib.loads(config.to_toml())["forecast"]["options"]
    assert read == {"ets": options, "mqcnn": {}}
    assert {key: type(value) for key, value in read["ets"].items()} == {key: type(options[key]) for key in options}
    assert np.signbit(read["ets"]["c"])


def test_toml_leaves_out_what_is_not_set():
    read = tomllib.loads(load_config().to_toml())
    assert "history" not in read["data"]
    assert "horizon" not in read["forecast"]


def test_a_quick_study_asks_for_options_that_there_are():
    options = load_config().quick().forecast.options
    for name, values in options.items():
        make_forecaster(name, **values)
    assert set(options) == {"mqcnn"}
