"""The root is a package, but not one of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


class RootIsAFolder:
    """Keeps pytest from importing the root's `__init__.py` a second time, under the clone's folder name."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path, parent):
        return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None


def pytest_configure(config):
    config.pluginmanager.register(RootIsAFolder())
