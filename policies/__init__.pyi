"""From an observation to an order; rollouts by block and as machine code."""

from . import exact as exact
from .compiled import compile_rollout as compile_rollout
from .rollout import stream as stream
