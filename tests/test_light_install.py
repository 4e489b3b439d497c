"""The light install of light.txt: what works without the heavy packages, and what is said where one is needed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fractile as fr
from fractile.errors import missing_package

ROOT = Path(fr.__file__).parent
HEAVY = {"torch", "stable-baselines3", "statsforecast", "lightgbm"}
PROGRAM = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "stable_baselines3", "statsforecast", "statsmodels", "lightgbm"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from typer.testing import CliRunner
from fractile.cli import app
import gymnasium

assert gymnasium.make_vec("fractile/LostSales-v0", num_envs=2).reset(seed=0)[0].shape[0] == 2
for line in sys.stdin.read().splitlines():
    result = CliRunner().invoke(app, line.split())
    print(result.exit_code, result.stderr.strip().splitlines()[-1] if result.exit_code else "")
"""
DATA = "--history history.csv --items items.csv"
DONE = (
    f"validate {DATA}",
    "forecast --history history.csv --forecaster patchwork --horizon 4 --out forecast.csv",
    f"train {DATA} --forecaster patchwork --policy tuned_newsvendor --out kept",
    "order --run kept --history history.csv --state state.csv --out orders.csv",
    f"train {DATA} --forecaster croston --policy generalist --out general",
    "study study.toml --quick --out study",
    "list",
)
REFUSED = {
    f"train {DATA} --forecaster mqcnn --policy newsvendor --out a": "torch",
    f"train {DATA} --forecaster ets --policy newsvendor --out b": "statsforecast",
    f"train {DATA} --forecaster sqrf --policy newsvendor --out c": "lightgbm",
    "train fractile/LostSales-v0 --policy backprop --quick --out d": "torch",
    "train fractile/LostSales-v0 --policy ppo --quick --out e": "torch",
}
STUDY = """
[data]
history = "history.csv"
items = "items.csv"
[forecast]
forecaster = "seasonal_naive"
also = ["patchwork"]
[policies]
names = ["newsvendor", "tuned_newsvendor"]
"""


def requirements(lines):
    return {line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()}


def test_the_light_install_is_all_but_the_heavy_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    light = requirements((ROOT / "light.txt").read_text(encoding="utf-8").splitlines())
    assert light <= set(project["dependencies"])
    left_out = set(project["dependencies"]) - light
    assert {name.partition(">")[0] for name in left_out} == HEAVY


def test_commands_work_or_name_what_to_install(tmp_path):
    fr.retail_panel(items=4, periods=70, seed=1).write(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY)
    lines = [*DONE, *REFUSED]
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    said = dict(zip(lines, result.stdout.splitlines(), strict=True))
    assert {line: said[line].strip() for line in DONE} == dict.fromkeys(DONE, "0")
    for line, package in REFUSED.items():
        assert said[line].startswith(f"1 error: this needs {package}, which is not installed: pip install '{package}")


@pytest.mark.parametrize("name", ["elsewhere", None, "fractile.nowhere"])
def test_other_import_errors_are_not_explained(name):
    assert missing_package(ModuleNotFoundError("No module", name=name)) is None
