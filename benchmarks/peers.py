"""Steps a CPU-second of public inventory simulators, beside Fractile in the same run, one thread, the median of five.

    python benchmarks/peers.py --or-gym /opt/or-gym/bin/python --stockpyl /opt/stockpyl/bin/python --json peers.json

Each peer lives in an environment of its own, since or-gym needs an old gym, and nothing of them is needed otherwise:

    python3.8 -m venv /opt/or-gym && /opt/or-gym/bin/pip install "pip<24.1" "setuptools<66" "wheel<0.39"
    /opt/or-gym/bin/pip install or-gym==0.5.0
    python3.11 -m venv /opt/stockpyl && /opt/stockpyl/bin/pip install stockpyl==1.0.2

A peer's interpreter runs this file with `--measure`; the numbers come back as JSON. Repeats of a peer and of Fractile
take turns, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

REPEATS, SECONDS, BATCH = 5, 1.0, 4096
ENVIRONMENTS = {
    "newsvendor": ("Newsvendor-v0", "fractile/LostSales-v0"),
    "inv_management": ("InvManagement-v1", "fractile/Serial-v0"),
}
PAIRS = (
    # What is shown, the peer's interpreter, what is measured there, what is measured here.
    ("or-gym Newsvendor-v0, step of one environment", "or_gym", "newsvendor"),
    ("or-gym InvManagement-v1, step of one environment", "or_gym", "inv_management"),
    ("stockpyl, one path of a base-stock policy", "stockpyl", "path"),
)


def rate(work, count):
    """Return units of work a CPU-second: `work` does `count` of them."""
    work()
    done, began = 0, time.process_time()
    while time.process_time() - began < SECONDS:
        work()
        done += count
    return done / (time.process_time() - began)


def played(env, action, over):
    """Return work of a hundred steps; `over` says of what a step returned whether the episode has ended."""
    env.reset()

    def work():
        for _ in range(100):
            if over(env.step(action)):
                env.reset()

    return work


def or_gym(what):
    """Steps of or-gym's environment."""
    import or_gym as peer

    env = peer.make(ENVIRONMENTS[what][0])
    return rate(played(env, env.action_space.sample(), lambda result: result[2]), 100)


def stockpyl(_):
    """Periods of stockpyl's simulation: one location, shipment lead time 4, Poisson(5), base-stock level 32."""
    from stockpyl.sim import simulation
    from stockpyl.supply_chain_network import single_stage_system

    costs = {"local_holding_cost": 1, "stockout_cost": 4, "shipment_lead_time": 4}
    network = single_stage_system(policy_type="BS", base_stock_level=32, demand_type="P", mean=5, **costs)
    return rate(lambda: simulation(network, 500, rand_seed=1, progress_bar=False), 500)


def ours(what):
    """The same way of playing here: one environment, or one path."""
    import gymnasium as gym
    import numpy as np

    import fractile

    if what not in ENVIRONMENTS:
        return simulated(fractile, 1, 500)
    env = gym.make(ENVIRONMENTS[what][1])
    action = np.zeros(env.action_space.shape, dtype=np.float32)
    return rate(played(env, action, lambda result: result[3]), 100)


def batched(what):
    """Many environments, or paths, side by side."""
    import numpy as np

    import fractile

    if what not in ENVIRONMENTS:
        return simulated(fractile, BATCH, 50)
    env = fractile.make_sb3_env(ENVIRONMENTS[what][1], num_envs=BATCH, seed=0)
    actions = np.zeros((BATCH, *env.action_space.shape), dtype=np.float32)
    return rate(played(env, actions, lambda _: False), 100 * BATCH)


def simulated(fractile, paths, periods):
    """Periods of a base-stock policy, demand drawn afresh."""
    import numpy as np

    params = fractile.ItemParams(lead_time=4, holding_cost=1.0, stockout_cost=4.0, unmet_demand="backorder")
    policy, demand = fractile.make_policy("base_stock", level=32.0), fractile.Poisson(5.0)
    rng = np.random.default_rng(1)
    return rate(
        lambda: fractile.simulate(policy, fractile.Scenario(demand.sample(rng, paths, periods)), params),
        paths * periods,
    )


def elsewhere(python, kind, what):
    """Measure in another process, on one thread."""
    command = [python, str(Path(__file__).resolve()), "--measure", kind, what]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    result = subprocess.run(command, env=quiet, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def compared(shown, python, kind, what):
    """Two rows: a peer beside one of ours, and beside a batch of ours, measured by turns."""
    turns = [
        (
            elsewhere(python, kind, what),
            elsewhere(sys.executable, "ours", what),
            elsewhere(sys.executable, "batched", what),
        )
        for _ in range(REPEATS)
    ]
    theirs, one, many = zip(*turns, strict=True)
    return [row(shown, theirs, one), row(f"{shown}; here {BATCH:,} side by side", theirs, many)]


def row(shown, theirs, here):
    """Medians and ranges of both, printed as well."""
    middle = {"rate": statistics.median(theirs), "ours": statistics.median(here)}
    print(
        f"{shown:<72}{middle['rate']:>10,.0f}{middle['ours']:>14,.0f}{middle['ours'] / middle['rate']:>10,.1f}",
        flush=True,
    )
    return {"what": shown, **middle, "rate_range": [min(theirs), max(theirs)], "ours_range": [min(here), max(here)]}


def main():
    """Measure what is installed, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--or-gym", help="the interpreter that has or-gym")
    parser.add_argument("--stockpyl", help="the interpreter that has stockpyl")
    parser.add_argument("--json", type=Path, help="where to keep the numbers")
    parser.add_argument("--measure", nargs=2, metavar=("KIND", "WHAT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        warnings.simplefilter("ignore")
        kind, what = given.measure
        print(json.dumps({"or_gym": or_gym, "stockpyl": stockpyl, "ours": ours, "batched": batched}[kind](what)))
        return
    print(f"{'steps a CPU-second':<72}{'peer':>10}{'Fractile':>14}{'ratio':>10}")
    rows = [
        pair
        for shown, kind, what in PAIRS
        if getattr(given, kind) is not None
        for pair in compared(shown, getattr(given, kind), kind, what)
    ]
    if given.json:
        given.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
