"""What is printed of a kept run: how it was chosen, and what its orders rest on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..folder import read_manifest
from ..report.text import align_columns

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 12
"""Pairs of a choice that are printed."""


def training_document(folder: Path, policy: str) -> tuple[dict[str, Any], str]:
    """Return what `fractile train` prints, for machines and for people.

    Args:
        folder: of the run.
        policy: as it was asked for.
    """
    from ..assumptions import begin_with  # brings pandas, which `--help` does without

    record = read_manifest(folder)
    choice = record.get("choice") if (folder / "choice.parquet").exists() else None
    assumed = record.get("assumed", "")
    said = held_back(record)
    document: dict[str, Any] = {
        "folder": folder,
        "policy": policy,
        "assumed": assumed,
        **({"notes": said} if said else {}),
    }
    end = "\n".join([*(f"{record['policy']} {note}" for note in said), f"Run: {folder}"])
    if choice is None:
        return document, begin_with(assumed, end)
    import pandas as pd

    table = pd.read_parquet(folder / "choice.parquet")
    document |= {"choice": choice, "tried": table.to_dict("records")}
    return document, begin_with(assumed, f"{choice_text(table)}\n\n{choice['sentence']}\n\n{end}")


def held_back(record: Mapping[str, Any]) -> list[str]:
    """Return what its manifest says of how far the policy of a run orders as its name says: "orders as …".

    Args:
        record: the run's manifest.
    """
    notes = record.get("policy_notes", {}).get(record.get("policy"), [])
    return [note for note in notes if note.startswith("orders as ")]


def choice_text(table: pd.DataFrame) -> str:
    """Return the cheapest pairs of a choice as a table in text.

    Args:
        table: as `Choice.table`.
    """
    rows = [("forecaster", "policy", "cost", "costs more than the first")]
    row: Any
    for place, row in enumerate(table.head(SHOWN).to_dict("records")):
        more = f"{100 * row['more']:.1f} % [{100 * row['more_low']:.1f}, {100 * row['more_high']:.1f}]" if place else ""
        rows.append((str(row["forecaster"]), str(row["policy"]), f"{row['cost']:,.2f}", more))
    lines = align_columns(rows, (0, 1, 3))
    if len(table) > SHOWN:
        lines.append(f"… and {len(table) - SHOWN} more: choice.parquet")
    return "\n".join(lines)


def order_basis(record: Mapping[str, Any], named: str | None = None) -> str:
    """Return what orders of a kept run rest on: which policy, how it was chosen, and whether a saving is proven.

    Args:
        record: the run's manifest.
        named: the policy that orders, where it is not the run's own.
    """
    policy, forecaster = record.get("policy"), record.get("forecaster")
    if policy is None:
        return ""
    if named not in (None, policy):
        return f"ordered by {named} on forecasts of {forecaster}, as named; the run itself orders by {policy}"
    said = f"ordered by {policy} on forecasts of {forecaster}"
    if notes := held_back(record):  # it was trained or tuned, and is not followed
        said += f" (it {notes[0]})"
    if "choice" in record:
        return f"{said}, chosen on the history alone: {record['choice']['sentence']}"
    if "advice" in record:
        return f"{said}: {record['advice']['sentence']}"
    if record.get("kind") == "train":
        return f"{said}, as named: compared with no other here, so that no saving is proven (fractile study compares)"
    return said
