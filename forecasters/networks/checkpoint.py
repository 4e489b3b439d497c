"""A training on disk: where it stood at its last check, so that it can go on exactly there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...errors import FractileError
from ..data.panel import SalesPanel, panel_fingerprint
from .config import NetworkConfig

CHECKPOINT = "checkpoint.pt"


class Checkpoint:
    """Keeps the state of a fit in a folder, one file that is replaced at every check.

    Args:
        folder: made where it does not exist; None keeps nothing.
        fingerprint: of what is fitted to what.
    """

    def __init__(self, folder: Path | None, fingerprint: str) -> None:
        self.path = None if folder is None else folder / CHECKPOINT
        self.fingerprint = fingerprint

    def load(self) -> Mapping[str, Any] | None:
        """Return the state that was kept, or None where there is none.

        Raises:
            FractileError: where it belongs to another fit, or cannot be read.
        """
        if self.path is None or not self.path.is_file():
            return None
        try:
            kept: Mapping[str, Any] = torch.load(self.path, weights_only=True)
        except Exception as fault:
            raise FractileError(f"{self.path} cannot be read ({fault}); delete it to begin anew") from fault
        if kept["fingerprint"] != self.fingerprint:
            raise FractileError(
                f"{self.path} belongs to a fit with other options or other data; "
                "give another checkpoint folder, or delete it to begin anew"
            )
        return kept

    def save(self, phase: str, state: Mapping[str, Any], **more: Any) -> None:
        """Keep the state of a phase, in place of the one before."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".tmp")
        torch.save({"fingerprint": self.fingerprint, "phase": phase, "state": dict(state), **more}, partial)
        os.replace(partial, self.path)

    def done(self) -> None:
        """Remove what was kept: the fit has ended."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def fingerprint(name: str, config: NetworkConfig, panel: SalesPanel) -> str:
    """Return a text that differs where a fit's options or data do."""
    fitted = [name, config.to_config(), panel_fingerprint(panel)]
    return hashlib.sha256(json.dumps(fitted).encode()).hexdigest()
