"""What an import did: ten lines for people, and a record for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .findings import Decision

_LINES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("file", ("packed", "format", "sheet", "encoding", "separator", "title", "header")),
    ("numbers and dates", ("decimal", "joined_date", "date_format", "mixed_dates", "time_zone")),
    ("layout", ("layout",)),
    ("columns", ("by_content", "columns", "rivals", "key")),
    ("others", ("others",)),
    ("left out", ("left_out", "footers")),
    ("rows", ("filled", "duplicates", "added_up", "returns")),
    ("missing", ("freq", "closed", "missing")),
    ("ids", ("ids",)),
    ("history", ("result", "low_end")),
)
"""Lines of a report, and the topics of each."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did to a file.

    Attributes:
        source: what the file is called.
        decisions: everything that was decided, in its order.
    """

    source: str
    decisions: tuple[Decision, ...]

    @property
    def lines(self) -> list[str]:
        """Ten lines at most: what was found, what was decided, and what came out."""
        lines = []
        for head, topics in _LINES:
            parts = [d.text for topic in topics for d in self.decisions if d.topic == topic]
            if parts:
                given = {d.topic for d in self.decisions if d.topic in topics and d.how == "given"}
                asked = " (as given)" if given and len(parts) == len(given) else ""
                lines.append(f"{head}: {'; '.join(parts)}{asked}")
        return lines

    def to_record(self) -> dict[str, Any]:
        """Return the report as plain data."""
        result = next((dict(d.values) for d in self.decisions if d.topic == "result"), {})
        listed: Sequence[dict[str, Any]] = [
            {"topic": d.topic, "how": d.how, "text": d.text, **({"values": dict(d.values)} if d.values else {})}
            for d in self.decisions
        ]
        return {"source": self.source, **result, "lines": self.lines, "decisions": list(listed)}


@dataclass(frozen=True, eq=False)
class ImportedSales:
    """A history as every other command reads it, and how it came about.

    Attributes:
        history: `item_id`, `date`, `sales`, then optional columns: a row for every period from an item's first one to
            the last of all.
        report: what was done.
    """

    history: pd.DataFrame
    report: ImportReport
