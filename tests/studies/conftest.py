"""What tests of several files of studies need."""

from __future__ import annotations

from pathlib import Path

import pytest

from fractile.progress import no_progress
from fractile.studies.config import load_config
from fractile.studies.kept_runs import train_run


@pytest.fixture(scope="module")
def train_once(tmp_path_factory):
    """Return a function that trains a policy on a history with its items, each once."""
    kept: dict[str, Path] = {}

    def make(history, items, policy):
        if policy not in kept:
            files = {"data.history": history, "data.items": items}
            chosen = {"policies.names": [policy], "policies.baseline": policy, "forecast.forecaster": "seasonal_naive"}
            target = tmp_path_factory.mktemp("runs") / policy
            config = load_config(None, {**files, **chosen, "training.simulated_paths": 1})
            kept[policy] = train_run(config, target, policy=policy, command="fractile train", progress=no_progress)
        return kept[policy]

    return make
