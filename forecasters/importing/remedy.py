"""The command that imports a file which another command refuses."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from ...errors import FractileError
from .findings import Findings, Options, what_to_type
from .importer import make_history

_LARGEST = 60_000_000
"""Bytes of a file beyond which it is not read again to see what it needs."""
_TOPICS = ("format", "packed", "encoding", "separator", "decimal", "date_format", "layout", "columns", "added_up")


def import_command(path: str | Path, columns: Mapping[str, str] | None = None, missing: str | None = None) -> str:
    """Return what to type so that a file is imported, "" where an import cannot read it either.

    Args:
        path: of the file that was refused.
        columns: our names to the file's, as the caller gave them.
        missing: what a missing row means, where the caller said it.
    """
    path = Path(path)
    try:
        if not path.is_file():
            return ""
        options = Options(columns=dict(columns or {}), missing=missing)
        if path.stat().st_size > _LARGEST:
            return f"; type: {what_to_type((), path, _target(path), options)}"
        findings = Findings(str(path))
        history = make_history(path, options, findings)
    except FractileError:
        return ""
    if findings.faults or (history is None and not findings.questions):
        return ""
    # What follows from a date that is asked for was not recognised.
    unknown = ("date_format",) if any(question.topic == "first_date" for question in findings.questions) else ()
    recognised = ", ".join(d.text for d in findings.decisions if d.topic in _TOPICS and d.topic not in unknown)
    seen = f"   (recognised: {recognised})" if recognised else ""
    return f"; type: {what_to_type(findings.questions, path, _target(path), options)}{seen}"


def _target(path: Path) -> str:
    name = "history.csv" if path.name != "history.csv" else "imported_history.csv"
    return shlex.quote(name)
