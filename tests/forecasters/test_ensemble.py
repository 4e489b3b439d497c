"""The mean of several forecasters."""

from __future__ import annotations

import numpy as np
import pytest

from fractile import FractileError, check_forecaster, make_forecaster
from fractile.forecasters.conformance import small_panel
from fractile.forecasters.ensemble import Ensemble

QUICK = {"mqcnn": {"steps": 20, "width": 16}}


def test_it_is_the_mean_of_its_members():
    panel = small_panel()
    ensemble = Ensemble(6, members=["ets", "mqcnn"], options=QUICK).fit(panel)
    ets = make_forecaster("ets", horizon=6).fit(panel).predict(panel, 6, origins=[40, 60])
    network = make_forecaster("mqcnn", horizon=6, **QUICK["mqcnn"]).fit(panel).predict(panel, 6, origins=[40, 60])
    got = ensemble.predict(panel, 6, origins=[40, 60])
    np.testing.assert_allclose(got.values, (ets.values + network.values) / 2)
    np.testing.assert_array_equal(got.dependence.correlation, ets.dependence.correlation)


def test_it_conforms():
    check_forecaster(lambda: Ensemble(6, members=["mqcnn", "seasonal_naive"], options=QUICK))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": ["ets"]}, "two or more"),
        ({"members": ["ets", "ets"]}, "each once"),
        ({"members": ["ets", "ensemble"]}, "no ensemble"),
        ({"members": ["ets", "etss"]}, "did you mean 'ets'"),
        ({"members": ["ets", "mqcnn"], "options": {"rnn": {}}}, "given for rnn, no members"),
        ({"members": ["ets", "mqcnn"], "options": {"mqcnn": {"step": 3}}}, "did you mean 'steps'"),
    ],
)
def test_bad_options_are_refused(options: dict, message: str):
    with pytest.raises(FractileError, match=message):
        Ensemble(**options)
