"""What docs/intervals.py measures with, and that its page is made by one command."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fractile as fr
from fractile.randomness import keyed_generator

DOCS = Path(fr.__file__).parent / "docs"


@pytest.fixture
def worlds(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("intervals_worlds")


def test_policies_play_on_the_same_demand(worlds):
    up_to = worlds.Policy("up_to", 1.0)
    policies = {"one": up_to, "same": up_to, "free": worlds.Policy("capped", np.inf)}
    costs = worlds.play(
        keyed_generator(0, "same"), worlds.World(0.2, 0.3, items=5), policies, histories=3, weeks=4, lead_time=1
    )
    assert costs["one"].shape == (3, 4, 5)
    for name in ("same", "free"):
        np.testing.assert_array_equal(costs["one"], costs[name])


def test_shocks_are_common_to_all_items_and_last_as_asked(worlds):
    """With next to no stock a week's cost is the demand lost: its weekly sums move as the shocks do."""
    world = worlds.World(0.2, 0.6, items=200, skew=0.0)
    nothing = {"none": worlds.Policy("constant", 0.0)}
    weekly = np.log(
        worlds.play(keyed_generator(0, "shocks"), world, nothing, histories=100, weeks=40, lead_time=0)["none"].sum(2)
    )
    weekly = weekly - weekly.mean(1, keepdims=True)
    # Means over 40 weeks of an AR(1) of .6 take off (1.6 / .4) / 40 = a tenth of the variance; 100 histories.
    np.testing.assert_allclose(weekly.std(), 0.2 * np.sqrt(0.9), rtol=4 * 0.025)


def test_the_page_is_made_by_one_command(tmp_path):
    page = tmp_path / "statistics.md"
    command = [sys.executable, str(DOCS / "intervals.py"), "--quick", "--work", str(tmp_path), "--page", str(page)]
    subprocess.run(command, capture_output=True, text=True, check=True)
    piece = json.loads((tmp_path / "coverage" / "vn2-level-L--2.json").read_text())
    text = page.read_text(encoding="utf-8")
    assert f"| vn2 | level, L = 2 | {100 * piece['truth']:.1f} |" in text
    assert "| a planted saving of 3 % is proven, among six policies: mean of the six | ≥ 80 % |" in text
    # Right baselines raise nothing, planted mistakes what they should.
    assert "| tuned newsvendor | lost | none | 1 | 0 | – |" in text
    assert "| critical fractile of L periods | backorder | none | 1 | 1 | retuning 1, service 1 |" in text
    assert "| search that ends at its edge | lost | none | 1 | 1 | grid_edge 1" in text
