"""What training by gradients and by reinforcement share: one thread, and the features that a newsvendor meets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ..envs.batch import InventoryBatch
from ..envs.observation import ObservationEncoder
from ..envs.types import Observation
from ..forecasters.forecast import FloatArray
from ..policies.rollout import roll


class _Newsvendor:
    """Orders what the action 0 stands for, and keeps the features of every observation."""

    def __init__(self, encoder: ObservationEncoder) -> None:
        self.encoder, self.seen = encoder, list[FloatArray]()

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items)."""
        self.seen.append(self.encoder.encode(obs).reshape(-1, self.encoder.size))
        order: FloatArray = self.encoder.decode(np.zeros_like(obs.net_inventory), obs)
        return order


def features_met(encoder: ObservationEncoder, batch: InventoryBatch) -> FloatArray:
    """Return the features of everything that the newsvendor meets in the batch's episodes, shape (n, features)."""
    newsvendor = _Newsvendor(encoder)
    for _ in roll(newsvendor, batch.scenario, batch.params, batch.state):
        pass
    return np.concatenate(newsvendor.seen)


@contextmanager
def one_thread() -> Iterator[None]:
    """Small networks run fastest on one thread; what was set before is set again behind."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
