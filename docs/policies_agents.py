"""Agents of Stable-Baselines3 on lost sales with a known optimum, each from its defaults."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from policies_settings import Settings

import fractile as fr
from fractile.envs.gym.sources import DemandSource
from fractile.training import AGENTS, Tracking, train_agent

LEAD_TIMES, RATES = (1, 2, 3, 4), (4, 9, 19, 39)
OTHERS = ("a2c", "sac", "td3", "ddpg", "dqn")
PATHS, PERIODS, WARM_UP = 2048, 1700, 50
"""Of an evaluation: three seeds make 10.1 million item-periods a row."""
PICTURE = Path(__file__).parent / "pictures" / "agents.svg"
PPO_INSTANCE = "zipkin2008-poisson-b4-L2"


def measure(settings: Settings) -> pd.DataFrame:
    """Train every agent on its rows, with each seed, and simulate it on fresh demand."""
    rows = [("ppo", rate, lead) for lead in LEAD_TIMES for rate in RATES] + [(name, 4, 2) for name in OTHERS]
    if settings.quick:
        rows = [("ppo", 4, 2), ("a2c", 4, 2)]
    cases = [(seed, *row) for seed in settings.seeds for row in rows]
    pieces = [
        settings.kept(
            "agents",
            f"{name}-b{rate}-L{lead}-{seed}",
            lambda case=(name, rate, lead, seed): _case(*case, settings.quick),
        )
        for seed, name, rate, lead in cases
        if not settings.skips("agents", f"{name}-b{rate}-L{lead}-{seed}")
    ]
    return pd.DataFrame(pieces)


def _case(name: str, rate: int, lead: int, seed: int, quick: bool) -> dict[str, Any]:
    instance = fr.instances[f"zipkin2008-poisson-b{rate}-L{lead}"]
    config = replace(AGENTS[name], seed=seed)
    if quick:
        config = replace(config, steps=8192, evaluations=2)
    curve: list[Any] = []
    params = replace(instance.params, pack_size=1.0)
    start = time.process_time()
    source = DemandSource(instance.demand, params)
    policy = train_agent(name, source, config, track=Tracking(record=curve.append))
    seconds = time.process_time() - start
    paths, periods = (64, 200) if quick else (PATHS, PERIODS)
    scenario = fr.draw_scenario(instance.demand, 1000 + seed, paths, periods, lead + 1)
    cost = fr.simulate(policy, scenario, params, warm_up=WARM_UP).cost.mean((1, 2))
    return {
        "agent": name,
        "stockout_cost": rate,
        "lead_time": lead,
        "seed": seed,
        "optimum": instance.optimal,
        "cost": float(cost.mean()),
        "gap": float(cost.mean() / instance.optimal - 1.0),
        "standard_error": float(cost.std(ddof=1) / np.sqrt(paths) / instance.optimal),
        "item_periods": paths * (periods - WARM_UP),
        "cpu_seconds": seconds,
        "steps": config.steps,
        "curve": curve,
    }


def page(frame: pd.DataFrame) -> str:
    """Return the section: a table of PPO's gaps, one of all agents, and what falls short."""
    frame = frame.assign(gap=100 * frame["gap"], error=100 * frame["standard_error"])
    ppo = frame[frame["agent"] == "ppo"]
    mean = ppo.groupby(["stockout_cost", "lead_time"])["gap"].mean()
    worst = ppo.loc[ppo["gap"].idxmax()]
    seeds = sorted(int(seed) for seed in frame["seed"].unique())
    lines = [
        "## Agents of Stable-Baselines3",
        "",
        "`fr.training.train_agent(name, source)` from its defaults, on lost sales with Poisson demand of mean 5, h = 1 "
        f"(Zipkin 2008). Seeds {', '.join(map(str, seeds))}. Every agent's actor is evaluated on the same validation "
        "episodes while it trains, and the best one is returned; these gaps are from fresh demand. Defaults were "
        "chosen on Poisson demand of mean 7 (b 6 and 30, L 2) and of mean 4 (b 30, L 4); `td3` was tuned again, on "
        "mean 7, b 6, after its row here had come out at 8.5.",
        "",
        f"`ppo`, gap in percent, mean over seeds ({ppo['cpu_seconds'].mean():.0f} CPU-seconds a training, "
        f"{int(ppo['steps'].iloc[0]):,} transitions; standard error of a gap {ppo['error'].mean():.2f}):",
        "",
        "| b | " + " | ".join(f"L = {lead}" for lead in sorted(ppo["lead_time"].unique())) + " |",
        "|---|" + "---|" * ppo["lead_time"].nunique(),
    ]
    for rate in sorted(ppo["stockout_cost"].unique()):
        row = [mean.get((rate, lead), np.nan) for lead in sorted(ppo["lead_time"].unique())]
        lines.append(f"| {rate} | " + " | ".join(f"{gap:.2f}" for gap in row) + " |")
    per_seed = ppo.groupby("seed")["gap"].mean()
    lines += [
        "",
        f"Mean over rows: {ppo['gap'].mean():.2f} (by seed {', '.join(f'{gap:.2f}' for gap in per_seed)}); the worst "
        f"run {worst['gap']:.2f} (b {worst['stockout_cost']}, L {worst['lead_time']}, seed {worst['seed']}).",
        "",
        "All agents on L = 2, b = 4:",
        "",
        "| agent | gap, mean over seeds | worst seed | standard error | CPU-seconds | transitions |",
        "|---|---|---|---|---|---|",
    ]
    same = frame[(frame["lead_time"] == 2) & (frame["stockout_cost"] == 4)]
    for name, runs in same.groupby("agent", sort=False):
        lines.append(
            f"| `{name}` | {runs['gap'].mean():.2f} | {runs['gap'].max():.2f} | {runs['error'].mean():.2f} | "
            f"{runs['cpu_seconds'].mean():.0f} | {int(runs['steps'].iloc[0]):,} |"
        )
    lines += ["", _shortfalls(ppo, same), "", "![Learning curves](pictures/agents.svg)"]
    _draw(same)
    return "\n".join(lines)


def _shortfalls(ppo: pd.DataFrame, same: pd.DataFrame) -> str:
    """Say which targets are missed: PPO's mean 0.8 and worst 2 percent, the others' 5 percent."""
    missed = []
    if ppo["gap"].mean() > 0.8:
        missed.append(f"`ppo`'s mean gap is above 0.8 percent ({ppo['gap'].mean():.2f})")
    if (count := int((ppo["gap"] > 2.0).sum())) > 0:
        missed.append(f"{count} of {len(ppo)} `ppo` runs are more than 2 percent above the optimum")
    missed += [
        f"`{name}` is {gap:.1f} percent above the optimum, more than 5"
        for name, gap in same.groupby("agent")["gap"].max().items()
        if gap > 5.0
    ]
    return (
        "Short of the aim: " + "; ".join(missed) + "."
        if missed
        else "No run falls short of its aim (ppo: mean 0.8, worst 2; others: 5)."
    )


def _draw(same: pd.DataFrame) -> None:
    """Draw the learning curves of the first seed over CPU-seconds, with the optimum and the newsvendor."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "fractile"
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for _, run in same[same["seed"] == same["seed"].min()].iterrows():
        points = pd.DataFrame(list(run["curve"]))
        axes.plot(points["seconds"], 100 * (points["best"] / run["optimum"] - 1), marker=".", label=run["agent"])
    instance = fr.instances[PPO_INSTANCE]
    axes.axhline(0.0, color="black", linewidth=1)
    base = instance.known["base_stock"].cost
    axes.axhline(100 * (base / instance.optimal - 1), color="grey", linestyle="--", label="best base-stock")
    axes.set(xlabel="CPU-seconds", ylabel="gap of the best actor so far, percent", ylim=(-0.5, 15))
    axes.legend(frameon=False)
    figure.tight_layout()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})
    pyplot.close(figure)
