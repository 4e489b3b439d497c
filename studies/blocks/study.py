"""The study of more items than memory holds: made on a sample, then followed on all items, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from ...arrays import IntArray
from ...errors import Faults
from ...executor import Executor
from ...forecasters.data.matching import escape_ids
from ...parts import Parts
from ...progress import Progress, begin_stage, no_progress, plan_stages
from ..assumptions import assumption_record, assumptions_of, describe_defaults
from ..backtest import Study, begin
from ..config import StudyConfig
from ..fold_savings import savings_of_periods
from ..folder import RunFolder
from ..interrupted import PARTS, interruptible_run
from ..locks import locks_target
from ..record import data_record, write_manifest
from ..report.page import build_report
from ..run_items import keep_item_ids, keep_sample
from ..sections import BOUNDS, OWN_ORDERS
from ..stages import study_stages
from ..study import Analysis, StudyResult, advise_on, analyse, result_of, study_record, write_analysis
from .block import ITEM_COSTS, ITEMS
from .history import TILE, BlockedHistory
from .merge import AllItems, merge_blocks
from .plan import BlockPlan
from .study_orders import ORDERS as ORDER_FILE, read_seconds
from .written import cut_blocks, open_workers, run_blocks, write_joined

HISTORY, PLAN, BLOCK, ORDERS = "history", "plan", "block", "orders"
"""The kinds of parts."""
ALL = "all items"
"""Begins the names of the stages whose CPU time blocks spent, in whatever processes."""
SURVEYING, STAGE, ORDER_STAGE = "surveying", "simulating all items", "ordering"


@locks_target
def run_block_study(
    config: StudyConfig,
    out: Path | str,
    *,
    command: str = "fr.run_study(config, out)",
    progress: Progress = no_progress,
    overwrite: bool = False,
    resume: bool = False,
    tile: int = TILE,
) -> StudyResult:
    """Compare policies on the held-out periods of any number of items, in bounded memory.

    Forecasters are fitted, policies tuned and trained, and the baseline chosen on a sample (`scale.sample`), which is
    studied as any history is. Then all items are forecast and simulated with these, tile by tile and in as many tasks
    as there are blocks; the table, the savings with their intervals, and the orders are of all items. Checks, scores of
    forecasters and figures of single items are of the sample. Results do not depend on blocks, workers and engine.

    Args:
        config: of the study; its history is a Parquet file, or a folder of them.
        out: the run folder.
        command: the command line, for the record.
        progress: receives what is being done.
        overwrite: replace a run folder that stands there.
        resume: go on with an interrupted run of the same config.
        tile: items that are computed together; results depend on it.

    Raises:
        InputError: with the faults of data or configuration; no folder is left then.
        WorkError: where blocks failed at every attempt; the others are kept, and the run can be resumed.
    """
    refuse_in_blocks(config)
    seconds: dict[str, float] = {}
    kept = interruptible_run(
        out, config, kind="study", command=command, overwrite=overwrite, resume=resume, seconds=seconds
    )
    with kept as run:
        parts = Parts(run.path / PARTS)
        began = process_time()
        history = open_history(config, parts, progress)
        sample = choose_sample(history, config)
        seconds[SURVEYING] = seconds.get(SURVEYING, 0.0) + process_time() - began
        study = begin(config, config.backtest.periods, progress, history.read_items(sample))
        study = replace(study, parts=parts, seconds=seconds)
        ordered = [ORDER_STAGE] if history.has_state else []
        *stages, last = study_stages(study)
        plan_stages(progress, [*stages, STAGE, *ordered, last])
        found = analyse(study, run)
        folder = parts.write((PLAN,), lambda path: _make_plan(history, study, found, tile).save(path))
        plan = BlockPlan.load(folder)  # as the blocks read it
        cuts = cut_blocks(history.items, config.scale.blocks, tile)
        with open_workers(config.scale) as executor:
            work = _Work(study, history, parts, folder, cuts, executor)
            blocks = work.run(STAGE, BLOCK, "fractile.studies.blocks.block:run_block")
            with study.stage("adding up"):
                whole = merge_blocks(plan, blocks)
            advice = advise_on(whole.comparison, found.checks, study)
            assumptions = assumptions_of(study.config, history.params, study.data.items)
            orders: list[Path] = []
            if ordered and advice.policy != OWN_ORDERS:
                said = {"policy": advice.policy, "assumed": describe_defaults(assumptions)}
                orders = work.run(ORDER_STAGE, ORDERS, "fractile.studies.blocks.study_orders:run_orders", **said)
                seconds[f"{ALL}: {ORDER_STAGE}"] = sum(map(read_seconds, orders))
        notes = describe_blocks(history, study)
        with study.stage("writing", counted=True):
            write_analysis(run, study, found)
            _write_whole(run, work, whole, found)
            keep_sample(run, study.data.panel.item_ids)
            if orders:
                write_joined(run.path / "orders.csv", [folder / ORDER_FILE for folder in orders], escape_ids)
        record = study_record(study, found, whole.comparison, advice)
        write_manifest(
            run,
            study,
            command,
            kind="study",
            **record,
            **assumption_record(assumptions),
            data=_whole_record(run, history, study, whole),
            blocks={"items": history.items, "sample": len(sample), "blocks": len(work.blocks), "notes": notes},
        )
        build_report(run.path)
    return replace(result_of(run, study, found, whole.comparison, advice, notes), assumptions=assumptions)


@dataclass(frozen=True, eq=False)
class _Work:
    """The tasks of a study's blocks.

    Attributes:
        study: of the sample.
        history: surveyed.
        parts: where parts are kept.
        plan: folder of the plan.
        blocks: first position of each block and the one after its last.
        executor: runs the tasks of all stages, so that its workers start once.
    """

    study: Study
    history: BlockedHistory
    parts: Parts
    plan: Path
    blocks: Sequence[tuple[int, int]]
    executor: Executor

    def run(self, stage: str, kind: str, function: str, **arguments: Any) -> list[Path]:
        """Run a task for each block, and return the folders of their parts in the order of the items."""
        progress = self.study.progress
        shared = {"plan": str(self.plan), "history": self.history.to_record(), **arguments}
        begin_stage(progress, stage)  # its CPU time is that of the tasks, wherever they run
        return run_blocks(kind, function, self.blocks, shared, self.parts, self.executor, progress)


def refuse_in_blocks(config: StudyConfig) -> None:
    """Raise an `InputError` where a study needs the whole history at once."""
    faults = Faults()
    if config.data.history is None:
        faults.add(
            "scale: the embedded panel is studied as a whole; leave out --blocks, or give a --history in Parquet"
        )
    if config.forecast.files:
        faults.add("forecast.files: forecasts made elsewhere are read as a whole; leave out --blocks, or them")
    if config.statistics.clusters == "path":
        faults.add("statistics.clusters: there is one history, so no paths are independent; leave 'path' out")
    if config.policies.baseline in BOUNDS:
        faults.add(f"policies.baseline: {config.policies.baseline!r} knows the future; measure against a policy")
    faults.raise_if_any()


def open_history(config: StudyConfig, parts: Parts, progress: Progress) -> BlockedHistory:
    """Return the surveyed history of a study; a survey that is kept whole is read.

    Args:
        config: of the study.
        parts: of the study.
        progress: receives what is being done.
    """

    def survey(folder: Path) -> None:
        BlockedHistory.survey(config.data, config.defaults, folder, progress)

    return BlockedHistory.from_record({"folder": str(parts.write((HISTORY,), survey))})


def choose_sample(history: BlockedHistory, config: StudyConfig) -> IntArray:
    """Return the positions of the items that a study is made on, ascending.

    They are drawn at random; those with the longest lead time and protection interval are always among them, so that
    forecasts reach as far as any item needs.
    """
    params = history.params
    lead_time, review = (np.asarray(x, dtype=np.int64) for x in (params.lead_time, params.review_period))
    longest = [int(np.argmax(x)) for x in (lead_time, lead_time + review, 2 * lead_time + review) if np.ndim(x)]
    return np.union1d(history.sample(config.scale.sample, config.seed), np.array(longest, dtype=np.int64))


def describe_blocks(history: BlockedHistory, study: Study) -> tuple[str, ...]:
    """Return what is of all items and what of the sample, in words; nothing where the sample is all of them."""
    items, sample = history.items, study.data.panel.items
    if sample == items:
        return ()
    return (
        f"Forecasters were fitted and policies tuned on {sample:,} of {items:,} items, drawn at random. Costs, "
        "savings, intervals and orders are of all items; checks, scores of forecasters and figures of single items are "
        "of the sample.",
    )


def _make_plan(history: BlockedHistory, study: Study, found: Analysis, tile: int) -> BlockPlan:
    return BlockPlan.of_sample(study, found.backtest, found.baseline, whole=bool(history.whole.whole_units), tile=tile)


def _write_whole(run: RunFolder, work: _Work, whole: AllItems, found: Analysis) -> None:
    """Write the tables of all items over those of the sample."""
    folders = [work.parts.folder_of((BLOCK, *block)) for block in work.blocks]
    run.write_frame("comparison.parquet", whole.comparison.table.rename_axis("policy").reset_index())
    run.write_frame("folds.parquet", savings_of_periods(whole.periods, found.backtest.ends, found.baseline))
    for name in (ITEMS, ITEM_COSTS):
        write_joined(run.path / name, [folder / name for folder in folders], lambda frame: frame)
    for stage, spent in whole.seconds.items():
        work.study.seconds[f"{ALL}: {stage}"] = spent


def _whole_record(run: RunFolder, history: BlockedHistory, study: Study, whole: AllItems) -> dict[str, Any]:
    """Return which data a study used, all items of it."""
    record, counts = data_record(study), whole.counts
    listed, held_out = counts["listed"], counts["held_out"]
    notes = [*history.whole.notes, *study.window.notes]
    if counts["held_out_of_stock"]:
        notes.append(
            f"in {counts['held_out_of_stock']} of {held_out} held-out item-periods the item was out of stock, so that "
            "demand is not known: the last sales while in stock stand in"
        )
    return {
        **record,
        "items": history.items,
        "item_ids": keep_item_ids(run, history.item_ids(0, history.items)),
        "stockout_share": counts["out_of_stock"] / listed,
        "zero_share": counts["without_sales"] / listed,
        "notes": notes,
    }
