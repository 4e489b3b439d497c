"""Classes of one's own that a run names: none is imported unless the user names it, too.

A run folder of unknown origin may name any module that can be found, one in the working folder included, and importing
a module runs it. So commands that read a run import a class of one's own, `my_module:Mine`, only where it is named to
them, or where its module is there already (a program that imported it).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..registry import import_address, is_address


def check_own_code(path: Path, content: Any, trusted: Collection[str]) -> None:
    """Import the classes of one's own that a run names and the user trusts; refuse others before anything is imported.

    Args:
        path: of the file, for messages.
        content: what it holds: mappings, sequences, texts.
        trusted: addresses that the user named.

    Raises:
        InputError: names the classes that nobody trusts.
    """
    found = sorted({text for text in _texts(content) if is_address(text) and _is_importable(text)})
    others = [address for address in found if address not in trusted]
    if others:
        options = " ".join(f"--trust {address}" for address in others)
        raise InputError(
            [
                f"{path}: names code of its own, {', '.join(others)}, which runs when it is imported; if it is yours, "
                f"give {options}"
            ]
        )
    for address in found:
        import_address(address, "class")


def _is_importable(address: str) -> bool:
    """Whether there is a module that is not imported yet; its first package is looked for, and not imported."""
    module = address.partition(":")[0]
    if module in sys.modules:
        return False
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return True


def _texts(content: Any) -> Iterator[str]:
    """Yield all texts of a nested value, keys included."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _texts(value)
