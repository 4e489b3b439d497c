"""Which study a config is for: that of the whole history, or that of a history too large for it, in blocks."""

from __future__ import annotations

from pathlib import Path

from ...progress import Progress, no_progress
from ..config import StudyConfig
from ..study import StudyResult, run_study as run_whole_study
from .study import run_block_study
from .written import in_blocks


def run_study(
    config: StudyConfig,
    out: Path | str,
    *,
    command: str = "fr.run_study(config, out)",
    progress: Progress = no_progress,
    overwrite: bool = False,
    resume: bool = False,
) -> StudyResult:
    """Compare policies on held-out periods and write the run folder with its report.

    A history in Parquet of more than `scale.whole` items is studied in blocks of items, and any where `scale.blocks`
    says so: see `run_block_study`. Of others `scale.engine` runs the fits, trainings and simulations.

    Args:
        config: of the study: see `load_config`.
        out: the run folder.
        command: the command line, for the record.
        progress: receives what is being done.
        overwrite: replace a run folder that stands there.
        resume: go on with an interrupted run of the same config.

    Raises:
        InputError: with the faults of data or configuration; no folder is left then.
    """
    cut = config.scale.model_copy(update={"engine": None})  # which cuts forecasts and orders into blocks, but no study
    run = run_block_study if in_blocks(cut, config.data) else run_whole_study
    return run(config, out, command=command, progress=progress, overwrite=overwrite, resume=resume)
