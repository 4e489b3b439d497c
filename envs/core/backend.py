"""The few array operations that numpy and torch spell differently, so that the physics is written once.

An array is a numpy array or a torch tensor; or a Python float, which an environment of one item is played with: on a
single number it is thirty times as fast as an array. The last part is a pipeline that moves up one slot a period
without being copied: where slots are long, the next period's pipeline is the same arrays, one slot on, and the new
order after them. Nothing is moved in memory, and nothing is ever written into. Everything that reads a pipeline reads
such slots as one array (slots, paths, items), which is put together when it is used as a whole.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ...arrays import MOST, Array

KEPT_ZEROS = 32_768
"""Numbers up to which an array of zeros is kept for `positive_part`: numpy compares two arrays faster than array and
number."""


def is_torch(x: Array) -> bool:
    """Whether x is a torch tensor; never imports torch."""
    if isinstance(x, np.ndarray):
        return False
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def like(value: Array, reference: Array) -> Array:
    """Bring a number or a numpy array into the library, dtype and device of `reference`."""
    if not isinstance(value, np.ndarray) or not is_torch(reference):
        return value
    return sys.modules["torch"].as_tensor(value, dtype=reference.dtype, device=reference.device)


def zeros(shape: tuple[int, ...], reference: Array) -> Array:
    """Zeros in the library, dtype and device of `reference`."""
    if is_torch(reference):
        return reference.new_zeros(shape)
    return np.zeros(shape, dtype=reference.dtype)


def positive_part(x: Array) -> Array:
    """Return max(x, 0); its gradient at zero is zero."""
    if type(x) is float:
        return x if x > 0.0 else 0.0
    if is_torch(x):
        return x.relu()
    kept = isinstance(x, np.ndarray) and x.dtype == np.float64 and x.size <= KEPT_ZEROS
    return np.maximum(x, _nothing(x.shape) if kept else 0.0)


@lru_cache(maxsize=8)
def _nothing(shape: tuple[int, ...]) -> NDArray[np.float64]:
    kept = np.zeros(shape)
    kept.flags.writeable = False
    return kept


def tanh(x: Array) -> Array:
    """Return the hyperbolic tangent."""
    return x.tanh() if is_torch(x) else np.tanh(x)


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x)), the smooth positive part."""
    return sys.modules["torch"].nn.functional.softplus(x) if is_torch(x) else np.logaddexp(0.0, x)


def square_root(x: Array) -> Array:
    """Return the square root."""
    return x.sqrt() if is_torch(x) else np.sqrt(x)


def normal_density(x: Array) -> Array:
    """Return the standard normal density. [φ]"""
    power = -0.5 * x * x
    return (power.exp() if is_torch(x) else np.exp(power)) / math.sqrt(2.0 * math.pi)


def normal_cdf(x: Array) -> Array:
    """Return the standard normal distribution function. [Φ]"""
    return sys.modules["torch"].special.ndtr(x) if is_torch(x) else ndtr(x)


MOST_BITS = np.float64(MOST).view(np.uint64)
"""What the largest quantity looks like as an integer: numbers from 0 up to it are no larger, all others are."""


def are_quantities(x: NDArray[Any]) -> bool:
    """Whether all numbers are from 0 to `MOST`: one pass over the numbers, where a comparison takes three."""
    if not x.size or (x.dtype == np.float64 and x.view(np.uint64).max() <= MOST_BITS):
        return True
    return bool(((x >= 0) & (x <= MOST)).all())  # also −0.0, and other types


def first_fault(x: NDArray[Any]) -> tuple[int, ...]:
    """Return the position of the first number that is no quantity."""
    return tuple(int(i) for i in np.argwhere(~((x >= 0) & (x <= MOST)))[0])


def clip(x: Array, low: float, high: float) -> Array:
    """Return x, held between two numbers."""
    return x.clip(low, high)


def minimum(x: Array, y: Array) -> Array:
    """Return the smaller of two arrays, elementwise."""
    if type(x) is float:
        return x if x < y else y
    return x.minimum(y) if is_torch(x) else np.minimum(x, y)


def where(condition: Array, x: Array, y: Array) -> Array:
    """Return x where the condition holds, else y."""
    if type(condition) is bool:
        return x if condition else y
    return sys.modules["torch"].where(condition, x, y) if is_torch(condition) else np.where(condition, x, y)


def indicator(condition: Array, reference: Array) -> Array:
    """Return 1.0 where the condition holds, else 0.0, in the dtype of `reference`."""
    if type(condition) is bool:
        return float(condition)
    return condition.to(reference.dtype) if is_torch(condition) else condition.astype(reference.dtype)


def concatenate(parts: list[Array], axis: int = 0) -> Array:
    """Join along an axis."""
    parts = [part.stacked() if isinstance(part, LooseSlots) else part for part in parts]
    return sys.modules["torch"].cat(parts, axis) if is_torch(parts[0]) else np.concatenate(parts, axis)


def last(x: Array) -> Array:
    """Return the array with its first axis last; nothing is copied."""
    return x.moveaxis(0, -1) if is_torch(x) else x.transpose(*range(1, x.ndim), 0)


def straight_through(value: Array, smooth: Array) -> Array:
    """Return `value`, with the gradient of `smooth`."""
    return smooth + (value - smooth).detach() if is_torch(smooth) else value


def sort_descending(key: Array, values: list[Array]) -> list[Array]:
    """Return arrays sorted along the last axis by a key, the largest first."""
    if is_torch(key):
        order = key.argsort(dim=-1, descending=True, stable=True)
        return [value.gather(-1, order) for value in values]
    order = np.argsort(-key, axis=-1, kind="stable")
    return [np.take_along_axis(value, order, -1) for value in values]


def cumulative(x: Array) -> Array:
    """Return sums of the first entries along the last axis."""
    return x.cumsum(-1)


def largest(x: Array) -> Array:
    """Return the largest entry along the last axis, which stays with length 1."""
    return x.amax(-1, keepdim=True) if is_torch(x) else x.max(-1, keepdims=True)


def floor(x: Array) -> Array:
    """Return the next whole number below; its gradient is zero."""
    if type(x) is float:
        return float(math.floor(x))
    return x.floor() if is_torch(x) else np.floor(x)


def stack_first(parts: list[Array]) -> Array:
    """Stack along a new first axis."""
    return sys.modules["torch"].stack(parts, 0) if is_torch(parts[0]) else np.stack(parts, 0)


WORTH_IT = 16_384
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
