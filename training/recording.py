"""What training by gradients and by reinforcement share: one thread, and the features that a newsvendor meets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ..arrays import FloatArray
from ..envs.core.types import Observation
from ..envs.gym.batch import InventoryBatch
from ..envs.gym.observation import Encoder
from ..policies.rollout import roll


class _Newsvendor:
    """Orders what the action 0 stands for, and keeps the features of every observation."""

    def __init__(self, encoder: Encoder, orders: int) -> None:
        self.encoder, self.orders, self.seen = encoder, orders, list[FloatArray]()

    def order(self, obs: Observation) -> FloatArray:
        """Return units to order, shape (paths, items)."""
        self.seen.append(self.encoder.encode(obs).reshape(-1, self.encoder.size))
        order: FloatArray = self.encoder.decode(np.zeros((len(obs.net_inventory), self.orders)), obs)
        return order


def collect_features(encoder: Encoder, batch: InventoryBatch) -> FloatArray:
    """Return the features of everything that the newsvendor meets in the batch's episodes, shape (n, features)."""
    newsvendor = _Newsvendor(encoder, batch.orders)
    for _ in roll(newsvendor, batch.scenario, batch.params, batch.state, batch.view):
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
