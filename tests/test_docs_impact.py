"""The script of docs/impact.md: the spreadsheet's forecast knows the past alone, and the page says what was found."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fractile as fr

FOLDER = Path(fr.__file__).parent / "docs"


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, str(FOLDER))
    try:
        import impact as script
        import impact_page as page

        yield script, page
    finally:
        sys.path.remove(str(FOLDER))


def test_the_spreadsheet_forecasts_from_the_past_alone(scripts):
    script, _ = scripts
    panel = fr.retail_panel(items=5, periods=60, seed=1).panel
    forecast = script.spreadsheet(panel, 40, 3)
    assert forecast.values.shape == (5, 20, 3, len(script.LEVELS))
    assert forecast.values.max() > 0
    later = replace(panel, sales=np.where(np.arange(60) < 50, panel.sales, 99.0))
    same = script.spreadsheet(later, 40, 3)
    np.testing.assert_array_equal(same.values[:, :11], forecast.values[:, :11])
    assert not np.array_equal(same.values[:, 11:], forecast.values[:, 11:])


def test_the_page_says_where_the_truth_ranks(scripts):
    _, page = scripts
    rows = [{"forecaster": f, "policy": p, "cost": c} for f, p, c in (("truth", "n", 1.0), ("ets", "n", 2.0))]
    first = page.truth_sentence({"embedded": {"cells": rows}})
    assert first == "The true quantiles rank first in money under every policy: 1 of 2 with n."
    rows[0]["cost"] = 3.0
    assert page.truth_sentence({"embedded": {"cells": rows}}) == "The true quantiles in money: 2 of 2 with n."
