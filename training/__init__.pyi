"""Trainers, their configurations and where their episodes come from: `fr.training`."""

from .backprop import BackpropConfig as BackpropConfig
from .rl import PPOConfig as PPOConfig
from .trainers import TrainingProblem as TrainingProblem, train_policy as train_policy
