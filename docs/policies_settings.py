"""What every section of docs/policies.md is measured with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """How much is done, and where.

    Attributes:
        work: folder of results.
        data: folder of real panels; None where there is none.
        seeds: of networks and of simulated demand.
        quick: tiny runs, to try the script.
        fresh: run again what is there.
        kept_only: run nothing: what is not there is left out.
    """

    work: Path
    data: Path | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    quick: bool = False
    fresh: bool = False
    kept_only: bool = False

    def skips(self, section: str, name: str) -> bool:
        """Whether a piece is left out: it is not there, and nothing is to be run."""
        return self.kept_only and not self._path(section, name).is_file()

    def kept(self, section: str, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return one piece of a section: read where it was kept, else made and kept.

        An interrupted run goes on with the piece that it was at.

        Args:
            section: the folder of the piece.
            name: of the piece, a file name.
            make: returns what JSON can hold.
        """
        path = self._path(section, name)
        if path.is_file() and not self.fresh:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        start = time.process_time()
        piece = make()
        piece.setdefault("cpu_seconds", time.process_time() - start)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(piece, indent=1), encoding="utf-8")
        print(f"{section} {name}: {time.process_time() - start:.0f} CPU-seconds", flush=True)
        return piece

    def _path(self, section: str, name: str) -> Path:
        return self.work / section / f"{name}.json"
