"""The benchmark measures what it says, and shows it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from fractile.policies.compiled import _compiler
from fractile.studies import bench
from fractile.studies.bench import Rate, as_document, as_table, page

needs_compiler = pytest.mark.skipif(shutil.which(_compiler()) is None, reason="there is no C++ compiler")
# Each kind of compiled work takes some ten seconds to compile: they have a test of their own.
QUICK = tuple(work for work in bench.WORKS if "compiled" not in work.what)


@pytest.fixture(scope="module")
def rates():
    patch = pytest.MonkeyPatch()
    patch.setattr(bench, "TARGET", 1e-3)
    patch.setattr(bench, "PERIODS", 20)
    patch.setattr(bench, "WORKS", QUICK)
    yield bench.benchmark((1, 64), repeats=2)
    patch.undo()


@needs_compiler
@pytest.mark.slow
def test_compiled_work_is_measured(monkeypatch):
    monkeypatch.setattr(bench, "TARGET", 1e-3)
    rates = bench.benchmark((1024,), repeats=2)
    assert sum("compiled" in rate.what for rate in rates) == 4


def test_every_kind_of_work_is_measured(rates):
    kinds = {"memory copy", *(work.what for work in QUICK)}
    single = {"gym.make(...).step", "ForecastDriven gym.make(...).step"}
    assert {(rate.what, rate.paths) for rate in rates} == {
        *((kind, 1) for kind in kinds),
        *((kind, 64) for kind in kinds - single),
    }
    assert {"Stable-Baselines3 VecEnv step", "ForecastDriven Stable-Baselines3 VecEnv step"} < kinds
    for rate in rates:
        assert 0 < rate.lowest <= rate.rate <= rate.highest
        assert rate.of_copy > 0


def test_more_paths_are_faster(rates):
    one, many = (next(r.rate for r in rates if r.what == "numpy, demand given" and r.paths == n) for n in (1, 64))
    assert many > 5 * one


def test_work_is_counted_in_transitions(monkeypatch):
    monkeypatch.setattr(bench, "TARGET", 1e-3)
    done = []
    got = bench._measure(lambda: done.append(1) or sum(range(20_000)), 10, 3)
    assert len(got) == 3
    assert np.all(np.array(got) > 0)
    assert len(done) >= 5


def test_the_page_shows_every_row():
    rates = [Rate("numpy, demand given", 64, 2.0, 1.5, 2.5, 0.02), Rate("memory copy", 64, 100.0, 90.0, 110.0, 1.0)]
    document = json.loads(json.dumps(as_document(rates)))
    assert "| numpy, demand given | 64 | 2 | 1.5 to 2.5 | 0.02 |" in as_table(document)
    assert "torch" in as_table(document)
    peers = {"rows": [{"what": "or-gym", "rate": 5000.0, "ours": 50_000.0}]}
    assert "| or-gym | 5,000 | 50,000 | 10 |" in page(document, peers)
    assert "Beside others" not in page(document)
