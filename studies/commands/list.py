"""`fractile list`: forecasters, policies and environments."""

from __future__ import annotations

from . import options as opt
from .terminal import open_terminal


def list_(as_json: opt.Json = False, quiet: opt.Quiet = False, debug: opt.Debug = False) -> None:
    """List the forecasters, policies and environments that there are."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        from .catalogue import list_names, names_text

        with terminal.progress():
            names = list_names()
        terminal.emit(names, names_text(names))
