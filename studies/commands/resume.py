"""`fractile resume`: an interrupted run, finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...files import damaged
from . import options as opt
from .terminal import Terminal, open_terminal

if TYPE_CHECKING:
    from ..resume import Resumed


def resume(
    run: opt.RunToResume,
    trust: opt.Trust = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Go on with an interrupted run: what is finished is kept, the rest is done, and the result is the same."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        from ..resume import resume_run

        remedy = "begin anew: the same command with --overwrite"
        with terminal.progress() as progress, damaged(run, remedy):
            found = resume_run(run, progress=progress, trusted=trust or ())
        terminal.note(found.note)
        _show(terminal, found)


def _show(terminal: Terminal, found: Resumed) -> None:
    """Print what the run's own command prints."""
    if found.kind == "finished":
        terminal.emit({"folder": found.folder, "note": found.note}, f"Run: {found.folder}")
    elif found.kind == "study":
        from .study import show_study

        show_study(terminal, found.result)
    elif found.kind == "impact":
        from .impact import show_impact

        show_impact(terminal, found.result)
    elif found.kind == "lineage":
        from .lineage import show_league

        show_league(terminal, found.folder, found.result)
    elif found.kind == "environment":
        from .training import show_environment

        show_environment(terminal, found.result)
    else:
        from .kept import training_document

        terminal.emit(*training_document(found.folder, found.policy))
