"""A pipeline that moves up one slot a period without being copied each time.

In numpy orders under way are kept in a room with empty slots behind them. The next period's pipeline is then a window one slot
further along in the same room: only the new order is written, where no pipeline could see it before. A window that is
asked a second time, or that has reached the end of its room, moves into a room of its own. Windows are read-only, so
that no one writes into the periods before and behind.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .backend import Array, concatenate, is_torch

SPARE = 2
"""Empty slots that a room begins with, as a multiple of those in use: a slot is copied every second period."""

WORTH_IT = 65_536
"""Bytes of a pipeline from which on a room is faster than a copy."""


def moved_up(pipeline: Array, order: Array) -> Array:
    """Return slots 1, 2, … and the order behind them; nothing that was passed in is changed.

    Args:
        pipeline: units under way, shape (slots, paths, items), at least one slot.
        order: units, shape (paths, items).
    """
    if isinstance(pipeline, LooseSlots):
        return LooseSlots((*pipeline.parts[1:], order))
    if is_torch(order) or pipeline.nbytes < WORTH_IT or not _fits(pipeline, order):
        return concatenate([pipeline[1:], order[None]])
    room = pipeline.base
    if not (isinstance(room, _Room) and room.claimed_by(pipeline)):
        room = _Room.around(pipeline)
    return room.after(order, len(pipeline))


class LooseSlots:
    """A pipeline whose slots are tensors of their own; whatever it does not know itself it does as one tensor.

    Args:
        parts: units that arrive in 0, 1, … periods, each of shape (paths, items).
    """

    def __init__(self, parts: tuple[Array, ...]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: Any) -> Any:
        return self.parts[index] if isinstance(index, int) else self.stacked()[index]

    def sum(self, axis: int) -> Array:
        """Return sums over an axis; over the slots they are added one by one."""
        if axis:
            return self.stacked().sum(axis)
        return sum(self.parts[1:], self.parts[0])

    def stacked(self) -> Array:
        """Return all slots in one tensor, shape (slots, paths, items)."""
        return sys.modules["torch"].stack(self.parts)

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


def _as_tensors(value: Any) -> Any:
    """Arguments with every `LooseSlots` as a tensor."""
    if isinstance(value, LooseSlots):
        return value.stacked()
    return type(value)(map(_as_tensors, value)) if isinstance(value, (list, tuple)) else value


class _Room(np.ndarray[Any, np.dtype[Any]]):
    """Slots in use, and empty ones behind them.

    Attributes:
        first: the slot in which the newest window begins.
        newest: that window, which alone may move on; empty once it has.
    """

    first: int
    newest: list[weakref.ref[NDArray[Any]]]

    @classmethod
    def around(cls, pipeline: NDArray[Any]) -> _Room:
        """Return a room with a copy of the pipeline at its beginning."""
        room = cls(((1 + SPARE) * len(pipeline), *pipeline.shape[1:]), pipeline.dtype)
        room[: len(pipeline)] = pipeline
        room.first, room.newest = 0, []
        return room

    def claimed_by(self, pipeline: NDArray[Any]) -> bool:
        """Whether this is the newest window and has room; if so nobody else can claim the next slot any more."""
        if self.first + len(pipeline) >= len(self) or not self.newest or self.newest[0]() is not pipeline:
            return False
        try:
            return self.newest.pop()() is pipeline
        except IndexError:  # another thread was quicker
            return False

    def after(self, order: NDArray[Any], slots: int) -> NDArray[Any]:
        """Write the order into the next slot and return the window that ends there."""
        self[self.first + slots] = order
        self.first += 1
        window: NDArray[Any] = np.ndarray((slots, *order.shape), self.dtype, self, self.first * self.strides[0])
        window.flags.writeable = False
        self.newest.append(weakref.ref(window))
        return window


def _fits(pipeline: NDArray[Any], order: NDArray[Any]) -> bool:
    """Whether nothing would be broadcast or converted."""
    return order.shape == pipeline.shape[1:] and order.dtype == pipeline.dtype
