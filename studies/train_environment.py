"""A policy trained on an environment id: compared on common demand, drawn, and kept in a run folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..envs.core.params import ItemParams
from ..envs.gym.catalogue import make_source
from ..envs.gym.registration import ENVIRONMENTS
from ..envs.gym.sources import DemandSource, EpisodeSource, JointSource
from ..errors import FractileError, InputError, did_you_mean
from ..parts import Parts
from ..policies.registry import POLICIES
from ..policies.storage import save_policy
from ..progress import begin_stage, plan_stages
from ..training.config import AGENTS, make_config
from ..training.train import TrainingProblem, check_policy_options, train_policy
from .compare import Comparison, compare
from .folder import (
    MANIFEST,
    RunFolder,
    absolute_target,
    find_resumable,
    manifest,
    read_manifest,
    resumable_run,
    resume_command,
)
from .interrupted import PARTS, kept_sentence, resume_hint
from .locks import locks_target
from .replacing import CHECKPOINT, RUNNING, is_whole, unfinished_folder

if TYPE_CHECKING:
    from ..policies.base import Planner, Policy
    from ..progress import Progress

BASELINES: dict[str, tuple[str, ...]] = {
    "lost_sales": ("newsvendor", "tuned_newsvendor", "capped_base_stock"),
    "backorder": ("newsvendor", "base_stock"),
    "forecast_driven": ("newsvendor", "tuned_newsvendor"),
    "fixed_cost": ("newsvendor", "ss"),
    "dual_sourcing": ("capped_dual_index",),
    "perishable": ("newsvendor", "estimated_waste"),
    "serial": ("echelon_base_stock",),
    "distribution": ("echelon_base_stock",),
    "shared_capacity": ("newsvendor", "tuned_newsvendor"),
}
"""Classical policies that a trained one is compared with, by system; savings are measured against the first."""
WENT_ON = (
    "went on from its checkpoint at step {} with fresh episodes: the policy is not bit for bit that of a training "
    "without a break"
)
"""What is said of an agent whose training was interrupted."""
LONGEST_EXACT = 4
"""Lead time up to which the optimum is computed."""
QUICK_STEPS = 20_000
QUICK_GRADIENT_STEPS = 50


@dataclass(frozen=True, eq=False)
class EnvironmentRun:
    """A finished training on an environment id.

    Attributes:
        folder: the run folder.
        policy: name of the policy.
        environment: its id.
        comparison: with the baselines, on demand that none of them was trained on.
        optimum: the least cost a period, where it is known exactly; else None.
        notes: what a reader should know of how the policies came about.
    """

    folder: Path
    policy: str
    environment: str
    comparison: Comparison
    optimum: float | None
    notes: Mapping[str, list[str]]

    def to_text(self) -> str:
        """Return the table, the gap to the optimum, and the notes."""
        lines = [self.comparison.to_text()]
        if self.optimum is not None:
            gap = float(self.comparison.table["cost"][self.policy]) / self.optimum - 1.0
            lines.append(f"Optimum: {self.optimum:.4f} a period; {self.policy} is {gap:.2%} above it.")
        lines += [f"{name}: {note}" for name, notes in self.notes.items() for note in notes]
        return "\n".join(lines)


@locks_target
def train_environment(
    id: str,  # Gymnasium's own name for it
    out: Path,
    *,
    policy: str = "ppo",
    steps: int | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
    quick: bool = False,
    tensorboard: bool = False,
    command: str = "",
    progress: Progress,
    overwrite: bool = False,
    resume: bool = False,
) -> EnvironmentRun:
    """Train or tune a policy on a Gymnasium id, compare it, and keep it with its learning curve.

    Args:
        id: e.g. "fractile/Perishable-v0".
        out: the run folder.
        policy: its name.
        steps: transitions of an agent, gradient steps of `backprop`; the default where None.
        seed: of everything random.
        options: parameters of the policy, or fields of its training configuration.
        environment: options of the environment: see `make_source`.
        quick: train for seconds.
        tensorboard: log to TensorBoard in the run folder.
        command: the command line, for the record.
        progress: receives what is being done.
        overwrite: replace a run folder that stands there.
        resume: continue an unfinished training of the same kind.

    Raises:
        InputError: where the id or the policy is unknown, or the target cannot be used.
    """
    if id not in ENVIRONMENTS:
        raise InputError([f"unknown environment {id!r}{did_you_mean(id, ENVIRONMENTS)}"])
    found = POLICIES.known(policy)
    if not callable(getattr(found, "order", None)):
        raise InputError([f"--policy: {policy!r} is a bound that knows the future; choose a policy"])
    given = dict(options or {})
    if quick:
        given = {"steps": QUICK_STEPS if policy in AGENTS else QUICK_GRADIENT_STEPS, **given}
        given = given if policy in (*AGENTS, "backprop") else dict(options or {})
    if steps is not None:
        given["steps"] = steps
    system, source = ENVIRONMENTS[id], make_source(ENVIRONMENTS[id], **(environment or {}))
    record: dict[str, Any] = {"kind": "train", "environment": id, "policy": policy, "options": given}
    record["settings"] = environment or {}
    if resume:
        _check_resumed(out, {**record, "seed": seed})
    check_policy_options(policy, given)  # said before anything is drawn, tuned or trained
    record["tensorboard"] = tensorboard
    with resumable_run(out, overwrite=overwrite, resume=resume) as run, resume_hint(run, lambda: _kept(run)):
        run.write_json(MANIFEST, manifest(f"{policy} on {id}", command=command, seed=seed, status=RUNNING, **record))
        plan_stages(progress, [f"training {policy}", "tuning what it is compared with", "comparing", "writing"])
        begin_stage(progress, f"training {policy}")
        problem = TrainingProblem.of_source(source, seed=seed, progress=progress, parts=Parts(run.path / PARTS))
        start = time.process_time()
        trained, curve = _train(policy, problem, given, run, tensorboard=tensorboard)
        seconds = time.process_time() - start
        begin_stage(progress, "tuning what it is compared with")
        names = [name for name in BASELINES[system] if name != policy]
        policies: dict[str, Any] = {policy: trained, **{name: train_policy(name, problem) for name in names}}
        begin_stage(progress, "comparing")
        comparison = _compare(policies, source, seed, names[0])
        optimum = optimal_cost(source)
        begin_stage(progress, "writing")
        save_policy(policy, trained, run.path / "models")
        run.write_frame("comparison.csv", comparison.table.rename_axis("policy").reset_index())
        _draw(run, policy, curve, comparison, optimum)
        details: dict[str, Any] = {
            **record,
            "seconds": round(seconds, 1),
            "optimum": optimum,
            "costs": comparison.table["cost"].to_dict(),
            "notes": problem.notes,
        }
        run.write_json(MANIFEST, manifest(f"{policy} on {id}", command=command, seed=seed, **details))
    return EnvironmentRun(run.target, policy, id, comparison, optimum, problem.notes)


def optimal_cost(source: EpisodeSource) -> float | None:
    """Return the least average cost a period of a source's episodes, where it can be computed in seconds; else None."""
    if not isinstance(source, DemandSource | JointSource) or source.arrivals is not None:
        return None
    from ..policies.exact.dynamic_programming import DynamicProgramming
    from ..policies.exact.markov_decision import optimal_policy

    params, model = source.params, cast(Any, source.model)
    try:
        if isinstance(params, ItemParams):
            whole = params.pack_size is not None and bool(np.all(np.asarray(params.pack_size) == 1.0))
            if model.items > 1 or not whole or source.slots > LONGEST_EXACT or params.capacity is not None:
                return None
            if params.shelf_life is None:
                return float(DynamicProgramming(model, params).average_cost)
        elif not getattr(params, "whole_units", False):
            return None
        return float(optimal_policy(model, params).average_cost)
    except FractileError:
        return None


def _train(
    name: str, problem: TrainingProblem, options: dict[str, Any], run: RunFolder, *, tensorboard: bool
) -> tuple[Policy | Planner, list[Mapping[str, float]]]:
    """Return the policy and, of an agent, its learning curve."""
    source = problem.source
    if name not in AGENTS or source is None:
        if tensorboard:
            raise InputError([f"--track: {name!r} is no agent; TensorBoard's logs are of agents"])
        return train_policy(name, problem, options), []
    from ..training.agents import train_agent
    from ..training.checkpoint import Tracking, kept_step

    kept: list[Mapping[str, float]] = []
    config = make_config(replace(AGENTS[name], seed=problem.seed), options)
    logs = run.path / "tensorboard" if tensorboard else None
    track = Tracking(kept.append, run.path / CHECKPOINT, logs)
    if (step := kept_step(run.path / CHECKPOINT)) is not None:
        problem.note(name, f"its training was interrupted; it {WENT_ON.format(step)}")
    policy = train_agent(name, source, config, progress=problem.progress, track=track)
    curve = _read_curve(run, kept)
    return policy, curve


def _kept(run: RunFolder) -> str:
    """Return what is kept of a training in progress, in words; "" where nothing is."""
    training = "the training" if any((run.path / CHECKPOINT).glob("*")) else ""
    return " and ".join(filter(None, [training, kept_sentence(run.path / PARTS)]))


def _read_curve(run: RunFolder, new: list[Mapping[str, float]]) -> list[Mapping[str, float]]:
    """Write the learning curve, that of an interrupted training before it included, and return it."""
    import json

    path = run.path / CHECKPOINT / "state.json"
    curve: list[Mapping[str, float]] = json.loads(path.read_text(encoding="utf-8"))["curve"] if path.is_file() else new
    (run.path / "metrics.jsonl").unlink(missing_ok=True)
    for point in curve:
        run.append_metrics(point)
    return curve


def _compare(policies: Mapping[str, Any], source: EpisodeSource, seed: int, baseline: str) -> Comparison:
    """Simulate policies on demand that none of them was trained or tuned on."""
    fresh = TrainingProblem.of_source(source, seed=seed + 2**31)
    warm_up = min(2 * source.slots + 10, fresh.scenario.periods - 1)
    found = compare(policies, fresh.scenario, fresh.params, baseline=baseline, warm_up=warm_up)
    return replace(found, notes=())  # all were tuned or trained here, on these lead times


def _check_resumed(out: Path, wanted: Mapping[str, Any]) -> None:
    """Refuse to continue a training of another kind, or one that is finished."""
    earlier = find_resumable(out)
    if earlier is None:
        return
    known = read_manifest(earlier, unfinished=True)
    if is_whole(earlier) and earlier == unfinished_folder(absolute_target(out)):
        raise InputError([f"{out}: is whole, and has only to take its place: {resume_command(out)}"])
    if is_whole(earlier):
        raise InputError([f"{out}: is finished; give another --out, or --overwrite to train it anew"])
    apart = [key for key, value in wanted.items() if known.get(key) != value]
    if apart:
        raise InputError(
            [f"{out}: was begun with another {', '.join(apart)}; continue with the same, or discard it (--overwrite)"]
        )


def _draw(
    run: RunFolder,
    name: str,
    curve: list[Mapping[str, float]],
    comparison: Comparison,
    optimum: float | None,
) -> None:
    """Draw the learning curve, with the baselines' costs and the optimum."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    costs = comparison.table["cost"]
    if curve:
        steps = [point["step"] for point in curve]
        axes.plot(steps, [point["cost"] for point in curve], color="#8ab6d6", label=f"{name}, each evaluation")
        axes.plot(steps, [point["best"] for point in curve], color="#1f5c8b", label=f"{name}, best so far")
    axes.axhline(costs[name], color="#1f5c8b", linestyle="-.", linewidth=1, label=f"{name}, on fresh demand")
    for other, style in zip(costs.index.drop(name), ("--", ":", (0, (5, 1)), (0, (1, 1))), strict=False):
        axes.axhline(costs[other], color="#9a6b1f", linestyle=style, linewidth=1, label=str(other))
    if optimum is not None:
        axes.axhline(optimum, color="black", linewidth=1, label="optimum")
    levels = [*costs, *([] if optimum is None else [optimum])]
    low, high = min(levels), max(levels)
    if curve:
        high = max(high, float(np.median([point["cost"] for point in curve])))
    margin = 0.15 * max(high - low, 0.02 * high)
    axes.set(xlabel="transitions", ylabel="cost a period, all items", ylim=(low - margin, high + 2 * margin))
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    with matplotlib.rc_context({"svg.hashsalt": "fractile"}):  # else two pictures of the same never have the same bits
        figure.savefig(run.path / "learning_curve.svg", metadata={"Date": None})
    pyplot.close(figure)
