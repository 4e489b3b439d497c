"""What policies save on four panels, held out in time and in simulation: a section of docs/policies.md.

Every panel is one backtest as `fractile study` makes it. The periods held out are 26 weeks, or 8 weeks of days; what
policies learn from and are chosen on lies before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
from lineage import PANELS as LOADERS
from policies_settings import Settings

import fractile as fr
from fractile.envs.core.types import with_protection_totals
from fractile.envs.demand.forecast_demand import ForecastDemand
from fractile.envs.demand.model import uncensored
from fractile.policies.base import Planner
from fractile.policies.rollout import policy_of_items
from fractile.randomness import keyed_generator
from fractile.studies.backtest import Backtest, Study, begin
from fractile.studies.config import StudyConfig, load_config
from fractile.studies.data import StudyData, item_params, load_data
from fractile.studies.headline import choose_baseline
from fractile.studies.report.text import interval, label, percent
from fractile.studies.statistics import paired_saving
from fractile.training.choice import saving_of
from fractile.training.train import TrainingProblem, is_learned, train_policy

PATHS, SIMULATED_ITEMS = 1000, 8
"""Of the simulated world: paths, and items that each of them holds."""
QUICK_ITEMS = 60
LOOKAHEAD_ITEMS = 1000
"""Panels of more items are compared without `lookahead`, which takes ten times as long as `projected`."""
HALVES = ("embedded",)
"""Panels on which a policy trained on half of the items serves the other half."""


@dataclass(frozen=True)
class PanelCase:
    """One of the panels.

    Attributes:
        title: what it is.
        held_out: periods.
        forecaster: that policies see; chosen for its speed, or on earlier windows, never on those held out.
        defaults: costs and lead times where the panel has none.
    """

    title: str
    held_out: int
    forecaster: str
    defaults: Mapping[str, float] = field(default_factory=dict)


WHOLESALE = {"lead_time": 2, "holding_cost": 0.2, "stockout_cost": 1.0}
CASES = {
    "embedded": PanelCase("the embedded panel", 26, "mqcnn"),
    "vn2": PanelCase("VN2, weekly", 26, "lightgbm"),
    "online_retail_uci": PanelCase("Online Retail (UCI), weekly", 26, "patchwork", WHOLESALE),
    "freshretailnet50k": PanelCase("FreshRetailNet-50K, 5,000 series, daily", 56, "patchwork"),
}


def measure(settings: Settings) -> pd.DataFrame:
    """Return a row for each panel and policy, and one for each panel's exchange of halves."""
    rows: list[dict[str, Any]] = []
    for name in CASES:
        if name != "embedded" and (settings.data is None or not (settings.data / name).is_dir()):
            print(f"{name} is not in the data folder and is left out")
            continue
        if settings.skips("panels", name):
            continue
        rows += settings.kept("panels", name, lambda name=name: run_panel(name, settings))["rows"]
    return pd.DataFrame(rows)


def load_case(name: str, settings: Settings) -> tuple[StudyConfig, StudyData]:
    """Return a panel's config and data."""
    case, seed = CASES[name], settings.seeds[0]
    given: dict[str, Any] = {
        "seed": seed,
        "backtest.periods": case.held_out,
        "forecast.forecaster": case.forecaster,
        "forecast.also": [],
        **{f"defaults.{key}": value for key, value in case.defaults.items()},
    }
    if name == "vn2" and settings.data is not None:
        given |= {f"data.{key}": settings.data / name / file for key, file in VN2_FILES.items()}
    config = load_config(None, given)
    config = config.quick() if settings.quick else config
    loader = LOADERS[name].load
    if loader is None or name == "vn2":
        data = load_data(config)
    else:
        assert settings.data is not None
        panel = loader(settings.data)
        data = StudyData(panel, item_params(panel, None, config.defaults), uncensored(panel))
    if settings.quick:
        some = np.arange(min(QUICK_ITEMS, data.panel.items))
        data = StudyData(data.panel.select(some), data.params.select(some), data.demand[some])
    return config, data


VN2_FILES = {"history": "history.parquet", "items": "items.csv"}


def run_panel(name: str, settings: Settings) -> dict[str, Any]:
    """Run a panel's backtest, the simulated world beside it, and the exchange of halves."""
    config, data = load_case(name, settings)
    study = begin(config, config.backtest.periods, lambda *_: None, data)
    names = [n for n in config.policies.names if n != "hindsight"]
    if data.panel.items <= LOOKAHEAD_ITEMS and "lookahead" not in names:
        names.append("lookahead")
    backtest = study.backtest(config.forecast.forecaster, names)
    # The simulated world, the notes and the costs where policies are chosen are those before the first fold.
    first, played = backtest.folds[0], backtest.trajectories
    trained, learning = first.trained, first.forecasts.learning
    assert learning is not None
    baseline = choose_baseline("cheapest", trained)
    policies = {n: p for n, p in trained.policies.items() if not isinstance(p, Planner)}
    simulated = simulate_world(study, backtest, policies, baseline, quick=settings.quick)
    shared = {
        "panel": name,
        "seed": settings.seeds[0],
        "forecaster": config.forecast.forecaster,
        "baseline": baseline,
        "items": data.panel.items,
        "held_out": config.backtest.periods,
        "kept_periods": learning.size["kept_periods"],
        "item_periods": learning.size["item_periods"],
        "refits": len(study.window.refits),
        "folds": len(backtest.folds),
        "training_seeds": config.training.seeds,
        "fit_seconds": sum(s for stage, s in study.seconds.items() if not stage.startswith("training ")),
    }
    rows = []
    for policy in policies:
        found = paired_saving(played[baseline].cost, played[policy].cost)
        rows.append(
            {
                **shared,
                "what": "policy",
                "policy": policy,
                "learned": is_learned(policy),
                "cost": float(played[policy].cost.sum(2).mean()),
                "saving": found.saving,
                "low": found.low,
                "high": found.high,
                "kept_cost": trained.kept_cost[policy],
                **simulated[policy],
                "reason": "; ".join(trained.notes.get(policy, ())),
                "cpu_seconds": study.seconds.get(f"training {policy}", 0.0),
            }
        )
    if name in HALVES:
        rows += [{**shared, "what": "halves", **row} for row in exchange_halves(study, backtest)]
    return {"rows": rows}


def simulate_world(
    study: Study, backtest: Backtest, policies: Mapping[str, Any], baseline: str, *, quick: bool
) -> dict[str, dict[str, float]]:
    """Return each policy's saving on demand drawn from the forecaster itself along the held-out periods.

    Demand is drawn in mode "rolled" with fitted shocks, as policies were trained: a forecast is true here. Policies
    with a parameter for each item are cut to the items that are drawn.
    """
    window, data, fitted = study.window, study.data, backtest.folds[0].forecasts.fitted
    paths, items = (PATHS // 20, 4) if quick else (PATHS, SIMULATED_ITEMS)
    chosen = keyed_generator(study.config.seed, "simulated world").permutation(data.panel.items)
    # Of items that sell, or there is nothing to decide.
    sells = data.panel.sales[:, max(0, window.cutoff - 8) : window.cutoff].sum(1) > 0
    chosen = np.sort(chosen[sells[chosen]][:items])
    past = data.panel.until(window.cutoff)
    model = ForecastDemand(fitted, past, mode="rolled", start=window.cutoff)
    shocks = model.fitted_shocks()
    model = ForecastDemand(fitted, past.select(chosen), mode="rolled", start=window.cutoff, shocks=shocks)
    params, warm_up = data.params.select(chosen), 2 * window.span
    rng = keyed_generator(study.config.seed, "simulated world", "demand")
    scenario = with_protection_totals(model.scenario(rng, paths, warm_up + window.horizon, window.span), params)
    costs = {
        name: fr.simulate(policy_of_items(policy, chosen, data.panel.items), scenario, params, warm_up=warm_up).cost
        for name, policy in policies.items()
    }
    found = {name: paired_saving(costs[baseline], cost, clusters="path") for name, cost in costs.items()}
    return {
        name: {"simulated_saving": one.saving, "simulated_low": one.low, "simulated_high": one.high}
        for name, one in found.items()
    }


def exchange_halves(study: Study, backtest: Backtest) -> list[dict[str, Any]]:
    """Train `backprop` on either half of the items, and compare both networks on each half's held-out periods."""
    learning, data = backtest.folds[0].forecasts.learning, study.data
    assert learning is not None
    order = keyed_generator(study.config.seed, "halves").permutation(data.panel.items)
    halves = [np.sort(order[k::2]) for k in range(2)]
    networks, seconds = [], process_time()
    for half in halves:
        kept = None if learning.kept is None else learning.kept.select(half)
        problem = TrainingProblem(
            learning.training.select(half),
            data.params.select(half),
            tuning=learning.history.select(half),
            kept=kept,
            run_in=learning.run_in,
            seed=study.config.seed,
            backprop_steps=study.config.training.backprop_steps,
        )
        networks.append(train_policy("backprop", problem))
    seconds = process_time() - seconds
    played = [study.simulate(backtest, {"backprop": network})["backprop"].cost for network in networks]
    rows = []
    for k, half in enumerate(halves):
        own, other = played[k][:, :, half], played[1 - k][:, :, half]
        found = saving_of(other, own)
        row = {"policy": f"half {k + 1}", "cost": float(own.sum(2).mean()), "saving": found.share}
        error = 2 * found.error
        rows.append({**row, "low": found.share - error, "high": found.share + error, "cpu_seconds": seconds / 2})
    return rows


def page(frame: pd.DataFrame) -> str:
    """Return the section: the held-out table, the simulated world, the exchange of halves, and what was found."""
    policies = frame[frame["what"] == "policy"]
    parts = ["## Sales histories: held out in time, and in simulation", introduction(policies)]
    parts += [panel_table(name, rows) for name, rows in policies.groupby("panel", sort=False)]
    parts += ["### Aims", VERDICTS_NOTE, verdicts(policies)]
    halves = frame[frame["what"] == "halves"]
    if len(halves):
        parts += ["### One policy for items that it never saw", halves_table(halves)]
    return "\n\n".join(parts)


VERDICTS_NOTE = """\
The best learned policy is the one that was cheapest on the held-out periods themselves, which flatters it a little: its
interval stands for one policy. On FreshRetailNet-50K the stretch kept for choosing prefers `projected`. What was looked
at before: the embedded panel with seed 11, VN2 up to week 131, another 1,000 series of FreshRetailNet-50K up to day 62,
and a trial of this script on the first 60 items of each panel. The embedded panel was run with earlier weights of the
generalist (1,000 steps)."""


def introduction(policies: pd.DataFrame) -> str:
    """Return what the tables show."""
    seconds = policies.groupby("panel")["fit_seconds"].first().sum() + policies["cpu_seconds"].sum()
    seeds = int(policies.get("training_seeds", pd.Series([1])).max())
    return (
        "Each panel is a backtest as `fractile study` makes it: forecasters refitted along the first part of the "
        "history give forecasts that knew nothing of what came; policies are tuned and trained on these, chosen on a "
        "later stretch that nothing was trained on, and compared on the last one. Savings are against the classical "
        "policy that cost least on the stretch kept for choosing, with 95 % intervals (docs/statistics.md). "
        "*In simulation*: the same policies on demand that the forecaster itself draws along the "
        f"held-out periods, with common shocks, {PATHS:,} paths of {SIMULATED_ITEMS} items that sell; there forecasts "
        "are right. Stock-outs in the histories are draws of D | D ≥ sales; on the embedded panel the held-out demand "
        f"is the true one. {seeds} training seed{'s' * (seeds > 1)} of each network; {seconds:.0f} CPU-seconds in all. "
        "`lookahead` is left out of panels of more than "
        f"{LOOKAHEAD_ITEMS:,} items: it takes ten times as long as `projected`."
    )


def panel_table(name: str, rows: pd.DataFrame) -> str:
    """Return the table of one panel, cheapest first, and each learned policy's own reason."""
    first = rows.iloc[0]
    head = (
        f"### {CASES[name].title}\n\n{first['items']:,} items, {first['held_out']} periods held out, chosen on "
        f"{first['kept_periods']}, learned from {first['item_periods']:,} item-periods ({first['refits']} refits); "
        f"forecaster {first['forecaster']}; baseline {label(first['baseline'])}.\n\n"
        "| policy | cost held out | saving, % | on the stretch kept, cost | in simulation, saving, % | CPU-s |\n"
        "|---|---:|---:|---:|---:|---:|\n"
    )
    lines = []
    for row in rows.sort_values("cost").itertuples():
        base = row.policy == row.baseline
        saving = "baseline" if base else f"{percent(row.saving)} {interval(row.low, row.high)}"
        simulated = f"{percent(row.simulated_saving)} {interval(row.simulated_low, row.simulated_high)}"
        lines.append(
            f"| {label(row.policy)}{' (learned)' if row.learned else ''} | {row.cost:,.1f} | {saving} "
            f"| {row.kept_cost:,.1f} | {'baseline' if base else simulated} | {row.cpu_seconds:.0f} |"
        )
    reasons = [f"* {label(r.policy)}: {r.reason}." for r in rows.itertuples() if r.reason]
    return head + "\n".join(lines) + ("\n\n" + "\n".join(reasons) if reasons else "")


def verdicts(policies: pd.DataFrame) -> str:
    """Return which aims hold, panel by panel."""
    lines = [
        "| panel | tuned ≤ untuned where chosen | best learned policy, saving held out | its saving in simulation |"
    ]
    lines.append("|---|---|---|---:|")
    for name, rows in policies.groupby("panel", sort=False):
        kept = rows.set_index("policy")["kept_cost"]
        forms = [("tuned_newsvendor", "newsvendor"), ("tuned_projected", "projected")]
        holds = all(kept[tuned] <= kept[plain] * (1 + 1e-9) for tuned, plain in forms if tuned in kept)
        learned = rows[rows["learned"]]
        best = learned.loc[learned["saving"].idxmax()]
        sure = "" if best["low"] > 0 else " (not proven)"
        width = (best["simulated_high"] - best["simulated_low"]) / 2
        lines.append(
            f"| {CASES[name].title} | {'yes' if holds else 'no'} | {label(best['policy'])} {percent(best['saving'])} "
            f"{interval(best['low'], best['high'])}{sure} | {percent(best['simulated_saving'])} ± {percent(width, 2)} |"
        )
    return "\n".join(lines)


def halves_table(halves: pd.DataFrame) -> str:
    """Return what a network trained on one half of the items costs on the other."""
    text = (
        "`backprop` trained on half of the items, on the held-out periods of the other half, against the network "
        "trained on that half itself: what it costs more, with two standard errors either way.\n\n"
        "| panel | served | costs more, % | |\n|---|---|---:|---|\n"
    )
    for row in halves.itertuples():
        within = "within 1 %" if row.saving >= -0.01 else "not within 1 %"
        costs = f"{percent(-row.saving)} {interval(-row.high, -row.low)}"
        text += f"| {CASES[row.panel].title} | {row.policy} | {costs} | {within} |\n"
    return text.strip()
