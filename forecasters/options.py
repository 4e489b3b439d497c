"""Options of a forecaster as one frozen dataclass: by name, changed one at a time, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from ..errors import FractileError, did_you_mean


@dataclass(frozen=True)
class Options:
    """What the options of networks and trees have in common; each field is an option."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the options."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def restored(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild from `to_config()`."""
        options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        return cls(**options)

    def to_config(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)

    def changed(self, owner: str, options: Mapping[str, Any]) -> Self:
        """Return the same with some options replaced.

        Raises:
            FractileError: names an option that the owner does not have.
        """
        for option in options:
            if option not in self.names():
                raise FractileError(f"{owner} has no option {option!r}{did_you_mean(option, self.names())}")
        return replace(self, **options)
