"""Classes by name, each imported when it is looked up."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import FractileError, did_you_mean


class Registry(Mapping[str, type[Any]]):
    """A mapping from names to classes that imports a module when its class is looked up.

    Args:
        kind: of the classes, e.g. "policy", in messages.
        package: the package that the modules belong to.
        addresses: `module:Class` by name.
    """

    def __init__(self, kind: str, package: str, addresses: Mapping[str, str]) -> None:
        self.kind, self._package, self._addresses = kind, package, dict(addresses)

    def __getitem__(self, name: str) -> type[Any]:
        if name not in self._addresses:
            raise KeyError(name)
        module, _, attribute = self._addresses[name].partition(":")
        found: type[Any] = getattr(importlib.import_module(f".{module}", self._package), attribute)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._addresses)

    def __len__(self) -> int:
        return len(self._addresses)

    def __contains__(self, name: object) -> bool:
        return name in self._addresses

    def known(self, name: str) -> type[Any]:
        """Return the class of a name.

        Raises:
            FractileError: where the name is unknown; the message lists the known ones.
        """
        if name not in self:
            raise FractileError(f"unknown {self.kind} {name!r}{did_you_mean(name, self)}")
        return self[name]

    def make(self, name: str, options: Mapping[str, Any]) -> Any:
        """Return an instance.

        Raises:
            FractileError: where the name or an option is unknown, or an option without a default is missing.
        """
        found = self.known(name)
        known = option_names(found)
        for option in options:
            if option not in known:
                raise FractileError(f"{self.kind} {name!r} has no option {option!r}{did_you_mean(option, known)}")
        missing = [option for option in required_options(found) if option not in options]
        if missing:
            raise FractileError(f"{self.kind} {name!r} needs {', '.join(missing)}; give them, or train it")
        return found(**options)


def option_names(found: type[Any]) -> tuple[str, ...]:
    """Return the options of a class: its `option_names`, or the arguments of its constructor."""
    named: tuple[str, ...] | None = getattr(found, "option_names", None)
    return named if named is not None else tuple(inspect.signature(found).parameters)


def required_options(found: type[Any]) -> tuple[str, ...]:
    """Return the options that have no default."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(found).parameters.items()
    return tuple(k for k, p in parameters if p.default is p.empty and p.kind not in variadic)
