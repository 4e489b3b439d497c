"""Classes by name, each imported when it is looked up; and classes of one's own, by their address."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import FractileError, did_you_mean


class Registry(Mapping[str, type[Any]]):
    """A mapping from names to classes that imports a module when its class is looked up.

    Wherever a name is taken, so is the address of a class of one's own, `my_module:Mine`; `register` gives it a name.

    Args:
        kind: of the classes, e.g. "policy", in messages.
        package: the package that the modules belong to.
        addresses: `module:Class` by name.
        methods: what a class of one's own must have, one of them each: `("order", "plan")`.
    """

    def __init__(self, kind: str, package: str, addresses: Mapping[str, str], *methods: tuple[str, ...]) -> None:
        self.kind, self._package, self._methods = kind, package, methods
        self._addresses: dict[str, str | type[Any]] = {k: f"{package}.{v}" for k, v in addresses.items()}

    def __getitem__(self, name: str) -> type[Any]:
        if name not in self._addresses:
            raise KeyError(name)
        found = self._addresses[name]
        if isinstance(found, type):
            return found
        module, _, attribute = found.partition(":")
        if found.startswith(f"{self._package}."):
            ours: type[Any] = getattr(importlib.import_module(module), attribute)
            return ours
        return self._of_ones_own(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._addresses)

    def __len__(self) -> int:
        return len(self._addresses)

    def __contains__(self, name: object) -> bool:
        return name in self._addresses

    def register(self, name: str, found: type[Any] | str) -> None:
        """Give a class of one's own a name.

        Args:
            name: a new one.
            found: the class, or its address `my_module:Mine`, which is imported when it is looked up.

        Raises:
            FractileError: where the name is taken or no name, or the class lacks a method.

        >>> from fractile.policies.base_stock import BaseStock
        >>> policies = Registry("policy", "fractile.policies", {}, ("order",))  # as fr.POLICIES
        >>> policies.register("plain_base_stock", BaseStock)
        >>> policies.make("plain_base_stock", {"level": 20}).level
        20.0
        """
        if not name or ":" in name:
            raise FractileError(f"a {self.kind}'s name must be a text without a colon, got {name!r}")
        if name in self._addresses and self._addresses[name] != found:
            raise FractileError(f"the {self.kind} {name!r} is there already; choose another name")
        if isinstance(found, str) and not is_address(found):
            raise FractileError(f"the address of a {self.kind} must be module:Class, got {found!r}")
        if not isinstance(found, str):
            self._check(found, name)
        self._addresses[name] = found

    def known(self, name: str) -> type[Any]:
        """Return the class of a name, or of an address `my_module:Mine`.

        Raises:
            FractileError: where the name is unknown, and the message lists the known ones; or where there is nothing at
                the address that can be used.
        """
        if is_address(name):
            return self._of_ones_own(name)
        if name not in self:
            raise FractileError(f"unknown {self.kind} {name!r}{did_you_mean(name, self)}; or my_module:MyClass")
        return self[name]

    def imported(self, name: str) -> type[Any]:
        """Return the class of a name that stands in a file; a module of one's own is not imported for it.

        Raises:
            FractileError: as `known`, and where nobody imported the module of an address yet: whoever wrote the file
                would choose what runs here.
        """
        if is_address(name) and name.partition(":")[0] not in sys.modules:
            raise FractileError(
                f"the file names a {self.kind} of your own, {name}, and files import no code; if it is yours, import "
                f"its module first; for a command: --trust {name}"
            )
        return self.known(name)

    def make(self, name: str, options: Mapping[str, Any]) -> Any:
        """Return an instance.

        Raises:
            FractileError: where the name or an option is unknown, or an option without a default is missing.
        """
        found = self.known(name)
        self.check_options(name, options)
        missing = [option for option in required_options(found) if option not in options]
        if missing:
            trained = isinstance(self._addresses.get(name), str) and not getattr(found, "never_trained", False)
            remedy = "give them, or train it" if trained else "give them"
            if is_address(name):
                table = {"policy": "policies", "forecaster": "forecast"}.get(self.kind, self.kind)
                remedy = f'give them, in a config file under [{table}.options."{name}"], or a default each'
            raise FractileError(f"{self.kind} {name!r} needs {', '.join(missing)}; {remedy}")
        return found(**options)

    def check_options(self, name: str, options: Iterable[str]) -> None:
        """Refuse options that the class of a name does not have.

        Raises:
            FractileError: names the first one, and lists the known ones.
        """
        known = option_names(self.known(name))
        for option in options:
            if option not in known:
                raise FractileError(f"{self.kind} {name!r} has no option {option!r}{did_you_mean(option, known)}")

    def summary(self, name: str) -> str:
        """Return the first line of a class's docstring; Fractile's own modules are read for it, not imported.

        Importing them takes seconds, and is not possible in a light install.
        """
        found = self._addresses[name]
        module, _, attribute = found.partition(":") if isinstance(found, str) else ("", "", "")
        if not module.startswith(f"{self._package}."):
            return (inspect.getdoc(self[name]) or "").partition("\n")[0]
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        nodes = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
        ours = next(node for node in nodes if isinstance(node, ast.ClassDef) and node.name == attribute)
        return (ast.get_docstring(ours) or "").partition("\n")[0]

    def name_of(self, found: type[Any]) -> str | None:
        """Return the name of a class, or the address of one that can be imported; None where there is neither."""
        own = f"{found.__module__}:{found.__qualname__}"
        for name, address in self._addresses.items():
            if address in (found, own):
                return name
        return own if is_address(own) and found.__module__ != "__main__" else None

    def _of_ones_own(self, address: str) -> type[Any]:
        found = import_address(address, self.kind)
        self._check(found, address)
        return found

    def _check(self, found: Any, name: str) -> None:
        if not isinstance(found, type):
            raise FractileError(f"{self.kind} {name!r} must be a class, got a {type(found).__name__}")
        for one_of in self._methods:
            if not any(callable(getattr(found, method, None)) for method in one_of):
                raise FractileError(f"{self.kind} {name!r} has no method {' or '.join(one_of)}")


def is_address(name: object) -> bool:
    """Whether a text is the address of a class, `module:Class`."""
    if not isinstance(name, str) or name.count(":") != 1:
        return False
    return all(part.isidentifier() for part in name.replace(":", ".").split("."))


def import_address(address: str, kind: str) -> Any:
    """Return what stands at an address.

    Args:
        address: `module:Class`; the module must be importable: installed, or in the folder that a command runs in.
        kind: of what is wanted, in messages.

    Raises:
        FractileError: where there is no such module, it fails, or it has no such class.
    """
    name, _, attribute = address.partition(":")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as fault:
        if fault.name is not None and name.startswith(fault.name):
            raise FractileError(
                f"{kind} {address!r}: there is no module {name!r}; run in its folder, or put that on PYTHONPATH"
            ) from fault
        raise FractileError(f"{kind} {address!r}: module {name!r} cannot be imported: {fault}") from fault
    except Exception as fault:  # whatever a user's module raises
        text = f"{type(fault).__name__}: {fault}"
        raise FractileError(f"{kind} {address!r}: module {name!r} cannot be imported: {text}") from fault
    if not hasattr(module, attribute):
        public = [key for key, value in vars(module).items() if isinstance(value, type) and value.__module__ == name]
        raise FractileError(f"{kind} {address!r}: {name!r} has no {attribute!r}{did_you_mean(attribute, public)}")
    return getattr(module, attribute)


def option_names(found: type[Any]) -> tuple[str, ...]:
    """Return the options of a class: its `option_names`, or the arguments of its constructor."""
    named: tuple[str, ...] | None = getattr(found, "option_names", None)
    return named if named is not None else tuple(inspect.signature(found).parameters)


def required_options(found: type[Any]) -> tuple[str, ...]:
    """Return the options that have no default."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(found).parameters.items()
    return tuple(k for k, p in parameters if p.default is p.empty and p.kind not in variadic)
