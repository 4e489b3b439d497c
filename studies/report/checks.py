"""The section of checks: what a careful reader would ask. Warnings stand on the first screen, see `answer`."""

from __future__ import annotations

from typing import Any

from .read import Run
from .template import render_template
from .text import capitalise

VERDICTS = {"good": "no objection", "note": "worth knowing", "warning": "warning"}
"""Verdicts in words."""


def checks_section(run: Run) -> str:
    """Return the questions that a careful reader would ask, with answers and verdicts."""
    answers = _checks(run).get("answers") or []
    rows = [{**answer, "words": VERDICTS.get(answer["verdict"], answer["verdict"])} for answer in answers]
    for row in rows:
        row["answer"] = capitalise(str(row["answer"]))
    return render_template("checks", rows=rows) if rows else ""


def _checks(run: Run) -> dict[str, Any]:
    return run.document("checks.json") or {}
