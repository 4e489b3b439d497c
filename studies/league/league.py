"""The forecast lineage: every forecaster of the history, asked the same, in one league table.

    |…… history: what all forecasters learn from ……|… window 1 …|… window 2 …|… window 3 …|
                                                   ^ origin 1   ^ origin 2   ^ origin 3   ^ the panel's end

Each forecaster is fitted once, on the periods before the first origin, and forecasts a horizon from every origin,
knowing what was on record there. Losses are compared on the same item-periods; intervals and paired differences
hold under shocks common to all items (two-way clusters: items × blocks of target periods).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...arrays import FloatArray
from ...errors import FractileError, InputError, did_you_mean
from ...forecasters.data.panel import SalesPanel
from ...forecasters.ensemble import DEFAULT_MEMBERS, Ensemble
from ...forecasters.registry import FORECASTERS
from ...registry import option_names
from .entry import Entry, entered, file_of, key_of, load_entry, save_entry
from .names import TRUTH, in_order
from .table import League, league_of
from .task import Contest, contest

if TYPE_CHECKING:
    from ..commands.terminal import Progress

__all__ = ["League", "contest", "league", "played", "quick_options"]

QUICK = {"steps": 150, "trees": 40}
"""Options that quick work lowers, where a forecaster has them and nobody says otherwise."""


def league(
    panel: SalesPanel,
    names: Iterable[str],
    horizon: int,
    *,
    origins: int = 3,
    spacing: int | None = None,
    truth: FloatArray | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Progress | None = None,
    **rest: Any,
) -> League:
    """Fit, ask and score forecasters on the last periods of a panel.

    Args:
        panel: the whole history.
        names: of forecasters; see `FORECASTERS`.
        horizon: periods ahead. [H]
        origins: how many are forecast from; the last one is a horizon before the panel's end.
        spacing: periods from one origin to the next; a horizon where None, so that windows touch.
        truth: demand to score against, shape (items, periods); None: sales of listed item-periods in stock.
        options: keyword arguments by forecaster name.
        progress: told what goes on.
        **rest: further attributes of `Contest`, e.g. `seed`.

    Raises:
        FractileError: where a name is unknown or the history is too short. A forecaster that fails is no reason
            to stop: `League.failed` and its row say why.
    """
    asked = contest(panel, horizon, origins=origins, spacing=spacing, truth=truth, **rest)
    return played(asked, names, options or {}, progress=progress)


def played(
    asked: Contest,
    names: Iterable[str],
    options: Mapping[str, Mapping[str, Any]],
    *,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> League:
    """Let forecasters answer a contest, one after the other.

    Args:
        asked: the contest.
        names: of forecasters; the truth, where there is one, is added.
        options: keyword arguments by forecaster name.
        keep: folder that every entry is written to as soon as it is there, and read from where it already lies
            there under the same key.
        progress: told what goes on.
    """
    chosen = in_order(names)
    _check(chosen)
    if asked.reference is not None:
        chosen = (*chosen, TRUTH)
    entries = []
    for i, name in enumerate(chosen):
        if progress is not None:
            progress(f"{name} ({i + 1} of {len(chosen)})", i / len(chosen))
        entries.append(_entry(asked, name, options.get(name, {}), keep))
    return league_of(asked, entries)


def _entry(asked: Contest, name: str, options: Mapping[str, Any], keep: Path | None) -> Entry:
    if keep is None:
        return entered(asked, name, options)
    found = kept_entry(keep, name)
    if found is not None and found.key == key_of(asked, name, options) and found.error is None:
        return found
    entry = entered(asked, name, options)
    save_entry(keep, entry)
    return entry


def kept_entry(keep: Path, name: str) -> Entry | None:
    """Return the entry that lies in a folder; None where none does, or what lies there is no whole one."""
    if not (keep / f"{file_of(name)}.json").is_file():
        return None
    try:
        return load_entry(keep, name)
    except (FractileError, KeyError, TypeError, ValueError):
        return None  # written by another version, or cut off: the forecaster answers again


def quick_options(names: Iterable[str], options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return options under which training is short; those that are given stay."""
    return {name: _quick(name, options.get(name, {})) for name in names}


def _quick(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    known = _options_of(name)
    short: dict[str, Any] = {k: v for k, v in QUICK.items() if k in known}
    if name == Ensemble.name:
        short["options"] = {member: _quick(member, {}) for member in given.get("members", DEFAULT_MEMBERS)}
    return short | dict(given)


def _options_of(name: str) -> tuple[str, ...]:
    try:
        return option_names(FORECASTERS.known(name))
    except ImportError:
        return ()  # a library is missing; the forecaster will say so when it is its turn


def _check(names: Iterable[str]) -> None:
    unknown = [name for name in names if name not in list(FORECASTERS)]
    if unknown:
        raise InputError(f"unknown forecaster {name!r}{did_you_mean(name, FORECASTERS)}" for name in unknown)
