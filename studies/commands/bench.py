"""`fractile bench`: what this machine simulates."""

from __future__ import annotations

from . import options as opt
from .terminal import open_terminal


def bench(
    quick: opt.Quick = False, as_json: opt.Json = False, quiet: opt.Quiet = False, debug: opt.Debug = False
) -> None:
    """Measure what this machine simulates in a CPU-second, beside a memory copy of the same run."""
    with open_terminal(as_json=as_json, quiet=quiet, debug=debug) as terminal:
        from ..bench import PATHS, QUICK_PATHS, as_document, as_table, benchmark

        with terminal.progress() as progress:
            rates = benchmark(QUICK_PATHS if quick else PATHS, repeats=3 if quick else 7, progress=progress)
        document = as_document(rates)
        terminal.emit(document, as_table(document))
