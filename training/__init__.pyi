"""Trainers, their configurations and where their episodes come from: `fr.training`."""

from .agents import train_agent as train_agent, train_ppo as train_ppo
from .backprop import train_backprop as train_backprop
from .checkpoint import Tracking as Tracking
from .config import (
    AGENTS as AGENTS,
    AgentConfig as AgentConfig,
    BackpropConfig as BackpropConfig,
    HistoryConfig as HistoryConfig,
    TuningConfig as TuningConfig,
)
from .train import (
    DemandSource as DemandSource,
    EpisodeSource as EpisodeSource,
    JointSource as JointSource,
    PoolSource as PoolSource,
    TrainingProblem as TrainingProblem,
    train_policy as train_policy,
)
from .tune import (
    TUNERS as TUNERS,
    Tuned as Tuned,
    tune_policy as tune_policy,
)
