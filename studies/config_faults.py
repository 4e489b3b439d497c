"""Faults of a config in the words of its rules, each with its dotted path."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ..errors import InputError, did_you_mean

_ALTERNATIVE = re.compile(r"bool|int|float|str|constrained-.*|\w*\[.*\]")


def faults_of(model: type[BaseModel], error: ValidationError) -> list[str]:
    """Return one message a field: a union reports each of its alternatives, the field's rule says it all."""
    faults: dict[str, str] = {}
    for detail in error.errors():
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, InputError):
            faults.update({fault: fault for fault in cause.faults})
            continue
        path, field, siblings = _located(model, [str(part) for part in detail["loc"]])
        faults.setdefault(path, f"{path}: {_reason(detail, field, siblings)}")
    return list(faults.values())


def _reason(detail: Any, field: FieldInfo | None, siblings: Iterable[str]) -> str:
    cause = detail.get("ctx", {}).get("error")
    if detail["type"] == "extra_forbidden":
        return f"unknown key{did_you_mean(str(detail['loc'][-1]), siblings)}"
    if cause is not None:
        return str(cause)
    rule = field.description if field else None
    return f"must be {rule or 'of another type'}, got {detail['input']!r}"


def _located(section: type[BaseModel], loc: list[str]) -> tuple[str, FieldInfo | None, Iterable[str]]:
    """Return the dotted path of an error, its field, and the keys that may stand beside it."""
    for depth, part in enumerate(loc):
        field = section.model_fields.get(part)
        if field is None:
            return ".".join(loc[: depth + 1]), None, section.model_fields
        inner = field.annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return ".".join(_inside(loc, depth)), field, section.model_fields
        section = inner
    return ".".join(loc), field, section.model_fields


def _inside(loc: list[str], depth: int) -> list[str]:
    """Return the path without the names of a union's alternatives, which follow the field's own keys."""
    return [*loc[: depth + 1], *(part for part in loc[depth + 1 :] if not _ALTERNATIVE.fullmatch(part))]
