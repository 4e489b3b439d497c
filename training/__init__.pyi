"""Trainers, their configurations and where their episodes come from: `fr.training`."""

from .backprop import train_backprop as train_backprop
from .config import (
    BackpropConfig as BackpropConfig,
    HistoryConfig as HistoryConfig,
    PPOConfig as PPOConfig,
    TuningConfig as TuningConfig,
)
from .rl import train_ppo as train_ppo
from .train import (
    DemandSource as DemandSource,
    EpisodeSource as EpisodeSource,
    JointSource as JointSource,
    PoolSource as PoolSource,
    TrainingProblem as TrainingProblem,
    train_policy as train_policy,
)
