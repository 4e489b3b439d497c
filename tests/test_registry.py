"""Classes of one's own by their address, or by a name that was registered."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fractile as fr
from fractile.forecasters.registry import FORECASTERS
from fractile.forecasters.storage import load_forecaster, save_forecaster
from fractile.policies.registry import POLICIES
from fractile.policies.storage import load_policy, save_policy
from fractile.registry import Registry
from fractile.studies.config import load_config

MODULE = """
import numpy as np
from fractile.forecasters.classical.naive import SeasonalNaive


class Mine:
    def __init__(self, level=12.0):
        self.level = level

    def order(self, obs):
        return np.maximum(self.level - obs.inventory_position, 0.0)


class Forgetful:
    def __init__(self, level=12.0):
        pass

    def order(self, obs):
        return 0.0 * obs.net_inventory


class Naive(SeasonalNaive):
    name = "own naive"


class Draws:
    def sample(self, rng, paths, periods):
        return rng.poisson(5.0, (paths, periods, 2)).astype(float)


class Nothing:
    pass


class Demanding:
    def __init__(self, k):
        self.k = k

    def order(self, obs):
        return self.k - obs.inventory_position


number = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of one's own, in a folder that is on the path."""
    (tmp_path / "own_module.py").write_text(MODULE)
    (tmp_path / "broken_module.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "raising_module.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("own_module", "broken_module", "raising_module"):
        sys.modules.pop(name, None)


def test_policies_by_address(own):
    policy = fr.make_policy("own_module:Mine", level=15)
    scenario = fr.draw_scenario(fr.Poisson(5.0), seed=0, paths=4, periods=9, span=3)
    params = fr.ItemParams(lead_time=2)
    start = fr.InventoryState.empty(4, 1, 2)
    mine, ours = (
        fr.simulate(one, scenario, params, initial_state=start).cost
        for one in (policy, fr.make_policy("base_stock", level=15))
    )
    np.testing.assert_array_equal(mine, ours)


def test_policies_of_ones_own_come_back_from_disk(own, tmp_path):
    save_policy("own_module:Mine", fr.make_policy("own_module:Mine", level=15.0), tmp_path / "kept")
    assert load_policy("own_module:Mine", tmp_path / "kept").level == 15.0
    assert all(":" not in path.name for path in (tmp_path / "kept").iterdir())
    with pytest.raises(fr.FractileError, match="Forgetful cannot be kept on disk: it has no attribute 'level'"):
        save_policy("own_module:Forgetful", fr.make_policy("own_module:Forgetful"), tmp_path)


def test_forecasters_by_address(own, tmp_path):
    panel = fr.retail_panel(items=4, periods=120, seed=0).panel
    made = fr.make_forecaster("own_module:Naive", horizon=3).fit(panel)
    save_forecaster(made, tmp_path)
    again = load_forecaster(tmp_path)
    assert type(again) is type(made)
    np.testing.assert_array_equal(again.predict(panel, 3).values, made.predict(panel, 3).values)


def test_study_configs_take_addresses(own):
    raw = {
        "policies": {"names": ["own_module:Mine", "newsvendor"], "options": {"own_module:Mine": {"level": 3.0}}},
        "forecast": {"forecaster": "own_module:Naive"},
    }
    config = load_config(None, raw)
    assert config.policies.names == ("own_module:Mine", "newsvendor")
    with pytest.raises(fr.InputError, match=r"forecast.forecaster: forecaster 'own_module:Mine' has no method fit"):
        load_config(None, {"forecast": {"forecaster": "own_module:Mine"}})
    with pytest.raises(fr.InputError, match=r"policies.names.0: policy 'no_module:Mine': there is no module"):
        load_config(None, {"policies": {"names": ["no_module:Mine"]}})


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("no_module:Mine", "there is no module 'no_module'; run in its folder, or put that on PYTHONPATH"),
        ("own_module:Mien", "'own_module' has no 'Mien'; did you mean 'Mine'"),
        ("own_module:Nothing", "policy 'own_module:Nothing' has no method order or plan"),
        ("own_module:number", "policy 'own_module:number' must be a class, got a int"),
        ("broken_module:Mine", "module 'broken_module' cannot be imported: No module named 'a_module_that_is_not"),
        ("raising_module:Mine", "module 'raising_module' cannot be imported: ZeroDivisionError: division by zero"),
        ("own_module:", "unknown policy 'own_module:'"),
        (":Mine", "unknown policy ':Mine'"),
    ],
)
def test_what_stands_at_no_address_is_refused(own, address, message):
    with pytest.raises(fr.FractileError, match=message):
        fr.make_policy(address)


def test_an_option_without_a_default_says_where_a_config_gives_it(own):
    where = r'needs k; give them, in a config file under \[policies.options."own_module:Demanding"\], or a default each'
    with pytest.raises(fr.FractileError, match=where):
        fr.make_policy("own_module:Demanding")
    options = {"own_module:Demanding": {"k": 3.0}}
    named = {"names": ["own_module:Demanding", "newsvendor"], "options": options}
    assert load_config(None, {"policies": named}).policies.options["own_module:Demanding"] == {"k": 3.0}


class Own:
    """A policy of one's own."""

    def order(self, obs):
        return obs.net_inventory


@pytest.fixture
def registry():
    return Registry("policy", "fractile.policies", {"newsvendor": "newsvendor:Newsvendor"}, ("order", "plan"))


def test_names_can_be_registered(registry, own):
    registry.register("own", Own)
    registry.register("mine", "own_module:Mine")
    assert registry["own"] is registry.known("own") is Own
    assert registry.make("mine", {"level": 3.0}).level == 3.0
    assert list(registry) == ["newsvendor", "own", "mine"]
    registry.register("own", Own)  # again, the same: a cell of a notebook that is run twice
    assert registry.name_of(Own) == "own"
    assert registry.name_of(registry["mine"]) == "mine"
    assert registry.name_of(registry["newsvendor"]) == "newsvendor"


@pytest.mark.parametrize(
    ("name", "found", "message"),
    [
        ("newsvendor", Own, "the policy 'newsvendor' is there already; choose another name"),
        ("a:b", Own, "must be a text without a colon, got 'a:b'"),
        ("own", "own_module", "must be module:Class, got 'own_module'"),
        ("own", int, "policy 'own' has no method order or plan"),
    ],
)
def test_what_cannot_be_registered_is_refused(registry, name, found, message):
    with pytest.raises(fr.FractileError, match=message):
        registry.register(name, found)


def test_the_public_registries_know_what_they_need(own):
    with pytest.raises(fr.FractileError, match="forecaster 'own_module:Mine' has no method fit"):
        FORECASTERS.known("own_module:Mine")
    assert POLICIES.known("own_module:Mine").__name__ == "Mine"


def test_commands_find_modules_in_their_folder(own):
    program = "from fractile.cli import main; import sys; sys.argv = ['fractile', *sys.argv[1:]]; main()"
    command = [sys.executable, "-P", "-c", program, "train", "--policy", "own_module:Mien", "--out", "run"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=own)
    assert result.returncode == 2
    assert "--policy: policy 'own_module:Mien': 'own_module' has no 'Mien'; did you mean 'Mine'" in result.stderr
