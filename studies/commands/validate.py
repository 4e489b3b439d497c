"""`fractile validate`: input files checked."""

from __future__ import annotations

from . import options as opt
from .terminal import open_terminal


def validate(
    history: opt.NeededHistory,
    items: opt.Items = None,
    state: opt.State = None,
    freq: opt.Freq = None,
    missing: opt.Missing = None,
    column: opt.Columns = None,
    known: opt.Known = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Check the input files: every fault of all of them, none fixed in silence."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        overrides = {
            **opt.file_overrides(history, items, state),
            **opt.reading_overrides(freq, missing, column, known),
        }
        made = opt.make_config(None, overrides)
        from .catalogue import files_text, validate_files

        with terminal.progress() as progress:
            progress("reading")
            found = validate_files(made.data)
        terminal.emit(found, files_text(found))
