"""The data of figures, as CSV beside the page: what a reader sees can be drawn again, or checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ...files import inside
from ..folder import replace_file

FIGURES = "figures"
"""Folder of the data, below the run folder."""


def figure_files(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return the paths that `write_figures` writes, for a page that is made before them."""
    return [f"{FIGURES}/{name}.csv" for name, frame in frames.items() if len(frame)]


def write_figures(folder: Path, frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """Write `figures/NAME.csv` for each figure, the same bytes for the same frames.

    Args:
        folder: the run folder.
        frames: what each figure is drawn from, by its name; empty ones are left out.

    Returns:
        The paths written, relative to the folder, in the order of the figures.
    """
    inside(folder, FIGURES)  # a link would lead out of the folder
    written = []
    for name, frame in frames.items():
        if not len(frame):
            continue
        file = f"{FIGURES}/{name}.csv"

        def write(path: Path, frame: pd.DataFrame = frame) -> None:
            frame.to_csv(path, index=False, float_format="%.10g", lineterminator="\n")

        replace_file(folder / file, write)
        written.append(file)
    return written
