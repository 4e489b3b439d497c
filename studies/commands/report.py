"""`fractile report`: the report of a run folder, written anew."""

from __future__ import annotations

from ...files import damaged
from ..folder import read_manifest
from . import options as opt
from .terminal import open_terminal


def report(run: opt.RunToReport, as_json: opt.Json = False, quiet: opt.Quiet = False, debug: opt.Debug = False) -> None:
    """Write the report of a run folder anew."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        read_manifest(run)
        import numpy as np

        from ..report.page import build_report

        silent = np.errstate(all="ignore")  # numbers of a damaged table
        with terminal.progress() as progress, damaged(run, "make the run again"), silent:
            progress("drawing")
            path = build_report(run)
        terminal.emit({"report": path}, f"Report: {path}")
