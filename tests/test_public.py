"""The public face."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import fractile as fr

MODULES = [m.name for m in pkgutil.walk_packages(fr.__path__, "fractile.") if not m.name.startswith("fractile.tests")]
OURS = [
    m
    for m in MODULES
    if m.split(".")[1] not in ("tests", "benchmarks", "notebooks", "docs", "build", "dist", "__main__")
]

CONTRACT = [
    *("step", "InventoryState", "PeriodOutcome", "ItemParams", "Scenario", "Observation", "Trajectory", "simulate"),
    *("compare", "Policy", "Forecaster", "make_forecaster", "make_policy", "FORECASTERS", "POLICIES"),
    *("check_policy", "check_forecaster", "check_dynamics", "SalesPanel", "load_panel", "QuantileForecast"),
    *("Poisson", "NegativeBinomial", "Geometric", "Normal", "Replay", "ForecastDemand", "make_sb3_env"),
]


@pytest.mark.parametrize("name", sorted({*fr.__all__, *CONTRACT}))
def test_public_names_load(name):
    assert getattr(fr, name) is not None
    assert name in dir(fr)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="No fractile attribute sarsa"):
        fr.sarsa  # noqa: B018


@pytest.mark.parametrize("name", OURS)
def test_examples_in_docstrings_hold(name):
    failures, _ = doctest.testmod(importlib.import_module(name))
    assert failures == 0
