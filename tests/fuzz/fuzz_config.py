"""Mutations of a config: values of other types and sizes, keys that are not there, paths that are no files."""

from __future__ import annotations

import tomli_w
from fuzz_bytes import mutate_bytes, mutate_text
from fuzz_tables import DATES, IDS, NAMES, NUMBERS

VALUES = (
    *(0, 1, -1, 2, 3, 52, 10**6, 2**31, 2**63 - 1, -(2**63), 0.5, 1.0, -0.5, 1e300, -0.0, float("inf"), float("nan")),
    *(True, False, "", " ", "auto", "all", "none", [], {}, [[]], [1], ["a"], ["a", "a"], {"a": 1}, {"a": {"b": []}}),
)
KEYS = {
    "": ("name", "seed", "data", "backtest", "forecast", "policies", "unknown"),
    "data": ("history", "items", "state", "freq", "missing", "known", "columns", "embedded_items", "embedded_periods"),
    "defaults": (
        *("lead_time", "review_period", "holding_cost", "stockout_cost", "fixed_order_cost", "unit_cost", "price"),
        *("unmet_demand", "pack_size", "minimum_order", "maximum_order", "shelf_life", "discount", "salvage_value"),
    ),
    "backtest": ("periods", "validation", "folds", "simulated_histories"),
    "forecast": ("forecaster", "also", "horizon", "options", "files"),
    "policies": ("names", "baseline", "options"),
    "statistics": ("level", "clusters"),
    "report": ("currency",),
}
FREQUENCIES = ("W-MON", "W", "D", "MS", "ME", "h", "B", "QS", "YS", "7D", "2W-MON", "0D", "-1D", "1ns", "s", "x", "W-")
FORECASTERS = ("seasonal_naive", "etz", "croston", "mine", "a:b", "os:getcwd", "patchwork")
POLICIES = ("newsvendor", "tuned_newsvendor", "base_stock", "hindsight", "own_orders", "os:getcwd", "newsvendr", "ss")


def mutate_config(rng, config, places):
    """Return the bytes of a config after one to three changes.

    Args:
        rng: draws them.
        config: sections and their keys.
        places: paths that are no usable file: a folder, a device, a pipe, a name that is not there.
    """
    config = {key: dict(value) if isinstance(value, dict) else value for key, value in config.items()}
    for _ in range(int(rng.integers(1, 4))):
        section = list(KEYS)[rng.integers(len(KEYS))]
        key = KEYS[section][rng.integers(len(KEYS[section]))]
        if rng.random() < 0.1:
            key = (NAMES[rng.integers(len(NAMES))] or "empty")[:50]
        value = _value(rng, key, places)
        if not section:
            config[key] = value
        elif isinstance(config.setdefault(section, {}), dict):
            if key in config[section] and rng.random() < 0.1:
                del config[section][key]
            else:
                config[section][key] = value
    text = tomli_w.dumps(config)
    kind = rng.random()
    if kind < 0.15:
        return mutate_bytes(rng, text.encode("utf-8", "replace"))
    if kind < 0.2:
        return mutate_text(rng, text)
    if kind < 0.26:
        text += _tail(rng)
    return text.encode("utf-8", "replace")


def _value(rng, key, places):
    own = {"freq": FREQUENCIES, "forecaster": FORECASTERS, "names": POLICIES, "baseline": POLICIES, "also": FORECASTERS}
    own |= {name: places for name in ("history", "items", "state", "files")}
    kind = rng.random()
    if key in own and kind < 0.7:
        value = own[key][rng.integers(len(own[key]))]
        if key in ("names", "also") and rng.random() < 0.8:
            return [value]
        return {"mine": value} if key == "files" else value
    if key == "options" and kind < 0.7:
        name = (*POLICIES, *FORECASTERS)[rng.integers(len(POLICIES) + len(FORECASTERS))]
        option = ("scale", "critical_ratio", "level", "steps", "season", "x")[rng.integers(6)]
        return {name: {option: VALUES[rng.integers(len(VALUES))]}}
    if kind < 0.1:
        pool = (NUMBERS, DATES, IDS)[rng.integers(3)]
        return pool[rng.integers(len(pool))][:200]
    return VALUES[rng.integers(len(VALUES))]


def _tail(rng):
    """Return what stands at the end of a TOML file, and is odd or wrong."""
    return (
        "x = " + "[" * 5000 + "]" * 5000,
        "x = " + "{a=" * 5000 + "1" + "}" * 5000,
        "[" + ".".join("a" * 3000) + "]\n",
        "seed = " + "9" * 5000,
        "seed = 0x" + "f" * 5000,
        "[data]\n[data]\n",
        'name = "' + "x" * 100_000 + '"\n',
        "x = 1979-05-27T07:32:00Z\ny = 07:32:00\n",
        'x = """' + "\n" * 10_000,
        "\n" * 100_000,
        "".join(f"k{k} = 1\n" for k in range(3000)),
    )[rng.integers(11)]
