"""A pipeline that moves up one slot a period without being copied.

Where slots are long, the next period's pipeline is the same arrays, one slot on, and the new order after them:
nothing is moved in memory, and nothing is ever written into. Everything that reads a pipeline reads such slots as one
array (slots, paths, items), which is put together when it is used as a whole.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import Array
from .backend import concatenate, is_torch

WORTH_IT = 65_536
"""Numbers in a pipeline from which on loose slots are faster than a copy."""


def move_up(pipeline: Array, order: Array) -> Array:
    """Return slots 1, 2, … and the order after them; nothing that was passed in is changed.

    Args:
        pipeline: units under way, shape (slots, paths, items), at least one slot.
        order: units, shape (paths, items).
    """
    if isinstance(pipeline, LooseSlots):
        return LooseSlots((*pipeline.parts[1:], order))
    slots, (paths, items) = len(pipeline), pipeline[0].shape
    if (paths, items) == order.shape and slots * paths * items >= WORTH_IT:
        return LooseSlots((*(pipeline[k] for k in range(1, slots)), order))
    return concatenate([pipeline[1:], order[None]])


class LooseSlots:
    """A pipeline whose slots are arrays of their own; whatever it does not know itself it does as one array.

    Args:
        parts: units that arrive in 0, 1, … periods, each of shape (paths, items), or each a number.
    """

    def __init__(self, parts: tuple[Array, ...]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Array]:
        return iter(self.parts)

    def __getitem__(self, index: Any) -> Any:
        return self.parts[index] if isinstance(index, int) else self.stacked()[index]

    def sum(self, axis: int | None = None, **more: Any) -> Array:
        """Return sums over an axis; over the slots they are added one by one."""
        if axis == 0 and all(value is None for value in more.values()):
            return sum(self.parts[1:], self.parts[0])
        return self.stacked().sum(axis, **more)

    def stacked(self) -> Array:
        """Return all slots in one array, shape (slots, paths, items)."""
        return sys.modules["torch"].stack(self.parts) if is_torch(self.parts[0]) else np.stack(self.parts)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # always a copy
        """Let numpy's functions take it for an array."""
        whole = self.stacked()
        return np.asarray(whole.detach().numpy() if is_torch(whole) else whole, dtype=dtype)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.stacked(), name)

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Let torch's functions take it for a tensor."""
        return function(*_as_tensors(args), **(kwargs or {}))


def _of_the_whole(name: str) -> Callable[..., Any]:
    """An operator that works on all slots as one array."""
    return lambda self, *other: getattr(self.stacked(), name)(*map(_as_tensors, other))


_OPERATORS = ("add", "sub", "mul", "truediv", "radd", "rsub", "rmul", "rtruediv", "neg", "lt", "le", "gt", "ge", "abs")
for _operator in _OPERATORS:
    setattr(LooseSlots, f"__{_operator}__", _of_the_whole(f"__{_operator}__"))


def _as_tensors(value: Any) -> Any:
    """Arguments with every `LooseSlots` as a tensor."""
    if isinstance(value, LooseSlots):
        return value.stacked()
    return type(value)(map(_as_tensors, value)) if isinstance(value, (list, tuple)) else value
