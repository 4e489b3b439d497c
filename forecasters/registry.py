"""Forecasters by name; a module is imported when its forecaster is asked for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, cast

from ..errors import FractileError, did_you_mean
from .base import Forecaster

Addresses = Mapping[str, str]


class ForecasterRegistry(Mapping[str, type[Forecaster]]):
    """A mapping from names to forecaster classes.

    Args:
        addresses: `module:Class` by name, the module relative to this package.
    """

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = dict(addresses)

    def __getitem__(self, name: str) -> type[Forecaster]:
        if name not in self._addresses:
            raise KeyError(name)
        module, _, attribute = self._addresses[name].partition(":")
        loaded = importlib.import_module(module, package=__package__)
        return cast("type[Forecaster]", getattr(loaded, attribute))

    def __iter__(self) -> Iterator[str]:
        return iter(self._addresses)

    def __len__(self) -> int:
        return len(self._addresses)


FORECASTERS = ForecasterRegistry(
    {
        "seasonal_naive": ".statistical:SeasonalNaive",
        "ets": ".statistical:ETS",
        "mqcnn": ".networks.mqcnn:MQCNN",
    }
)
"""Every forecaster by name. Looking one up imports its module; listing the names imports nothing."""


def forecaster_class(name: str) -> type[Forecaster]:
    """Return the class of a forecaster; an unknown name lists the known ones."""
    if name not in FORECASTERS:
        raise FractileError(f"unknown forecaster {name!r}{did_you_mean(name, FORECASTERS)}")
    return FORECASTERS[name]


def make_forecaster(name: str, **options: Any) -> Forecaster:
    """Build an unfitted forecaster.

    Args:
        name: one of `FORECASTERS`.
        **options: of that forecaster.

    Raises:
        FractileError: where the name or an option is unknown; the message lists the known ones.

    >>> make_forecaster("seasonal_naive").name
    'seasonal_naive'
    """
    found = forecaster_class(name)
    known = option_names(found)
    for option in options:
        if option not in known:
            raise FractileError(f"forecaster {name!r} has no option {option!r}{did_you_mean(option, known)}")
    return cast(Forecaster, cast(Any, found)(**options))


def option_names(found: type[Forecaster]) -> tuple[str, ...]:
    """Return the options of a forecaster class: its `option_names`, or the arguments of its constructor."""
    named: tuple[str, ...] | None = getattr(found, "option_names", None)
    return named if named is not None else tuple(inspect.signature(found).parameters)
