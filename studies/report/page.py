"""The report as one HTML file that loads nothing from outside, and the data of its figures beside it.

A part of the report is a module `NAME.py` with its template `NAME.html.j2` and two functions: `NAME_section(run)`
returns its HTML ("": nothing to show), `NAME_figures(run)` the frames that its figures are drawn from, by name. Both
take a `Run`; files that only one part needs are read with `run.frame` and `run.document`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from ..folder import read_manifest, replace_file
from ..impact.page import KIND as IMPACT, build_impact_page
from ..integrity import check_files
from ..league.page import build_lineage_page, lineage_section
from .answer import answer_figures, answer_section
from .checks import checks_section
from .comparison import comparison_figures, comparison_section
from .costs import costs_figures, costs_section
from .figure_data import figure_files, write_figures
from .forecasters import forecasters_figures, forecasters_section
from .glossary import glossary_section
from .items import items_figures, items_section
from .orders import orders_section
from .read import LEAGUE, Run, read_run
from .record import record_section
from .sweeps import sweeps_figures, sweeps_section
from .template import as_markup, render_template, style_sheet

REPORT = "report.html"


def league_section(run: Run) -> str:
    """Return the league of forecasters, where the study made one."""
    return lineage_section(run.lineage) if run.lineage else ""


SECTIONS: tuple[Callable[[Run], str], ...] = (
    answer_section,
    comparison_section,
    checks_section,
    costs_section,
    sweeps_section,
    items_section,
    forecasters_section,
    league_section,
    orders_section,
    glossary_section,
    record_section,
)
"""The parts of the report, in order."""
FIGURES: tuple[Callable[[Run], Mapping[str, pd.DataFrame]], ...] = (
    answer_figures,
    comparison_figures,
    costs_figures,
    sweeps_figures,
    items_figures,
    forecasters_figures,
)
"""What figures are drawn from, in the order of their parts."""


def build_report(folder: Path) -> Path:
    """Write `report.html` and `figures/*.csv` from the files of a run folder, the same bytes for the same files.

    A folder of `fractile lineage` gets its `lineage.html`, one of `fractile impact` its `impact.html`.

    Args:
        folder: the run folder, finished or about to be.

    Returns:
        The report's path.

    Raises:
        FractileError: where a file that a report needs is missing or damaged.
    """
    folder = Path(folder)
    record = read_manifest(folder)
    check_files(folder, record)
    kind = record.get("kind")
    if kind in (LEAGUE, IMPACT):
        return (build_lineage_page if kind == LEAGUE else build_impact_page)(folder)
    run = read_run(folder)
    frames = {name: frame for part in FIGURES for name, frame in part(run).items()}
    page = render(run, figure_files(frames))  # before anything is written: it may fail on a damaged file
    write_figures(folder, frames)
    return replace_file(folder / REPORT, lambda path: path.write_text(page, encoding="utf-8", newline="\n"))


def render(run: Run, files: list[str]) -> str:
    """Return the page.

    Args:
        run: what it shows.
        files: paths of the figures' data, relative to the page.
    """
    sections = [as_markup(html) for html in (section(run) for section in SECTIONS) if html]
    return render_template("report", css=style_sheet(), manifest=run.manifest, sections=sections, files=files)
