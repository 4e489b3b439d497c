"""The rule book of item parameters: one wording everywhere, and no parameter is a feature of a forecaster."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fractile import FORECASTERS, FractileError, InputError, ItemParams, SalesPanel, make_forecaster
from fractile.envs.core.params import params_from_items
from fractile.forecasters.data.rules import ITEM_RULES, no_order_possible
from fractile.forecasters.data.tables import read_items

NETWORKS = ("mqmlp", "rnn", "deepar", "mqrnn", "mqcnn", "mqtransformer", "quantile_function")
TREES = ("random_forest", "quantile_forest", "sqrf", "lightgbm")
QUICK = {
    **{name: {"steps": 4, "horizon": 3} for name in NETWORKS},
    **{name: {"trees": 4, "horizon": 3} for name in TREES},
    "arima": {"searched": 4, "horizon": 3},
    "ensemble": {"members": ("ets", "lightgbm"), "options": {"lightgbm": {"trees": 4}}, "horizon": 3},
}
ITEMS = 24


def items_of(step: int) -> pd.DataFrame:
    """Attributes that stay, and parameters that another step deals out to other items; a row an item."""
    item = np.arange(ITEMS)
    table = {"item_id": [f"i{k}" for k in item], "group": [f"g{k % 3}" for k in item], "size": 1.0 + item % 5}
    parameters = {name: 1 + (item * step + k) % 7 for k, name in enumerate(ITEM_RULES)}
    return pd.DataFrame({**table, **parameters, "pack_size": 1.0, "maximum_order": 1e6})


def panel_of(step: int) -> SalesPanel:
    rng = np.random.default_rng(5)
    sales = rng.poisson(3.0 + np.arange(ITEMS)[:, None] % 7, (ITEMS, 120))
    dates = pd.date_range("2022-01-03", periods=120, freq="W-MON")
    frame = pd.DataFrame(
        {
            "item_id": np.repeat([f"i{k}" for k in range(ITEMS)], 120),
            "date": np.tile(dates, ITEMS),
            "sales": sales.ravel(),
        }
    )
    return SalesPanel.from_frame(frame, items_of(step), freq="W-MON")


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_a_forecast_does_not_depend_on_item_parameters(name: str):
    cheap, dear = (panel_of(step) for step in (1, 3))
    options = {
        **QUICK.get(name, {}),
        **({} if name in ("seasonal_naive", "ets", "croston", "patchwork") else {"horizon": 3}),
    }
    made = [make_forecaster(name, **options).fit(panel).predict(panel, 3) for panel in (cheap, dear)]
    np.testing.assert_array_equal(made[0].values, made[1].values)


def test_attributes_are_what_is_no_parameter():
    panel = panel_of(1)
    assert list(panel.attributes.columns) == ["group", "size"]
    assert set(panel.static.columns) == {"group", "size", *ITEM_RULES}


@pytest.mark.parametrize("name", ITEM_RULES)
def test_files_and_params_word_a_rule_alike(name: str):
    rule, value = ITEM_RULES[name], ITEM_RULES[name].low - 1.0
    with pytest.raises(InputError) as of_file:
        read_items(pd.DataFrame({"item_id": ["a"], name: [value]}))
    with pytest.raises(FractileError) as of_params:
        ItemParams(**{name: value})
    words = f"{name} must be {rule.text}, got {value:g}; {rule.remedy}"
    assert of_file.value.faults == (f"items: row 0: {words}",)
    assert str(of_params.value) == words


def test_a_column_that_is_no_parameter_sets_none():
    table = pd.DataFrame({"lead_time": [2.0], "discount": [25.0], "capacity": [7.0], "issuing": ["odd"]})
    params = params_from_items(table)
    assert (params.lead_time.tolist(), params.discount, params.capacity, params.issuing) == ([2], 1.0, None, "fifo")


@pytest.mark.parametrize(
    ("minimum", "maximum", "pack", "stuck"),
    [
        (None, None, None, False),
        (None, 4.0, 6.0, True),
        (None, 6.0, 6.0, False),
        (7.0, 11.0, 6.0, True),
        (7.0, 12.0, 6.0, False),
        (3.0, 2.0, None, True),
        (np.nan, np.nan, np.nan, False),
        (0.0, 0.3, 0.1, False),
    ],
)
def test_orders_that_no_rule_allows(minimum, maximum, pack, stuck):
    assert bool(no_order_possible(minimum, maximum, pack)) is stuck
