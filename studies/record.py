"""What a manifest says of a run: its data, its windows, and how its policies came about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..parts import sha256
from ..training.train import is_trained
from .assumptions import assumption_record, list_assumptions
from .backtest import Backtest, Learning, Study, Trained
from .folder import MANIFEST, RunFolder, manifest
from .refused import NO_BOUND
from .report.text import capitalise
from .run_items import keep_item_ids

TIMELINE = (
    "The policy observes net inventory, what is under way, and the forecast: nothing of the period's demand.",
    "It orders; the nearest feasible order (packs, minimum, maximum) is placed.",
    "What is due arrives: the order placed a lead time ago.",
    "Demand occurs; what stock cannot meet is lost or backordered.",
    "Costs are charged on the period's end: holding on stock, stock-out on what is short, and fixed order cost.",
)

POLICIES_TRAINED = (
    "classical policies are tuned before each fold; networks are trained before the first one, and followed in each "
    "fold as far as its own validation window bears out"
)


def describe_setting(study: Study) -> str:
    """Return over how many held-out periods, folds and training seeds a study's numbers hold, a sentence."""
    window, config, folds = study.window, study.config, len(study.windows)
    each, first = ("each", "the first") if folds > 1 else ("it", "it")
    parts = [
        f"{window.end - window.cutoff} periods held out in {folds} fold{'s' * (folds > 1)}",
        f"forecasters fitted and policies tuned on what was before {each}",
    ]
    if any(map(is_trained, config.policies.names)):
        seeds = config.training.seeds
        parts.append(f"networks trained before {first}, with {seeds} seed{'s' * (seeds > 1)} each")
    unbounded = "".join(f" {capitalise(note)}." for note in window.notes if note.startswith(NO_BOUND))
    return f"{', '.join(parts)}.{unbounded}"


def learning_record(learning: Learning | None, trained: Trained) -> dict[str, Any]:
    """Return what a manifest keeps of how policies came about: how much they learned from, costs and notes."""
    return {
        "learning": None if learning is None else learning.size,
        "kept_cost": trained.kept_cost,
        "policy_notes": trained.notes,
    }


def backtest_record(backtest: Backtest) -> dict[str, Any]:
    """Return what a manifest keeps of how the policies of a backtest came about.

    Sizes and costs are those before the first fold, where networks are trained and the baseline is chosen; notes are of
    all folds.
    """
    first = backtest.folds[0]
    notes: dict[str, list[str]] = {}
    for k, fold in enumerate(backtest.folds):
        for name, texts in fold.trained.notes.items():
            for text in texts:
                everywhere = all(text in other.trained.notes.get(name, ()) for other in backtest.folds)
                said = text if everywhere else f"fold {k + 1}: {text}"
                if said not in notes.setdefault(name, []):
                    notes[name].append(said)
    return {**learning_record(first.forecasts.learning, first.trained), "policy_notes": notes}


def write_manifest(
    run: RunFolder, study: Study, command: str, *, kind: str, data: Mapping[str, Any] | None = None, **details: Any
) -> None:
    """Write the resolved config and the record of the run.

    Args:
        run: the folder.
        study: that was made.
        command: the command line.
        kind: "study", "impact" or "train".
        data: which data it used; that of the study where None.
        **details: what is to be kept besides.
    """
    config, window, panel = study.config, study.window, study.data.panel
    run.write_text("config.toml", config.to_toml())
    test: dict[str, Any] = {"periods": window.end - window.cutoff, "validation_periods": window.cutoff - window.start}
    test |= {"learning_periods": window.learning, "refits": [panel.dates[t].date() for t in window.refits]}
    if window.cutoff < window.end:
        held_out = panel.dates[window.cutoff :]
        dates = {"first_date": held_out[0].date(), "last_date": held_out[-1].date()}
        test = {**dates, **test, "warm_up_periods": window.warm_up}
        test["folds"] = [
            {
                "first_date": panel.dates[fold.cutoff].date(),
                "last_date": panel.dates[fold.end - 1].date(),
                "periods": fold.end - fold.cutoff,
                "fitted_until": panel.dates[fold.cutoff - 1].date(),
            }
            for fold in study.windows
        ]
        if any(map(is_trained, config.policies.names)):
            test["training_seeds"] = config.training.seeds
        test["policies_trained"] = POLICIES_TRAINED
        test["simulated_histories"] = config.backtest.simulated_histories
    record = manifest(name=config.name, command=command, seed=config.seed)
    record |= {
        "kind": kind,
        "data": data or {**data_record(study), "item_ids": keep_item_ids(run, panel.item_ids)},
        "timeline": list(TIMELINE),
        "backtest": test,
        "baseline_rule": config.policies.baseline,
        "level": config.statistics.level,
        "clusters": config.statistics.clusters,
        "forecaster": config.forecast.forecaster,
        **assumption_record(list_assumptions(config, study.data)),
        "cpu_seconds": {stage: round(seconds, 2) for stage, seconds in study.seconds.items()},
        **details,
    }
    run.write_json(MANIFEST, record)
    (run.path / "metrics.jsonl").unlink(missing_ok=True)  # of a run that was killed here
    for stage, seconds in study.seconds.items():
        run.append_metrics({"stage": stage, "cpu_seconds": round(seconds, 3)})


def data_record(study: Study) -> dict[str, Any]:
    """Return which data a study used, with hashes of its files and notes on them; the items' ids are kept apart."""
    panel, files, window = study.data.panel, study.config.data, study.window
    listed = panel.listed
    notes = [*panel.notes, *window.notes]
    held_out = panel.window(window.cutoff, window.end)
    blind = int(held_out.ran_out.sum())
    if blind and files.history is not None:
        notes.append(
            f"in {blind} of {held_out.listed.sum()} held-out item-periods the item was out of stock, so that demand is "
            "not known: the last sales while in stock stand in"
        )
    named = (files.history, files.items, files.state, *study.config.forecast.files.values())
    return {
        "source": "embedded panel" if files.history is None else Path(files.history).name,
        "items": panel.items,
        "periods": panel.periods,
        "first_date": panel.dates[0].date(),
        "last_date": panel.dates[-1].date(),
        "freq": panel.freq,
        "stockout_share": float((~panel.in_stock[listed]).mean()),
        "zero_share": float((panel.sales[listed] == 0).mean()),
        "hashes": {path.name: sha256(path) for path in named if path is not None},
        "notes": notes,
    }
